//! English texts of reactions.

use engine::api::ReactionCount;

use crate::ui::kit::strings::counted;

pub const REACT: &str = "React";
pub const PICKER: &str = "Choose a reaction";
pub const OTHER: &str = "Another emoji";
pub const WHO: &str = "Who reacted";
pub const KEY_REACT: &str = "React to the post";

/// A reaction and how many have it.
pub fn chip(reaction: &ReactionCount) -> String {
    let people = counted(u64::from(reaction.count), "person", "people");
    let more = if reaction.more { " or more" } else { "" };
    let you = if reaction.mine { ", you too" } else { "" };
    format!("{}, {people}{more}{you}", reaction.emoji)
}

/// How many have a reaction, as the chip shows it.
pub fn number(reaction: &ReactionCount) -> String {
    let more = if reaction.more { "+" } else { "" };
    format!("{}{more}", reaction.count)
}

/// Those who are not listed.
pub fn and_more(count: usize) -> String {
    format!("and {count} more")
}
