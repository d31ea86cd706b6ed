//! English texts of writing.

use crate::ui::kit::strings::counted;

pub const POST: &str = "Post";
pub const NOT_TAKEN: &str = "Not posted yet.";
pub const DISCARD: &str = "Discard";

/// What the reply action says to a screen reader.
pub fn reply_to(name: &str, replies: u32) -> String {
    match replies {
        0 => format!("Reply to {name}"),
        100.. => format!("Reply to {name}, 100 replies or more"),
        _ => format!(
            "Reply to {name}, {}",
            counted(u64::from(replies), "reply", "replies")
        ),
    }
}

/// A count beside an icon.
pub fn reply_count(replies: u32) -> String {
    match replies {
        0 => String::new(),
        100.. => "100+".to_owned(),
        _ => replies.to_string(),
    }
}
pub const COMPOSE_LABEL: &str = "New post";
pub const COMPOSE_PLACEHOLDER: &str = "What is new?";
pub const COMPOSE_REPLY_LABEL: &str = "Your reply";
pub const COMPOSE_REPLY_PLACEHOLDER: &str = "Write your reply";
pub const COMPOSE_SEND: &str = "Post";
pub const COMPOSE_SEND_REPLY: &str = "Reply";
pub const COMPOSE_OFFLINE: &str = "Will be sent when you are back online.";
pub const COMPOSE_CONNECTING: &str = "Will be sent as soon as a peer is connected.";
pub const SAID_OFFLINE: &str = "Saved on this device. It will be sent when you are back online.";
pub const SAID_CONNECTING: &str = "Saved on this device. It will be sent as soon as a peer is connected.";

/// How many characters are left.
pub fn characters_left(left: i64) -> String {
    if left >= 0 {
        counted(left.unsigned_abs(), "character left", "characters left")
    } else {
        counted(left.unsigned_abs(), "character too many", "characters too many")
    }
}
pub const SLUG: &str = "Link name";
pub const SLUG_PLACEHOLDER: &str = "such as: why-they-flock";

pub const KEY_REPLY: &str = "Reply to the post";
pub const KEY_COMPOSE: &str = "Write a new post";
