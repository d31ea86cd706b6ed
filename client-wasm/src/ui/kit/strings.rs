//! Texts that several features share: buttons, times, amounts, and why something was not done.
//!
//! The voice: plain, short, never blaming; says what happened, then what to do.

use engine::api::{Error, StoreState};

pub const APP: &str = "Starling";
pub const BACK: &str = "Back";
pub const CLOSE: &str = "Close";
pub const CANCEL: &str = "Cancel";
pub const SAVE: &str = "Save";
pub const RETRY: &str = "Try again";
pub const COPIED: &str = "Copied.";
pub const NOT_COPIED: &str = "This browser does not allow copying. Select the text and copy it yourself.";
pub const NOW: &str = "now";
pub const NO_DATE: &str = "an impossible date";

/// Some minutes ago, short.
pub fn minutes(count: u64) -> String {
    format!("{count} min")
}

/// Some hours ago, short.
pub fn hours(count: u64) -> String {
    format!("{count} h")
}

/// Some days ago, short.
pub fn days(count: u64) -> String {
    format!("{count} d")
}

pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What a device is called unless its owner says otherwise.
pub fn device_name(browser: Option<&str>, system: Option<&str>) -> String {
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}

/// How many words were typed so far.
pub fn words_so_far(count: usize) -> String {
    format!("{count} of 24 words")
}
pub const LOOK_AROUND: &str = "Look around";
pub const LINK_COPIED: &str = "Link copied.";
pub const SAVING: &str = "Saving…";
pub const COPY_PROFILE_LINK: &str = "Copy profile link";
pub const STORE_FULL: &str = "This device's storage is full. You can read, but nothing new is kept. Free some space on the \
     device; Starling carries on by itself.";
pub const STORE_FAILING: &str = "This browser is not storing what you write at the moment. Starling keeps trying; leave \
     this tab open.";
pub const REVOKED: &str = "This device was withdrawn from your account. You can read here, but not write.";
pub const FORKED_SELF: &str = "This device's feed contradicts itself. Make it a new device first.";

/// A round trip.
pub fn milliseconds(ms: u32) -> String {
    format!("{ms} ms")
}

/// An amount of storage or traffic.
pub fn bytes(count: u64) -> String {
    const KILO: u64 = 1_000;
    match count {
        0..KILO => format!("{count} B"),
        KILO..1_000_000 => format!("{} kB", count / KILO),
        1_000_000..1_000_000_000 => format!("{}.{} MB", count / 1_000_000, count / 100_000 % 10),
        _ => format!("{}.{} GB", count / 1_000_000_000, count / 100_000_000 % 10),
    }
}

/// The store's state as a notice, if it needs one.
pub fn store(state: StoreState) -> Option<&'static str> {
    match state {
        StoreState::Ok => None,
        StoreState::Full => Some(STORE_FULL),
        StoreState::Failing => Some(STORE_FAILING),
    }
}

/// Why something was not done, and what to do.
pub fn error_text(error: &Error) -> String {
    match error {
        Error::Starting => "Starling is still opening. Try again in a moment.".to_owned(),
        Error::NoAccount => "There is no account on this device yet.".to_owned(),
        Error::HasAccount => {
            "There is an account on this device already. Reload the page to see it.".to_owned()
        }
        Error::PhraseWord { position, word } => format!(
            "Word {} (“{word}”) is not in the list of recovery words. Check its spelling.",
            position + 1
        ),
        Error::PhraseLength { words } => {
            format!(
                "A recovery phrase has 24 words; this has {words}. Perhaps a word is missing or joined to another."
            )
        }
        Error::PhraseChecksum => {
            "Every word is in the list, but together they do not fit: two may be swapped, or one \
             may be a different word from the list."
                .to_owned()
        }
        Error::PhraseOfOther => "These words belong to another account.".to_owned(),
        Error::Empty => "Write something first.".to_owned(),
        Error::TooLong { max } => format!("That is too long: {max} characters at most."),
        Error::NotFound => "That is not here any more.".to_owned(),
        Error::Revoked => REVOKED.to_owned(),
        Error::Forked => FORKED_SELF.to_owned(),
        Error::OldCopy => {
            "This is an older copy of a device that went on writing. Make it a new device first.".to_owned()
        }
        Error::Store(state) => store(*state).unwrap_or(STORE_FAILING).to_owned(),
        Error::Busy => "Too much is under way at once. Try again in a moment.".to_owned(),
        Error::NotAnEmoji => "That is not one emoji.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345), "12 kB");
        assert_eq!(bytes(1_250_000), "1.2 MB");
        assert_eq!(bytes(3_000_000_000), "3.0 GB");
    }
}
