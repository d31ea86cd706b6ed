//! What one emoji is: a sequence by the grammar of UTS #51 (ED-17), in one form.
//!
//! Fonts draw some symbols in colour as they are and others only before U+FE0F. A sequence here has U+FE0F exactly where it is
//! needed, so that two peers never count one picture as two reactions.

mod tables;
#[cfg(test)]
mod tests;

use core::iter::Peekable;
use core::str::Chars;

use tables::{IN_COLOUR, IN_COLOUR_IF_ASKED, WITH_SKIN};

/// The emoji of a reaction, in bytes: what the longest sequence of Unicode (two people with skin tones) needs, and a little more.
pub const EMOJI_LEN_MAX: usize = 40;

const JOINER: char = '\u{200d}';
const IN_COLOUR_HERE: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';
const BLACK_FLAG: char = '\u{1f3f4}';
const LAST_TAG: char = '\u{e007f}';
/// Tags that name a part of a country; CLDR has none with more.
const TAGS_MAX: usize = 7;

/// Whether a text is one emoji in the form that reactions have.
#[must_use]
pub fn is_emoji(text: &str) -> bool {
    text.len() <= EMOJI_LEN_MAX && emoji(text).is_some_and(|form| form == text)
}

/// The emoji that a text is, in the form that reactions have: people and keyboards write more forms of one. `None` if it is no emoji,
/// or more than one.
#[must_use]
pub fn emoji(text: &str) -> Option<String> {
    let text = text.trim();
    // Each may be followed by a sign that it needs not.
    if text.len() > 2 * EMOJI_LEN_MAX {
        return None;
    }
    let mut form = String::new();
    let mut chars = text.chars().peekable();
    let first = chars.next()?;
    if is_regional(first) {
        form.extend([first, chars.next().filter(|c| is_regional(*c))?]);
    } else if matches!(first, '0'..='9' | '#' | '*') {
        skip_signs(&mut chars);
        form.extend([first, IN_COLOUR_HERE, chars.next().filter(|c| *c == KEYCAP)?]);
    } else {
        picture(first, &mut chars, &mut form)?;
        let mut framed = is_framed(first);
        if first == BLACK_FLAG && chars.peek().is_some_and(|c| tag(*c).is_some()) {
            tags(&mut chars, &mut form)?;
        } else {
            while let Some(joiner) = chars.next_if_eq(&JOINER) {
                form.push(joiner);
                let next = chars.next()?;
                framed |= is_framed(next);
                picture(next, &mut chars, &mut form)?;
                if framed {
                    return None;
                }
            }
        }
    }
    (chars.next().is_none() && form.len() <= EMOJI_LEN_MAX).then_some(form)
}

/// One symbol, with a skin tone or the sign that it is shown in colour.
fn picture(symbol: char, rest: &mut Peekable<Chars<'_>>, form: &mut String) -> Option<()> {
    let asked = is_in(IN_COLOUR_IF_ASKED, symbol);
    if !asked && !is_in(IN_COLOUR, symbol) {
        return None;
    }
    form.push(symbol);
    skip_signs(rest);
    if let Some(tone) = rest.next_if(|c| matches!(c, '\u{1f3fb}'..='\u{1f3ff}')) {
        if !is_in(WITH_SKIN, symbol) {
            return None;
        }
        form.push(tone);
        skip_signs(rest);
    } else if asked {
        form.push(IN_COLOUR_HERE);
    }
    Some(())
}

/// The name of a part of a country, after the black flag.
fn tags(rest: &mut Peekable<Chars<'_>>, form: &mut String) -> Option<()> {
    let mut count = 0;
    while let Some(next) =
        rest.next_if(|c| tag(*c).is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
    {
        form.push(next);
        count += 1;
    }
    form.push(rest.next().filter(|c| *c == LAST_TAG)?);
    (1..=TAGS_MAX).contains(&count).then_some(())
}

/// The character that a tag stands for.
fn tag(c: char) -> Option<char> {
    let is_tag = matches!(c, '\u{e0020}'..=LAST_TAG);
    is_tag.then(|| char::from_u32(u32::from(c) - 0xe_0000)).flatten()
}

fn skip_signs(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if_eq(&IN_COLOUR_HERE).is_some() {}
}

/// Two of these are the flag of a country.
fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Letters and signs in a frame: joined, they would spell words. No emoji of Unicode joins them.
fn is_framed(c: char) -> bool {
    matches!(
        c,
        '©' | '®' | '™' | 'ℹ' | 'Ⓜ' | '㊗' | '㊙' | '\u{1f170}'..='\u{1f251}'
    )
}

fn is_in(table: &[(u32, u32)], c: char) -> bool {
    let c = u32::from(c);
    let at = table.partition_point(|(_, last)| *last < c);
    table.get(at).is_some_and(|(first, _)| *first <= c)
}
