//! The inner walls of the engine: which part may name which.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::named;
use crate::walls::{self, module_of};

/// Which top-level module of the engine names which others. The list is exact: an arrow that is missing here is
/// forbidden, and one that no file uses has to go. Each module names only modules above it, so no two know each other.
const WALLS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("store", &[]),
    ("memory", &["store"]),
    ("io", &["api", "store"]),
    ("facts", &["io"]),
    ("ctx", &["api", "facts", "io", "store"]),
    ("relays", &["api", "ctx", "facts", "io", "store"]),
    ("log", &["api", "ctx", "facts", "io", "store"]),
    ("net", &["api", "ctx", "facts", "io", "relays", "store"]),
    ("sync", &["ctx", "facts", "io", "log", "net", "store"]),
    ("kinds", &["api", "ctx", "facts", "io", "log", "store"]),
    (
        "views",
        &[
            "api", "ctx", "facts", "io", "kinds", "log", "net", "store", "sync",
        ],
    ),
    ("lookups", &["api", "ctx", "io", "kinds", "net"]),
    (
        "relay",
        &[
            "api", "ctx", "facts", "io", "kinds", "log", "net", "relays", "store", "sync",
        ],
    ),
    (
        "person",
        &[
            "api", "ctx", "facts", "io", "kinds", "log", "net", "relays", "store", "sync",
        ],
    ),
    (
        "parts",
        &[
            "ctx", "io", "kinds", "log", "lookups", "net", "relays", "sync", "views",
        ],
    ),
    (
        "role",
        &[
            "api", "ctx", "facts", "io", "kinds", "lookups", "net", "parts", "person", "relay", "relays",
            "store", "sync", "views",
        ],
    ),
    ("timer", &["ctx", "parts", "role"]),
    (
        "boot",
        &["api", "ctx", "io", "kinds", "log", "parts", "role", "store"],
    ),
];

/// Lines the file with `impl Engine` may have, comments among them.
const ENGINE_LINES_MAX: usize = 300;

/// The folder of the kind that a file is about.
fn kind_of(file: &str) -> Option<&str> {
    let below = file.strip_prefix("kinds/")?;
    Some(below.split_once('/')?.0)
}

/// The engine's source files, without its tests.
fn sources() -> Vec<(String, String)> {
    walls::sources("engine/src/")
}

#[test]
fn no_part_of_the_engine_is_reached_but_through_a_listed_arrow() {
    walls::check("engine/src/", WALLS);
}

#[test]
fn no_two_modules_of_the_engine_know_each_other() {
    walls::check_one_way(WALLS);
}

#[test]
fn no_kind_of_entry_names_another() {
    let sources = sources();
    let folders: BTreeSet<&str> = sources.iter().filter_map(|(file, _)| kind_of(file)).collect();
    assert!(folders.len() > 3, "kinds are folders: {folders:?}");
    for (file, code) in &sources {
        let Some(own) = kind_of(file) else { continue };
        for path in named(file, code) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let name = match path[..] {
                ["kinds"] | ["kinds", "self" | "*", ..] => panic!("{file} names all kinds"),
                ["kinds", name, ..] => name,
                _ => continue,
            };
            assert!(name == own || !folders.contains(name), "{file} names {name}");
        }
    }
}

#[test]
fn every_part_of_the_engine_has_tests_of_its_own() {
    let sources = sources();
    // What has no function, such as a list of facts, has nothing to test.
    let acts = sources.iter().filter(|(_, code)| code.contains("fn "));
    let parts = |file: &str| {
        let kind = kind_of(file).map(|kind| format!("kinds/{kind}"));
        [Some(module_of(file).to_owned()), kind].into_iter().flatten()
    };
    let mut untested: BTreeSet<String> = acts.flat_map(|(file, _)| parts(file)).collect();
    assert!(untested.contains("role") && untested.contains("kinds/posts"));
    // Tests of the engine as a whole are those with a network.
    untested.remove("lib");
    for (file, text) in walls::files("engine/src/") {
        if text.contains("#[test]") {
            for part in parts(&file.replace("_tests.rs", ".rs")) {
                untested.remove(&part);
            }
        }
    }
    assert!(untested.is_empty(), "without unit tests: {untested:?}");
}

/// Types that hold the parts, and the one file with the functions of each.
const ONE_HOME: [(&str, &str); 3] = [
    ("Engine", "lib.rs"),
    ("Parts", "parts.rs"),
    ("Role", "role/mod.rs"),
];

#[test]
fn the_engine_itself_is_one_short_file() {
    let texts: BTreeMap<_, _> = walls::files("engine/src/").into_iter().collect();
    for (file, code) in sources() {
        for (name, home) in ONE_HOME {
            let head = format!("impl {name} {{");
            let implements = code.lines().any(|line| line == head);
            assert_eq!(implements, file == home, "impl {name} in {file}");
        }
        assert!(
            !code.contains("is_relay("),
            "{file}: a role is a type, not a question"
        );
        if file == "lib.rs" {
            let lines = texts[&file].lines().count();
            assert!(lines < ENGINE_LINES_MAX, "{lines} lines in lib.rs");
        }
    }
}
