//! Ada's feed: an entry of each kind, and one of a kind nobody knows yet.

use protocol::kinds::Body;
use protocol::{Entry, EntryId, Kind};

use super::{identity, same};
use crate::by_hand::{Vector, blake3, public, sign};
use crate::cast::{self, ADA, BEGIN, BOB, LAPTOP};

const NAMES: [&str; 8] = [
    "entry: certificate",
    "entry: profile",
    "entry: post",
    "entry: post that answers",
    "entry: follow",
    "entry: revocation",
    "entry: name",
    "entry: slug",
];

/// The bodies, with their kinds.
fn bodies() -> [(u64, Vector); 8] {
    let body = || Vector::new("body");
    [
        (0, identity::certificate()),
        (1, body().sized("name", "Ada").sized("bio", "Notes on engines ⚙")),
        (
            2,
            body()
                .sized("text", "Hello, starlings! 🐦")
                .byte("reply: none", 0),
        ),
        (
            2,
            body()
                .sized("text", "Yes.")
                .byte("reply: some", 1)
                .fixed("reply.root.account", public(BOB))
                .fixed("reply.root.id", [0x11; 32])
                .fixed("reply.parent.account", public(BOB))
                .fixed("reply.parent.id", [0x22; 32]),
        ),
        (3, body().fixed("account", public(BOB)).byte("on", 1)),
        (4, identity::revocation()),
        (
            5,
            body()
                .byte("receipt, there", 1)
                .all("receipt", &identity::name_receipt()),
        ),
        (
            6,
            body()
                .fixed("post", [0x33; 32])
                .byte("receipt, there", 1)
                .all("receipt", &identity::slug_receipt()),
        ),
    ]
}

/// A header and its id.
fn header(seq: u64, prev: [u8; 32], kind: u64, body: &[u8]) -> (Vector, [u8; 32]) {
    let header = Vector::new("header")
        .byte("version", 1)
        .fixed("device", public(LAPTOP))
        .fixed("account", public(ADA))
        .varint("seq", seq)
        .fixed("prev", prev)
        .varint("lamport", 100 + seq * 50)
        .varint("timestamp", BEGIN.0 + seq * 1_000)
        .varint("kind", kind)
        .fixed("body_hash", blake3(body))
        .varint("body_len", body.len() as u64);
    let id = blake3(&header.bytes());
    (header, id)
}

/// Header and signature.
pub(crate) fn signed(header: &Vector, id: [u8; 32]) -> Vector {
    Vector::new("signed")
        .all("header", header)
        .fixed("signature", sign(LAPTOP, "starling entry v1", &id))
}

/// The header of Ada's first post, and its id.
pub(crate) fn post() -> (Vector, [u8; 32]) {
    let (_, prev) = feed().swap_remove(1);
    let (_, body) = &bodies()[2];
    header(2, prev, 2, &body.bytes())
}

/// An entry of the feed.
pub(crate) fn entry(seq: usize) -> Vector {
    feed().swap_remove(seq).0
}

/// The header of another post with the number 2, signed by the same device: a fork.
pub(crate) fn forked() -> Vector {
    let (_, prev) = feed().swap_remove(1);
    let (header, id) = header(2, prev, 2, b"\x02No\x00");
    signed(&header, id)
}

fn feed() -> Vec<(Vector, [u8; 32])> {
    let mut feed = Vec::new();
    let mut prev = [0; 32];
    for (seq, (name, (kind, body))) in (0..).zip(NAMES.into_iter().zip(bodies())) {
        let (header, id) = header(seq, prev, kind, &body.bytes());
        let vector = Vector::new(name)
            .all("signed", &signed(&header, id))
            .varint("body, length", body.bytes().len() as u64)
            .all("body", &body);
        feed.push((vector, id));
        prev = id;
    }
    feed
}

pub(crate) fn all() -> Vec<Vector> {
    let by_hand = feed();
    let mut vectors = Vec::new();
    for ((vector, id), verified) in by_hand.iter().zip(cast::feed()) {
        assert_eq!(EntryId(*id), verified.id(), "{}", vector.name);
        let entry = verified.entry().clone();
        assert_eq!(entry.clone().verify().as_ref(), Ok(&verified), "{}", vector.name);
        vectors.push(same(vector.clone(), &entry));
    }
    for (body, (kind, bytes)) in cast::bodies().into_iter().zip(bodies()) {
        assert_eq!(u64::from(body.kind().0), kind);
        assert_eq!(Body::decode(body.kind(), &bytes.bytes()), Some(body));
    }
    let ids = by_hand
        .iter()
        .fold(Vector::new("ids of the entries above"), |vector, (entry, id)| {
            vector.fixed(entry.name, id)
        });
    vectors.push(ids);
    vectors.push(unknown(by_hand[7].1));
    vectors
}

/// A kind of a later version: verified and kept, not understood.
fn unknown(prev: [u8; 32]) -> Vector {
    let body = [1, 2, 3];
    let (header, id) = header(8, prev, 9_999, &body);
    let vector = Vector::new("entry: unknown kind")
        .all("signed", &signed(&header, id))
        .sized("body", body);
    let entry: Entry = protocol::codec::decode(&vector.bytes()).expect("an entry");
    let verified = entry.verify().expect("a valid entry");
    assert_eq!(verified.id(), EntryId(id));
    assert_eq!(verified.header().kind, Kind(9_999));
    assert_eq!(Body::decode(verified.header().kind, verified.body()), None);
    same(vector, verified.entry())
}
