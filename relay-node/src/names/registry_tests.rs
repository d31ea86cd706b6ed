//! A store that does what it is asked and does not say so.

use std::time::Duration;

use protocol::entry::{Header, Position};
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::names::{NameAction, NameAnswer, NameFault, NameQuestion, NameRequest};
use protocol::{AccountId, DeviceId, KeyPair, Timestamp, VerifiedEntry, codec};
use tempfile::TempDir;

use super::super::Embedded;
use super::super::schema::{Count, Holding, Owner};
use super::super::store::EMBEDDED_FOLDER as FOLDER;
use super::{Registry, Settings, Txn, TxnResult, TxnStore, put};
use native::clock::{ManualClock, Monotonic};
use native::store::faulty_disk::{BROKEN, FULL, Fault, Faults, FaultyDisk};

const TODAY: Timestamp = Timestamp(1_780_000_000_000);
/// At least the longest pause of the store after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

struct Fixture {
    clock: ManualClock,
    faults: Faults,
    store: Embedded,
    registry: Registry,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let opener = FaultyDisk::opener(folder.path().join(FOLDER), &faults);
        let clock = ManualClock::new();
        let store = Embedded::open_with(opener, Monotonic::Manual(clock.clone())).unwrap();
        let settings = Settings::default();
        let registry = Registry::open(TxnStore::Embedded(store.clone()), settings, [7; 32]);
        Self {
            clock,
            faults,
            registry: registry.await.unwrap(),
            store,
            _folder: folder,
        }
    }

    /// The last change's.
    async fn revision(&self) -> u64 {
        self.store.copy().await.unwrap().revision
    }

    /// After a failure the store refuses changes for a pause, which is over then.
    async fn takes_changes_again(&self) {
        let note = Txn {
            changes: vec![put(b"note".to_vec(), Vec::new())],
            ..Txn::default()
        };
        self.clock.advance(RETRY_MAX);
        let store = TxnStore::Embedded(self.store.clone());
        assert!(matches!(store.txn(note).await, Ok(TxnResult::Done(_))));
    }

    async fn answer(&self, request: &NameRequest) -> NameAnswer {
        let question = NameQuestion::Request(request.clone());
        let answer = self.registry.answer(&question, TODAY);
        tokio::time::timeout(RETRY_MAX, answer).await.unwrap()
    }

    /// Does a request whose answer is lost after it was done.
    async fn answer_without_being_told(&self, request: &NameRequest, kind: std::io::ErrorKind) -> NameAnswer {
        self.takes_changes_again().await;
        let before = self.revision().await;
        self.faults.set(Fault::Answer(kind));
        let answer = self.answer(request).await;
        assert_eq!(self.faults.now(), None, "the answer was lost");
        assert_eq!(
            self.revision().await,
            before + 1,
            "it was done once: {:?}",
            request.action
        );
        if let NameAnswer::Held(receipt) = &answer {
            assert_eq!(receipt.revision, before + 1, "the receipt is of what was done");
        }
        answer
    }
}

struct Person {
    account: AccountId,
    device: KeyPair,
    certificate: Certificate,
}

impl Person {
    fn new(n: u8) -> Self {
        let (account, device) = (KeyPair::from_seed(&[n; 32]), KeyPair::from_seed(&[n + 100; 32]));
        let id = DeviceId(device.public());
        Self {
            account: AccountId(account.public()),
            certificate: Certificate::issue(&account, id, "a device".to_owned(), TODAY),
            device,
        }
    }

    fn post(&self) -> Header {
        let text = "a post".to_owned();
        let body = Body::Post(Post { text, reply: None });
        let at = Position {
            seq: 1,
            ..Position::default()
        };
        VerifiedEntry::create(&self.device, at, self.account, TODAY, &body)
            .header()
            .clone()
    }

    /// Asks for something of today, with a nonce of its own.
    fn asks(&self, slug: bool, action: NameAction, nonce: u8) -> NameRequest {
        self.asks_for("starling-bird", slug, action, nonce)
    }

    fn asks_for(&self, name: &str, slug: bool, action: NameAction, nonce: u8) -> NameRequest {
        let post = slug.then(|| self.post());
        let certificate = self.certificate.clone();
        let (name, nonce) = (name.to_owned(), [nonce; 16]);
        NameRequest::issue(&self.device, certificate, name, post, action, nonce, u64::MAX)
    }
}

