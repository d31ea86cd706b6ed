//! Every parser of names, addresses, settings, backups and the registry's rows, given what nobody should write. The fuzz targets
//! in `tests/fuzz` look longer; here are texts that are nearly right, and what the fuzzer found.
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

mod checks;

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
        Just(br#"{"registry":[]}"#.to_vec()),
        Just(b"[1]".to_vec()),
    ], 0..6)) {
        let bytes = lines.join(&b'\n');
        checks::backup_file(file(&bytes).path(), &bytes);
    }

    #[test]
    fn rows_of_a_registry(rows in rows(), raw in rows(), wanted in "ada|bob|\\PC{0,5}") {
        checks::ledger(&rows, &raw, &wanted);
    }
}

#[test]
fn a_line_of_a_backup_has_an_end() {
    let mut bytes = vec![b'['; 3 << 20];
    bytes.push(b'\n');
    bytes.extend(br#"{"registry":{"key":"AA==","value":"AA=="}}"#);
    checks::backup_file(file(&bytes).path(), &bytes);
}
