use protocol::kinds::{Body, Slug};
use protocol::names::{NameAction, NameAnswer, NameReceipt, RegistryId};
use protocol::{EntryId, EntryRef, Timestamp, limits};

use crate::api::{Command, CommandResult, Error, Response, StoreState};
use crate::io::{LinkId, Output};
use crate::kinds::testing::{Author, registry, slug};
use crate::log::keys::EntryPlace;
use crate::person::claims::Subject;
use crate::person::commands::Done;
use crate::person::testing::Device;
use crate::store::{Load, LoadId, Op, Rows, Table};
use crate::testing::Node;

const OK: Response = Response::Done(CommandResult::Ok);
const NOT_FOUND: Response = Response::Error(Error::NotFound);

impl Device {
    fn set(&mut self, post: EntryRef, slug: Option<&str>) -> Result<Done, Error> {
        let slug = slug.map(str::to_owned);
        self.command(Command::SetSlug { post, slug })
    }

    /// Loads that were begun, and answers that were given.
    fn looked(&mut self) -> (Vec<Load>, Vec<Response>) {
        let (mut loads, mut answers) = (Vec::new(), Vec::new());
        for output in self.node.outputs() {
            match output {
                Output::Load(load) => loads.push(load),
                Output::Response { response, .. } => answers.push(response),
                _ => {}
            }
        }
        (loads, answers)
    }

    fn rows(&mut self, load: LoadId, rows: Rows) {
        let Node { ctx, kinds, .. } = &mut self.node;
        self.person.on_slug_rows(ctx, kinds, load, rows);
    }

    /// The store reads until nothing is left to read. Answers, and how often it read.
    fn read(&mut self) -> (Vec<Response>, usize) {
        let (mut answers, mut reads) = (Vec::new(), 0);
        loop {
            let (loads, given) = self.looked();
            answers.extend(given);
            if loads.is_empty() {
                return (answers, reads);
            }
            for load in loads {
                let rows = self.node.store.load(&load);
                self.rows(load.id, rows);
                reads += 1;
            }
        }
    }

