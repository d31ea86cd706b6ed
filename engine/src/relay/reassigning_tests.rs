use crate::relay::placement::PIECE;
use crate::relay::testing::{World, account};

/// More accounts than one piece, and four relays more than replicas.
#[test]
fn a_new_assignment_is_applied_in_pieces_and_in_between_its_answers_are_right() {
    let mut world = World::default();
    let accounts = 2 * PIECE as u16 + 100;
    for n in 0..accounts {
        world.hold(n, 1);
    }
    world.workers(6);
    world.tick();
    let beside = |world: &World| {
        let feeds = &world.log.feeds;
        let is_beside = |n: &u16| !world.relay.placement.is_assigned_here(feeds, &account(*n));
        (0..accounts).filter(is_beside).count()
    };
    let expected = beside(&world);
    assert!(expected > 0 && expected < usize::from(accounts));
    assert!(world.relay.reassigning.is_some(), "one piece is not all");
    let mut pieces = 1;
    let mut recorded = world.relay.cache.len();
    while let Some(at) = world.ctx.next_work {
        let wait = at.since(world.now());
        assert!(!wait.is_zero(), "other inputs have their turn");
        world.pass(wait);
        world.ctx.next_work = None;
        world.work();
        pieces += 1;
        let more = world.relay.cache.len() - recorded;
        assert!(more <= PIECE, "{more} in one piece");
        recorded += more;
        assert_eq!(beside(&world), expected);
    }
    assert_eq!((pieces, recorded), (3, expected));
    assert_eq!(
        world.relay.placement.held_beside(&world.log.feeds).len(),
        expected
    );
}
