//! What is signed cannot be changed by a single bit, nor used for anything but what it was signed for.

use protocol::entry::{EntryError, Position};
use protocol::key::{self, Domain};
use protocol::kinds::{Certificate, Revocation};
use protocol::kinds::{Name, Post, Slug};
use protocol::messages::directory::SignedDescription;
use protocol::messages::membership::Vouch;
use protocol::messages::receipt::{Receipt, Withdrawal};
use protocol::names::{NameMark, NameReceipt, NameRequest};
use protocol::{
    AccountId, Body, DeviceId, Entry, EntryId, Kind, Signature, Timestamp, VerifiedEntry, codec, limits,
};

use crate::cast::{self, ADA, BEGIN, BOB, LAPTOP, PHONE};

/// Flips each bit of `bytes` in turn; none of the results may hold.
fn no_bit_may_flip(bytes: &[u8], holds: impl Fn(&[u8]) -> bool) {
    assert!(holds(bytes), "unchanged");
    let mut changed = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!holds(&changed), "bit {bit}");
        changed[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_certificate_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::certificate()), |bytes| {
        codec::decode::<Certificate>(bytes).is_ok_and(|certificate| certificate.verify().is_ok())
    });
}

#[test]
fn a_revocation_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::revocation()), |bytes| {
        codec::decode::<Revocation>(bytes).is_ok_and(|revocation| revocation.verify().is_ok())
    });
}

#[test]
fn a_receipt_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::receipt()), |bytes| {
        codec::decode::<Receipt>(bytes).is_ok_and(|receipt| receipt.verify().is_ok())
    });
}

#[test]
fn a_withdrawal_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::withdrawal()), |bytes| {
        codec::decode::<Withdrawal>(bytes).is_ok_and(|withdrawal| withdrawal.verify().is_ok())
    });
}

#[test]
fn a_vouch_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::vouch()), |bytes| {
        codec::decode::<Vouch>(bytes).is_ok_and(|vouch| vouch.verify().is_ok())
    });
}

#[test]
fn a_name_receipt_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::name_receipt()), |bytes| {
        codec::decode::<NameReceipt>(bytes).is_ok_and(|receipt| receipt.verify().is_ok())
    });
    no_bit_may_flip(&codec::encode(&cast::slug_receipt()), |bytes| {
        codec::decode::<NameReceipt>(bytes).is_ok_and(|receipt| receipt.verify().is_ok())
    });
}

#[test]
fn a_name_mark_holds_to_the_bit() {
    no_bit_may_flip(&codec::encode(&cast::name_mark()), |bytes| {
        codec::decode::<NameMark>(bytes).is_ok_and(|mark| mark.verify().is_ok())
    });
}

#[test]
fn a_slug_request_holds_to_the_bit_and_is_for_a_post_of_ones_own() {
    let request = cast::slug_request();
    no_bit_may_flip(&codec::encode(&request), |bytes| {
        codec::decode::<NameRequest>(bytes)
            .is_ok_and(|changed| changed.work == request.work && changed.verify().is_ok())
    });
    let about = |entry: usize, account| {
        let mut post = cast::feed()[entry].header().clone();
        post.account = account;
        let (name, action) = (request.name.clone(), request.action.clone());
        let (key, certificate) = (cast::key(cast::LAPTOP), cast::certificate());
        NameRequest::issue(
            &key,
            certificate,
            name,
            Some(post),
            action,
            [1; 16],
            request.known,
        )
        .verify()
    };
    let ada = cast::account(cast::ADA);
    assert!(about(2, ada).is_ok());
    assert!(
        about(2, cast::account(cast::BOB)).is_err(),
        "the post of another account"
    );
    assert!(about(1, ada).is_err(), "no post");
}

#[test]
fn a_receipt_serves_what_it_names() {
    let body = |body: Body| {
        let header = VerifiedEntry::create(
            &cast::key(cast::LAPTOP),
            Position {
                seq: 1,
                ..Position::default()
            },
            cast::account(cast::ADA),
            cast::BEGIN,
            &body,
        );
        Body::decode(header.header().kind, header.body())
    };
    let post = EntryId([0x33; 32]);
    let slug = |post, receipt: NameReceipt| {
        let receipt = Some(receipt);
        body(Body::Slug(Slug { post, receipt }))
    };
    assert!(slug(post, cast::slug_receipt()).is_some());
    assert_eq!(
        slug(EntryId([0x34; 32]), cast::slug_receipt()),
        None,
        "another post's"
    );
    assert_eq!(slug(post, cast::name_receipt()), None, "a name is no slug");
    let receipt = Some(cast::slug_receipt());
    assert_eq!(body(Body::Name(Name { receipt })), None, "and a slug no name");
}

