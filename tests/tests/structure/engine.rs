//! The inner walls of the engine: which part may name which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::paths::named;
use crate::{read, tracked};

/// Which top-level module of the engine names which others. The list is exact: an arrow that is missing here is forbidden, and one
/// that no file uses has to go. Each module names only modules above it, so no two know each other.
const WALLS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("store", &[]),
    ("memory", &["store"]),
    ("io", &["api", "store"]),
    ("facts", &["io"]),
    ("ctx", &["api", "facts", "io", "store"]),
    ("relays", &["api", "ctx", "facts", "io"]),
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

/// Lines the file with `impl Engine` may have.
const ENGINE_LINES_MAX: usize = 300;

/// The engine's source files, without its tests: path below `engine/src`, and code without comments.
fn sources() -> Vec<(String, String)> {
    let files = tracked("engine/src/*.rs").into_iter();
    let sources = files.filter_map(|path| {
        let below = path.to_str()?.split_once("engine/src/")?.1.to_owned();
        let name = Path::new(&below).file_name()?.to_str()?.to_owned();
        let test = name == "tests.rs" || name == "testing.rs" || name.ends_with("_tests.rs");
        (!test).then(|| (below, code(&read(&path))))
    });
    sources.collect()
}

/// Source code without comments and without a test module at its end.
fn code(source: &str) -> String {
    let source = source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn module_of(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

#[test]
fn no_part_of_the_engine_is_reached_but_through_a_listed_arrow() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in sources() {
        let module = module_of(&file);
        if module != "lib" {
            let names = named(&file, &code).into_iter();
            let names = names.filter_map(|path| path.into_iter().next());
            let others = names.filter(|name| name != module);
            found.entry(module.to_owned()).or_default().extend(others);
        }
    }
    let listed = WALLS.iter().map(|(module, names)| {
        let names = names.iter().map(|name| (*name).to_owned());
        ((*module).to_owned(), names.collect::<BTreeSet<_>>())
    });
    assert_eq!(
        found,
        listed.collect(),
        "left: what the files name; right: what is listed"
    );
}

#[test]
fn no_two_modules_of_the_engine_know_each_other() {
    let mut above = BTreeSet::new();
    for (module, names) in WALLS {
        for name in *names {
            assert!(
                above.contains(name),
                "{module} names {name}, which is not above it"
            );
        }
        above.insert(*module);
    }
}

#[test]
fn no_kind_of_entry_names_another() {
    let sources = sources();
    let folder = |file: &str| -> Option<String> {
        let below = file.strip_prefix("kinds/")?;
        Some(below.split_once('/')?.0.to_owned())
    };
    let folders: BTreeSet<String> = sources.iter().filter_map(|(file, _)| folder(file)).collect();
    assert!(folders.len() > 3, "kinds are folders: {folders:?}");
    for (file, code) in &sources {
        let Some(own) = folder(file) else { continue };
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
fn the_engine_itself_is_one_short_file() {
    for (file, code) in sources() {
        let implements = code
            .lines()
            .any(|line| line.starts_with("impl") && line.contains("Engine {"));
        assert_eq!(implements, file == "lib.rs", "impl Engine in {file}");
        assert!(
            !code.contains("is_relay()"),
            "{file}: a role is a type, not a question"
        );
        if file == "lib.rs" {
            let lines = code.lines().count();
            assert!(lines < ENGINE_LINES_MAX, "{lines} lines in lib.rs");
        }
    }
}
