use core::cell::Cell;

use proptest::prelude::*;
use protocol::Timestamp;
use protocol::messages::membership::{Stance, Vouch};

use super::{Members, PER_SIGNER_MAX, VOUCHES_MAX, VouchRefused};
use crate::io::Admission;
use crate::relay::testing::{relay_key, relay_peer};

/// Statements of relays by number; each is later than the one before it.
struct Statements {
    all: Vec<Vouch>,
    at: Cell<u64>,
}

impl Statements {
    fn new() -> Self {
        Self {
            all: Vec::new(),
            at: Cell::new(1),
        }
    }

    fn one(&self, by: u16, stance: Stance, relay: u16) -> Vouch {
        self.at.set(self.at.get() + 1);
        Vouch::issue(
            &relay_key(by),
            relay_peer(relay),
            stance,
            Timestamp(self.at.get()),
        )
    }

    fn say(&mut self, by: u16, stance: Stance, relay: u16) {
        self.all.push(self.one(by, stance, relay));
    }

    /// `by` invites a relay, which joins its network.
    fn invite(&mut self, by: u16, relay: u16) {
        self.say(by, Stance::Invites, relay);
        self.say(relay, Stance::Joins, by);
    }

    /// The members as relay `own` computes them.
    fn seen_by(&self, own: u16) -> Members {
        let mut members = Members::new(relay_peer(own), Admission::Invited);
        for vouch in &self.all {
            members.restore(vouch.clone());
        }
        members.compute();
        members
    }

    /// The same, by number.
    fn members(&self, own: u16) -> Vec<u16> {
        let members = self.seen_by(own);
        (0..20).filter(|n| members.contains(&relay_peer(*n))).collect()
    }
}

/// Relay 0 invited 1 and 2, and 1 invited 3, which invited 4.
fn tree() -> Statements {
    let mut tree = Statements::new();
    for (by, relay) in [(0, 1), (0, 2), (1, 3), (3, 4)] {
        tree.invite(by, relay);
    }
    tree
}

#[test]
fn a_relay_alone_is_the_only_member() {
    assert_eq!(Statements::new().members(7), [7]);
}

#[test]
fn all_members_see_the_same_members() {
    for own in 0..5 {
        assert_eq!(tree().members(own), [0, 1, 2, 3, 4], "as {own} sees them");
    }
}

#[test]
fn a_stranger_is_a_member_by_no_statement_of_strangers() {
    let mut statements = tree();
    // Relay 9 joins without an invitation, and relay 8 invites it and a member.
    statements.say(9, Stance::Joins, 0);
    statements.invite(8, 9);
    statements.say(8, Stance::Invites, 0);
    for own in 0..5 {
        assert_eq!(statements.members(own), [0, 1, 2, 3, 4]);
    }
    assert_eq!(
        statements.members(9),
        [0, 1, 2, 3, 4, 8, 9],
        "it believes those it joined"
    );
}

#[test]
fn an_expelled_relay_goes_with_those_that_it_alone_vouches_for() {
    let mut statements = tree();
    statements.say(1, Stance::Expels, 3);
    for own in [0, 1, 2] {
        assert_eq!(statements.members(own), [0, 1, 2], "as {own} sees them");
    }
    let mut kept = tree();
    kept.say(1, Stance::Expels, 3);
    kept.invite(2, 4);
    assert_eq!(
        kept.members(0),
        [0, 1, 2, 4],
        "another member vouches for relay 4"
    );
}

#[test]
fn members_further_up_expel_as_well_and_nobody_else_does() {
    let mut statements = tree();
    statements.say(0, Stance::Expels, 4);
    assert_eq!(
        statements.members(2),
        [0, 1, 2, 3],
        "relay 4 joined 3, which joined 1, which joined 0"
    );

    for (by, relay, others) in [
        (1, 0, &[0, 2][..]),
        (3, 1, &[0, 1, 2]),
        (4, 0, &[0, 1, 2, 3]),
        (2, 1, &[0, 1, 3, 4]),
        (9, 3, &[0, 1, 2, 3, 4]),
    ] {
        let mut statements = tree();
        statements.say(by, Stance::Expels, relay);
        for own in others.iter().copied() {
            assert_eq!(
                statements.members(own),
                [0, 1, 2, 3, 4],
                "{by} expels {relay}, as {own} sees it"
            );
        }
    }
}

#[test]
fn an_expulsion_always_counts_at_the_relay_that_signed_it() {
    let mut statements = tree();
    statements.say(2, Stance::Expels, 1);
    assert_eq!(statements.members(2), [0, 2]);
    assert!(!statements.seen_by(2).counts_everywhere(&relay_peer(1)));
    assert!(statements.seen_by(0).counts_everywhere(&relay_peer(4)));
}

#[test]
fn a_member_that_invites_its_inviter_gains_no_power_over_it() {
    let mut statements = tree();
    statements.say(1, Stance::Invites, 0);
    statements.say(1, Stance::Expels, 2);
    statements.say(1, Stance::Expels, 0);
    assert_eq!(statements.members(2), [0, 1, 2, 3, 4]);
}

