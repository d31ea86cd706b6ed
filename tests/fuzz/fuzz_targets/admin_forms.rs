//! Cookies and forms of the admin page, and its files: nobody becomes an admin by them.
#![no_main]

#[path = "../../../relay-node/tests/parsers/outside.rs"]
mod outside;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

// One for all runs: making one takes longer than all the rest.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

// Cookies, a form's session and token, and what is in the files.
fuzz_target!(|input: (Vec<Vec<u8>>, &str, &str, &[u8], &[u8])| {
    let (values, session, token, claim, sessions) = input;
    outside::cookies(&values);
    outside::form(session, token);
    outside::admin_files(FOLDER.path(), claim, sessions, token);
});
