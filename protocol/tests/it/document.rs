//! `docs/protocol.md` says what the code does: its numbers are read from the page and compared, its examples are
//! golden.

use std::collections::{BTreeMap, BTreeSet};

use protocol::entry::ENTRY_VERSION;
use protocol::key::Domain;
use protocol::link::frame;
use protocol::link::handshake::{VERSION_MAX, VERSION_MIN, feature};
use protocol::signal::SIGNAL_VERSION;
use protocol::{Kind, codec, limits};

use crate::any::CLOSE_REASONS;
use crate::by_hand::{Vector, hex};
use crate::golden::{FILES, parse};
use crate::{cast, vectors};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The first table from `place` on: its rows, without the head, of cells without back quotes.
fn table(place: &str) -> Vec<Vec<String>> {
    let start = DOCUMENT.find(place).expect(place);
    DOCUMENT[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect()
        })
        .collect()
}

/// Names and numbers: the first two columns.
fn numbers(place: &str) -> BTreeMap<String, u64> {
    table(place)
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse().expect("a number")))
        .collect()
}

fn check<'a>(place: &str, code: impl IntoIterator<Item = (&'a str, u64)>) {
    let code: BTreeMap<String, u64> = code
        .into_iter()
        .map(|(name, number)| (name.to_owned(), number))
        .collect();
    assert!(!code.is_empty());
    assert_eq!(numbers(place), code, "{place}");
}

/// The last word of a vector's name, and its first byte.
fn variant<T>((vector, _): &(Vector, T)) -> (&'static str, u64) {
    let name = vector.name.rsplit(' ').next().expect("a name");
    (name, u64::from(vector.bytes()[0]))
}

macro_rules! constants {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((stringify!($name), $module::$name as u64)),*]
    };
}