#[test]
fn what_an_expelled_relay_says_counts_no_more() {
    let mut statements = tree();
    statements.say(0, Stance::Expels, 1);
    statements.invite(2, 3);
    statements.say(1, Stance::Expels, 3);
    statements.say(1, Stance::Invites, 9);
    assert_eq!(statements.members(0), [0, 2, 3, 4]);
    assert_eq!(statements.seen_by(1).expelled_by(), Some(relay_peer(0)));
}

#[test]
fn the_relay_that_expelled_another_can_invite_it_again() {
    let mut statements = tree();
    statements.say(0, Stance::Expels, 1);
    assert_eq!(statements.members(2), [0, 2]);
    statements.say(0, Stance::Invites, 1);
    assert_eq!(statements.members(2), [0, 1, 2, 3, 4]);
}

#[test]
fn two_that_joined_each_other_cannot_expel_each_other() {
    let mut statements = Statements::new();
    statements.invite(0, 1);
    statements.invite(1, 0);
    statements.invite(0, 2);
    statements.say(0, Stance::Expels, 1);
    statements.say(1, Stance::Expels, 0);
    assert_eq!(
        statements.members(2),
        [0, 1, 2],
        "0 joined 1, so it vouches for it"
    );
}

#[test]
fn listed_relays_are_members_whatever_is_said() {
    let mut members = Members::new(relay_peer(0), Admission::Listed(vec![relay_peer(5)]));
    for vouch in tree().all {
        members.restore(vouch);
    }
    members.compute();
    let numbers: Vec<u16> = (0..20).filter(|n| members.contains(&relay_peer(*n))).collect();
    assert_eq!(numbers, [0, 5]);
}

#[test]
fn statements_are_kept_if_a_member_signed_them_and_they_are_new() {
    let statements = tree();
    let mut members = statements.seen_by(0);
    let news = statements.one(2, Stance::Invites, 9);
    let joins = statements.one(9, Stance::Joins, 2);
    assert_eq!(
        members.check(&joins),
        Err(VouchRefused::Stranger),
        "it is not invited"
    );
    assert_eq!(members.check(&news), Ok(()));
    let mut forged = news.clone();
    forged.relay = relay_peer(10);
    assert_eq!(members.take_in(forged), Err(VouchRefused::Forged));
    assert_eq!(members.take_in(news.clone()), Ok(None));
    members.compute();
    assert!(
        !members.contains(&relay_peer(9)),
        "it has not said that it joined"
    );
    assert_eq!(members.take_in(joins), Ok(None));
    members.compute();
    assert!(members.contains(&relay_peer(9)));
    assert_eq!(members.check(&news), Err(VouchRefused::Old), "it is known");
    assert_eq!(members.check(&statements.all[0]), Err(VouchRefused::Old));
    assert_eq!(
        members.check(&statements.one(12, Stance::Invites, 13)),
        Err(VouchRefused::Stranger)
    );
    assert_eq!(
        members.check(&statements.one(1, Stance::Invites, 1)),
        Err(VouchRefused::Old),
        "about itself"
    );
}

/// Otherwise a relay that learns of the expulsion first would not know what others know.
#[test]
fn what_an_expelled_relay_says_is_kept_and_means_nothing() {
    let mut statements = tree();
    statements.say(0, Stance::Expels, 3);
    statements.invite(3, 9);
    let members = statements.seen_by(0);
    assert!(!members.contains(&relay_peer(9)) && !members.contains(&relay_peer(3)));
    assert_eq!(members.check(&statements.one(3, Stance::Invites, 8)), Ok(()));
}

#[test]
fn a_relay_cannot_take_back_that_it_joined() {
    let mut statements = tree();
    // It invites and expels those that it is under.
    statements.say(1, Stance::Invites, 0);
    statements.say(1, Stance::Expels, 0);
    // Another member vouches for it.
    statements.invite(2, 1);
    statements.say(0, Stance::Expels, 1);
    assert_eq!(statements.members(2), [0, 2]);
}

/// A member that brings many relays of its own which expel each other in layers costs little.
#[test]
fn expulsions_of_expellers_are_judged_once_each() {
    let mut statements = tree();
    statements.invite(1, 100);
    for layer in 0..40 {
        for n in [101 + 2 * layer, 102 + 2 * layer] {
            statements.say(100, Stance::Joins, n);
            statements.say(n, Stance::Joins, 100);
        }
    }
    for layer in 1..40 {
        for by in [101 + 2 * layer, 102 + 2 * layer] {
            for relay in [99 + 2 * layer, 100 + 2 * layer] {
                statements.say(by, Stance::Expels, relay);
            }
        }
    }
    // None of them is above another one alone, so none of it counts.
    assert_eq!(statements.seen_by(0).all().len(), 5 + 1 + 80);
}

