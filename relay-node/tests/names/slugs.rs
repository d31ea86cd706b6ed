//! Slugs: one post each, one each for a post, and no more than an account may have.

use native::clock::Monotonic;
use protocol::EntryId;
use protocol::names::{NameAction, NameAnswer, NameFault, NameQuestion};
use starling_relay_node::names::{LeaderPeriods, Registry, Settings, Space, lead};
use std::time::{Duration, Instant};

use crate::people::{Person, TODAY, days, holder, open, open_with};

/// The post an answer gives the slug to; fails unless the registry signed it.
#[track_caller]
fn leads_to(registry: &Registry, answer: &NameAnswer) -> EntryId {
    holder(registry, answer);
    match answer {
        NameAnswer::Held(receipt) => receipt.post.expect("a slug's receipt names the post"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_slug_leads_to_one_post_and_a_post_has_one_slug() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    assert_eq!(registry.lookup_slug("flocks").await.unwrap(), NameAnswer::Free);
    let first = ada.claim_slug(&registry, 0, "flocks", TODAY).await;
    assert_eq!(leads_to(&registry, &first), ada.post(0).id());
    assert_eq!(
        ada.claim_slug(&registry, 0, "flocks", days(1)).await,
        first,
        "asked again"
    );
    assert_eq!(registry.lookup_slug("Flocks").await.unwrap(), first);
    for (who, n) in [(&bob, 0), (&ada, 1)] {
        let taken = who.claim_slug(&registry, n, "flocks", TODAY).await;
        assert_eq!(taken, NameAnswer::Taken);
    }
    assert_eq!(
        bob.claim_slug(&registry, 0, "f1ocks", TODAY).await,
        NameAnswer::LooksLike {
            name: "flocks".to_owned()
        }
    );
    let name = "flocks".to_owned();
    let other = ada.claim_slug(&registry, 0, "starlings", TODAY).await;
    assert_eq!(other, NameAnswer::HasOther { name });
    let more = ada.claim_slug(&registry, 1, "starlings", TODAY).await;
    assert_eq!(leads_to(&registry, &more), ada.post(1).id());
    let fault = bob.claim_slug(&registry, 0, "robots.txt", TODAY).await;
    assert_eq!(fault, NameAnswer::Fault(NameFault::Character { character: '.' }));
}

#[tokio::test]
async fn names_and_slugs_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    let name = ada.claim(&registry, "ada", TODAY).await;
    let slug = bob.claim_slug(&registry, 0, "ada", TODAY).await;
    assert_eq!(leads_to(&registry, &slug), bob.post(0).id());
    assert_eq!(registry.lookup("ada").await.unwrap(), name);
    assert_eq!(registry.lookup_slug("ada").await.unwrap(), slug);
    assert_eq!(bob.release(&registry, "ada", TODAY).await, NameAnswer::NotYours);
    assert_eq!(
        ada.release_slug(&registry, 0, "ada", TODAY).await,
        NameAnswer::NotYours
    );
    assert_eq!(ada.release(&registry, "ada", TODAY).await, NameAnswer::Free);
    assert_eq!(registry.lookup_slug("ada").await.unwrap(), slug);
}

#[tokio::test]
async fn a_slug_given_back_rests_for_others_and_serves_another_post_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    ada.claim_slug(&registry, 0, "flocks", TODAY).await;
    let wrong = ada.release_slug(&registry, 1, "flocks", TODAY).await;
    assert_eq!(wrong, NameAnswer::NotYours, "that post has none");
    assert_eq!(
        ada.release_slug(&registry, 0, "flocks", TODAY).await,
        NameAnswer::Free
    );
    assert_eq!(registry.lookup_slug("flocks").await.unwrap(), NameAnswer::Free);
    let until = days(30);
    let resting = bob.claim_slug(&registry, 0, "flocks", days(29)).await;
    assert_eq!(resting, NameAnswer::Resting { until });
    let moved = ada.claim_slug(&registry, 1, "flocks", days(1)).await;
    assert_eq!(leads_to(&registry, &moved), ada.post(1).id());
    let other = ada.claim_slug(&registry, 0, "murmurs", days(1)).await;
    assert_eq!(
        leads_to(&registry, &other),
        ada.post(0).id(),
        "the first is free for another"
    );
}

#[tokio::test]
async fn a_slug_is_transferred_to_a_post_of_another_account() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path()).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    ada.claim_slug(&registry, 0, "flocks", TODAY).await;
    let offer = NameAction::Offer {
        to: Some(bob.account),
    };
    let offer = ada.request_for(Some(ada.post(0)), "flocks", offer, 3, u64::MAX);
    registry.answer(&NameQuestion::Request(offer), TODAY).await;
    let taken = bob.claim_slug(&registry, 0, "flocks", TODAY).await;
    assert_eq!(leads_to(&registry, &taken), bob.post(0).id());
    let other = ada.claim_slug(&registry, 0, "murmurs", TODAY).await;
    assert_eq!(
        leads_to(&registry, &other),
        ada.post(0).id(),
        "hers has none any more"
    );
}

