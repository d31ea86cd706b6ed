use super::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

#[test]
fn characters_have_their_classes() {
    for (c, expected) in [
        ('a', Class::Letter),
        ('é', Class::Letter),
        ('न', Class::Letter),
        ('ー', Class::Letter),
        ('\u{94d}', Class::Mark),
        ('\u{301}', Class::Mark),
        ('7', Class::Number),
        ('७', Class::Number),
        ('_', Class::Other),
        ('🐦', Class::Other),
        ('、', Class::Other),
        ('\u{200c}', Class::Other),
    ] {
        assert_eq!(class(c), expected, "{c:?}");
    }
    assert!(has_marks("e\u{301}\u{301}", 2) && !has_marks("e\u{301}e\u{301}", 2));
    assert!(!is_word('\u{3164}'), "a filler is a letter that shows nothing");
}

/// The browser and the tables agree on every character that both know. About one in a thousand may be known to one of
/// them alone.
#[cfg(target_arch = "wasm32")]
#[test]
fn the_browser_has_the_classes_of_the_tables() {
    use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};
    let unassigned = js_sys::RegExp::new(r"\p{Cn}", "u");
    let ignorable = js_sys::RegExp::new(r"\p{Default_Ignorable_Code_Point}", "u");
    let (mut compared, mut unknown) = (0, 0);
    for c in ('\0'..=char::MAX).filter(|c| c.general_category() != GeneralCategory::PrivateUse) {
        let text = c.to_string();
        let annotation = ('\u{fff9}'..='\u{fffb}').contains(&c);
        assert_eq!(is_ignorable(c), annotation || ignorable.test(&text), "{c:?}");
        let here = unassigned.test(&text);
        let there = c.general_category() == GeneralCategory::Unassigned;
        if here || there {
            unknown += u32::from(here != there);
            continue;
        }
        let expected = match c.general_category_group() {
            GeneralCategoryGroup::Letter => Class::Letter,
            GeneralCategoryGroup::Mark => Class::Mark,
            GeneralCategoryGroup::Number => Class::Number,
            _ => Class::Other,
        };
        assert_eq!(class(c), expected, "{c:?}");
        compared += 1;
    }
    assert!(compared > 140_000, "{compared} characters compared");
    // Two versions of Unicode are at most this far apart.
    assert!(
        unknown < 20_000,
        "{unknown} characters are known to one side alone"
    );
}
