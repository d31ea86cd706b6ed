//! The interface. It knows engine commands, queries and events, and nothing of networks or storage.
//!
//! - [`app`]: the root component.
//! - [`bridge`]: the only connection to the engine and the browser; the adapters are on its other side.
//! - [`route`]: addresses inside the app.
//! - [`state`]: what the interface knows.
//! - [`shell`], [`kit`], [`features`]: what is seen: around every page, on every page, and one folder a feature.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what one module offers another; a program exports nothing"
)]

pub mod app;
pub mod bridge;
pub mod dom;
pub mod features;
pub mod kit;
pub mod route;
pub mod shell;
pub mod state;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The files below a folder that contain one of these texts.
    fn containing(folder: &Path, texts: &[&str], found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                containing(&path, texts, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                if texts.iter().any(|text| source.contains(text)) {
                    found.push(path.display().to_string());
                }
            }
        }
    }

    /// Features that put others together and decide nothing: they are tested in a browser alone.
    const WITHOUT_DECISIONS: [&str; 2] = ["explore", "home"];

    #[test]
    fn every_feature_that_decides_something_has_tests_of_its_own() {
        let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/features");
        let mut untested = Vec::new();
        for entry in std::fs::read_dir(features).unwrap() {
            let folder = entry.unwrap();
            let mut found = Vec::new();
            if folder.path().is_dir() {
                containing(&folder.path(), &["#[test]"], &mut found);
                if found.is_empty() {
                    untested.push(folder.file_name().into_string().unwrap());
                }
            }
        }
        untested.sort();
        assert_eq!(untested, WITHOUT_DECISIONS);
    }

    #[test]
    fn the_kit_knows_neither_features_nor_the_shell() {
        let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui");
        let mut found = Vec::new();
        containing(&ui.join("kit"), &["ui::features", "ui::shell"], &mut found);
        assert!(found.is_empty(), "{found:?}");
        // The search finds what is there.
        containing(&ui.join("shell"), &["ui::features"], &mut found);
        assert!(!found.is_empty());
    }
}