#[test]
fn a_name_request_holds_to_the_bit_but_for_its_work() {
    let request = NameRequest {
        work: 0,
        ..cast::name_request()
    };
    let bytes = codec::encode(&request);
    no_bit_may_flip(&bytes, |bytes| {
        codec::decode::<NameRequest>(bytes)
            .is_ok_and(|changed| changed.work == request.work && changed.verify().is_ok())
    });
    let mut worked = request.clone();
    while !worked.seek_work(12, 100) {}
    assert!(worked.work_bits() >= 12 && worked.verify().is_ok());
    let other = NameRequest::issue(
        &cast::key(cast::LAPTOP),
        cast::certificate(),
        request.name,
        None,
        request.action,
        [1; 16],
        request.known,
    );
    let stolen = NameRequest {
        work: worked.work,
        ..other
    };
    assert!(
        stolen.work_bits() < 12,
        "work done for one request serves no other"
    );
}

#[test]
fn entries_of_each_kind_hold_to_the_bit() {
    for verified in cast::feed() {
        no_bit_may_flip(&codec::encode(verified.entry()), |bytes| {
            codec::decode::<Entry>(bytes).is_ok_and(|entry| entry.verify().is_ok())
        });
    }
}

#[test]
fn a_signature_serves_one_purpose() {
    let domains = [
        Domain::Entry,
        Domain::Certificate,
        Domain::Revocation,
        Domain::Receipt,
        Domain::Withdrawal,
        Domain::Link,
        Domain::Signal,
        Domain::Introduction,
        Domain::Description,
        Domain::Vouch,
        Domain::NameRequest,
        Domain::NameReceipt,
        Domain::NameMark,
    ];
    for signed in domains {
        let signature = cast::key(ADA).sign(signed, &[b"some", b"thing"]);
        for checked in domains {
            let held = key::verify(&cast::account(ADA).0, checked, &[b"something"], &signature);
            assert_eq!(held.is_ok(), signed == checked);
        }
        for other in domains {
            let prefix = other.tag().starts_with(signed.tag());
            assert_eq!(prefix, signed == other, "no tag begins another");
        }
    }
}

#[test]
fn weak_keys_and_shifted_signatures_are_refused() {
    // The neutral element: every signature with R = s·B would verify under it without the strict rule.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for weak in [neutral, [0; 32]] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&neutral);
        let signature = Signature::from_bytes(&bytes);
        assert!(key::verify(&weak, Domain::Entry, &[b"x"], &signature).is_err());
    }
    // The same signature with the group order added to s.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let signature = cast::key(ADA).sign(Domain::Entry, &[b"x"]);
    let mut bytes = signature.to_bytes();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    let public = cast::account(ADA).0;
    assert!(key::verify(&public, Domain::Entry, &[b"x"], &signature).is_ok());
    let shifted = Signature::from_bytes(&bytes);
    assert!(key::verify(&public, Domain::Entry, &[b"x"], &shifted).is_err());
}

/// An entry with a header changed at will and signed by the laptop all the same.
fn tampered(seq: usize, change: impl Fn(&mut Entry)) -> Result<VerifiedEntry, EntryError> {
    let mut entry = cast::feed()[seq].entry().clone();
    change(&mut entry);
    let id = entry.signed.header.id();
    entry.signed.signature = cast::key(LAPTOP).sign(Domain::Entry, &[&id.0]);
    entry.verify()
}

fn with_body(entry: &mut Entry, body: Vec<u8>) {
    entry.signed.header.body_len = body.len() as u32;
    entry.signed.header.body_hash = *blake3::hash(&body).as_bytes();
    entry.body = body;
}

#[test]
fn a_feed_begins_with_a_certificate_of_its_own_device_and_account() {
    assert!(tampered(0, |_| {}).is_ok());
    assert_eq!(tampered(2, |e| e.signed.header.seq = 0), Err(EntryError::Order));
    assert_eq!(tampered(0, |e| e.signed.header.seq = 1), Err(EntryError::Order));
    assert_eq!(
        tampered(0, |e| e.signed.header.prev = EntryId([1; 32])),
        Err(EntryError::Order)
    );
    assert_eq!(
        tampered(2, |e| e.signed.header.prev = EntryId([0; 32])),
        Err(EntryError::Order)
    );
    assert_eq!(
        tampered(2, |e| e.signed.header.kind = Kind::CERTIFICATE),
        Err(EntryError::Order)
    );
    assert_eq!(
        tampered(0, |e| e.signed.header.account =
            AccountId(cast::key(BOB).public())),
        Err(EntryError::Certificate)
    );
    let other_device = Certificate::issue(&cast::key(ADA), cast::device(PHONE), "phone".into(), BEGIN);
    let by_device = Certificate {
        account: cast::account(ADA),
        ..Certificate::issue(
            &cast::key(LAPTOP),
            cast::device(LAPTOP),
            "self-made".into(),
            BEGIN,
        )
    };
    let long_name = Certificate::issue(
        &cast::key(ADA),
        cast::device(LAPTOP),
        "n".repeat(limits::DEVICE_NAME_CHARS_MAX + 1),
        BEGIN,
    );
    for certificate in [other_device, by_device, long_name] {
        assert_eq!(
            tampered(0, |e| with_body(e, codec::encode(&certificate))),
            Err(EntryError::Certificate),
            "{}",
            certificate.name
        );
    }
}

