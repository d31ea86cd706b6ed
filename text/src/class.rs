//! Classes of characters. The browser and the tables of this program may know different versions of Unicode; they
//! differ only in characters that one of them does not know yet, which are [`Class::Other`] there.

/// A general category of Unicode, without its second letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Letter,
    Mark,
    Number,
    Other,
}

#[cfg(not(target_arch = "wasm32"))]
mod source {
    use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

    use super::Class;

    pub(super) fn class(c: char) -> Class {
        match c.general_category_group() {
            GeneralCategoryGroup::Letter => Class::Letter,
            GeneralCategoryGroup::Mark => Class::Mark,
            GeneralCategoryGroup::Number => Class::Number,
            _ => Class::Other,
        }
    }

    pub(super) fn has_marks(text: &str, count: u32) -> bool {
        let mut run = 0;
        text.chars().any(|c| {
            run = if super::class(c) == Class::Mark {
                run + 1
            } else {
                0
            };
            run >= count
        })
    }
}

#[cfg(target_arch = "wasm32")]
mod source {
    use js_sys::RegExp;

    use super::Class;

    thread_local! {
        static CLASSES: [(RegExp, Class); 3] = [
            (RegExp::new(r"\p{L}", "u"), Class::Letter),
            (RegExp::new(r"\p{M}", "u"), Class::Mark),
            (RegExp::new(r"\p{N}", "u"), Class::Number),
        ];
    }

    pub(super) fn class(c: char) -> Class {
        let mut utf8 = [0; 4];
        let text: &str = c.encode_utf8(&mut utf8);
        CLASSES.with(|classes| {
            let found = classes.iter().find(|(pattern, _)| pattern.test(text));
            found.map_or(Class::Other, |(_, class)| *class)
        })
    }

    pub(super) fn has_marks(text: &str, count: u32) -> bool {
        !text.is_ascii() && RegExp::new(&format!(r"\p{{M}}{{{count}}}"), "u").test(text)
    }
}

/// The class of a character.
pub(crate) fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Number,
        '\0'..='\x7f' => Class::Other,
        _ => source::class(c),
    }
}

/// Whether a text has this many marks (accents, vowel signs) in a row.
pub(crate) fn has_marks(text: &str, count: u32) -> bool {
    source::has_marks(text, count)
}

/// Whether words are made of it: a visible letter, a mark, a number or `_`.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || (class(c) != Class::Other && !is_ignorable(c))
}

/// Code points that show nothing by themselves: Default_Ignorable_Code_Point of Unicode, and the controls of
/// annotations (U+FFF9 to U+FFFB). Unicode reserved the unassigned ones among them, so the list changes rarely.
const IGNORABLE: [(char, char); 18] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether the character shows nothing by itself.
pub(crate) fn is_ignorable(c: char) -> bool {
    c >= '\u{ad}' && IGNORABLE.iter().any(|(from, to)| (*from..=*to).contains(&c))
}

/// Whether it is of a script that is written without spaces, or attaches particles to words: Thai to Tibetan, Burmese,
/// Khmer, Chinese, Japanese and Korean. By blocks: only the end of addresses and handles depends on it.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
#[path = "class_tests.rs"]
mod tests;
