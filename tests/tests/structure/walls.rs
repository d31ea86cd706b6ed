//! The inner walls of a crate: which of its top-level modules may name which.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::named;
use crate::{read, tracked};

/// Modules and the other modules that each names.
pub(crate) type Walls = [(&'static str, &'static [&'static str])];

/// Files that put the modules of a crate together.
const ROOTS: [&str; 2] = ["lib", "main"];

/// The source files below a folder: path below it, and text.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    let files = tracked(&format!("{folder}*.rs")).into_iter();
    let files = files.filter_map(|path| {
        let below = path.to_str()?.split_once(folder)?.1.to_owned();
        Some((below, read(&path)))
    });
    files.collect()
}

/// The source files below a folder, without tests: path below it, and code without comments.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
    let files = files(folder).into_iter().filter(|(file, _)| !is_test(file));
    files.map(|(file, text)| (file, code(&text))).collect()
}

fn is_test(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    name == "tests.rs" || name == "testing.rs" || name.ends_with("_tests.rs")
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

/// The top-level module that a file is of.
pub(crate) fn module_of(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The modules of a crate name those that are listed, and each listed arrow is used.
pub(crate) fn check(folder: &str, walls: &Walls) {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in sources(folder) {
        let module = module_of(&file);
        if !ROOTS.contains(&module) {
            let names = named(&file, &code).into_iter();
            let names = names.filter_map(|path| path.into_iter().next());
            let others = names.filter(|name| name != module);
            found.entry(module.to_owned()).or_default().extend(others);
        }
    }
    let listed = walls.iter().map(|(module, names)| {
        let names = names.iter().map(|name| (*name).to_owned());
        ((*module).to_owned(), names.collect::<BTreeSet<_>>())
    });
    assert_eq!(
        found,
        listed.collect(),
        "left: what the files name; right: what is listed"
    );
}

/// Each module names only modules above it, so no two know each other.
pub(crate) fn check_one_way(walls: &Walls) {
    let mut above = BTreeSet::new();
    for (module, names) in walls {
        for name in *names {
            assert!(
                above.contains(name),
                "{module} names {name}, which is not above it"
            );
        }
        above.insert(*module);
    }
}
