//! The text of a post, taken apart into plain text and tokens ([`text::tokens`]). Text is untrusted: pieces are shown as
//! text nodes and never interpreted.
//!
//! Invariant: the pieces joined together are the text.

pub use text::tokens::Kind;
use text::tokens::tokens;

/// Takes a text apart. `None`: plain text.
pub fn pieces(text: &str) -> Vec<(Option<Kind>, &str)> {
    let mut found = Vec::new();
    let mut end = 0;
    for token in tokens(text) {
        if end < token.range.start {
            found.push((None, &text[end..token.range.start]));
        }
        end = token.range.end;
        found.push((Some(token.kind), &text[token.range]));
    }
    if end < text.len() {
        found.push((None, &text[end..]));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_joined_together_are_the_text() {
        for (text, expected) in [
            ("", &[] as &[(Option<Kind>, &str)]),
            (
                "@ada: https://example.org/a, #birds.",
                &[
                    (Some(Kind::Handle), "@ada"),
                    (None, ": "),
                    (Some(Kind::Address), "https://example.org/a"),
                    (None, ", "),
                    (Some(Kind::Tag), "#birds"),
                    (None, "."),
                ],
            ),
        ] {
            assert_eq!(pieces(text), expected);
            assert_eq!(expected.iter().map(|(_, part)| *part).collect::<String>(), text);
        }
    }

    #[test]
    fn addresses_are_shortened_behind_their_host() {
        assert_eq!(shown_address("https://www.example.org/"), "example.org");
        let long = format!("https://{}.example/{}", "h".repeat(60), "p".repeat(60));
        assert!(shown_address(&long).starts_with(&format!("{}.example/", "h".repeat(60))));
    }
}
