use proptest::prelude::*;

use super::*;

#[test]
fn what_looks_alike_has_one_look() {
    for (one, other) in [
        ("paypal", "paypa1"),
        ("boo", "b00"),
        ("bill", "bi1l"),
        ("modem", "m0dem"),
        ("l0", "1o"),
    ] {
        assert_eq!(look(one), look(other), "{one} {other}");
        assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
    }
}

#[test]
fn plain_letters_are_told_apart() {
    for (one, other) in [
        ("modem", "modern"),
        ("bum", "burn"),
        ("corn", "com"),
        ("ada", "bob"),
        ("vvater", "water"),
        ("clay", "day"),
    ] {
        assert_ne!(look(one), look(other), "{one} {other}");
    }
    for c in 'a'..='z' {
        assert_eq!(look(&c.to_string()), c.to_string());
    }
    // A character that reads like `m` is guarded against `m`.
    assert_eq!(look("\u{217f}"), "m");
}

#[test]
fn names_have_dots_and_slugs_have_none() {
    assert_eq!(check_spelling("ada.lovelace", true), Ok(()));
    let fault = NameFault::Character { character: '.' };
    assert_eq!(check_spelling("ada.lovelace", false), Err(fault));
}

proptest! {
    #[test]
    fn a_name_has_one_spelling(name in "\\PC{0,40}") {
        let once = canonical(&name);
        prop_assert_eq!(canonical(&once), once.clone());
        if let Err(NameFault::NotCanonical { canonical }) = check_spelling(&name, true) {
            prop_assert_eq!(check_spelling(&canonical, true), Ok(()));
        }
        if check_spelling(&name, true).is_ok() {
            prop_assert!(name.len() <= protocol::limits::UNIQUE_NAME_LEN_MAX);
            prop_assert_eq!(once, name);
        }
    }

    /// Names of one look share their first row in the registry, which is that of the skeleton.
    #[test]
    fn names_of_one_look_have_one_skeleton(name in "([a-z0-9]|\\PC){0,20}") {
        let name = canonical(&name);
        prop_assert_eq!(skeleton(&look(&name)), skeleton(&name));
    }
}
