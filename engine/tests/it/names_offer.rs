//! A name is transferred: offered by one account, claimed by the other, and known to everybody as the other's.

use protocol::AccountId;
use protocol::names::NameAnswer;
use starling_engine::api::{Command, CommandResult, Error, OfferView, Query, QueryResult, Response};

use crate::names::{me, relays, visit};
use crate::network::{Network, seed};

fn claim(net: &mut Network, peer: usize, name: &str) {
    let name = name.to_owned();
    net.command(peer, Command::ClaimName { name });
    net.run_for_ms(5_000);
}

fn offer(net: &mut Network, peer: usize, to: Option<AccountId>) -> Response {
    net.command(peer, Command::OfferName { to })
}

/// Ada, who is @ada, and Bob and Cleo, who have no names.
fn ada_and_others() -> (Network, [usize; 3]) {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let people = ["Ada", "Bob", "Cleo"].map(|name| net.person(name));
    for person in people {
        visit(&mut net, person, worker);
    }
    net.run_for_ms(10_000);
    claim(&mut net, people[0], "ada");
    assert_eq!(me(&mut net, people[0]).handle, "ada", "seed {}", net.seed);
    (net, people)
}

#[test]
fn a_name_that_is_offered_stays_until_the_other_one_asks_for_it() {
    let (mut net, [ada, bob, cleo]) = ada_and_others();
    let to = Some(net.account(bob));
    assert_eq!(offer(&mut net, ada, to), Response::Done(CommandResult::Ok));
    net.run_for_ms(5_000);
    let own = me(&mut net, ada);
    assert_eq!(
        (own.handle.as_str(), own.claim),
        ("ada", None),
        "seed {}",
        net.seed
    );
    let stands = OfferView {
        to,
        name: "Bob".to_owned(),
        stands: true,
    };
    assert_eq!(own.offer.as_ref(), Some(&stands));
    // It is kept, and is for Bob alone.
    net.crash(ada);
    net.start(ada);
    net.run_for_ms(1_000);
    assert_eq!(me(&mut net, ada).offer, Some(stands));
    net.introduce_all();
    net.run_for_ms(10_000);
    claim(&mut net, cleo, "ada");
    let refused = me(&mut net, cleo).claim.and_then(|claim| claim.refused);
    assert_eq!(refused, Some(NameAnswer::Taken));

    claim(&mut net, bob, "ada");
    assert_eq!(me(&mut net, bob).handle, "ada");
    net.run_for_ms(10_000);
    let own = me(&mut net, ada);
    assert_eq!(
        (own.handle.as_str(), own.offer),
        ("", None),
        "Ada sees that it was taken"
    );
    // A peer that holds her feed alone knows as well.
    let account = own.account;
    net.follow(cleo, ada);
    net.run_for_ms(10_000);
    match net.query(cleo, Query::Profile { account }) {
        QueryResult::Profile(profile) => assert_eq!(profile.handle, ""),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_is_taken_back() {
    let (mut net, [ada, bob, _]) = ada_and_others();
    let to = Some(net.account(bob));
    offer(&mut net, ada, to);
    net.run_for_ms(5_000);
    assert_eq!(offer(&mut net, ada, None), Response::Done(CommandResult::Ok));
    net.run_for_ms(5_000);
    let own = me(&mut net, ada);
    assert_eq!((own.handle.as_str(), own.offer, own.claim), ("ada", None, None));
    claim(&mut net, bob, "ada");
    let refused = me(&mut net, bob).claim.and_then(|claim| claim.refused);
    assert_eq!(refused, Some(NameAnswer::Taken), "seed {}", net.seed);
}

#[test]
fn an_offer_waits_for_the_registry_and_is_dropped_without_a_trace() {
    let (mut net, [ada, bob, _]) = ada_and_others();
    let to = Some(net.account(bob));
    net.registry.answers = false;
    offer(&mut net, ada, to);
    net.run_for_ms(5_000);
    let own = me(&mut net, ada);
    assert!(own.claim.is_some_and(|claim| claim.refused.is_none()), "it waits");
    assert!(own.offer.is_some_and(|offer| offer.to == to && !offer.stands));
    assert_eq!(offer(&mut net, ada, to), Response::Error(Error::Busy));
    // The registry may have heard of it: that is undone as well.
    net.command(ada, Command::DropClaim);
    net.registry.answers = true;
    net.run_for_ms(150_000);
    let own = me(&mut net, ada);
    assert_eq!((own.handle.as_str(), own.offer, own.claim), ("ada", None, None));
    claim(&mut net, bob, "ada");
    assert_eq!(me(&mut net, bob).handle, "", "seed {}", net.seed);
}

#[test]
fn who_has_no_name_has_none_to_offer() {
    let (mut net, [ada, bob, _]) = ada_and_others();
    let (to_ada, to_bob) = (Some(net.account(ada)), Some(net.account(bob)));
    let nothing = Response::Error(Error::NotFound);
    assert_eq!(offer(&mut net, bob, to_ada), nothing);
    assert_eq!(offer(&mut net, bob, to_bob), nothing, "nor to oneself");
}

/// Ada's name is offered to Bob.
fn ada_offers_to_bob() -> (Network, [usize; 3], Option<OfferView>) {
    let (mut net, people) = ada_and_others();
    let to = Some(net.account(people[1]));
    offer(&mut net, people[0], to);
    net.run_for_ms(5_000);
    let stands = me(&mut net, people[0]).offer;
    assert!(
        stands.as_ref().is_some_and(|offer| offer.stands),
        "seed {}",
        net.seed
    );
    (net, people, stands)
}

#[test]
fn an_offer_stands_while_views_are_rebuilt_and_when_the_name_is_claimed_again() {
    let (mut net, [ada, ..], stands) = ada_offers_to_bob();
    // So slowly that much else happens meanwhile.
    net.load_us = (1_500_000, 1_500_000);
    net.command(ada, Command::RebuildViews);
    let mut nameless = 0;
    for _ in 0..400 {
        net.run_for_ms(100);
        nameless += u32::from(me(&mut net, ada).handle.is_empty());
    }
    assert!(nameless > 10, "for seconds it seemed that Ada has no name");
    let own = me(&mut net, ada);
    assert_eq!((own.handle.as_str(), &own.offer), ("ada", &stands));
    claim(&mut net, ada, "ada");
    assert_eq!(me(&mut net, ada).offer, stands, "seed {}", net.seed);
}

#[test]
fn an_offer_stands_again_when_taking_it_back_is_dropped() {
    let (mut net, [ada, bob, _], stands) = ada_offers_to_bob();
    net.registry.answers = false;
    offer(&mut net, ada, None);
    net.run_for_ms(5_000);
    // The registry heard of it, and its answer was lost.
    net.registry.offered.clear();
    net.command(ada, Command::DropClaim);
    net.registry.answers = true;
    net.run_for_ms(150_000);
    let own = me(&mut net, ada);
    assert_eq!((own.offer, own.claim), (stands, None), "seed {}", net.seed);
    claim(&mut net, bob, "ada");
    assert_eq!(me(&mut net, bob).handle, "ada");
}
