//! Certificates, revocations, receipts.

use super::same;
use crate::by_hand::{Vector, public, sign};
use crate::cast::{self, ADA, BEGIN, LAPTOP, PHONE, RELAY};

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

pub(crate) fn all() -> Vec<Vector> {
    vec![
        same(certificate(), &cast::certificate()),
        same(revocation(), &cast::revocation()),
        same(receipt(), &cast::receipt()),
    ]
}
