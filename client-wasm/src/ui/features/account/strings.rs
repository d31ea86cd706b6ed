//! English texts of the page of the own account.

use crate::ui::kit::strings::counted;

pub const YOU: &str = "You";
pub const DEVICES: &str = "Devices";
pub const THIS_DEVICE: &str = "This device";
pub const WITHDRAWN: &str = "Withdrawn";
pub const WITHDRAW: &str = "Withdraw";
pub const WITHDRAW_LEAD: &str = "A withdrawn device can no longer write in your name. What it wrote stays. Enter your \
     recovery words to do this, so that nobody who takes a device can.";
pub const WITHDRAWN_NOW: &str = "The device was withdrawn.";
pub const DEVICES_HINT: &str = "To add a device, open Starling there and enter your recovery words.";
pub const STORAGE: &str = "Storage";
pub const STORAGE_USED: &str = "In use";
pub const STORAGE_LEFT: &str = "Still free";
pub const STORAGE_KEPT: &str = "Kept by the browser";
pub const STORAGE_KEPT_YES: &str = "Yes";
pub const STORAGE_KEPT_NO: &str = "Not promised";
pub const STORAGE_KEPT_HINT: &str = "The browser may clear this site's data when space runs short or after a week without a \
     visit. Your recovery words and the relays protect you then.";
pub const STORAGE_KEEP: &str = "Ask the browser to keep it";
pub const STORAGE_UNKNOWN: &str = "This browser does not say.";
pub const PRIVACY: &str = "Privacy";
pub const RELAYS_ONLY: &str = "Link to relays only";
pub const RELAYS_ONLY_HINT: &str = "Everybody you are linked with directly can see your internet address. With this, only \
     relays can; posts take a little longer and need a relay in reach.";
pub const APPEARANCE: &str = "Appearance";
pub const THEME_SYSTEM: &str = "System";
pub const THEME_LIGHT: &str = "Light";
pub const THEME_DARK: &str = "Dark";
pub const THIS_BROWSER: &str = "This browser";
pub const ERASE: &str = "Remove account from this browser";
pub const ERASE_HINT: &str =
    "Deletes everything Starling stores here. Posts that others keep stay with them.";
pub const ERASE_TITLE: &str = "Remove the account from this browser?";
pub const ERASE_NO_WORDS: &str = "You have not confirmed your recovery words. Without them nobody, not even you, can bring \
     this account back.";
pub const ERASE_WITH_WORDS: &str = "Only your 24 recovery words bring it back.";
pub const ERASE_CONFIRM: &str = "Remove it";

/// The sheet that withdraws a device.
pub fn withdraw_title(name: &str) -> String {
    format!("Withdraw {name}")
}

/// Since when a device is part of the account.
pub fn device_facts(since: &str, entries: u64) -> String {
    format!("Since {since} · {}", counted(entries, "entry", "entries"))
}
pub const OPEN_NETWORK: &str = "Open the network page";
