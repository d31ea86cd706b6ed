use super::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Texts in which the tokens stand between `⟨` and `⟩`. The kind of a token follows from its first character.
const CASES: &[&str] = &[
    // Where an address begins.
    "⟨https://example.org⟩",
    "⟨http://example.org/⟩",
    "⟨HTTPS://Example.org⟩",
    "see ⟨https://example.org⟩",
    "見て⟨https://example.org/a⟩、すごい。",
    "éclairs:⟨https://example.org⟩",
    "ahttps://example.org",
    "7https://example.org",
    "#https://example.org",
    "$https://example.org",
    "@https://example.org",
    "https://",
    "https:///a",
    "https://.",
    "https://-a",
    "ftp://example.org",
    "javascript:alert(1)",
    "https://⟨https://example.org⟩",
    // Where it ends.
    "⟨https://example.org/a⟩.",
    "⟨https://example.org/a⟩, and",
    "⟨https://example.org/a⟩?!",
    "⟨https://example.org/a⟩…",
    "⟨https://example.org⟩!",
    "⟨https://example.org⟩: yes",
    "“⟨https://example.org/a⟩”",
    "\"⟨https://example.org/a⟩\"",
    "'⟨https://example.org/a⟩'",
    "«⟨https://example.org/a⟩»",
    "<⟨https://example.org/a⟩>",
    "**⟨https://example.org/a⟩**",
    "`⟨https://example.org/a⟩`",
    "⟨https://example.org/a⟩\n⟨https://example.org/b⟩",
    "⟨https://example.org/a⟩\u{202e}b",
    "⟨https://example.org/a⟩\u{200b}b",
    "⟨https://example.org⟩\\@other.example",
    "⟨https://example.org/a⟩🎉",
    "⟨https://example.org/a/⟩",
    "⟨https://example.org/?q=⟩",
    "⟨https://example.org/?a=1&b=%20#c⟩",
    "⟨https://example.org?a⟩",
    "⟨https://example.org/a–b⟩ – c",
    "⟨https://example.org/l’été⟩’",
    "⟨https://example.org/@ada⟩",
    // Brackets.
    "(⟨https://example.org⟩)",
    "(⟨https://example.org/a⟩).",
    "[⟨https://example.org/a⟩]",
    "[a](⟨https://example.org/a⟩)",
    "(⟨https://example.org/a⟩)です",
    "⟨https://example.org/a_(b)⟩",
    "(⟨https://example.org/a_(b)⟩)",
    "⟨https://example.org/a_(b_(c))⟩).",
    "⟨https://example.org/a⟩(b",
    "⟨https://example.org/?a[]=1⟩",
    "⟨https://example.org/a⟩[b(c]d",
    "⟨https://example.org⟩(b)",
    "【⟨https://example.org⟩】",
    "（⟨https://example.org/a⟩）",
    "「⟨https://example.org/a⟩」と",
    // Other scripts.
    "⟨https://example.org/a⟩を見て",
    "⟨https://example.org⟩を見て",
    "⟨https://example.org/a⟩에서",
    "⟨https://example.org/a⟩。次",
    "⟨https://example.org/a⟩，然后",
    "⟨https://example.org/a⟩\u{3000}次",
    "⟨https://ja.example.org/wiki/日本⟩",
    "⟨https://日本.example/⟩",
    "⟨https://ru.example.org/wiki/Птица⟩, да",
    "⟨https://hi.example.org/wiki/विज्ञान⟩।",
    "⟨https://fa.example.org/wiki/نرم\u{200c}افزار⟩، و",
    "⟨https://bücher.example/ä⟩",
    "⟨https://example.org⟩ａ",
    // Hosts and ports.
    "⟨http://localhost:8080/a⟩",
    "⟨http://203.0.113.7⟩",
    "⟨http://[2001:db8::1]:80/a⟩",
    "http://[a]/b",
    "⟨https://example.org:443⟩:",
    "https://bank.example@other.example",
    "https://user:word@other.example/a",
    "https://user:1234@other.example/a",
    "https://ex%61mple.org",
    // Handles.
    "⟨@ada⟩",
    "hi ⟨@ada⟩, ⟨@bob.b⟩.",
    "(⟨@ada⟩)",
    ".⟨@ada⟩",
    "⟨@анна⟩",
    "⟨@ada⟩さん",
    "見て⟨@ada⟩",
    "⟨＠ada⟩",
    "⟨@ada-b_c⟩- ",
    "ada@example.org",
    "andré@example.org",
    "@ada@example.org",
    "@@ada",
    "@a",
    "@-ada",
    "@\u{301}ada",
    "example.org/@ada",
    "@aaaaaaaaaabbbbbbbbbbccccccccccd",
    "⟨@aaaaaaaaaabbbbbbbbbbcccccccccc⟩.",
    // Tags.
    "⟨#विज्ञान⟩",
    "⟨#ग़लती⟩ है",
    "⟨#نرم\u{200c}افزار⟩ \u{200c}",
    "⟨#Vögel⟩ und #1",
    "⟨#2024vote⟩",
    "⟨#snake_case⟩",
    "⟨#日本語⟩。",
    "⟨#スター・ウォーズ⟩",
    "⟨#ශ්\u{200d}රී⟩",
    "⟨#ไทย⟩ ",
    "⟨#col·laborar⟩·",
    "⟨#צה״ל⟩",
    "⟨＃タグ⟩",
    "(⟨#birds⟩)",
    "⟨#a⟩\u{200d}",
    "⟨#a⟩#b",
    "a#b &#x27; ##c",
    "#1 #_ #",
    "#\u{fe0f}\u{20e3} #\u{3164}",
    "/#a =#a",
    "⟨#birds⟩, ⟨@ada⟩: ⟨https://example.org/#a⟩",
];

