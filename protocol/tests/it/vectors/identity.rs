//! Certificates, revocations, receipts, names.

use super::{entries, same};
use crate::by_hand::{Vector, public, sign};
use crate::cast::{self, ADA, BEGIN, BOB, LAPTOP, PHONE, REGISTRY, RELAY};

pub(crate) fn certificate() -> Vector {
    let fields = Vector::new("certificate")
        .fixed("account", public(ADA))
        .fixed("device", public(LAPTOP))
        .sized("name", "laptop")
        .varint("since", BEGIN.0);
    let signature = sign(ADA, "starling certificate v1", &fields.bytes());
    fields.fixed("signature", signature)
}

pub(crate) fn revocation() -> Vector {
    let fields = Vector::new("revocation")
        .fixed("account", public(ADA))
        .fixed("device", public(PHONE))
        .varint("next_seq", 300)
        .fixed("head", [0xee; 32])
        .varint("at", BEGIN.0 + 4_000);
    let signature = sign(ADA, "starling revocation v1", &fields.bytes());
    fields.fixed("signature", signature)
}

pub(crate) fn receipt() -> Vector {
    let fields = Vector::new("receipt")
        .fixed("relay", public(RELAY))
        .fixed("device", public(LAPTOP))
        .varint("next_seq", 200)
        .fixed("head", [0xdd; 32])
        .varint("at", BEGIN.0 + 5_000);
    let signature = sign(RELAY, "starling receipt v1", &fields.bytes());
    fields.fixed("signature", signature)
}

pub(crate) fn name_request() -> Vector {
    let asked = |vector: Vector| {
        vector
            .sized("name", "ada")
            .byte("post: none", 0)
            .byte("action: Offer", 2)
            .byte("to, there", 1)
            .fixed("to", public(BOB))
    };
    let signed = Vector::new("signed")
        .fixed("account", public(ADA))
        .fixed("device", public(LAPTOP));
    let signed = asked(signed).fixed("nonce", [0xcc; 16]).varint("known", 299);
    let signature = sign(LAPTOP, "starling name request v2", &signed.bytes());
    asked(Vector::new("name request").all("certificate", &certificate()))
        .fixed("nonce", [0xcc; 16])
        .varint("known", 299)
        .fixed("signature", signature)
        .varint("work", 300)
}

pub(crate) fn name_receipt() -> Vector {
    let fields = Vector::new("name receipt")
        .fixed("registry", public(REGISTRY))
        .sized("name", "ada")
        .byte("post: none", 0)
        .fixed("account", public(ADA))
        .varint("revision", 300)
        .varint("at", BEGIN.0 + 7_000);
    let signature = sign(REGISTRY, "starling name receipt v1", &fields.bytes());
    fields.fixed("signature", signature)
}

/// The header of the post travels, its id is signed.
pub(crate) fn slug_request() -> Vector {
    let (post, id) = entries::post();
    let rest = |vector: Vector| {
        vector
            .byte("action: Claim", 0)
            .fixed("nonce", [0xcd; 16])
            .varint("known", 300)
    };
    let signed = Vector::new("signed")
        .fixed("account", public(ADA))
        .fixed("device", public(LAPTOP))
        .sized("name", "hello")
        .byte("post: some", 1)
        .fixed("post", id);
    let signature = sign(LAPTOP, "starling name request v2", &rest(signed).bytes());
    let request = Vector::new("slug request")
        .all("certificate", &certificate())
        .sized("name", "hello")
        .byte("post: some", 1)
        .all("post", &post);
    rest(request).fixed("signature", signature).varint("work", 0)
}

pub(crate) fn slug_receipt() -> Vector {
    let fields = Vector::new("slug receipt")
        .fixed("registry", public(REGISTRY))
        .sized("name", "hello")
        .byte("post: some", 1)
        .fixed("post", [0x33; 32])
        .fixed("account", public(ADA))
        .varint("revision", 301)
        .varint("at", BEGIN.0 + 9_000);
    let signature = sign(REGISTRY, "starling name receipt v1", &fields.bytes());
    fields.fixed("signature", signature)
}

pub(crate) fn name_mark() -> Vector {
    let fields = Vector::new("name mark")
        .fixed("registry", public(REGISTRY))
        .varint("revision", 302);
    let signature = sign(REGISTRY, "starling name mark v1", &fields.bytes());
    fields.fixed("signature", signature)
}

pub(crate) fn all() -> Vec<Vector> {
    vec![
        same(certificate(), &cast::certificate()),
        same(revocation(), &cast::revocation()),
        same(receipt(), &cast::receipt()),
        same(name_request(), &cast::name_request()),
        same(name_receipt(), &cast::name_receipt()),
        same(slug_request(), &cast::slug_request()),
        same(slug_receipt(), &cast::slug_receipt()),
        same(name_mark(), &cast::name_mark()),
    ]
}
