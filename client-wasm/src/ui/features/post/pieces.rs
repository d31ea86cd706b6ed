//! The text of a post, taken apart into plain text, web addresses and hashtags. Text is untrusted: pieces are shown
//! as text nodes and never interpreted; only `http` and `https` become links.
//!
//! Invariant: the pieces joined together are the text.

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Shown as it is.
    Plain(&'a str),
    /// A web address.
    Link(&'a str),
    /// A hashtag with its sign.
    Tag(&'a str),
}

/// Takes a text apart.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut plain_from = 0;
    let mut at = 0;
    let mut before = None::<char>;
    while let Some(here) = text[at..].chars().next() {
        let rest = &text[at..];
        let begins_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let piece = if !begins_word {
            None
        } else if here == 'h' || here == 'H' {
            link(rest).map(Piece::Link)
        } else if here == '#' && before != Some('&') && before != Some('/') && before != Some('#') {
            tag(rest).map(Piece::Tag)
        } else {
            None
        };
        let len = match piece {
            Some(piece @ (Piece::Link(part) | Piece::Tag(part))) => {
                if plain_from < at {
                    found.push(Piece::Plain(&text[plain_from..at]));
                }
                found.push(piece);
                plain_from = at + part.len();
                part.len()
            }
            _ => here.len_utf8(),
        };
        before = text[at..at + len].chars().next_back();
        at += len;
    }
    if plain_from < text.len() {
        found.push(Piece::Plain(&text[plain_from..]));
    }
    found
}

/// A web address as people read it: without scheme, shortened at the end, its host always whole.
pub fn shown_address(address: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 46;
    let short = address.split_once("://").map_or(address, |(_, rest)| rest);
    let short = short.strip_prefix("www.").unwrap_or(short);
    let short = short.strip_suffix('/').unwrap_or(short);
    let host_chars = short.split('/').next().unwrap_or_default().chars().count();
    let keep = SHOWN_CHARS_MAX.max(host_chars + 2);
    if short.chars().count() <= keep {
        return short.to_owned();
    }
    let mut cut: String = short.chars().take(keep - 1).collect();
    cut.push('…');
    cut
}

/// A long text may be folded after some lines; this guesses how many it takes at the usual width.
pub fn lines_at_least(text: &str) -> usize {
    const CHARS_PER_LINE: usize = 66;
    text.lines()
        .map(|line| line.chars().count().div_ceil(CHARS_PER_LINE).max(1))
        .sum()
}

fn link(rest: &str) -> Option<&str> {
    let scheme_len = ["https://", "http://"]
        .iter()
        .find(|scheme| {
            rest.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })?
        .len();
    let end = rest
        .find(|c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '“' | '”' | '«' | '»')
        })
        .unwrap_or(rest.len());
    let mut address = rest.get(..end)?;
    // Punctuation that ends a sentence is not part of the address, nor is a bracket that was opened before it.
    while let Some(last) = address.chars().next_back() {
        let stray = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '’' | '…' => true,
            ')' => address.matches(')').count() > address.matches('(').count(),
            ']' => address.matches(']').count() > address.matches('[').count(),
            _ => false,
        };
        if !stray {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    let host = address.get(scheme_len..)?;
    host.starts_with(|c: char| c.is_alphanumeric() || c == '[')
        .then_some(address)
}

fn tag(rest: &str) -> Option<&str> {
    const TAG_CHARS_MAX: usize = 64;
    let word = rest.get(1..)?;
    let end = word
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(word.len());
    let word = &word[..end];
    let wordy = word.chars().any(char::is_alphabetic) && word.chars().count() <= TAG_CHARS_MAX;
    wordy.then(|| &rest[..=end])
}

#[cfg(test)]
mod tests {
    use super::Piece::{Link, Plain, Tag};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[Piece<'_>]) {
        let found = pieces(text);
        assert_eq!(found, expected);
        let joined: String = found
            .iter()
            .map(|piece| match piece {
                Plain(part) | Link(part) | Tag(part) => *part,
            })
            .collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn addresses_end_before_the_sentence_does() {
        check(
            "see https://example.org/a_(b). Bye",
            &[Plain("see "), Link("https://example.org/a_(b)"), Plain(". Bye")],
        );
        check(
            "(http://example.org)",
            &[Plain("("), Link("http://example.org"), Plain(")")],
        );
        check("https://", &[Plain("https://")]);
        check("javascript:alert(1)", &[Plain("javascript:alert(1)")]);
    }

    #[test]
    fn hashtags_are_words_after_a_break() {
        check("#Vögel und #1", &[Tag("#Vögel"), Plain(" und #1")]);
        check("a#b &#x27; ##c", &[Plain("a#b &#x27; ##c")]);
        check("(#birds)", &[Plain("("), Tag("#birds"), Plain(")")]);
    }

    #[test]
    fn addresses_are_shortened_behind_their_host() {
        assert_eq!(shown_address("https://www.example.org/"), "example.org");
        let long = format!("https://{}.example/{}", "h".repeat(60), "p".repeat(60));
        assert!(shown_address(&long).starts_with(&format!("{}.example/", "h".repeat(60))));
    }
}
