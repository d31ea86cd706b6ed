//! Tokens of a post's text: web addresses, handles and tags, as ranges of bytes. What lies between them is plain text.
//!
//! The rules follow twitter-text and Mastodon, whose users know them:
//!
//! - An **address** begins with `http://` or `https://`, not directly after an ASCII letter, a digit, `@`, `#` or `$`.
//!   It ends at white space, quotes, angle brackets, punctuation of other scripts, a bracket that was not opened in it,
//!   and before a bracket that is not closed in it. Punctuation at the end belongs to the sentence. A letter of a script
//!   that is written without spaces ends it directly after an ASCII letter or digit: `https://example.org/aを見て`. An
//!   address with a user name is none: `https://bank.example@other.example` leads to `other.example`.
//! - A **handle** is `@` and at most 30 letters, marks and digits, with single `.`, `-` and `_` between them. None follows
//!   directly on a word, so that mail addresses have none, except on a word of a script without spaces. `@ada@example.org`
//!   is of another network and no handle.
//! - A **tag** is `#` and at most 64 letters, marks, digits and `_`, with at least one letter. Joiners (U+200C, U+200D) and
//!   the middle dots of some languages belong to it between two of these. None follows directly on a word.
//!
//! Time is linear in the length of the text.

use std::ops::Range;

use crate::class::{Class, class, is_unspaced, is_word};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A web address.
    Address,
    /// A handle, with its sign.
    Handle,
    /// A tag, with its sign.
    Tag,
}

/// A part of a text that is more than plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Its bytes.
    pub range: Range<usize>,
}

/// Characters of a tag without its sign, at most. What is longer is no tag.
const TAG_CHARS_MAX: usize = 64;
/// Characters of a handle without its sign, at most: names are no longer. What is longer is no handle.
pub(crate) const HANDLE_CHARS_MAX: usize = 30;
/// Brackets that are open at the same time in an address. It ends before the next one.
const OPEN_MAX: usize = 8;

/// The tokens of a text, in their order.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut before = None;
    while let Some(here) = text[at..].chars().next() {
        let rest = &text[at..];
        let token = match here {
            'h' | 'H' if address_may_follow(before) => address(rest).map(|len| (Kind::Address, len)),
            '@' | '＠' if handle_may_follow(before) => handle(rest).map(|len| (Kind::Handle, len)),
            '#' | '＃' if tag_may_follow(before) => tag(rest).map(|len| (Kind::Tag, len)),
            _ => None,
        };
        let len = match token {
            Some((kind, len)) => {
                let range = at..at + len;
                found.push(Token { kind, range });
                len
            }
            None => here.len_utf8(),
        };
        before = text[at..at + len].chars().next_back();
        at += len;
    }
    found
}

fn address_may_follow(before: Option<char>) -> bool {
    before.is_none_or(|c| !c.is_ascii_alphanumeric() && !matches!(c, '@' | '＠' | '#' | '＃' | '$'))
}

fn handle_may_follow(before: Option<char>) -> bool {
    before.is_none_or(|c| match c {
        '@' | '＠' | '#' | '＃' | '/' | '\\' | '!' | '$' | '%' | '&' | '*' | '+' | '=' => false,
        _ => is_unspaced(c) || !is_word(c),
    })
}

fn tag_may_follow(before: Option<char>) -> bool {
    before.is_none_or(|c| !matches!(c, '&' | '/' | '#' | '＃' | '=') && !is_word(c))
}

/// A letter, mark or digit outside ASCII that an address may have. Full-width letters are punctuation here: browsers
/// read them as ASCII, so an address with them would lead to another place than it shows.
fn is_foreign_word(c: char, before: Option<char>) -> bool {
    let full_width = ('\u{ff01}'..='\u{ff5e}').contains(&c);
    let ends_latin = is_unspaced(c) && before.is_some_and(|c| c.is_ascii_alphanumeric());
    let ends = c.is_ascii() || full_width || ends_latin;
    !ends && is_word(c)
}

/// The length of the address that the text begins with.
fn address(rest: &str) -> Option<usize> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| {
        let start = rest.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })?;
    let mut end = scheme.len() + host(&rest[scheme.len()..])?;
    if let Some(port) = rest[end..].strip_prefix(':') {
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=5).contains(&digits) {
            end += 1 + digits;
        } else if port.starts_with("//") || has_user(port) {
            return None;
        }
    }
    match rest[end..].chars().next() {
        Some('@' | '＠' | '%') => None,
        Some('/' | '?' | '#') => Some(end + path(&rest[end..])),
        _ => Some(end),
    }
}

/// Whether a host follows, after the password of a user.
fn has_user(rest: &str) -> bool {
    let ends = |c: char| matches!(c, '/' | '?' | '#' | '@') || c.is_whitespace();
    rest.find(ends).is_some_and(|at| rest[at..].starts_with('@'))
}

