//! The shape of the workspace: which crate may know which, what the sans-I/O crates must not pull in, and the few
//! rules of the source text that a program can check.

mod documents;
mod engine;
mod paths;
mod relay_node;
mod walls;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use starling_tests::workspace_root;

/// Which member of the workspace depends on which others. The list is exact: an arrow that is missing here is
/// forbidden, and one that no manifest or no source file uses has to go. Arrows point one way, programs → native →
/// engine, and programs never import one another.
const ARROWS: &[(&str, &[&str])] = &[
    ("starling-protocol", &[]),
    ("starling-text", &["starling-protocol"]),
    ("ordered", &[]),
    ("gossip", &["ordered"]),
    // Other protocols in the simulator: a program.
    ("gossip-compare", &["gossip"]),
    ("starling-engine", &["gossip", "ordered", "starling-protocol"]),
    ("starling-signaling", &["starling-protocol"]),
    ("starling-native", &["starling-engine", "starling-protocol"]),
    (
        "starling-relay-node",
        &[
            "starling-engine",
            "starling-native",
            "starling-protocol",
            "starling-signaling",
            "starling-text",
        ],
    ),
    (
        "starling-client",
        &["starling-engine", "ordered", "starling-protocol", "starling-text"],
    ),
    // The tests see programs from outside, as processes and pages, and forge frames with the libraries.
    (
        "starling-tests",
        &["starling-engine", "starling-native", "starling-protocol"],
    ),
];

/// Crates whose code must run the same in a tab, in a relay and in a simulation.
const SANS_IO: &[&str] = &[
    "starling-protocol",
    "starling-text",
    "ordered",
    "gossip",
    "starling-engine",
];

/// What would bring sockets, threads, clocks, a browser or a global random source.
const IMPURE: &[&str] = &[
    "async-std",
    "chrono",
    "getrandom",
    "js-sys",
    "mio",
    "rand",
    "smol",
    "socket2",
    "tokio",
    "wasm-bindgen",
    "web-sys",
    "web-time",
];

/// Past this a file hides a second noun.
const LINES_MAX: usize = 800;

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(workspace_root())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("programs that write text")
}

fn cargo(args: &[&str]) -> String {
    run(
        &std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()),
        args,
    )
}

fn tracked(pattern: &str) -> Vec<PathBuf> {
    let root = workspace_root();
    let listed = run("git", &["ls-files", "-z", "--", pattern]);
    // A file may be listed and deleted, not yet committed.
    listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(|path| root.join(path))
        .filter(|p| p.is_file())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A member of the workspace: its folder, and by which name its source calls each other member it depends on.
struct Member {
    folder: PathBuf,
    dependencies: BTreeMap<String, String>,
}

/// The members of the workspace by package name. A package that depends on itself (for its own tests) is no arrow.
fn members() -> BTreeMap<String, Member> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let all: BTreeSet<String> = packages.iter().map(name).collect();
    let member = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder = manifest.parent().expect("a folder").to_owned();
        let listed = package["dependencies"].as_array().expect("dependencies");
        let dependencies = listed
            .iter()
            .filter(|dependency| all.contains(&name(dependency)) && name(dependency) != name(package))
            .map(|dependency| {
                let renamed = dependency["rename"].as_str().map(str::to_owned);
                let called = renamed.unwrap_or_else(|| name(dependency)).replace('-', "_");
                (name(dependency), called)
            })
            .collect();
        Member { folder, dependencies }
    };
    packages
        .iter()
        .map(|package| (name(package), member(package)))
        .collect()
}

