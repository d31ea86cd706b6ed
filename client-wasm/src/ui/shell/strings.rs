//! Texts around every page.

use protocol::messages::Quota;

use crate::ui::kit::strings::counted;

pub const SKIP: &str = "Skip to the content";
pub const NAVIGATION: &str = "Places";
pub const CONTEXT: &str = "Beside the page";
pub const OPENING: &str = "Opening Starling…";
pub const NOT_FOUND: &str = "Nothing lives at this address";
pub const NOT_FOUND_HINT: &str =
    "The link may be incomplete. Profile and post links are long: check that no part is missing.";
pub const TO_HOME: &str = "Go to your timeline";
pub const OFFLINE: &str = "Offline";
pub const CONNECTING: &str = "Connecting…";
pub const TAB_FOLLOWS: &str = "Starling is also open in another tab, which does the work. This one shows the same and \
     takes over when that one closes.";
pub const UPDATE_READY: &str = "A new version of Starling is ready.";
pub const UPDATE_NOW: &str = "Reload";
pub const STORE_BLOCKED: &str =
    "An older version of Starling is still open in another tab. Close it and this one carries on.";
pub const STORE_UNAVAILABLE: &str = "This browser does not let Starling store anything. In a private window, or with site \
     storage switched off, Starling cannot work.";
pub const ENGINE_STOPPED: &str =
    "Starling stopped unexpectedly. Nothing that was saved is lost. Reload to carry on.";
pub const OUTDATED: &str = "The data in this browser is used by a newer version of Starling. Reload the page; if this message \
     returns, the relay at this address serves an older version and has to be updated.";
pub const RELOAD: &str = "Reload";
pub const LOADING: &str = "Loading…";
pub const LOAD_FAILED: &str = "This page could not be loaded";
pub const LOAD_FAILED_HINT: &str =
    "It is loaded from a relay when it is opened for the first time. Check your connection, then try again.";

/// The status chip.
pub fn chip(peers: u32, waiting: u32) -> String {
    let linked = counted(u64::from(peers), "peer", "peers");
    if waiting == 0 {
        linked
    } else {
        format!("{linked} · {waiting} waiting")
    }
}

/// The status chip without a link.
pub fn chip_unlinked(state: &str, waiting: u32) -> String {
    if waiting == 0 {
        state.to_owned()
    } else {
        format!("{} · {waiting} waiting", state.trim_end_matches('…'))
    }
}

/// How many relays and other peers are linked, as a phrase.
pub fn linked(peers: u32, relays: u32) -> String {
    let others = peers.saturating_sub(relays);
    format!(
        "{} and {}",
        counted(u64::from(relays), "relay", "relays"),
        counted(u64::from(others), "other peer", "other peers")
    )
}

/// The status chip, spoken.
pub fn chip_label(text: &str) -> String {
    format!("Network: {text}")
}

/// This device's clock differs from its relay's by this many minutes.
pub fn wrong_clock(ahead_min: i32) -> String {
    let minutes = u64::from(ahead_min.unsigned_abs());
    let by = match minutes {
        0..120 => counted(minutes, "minute", "minutes"),
        120..2_880 => counted(minutes / 60, "hour", "hours"),
        _ => counted(minutes / 1_440, "day", "days"),
    };
    let way = if ahead_min > 0 { "ahead of" } else { "behind" };
    format!(
        "This device's clock is {by} {way} your relay's. Your posts carry its time: check the clock's settings."
    )
}

/// A quota of the relay is used up, until `time`.
pub fn over_quota(quota: Quota, per_hour: u64, time: &str) -> String {
    let mib = || format!("{} MB", per_hour >> 20);
    let what = match quota {
        Quota::AccountEntries => format!("{per_hour} posts and changes an hour from one account"),
        Quota::AccountBytes => format!("{} an hour from one account", mib()),
        Quota::AddressAccounts => format!("{per_hour} new accounts an hour"),
        Quota::AddressBytes => format!("{} an hour from one network", mib()),
    };
    format!(
        "Your relay takes at most {what}. The rest is saved on this device and follows by itself from {time} on."
    )
}

/// A rebuild of everything shown.
pub fn rebuilding(done: u64, total: u64) -> String {
    format!("Putting your timelines together again: {done} of {total}.")
}
pub const KEYS: &str = "Keyboard shortcuts";

/// Keys of a list of posts and what they do; those of features follow.
pub const KEYS_OF_POSTS: [(&str, &str); 3] = [
    ("j", "Next post"),
    ("k", "Previous post"),
    ("Enter", "Open the post"),
];

/// The other keys and what they do.
pub const KEYS_OF_APP: [(&str, &str); 5] = [
    ("/", "Follow or look up a person"),
    (".", "Show new posts"),
    ("Ctrl ⏎", "Send what you are writing (on a Mac: ⌘ ⏎)"),
    ("Esc", "Close what is open"),
    ("?", "This list"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chip_says_what_waits() {
        assert_eq!(chip(1, 0), "1 peer");
        assert_eq!(chip(5, 2), "5 peers · 2 waiting");
        assert_eq!(chip_unlinked(CONNECTING, 3), "Connecting · 3 waiting");
    }
}