#[test]
fn a_statement_of_this_relay_itself_always_fits() {
    let mut statements = tree();
    for by in [1, 2, 3, 4] {
        for n in 0..PER_SIGNER_MAX as u16 - 5 {
            statements.say(by, Stance::Joins, 1_000 * by + n);
        }
    }
    let mut members = statements.seen_by(0);
    let mut n = 10_000;
    while members.vouches.len() < VOUCHES_MAX {
        let vouch = statements.one(5, Stance::Invites, n);
        members.vouches.insert(super::key_of(&vouch), vouch);
        n += 1;
    }
    members.reached.insert(relay_peer(5));
    assert_eq!(
        members.take_in(statements.one(2, Stance::Invites, 9)),
        Err(VouchRefused::Full)
    );
    let own = statements.one(0, Stance::Expels, 5);
    assert!(matches!(members.take_in(own), Ok(Some(removed)) if removed.by == relay_peer(5)));
    members.compute();
    assert_eq!(
        members.stance(&relay_peer(0), &relay_peer(5)),
        Some(Stance::Expels)
    );
}

#[test]
fn one_relay_cannot_fill_the_table() {
    let mut statements = tree();
    // It says itself that it joined relay 0.
    for n in 0..PER_SIGNER_MAX as u16 - 1 {
        statements.say(2, Stance::Invites, 100 + n);
    }
    let members = statements.seen_by(0);
    assert_eq!(
        members.check(&statements.one(2, Stance::Invites, 99)),
        Err(VouchRefused::Full)
    );
    assert_eq!(
        members.check(&statements.one(2, Stance::Expels, 100)),
        Ok(()),
        "in place of another"
    );
    assert_eq!(members.check(&statements.one(1, Stance::Invites, 99)), Ok(()));
}

#[test]
fn what_goes_with_a_relay_is_known_before_it_is_expelled() {
    let members = tree().seen_by(0);
    let left = members.without(&relay_peer(1));
    let left: Vec<u16> = (0..5).filter(|n| left.contains(&relay_peer(*n))).collect();
    assert_eq!(left, [0, 2]);
}

#[test]
fn an_own_statement_is_later_than_the_one_before() {
    let mut statements = tree();
    statements.at.set(1_000_000);
    statements.say(0, Stance::Expels, 1);
    let members = statements.seen_by(0);
    // The clock was set back.
    let again = members.sign(&relay_key(0), relay_peer(1), Stance::Invites, Timestamp(5));
    assert_eq!(members.check(&again), Ok(()));
}

#[test]
fn a_relay_that_joined_accepts_the_invitation_of_any_member_and_a_founder_of_none() {
    let mut statements = tree();
    statements.say(9, Stance::Joins, 2);
    assert!(statements.seen_by(9).waits_for_invitation());
    assert_eq!(statements.seen_by(9).unanswered_invitation(), None);
    statements.say(0, Stance::Invites, 9);
    assert_eq!(statements.seen_by(9).unanswered_invitation(), Some(relay_peer(0)));
    statements.say(9, Stance::Joins, 0);
    assert_eq!(statements.seen_by(9).unanswered_invitation(), None);
    assert!(!statements.seen_by(9).waits_for_invitation());
    assert_eq!(statements.members(4), [0, 1, 2, 3, 4, 9]);

    statements.say(4, Stance::Invites, 0);
    assert_eq!(statements.seen_by(0).unanswered_invitation(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nobody is let in or sent out by what those say whom no member vouches for.
    #[test]
    fn strangers_change_nothing(said in proptest::collection::vec((0..8_u16, 0..3_usize, 0..8_u16), 0..40)) {
        let mut statements = Statements::new();
        for (by, stance, relay) in said {
            if by != relay {
                statements.say(by, [Stance::Invites, Stance::Joins, Stance::Expels][stance], relay);
            }
        }
        let seen = statements.seen_by(0);
        let members = statements.members(0);
        prop_assert!(members.contains(&0));
        let mut without = Statements::new();
        without.all = statements.all.iter().filter(|vouch| seen.reached.contains(&vouch.by)).cloned().collect();
        prop_assert_eq!(without.members(0), members);
    }

    /// The order in which statements arrive changes nothing.
    #[test]
    fn the_members_follow_from_the_statements_alone(
        said in proptest::collection::vec((0..8_u16, 0..3_usize, 0..8_u16), 0..40),
        shift in any::<prop::sample::Index>(),
    ) {
        let mut statements = Statements::new();
        for (by, stance, relay) in said {
            if by != relay {
                statements.say(by, [Stance::Invites, Stance::Joins, Stance::Expels][stance], relay);
            }
        }
        let members = statements.members(0);
        // Taken in one by one in another order, and again until nothing is new.
        let mut taken = Members::new(relay_peer(0), Admission::Invited);
        let mut order = statements.all.clone();
        if !order.is_empty() {
            let at = shift.index(order.len());
            order.rotate_left(at);
        }
        for _ in 0..order.len() + 1 {
            for vouch in &order {
                if taken.check(vouch).is_ok() {
                    prop_assert_eq!(taken.take_in(vouch.clone()), Ok(None));
                    taken.compute();
                }
            }
        }
        let taken: Vec<u16> = (0..20).filter(|n| taken.contains(&relay_peer(*n))).collect();
        prop_assert_eq!(taken, members);
    }
}
