//! The bytes of everything that is signed, stored or sent, under version control. If one of these tests fails, the
//! change breaks every peer and every disk out there: it needs a new version, not new vectors.
//!
//! Text form: `#` begins a comment that ends with the line; `[name]` begins a vector; the hexadecimal digits that
//! follow, white space ignored, are its bytes. New vectors are written by `GOLDEN=write cargo test -p
//! starling-protocol`, natively.

use std::collections::BTreeMap;

use protocol::entry::Position;
use protocol::{Body, Kind, VerifiedEntry};

use crate::by_hand::Vector;
use crate::{cast, vectors};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

pub(crate) const FILES: [(&str, &str); 6] = [
    ("keys", include_str!("../golden/keys.hex")),
    ("identity", include_str!("../golden/identity.hex")),
    ("entries", include_str!("../golden/entries.hex")),
    ("handshake", include_str!("../golden/handshake.hex")),
    ("messages", include_str!("../golden/messages.hex")),
    ("signal", include_str!("../golden/signal.hex")),
];

const ABOUT: &str = "\
# Golden vectors of the Starling protocol; docs/protocol.md describes the structures.
# `#` begins a comment; `[name]` begins a vector; hexadecimal digits are its bytes, white space is ignored.
# The secret seed of each key is one byte repeated 32 times: see keys.hex.
";

/// The vectors in a golden file, by name.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    let mut current: Option<(String, String)> = None;
    let finish = |vector: Option<(String, String)>, vectors: &mut BTreeMap<_, _>| {
        if let Some((name, digits)) = vector {
            let bytes = data_encoding::HEXLOWER
                .decode(digits.as_bytes())
                .expect("hexadecimal");
            assert!(vectors.insert(name, bytes).is_none(), "a name occurs once");
        }
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            finish(current.take(), &mut vectors);
            current = Some((name.to_owned(), String::new()));
        } else if let Some((_, digits)) = &mut current {
            digits.extend(line.split_whitespace());
        }
    }
    finish(current, &mut vectors);
    vectors
}

/// Compares the vectors of a subject with those in its file.
fn check(subject: &str, vectors: &[Vector]) {
    let mut text = ABOUT.to_owned();
    for vector in vectors {
        text.push('\n');
        text.push_str(&vector.text());
    }
    if writes() {
        return write(subject, &text);
    }
    let (_, golden) = FILES
        .iter()
        .find(|(name, _)| *name == subject)
        .expect("a golden file");
    let held = parse(golden);
    for vector in vectors {
        assert_eq!(
            held.get(vector.name).map(|bytes| crate::by_hand::hex(bytes)),
            Some(crate::by_hand::hex(&vector.bytes())),
            "{subject}: {}",
            vector.name
        );
    }
    assert_eq!(*golden, text, "{subject}.hex");
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::disallowed_methods, reason = "the tests' own switch")]
fn writes() -> bool {
    std::env::var("GOLDEN").is_ok_and(|mode| mode == "write")
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::disallowed_methods, reason = "the tests' own files")]
fn write(subject: &str, text: &str) {
    let path = format!("{}/tests/golden/{subject}.hex", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, text).expect("writable");
}

#[cfg(target_arch = "wasm32")]
fn writes() -> bool {
    false
}

#[cfg(target_arch = "wasm32")]
fn write(_: &str, _: &str) {}

#[test]
fn keys_ids_and_phrases_keep_their_form() {
    check("keys", &vectors::keys::all());
}

#[test]
fn certificates_revocations_and_receipts_keep_their_bytes() {
    check("identity", &vectors::identity::all());
}

#[test]
fn entries_of_each_kind_keep_their_bytes() {
    check("entries", &vectors::entries::all());
}

/// Kinds that are not in Ada's feed, because they came later, have a file each. Its vectors are bodies; those called
/// `refused: …` are bytes that no peer takes for one.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn bodies_of_each_later_kind_keep_their_bytes() {
    let in_feed: Vec<Kind> = cast::bodies().iter().map(Body::kind).collect();
    for (kind_name, kind) in Kind::ALL.iter().filter(|(_, kind)| !in_feed.contains(kind)) {
        let path = format!(
            "{}/tests/golden/kinds/{}.hex",
            env!("CARGO_MANIFEST_DIR"),
            kind_name.to_lowercase()
        );
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let vectors = parse(&text);
        assert!(vectors.len() > 1, "{path}");
        for (name, bytes) in vectors {
            let body = Body::decode(*kind, &bytes);
            if name.starts_with("refused: ") {
                assert_eq!(body, None, "{kind_name}: {name}");
                continue;
            }
            let body = body.unwrap_or_else(|| panic!("{kind_name}: {name}"));
            let at = Position {
                seq: 1,
                ..Position::default()
            };
            let account = cast::account(cast::ADA);
            let entry = VerifiedEntry::create(&cast::key(cast::LAPTOP), at, account, cast::BEGIN, &body);
            assert_eq!(entry.body(), bytes, "{kind_name}: {name}");
        }
    }
}

#[test]
fn handshakes_keep_their_bytes() {
    check("handshake", &vectors::handshake::all());
}

#[test]
fn messages_of_each_kind_keep_their_bytes() {
    check("messages", &vectors::messages::all());
}

#[test]
fn signal_messages_keep_their_bytes() {
    check("signal", &vectors::signal::all());
}
