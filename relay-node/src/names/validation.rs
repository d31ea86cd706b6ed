//! The rules for the spelling of names and slugs: each has one canonical form, and none can be mistaken for another.
//! Slugs follow the rules of names but must not contain a `.`, since a path whose last part contains one is the path
//! of a file.
//!
//! Names are compared by eye, so the rules are those of Unicode's report on security (UTS #39): allowed characters,
//! one script (or a usual mixture, "highly restrictive"), no name in other letters that reads like one in Latin
//! letters. Two names with one skeleton (section 4 there) are one name to the registry: `paypa1` is taken when
//! `paypal` is.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::schema::Space;
use protocol::names::NameFault;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::GeneralSecurityProfile as _;
use unicode_security::confusable_detection::skeleton as uts39_skeleton;
use unicode_security::restriction_level::{RestrictionLevel, RestrictionLevelDetection as _};

/// Minimum number of characters.
const CHARS_MIN: u8 = 2;
/// Maximum number of characters: at four bytes each they fit into `UNIQUE_NAME_LEN_MAX`.
const CHARS_MAX: u8 = 30;

/// Skeletons of the reserved names ([`protocol::pages`]).
static RESERVED_SKELETONS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| protocol::pages::unclaimable().map(skeleton).collect());

/// The canonical form of a name: NFKC and lower case.
#[must_use]
pub fn canonical(name: &str) -> String {
    // Lower-casing can decompose a character, as in `İ`. Normalizing twice is enough (Unicode 15, section 3.13).
    let folded: String = name.nfkc().collect::<String>().to_lowercase();
    folded.nfkc().collect::<String>().to_lowercase()
}

/// The skeleton of a name: names with the same skeleton look alike.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let seen: String = uts39_skeleton(name).collect();
    // The skeleton of `0` is `O`, so it is lower-cased again.
    uts39_skeleton(&seen.to_lowercase())
        .collect::<String>()
        .to_lowercase()
}

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
    let chars = name.chars().count();
    if chars < usize::from(CHARS_MIN) {
        return Err(NameFault::TooShort { min: CHARS_MIN });
    }
    if chars > usize::from(CHARS_MAX) {
        return Err(NameFault::TooLong { max: CHARS_MAX });
    }
    let canonical = canonical(name);
    if canonical != name {
        return Err(match check_spelling(&canonical, space) {
            Ok(()) => NameFault::NotCanonical { canonical },
            Err(fault) => fault,
        });
    }
    let separator =
        |character: char| matches!(character, '-' | '_') || (character == '.' && space == Space::Names);
    let letter = |character: char| {
        (character.is_alphanumeric() || unicode_normalization::char::is_combining_mark(character))
            && character.identifier_allowed()
    };
    let mut before = '-';
    for character in name.chars() {
        // A separator must stand between two letters.
        let wrong = !letter(character) && (!separator(character) || separator(before));
        if wrong {
            return Err(NameFault::Character { character });
        }
        before = character;
    }
    if separator(before) {
        return Err(NameFault::Character { character: before });
    }
    if name
        .chars()
        .next()
        .is_some_and(unicode_normalization::char::is_combining_mark)
    {
        let character = name.chars().next().unwrap_or_default();
        return Err(NameFault::Character { character });
    }
    if !name.check_restriction_level(RestrictionLevel::HighlyRestrictive) {
        return Err(NameFault::MixedScripts);
    }
    if !name.is_ascii() && skeleton(name).is_ascii() {
        return Err(NameFault::Confusable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::names::NameFault;

    use super::{Space, canonical, skeleton};

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

    #[test]
    fn what_looks_alike_is_one_name() {
        for (one, other) in [
            ("paypal", "paypa1"),
            ("corn", "com"),
            ("boo", "b00"),
            ("bill", "bi1l"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
        assert_ne!(skeleton("ada"), skeleton("bob"));
    }

    proptest! {
        #[test]
        fn a_name_has_one_spelling(name in "\\PC{0,40}") {
            let once = canonical(&name);
            prop_assert_eq!(canonical(&once), once.clone());
            if let Err(NameFault::NotCanonical { canonical }) = check(&name) {
                prop_assert_eq!(check(&canonical), Ok(()));
            }
            if check(&name).is_ok() {
                prop_assert!(name.len() <= protocol::limits::UNIQUE_NAME_LEN_MAX);
                prop_assert_eq!(once, name);
            }
        }
    }
}
