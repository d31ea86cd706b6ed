//! What a typed or pasted text names: an account, a post, a handle or a slug. Links are read with any host, since all
//! relays show the same network.

use protocol::{AccountId, EntryRef, pages};

use crate::class::is_word;
use crate::tokens::{HANDLE_CHARS_MAX, Kind, tokens};

/// What a text names. Handles and slugs are as they were written: the registry knows their canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Account(AccountId),
    Post(EntryRef),
    /// A handle, without `@`.
    Handle(String),
    Slug(String),
}

/// What a text names, if anything. White space and punctuation around do not matter. Of several words, the first that is
/// an address or a handle counts.
#[must_use]
pub fn find(text: &str) -> Option<Found> {
    let text = text
        .trim_start_matches(|c| !is_word(c) && !matches!(c, '@' | '＠' | '/'))
        .trim_end_matches(|c| !is_word(c) && c != '/');
    if text.contains(char::is_whitespace) {
        let mut tokens = tokens(text).into_iter();
        let token = tokens.find(|token| token.kind != Kind::Tag)?;
        return one(&text[token.range]);
    }
    one(text)
}

fn one(text: &str) -> Option<Found> {
    let (link, rest) = match text.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (text.starts_with('/'), text),
    };
    let rest = rest.split(['?', '#']).next()?;
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match *parts.as_slice() {
        [.., pages::PERSON, account] => account.to_ascii_lowercase().parse().map(Found::Account).ok(),
        [.., pages::POST, account, id] => Some(Found::Post(EntryRef {
            account: account.to_ascii_lowercase().parse().ok()?,
            id: id.to_ascii_lowercase().parse().ok()?,
        })),
        [word] if !link => {
            let word = word.trim_start_matches(['@', '＠']);
            let account = word.to_ascii_lowercase().parse().map(Found::Account).ok();
            account.or_else(|| name(word).map(Found::Handle))
        }
        [] => None,
        [.., last] => {
            let last = decoded(last)?;
            if let Some(handle) = last.strip_prefix(['@', '＠']) {
                return name(handle).map(Found::Handle);
            }
            // A path of one part; before it a host, but for a path alone.
            let alone = text.starts_with('/') == (parts.len() == 1) && parts.len() <= 2;
            let host = parts.len() == 1 || link || parts[0].contains(['.', ':']);
            let slug = alone && host && !last.contains('.') && !pages::PAGES.contains(&last.as_str());
            slug.then(|| name(&last).map(Found::Slug))?
        }
    }
}

/// The text, if it can be a name.
fn name(text: &str) -> Option<String> {
    let fits = |c| is_word(c) || matches!(c, '.' | '-' | '\u{200c}' | '\u{200d}');
    let valid =
        text.starts_with(is_word) && text.chars().count() <= HANDLE_CHARS_MAX && text.chars().all(fits);
    valid.then(|| text.to_owned())
}

/// The text with its percent-encoded bytes decoded.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
