use protocol::AccountId;
use protocol::kinds::{Body, Name};
use protocol::names::{NameAction, NameAnswer, RegistryId};

use crate::api::{Command, Error, OfferView, StoreState};
use crate::io::LinkId;
use crate::kinds::testing::{Author, handle, registry};
use crate::person::commands::Done;
use crate::person::testing::Device;
use crate::testing::Node;

impl Device {
    fn offer(&mut self, to: Option<AccountId>) -> Result<Done, Error> {
        self.command(Command::OfferName { to })
    }

    /// The registry lets this account claim the handle.
    fn offered(&mut self, link: LinkId, to: Option<AccountId>) {
        self.offer(to).expect("an offer");
        let (number, request) = self.request(link);
        assert_eq!(request.action, NameAction::Offer { to });
        let held = NameAnswer::Held(handle("ada", self.me(), 6));
        self.answer(link, number, held);
    }

    /// To whom the handle is offered, and whether the registry knows of it.
    fn shown(&self) -> Option<(Option<AccountId>, bool)> {
        let offer = self.person.offer_view(&self.node.kinds)?;
        Some((offer.to, offer.stands))
    }

    fn check(&mut self, reindexing: bool) {
        let Node { ctx, kinds, log, .. } = &mut self.node;
        self.person.claims.check_offer(ctx, kinds, log, reindexing);
    }

    /// Another account's feed says that it has this device's handle, by a later change of the registry.
    fn taken_by(&mut self, other: &mut Author) {
        let receipt = Some(handle("ada", other.account(), 9));
        let entry = other.write(&Body::Name(Name { receipt }));
        self.index(&entry);
    }
}

fn bob() -> AccountId {
    Author::new(2).account()
}

fn carl() -> AccountId {
    Author::new(3).account()
}

/// A device whose handle is offered to Bob.
fn offering() -> (Device, LinkId) {
    let (mut device, link) = Device::with_handle("ada");
    device.offered(link, Some(bob()));
    device.settle();
    (device, link)
}

#[test]
fn an_offer_stands_once_the_registry_knows_of_it_and_the_handle_stays() {
    let (mut device, link) = Device::with_handle("ada");
    let profile = Author::new(2).call("Bob");
    device.index(&profile);
    device.offer(Some(bob())).expect("an offer");
    let mut view = OfferView {
        to: Some(bob()),
        name: "Bob".into(),
        stands: false,
    };
    assert_eq!(device.person.offer_view(&device.node.kinds), Some(view.clone()));
    assert!(
        !device.person.wants_unfollowed(&bob()),
        "nothing is decided about the handle"
    );
    let (number, request) = device.request(link);
    assert_eq!(request.action, NameAction::Offer { to: Some(bob()) });
    let receipt = handle("ada", device.me(), 6);
    device.answer(link, number, NameAnswer::Held(receipt.clone()));
    let settled = device.settle();
    assert_eq!(settled.interests, [(bob(), true)]);
    let receipt = Some(receipt);
    assert_eq!(settled.written, [Body::Name(Name { receipt })]);
    view.stands = true;
    assert_eq!(device.person.offer_view(&device.node.kinds), Some(view));
    assert!(device.person.wants_unfollowed(&bob()));
    assert_eq!((device.handle(), device.view(None)), ("ada", None));
    device.restart();
    assert_eq!(device.shown(), Some((Some(bob()), true)), "after a restart");
}

#[test]
fn only_a_handle_that_the_account_has_is_offered_and_to_another_account() {
    let (mut device, _) = Device::online();
    assert_eq!(
        device.offer(Some(bob())).err(),
        Some(Error::NotFound),
        "no handle"
    );
    let (mut device, _) = Device::with_handle("ada");
    let me = device.me();
    assert_eq!(device.offer(Some(me)).err(), Some(Error::NotFound), "to itself");
    assert_eq!(device.shown(), None);
    assert_eq!(Device::fresh().offer(Some(bob())).err(), Some(Error::NoAccount));
}

#[test]
fn no_offer_is_made_while_something_else_is_undecided() {
    let (mut device, link) = Device::with_handle("ada");
    device.offer(Some(bob())).expect("an offer");
    assert_eq!(device.offer(Some(carl())).err(), Some(Error::Busy));
    let (number, _) = device.request(link);
    assert_eq!(device.offer(None).err(), Some(Error::Busy));
    device.answer(link, number, NameAnswer::NotYours);
    device.offer(Some(carl())).expect("the other one was refused");
    assert_eq!(device.shown(), Some((Some(carl()), false)));
}

#[test]
fn a_refused_offer_changes_nothing() {
    let (mut device, link) = offering();
    device.offer(Some(carl())).expect("an offer");
    let (number, _) = device.request(link);
    device.answer(link, number, NameAnswer::NotYours);
    let settled = device.settle();
    assert_eq!((settled.written, settled.interests), (vec![], vec![]));
    let refused = device.view(None).and_then(|claim| claim.refused);
    assert_eq!(refused, Some(NameAnswer::NotYours));
    device.command(Command::DropClaim).expect("dropped");
    assert_eq!(
        device.shown(),
        Some((Some(bob()), true)),
        "what stood before stands"
    );
    assert!(device.person.wants_unfollowed(&bob()));
}

