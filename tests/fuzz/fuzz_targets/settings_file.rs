//! Settings files: what is taken can be printed, and is taken again.
#![no_main]

#[path = "../../../relay-node/tests/parsers/checks.rs"]
mod checks;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

// One for all runs: making one takes longer than all the rest.
static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| NamedTempFile::new().unwrap());

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(FILE.path(), bytes).unwrap();
    checks::settings(FILE.path());
});