/// The length of the host that the text begins with.
fn host(rest: &str) -> Option<usize> {
    /// Longer than every IPv6 address in brackets.
    const IPV6_LEN_MAX: usize = 48;
    if rest.starts_with('[') {
        let len = rest.bytes().take(IPV6_LEN_MAX).position(|b| b == b']')?;
        let inner = &rest.as_bytes()[1..len];
        let fits = inner.contains(&b':') && inner.iter().all(|b| b.is_ascii_hexdigit() || b":.".contains(b));
        return fits.then_some(len + 1);
    }
    let (mut end, mut before) = (0, None);
    for (at, c) in rest.char_indices() {
        if c.is_ascii_alphanumeric() || is_foreign_word(c, before) {
            end = at + c.len_utf8();
        } else if !matches!(c, '-' | '_' | '.') || before.is_none_or(|before| before == '.') {
            break;
        }
        before = Some(c);
    }
    (end > 0).then_some(end)
}

/// The length of the path, query and fragment that the text begins with, without the punctuation of the sentence.
fn path(rest: &str) -> usize {
    let mut open = Vec::new();
    let (mut end, mut before) = (rest.len(), None);
    for (at, c) in rest.char_indices() {
        let belongs = match c {
            '(' | '[' => {
                open.push((at, if c == '(' { ')' } else { ']' }));
                open.len() <= OPEN_MAX
            }
            ')' | ']' => open.pop_if(|(_, closes)| *closes == c).is_some(),
            'a'..='z' | 'A'..='Z' | '0'..='9' => true,
            '-' | '.' | '_' | '~' | ':' | '/' | '?' | '#' | '@' | '!' | '$' | '&' | '\'' | '*' | '+'
            | ',' | ';' | '=' | '%' | '|' => true,
            _ => is_inner(c) || is_foreign_word(c, before),
        };
        if !belongs {
            end = at;
            break;
        }
        before = Some(c);
    }
    if let Some((at, _)) = open.first() {
        end = end.min(*at);
    }
    let of_sentence = |c: char| {
        matches!(
            c,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '~' | '|' | '@' | '$' | '&'
        ) || is_inner(c)
    };
    rest[..end].trim_end_matches(of_sentence).len()
}

/// What is part of an address only if more of it follows.
fn is_inner(c: char) -> bool {
    matches!(c, '–' | '’' | '·' | '\u{200c}' | '\u{200d}')
}

/// The length of the handle that the text begins with.
fn handle(rest: &str) -> Option<usize> {
    let sign = rest.chars().next()?;
    let name = &rest[sign.len_utf8()..];
    let len = handle_name(name)?;
    let after = &name[len..];
    (!after.starts_with(['@', '＠']) && !after.starts_with("://")).then_some(sign.len_utf8() + len)
}

/// The length of the name of a handle that the text begins with.
pub(crate) fn handle_name(rest: &str) -> Option<usize> {
    let (mut end, mut chars, mut before) = (0, 0, None::<char>);
    for (count, (at, c)) in rest.char_indices().enumerate() {
        if matches!(c, '.' | '-' | '_') {
            if before.is_none_or(|before| matches!(before, '.' | '-' | '_')) {
                break;
            }
        } else if c.is_ascii_alphanumeric() || is_foreign_word(c, before) {
            if before.is_none() && class(c) == Class::Mark {
                return None;
            }
            if count >= HANDLE_CHARS_MAX {
                return None;
            }
            (end, chars) = (at + c.len_utf8(), count + 1);
        } else {
            break;
        }
        if count > HANDLE_CHARS_MAX {
            break;
        }
        before = Some(c);
    }
    (chars >= 2).then_some(end)
}

/// The length of the tag that the text begins with.
fn tag(rest: &str) -> Option<usize> {
    let sign = rest.chars().next()?;
    let word = &rest[sign.len_utf8()..];
    let (mut end, mut letter, mut before) = (0, false, None);
    for (count, (at, c)) in word.char_indices().enumerate() {
        if is_word(c) {
            let class = class(c);
            if before.is_none() && class == Class::Mark || count >= TAG_CHARS_MAX {
                return None;
            }
            letter |= class == Class::Letter;
            end = at + c.len_utf8();
        } else if before.is_none_or(is_joiner) || !is_joiner(c) {
            break;
        }
        before = Some(c);
    }
    (letter && !word[end..].starts_with("://")).then_some(sign.len_utf8() + end)
}

/// What belongs to a tag between two letters: joiners, the middle dots of Catalan and Japanese, the marks of Hebrew
/// abbreviations and compounds, the divider of Tibetan syllables.
fn is_joiner(c: char) -> bool {
    matches!(
        c,
        '\u{200c}' | '\u{200d}' | '·' | '・' | '\u{5f3}' | '\u{5f4}' | '\u{5be}' | '\u{f0b}'
    )
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
