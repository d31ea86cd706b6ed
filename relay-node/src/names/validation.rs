//! What can be claimed as a name or slug: the rules of spelling ([`text::names`]) and the reserved names. Slugs follow the
//! rules of names but must not contain a `.`, since a path whose last part contains one is the path of a file.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::schema::Space;
use protocol::names::NameFault;

pub(super) use text::names::look;
pub use text::names::{canonical, skeleton};

/// Skeletons of the reserved names ([`protocol::pages`]).
static RESERVED_SKELETONS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| protocol::pages::unclaimable().map(skeleton).collect());

/// Whether this is a page name of the app or a reserved name, or looks like one.
#[must_use]
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED_SKELETONS.contains(&skeleton(name))
}

/// Checks whether this can be claimed as a name or slug.
///
/// # Errors
/// What is wrong with it.
pub fn check(name: &str, space: Space) -> Result<(), NameFault> {
    let spelling = check_spelling(name, space);
    let canonical = match &spelling {
        Ok(()) => name,
        Err(NameFault::NotCanonical { canonical }) => canonical,
        Err(_) => return spelling,
    };
    if is_reserved(canonical) {
        return Err(NameFault::Reserved);
    }
    spelling
}

/// Checks the spelling alone. Reserved names pass, since one may have been claimed before it was reserved.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_spelling(name: &str, space: Space) -> Result<(), NameFault> {
    text::names::check_spelling(name, space == Space::Names)
}

#[cfg(test)]
mod tests {
    use protocol::names::NameFault;

    use super::Space;

    fn check(name: &str) -> Result<(), NameFault> {
        super::check(name, Space::Names)
    }

    #[test]
    fn names_of_many_scripts_are_names() {
        for name in [
            "ada",
            "a-b",
            "ada.lovelace",
            "ada_1815",
            "jürgen",
            "søren",
            "анна",
            "中村",
            "はな",
            "יעל",
            "नेहा",
            "o2",
            "x86",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        let canonical = |canonical: &str| NameFault::NotCanonical {
            canonical: canonical.to_owned(),
        };
        let character = |character| NameFault::Character { character };
        for (name, fault) in [
            ("", NameFault::TooShort { min: 2 }),
            ("a", NameFault::TooShort { min: 2 }),
            (&"a".repeat(31), NameFault::TooLong { max: 30 }),
            ("Ada", canonical("ada")),
            ("ａｄａ", canonical("ada")),
            ("ﬁne", canonical("fine")),
            ("a b", character(' ')),
            ("-ab", character('-')),
            ("ab.", character('.')),
            ("a--b", character('-')),
            ("a\u{202e}b", character('\u{202e}')),
            ("a\u{200b}b", character('\u{200b}')),
            ("a/b", character('/')),
            ("a🐦b", character('🐦')),
            ("аda", NameFault::MixedScripts),
            ("оса", NameFault::Confusable),
            ("admin", NameFault::Reserved),
            ("he1p", NameFault::Reserved),
        ] {
            assert_eq!(check(name), Err(fault), "{name:?}");
        }
    }

    #[test]
    fn a_slug_is_like_a_name_without_dots() {
        let check = |slug| super::check(slug, Space::Slugs);
        assert_eq!(check("why-starlings_flock"), Ok(()));
        assert_eq!(check("robots.txt"), Err(NameFault::Character { character: '.' }));
    }

    #[test]
    fn no_page_name_and_no_reserved_name_can_be_claimed() {
        for name in protocol::pages::unclaimable() {
            let fault = match name.chars().count() {
                1 => NameFault::TooShort { min: 2 },
                _ => NameFault::Reserved,
            };
            for space in [Space::Names, Space::Slugs] {
                assert_eq!(super::check(name, space), Err(fault.clone()), "{name} {space:?}");
                let shouted = name.to_uppercase();
                assert_eq!(
                    super::check(&shouted, space),
                    Err(fault.clone()),
                    "{shouted} {space:?}"
                );
            }
        }
    }
}