    /// The answer to a change that needs the store.
    fn set_read(&mut self, post: EntryRef, slug: Option<&str>) -> Response {
        let done = self.set(post, slug);
        assert!(matches!(done, Ok(Done::Later)), "{done:?}");
        let (mut answers, _) = self.read();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// The registry says that the post has this slug.
    fn slug(&mut self, link: LinkId, post: EntryRef, name: &str, revision: u64) {
        let (number, request) = self.request(link);
        assert_eq!((request.name.as_str(), request.post_id()), (name, Some(post.id)));
        let held = NameAnswer::Held(slug(name, post, revision));
        assert_eq!(self.answer(link, number, held), None);
    }
}

/// A device with one post and a relay.
fn with_post() -> (Device, LinkId, EntryRef) {
    let (mut device, link) = Device::online();
    let post = device.post(1, None).expect("a post").entry;
    device.settle();
    device.looked();
    (device, link, post)
}

/// A device with one post that has a slug.
fn with_slug(name: &str) -> (Device, LinkId, EntryRef) {
    let (mut device, link, post) = with_post();
    assert_eq!(device.set_read(post, Some(name)), OK);
    device.slug(link, post, name, 7);
    device.settle();
    (device, link, post)
}

fn asked_name(device: &Device, subject: Subject) -> Option<String> {
    device.view(subject).map(|claim| claim.name)
}

#[test]
fn a_slug_is_asked_for_once_the_post_was_read_and_goes_into_the_feed() {
    let (mut device, link, post) = with_post();
    let done = device.set(post, Some(" /Why they flock/ "));
    assert!(matches!(done, Ok(Done::Later)), "{done:?}");
    assert_eq!(device.view(Some(post.id)), None, "its header is not known yet");
    assert_eq!(device.read(), (vec![OK], 2), "the place, then the entry");
    let (number, request) = device.request(link);
    assert_eq!(
        (request.name.as_str(), &request.action),
        ("why-they-flock", &NameAction::Claim)
    );
    assert_eq!(request.post_id(), Some(post.id));
    assert!(request.verify().is_ok(), "it carries the header of an own post");
    let receipt = slug("why-they-flock", post, 7);
    device.answer(link, number, NameAnswer::Held(receipt.clone()));
    let said = Slug {
        post: post.id,
        receipt: Some(receipt),
    };
    assert_eq!(device.settle().written, [Body::Slug(said)]);
    assert_eq!(device.view(Some(post.id)), None);
}

#[test]
fn another_slug_is_asked_for_in_place_of_the_one_the_post_has() {
    let (mut device, link, post) = with_slug("one");
    assert_eq!(device.set_read(post, Some("two")), OK);
    let (_, request) = device.request(link);
    assert_eq!(
        (request.name.as_str(), request.action),
        ("two", NameAction::Claim)
    );
    // A wish that is undecided gives way to the next one.
    assert_eq!(device.set_read(post, Some("three")), OK);
    assert_eq!(asked_name(&device, Some(post.id)).as_deref(), Some("three"));
}

#[test]
fn the_slug_that_a_post_has_is_not_asked_for_again() {
    let (mut device, link, post) = with_slug("one");
    assert_eq!(device.set_read(post, Some("One")), OK);
    assert_eq!(device.view(Some(post.id)), None);
    assert_eq!(device.requests(link), []);
}

#[test]
fn a_slug_is_given_back_and_the_feed_says_so() {
    let (mut device, link, post) = with_slug("one");
    // After a restart only the row tells the revision.
    device.node.kinds = Default::default();
    let Node { ctx, kinds, .. } = &mut device.node;
    kinds.restore_registry(ctx, RegistryId(registry(0).public()));
    assert_eq!(device.node.kinds.registry().revision(), 0);
    assert_eq!(device.set_read(post, None), OK);
    let (number, request) = device.request(link);
    assert_eq!(
        (request.name.as_str(), request.action, request.known),
        ("one", NameAction::Release, 7)
    );
    device.answer(link, number, NameAnswer::Free);
    let said = Slug {
        post: post.id,
        receipt: None,
    };
    assert_eq!(device.settle().written, [Body::Slug(said)]);
    assert_eq!(device.set_read(post, None), NOT_FOUND, "it has none any more");
}

#[test]
fn a_slug_that_is_asked_for_is_withdrawn_without_a_read() {
    let (mut device, link, post) = with_post();
    device.set_read(post, Some("one"));
    let withdrawn = device.set(post, None);
    assert!(matches!(withdrawn, Ok(Done::CommandResult(CommandResult::Ok))));
    assert_eq!((device.view(Some(post.id)), device.read().1), (None, 0));
    assert_eq!(device.requests(link), []);
    // The registry may have decided: it is given back, for the same post.
    device.set_read(post, Some("one"));
    let (number, _) = device.request(link);
    device.set(post, None).expect("withdrawn");
    let held = NameAnswer::Held(slug("one", post, 7));
    device.answer(link, number, held);
    let (_, request) = device.request(link);
    assert_eq!(
        (request.name.as_str(), request.action),
        ("one", NameAction::Release)
    );
    assert_eq!(device.stored_claims(), 1);
}

#[test]
fn a_refused_slug_is_shown_with_its_post_until_it_is_dropped() {
    let (mut device, link, post) = with_post();
    device.set_read(post, Some("one"));
    let (number, _) = device.request(link);
    device.changed_slugs();
    device.answer(link, number, NameAnswer::Taken);
    assert_eq!(device.changed_slugs(), [post]);
    let refused = device.view(Some(post.id)).and_then(|claim| claim.refused);
    assert_eq!(refused, Some(NameAnswer::Taken));
    device.set(post, None).expect("dropped");
    assert_eq!(device.changed_slugs(), [post]);
    assert_eq!((device.view(Some(post.id)), device.stored_claims()), (None, 0));
    assert_eq!(device.settle().written, []);
}

#[test]
fn only_own_posts_that_are_held_get_slugs() {
    let (mut device, _, post) = with_post();
    let foreign = EntryRef {
        account: Author::new(2).account(),
        ..post
    };
    assert_eq!(device.set(foreign, Some("one")).err(), Some(Error::NotFound));
    let unknown = EntryRef {
        id: EntryId([9; 32]),
        ..post
    };
    assert_eq!(device.set_read(unknown, Some("one")), NOT_FOUND);
    // Its place is known, its entry is gone.
    let place = EntryPlace { feed: 99, seq: 0 };
    device
        .node
        .ctx
        .write(Op::put(Table::Ids, unknown.id.0.to_vec(), &place));
    assert_eq!(device.set_read(unknown, Some("one")), NOT_FOUND);
    assert_eq!(device.set_read(post, None), NOT_FOUND, "it has no slug");
    assert_eq!(device.stored_claims(), 0);
}

#[test]
fn a_wish_that_cannot_be_a_slug_is_refused_before_anything_is_read() {
    let (mut device, _, post) = with_post();
    assert_eq!(device.set(post, Some(" / ")).err(), Some(Error::Empty));
    let long = "a".repeat(limits::UNIQUE_NAME_LEN_MAX + 1);
    assert_eq!(
        device.set(post, Some(&long)).err(),
        Some(Error::TooLong { max: 30 })
    );
    assert_eq!(device.read(), (vec![], 0));
}

#[test]
fn a_slug_of_another_registry_counts_as_none() {
    let (mut device, _, post) = with_post();
    let at = Timestamp(9);
    let receipt = NameReceipt::issue(&registry(1), "one".into(), Some(post.id), post.account, 7, at);
    let said = Slug {
        post: post.id,
        receipt: Some(receipt),
    };
    let Node { ctx, log, .. } = &mut device.node;
    log.append_own(ctx, &Body::Slug(said));
    device.settle();
    assert_eq!(device.set_read(post, None), NOT_FOUND);
    assert_eq!(device.set_read(post, Some("one")), OK);
    assert_eq!(asked_name(&device, Some(post.id)).as_deref(), Some("one"));
}

#[test]
fn changes_of_two_posts_that_are_read_at_the_same_time_do_not_mix() {
    let (mut device, _, one) = with_post();
    let other = device.post(2, None).expect("a post").entry;
    device.settle();
    device.looked();
    device.set(one, Some("one")).expect("later");
    device.set(other, Some("other")).expect("later");
    let (mut loads, _) = device.looked();
    loads.reverse();
    for load in loads {
        let rows = device.node.store.load(&load);
        device.rows(load.id, rows);
    }
    assert_eq!(device.read().0, [OK, OK]);
    assert_eq!(asked_name(&device, Some(one.id)).as_deref(), Some("one"));
    assert_eq!(asked_name(&device, Some(other.id)).as_deref(), Some("other"));
}

#[test]
fn a_read_that_fails_is_answered_and_rows_that_come_after_it_are_dropped() {
    let (mut device, _, post) = with_post();
    device.set(post, Some("one")).expect("later");
    let (loads, _) = device.looked();
    let Node { ctx, .. } = &mut device.node;
    device.person.on_slug_load_failed(ctx, loads[0].id);
    let failed = Response::Error(Error::Store(StoreState::Failing));
    assert_eq!(device.looked().1, [failed]);
    let rows = device.node.store.load(&loads[0]);
    device.rows(loads[0].id, rows);
    assert_eq!(device.read(), (vec![], 0));
    assert_eq!(device.view(Some(post.id)), None);
}

#[test]
fn when_all_claims_of_slugs_are_taken_only_a_post_that_has_one_changes_its_wish() {
    let (mut device, link, post) = with_post();
    device.unlink(link);
    let posts: Vec<_> = (0..100)
        .map(|n| {
            let posted = device.post(100 + n, Some(&format!("slug-{n}")));
            posted.expect("a post").entry
        })
        .collect();
    device.settle();
    device.looked();
    let busy = Response::Error(Error::Busy);
    assert_eq!(device.set_read(post, Some("one-more")), busy);
    assert_eq!(device.set_read(posts[0], Some("other")), OK);
    assert_eq!(asked_name(&device, Some(posts[0].id)).as_deref(), Some("other"));
}
