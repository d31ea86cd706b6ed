//! People who ask for names.

use std::path::Path;
use std::time::Duration;

use native::clock::{ManualClock, Monotonic};
use native::store::{FjallDisk, Opener};
use protocol::entry::{Header, Position};
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest};
use protocol::{AccountId, DeviceId, KeyPair, Timestamp, VerifiedEntry};
use starling_relay_node::names::{EMBEDDED_FOLDER, Embedded, Registry, Settings, TxnStore};

/// Some day in 2026.
pub(crate) const TODAY: Timestamp = Timestamp(1_780_000_000_000);

pub(crate) fn days(days: u64) -> Timestamp {
    TODAY.plus(Duration::from_hours(24 * days))
}

pub(crate) async fn open(folder: &Path) -> Registry {
    open_with(folder, Settings::default()).await
}

pub(crate) async fn open_with(folder: &Path, settings: Settings) -> Registry {
    let store = TxnStore::Embedded(Embedded::open(folder).unwrap());
    Registry::open(store, settings, [7; 32]).await.unwrap()
}

/// A registry whose leases end by this clock, and its store.
pub(crate) async fn open_by(folder: &Path, clock: &ManualClock) -> (Registry, Embedded) {
    let disk = folder.join(EMBEDDED_FOLDER);
    let opener: Opener = Box::new(move || Ok(Box::new(FjallDisk::open(&disk, 8 << 20)?)));
    let embedded = Embedded::open_with(opener, Monotonic::Manual(clock.clone())).unwrap();
    let store = TxnStore::Embedded(embedded.clone());
    let registry = Registry::open(store, Settings::default(), [7; 32]).await;
    (registry.unwrap(), embedded)
}

/// A person with one device.
pub(crate) struct Person {
    pub(crate) account: AccountId,
    device: KeyPair,
    certificate: Certificate,
}

impl Person {
    pub(crate) fn new(n: u32) -> Self {
        let mut seed = [1; 32];
        seed[..4].copy_from_slice(&n.to_le_bytes());
        let account = KeyPair::from_seed(&seed);
        seed[31] = 2;
        let device = KeyPair::from_seed(&seed);
        let certificate =
            Certificate::issue(&account, DeviceId(device.public()), "a device".to_owned(), TODAY);
        Self {
            account: AccountId(account.public()),
            device,
            certificate,
        }
    }

    /// A request of a person who knows the latest revision of the registry.
    pub(crate) fn request(&self, name: &str, action: NameAction, nonce: u8) -> NameRequest {
        self.request_for(None, name, action, nonce, u64::MAX)
    }

    /// The header of this person's `n`th post.
    pub(crate) fn post(&self, n: u64) -> Header {
        let at = Position {
            seq: n + 1,
            ..Position::default()
        };
        let text = format!("post {n}");
        let body = Body::Post(Post { text, reply: None });
        VerifiedEntry::create(&self.device, at, self.account, TODAY, &body)
            .header()
            .clone()
    }

    pub(crate) fn request_for(
        &self,
        post: Option<Header>,
        name: &str,
        action: NameAction,
        nonce: u8,
        known: u64,
    ) -> NameRequest {
        let certificate = self.certificate.clone();
        NameRequest::issue(
            &self.device,
            certificate,
            name.to_owned(),
            post,
            action,
            [nonce; 16],
            known,
        )
    }

    /// Asks for a slug for this person's `n`th post.
    pub(crate) async fn claim_slug(
        &self,
        registry: &Registry,
        n: u64,
        slug: &str,
        at: Timestamp,
    ) -> NameAnswer {
        let request = self.request_for(Some(self.post(n)), slug, NameAction::Claim, 1, u64::MAX);
        registry.answer(&NameQuestion::Request(request), at).await
    }

    pub(crate) async fn release_slug(
        &self,
        registry: &Registry,
        n: u64,
        slug: &str,
        at: Timestamp,
    ) -> NameAnswer {
        let request = self.request_for(Some(self.post(n)), slug, NameAction::Release, 2, u64::MAX);
        registry.answer(&NameQuestion::Request(request), at).await
    }

    pub(crate) async fn claim(&self, registry: &Registry, name: &str, at: Timestamp) -> NameAnswer {
        let request = self.request(name, NameAction::Claim, 1);
        registry.answer(&NameQuestion::Request(request), at).await
    }

    pub(crate) async fn release(&self, registry: &Registry, name: &str, at: Timestamp) -> NameAnswer {
        let request = self.request(name, NameAction::Release, 2);
        registry.answer(&NameQuestion::Request(request), at).await
    }
}

/// Whose the answer says it is; fails unless the registry signed it.
#[track_caller]
pub(crate) fn holder(registry: &Registry, answer: &NameAnswer) -> AccountId {
    let NameAnswer::Held(receipt) = answer else {
        panic!("nobody has it: {answer:?}");
    };
    receipt.verify().unwrap();
    assert_eq!(receipt.registry, registry.id());
    receipt.account
}