/// Whether source text uses a crate of this name: a path begins with it.
fn uses_crate(source: &str, name: &str) -> bool {
    source.match_indices(&format!("{name}::")).any(|(at, _)| {
        // Not the tail of a longer name or path.
        !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for (name, member) in members() {
        let Some(may) = allowed.get(name.as_str()) else {
            panic!("{name} is not listed: say in ARROWS what it may depend on");
        };
        for dependency in member.dependencies.keys() {
            assert!(
                may.contains(&dependency.as_str()),
                "forbidden arrow: {name} -> {dependency}"
            );
        }
    }
}

#[test]
fn every_permitted_arrow_is_used() {
    let members = members();
    for (name, may) in ARROWS {
        let member = members
            .get(*name)
            .unwrap_or_else(|| panic!("{name} is listed and no member of the workspace"));
        let sources: Vec<String> = tracked(&format!("{}/*.rs", member.folder.display()))
            .iter()
            .map(|path| read(path))
            .collect();
        for dependency in *may {
            let Some(called) = member.dependencies.get(*dependency) else {
                panic!("no manifest has the permitted arrow {name} -> {dependency}");
            };
            assert!(
                sources.iter().any(|source| uses_crate(source, called)),
                "{name} depends on {dependency} and no source file of it names {called}::"
            );
        }
    }
}

#[test]
fn a_crate_is_found_at_the_head_of_a_path_only() {
    assert!(uses_crate("use native::store::Store;", "native"));
    assert!(uses_crate("fn f(a: native::A)", "native"));
    for other in [
        "use starling_native::A;",
        "use crate::native::A;",
        "let native = 1;",
    ] {
        assert!(!uses_crate(other, "native"), "{other}");
    }
}

#[test]
fn the_sans_io_crates_pull_in_nothing_impure() {
    for krate in SANS_IO {
        for target in ["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"] {
            // In a tab it asks the browser for the class of a character.
            if (*krate, target) == ("starling-text", "wasm32-unknown-unknown") {
                continue;
            }
            let tree = [
                "tree",
                "--package",
                krate,
                // As others use them: the simulator's program is gossip's own.
                "--no-default-features",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--target",
                target,
            ];
            let names: BTreeSet<String> = cargo(&tree)
                .lines()
                .filter_map(|line| line.split_whitespace().next())
                .map(str::to_owned)
                .collect();
            assert!(names.contains(*krate), "no tree of {krate} to look at: {names:?}");
            let found: Vec<_> = IMPURE.iter().filter(|impure| names.contains(**impure)).collect();
            assert!(
                found.is_empty(),
                "{krate} on {target} pulls in {found:?}; `cargo tree -i` tells how"
            );
        }
    }
}

#[test]
fn every_crate_obeys_the_shared_lints() {
    for manifest in tracked("*/Cargo.toml") {
        if manifest.starts_with(workspace_root().join("tests/fuzz")) {
            // A workspace of its own, whose targets are what the fuzzer's macro makes of them.
            continue;
        }
        let text = read(&manifest);
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            manifest.display()
        );
    }
}

#[test]
fn no_file_hides_a_second_noun() {
    let files = tracked("*.rs");
    assert!(
        files.len() > 20,
        "the list of files is not this repository's: {files:?}"
    );
    let long: Vec<_> = files
        .iter()
        .map(|path| (read(path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:#?}");
}

/// Whether a source file has an example in its documentation that would be compiled and run.
fn has_doc_test(source: &str) -> bool {
    let docs = source.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
    });
    let mut open = false;
    docs.filter_map(|line| line.trim_start().strip_prefix("```"))
        .any(|language| {
            open = !open;
            open && !matches!(language.trim(), "text" | "json" | "toml" | "sh")
        })
}

/// `scripts/test` runs the doc tests of `gossip` alone: for those of every crate Cargo compiles all dependencies once more.
#[test]
fn examples_in_the_documentation_of_crates_are_run() {
    assert!(has_doc_test(
        "/// ```text\n/// a\n/// ```\n//! ```\n//! f();\n//! ```"
    ));
    assert!(!has_doc_test("/// ```text\n/// a\n/// ```\nlet fence = \"```\";"));
    let with: Vec<_> = tracked("*.rs")
        .into_iter()
        .filter(|path| has_doc_test(&read(path)))
        .filter(|path| !path.starts_with(workspace_root().join("gossip")))
        .collect();
    assert!(
        with.is_empty(),
        "name their packages in scripts/test, too: {with:#?}"
    );
}

/// Every `scripts/…` a text names.
fn named_scripts(text: &str) -> BTreeSet<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c));
    text.match_indices("scripts/")
        .map(|(at, _)| {
            text[at..]
                .split(ends)
                .next()
                .unwrap_or_default()
                .trim_end_matches(['.', '/'])
                .to_owned()
        })
        .collect()
}

#[test]
fn the_scripts_the_readme_names_exist() {
    let root = workspace_root();
    let named = named_scripts(&read(&root.join("README.md")));
    for script in ["scripts/run", "scripts/test", "scripts/bench"] {
        assert!(named.contains(script), "the README does not name {script}");
    }
    for script in named {
        let mode = fs::metadata(root.join(&script)).map(|found| {
            use std::os::unix::fs::PermissionsExt;
            found.permissions().mode()
        });
        assert!(
            mode.is_ok_and(|mode| mode & 0o111 != 0),
            "{script} is named and not there, or not executable"
        );
    }
}

#[test]
fn script_names_are_found_in_prose() {
    let found = named_scripts("Run `scripts/run -- --help`, or scripts/test. (scripts/lib/tools.sh)");
    let expected = ["scripts/lib/tools.sh", "scripts/run", "scripts/test"];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
