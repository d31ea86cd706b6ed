use super::*;

const EMOJI: [&str; 30] = [
    "👍",
    "❤\u{fe0f}",
    "👍🏽",
    "☝🏽",
    "☝\u{fe0f}",
    "🇩🇪",
    "1\u{fe0f}\u{20e3}",
    "#\u{fe0f}\u{20e3}",
    "*\u{fe0f}\u{20e3}",
    "🏳\u{fe0f}\u{200d}🌈",
    "🏳\u{fe0f}\u{200d}⚧\u{fe0f}",
    "🏴\u{200d}☠\u{fe0f}",
    "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    "👩🏽\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👩🏿",
    "🧑🏽\u{200d}🦰",
    "🕵\u{fe0f}\u{200d}♀\u{fe0f}",
    "🕵🏽\u{200d}♀\u{fe0f}",
    "🏃🏽\u{200d}♀\u{fe0f}\u{200d}➡\u{fe0f}",
    "👁\u{fe0f}\u{200d}🗨\u{fe0f}",
    "🐦\u{200d}🔥",
    "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "🏴",
    "☺\u{fe0f}",
    "™\u{fe0f}",
    "🅿\u{fe0f}",
    "🆒",
    "🫶",
    "⭐",
    "🦰",
    "🫩",
];

#[test]
fn emoji_of_every_shape_are_taken() {
    for text in EMOJI {
        assert!(is_emoji(text), "{text} ({} bytes)", text.len());
        assert_eq!(emoji(text).as_deref(), Some(text), "{text}");
    }
}

#[test]
fn what_is_no_single_emoji_is_refused() {
    for text in [
        "",
        "a",
        "+1",
        "1",
        "1\u{fe0f}",
        "a\u{fe0f}\u{20e3}",
        "👍\u{20e3}",
        "👍👍",
        "👍a",
        "ä",
        "漢",
        "\u{200d}",
        "👍\u{200d}",
        "👍\u{200d}\u{200d}👍",
        "\u{200d}👍",
        "\u{fe0f}",
        "\u{202e}",
        "👍\u{202e}",
        "👍\u{0}",
        "❤\u{fe0e}",
        // Flags: half of one, two, one joined.
        "🇩",
        "🇩🇪🇫🇷",
        "👍🇩🇪",
        "🇩🇪\u{200d}👍",
        // Symbols that are no emoji, letters among them.
        "①",
        "█",
        "★",
        "\u{2800}",
        "🄰\u{200d}🄱",
        "Ⓕ\u{200d}Ⓤ\u{200d}Ⓒ\u{200d}Ⓚ",
        "🅰\u{fe0f}\u{200d}🅱\u{fe0f}",
        "👍\u{200d}🆒",
        "\u{1faff}",
        // Skin tones on their own, twice, and on what has no skin.
        "🏽",
        "👍🏽🏽",
        "⭐🏽",
        // Tags elsewhere, without an end, without a name, too many, and of other signs.
        "👍\u{e0067}\u{e007f}",
        "🏴\u{e0067}\u{e0062}",
        "🏴\u{e007f}",
        "🏴\u{e0020}\u{e007f}",
        "🏴\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e007f}",
        "🏴\u{e0067}\u{e007f}\u{200d}👍",
    ] {
        assert!(!is_emoji(text), "{text:?}");
        assert_eq!(emoji(text), None, "{text:?}");
    }
    let long = ["👍"; 6].join("\u{200d}");
    assert!(long.len() == 39 && is_emoji(&long));
    assert_eq!(emoji(&["⭐"; 8].join("\u{200d}")), None, "45 bytes");
}

#[test]
fn an_emoji_has_one_form_and_others_are_brought_into_it() {
    for (others, form) in [
        (&["👍\u{fe0f}", "👍\u{fe0f}\u{fe0f}", " 👍 "][..], "👍"),
        (&["❤", "❤\u{fe0f}\u{fe0f}"], "❤\u{fe0f}"),
        (&["☝\u{fe0f}🏽", "☝🏽\u{fe0f}"], "☝🏽"),
        (&["1\u{20e3}"], "1\u{fe0f}\u{20e3}"),
        (
            &["🏳\u{200d}🌈", "🏳\u{fe0f}\u{200d}🌈\u{fe0f}"],
            "🏳\u{fe0f}\u{200d}🌈",
        ),
        (&["👩\u{200d}❤\u{200d}👨"], "👩\u{200d}❤\u{fe0f}\u{200d}👨"),
    ] {
        for other in others {
            assert!(!is_emoji(other), "{other:?}");
            assert_eq!(emoji(other).as_deref(), Some(form), "{other:?}");
        }
    }
}

#[test]
fn tables_are_in_order() {
    for table in [IN_COLOUR, IN_COLOUR_IF_ASKED, WITH_SKIN] {
        assert!(table.iter().all(|(first, last)| first <= last));
        assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
    let count = |table: &[(u32, u32)]| table.iter().map(|(first, last)| last - first + 1).sum::<u32>();
    assert_eq!(
        (count(IN_COLOUR), count(IN_COLOUR_IF_ASKED), count(WITH_SKIN)),
        (1_181, 207, 134)
    );
}
