//! Claim, look up, give back, pass on.

use std::time::Duration;

use protocol::names::{NameAction, NameAnswer, NameFault, NameQuestion};
use starling_relay_node::names::Settings;

use crate::people::{Person, TODAY, days, holder, open, open_with};

#[tokio::test]
async fn a_name_has_one_holder_and_a_holder_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    assert_eq!(registry.lookup("ada").await.unwrap(), NameAnswer::Free);
    let first = ada.claim(&registry, "ada", TODAY).await;
    assert_eq!(holder(&registry, &first), ada.account);
    assert_eq!(bob.claim(&registry, "ada", TODAY).await, NameAnswer::Taken);
    assert_eq!(
        ada.claim(&registry, "ada", days(1)).await,
        first,
        "asked again: the same word"
    );
    assert_eq!(registry.lookup(" Ada".trim()).await.unwrap(), first);
    let other = ada.claim(&registry, "lovelace", TODAY).await;
    let name = "ada".to_owned();
    assert_eq!(other, NameAnswer::HasOther { name });
    assert_eq!(registry.lookup("lovelace").await.unwrap(), NameAnswer::Free);
}

#[tokio::test]
async fn a_name_that_looks_like_another_is_taken_and_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    ada.claim(&registry, "paypal", TODAY).await;
    let looks_like = NameAnswer::LooksLike {
        name: "paypal".to_owned(),
    };
    assert_eq!(bob.claim(&registry, "paypa1", TODAY).await, looks_like);
    assert_eq!(registry.lookup("paypa1").await.unwrap(), NameAnswer::Free);
    let name = "paypal".to_owned();
    assert_eq!(
        ada.claim(&registry, "paypa1", TODAY).await,
        NameAnswer::HasOther { name }
    );
    let wrong = bob.claim(&registry, "Bob", TODAY).await;
    let canonical = "bob".to_owned();
    assert_eq!(wrong, NameAnswer::Fault(NameFault::NotCanonical { canonical }));
}

#[tokio::test]
async fn words_of_plain_letters_are_names_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let people: Vec<Person> = (1..8).map(Person::new).collect();
    for (person, name) in people
        .iter()
        .zip(["modem", "modern", "burn", "bum", "com", "corn"])
    {
        let answer = person.claim(&registry, name, TODAY).await;
        assert_eq!(holder(&registry, &answer), person.account, "{name}");
        assert_eq!(registry.lookup(name).await.unwrap(), answer, "{name}");
        let again = people[6].claim(&registry, name, TODAY).await;
        assert_eq!(again, NameAnswer::Taken, "{name}");
    }
    // What looks like one of them by a digit is refused, in either place.
    for (guarded, other) in [
        ("m0dem", "modem"),
        ("m0dern", "modern"),
        ("c0m", "com"),
        ("c0rn", "corn"),
    ] {
        let name = other.to_owned();
        let answer = people[6].claim(&registry, guarded, TODAY).await;
        assert_eq!(answer, NameAnswer::LooksLike { name }, "{guarded}");
        assert_eq!(
            registry.lookup(guarded).await.unwrap(),
            NameAnswer::Free,
            "{guarded}"
        );
    }
    // A name keeps its place when the one it shares a skeleton with is given back.
    assert_eq!(
        people[0].release(&registry, "modem", TODAY).await,
        NameAnswer::Free
    );
    let kept = registry.lookup("modern").await.unwrap();
    assert_eq!(holder(&registry, &kept), people[1].account);
    let resting = people[6].claim(&registry, "modem", TODAY).await;
    assert!(matches!(resting, NameAnswer::Resting { .. }), "{resting:?}");
    assert_eq!(
        people[1].release(&registry, "modern", TODAY).await,
        NameAnswer::Free
    );
    assert_eq!(registry.lookup("modern").await.unwrap(), NameAnswer::Free);
}

#[tokio::test]
async fn a_name_given_back_rests_for_everybody_else() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    ada.claim(&registry, "ada", TODAY).await;
    assert_eq!(bob.release(&registry, "ada", TODAY).await, NameAnswer::NotYours);
    assert_eq!(ada.release(&registry, "ada", TODAY).await, NameAnswer::Free);
    assert_eq!(
        ada.release(&registry, "ada", days(1)).await,
        NameAnswer::Free,
        "asked again"
    );
    assert_eq!(registry.lookup("ada").await.unwrap(), NameAnswer::Free);
    let until = days(30);
    assert_eq!(
        bob.claim(&registry, "ada", days(29)).await,
        NameAnswer::Resting { until }
    );
    let lovelace = ada.claim(&registry, "lovelace", TODAY).await;
    assert_eq!(
        holder(&registry, &lovelace),
        ada.account,
        "she is free to take another"
    );
    let bobs = bob.claim(&registry, "ada", days(30)).await;
    assert_eq!(holder(&registry, &bobs), bob.account);
}

#[tokio::test]
async fn its_last_owner_may_have_it_back_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let ada = Person::new(1);
    ada.claim(&registry, "ada", TODAY).await;
    ada.release(&registry, "ada", TODAY).await;
    let again = ada.claim(&registry, "ada", days(1)).await;
    assert_eq!(holder(&registry, &again), ada.account);
}

#[tokio::test]
async fn a_name_is_passed_on_by_an_offer_and_a_claim() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob, eve) = (Person::new(1), Person::new(2), Person::new(3));
    let first = ada.claim(&registry, "ada", TODAY).await;
    let offer = |person: &Person| {
        let to = Some(bob.account);
        NameQuestion::Request(person.request("ada", NameAction::Offer { to }, 3))
    };
    assert_eq!(registry.answer(&offer(&eve), TODAY).await, NameAnswer::NotYours);
    let offered = registry.answer(&offer(&ada), TODAY).await;
    assert_eq!(holder(&registry, &offered), ada.account, "hers until he takes it");
    assert_eq!(eve.claim(&registry, "ada", TODAY).await, NameAnswer::Taken);
    let taken = bob.claim(&registry, "ada", TODAY).await;
    assert_eq!(holder(&registry, &taken), bob.account);
    let revision = |answer: &NameAnswer| match answer {
        NameAnswer::Held(receipt) => receipt.revision,
        other => panic!("{other:?}"),
    };
    assert!(revision(&first) < revision(&offered) && revision(&offered) < revision(&taken));
    let other = ada.claim(&registry, "lovelace", TODAY).await;
    assert_eq!(holder(&registry, &other), ada.account, "she has none any more");
}

#[tokio::test]
async fn work_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        work_bits: 10,
        rest: Duration::ZERO,
        ..Settings::default()
    };
    let registry = open_with(dir.path(), settings).await;
    let ada = Person::new(1);
    let mut request = ada.request("ada", NameAction::Claim, 1);
    while request.work_bits() >= 10 {
        request.work += 1;
    }
    let asked = registry
        .answer(&NameQuestion::Request(request.clone()), TODAY)
        .await;
    assert_eq!(asked, NameAnswer::Work { bits: 10 });
    while !request.seek_work(10, 100) {}
    let answer = registry.answer(&NameQuestion::Request(request), TODAY).await;
    assert_eq!(holder(&registry, &answer), ada.account);
}
