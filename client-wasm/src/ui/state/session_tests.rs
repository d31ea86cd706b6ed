use engine::api::{Connection, Durability};
use protocol::messages::receipt::Reason;
use protocol::{AccountId, DeviceId, EntryId, EntryRef, PeerId};

use super::*;

fn me() -> MeView {
    MeView {
        account: AccountId([1; 32]),
        device: DeviceId([2; 32]),
        name: "Ada".to_owned(),
        bio: String::new(),
        handle: String::new(),
        claim: None,
        offer: None,
        phrase_confirmed: false,
        devices: Vec::new(),
        following: 0,
        revoked: false,
        forked: false,
        relays_only: false,
        old_copy: false,
        set_aside: 0,
        elsewhere: false,
    }
}

fn after(actions: impl IntoIterator<Item = Action>) -> Session {
    let mut session = Rc::new(Session::default());
    for action in actions {
        session = session.reduce(action);
    }
    Rc::unwrap_or_clone(session)
}

fn engine(event: Event) -> Action {
    Action::Engine(Rc::new(event))
}

fn post(in_activity: bool) -> Event {
    let entry = EntryRef {
        account: AccountId([3; 32]),
        id: EntryId([4; 32]),
    };
    Event::Posts {
        posts: vec![PostView {
            entry,
            device: DeviceId([5; 32]),
            in_activity,
            ..PostView::default()
        }],
        more: false,
    }
}

#[test]
fn a_new_person_passes_through_the_first_visit() {
    let session = after([engine(Event::Ready { account: false }), Action::Me(None)]);
    assert_eq!(session.phase, Phase::Stranger);
    assert!(!session.may_write());

    let session = after([
        engine(Event::Ready { account: false }),
        Action::Creating(true),
        // The engine has the account before its answer reaches the form.
        engine(Event::Me(me())),
        engine(Event::Ready { account: true }),
    ]);
    assert_eq!(
        session.phase,
        Phase::Stranger,
        "the form is still waiting for its answer"
    );

    let session = after([
        Action::Creating(true),
        engine(Event::Me(me())),
        Action::Arrived { fresh: true },
        engine(Event::Ready { account: true }),
        Action::Me(Some(me())),
    ]);
    assert_eq!(
        session.phase,
        Phase::Arriving,
        "the words have not been shown yet"
    );
    assert!(!session.creating);

    let mut session = session;
    session.apply(Action::Settled);
    assert_eq!(session.phase, Phase::Member);
}

#[test]
fn a_restored_account_needs_no_first_visit() {
    let session = after([
        engine(Event::Ready { account: false }),
        Action::Creating(true),
        Action::Arrived { fresh: false },
    ]);
    assert_eq!(session.phase, Phase::Member);
}

#[test]
fn an_account_made_in_another_tab_ends_the_first_visit_here() {
    let session = after([engine(Event::Ready { account: false }), engine(Event::Me(me()))]);
    assert_eq!(session.phase, Phase::Member);
    assert!(session.may_write());
}

#[test]
fn a_refused_account_leads_back_to_the_form() {
    let session = after([
        Action::Creating(true),
        Action::Creating(false),
        engine(Event::Ready { account: false }),
    ]);
    assert_eq!(session.phase, Phase::Stranger);
    assert!(!session.creating);
}

#[test]
fn a_device_that_is_revoked_forked_or_an_old_copy_may_not_write() {
    let revoked = MeView {
        revoked: true,
        ..me()
    };
    let old_copy = MeView {
        old_copy: true,
        ..me()
    };
    let forked = MeView { forked: true, ..me() };
    assert!(after([Action::Me(Some(me()))]).may_write());
    assert!(!after([Action::Me(Some(revoked))]).may_write());
    assert!(!after([Action::Me(Some(forked))]).may_write());
    assert!(!after([Action::Me(Some(old_copy))]).may_write());
}

#[test]
fn activity_is_unread_until_it_was_seen() {
    assert_eq!(after([engine(post(false))]).activity, Unread::default());
    let session = after([engine(post(true)), engine(post(false))]);
    assert!(session.activity.is_unread());
    let session = after([engine(post(true)), Action::ActivitySeen]);
    assert!(!session.activity.is_unread());
}

#[test]
fn a_message_is_taken_away_by_its_own_timer_alone() {
    let mut session = after([Action::Say("one".into()), Action::Say("two".into())]);
    session.apply(Action::Unsay(1));
    assert_eq!(session.toast, Some((2, "two".into())));
    session.apply(Action::Unsay(2));
    assert_eq!(session.toast, None);
}

#[test]
fn the_same_message_twice_is_two_messages() {
    let first = after([Action::Say("copied".into())]);
    let second = after([Action::Say("copied".into()), Action::Say("copied".into())]);
    assert_ne!(first.toast, second.toast);
}

#[test]
fn a_rebuild_ends_with_its_last_entry() {
    assert_eq!(
        after([engine(Event::Rebuilding { done: 3, total: 9 })]).rebuilding,
        Some((3, 9))
    );
    let done = after([
        engine(Event::Rebuilding { done: 3, total: 9 }),
        engine(Event::Rebuilding { done: 9, total: 9 }),
    ]);
    assert_eq!(done.rebuilding, None);
}

#[test]
fn a_relay_that_keeps_own_posts_no_longer_is_named() {
    let not_kept = |reason| {
        let session = after([engine(Event::NotKept {
            relay: PeerId([5; 32]),
            url: "https://relay.example".into(),
            reason,
        })]);
        session.toast.map(|(_, text)| text.to_string())
    };
    let text = not_kept(Reason::QUOTA).expect("a message");
    assert!(text.contains("no longer kept at relay.example"), "{text}");
    assert_eq!(not_kept(Reason::MOVED), None, "others keep them");
}

#[test]
fn events_of_lists_change_nothing_here() {
    let entry = EntryRef {
        account: AccountId([3; 32]),
        id: EntryId([4; 32]),
    };
    let status = StatusView {
        connection: Connection::Online,
        peers: 2,
        ..StatusView::default()
    };
    let before = after([Action::Status(status)]);
    let later = after([
        Action::Status(status),
        engine(Event::Durability {
            post: entry,
            durability: Durability::default(),
        }),
    ]);
    assert_eq!(before, later);
    assert_eq!(before.status, status);
}
