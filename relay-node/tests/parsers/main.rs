//! Every parser of names, addresses, settings, backups and the registry's rows, of what strangers send to the WebRTC
//! port and to the admin page, and of what is on the disk, given what nobody should write. The fuzz targets in
//! `tests/fuzz` look longer; here are bytes that are nearly right, and what the fuzzer found.
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

mod checks;
mod outside;
/// How browsers keep their tables: one file, that builds here too.
#[path = "../../../client-wasm/src/worker/store/segment.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is another program's")]
mod segment;
mod segments;

use std::io::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// One of these, or what a regular expression makes.
fn text(nearly: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![string_regex(nearly).unwrap(), "\\PC{0,40}", any::<String>()]
}

/// The settings by name, with values that could be theirs.
fn setting() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("listen"),
        Just("join"),
        Just("registry"),
        Just("roles"),
        Just("zone"),
        Just("name"),
        Just("log"),
        Just("location"),
        Just("heartbeat_ms"),
        Just("registry_lead_s"),
        Just("registry_sweep_s"),
        Just("repair_grace_s"),
        Just("cache_mib"),
        Just("links_max"),
        Just("name_rest_days"),
        Just("host"),
        Just("allowed_origin"),
        Just("registry_password"),
        Just("advertise"),
    ];
    let value = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (0..400_u32).prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| format!("{text:?}")),
        "\\PC{0,20}".prop_map(|text| format!("\"{text}\"")),
        Just("\"http://a:1\"".to_owned()),
        Just("[\"https://a\", \"http://b:2\"]".to_owned()),
        Just("\"etcd://a:1,b:2\"".to_owned()),
        Just("[\"worker\", \"index\"]".to_owned()),
        Just("\"52.5,13.4\"".to_owned()),
        "\\PC{0,20}",
    ];
    (name, value).prop_map(|(name, value)| format!("{name} = {value}\n"))
}

fn rows() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let key = prop_oneof![
        Just(b"n/ada".to_vec()),
        Just(b"key".to_vec()),
        Just(b"l/leader".to_vec()),
        vec(any::<u8>(), 0..8),
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..90),
        Just(vec![1; 32]),
        Just(b"n/ada".to_vec())
    ];
    vec((key, value), 0..4)
}

/// Attributes of a connectivity check, nearly.
fn attributes() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        Just(0x0006_u16),
        Just(0x0008),
        Just(0x0020),
        Just(0x0024),
        Just(0x0025),
        Just(0x8028),
        Just(0x8029),
        any::<u16>(),
    ];
    let attribute = (kind, vec(any::<u8>(), 0..24), 0..8_u8).prop_map(|(kind, value, odd)| {
        // Seldom longer than it is.
        let length = value.len() as u16 + if odd == 0 { 5 } else { 0 };
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        let header = [kind.to_be_bytes(), length.to_be_bytes()].concat();
        [header, value, padding].concat()
    });
    vec(attribute, 0..5).prop_map(|attributes| attributes.concat())
}

/// Lines of an offer, nearly all of them right.
fn offer() -> impl Strategy<Value = String> {
    let lines = [
        "v=0".to_owned(),
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel".to_owned(),
        "a=ice-ufrag:Kp3/".to_owned(),
        "a=ice-pwd:abcdefghijklmnopqrstuvwx".to_owned(),
        format!("a=fingerprint:sha-256 {}", vec!["0A"; 32].join(":")),
        "a=setup:actpass".to_owned(),
        "a=mid:0".to_owned(),
        "a=sctp-port:5000".to_owned(),
        "a=max-message-size:262144".to_owned(),
    ];
    let other = prop_oneof![
        "a=(mid|ice-ufrag|ice-pwd|setup|fingerprint|sctp-port|max-message-size|ice-lite):?[ -~]{0,30}",
        "[a-z]=\\PC{0,20}",
        any::<String>(),
    ];
    let end = prop_oneof![Just("\r\n"), Just("\n"), Just("\r")];
    let change = (0..lines.len(), other, 0..3_u8);
    (vec(change, 0..3), end).prop_map(move |(changes, end)| {
        let mut lines = lines.to_vec();
        for (at, other, how) in changes {
            match how {
                0 => lines[at] = other,
                1 => lines.insert(at, other),
                _ => lines[at].push_str(&other),
            }
        }
        lines.join(end)
    })
}

/// A value that is made to look like a commit.
fn stored() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        vec(any::<u8>(), 0..60),
        (0..80_usize).prop_map(|zeros| vec![0; zeros]),
        Just(
            b"\x01\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x03\xc2\x94\xd3\x38\x05\x80\x06\x2dFJL\x03"
                .to_vec()
        ),
        vec(any::<u8>(), 0..20).prop_map(|value| outside::lookalike(&value)),
    ];
    vec(part, 0..6).prop_map(|parts| parts.concat())
}