#[tokio::test]
async fn an_account_has_so_many_slugs_and_those_that_rest_count_until_they_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        slugs_max: 3,
        rest: Duration::from_hours(24),
        ..Settings::default()
    };
    let registry = open_with(dir.path(), settings).await;
    let (ada, bob) = (Person::new(1), Person::new(2));
    let slugs = ["flocks", "murmurs", "roosts"];
    for (n, slug) in (0..).zip(slugs) {
        ada.claim_slug(&registry, n, slug, TODAY).await;
    }
    let too_many = NameAnswer::TooMany { max: 3 };
    assert_eq!(ada.claim_slug(&registry, 3, "nests", TODAY).await, too_many);
    ada.release_slug(&registry, 0, "flocks", TODAY).await;
    ada.release_slug(&registry, 1, "murmurs", days(5)).await;
    assert_eq!(
        ada.claim_slug(&registry, 3, "nests", TODAY).await,
        too_many,
        "they rest"
    );
    let again = ada.claim_slug(&registry, 3, "flocks", TODAY).await;
    assert_eq!(
        leads_to(&registry, &again),
        ada.post(3).id(),
        "a rested one of one's own is not one more"
    );
    ada.release_slug(&registry, 3, "flocks", TODAY).await;
    // Another account takes one that has rested, before the leader sweeps: it is hers no more.
    let bobs = bob.claim_slug(&registry, 0, "flocks", days(2)).await;
    assert_eq!(leads_to(&registry, &bobs), bob.post(0).id());
    ada.claim_slug(&registry, 3, "nests", days(2)).await;
    assert_eq!(ada.claim_slug(&registry, 4, "wings", days(2)).await, too_many);
    let periods = LeaderPeriods {
        ttl: Duration::from_millis(600),
        sweep_every: Duration::from_millis(50),
    };
    let leading = tokio::spawn(lead(
        registry.clone(),
        "a".to_owned(),
        periods,
        Monotonic::System,
        || days(6),
    ));
    let began = Instant::now();
    loop {
        let slugs = registry.names(Space::Slugs, None, 10).await.unwrap();
        let slugs: Vec<_> = slugs.iter().map(|(_, holding, _)| &holding.name).collect();
        if slugs == ["flocks", "nests", "roosts"] {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{slugs:?}");
        tokio::task::yield_now().await;
    }
    leading.abort();
    let wings = ada.claim_slug(&registry, 4, "wings", days(6)).await;
    assert_eq!(leads_to(&registry, &wings), ada.post(4).id());
    assert_eq!(ada.claim_slug(&registry, 5, "beaks", days(6)).await, too_many);
}

#[tokio::test]
async fn many_who_want_one_slug_at_once_leave_one_winner_and_right_counts() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        slugs_max: 40,
        ..Settings::default()
    };
    let registry = open_with(dir.path(), settings).await;
    let slug = |n: usize| -> String {
        let letter = |place: usize| char::from(b"abcdefgh"[n >> (3 * place) & 7]);
        (0..2).map(letter).chain("-nest".chars()).collect()
    };
    let mut tasks = tokio::task::JoinSet::new();
    for rival in 0..16 {
        let registry = registry.clone();
        tasks.spawn(async move {
            let person = Person::new(rival);
            let mut won = Vec::new();
            for n in 0..40 {
                match person.claim_slug(&registry, n as u64, &slug(n), TODAY).await {
                    NameAnswer::Held(_) => won.push(n),
                    answer => assert_eq!(answer, NameAnswer::Taken),
                }
            }
            (person, won)
        });
    }
    let mut winners = std::collections::BTreeMap::new();
    while let Some(ended) = tasks.join_next().await {
        let (person, won) = ended.unwrap();
        for n in &won {
            assert!(
                winners.insert(*n, person.account).is_none(),
                "{} has two winners",
                slug(*n)
            );
        }
        // It has this many; the rest up to the limit is free.
        let mut more = 0;
        while let NameAnswer::Held(_) = person
            .claim_slug(
                &registry,
                100 + more,
                &format!("{}{more}x", letters(&person)),
                TODAY,
            )
            .await
        {
            more += 1;
        }
        assert_eq!(won.len() as u64 + more, 40);
    }
    assert_eq!(winners.len(), 40);
}

/// Letters of nobody else: from the account's key.
fn letters(person: &Person) -> String {
    let half = |byte: u8| [byte >> 4, byte & 15];
    let letters = person.account.0[..5].iter().flat_map(|byte| half(*byte));
    letters
        .map(|half| char::from(b"abcdefghjknpqrst"[usize::from(half)]))
        .collect()
}
