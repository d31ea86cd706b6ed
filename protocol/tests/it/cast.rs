//! The fixed people, devices and times of the tests. Every secret is one byte repeated 32 times.

use protocol::Body;
use protocol::entry::Position;
use protocol::kinds::{Certificate, Revocation};
use protocol::kinds::{Follow, Name, Post, Profile, ReplyTo, Slug};
use protocol::link::handshake::{Binding, Hello, MAGIC, VERSION_MAX, VERSION_MIN, feature};
use protocol::messages::directory::{Description, Location, SignedDescription, role};
use protocol::messages::introduction::Introduction;
use protocol::messages::membership::{Stance, Vouch};
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::names::{NameAction, NameMark, NameReceipt, NameRequest, RegistryId};
use protocol::{AccountId, DeviceId, EntryId, EntryRef, KeyPair, PeerId, Timestamp, VerifiedEntry};

/// Ada's account.
pub(crate) const ADA: u8 = 1;
/// Ada's laptop.
pub(crate) const LAPTOP: u8 = 2;
/// Ada's phone.
pub(crate) const PHONE: u8 = 3;
/// Bob's account.
pub(crate) const BOB: u8 = 4;
pub(crate) const RELAY: u8 = 5;
/// A registry of names.
pub(crate) const REGISTRY: u8 = 6;

/// When Ada's feed begins.
pub(crate) const BEGIN: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) const DTLS: Binding = Binding::Dtls {
    offerer: [0xaa; 32],
    answerer: [0xbb; 32],
};

pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32])
}

pub(crate) fn account(seed: u8) -> AccountId {
    AccountId(key(seed).public())
}

pub(crate) fn device(seed: u8) -> DeviceId {
    DeviceId(key(seed).public())
}

pub(crate) fn peer(seed: u8) -> PeerId {
    PeerId(key(seed).public())
}

/// The relay's statement that another one is a member.
pub(crate) fn vouch() -> Vouch {
    Vouch::issue(&key(RELAY), PeerId([7; 32]), Stance::Invites, BEGIN)
}

pub(crate) fn certificate() -> Certificate {
    Certificate::issue(&key(ADA), device(LAPTOP), "laptop".into(), BEGIN)
}

pub(crate) fn revocation() -> Revocation {
    Revocation::issue(
        &key(ADA),
        device(PHONE),
        300,
        EntryId([0xee; 32]),
        Timestamp(BEGIN.0 + 4_000),
    )
}

pub(crate) fn receipt() -> Receipt {
    Receipt::issue(
        &key(RELAY),
        device(LAPTOP),
        200,
        EntryId([0xdd; 32]),
        Timestamp(BEGIN.0 + 5_000),
    )
}

pub(crate) fn withdrawal() -> Withdrawal {
    let at = Timestamp(BEGIN.0 + 6_000);
    Withdrawal::issue(&key(RELAY), device(LAPTOP), 0, at, Reason::QUOTA)
}

pub(crate) fn name_request() -> NameRequest {
    let action = NameAction::Offer {
        to: Some(account(BOB)),
    };
    let (name, known) = ("ada".to_owned(), 299);
    NameRequest {
        work: 300,
        ..NameRequest::issue(&key(LAPTOP), certificate(), name, None, action, [0xcc; 16], known)
    }
}

/// Ada wants a slug for her first post.
pub(crate) fn slug_request() -> NameRequest {
    let known = 300;
    let post = Some(feed()[2].header().clone());
    let (name, action) = ("hello".to_owned(), NameAction::Claim);
    NameRequest::issue(&key(LAPTOP), certificate(), name, post, action, [0xcd; 16], known)
}

pub(crate) fn name_receipt() -> NameReceipt {
    let at = Timestamp(BEGIN.0 + 7_000);
    NameReceipt::issue(&key(REGISTRY), "ada".into(), None, account(ADA), 300, at)
}

pub(crate) fn slug_receipt() -> NameReceipt {
    let at = Timestamp(BEGIN.0 + 9_000);
    let post = Some(EntryId([0x33; 32]));
    NameReceipt::issue(&key(REGISTRY), "hello".into(), post, account(ADA), 301, at)
}

pub(crate) fn name_mark() -> NameMark {
    NameMark::issue(&key(REGISTRY), 302)
}

pub(crate) fn introduction() -> Introduction {
    Introduction::issue(
        &key(LAPTOP),
        PeerId(key(PHONE).public()),
        BEGIN,
        b"hello".to_vec(),
        7,
    )
}

pub(crate) fn description() -> SignedDescription {
    let description = Description {
        relay: peer(RELAY),
        heartbeat: BEGIN.0 + 7,
        url: "https://relay.example".into(),
        roles: role::WORKER | role::SIGNAL,
        zone: "cellar".into(),
        location: Some(Location {
            latitude: 5_250,
            longitude: -1_340,
        }),
        capacity: 100,
        revision: 70_000,
        load: 250,
        response_us: 900,
        errors_ppm: 3,
        registry: Some(RegistryId(key(REGISTRY).public())),
    };
    description.sign(&key(RELAY))
}

/// What Ada's laptop says, in order; one of each kind, and an answer.
pub(crate) fn bodies() -> Vec<Body> {
    let thread = |byte| EntryRef {
        account: account(BOB),
        id: EntryId([byte; 32]),
    };
    vec![
        Body::Certificate(certificate()),
        Body::Profile(Profile {
            name: "Ada".into(),
            bio: "Notes on engines ⚙".into(),
        }),
        Body::Post(Post {
            text: "Hello, starlings! 🐦".into(),
            reply: None,
        }),
        Body::Post(Post {
            text: "Yes.".into(),
            reply: Some(ReplyTo {
                root: thread(0x11),
                parent: thread(0x22),
            }),
        }),
        Body::Follow(Follow {
            account: account(BOB),
            on: true,
        }),
        Body::Revocation(revocation()),
        Body::Name(Name {
            receipt: Some(name_receipt()),
        }),
        Body::Slug(Slug {
            post: EntryId([0x33; 32]),
            receipt: Some(slug_receipt()),
        }),
    ]
}

/// Ada's feed.
pub(crate) fn feed() -> Vec<VerifiedEntry> {
    let mut feed: Vec<VerifiedEntry> = Vec::new();
    for (seq, body) in (0..).zip(bodies()) {
        let at = Position {
            seq,
            prev: feed.last().map_or(EntryId::default(), VerifiedEntry::id),
            lamport: 100 + seq * 50,
        };
        feed.push(VerifiedEntry::create(
            &key(LAPTOP),
            at,
            account(ADA),
            Timestamp(BEGIN.0 + seq * 1_000),
            &body,
        ));
    }
    feed
}

/// What Ada's laptop says first on a link.
pub(crate) fn laptop_hello() -> Hello {
    Hello {
        magic: MAGIC,
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: 0,
        peer: peer(LAPTOP),
        nonce: [0xa1; 32],
        certificate: Some(certificate()),
        wall: BEGIN,
    }
}

/// What the relay says first on a link.
pub(crate) fn relay_hello() -> Hello {
    Hello {
        magic: MAGIC,
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: feature::RELAY,
        peer: peer(RELAY),
        nonce: [0xb2; 32],
        certificate: None,
        wall: Timestamp(BEGIN.0 + 7),
    }
}