/// The text of a case and its tokens.
fn parsed(case: &str) -> (String, Vec<Token>) {
    let (mut text, mut expected, mut from) = (String::new(), Vec::new(), 0);
    for c in case.chars() {
        match c {
            '⟨' => from = text.len(),
            '⟩' => {
                let kind = match text[from..].chars().next() {
                    Some('@' | '＠') => Kind::Handle,
                    Some('#' | '＃') => Kind::Tag,
                    _ => Kind::Address,
                };
                let range = from..text.len();
                expected.push(Token { kind, range });
            }
            _ => text.push(c),
        }
    }
    (text, expected)
}

#[test]
fn tokens_are_exact() {
    let mut wrong = Vec::new();
    for case in CASES {
        let (text, expected) = parsed(case);
        let found = tokens(&text);
        if found != expected {
            let shown = found.iter().map(|token| text[token.range.clone()].to_owned());
            wrong.push((case, shown.collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Time per character does not grow with the text: each of these is read in the time of a plain text and a constant.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_million_characters_of_anything_take_linear_time() {
    for part in [
        "https://",
        "https://a/(",
        "https://a:",
        "https://a/[(",
        "https://user:",
        "#",
        "#a",
        "@",
        "@a",
        "@ab.",
        "h",
        "(",
        "\u{301}",
        "字",
        "#\u{94d}",
        "#न\u{94d}",
        "@न\u{94d}",
        "https://न",
        "https://a/न(",
        "#a\u{200d}",
        "https://a.",
        "http://[::",
        " @a@",
    ] {
        for times in [1, 1_000_000 / part.chars().count()] {
            let text = format!("{}{}", part, part.repeat(times));
            let seconds = std::time::Instant::now();
            let found = tokens(&text);
            // A quadratic reading of a million characters takes minutes.
            assert!(
                seconds.elapsed().as_secs() < 20,
                "{part:?}: {} tokens",
                found.len()
            );
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest::proptest! {
    #[test]
    fn tokens_are_in_order_and_within_the_text(text in "(https?://|[#@()\\[\\]./:a字\u{94d}न\u{200d} ]|\\PC){0,60}") {
        let mut end = 0;
        for token in tokens(&text) {
            proptest::prop_assert!(end <= token.range.start && token.range.start < token.range.end);
            proptest::prop_assert!(text.get(token.range.clone()).is_some());
            end = token.range.end;
        }
    }
}