#[test]
fn the_page_names_every_limit_and_its_value() {
    let code = constants![
        limits::FRAME_LEN_MAX,
        limits::MESSAGE_LEN_MAX,
        limits::BODY_LEN_MAX,
        limits::SEQ_MAX,
        limits::POST_CHARS_MAX,
        limits::NAME_CHARS_MAX,
        limits::BIO_CHARS_MAX,
        limits::DEVICE_NAME_CHARS_MAX,
        limits::ENTRIES_PER_MESSAGE_MAX,
        limits::HEADS_PER_MESSAGE_MAX,
        limits::DEVICES_PER_ACCOUNT_MAX,
        limits::SKETCH_CELLS_PER_MESSAGE_MAX,
        limits::SKETCH_CELLS_MAX,
        limits::DIFFERENCES_PER_MESSAGE_MAX,
        limits::INTERESTS_PER_MESSAGE_MAX,
        limits::NAMED_PER_MESSAGE_MAX,
        limits::CREDIT_WINDOW_BYTES,
        limits::HEADS_WINDOW,
        limits::FORK_PROOF_HEADS,
        limits::HOPS_MAX,
        limits::PEERS_PER_MESSAGE_MAX,
        limits::INTRODUCTION_HOPS_MAX,
        limits::RELAYS_PER_MESSAGE_MAX,
        limits::VOUCHES_PER_MESSAGE_MAX,
        limits::MEMBERS_PER_MESSAGE_MAX,
        limits::RELAY_URL_LEN_MAX,
        limits::UNIQUE_NAME_LEN_MAX,
        limits::ZONE_LEN_MAX,
        limits::SIGNAL_PAYLOAD_LEN_MAX,
        limits::SIGNAL_LEN_MAX,
        limits::SIGNAL_MEMBERS_MAX,
        limits::REASON_LEN_MAX,
        limits::HOST_LEN_MAX,
    ];
    check("## Limits", code);

    let named: BTreeSet<&str> = code.iter().map(|(name, _)| *name).collect();
    let defined: BTreeSet<&str> = include_str!("../../src/limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    assert_eq!(defined, named, "a limit this test does not know");
    for word in DOCUMENT.split('`').skip(1).step_by(2) {
        if word.ends_with("_MAX") || word.ends_with("_BYTES") {
            assert!(named.contains(word) || word == "VERSION_MAX", "{word}");
        }
    }
}

#[test]
fn the_page_names_every_version() {
    check(
        "## Versions",
        [
            ("VERSION_MIN", u64::from(VERSION_MIN)),
            ("VERSION_MAX", u64::from(VERSION_MAX)),
            ("ENTRY_VERSION", u64::from(ENTRY_VERSION)),
            ("SIGNAL_VERSION", u64::from(SIGNAL_VERSION)),
        ],
    );
}

#[test]
fn the_page_names_every_kind_of_entry() {
    let code = Kind::ALL.iter().map(|(name, kind)| (*name, u64::from(kind.0)));
    check("**Kinds of entries.**", code);
}

#[test]
fn the_page_names_every_frame_and_feature() {
    check(
        "**Frame**",
        constants![frame::HELLO, frame::PROOF, frame::MORE, frame::LAST, frame::CLOSE],
    );
    let bits = constants![
        feature::RELAY,
        feature::RELAYS_ONLY,
        feature::PACED_DIGESTS,
        feature::RELAY_SALT,
        feature::WORK,
        feature::LOOK_ALIKES
    ]
    .map(|(name, mask)| {
        assert!(mask.is_power_of_two());
        (name, u64::from(mask.trailing_zeros()))
    });
    check("| feature | bit |", bits);
}

#[test]
fn the_page_names_every_message() {
    check("## Messages", vectors::messages::pairs().iter().map(variant));
}

#[test]
fn the_page_names_every_signal_message() {
    let signal = |place, pairs: Vec<(&'static str, u64)>| check(place, pairs);
    signal(
        "**From a peer to the server**",
        vectors::signal::to_server().iter().map(variant).collect(),
    );
    signal(
        "**From the server to a peer**",
        vectors::signal::to_peer().iter().map(variant).collect(),
    );
    signal(
        "**Payload**",
        vectors::signal::payloads().iter().map(variant).collect(),
    );
    let reasons = CLOSE_REASONS.map(|reason| (format!("{reason:?}"), codec::encode(&reason)[0]));
    check(
        "| close reason | number |",
        reasons
            .iter()
            .map(|(name, number)| (name.as_str(), u64::from(*number))),
    );
}

#[test]
fn the_page_names_every_domain() {
    let domains = [
        ("entry", Domain::Entry),
        ("certificate", Domain::Certificate),
        ("revocation", Domain::Revocation),
        ("receipt", Domain::Receipt),
        ("withdrawal", Domain::Withdrawal),
        ("link", Domain::Link),
        ("signal", Domain::Signal),
        ("introduction", Domain::Introduction),
        ("description", Domain::Description),
        ("vouch", Domain::Vouch),
        ("name request", Domain::NameRequest),
        ("name receipt", Domain::NameReceipt),
        ("name mark", Domain::NameMark),
    ];
    let rows = table("| purpose | tag");
    assert_eq!(rows.len(), domains.len());
    for (row, (name, domain)) in rows.iter().zip(domains) {
        assert_eq!(row[0], name);
        assert_eq!(format!("{}\0", row[1]).as_bytes(), domain.tag());
    }
}

#[test]
fn the_examples_are_golden() {
    let mut examples = 0;
    for block in DOCUMENT.split("```golden ").skip(1) {
        let (subject, rest) = block.split_once('\n').expect("a subject");
        let (example, _) = rest.split_once("```").expect("an end");
        let (_, golden) = FILES
            .iter()
            .find(|(name, _)| *name == subject)
            .expect("a golden file");
        let golden = parse(golden);
        for (name, bytes) in parse(example) {
            assert_eq!(golden.get(&name), Some(&bytes), "{name}");
            examples += 1;
        }
    }
    assert_eq!(examples, 3);
    assert!(
        DOCUMENT.contains(&hex(&cast::feed()[2].id().0)),
        "the id of the post"
    );
}
