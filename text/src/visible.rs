//! What the eye sees of a text that someone else wrote, and what must not reach the page as it is.
//!
//! Characters that direct other characters can turn the words around them: U+202E in a name shows the app's own words
//! backwards. Names are shown without them ([`name`]), posts without the ones that override ([`text`]). A page isolates
//! each foreign text by its own means (`<bdi>`); where there are none, such as in a title, [`isolated`] does.

use std::borrow::Cow;

use crate::class::{Class, class, has_marks, is_ignorable};

/// Marks shown on one character, at most: more than every script writes, and not enough to cover the lines around it.
/// Further ones are left out.
pub const MARKS_MAX: u32 = 8;
/// Line breaks in a row that a post shows, at most: two empty lines. Further ones are left out.
pub const BREAKS_MAX: u32 = 3;
/// Tag characters in the flag of a region, at most, its end included: those of the longest region of Unicode.
const FLAG_CHARS_MAX: u32 = 7;

/// Whether nothing of the text can be seen: it is empty, or made of spaces, fillers, format characters and marks without
/// a character to stand on.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| is_space(c) || is_ignorable(c) || class(c) == Class::Mark)
}

/// White space, a control character, or the Braille cell without dots.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{2800}'
}

/// A character that joins its neighbours or keeps them apart: Persian and Indic words and composed emoji need it.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Chooses a form of the character before it.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{e0100}'..='\u{e01ef}')
}

/// A name as it is shown: in one line, with single spaces, without characters that show nothing, and with at most
/// [`MARKS_MAX`] marks on a character. Empty if nothing can be seen of it.
#[must_use]
pub fn name(text: &str) -> String {
    let mut shown = String::new();
    let mut base = None;
    let (mut space, mut joiner, mut on_base) = (false, None, 0);
    for c in text.chars() {
        if is_space(c) {
            space = base.is_some();
        } else if is_joiner(c) {
            joiner = Some(c);
        } else if is_ignorable(c) && !is_selector(c) {
            // The flags of England, Scotland and Wales are spelled in tag characters.
            let of_flag = base == Some('🏴') && !space && ('\u{e0020}'..='\u{e007f}').contains(&c);
            if of_flag && on_base < FLAG_CHARS_MAX {
                on_base += 1;
                shown.push(c);
            }
        } else {
            let on_it = is_selector(c) || class(c) == Class::Mark;
            if on_it && (base.is_none() || space || on_base >= MARKS_MAX) {
                continue;
            }
            if space {
                shown.push(' ');
            } else if let (Some(joiner), Some(_)) = (joiner, base) {
                shown.push(joiner);
            }
            (space, joiner) = (false, None);
            shown.push(c);
            if on_it {
                on_base += 1;
            } else {
                (base, on_base) = (Some(c), 0);
            }
        }
    }
    shown
}

/// A post or another long text as it is shown: without characters that override the direction of others, with at most
/// [`MARKS_MAX`] marks on a character and [`BREAKS_MAX`] line breaks in a row.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    let overrides = |c| matches!(c, '\u{202a}'..='\u{202e}');
    let breaks = "\n".repeat(BREAKS_MAX as usize + 1);
    let breaks_hidden = text.contains('\r') || text.contains("\n ") || text.contains("\n\t");
    if !text.contains(overrides)
        && !has_marks(text, MARKS_MAX + 1)
        && !text.contains(is_ignorable)
        && !text.contains(&breaks)
        && !breaks_hidden
    {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let (mut marks, mut lines) = (0, 0);
    // White space after a line break, which counts only if something follows it in its line.
    let mut indent = String::new();
    for c in text.chars().filter(|c| !overrides(*c) && *c != '\r') {
        if c == '\n' {
            lines += 1;
            marks = 0;
            indent.clear();
            if lines <= BREAKS_MAX {
                shown.push(c);
            }
        } else if lines > 0 && is_space(c) {
            indent.push(c);
        } else {
            // Marks after a character that shows nothing stand on those before it.
            if class(c) == Class::Mark {
                marks += 1;
            } else if !is_ignorable(c) {
                marks = 0;
            }
            shown.push_str(&indent);
            indent.clear();
            lines = 0;
            if marks <= MARKS_MAX {
                shown.push(c);
            }
        }
    }
    Cow::Owned(shown)
}

/// A name for places without markup, such as a title: it keeps its own direction and does not change that of the words
/// around it (U+2068, U+2069).
#[must_use]
pub fn isolated(text: &str) -> String {
    let shown = name(text);
    match shown.is_ascii() {
        true => shown,
        false => format!("\u{2068}{shown}\u{2069}"),
    }
}

#[cfg(test)]
#[path = "visible_tests.rs"]
mod tests;
