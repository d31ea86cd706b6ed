//! Replayed requests: a relay that forwards a request can keep it and repeat it later.

use std::time::Duration;

use native::clock::Monotonic;
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest};
use starling_relay_node::names::{LeaderPeriods, Registry, Settings, Space, lead};

use crate::people::{Person, TODAY, days, holder, open, open_with};

/// The requests of a person, each signed with the revision known at that time, and all of them kept.
struct Kept<'r> {
    registry: &'r Registry,
    person: Person,
    /// The post, for slugs.
    post: Option<u64>,
    name: &'static str,
    known: u64,
    kept: Vec<NameRequest>,
}

impl<'r> Kept<'r> {
    fn new(registry: &'r Registry, person: u32, post: Option<u64>, name: &'static str) -> Self {
        Self {
            registry,
            person: Person::new(person),
            post,
            name,
            known: 0,
            kept: Vec::new(),
        }
    }

    /// Makes a request as a device does: an outdated one is signed again.
    async fn does(&mut self, action: NameAction) -> NameAnswer {
        loop {
            let post = self.post.map(|n| self.person.post(n));
            let nonce = u8::try_from(self.kept.len()).unwrap() + 10;
            let request = self
                .person
                .request_for(post, self.name, action.clone(), nonce, self.known);
            self.kept.push(request.clone());
            match self.registry.answer(&NameQuestion::Request(request), TODAY).await {
                NameAnswer::Outdated(mark) => {
                    mark.verify().unwrap();
                    assert_eq!(mark.registry, self.registry.id());
                    assert!(mark.revision > self.known, "the same again would not help");
                    self.known = mark.revision;
                }
                NameAnswer::Held(receipt) => {
                    self.known = receipt.revision;
                    return NameAnswer::Held(receipt);
                }
                other => return other,
            }
        }
    }

    /// Repeats everything that was ever asked; nothing may come of it.
    async fn is_repeated_in_vain(&self, what: &str) {
        let before = rows(self.registry).await;
        for request in &self.kept {
            let question = NameQuestion::Request(request.clone());
            self.registry.answer(&question, days(40)).await;
            assert_eq!(rows(self.registry).await, before, "{what}: {:?}", request.action);
        }
    }
}

/// All the registry says of names and slugs.
async fn rows(registry: &Registry) -> Vec<(Vec<u8>, starling_relay_node::names::Holding, u64)> {
    let mut rows = registry.names(Space::Names, None, 100).await.unwrap();
    rows.extend(registry.names(Space::Slugs, None, 100).await.unwrap());
    rows
}

#[tokio::test]
async fn a_request_that_is_repeated_later_changes_nothing() {
    for post in [None, Some(0)] {
        let dir = tempfile::tempdir().unwrap();
        let registry = open(dir.path()).await;
        let bob = Person::new(2);
        let mut ada = Kept::new(&registry, 1, post, "starling-bird");
        let offer = |to| NameAction::Offer { to };
        for action in [
            NameAction::Claim,
            NameAction::Release,
            NameAction::Claim,
            offer(Some(bob.account)),
            offer(None),
            NameAction::Release,
            NameAction::Claim,
        ] {
            let answer = ada.does(action.clone()).await;
            assert!(
                matches!(answer, NameAnswer::Held(_) | NameAnswer::Free),
                "{answer:?}"
            );
            ada.is_repeated_in_vain(&format!("after {action:?}")).await;
        }
        // Not even with the offer that was withdrawn does he get it.
        let mut bob = Kept::new(&registry, 2, post, "starling-bird");
        assert_eq!(bob.does(NameAction::Claim).await, NameAnswer::Taken);
        ada.does(offer(Some(bob.person.account))).await;
        let taken = bob.does(NameAction::Claim).await;
        assert_eq!(holder(&registry, &taken), bob.person.account);
        ada.is_repeated_in_vain("after it went to Bob").await;
        // Nor does she have it back by what she once asked for, when he offers it to her.
        bob.does(offer(Some(ada.person.account))).await;
        ada.is_repeated_in_vain("while it is offered").await;
        let back = ada.does(NameAction::Claim).await;
        assert_eq!(holder(&registry, &back), ada.person.account);
        bob.is_repeated_in_vain("after it went back").await;
    }
}

#[tokio::test]
async fn a_claim_of_a_name_that_was_given_back_and_forgotten_cannot_be_repeated() {
    for post in [None, Some(0)] {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            rest: Duration::from_hours(24),
            ..Settings::default()
        };
        let registry = open_with(dir.path(), settings).await;
        let mut ada = Kept::new(&registry, 1, post, "starling-bird");
        ada.does(NameAction::Claim).await;
        ada.does(NameAction::Release).await;
        let periods = LeaderPeriods {
            ttl: Duration::from_millis(600),
            sweep_every: Duration::from_millis(20),
        };
        let leading = tokio::spawn(lead(
            registry.clone(),
            "a".to_owned(),
            periods,
            Monotonic::System,
            || days(5),
        ));
        let forgotten = async {
            while !rows(&registry).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), forgotten)
            .await
            .unwrap();
        leading.abort();
        ada.is_repeated_in_vain("after it was forgotten").await;
        // A claim of today succeeds, for this name and for one that nobody ever had.
        let mut eve = Kept::new(&registry, 3, post, "starling-bird");
        let given = eve.does(NameAction::Claim).await;
        assert_eq!(holder(&registry, &given), eve.person.account);
        let mut bob = Kept::new(&registry, 4, post, "blackbird");
        let given = bob.does(NameAction::Claim).await;
        assert_eq!(holder(&registry, &given), bob.person.account);
    }
}

/// With a new one for each name, every claim during a long sweep would be outdated.
#[tokio::test]
async fn one_mark_serves_for_all_that_is_forgotten_in_a_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        rest: Duration::ZERO,
        ..Settings::default()
    };
    let registry = open_with(dir.path(), settings).await;
    let mut owners =
        [(1, "swallow"), (2, "swift"), (3, "martin")].map(|(n, name)| Kept::new(&registry, n, None, name));
    for owner in &mut owners {
        owner.does(NameAction::Claim).await;
        owner.does(NameAction::Release).await;
    }
    let lock = registry
        .lock("leader", "a", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    let mut eve = Kept::new(&registry, 4, None, "blackbird");
    for (n, (key, holding, revision)) in rows(&registry).await.into_iter().enumerate() {
        assert!(registry.forget(&lock, &key, &holding, revision).await.unwrap());
        if n == 0 {
            // She gets the mark here.
            eve.does(NameAction::Claim).await;
            eve.does(NameAction::Release).await;
        }
    }
    let known = eve.known;
    eve.name = "nightingale";
    eve.does(NameAction::Claim).await;
    assert_eq!(eve.kept.len(), 4, "no request was outdated since: {known}");
    for owner in &owners {
        owner.is_repeated_in_vain("after all were forgotten").await;
    }
}