#[test]
fn an_offer_to_another_account_replaces_the_one_before() {
    let (mut device, link) = offering();
    device.offered(link, Some(carl()));
    assert_eq!(device.settle().interests, [(bob(), false), (carl(), true)]);
    assert_eq!(device.shown(), Some((Some(carl()), true)));
    device.restart();
    assert_eq!(device.shown(), Some((Some(carl()), true)));
}

#[test]
fn an_offer_is_taken_back() {
    let (mut device, link) = offering();
    device.offer(None).expect("an offer");
    assert_eq!(device.shown(), Some((None, false)));
    let (number, _) = device.request(link);
    let held = NameAnswer::Held(handle("ada", device.me(), 7));
    device.answer(link, number, held);
    assert_eq!(device.settle().interests, [(bob(), false)]);
    assert_eq!((device.shown(), device.handle()), (None, "ada"));
    device.restart();
    assert_eq!(device.shown(), None, "after a restart");
}

#[test]
fn an_offer_dropped_before_it_was_sent_leaves_the_one_before() {
    let (mut device, link) = offering();
    device.offer(Some(carl())).expect("an offer");
    device.command(Command::DropClaim).expect("dropped");
    assert_eq!(device.shown(), Some((Some(bob()), true)));
    assert_eq!(device.requests(link), []);
}

#[test]
fn an_offer_dropped_half_way_is_replaced_by_the_one_before() {
    for before in [None, Some(bob())] {
        let (mut device, link) = match before {
            None => Device::with_handle("ada"),
            Some(_) => offering(),
        };
        device.offer(Some(carl())).expect("an offer");
        let (number, _) = device.request(link);
        device.command(Command::DropClaim).expect("dropped");
        device.command(Command::DropClaim).expect("no change");
        let late = NameAnswer::Held(handle("ada", device.me(), 7));
        assert!(
            device.answer(link, number, late).is_some(),
            "another one is asked"
        );
        let (number, request) = device.request(link);
        assert_eq!(request.action, NameAction::Offer { to: before });
        // This one as well may not be dropped without a trace.
        device.command(Command::DropClaim).expect("dropped");
        assert!(device.view(None).is_some());
        let (last, request) = device.request(link);
        assert_ne!(last, number);
        assert_eq!(request.action, NameAction::Offer { to: before });
        let held = NameAnswer::Held(handle("ada", device.me(), 8));
        device.answer(link, last, held);
        let settled = device.settle();
        assert_eq!(settled.interests, []);
        assert_eq!(device.shown(), before.map(|to| (Some(to), true)));
    }
}

#[test]
fn to_claim_the_handle_again_changes_no_offer_and_to_give_it_back_ends_it() {
    let (mut device, link) = offering();
    device.claim("ada").expect("a claim");
    let (number, _) = device.request(link);
    let held = NameAnswer::Held(handle("ada", device.me(), 7));
    device.answer(link, number, held);
    assert_eq!(device.settle().interests, []);
    assert_eq!(device.shown(), Some((Some(bob()), true)));
    device.command(Command::ReleaseName).expect("a claim");
    let (number, _) = device.request(link);
    device.answer(link, number, NameAnswer::Free);
    assert_eq!(device.settle().interests, [(bob(), false)]);
    assert_eq!((device.shown(), device.handle()), (None, ""));
}

#[test]
fn once_the_other_account_has_the_handle_the_feed_says_that_this_one_has_none() {
    let (mut device, _) = offering();
    device.check(false);
    assert_eq!(device.settle().written, [], "it is not taken");
    device.taken_by(&mut Author::new(2));
    device.check(true);
    assert_eq!(
        device.settle().written,
        [],
        "while views are built the handle may only seem to be gone"
    );
    device.check(false);
    let settled = device.settle();
    let receipt = None;
    assert_eq!(settled.written, [Body::Name(Name { receipt })]);
    assert_eq!(settled.interests, [(bob(), false)]);
    assert_eq!((device.shown(), device.handle()), (None, ""));
    device.check(false);
    assert_eq!(device.settle().written, [], "it is said once");
}

#[test]
fn a_device_that_cannot_write_keeps_the_offer_until_it_can() {
    let (mut device, _) = offering();
    device.taken_by(&mut Author::new(2));
    device.node.ctx.store_state = StoreState::Full;
    device.check(false);
    assert_eq!(device.shown(), Some((Some(bob()), true)));
    device.node.ctx.store_state = StoreState::Ok;
    device.check(false);
    assert_eq!((device.settle().written.len(), device.shown()), (1, None));
}

#[test]
fn a_handle_that_was_given_back_elsewhere_ends_the_offer_without_an_entry() {
    let (mut device, _) = offering();
    let Node { ctx, log, .. } = &mut device.node;
    log.append_own(ctx, &Body::Name(Name { receipt: None }));
    device.settle();
    device.check(false);
    let settled = device.settle();
    assert_eq!(
        (settled.written, settled.interests),
        (vec![], vec![(bob(), false)])
    );
}

#[test]
fn the_offer_stays_while_another_registry_is_believed() {
    let (mut device, _) = offering();
    let Node { ctx, kinds, .. } = &mut device.node;
    kinds.learn_registry(ctx, RegistryId(registry(1).public()), true);
    assert_eq!(device.handle(), "");
    device.check(false);
    assert_eq!(device.settle().written, []);
    assert_eq!(device.shown(), Some((Some(bob()), true)));
}