/// Operations of a browser's store, nearly.
fn operations() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![(0..5_u8).prop_map(|length| vec![length]), vec(any::<u8>(), 1..6)];
    let part = prop_oneof![
        (
            0..24_u8,
            any::<bool>(),
            vec(any::<u8>(), 0..5),
            vec(any::<u8>(), 0..5)
        )
            .prop_map(|(table, delete, key, value)| {
                let mut operation = vec![table | if delete { 0x80 } else { 0 }, key.len() as u8];
                operation.extend(key);
                if !delete {
                    operation.push(value.len() as u8);
                    operation.extend(value);
                }
                operation
            }),
        length,
    ];
    vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn addresses(text in text("(https?|etcds?)://[a-z0-9.:@/?#\\[\\],-]{0,30}|[-0-9.]{1,9},[-0-9.]{1,9}")) {
        checks::address(&text);
    }

    #[test]
    fn names(text in text("[a-zäßﬁа-я0-9._@ -]{0,34}")) {
        checks::name(&text);
    }

    #[test]
    fn words(bytes in vec(any::<u8>(), 0..300)) {
        checks::words(&bytes);
    }

    #[test]
    fn settings_files(settings in vec(setting(), 0..4)) {
        checks::settings(file(settings.concat().as_bytes()).path());
    }

    #[test]
    fn command_lines(words in vec(text("--[a-z-]{3,12}(=[a-z0-9:/,.]{0,12})?|-?[0-9]{1,20}|run|config|check"), 0..5)) {
        checks::arguments(&words.join("\n"));
    }

    #[test]
    fn backups(lines in vec(prop_oneof![
        vec(any::<u8>(), 0..40),
        Just(br#"{"registry":{"key":"AA==","value":"AA=="}}"#.to_vec()),
        Just(br#"{"entry":"AA=="}"#.to_vec()),
        Just(br#"{"backup":{"format":1}}"#.to_vec()),
        Just(br#"{"backup":{"format":2}}"#.to_vec()),
        Just(br#"{"registry":[]}"#.to_vec()),
        Just(br#"{"registry":{"last":7}}"#.to_vec()),
        Just(br#"{"end":{"entries":1,"rows":0}}"#.to_vec()),
        Just(b"[1]".to_vec()),
    ], 0..6)) {
        let bytes = lines.join(&b'\n');
        checks::backup_file(file(&bytes).path(), &bytes);
    }

    #[test]
    fn datagrams(bytes in prop_oneof![attributes(), vec(any::<u8>(), 0..200)]) {
        outside::datagram(&bytes);
    }

    #[test]
    fn offers(text in prop_oneof![9 => offer(), 1 => any::<String>()]) {
        outside::offer(&text);
    }

    #[test]
    fn journals(bytes in stored(), at in any::<usize>()) {
        outside::journal(&bytes, at);
    }

    #[test]
    fn cookies(values in vec(text("(starling-admin=?[0-9a-f]{0,64}|[a-z]=[0-9]|;| ){0,4}"), 0..4)) {
        let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
        outside::cookies(&values);
    }

    #[test]
    fn forms(session in text("[0-9a-f]{64}"), token in text("[0-9a-fA-F]{64}")) {
        outside::form(&session, &token);
    }

    #[test]
    fn segments(bytes in operations(), number in any::<u32>(), ops in prop_oneof![0..6_u32, any::<u32>()]) {
        segments::segment(&bytes, number, ops);
    }

    #[test]
    fn rows_of_a_registry(rows in rows(), raw in rows(), wanted in "ada|bob|\\PC{0,5}") {
        checks::ledger(&rows, &raw, &wanted);
    }
}

proptest! {
    // Each writes two files.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn files_about_admins(claim in admin_file(), sessions in admin_file(), token in "[0-9a-f]{0,64}") {
        let folder = tempfile::tempdir().unwrap();
        outside::admin_files(folder.path(), &claim, &sessions, &token);
    }
}

/// What could be in a file about admins.
fn admin_file() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "\\{\"hash\":\"[0-9a-f]{64}\",\"until\":[0-9]{1,19}\\}",
        "\\{\"claimed\":(true|false),\"sessions\":\\[(\\{\"hash\":\"[0-9a-f]{0,64}\",\"until\":-?[0-9]{1,22}\\})?\\]\\}",
    ];
    prop_oneof![text.prop_map(String::into_bytes), vec(any::<u8>(), 0..100)]
}

#[test]
fn a_line_of_a_backup_has_an_end() {
    let mut bytes = vec![b'['; 3 << 20];
    bytes.push(b'\n');
    bytes.extend(br#"{"registry":{"key":"AA==","value":"AA=="}}"#);
    checks::backup_file(file(&bytes).path(), &bytes);
}

#[test]
fn what_a_backup_says_of_itself_is_no_line_of_its_content() {
    let registry = br#"{"registry":{"last":7}}
{"registry":{"key":"AA==","value":"AA=="}}
"#;
    let (first, end) = (
        br#"{"backup":{"format":2}}"#,
        br#"{"end":{"entries":0,"rows":1}}"#,
    );
    let whole = [first.as_slice(), b"\n", registry, end].concat();
    let cut_off = [first.as_slice(), b"\n", registry].concat();
    for bytes in [registry.as_slice(), &whole, &cut_off] {
        checks::backup_file(file(bytes).path(), bytes);
    }
}
