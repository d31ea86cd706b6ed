//! What the documents name exists.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use starling_tests::workspace_root;

use crate::{read, tracked};

/// What looks like a path of the repository in a document and is not: a file in a data folder, a prefix of keys in
/// etcd.
const ELSEWHERE: &[&str] = &["admin.json", "starling/"];

/// Files whose names are recognised without a folder.
const ENDINGS: &[&str] = &[
    ".rs", ".md", ".toml", ".sh", ".json", ".js", ".html", ".css", ".hex",
];

/// The documents, by their paths below the root.
fn documents() -> Vec<PathBuf> {
    let root = workspace_root();
    let named = ["README.md", "ARCHITECTURE.md", "docs/*.md"];
    let found = named.iter().flat_map(|pattern| tracked(pattern));
    found
        .filter_map(|path| path.strip_prefix(&root).map(Path::to_owned).ok())
        .collect()
}

/// Every tracked file and folder, by its path below the root.
fn files_and_folders() -> BTreeSet<String> {
    let root = workspace_root();
    let mut all = BTreeSet::new();
    for path in tracked("*") {
        let below = path.strip_prefix(&root).unwrap_or(&path);
        for part in below.ancestors() {
            all.extend(part.to_str().filter(|part| !part.is_empty()).map(str::to_owned));
        }
    }
    all
}

/// The text between single backticks on one line.
fn quoted(text: &str) -> Vec<&str> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// Whether quoted text names a file or folder of the repository.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    text.chars().all(plain)
        && !text.starts_with('/')
        && (text.contains('/') || ENDINGS.iter().any(|ending| text.ends_with(ending)))
}

/// The targets of links that are no addresses of the web, without the place within the page.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split([')', '#']).next());
    targets
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// The path without `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    resolved
}

#[test]
fn the_paths_that_documents_quote_exist() {
    let all = files_and_folders();
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        // A table names a folder once, and the files in it by their names alone.
        let below = format!("/{path}");
        all.contains(path) || all.iter().any(|known| known.ends_with(&below))
    };
    let mut checked = 0;
    for document in documents() {
        let text = read(&workspace_root().join(&document));
        for path in quoted(&text).into_iter().filter(|text| is_path(text)) {
            checked += 1;
            assert!(
                ELSEWHERE.contains(&path) || exists(path),
                "{} names {path}, which does not exist",
                document.display()
            );
        }
    }
    assert!(checked > 100, "{checked} paths are not those of the documents");
}

#[test]
fn the_links_between_documents_lead_somewhere() {
    let all = files_and_folders();
    for document in documents() {
        let text = read(&workspace_root().join(&document));
        let folder = document.parent().unwrap_or(Path::new(""));
        for target in links(&text) {
            let path = resolved(&folder.join(target));
            assert!(
                path.to_str().is_some_and(|path| all.contains(path)),
                "{} links to {target}, which does not exist",
                document.display()
            );
        }
    }
}

#[test]
fn paths_and_links_are_found_in_prose() {
    let text =
        "See `engine/src/lib.rs`, `io.rs` and `/admin`; `a b`, `Persist`, `src/`.\n```sh\n`x.rs`\n```\n";
    let found: Vec<_> = quoted(text).into_iter().filter(|text| is_path(text)).collect();
    assert_eq!(found, ["engine/src/lib.rs", "io.rs", "src/"]);
    let text = "[a](docs/a.md#b), [c](https://example.org), [d](../e.md), [f](#g)";
    assert_eq!(links(text), ["docs/a.md", "../e.md"]);
    assert_eq!(
        resolved(Path::new("docs/decisions/../api.md")),
        Path::new("docs/api.md")
    );
}
