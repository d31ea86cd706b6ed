//! Reactions to posts.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind};
use crate::id::EntryRef;

/// The emoji of a reaction, in bytes: what the longest sequence of Unicode (two people with skin tones) needs, and a
/// little more.
pub const EMOJI_LEN_MAX: usize = 40;

/// What an account thinks of a post: one emoji, or none any more. Per account and post the one with the greatest
/// (lamport, device) wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub post: EntryRef,
    /// The emoji; empty if the reaction is withdrawn.
    pub emoji: String,
}

impl EntryBody for Reaction {
    const KIND: Kind = Kind::REACTION;

    fn is_valid(&self) -> bool {
        self.emoji.is_empty() || is_emoji(&self.emoji)
    }
}

/// Whether a text is one emoji, by ranges of code points and not by the tables of Unicode, which grow every year and
/// are large: one symbol with its modifiers, several of these joined, or a flag. So letters, digits, spaces and
/// controls cannot be in a reaction, and two symbols side by side cannot either. Some symbols pass that are no emoji.
/// Keycaps do not pass: they begin with a digit.
#[must_use]
pub fn is_emoji(text: &str) -> bool {
    if text.len() > EMOJI_LEN_MAX {
        return false;
    }
    if text.chars().all(is_regional) {
        return text.chars().count() == 2;
    }
    let mut wants_symbol = true;
    for c in text.chars() {
        match c {
            // The joiner, then: the emoji form, skin tones, and the tags that spell the flag of a region.
            '\u{200d}' if !wants_symbol => wants_symbol = true,
            '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}' if !wants_symbol => {}
            c if wants_symbol && is_symbol(c) => wants_symbol = false,
            _ => return false,
        }
    }
    !wants_symbol
}

/// Two of these are the flag of a country.
fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_symbol(c: char) -> bool {
    matches!(
        c,
        '©' | '®' | '‼' | '⁉' | '™' | 'ℹ' | '\u{2190}'..='\u{2bff}' | '〰' | '〽' | '㊗' | '㊙' | '\u{1f000}'..='\u{1faff}'
    ) && !is_regional(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_of_every_shape_are_taken() {
        for emoji in [
            "👍",
            "❤️",
            "❤",
            "👍🏽",
            "🇩🇪",
            "🏳️‍🌈",
            "👨‍👩‍👧‍👦",
            "👩🏽‍❤️‍💋‍👩🏿",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "☺️",
            "™️",
            "🫶",
            "⭐",
        ] {
            assert!(is_emoji(emoji), "{emoji} ({} bytes)", emoji.len());
        }
    }

    #[test]
    fn texts_and_controls_and_more_than_one_are_refused() {
        for text in [
            "",
            "a",
            "+1",
            "1️⃣",
            "👍👍",
            "👍 ",
            " 👍",
            "👍a",
            "ä",
            "漢",
            "\u{200d}",
            "👍\u{200d}",
            "\u{fe0f}",
            "\u{202e}",
            "👍\u{202e}",
            "👍\u{0}",
            "🇩",
            "🇩🇪🇫🇷",
            "👍🇩🇪",
        ] {
            assert!(!is_emoji(text), "{text:?}");
        }
        let long = ["👍"; 6].join("\u{200d}");
        assert!(long.len() == 39 && is_emoji(&long));
        assert!(!is_emoji(&format!("{long}\u{fe0f}")), "42 bytes");
    }
}