#[test]
fn a_body_fits_its_header() {
    assert_eq!(tampered(2, |e| e.body.push(0)).map(|_| ()), Err(EntryError::Body));
    assert_eq!(tampered(2, |e| e.body[0] ^= 1).map(|_| ()), Err(EntryError::Body));
    assert!(tampered(2, |e| with_body(e, vec![7; limits::BODY_LEN_MAX])).is_ok());
    assert_eq!(
        tampered(2, |e| with_body(e, vec![7; limits::BODY_LEN_MAX + 1])),
        Err(EntryError::TooLong)
    );
    assert_eq!(
        tampered(2, |e| e.signed.header.version = 2),
        Err(EntryError::Version)
    );
}

#[test]
fn another_device_cannot_sign_into_a_feed() {
    let mut entry = cast::feed()[2].entry().clone();
    let id = entry.signed.header.id();
    entry.signed.signature = cast::key(PHONE).sign(Domain::Entry, &[&id.0]);
    assert_eq!(entry.verify(), Err(EntryError::Signature));
}

#[test]
fn bodies_may_be_extended_but_not_exceed_their_limits() {
    let post = |text: String| codec::encode(&Post { text, reply: None });
    let mut longer = post("Hello".into());
    longer.extend(b"what a later version adds");
    assert!(Body::decode(Kind::POST, &longer).is_some());
    assert!(Body::decode(Kind::POST, &post("é".repeat(limits::POST_CHARS_MAX))).is_some());
    assert_eq!(
        Body::decode(Kind::POST, &post("é".repeat(limits::POST_CHARS_MAX + 1))),
        None
    );
    assert_eq!(Body::decode(Kind::POST, &post(String::new())), None);

    let profile = |name: usize, bio: usize| {
        codec::encode(&protocol::kinds::Profile {
            name: "n".repeat(name),
            bio: "b".repeat(bio),
        })
    };
    let fits = |bytes: &[u8]| Body::decode(Kind::PROFILE, bytes).is_some();
    assert!(fits(&profile(limits::NAME_CHARS_MAX, limits::BIO_CHARS_MAX)));
    assert!(!fits(&profile(limits::NAME_CHARS_MAX + 1, 0)));
    assert!(!fits(&profile(0, limits::BIO_CHARS_MAX + 1)));

    let mut revocation = cast::revocation();
    revocation.next_seq += 1;
    assert_eq!(Body::decode(Kind::REVOCATION, &codec::encode(&revocation)), None);
}

#[test]
fn ids_depend_on_the_header_alone() {
    let at = Position {
        seq: 1,
        prev: EntryId([9; 32]),
        lamport: 1,
    };
    let body = Body::Post(Post {
        text: "Hi".into(),
        reply: None,
    });
    let create = || VerifiedEntry::create(&cast::key(LAPTOP), at, cast::account(ADA), Timestamp(1), &body);
    let (one, other) = (create(), create());
    assert_eq!(one, other, "the same in, the same out");
    assert_eq!(one.id(), one.header().id());
    assert_eq!(one.header().device, DeviceId(cast::key(LAPTOP).public()));
    assert_eq!(one.entry_ref().id, one.id());
}

#[test]
fn a_description_holds_to_the_bit_and_is_the_relays_own() {
    let description = cast::description();
    description.verify().unwrap();
    let bytes = codec::encode(&description);
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let holds =
            codec::decode::<SignedDescription>(&changed).is_ok_and(|changed| changed.verify().is_ok());
        assert!(!holds, "bit {at}");
    }
    let anothers = description.description.clone().sign(&cast::key(LAPTOP));
    assert_eq!(
        anothers.description.relay,
        cast::peer(LAPTOP),
        "nobody describes another"
    );
}

#[test]
fn an_introduction_holds_to_the_bit_and_for_its_moment() {
    let introduction = cast::introduction();
    introduction.verify().unwrap();
    let on_its_way = |hops| protocol::messages::introduction::Introduction {
        hops,
        ..introduction.clone()
    };
    on_its_way(0).verify().unwrap();
    for at in 0..introduction.payload.len() * 8 {
        let mut changed = introduction.clone();
        changed.payload[at / 8] ^= 1 << (at % 8);
        assert!(changed.verify().is_err());
    }
    let mut changed = introduction.clone();
    core::mem::swap(&mut changed.from, &mut changed.to);
    assert!(changed.verify().is_err());
    let mut changed = introduction.clone();
    changed.at.0 += 1;
    assert!(changed.verify().is_err());
    let minutes = |n: u64| Timestamp(cast::BEGIN.0 + n * 60_000);
    assert!(introduction.is_fresh(minutes(9)) && !introduction.is_fresh(minutes(11)));
    assert!(!introduction.is_fresh(Timestamp(cast::BEGIN.0 - 11 * 60_000)));
}
