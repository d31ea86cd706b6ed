//! English texts of the durability of posts.

use protocol::messages::receipt::Reason;

use crate::ui::kit::strings::counted;

pub const SAFE_HERE: &str = "Only on this device";
pub const HOLDERS_RELAY: &str = "Relay";
pub const HOLDERS_PEER: &str = "Peer";
pub const HOLDERS_NONE: &str = "Saved on this device, and nowhere else yet. It is sent automatically as soon as a peer \
     takes it.";
pub const HOLDERS_SOME: &str = "Besides this device, these said they keep it:";
pub const NOT_KEPT: &str = "No longer kept at relay";
pub const HOLDERS_SAVING: &str = "Being written to this device's storage.";

/// Why a relay keeps a post no longer.
pub const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::MOVED => "Other relays keep it instead.",
        Reason::REMOVED => "The operator of the relay removed it.",
        Reason::QUOTA => "It exceeds what the relay keeps for one account.",
        Reason::LEFT => "The relay stopped for good.",
        Reason::NO_MEMBER => "It is no longer part of the network.",
        _ => "The relay gave no reason.",
    }
}

/// The message when a relay keeps own posts no longer.
pub fn not_kept(name: &str, why: Reason) -> String {
    if why == Reason::NO_MEMBER {
        return format!("{name} is no longer part of the network. Copies of your posts there do not count.");
    }
    format!("Your posts are no longer kept at {name}. {}", reason(why))
}

/// The durability mark, spoken.
pub fn safe_at_peers(peers: u32) -> String {
    format!("At {}", counted(u64::from(peers), "peer", "peers"))
}

/// The durability mark, spoken.
pub fn safe_on_relays(relays: u32, known: u32) -> String {
    if known > relays {
        format!("On {relays} of {known} relays")
    } else {
        format!("On {}", counted(u64::from(relays), "relay", "relays"))
    }
}
pub const TITLE: &str = "How safe your posts are";
pub const DURABLE_ALL: &str = "Everything you wrote is stored by at least one relay.";

/// What would be lost with this device.
pub fn only_here(count: u32) -> String {
    if count == 1 {
        "One thing you wrote is only on this device. Lose the device and it is lost.".to_owned()
    } else {
        format!("{count} things you wrote are only on this device. Lose the device and they are lost.")
    }
}

/// What no relay has yet; `more` if something else was said before.
pub fn not_on_relays(count: u32, more: bool) -> String {
    let more = if more { " more" } else { "" };
    if count == 1 {
        format!("One{more} is held by other people's browsers, but by no relay yet.")
    } else {
        format!("{count}{more} are held by other people's browsers, but by no relay yet.")
    }
}
