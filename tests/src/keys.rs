//! Key presses as a keyboard would send them.

use serde_json::{Value, json};

/// Modifier keys, as the DevTools protocol counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers(pub u8);

impl Modifiers {
    pub const NONE: Self = Self(0);
    /// Control.
    pub const CTRL: Self = Self(2);
    pub const SHIFT: Self = Self(8);
}

/// The two events of one key: down (with the text it types, if any) and up.
///
/// `key` is one character or a name such as `Enter`, `Tab`, `Escape`, `Backspace`, `ArrowDown`.
#[must_use]
pub fn press(key: &str, modifiers: Modifiers) -> [Value; 2] {
    let (code, number, text) = describe(key);
    // With Control held a key is a command and types nothing.
    let text = if modifiers.0 & Modifiers::CTRL.0 == 0 {
        text
    } else {
        None
    };
    let mut down = json!({
        "type": if text.is_some() { "keyDown" } else { "rawKeyDown" },
        "key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers.0,
    });
    if let Some(text) = text {
        down["text"] = text.into();
    }
    let up = json!({
        "type": "keyUp", "key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers.0,
    });
    [down, up]
}

fn describe(key: &str) -> (String, u32, Option<String>) {
    let named = |number, text: Option<&str>| (key.to_owned(), number, text.map(str::to_owned));
    match key {
        "Enter" => named(13, Some("\r")),
        "Tab" => named(9, None),
        "Escape" => named(27, None),
        "Backspace" => named(8, None),
        "Delete" => named(46, None),
        "ArrowLeft" => named(37, None),
        "ArrowUp" => named(38, None),
        "ArrowRight" => named(39, None),
        "ArrowDown" => named(40, None),
        "Home" => named(36, None),
        "End" => named(35, None),
        "PageUp" => named(33, None),
        "PageDown" => named(34, None),
        " " => ("Space".to_owned(), 32, Some(" ".to_owned())),
        _ => {
            let first = key.chars().next().unwrap_or(' ');
            let upper = first.to_ascii_uppercase();
            match upper {
                'A'..='Z' => (format!("Key{upper}"), upper.into(), Some(key.to_owned())),
                '0'..='9' => (format!("Digit{upper}"), upper.into(), Some(key.to_owned())),
                // No key of its own on this imaginary keyboard: an input method would send it like that.
                _ => (String::new(), 0, Some(key.to_owned())),
            }
        }
    }
}
