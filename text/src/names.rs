//! The spelling of names and slugs: each has one canonical form, and none can be mistaken for another.
//!
//! Names are compared by eye, so the rules are those of Unicode's report on security (UTS #39): allowed characters,
//! one script (or a usual mixture, "highly restrictive"), no name in other letters that reads like one in Latin
//! letters. Two names that look alike cannot have two owners: `paypa1` is taken when `paypal` is. Lower-case ASCII letters
//! are told apart: `modem` and `modern` are two names, although they have one skeleton in UTS #39.

use protocol::names::NameFault;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::GeneralSecurityProfile as _;
use unicode_security::confusable_detection::skeleton as uts39_skeleton;
use unicode_security::restriction_level::{RestrictionLevel, RestrictionLevelDetection as _};

/// Minimum number of characters.
const CHARS_MIN: u8 = 2;
/// Maximum number of characters: at four bytes each they fit into `UNIQUE_NAME_LEN_MAX`.
const CHARS_MAX: u8 = 30;

/// The canonical form of a name: NFKC and lower case.
#[must_use]
pub fn canonical(name: &str) -> String {
    // Lower-casing can decompose a character, as in `İ`. Normalizing twice is enough (Unicode 15, section 3.13).
    let folded: String = name.nfkc().collect::<String>().to_lowercase();
    folded.nfkc().collect::<String>().to_lowercase()
}

/// The skeleton of a name after UTS #39, in lower case. Names that look alike have one skeleton; so do some plain ones,
/// which [`look`] tells apart.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let seen: String = uts39_skeleton(name).collect();
    // The skeleton of `0` is `O`, so it is lower-cased again.
    uts39_skeleton(&seen.to_lowercase())
        .collect::<String>()
        .to_lowercase()
}

/// How a name looks: two names of one look cannot have two owners. It is the skeleton, but for the letters `a` to `z`, each
/// of which remains what it is. UTS #39 replaces one of them, `m` by `rn`; so `rn` of another character means `m` here.
#[must_use]
pub fn look(name: &str) -> String {
    let seen = |c: char| skeleton(c.encode_utf8(&mut [0; 4])).replace("rn", "m");
    let look: String = name.nfd().map(seen).collect();
    look.nfd().collect()
}

/// Checks the spelling of a name; `dots`: whether it may have dots, as names of accounts do and slugs do not.
///
/// # Errors
/// What is wrong with it.
pub fn check_spelling(name: &str, dots: bool) -> Result<(), NameFault> {
    let chars = name.chars().count();
    if chars < usize::from(CHARS_MIN) {
        return Err(NameFault::TooShort { min: CHARS_MIN });
    }
    if chars > usize::from(CHARS_MAX) {
        return Err(NameFault::TooLong { max: CHARS_MAX });
    }
    let canonical = canonical(name);
    if canonical != name {
        return Err(match check_spelling(&canonical, dots) {
            Ok(()) => NameFault::NotCanonical { canonical },
            Err(fault) => fault,
        });
    }
    let separator = |character: char| matches!(character, '-' | '_') || (character == '.' && dots);
    let letter = |character: char| {
        (character.is_alphanumeric() || is_combining_mark(character)) && character.identifier_allowed()
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
    if name.chars().next().is_some_and(is_combining_mark) {
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
#[path = "names_tests.rs"]
mod tests;