#[track_caller]
fn held_by(answer: &NameAnswer) -> AccountId {
    match answer {
        NameAnswer::Held(receipt) => receipt.account,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_registry_on_a_full_disk_is_opened_and_looked_up_in() {
    let fixture = Fixture::new().await;
    let request = Person::new(1).asks(false, NameAction::Claim, 1);
    let held = fixture.answer(&request).await;
    fixture.faults.set(Fault::Writes(FULL));
    // It has noticed.
    let refused = fixture
        .answer(&Person::new(2).asks(true, NameAction::Claim, 2))
        .await;
    assert_eq!(refused, NameAnswer::Unavailable);
    let store = TxnStore::Embedded(fixture.store.clone());
    let opened = Registry::open(store, Settings::default(), [8; 32]).await.unwrap();
    assert_eq!(opened.id(), fixture.registry.id());
    assert_eq!(opened.reach().await, Ok(()));
    assert_eq!(opened.lookup(&request.name).await.unwrap(), held);
}

#[tokio::test]
async fn what_was_done_without_being_told_is_done_once_and_answered_as_it_was_done() {
    for (slug, kind) in [(false, BROKEN), (true, BROKEN), (false, FULL)] {
        let fixture = Fixture::new().await;
        let (ada, bob) = (Person::new(1), Person::new(2));
        let offer = NameAction::Offer {
            to: Some(bob.account),
        };
        for (nonce, action) in [
            (1, NameAction::Claim),
            (2, NameAction::Release),
            (3, NameAction::Claim),
            (4, offer),
        ] {
            let released = action == NameAction::Release;
            let request = ada.asks(slug, action, nonce);
            let answer = fixture.answer_without_being_told(&request, kind).await;
            match released {
                true => assert_eq!(answer, NameAnswer::Free),
                false => assert_eq!(held_by(&answer), ada.account),
            }
            assert_eq!(
                fixture.answer(&request).await,
                answer,
                "asked again: the same word"
            );
        }
        let request = bob.asks(slug, NameAction::Claim, 5);
        let answer = fixture.answer_without_being_told(&request, kind).await;
        assert_eq!(held_by(&answer), bob.account);
        // Nobody else gets it for that.
        let rival = Person::new(3).asks(slug, NameAction::Claim, 6);
        assert_eq!(fixture.answer(&rival).await, NameAnswer::Taken);
    }
}

#[tokio::test]
async fn a_name_that_was_held_before_it_was_reserved_stays_with_its_owner() {
    let reserved = NameAnswer::Fault(NameFault::Reserved);
    for slug in [false, true] {
        let fixture = Fixture::new().await;
        let (ada, bob) = (Person::new(1), Person::new(2));
        let lookup = NameQuestion::Lookup {
            slug,
            name: "messages".to_owned(),
        };
        assert_eq!(fixture.registry.answer(&lookup, TODAY).await, reserved);
        let claim = ada.asks_for("messages", slug, NameAction::Claim, 1);
        assert_eq!(fixture.answer(&claim).await, reserved, "reserved from now on");

        // A row as the registry wrote it when the name could still be claimed.
        let owner = Owner::asking(&claim);
        let [key, _] = owner.space().keys("messages");
        let holding = Holding {
            name: "messages".to_owned(),
            account: ada.account,
            post: owner.post,
            nonce: [9; 16],
            at: TODAY,
            offered: Some(bob.account),
            released: false,
        };
        let mut earlier = Txn {
            changes: vec![put(key.clone(), codec::encode(&holding)), put(owner.key(), key)],
            ..Txn::default()
        };
        if slug {
            Count::new(&ada.account, None).unwrap().change_to(1, &mut earlier);
        }
        let store = TxnStore::Embedded(fixture.store.clone());
        store.txn(earlier).await.unwrap();

        let found = fixture.registry.answer(&lookup, TODAY).await;
        assert_eq!(held_by(&found), ada.account);
        assert_eq!(
            held_by(&fixture.answer(&claim).await),
            ada.account,
            "their claim is confirmed"
        );
        let offer = NameAction::Offer {
            to: Some(bob.account),
        };
        let offer = ada.asks_for("messages", slug, offer, 2);
        assert_eq!(fixture.answer(&offer).await, reserved, "it is not handed on");
        let taken = bob.asks_for("messages", slug, NameAction::Claim, 3);
        assert_eq!(fixture.answer(&taken).await, reserved, "an earlier offer is void");
        assert_eq!(
            held_by(&fixture.registry.answer(&lookup, TODAY).await),
            ada.account
        );

        let release = ada.asks_for("messages", slug, NameAction::Release, 4);
        assert_eq!(fixture.answer(&release).await, NameAnswer::Free);
        assert_eq!(fixture.answer(&release).await, NameAnswer::Free, "repeated");
        let again = ada.asks_for("messages", slug, NameAction::Claim, 5);
        assert_eq!(fixture.answer(&again).await, reserved, "released, it is nobody's");
        assert_eq!(fixture.registry.answer(&lookup, TODAY).await, reserved);
    }
}

/// Fills the row of a name as programs did for which names of one skeleton were one name.
async fn given_under_the_old_rule(fixture: &Fixture, name: &str, person: &Person) {
    let holding = Holding {
        name: name.to_owned(),
        account: person.account,
        post: None,
        nonce: [9; 16],
        at: TODAY,
        offered: None,
        released: false,
    };
    let owner = holding.owner();
    let key = [b"n/", super::validation::skeleton(name).as_bytes()].concat();
    let txn = Txn {
        changes: vec![put(key.clone(), codec::encode(&holding)), put(owner.key(), key)],
        ..Txn::default()
    };
    let store = TxnStore::Embedded(fixture.store.clone());
    assert!(matches!(store.txn(txn).await, Ok(TxnResult::Done(_))));
}

#[tokio::test]
async fn plain_letters_are_told_apart_beside_names_given_under_the_old_rule() {
    for (old, new, guarded) in [
        ("modem", "modern", "m0dern"),
        ("modern", "modem", "m0dem"),
        ("corn", "com", "c0m"),
        ("com", "corn", "c0rn"),
    ] {
        let fixture = Fixture::new().await;
        let (ada, bob, eve) = (Person::new(1), Person::new(2), Person::new(3));
        given_under_the_old_rule(&fixture, old, &ada).await;
        let claim = |person: &Person, name| person.asks_for(name, false, NameAction::Claim, 1);
        assert_eq!(
            fixture.registry.lookup(new).await.unwrap(),
            NameAnswer::Free,
            "{new}"
        );
        let bobs = fixture.answer(&claim(&bob, new)).await;
        assert_eq!(held_by(&bobs), bob.account, "{new}");
        let found = |name| fixture.registry.lookup(name);
        assert_eq!(held_by(&found(old).await.unwrap()), ada.account);
        assert_eq!(held_by(&found(new).await.unwrap()), bob.account);
        // Both are taken, and so is what looks like either.
        assert_eq!(fixture.answer(&claim(&eve, old)).await, NameAnswer::Taken);
        assert_eq!(fixture.answer(&claim(&eve, new)).await, NameAnswer::Taken);
        let looks_like = NameAnswer::LooksLike { name: new.to_owned() };
        assert_eq!(
            fixture.answer(&claim(&eve, guarded)).await,
            looks_like,
            "{guarded}"
        );
        let rows = TxnStore::Embedded(fixture.store.clone());
        let all = rows.scan(b"", None, 99).await.unwrap();
        assert_eq!(super::super::check_rows(&all), Ok(()));
    }
}

/// The first row of a skeleton goes, and the second remains the only one of its look.
#[tokio::test]
async fn a_name_with_a_row_of_its_own_outlives_the_first_of_its_skeleton() {
    let fixture = Fixture::new().await;
    let (ada, bob, eve) = (Person::new(1), Person::new(2), Person::new(3));
    let asks = |person: &Person, name, action, nonce| person.asks_for(name, false, action, nonce);
    fixture.answer(&asks(&ada, "modem", NameAction::Claim, 1)).await;
    fixture.answer(&asks(&bob, "modern", NameAction::Claim, 1)).await;
    let release = asks(&ada, "modem", NameAction::Release, 2);
    assert_eq!(fixture.answer(&release).await, NameAnswer::Free);
    // Its row rests and is deleted.
    let lock = fixture
        .registry
        .lock("sweep", "a", RETRY_MAX)
        .await
        .unwrap()
        .unwrap();
    let names = fixture
        .registry
        .names(super::Space::Names, None, 9)
        .await
        .unwrap();
    assert_eq!(names.len(), 2);
    let (key, holding, revision) = names.iter().find(|(_, holding, _)| holding.released).unwrap();
    let forgotten = fixture.registry.forget(&lock, key, holding, *revision).await;
    assert_eq!(forgotten, Ok(true));
    let claim = asks(&eve, "modern", NameAction::Claim, 1);
    assert_eq!(fixture.answer(&claim).await, NameAnswer::Taken);
    let eves = fixture.answer(&asks(&eve, "modem", NameAction::Claim, 2)).await;
    assert_eq!(held_by(&eves), eve.account);
    // Its owner passes it on and gives it back where it is.
    let to = Some(ada.account);
    let offer = asks(&bob, "modern", NameAction::Offer { to }, 3);
    assert_eq!(held_by(&fixture.answer(&offer).await), bob.account);
    let adas = fixture.answer(&asks(&ada, "modern", NameAction::Claim, 4)).await;
    assert_eq!(held_by(&adas), ada.account);
    let release = asks(&ada, "modern", NameAction::Release, 5);
    assert_eq!(fixture.answer(&release).await, NameAnswer::Free);
    let modem = fixture.registry.lookup("modem").await.unwrap();
    assert_eq!(held_by(&modem), eve.account);
}
