//! The paths that Rust source names, resolved to the root of its crate.

/// What begins a path that leads out of the module it is in.
const HEADS: [&str; 3] = ["crate", "self", "super"];

/// The absolute paths, without `crate`, that the code of a file names after `crate`, `self` and `super`. `file`: below `src`.
///
/// Code of a module that is written out in the file is one step further from the root. The path is resolved for each such module
/// and for the file itself, so it is named for the right one, and maybe for others.
pub(crate) fn named(file: &str, code: &str) -> Vec<Vec<String>> {
    let module = module(file);
    let inline = code.lines().filter(|line| is_inline_module(line)).count();
    let mut named = Vec::new();
    for path in paths(code) {
        named.extend((0..=inline).map(|depth| resolved(&module, depth, &path)));
    }
    named
}

/// The module that a file is, from the root.
fn module(file: &str) -> Vec<&str> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").collect()
}

fn is_inline_module(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    words.next() == Some("mod") && line.trim_end().ends_with('{')
}

/// `depth`: how many modules inside the file the path is in.
fn resolved(module: &[&str], depth: usize, path: &[String]) -> Vec<String> {
    let mut from: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
    from.extend((0..depth).map(|_| "inside".to_owned()));
    let mut rest = path;
    while let Some((head, tail)) = rest.split_first() {
        match head.as_str() {
            "crate" => from.clear(),
            "super" => drop(from.pop()),
            "self" if !tail.is_empty() => {}
            _ => break,
        }
        rest = tail;
    }
    from.extend_from_slice(rest);
    from
}

/// Every path that begins with one of [`HEADS`], groups written out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for head in HEADS {
        for (at, _) in code.match_indices(&format!("{head}::")) {
            // Not the tail of a longer name or path.
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| is_name(c) || c == ':') {
                tree(&code[at..], &[], &mut paths);
            }
        }
    }
    paths
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads one path, or a group of them, after `prefix`; what follows it.
fn tree<'a>(code: &'a str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut path = prefix.to_vec();
    let mut code = code;
    loop {
        code = code.trim_start();
        if let Some(group) = code.strip_prefix('{') {
            return self::group(group, &path, paths);
        }
        let end = match code.strip_prefix('*') {
            Some(_) => 1,
            None => code.find(|c| !is_name(c)).unwrap_or(code.len()),
        };
        if end > 0 {
            path.push(code[..end].to_owned());
        }
        code = &code[end..];
        match code.strip_prefix("::") {
            Some(rest) if end > 0 => code = rest,
            _ => break,
        }
    }
    paths.push(path);
    code
}

/// Reads the paths of a group up to its end; what follows it.
fn group<'a>(code: &'a str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut code = code.trim_start();
    while !code.is_empty() {
        if let Some(rest) = code.strip_prefix('}') {
            return rest;
        }
        code = tree(code, prefix, paths);
        // After a path there may be another name for it.
        let end = code.find([',', '}']).unwrap_or(code.len());
        code = code[end..].trim_start_matches(',').trim_start();
    }
    code
}

#[test]
fn paths_are_read_with_groups_in_groups() {
    let found = |code: &str| -> Vec<String> { paths(code).iter().map(|path| path.join("::")).collect() };
    assert_eq!(
        found("use crate::{a::{b, c::{d as e}}, f};\nlet x = crate::g::h::<T>();"),
        ["crate::a::b", "crate::a::c::d", "crate::f", "crate::g::h"]
    );
    assert_eq!(found("use super::super::x;"), ["super::super::x"]);
    assert_eq!(
        found("use crate::*;\nuse crate::{self as c};"),
        ["crate::*", "crate::self"]
    );
    assert_eq!(
        found("mycrate::f; pub(super) fn f(); a::self::b"),
        Vec::<String>::new()
    );
}

#[test]
fn paths_are_resolved_by_the_depth_of_their_file() {
    let found = |file: &str, code: &str| -> Vec<String> {
        named(file, code).iter().map(|path| path.join("::")).collect()
    };
    assert_eq!(found("boot.rs", "super::net::Net"), ["net::Net"]);
    assert_eq!(found("lib.rs", "self::net::Net"), ["net::Net"]);
    assert_eq!(found("log/mod.rs", "super::net::Net"), ["net::Net"]);
    assert_eq!(found("log/own.rs", "super::net::Net"), ["log::net::Net"]);
    assert_eq!(found("log/own.rs", "super::super::net::Net"), ["net::Net"]);
    assert_eq!(found("log/own.rs", "self::super::super::net"), ["net"]);
    assert_eq!(found("kinds/a/mod.rs", "super::b::C"), ["kinds::b::C"]);
    assert_eq!(found("kinds/a/rows.rs", "super::super::b"), ["kinds::b"]);
    assert_eq!(found("kinds/a/rows.rs", "crate::{kinds, net}"), ["kinds", "net"]);
    let inside = "pub(crate) mod meta {\nuse super::super::super::net::Net;\n}";
    assert_eq!(found("log/own.rs", inside), ["net::Net", "net::Net"]);
}
