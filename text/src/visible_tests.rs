use super::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_nobody_sees_is_blank() {
    for blank in [
        "",
        " \n\t",
        "\u{200b}",
        "\u{3164}",
        "\u{2800}\u{2800}",
        "\u{ad}",
        "\u{feff}",
        "\u{115f}\u{1160}\u{ffa0}",
        "\u{e0067}\u{e0062}\u{e007f}",
        "\u{301}\u{302}",
        "\u{202e}\u{2066}",
        "\u{fe0f}\u{20e3}",
        "\u{0}\u{7}",
    ] {
        assert!(is_blank(blank), "{blank:?}");
        assert_eq!(name(blank), "", "{blank:?}");
    }
    for seen in ["a", "\u{200b}a", ".", "🐦", "字", "e\u{301}"] {
        assert!(!is_blank(seen), "{seen:?}");
        assert!(!name(seen).is_empty(), "{seen:?}");
    }
}

#[test]
fn a_name_is_shown_in_one_line_without_what_shows_nothing() {
    for (written, shown) in [
        (" Ada \n Lovelace ", "Ada Lovelace"),
        ("Ada\u{200b}", "Ada"),
        ("A\u{ad}d\u{2060}a\u{feff}", "Ada"),
        ("\u{202e}adA", "adA"),
        ("A\u{2066}d\u{2069}\u{200f}a", "Ada"),
        ("Ada\u{200d}", "Ada"),
        ("\u{200c}Ada \u{200d} Byron", "Ada Byron"),
        ("A\u{2800}B", "A B"),
        ("\u{301}Ada", "Ada"),
        // What some names need.
        ("نرم\u{200c}افزار", "نرم\u{200c}افزار"),
        ("👩\u{200d}🚀", "👩\u{200d}🚀"),
        ("❤\u{fe0f}", "❤\u{fe0f}"),
        ("葛\u{e0100}", "葛\u{e0100}"),
        (
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        ),
        ("नेहा", "नेहा"),
        ("e\u{301}", "e\u{301}"),
    ] {
        assert_eq!(name(written), shown, "{written:?}");
    }
    let stacked = format!("Z{}", "\u{301}".repeat(100));
    assert_eq!(name(&stacked).chars().count(), 1 + MARKS_MAX as usize);
}

#[test]
fn a_post_is_shown_with_bounded_marks_and_line_breaks() {
    for same in ["", "a\n\n\nb", "שלום \u{200f}(a)", "a\n    b", "e\u{301}\n#नेहा"] {
        assert_eq!(text(same), same);
    }
    assert_eq!(text("a\u{202e}b\u{202c}c"), "abc");
    assert_eq!(text("a\r\n\r\nb"), "a\n\nb");
    assert_eq!(text(&format!("a{}b", "\n".repeat(5_000))), "a\n\n\nb");
    assert_eq!(
        text(&format!("a{}b", "\n \u{2800}".repeat(5_000))),
        "a\n\n\n \u{2800}b"
    );
    let stacked = format!("Z{}!", "\u{301}".repeat(1_000));
    assert_eq!(text(&stacked).chars().count(), 2 + MARKS_MAX as usize);
}

#[test]
fn an_isolated_name_ends_where_it_began() {
    assert_eq!(isolated("Ada"), "Ada");
    assert_eq!(isolated("\u{202e}Ада\u{2069}"), "\u{2068}Ада\u{2069}");
}

#[cfg(not(target_arch = "wasm32"))]
proptest::proptest! {
    #[test]
    fn shown_names_are_bounded_and_stable(
        written in "(\\PC|[\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069} \n\u{301}\u{fe0f}🏴\u{e0067}\u{2800}a]){0,40}"
    ) {
        let shown = name(&written);
        proptest::prop_assert_eq!(shown.is_empty(), is_blank(&written));
        proptest::prop_assert_eq!(name(&shown), shown.clone());
        let directs = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        proptest::prop_assert!(!shown.contains(directs) && !shown.contains('\n'));
        let once = text(&written).into_owned();
        proptest::prop_assert_eq!(text(&once), once.clone());
    }
}

/// Browsers draw marks after a soft hyphen, a zero-width space or a direction mark above those before it.
#[test]
fn characters_that_show_nothing_let_no_marks_pile_up() {
    for c in [
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{206a}',
        '\u{3164}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{fff9}',
        '\u{e0061}',
    ] {
        let part = format!("{}{c}", "\u{301}".repeat(MARKS_MAX as usize));
        let written = format!("a{}", part.repeat(100));
        let marks = text(&written).matches('\u{301}').count();
        assert!(marks <= MARKS_MAX as usize, "{c:?}: {marks} marks are shown");
        assert!(
            name(&written).matches('\u{301}').count() <= MARKS_MAX as usize,
            "{c:?}"
        );
    }
    assert_eq!(text("e\u{301}\u{200b}e\u{301}"), "e\u{301}\u{200b}e\u{301}");
}
