//! English texts of profiles.

use crate::ui::kit::strings::counted;
use engine::api::{FeedView, ProfileView};

pub const USER_FEED: &str = "Posts of this person";
pub const EMPTY_USER_TITLE: &str = "No posts here yet";
pub const EMPTY_USER: &str = "Nothing this person wrote has reached this device.";
pub const EMPTY_MINE: &str = "What you write appears here.";
pub const EDIT_PROFILE: &str = "Edit profile";
pub const PROFILE: &str = "Profile";
pub const PROFILE_NAME: &str = "Name";
pub const PROFILE_BIO: &str = "About you";
pub const PROFILE_SAVED: &str = "Profile saved.";
pub const PROFILE_SEARCHING: &str = "Nothing of this person is here yet. Asking peers…";
pub const PROFILE_FORKED_TITLE: &str = "This feed contradicts itself.";
pub const PROFILE_FORKED: &str = "Two different entries claim the same place in it: a key was misused, or an old backup \
     came back to life. Starling shows what came before and takes nothing after.";
pub const NEVER_COMPARED: &str = "Nothing was compared with anybody yet.";
pub const HELD_PROOF: &str = "Each device numbers, links and signs what is written on it: if something were missing or \
     changed, it would show.";

/// How much of what a person signed is here, `day` being that of the newest of it.
pub fn held(view: &ProfileView, name: &str, day: Option<String>) -> String {
    let posts = view.posts();
    let here = counted(posts, "post", "posts");
    match (view.missing(), day.filter(|_| view.is_complete())) {
        (0, Some(day)) => {
            let who = if view.mine { "you" } else { name };
            match posts {
                0 => format!("No posts so far, as {who} signed on {day}"),
                1 => format!("The only post is present, as {who} signed on {day}"),
                _ => format!("All {here} present, as {who} signed on {day}"),
            }
        }
        (0, None) => format!("{here} here"),
        (1, _) => format!("{here} here, 1 more entry is on its way"),
        (more, _) => format!("{here} here, {more} more entries are on their way"),
    }
}

/// With whom a person's feeds were compared, and when last.
pub fn compared(peers: u32, missing: u64, last: Option<String>) -> String {
    match (peers, last) {
        (0, None) => NEVER_COMPARED.to_owned(),
        (0, Some(last)) => format!("No linked peer has this. Last compared on {last}."),
        _ => {
            let more = if missing == 0 {
                "nothing newer is known"
            } else {
                "more is known"
            };
            format!(
                "Compared with {}: {more}.",
                counted(u64::from(peers), "linked peer", "linked peers")
            )
        }
    }
}

/// One device's feed; what its newest entry is called comes behind.
pub fn feed_facts(feed: &FeedView, signed_at: String) -> String {
    let (entries, missing) = (counted(feed.entries, "entry", "entries"), feed.missing);
    match (feed.entries, missing) {
        (0, _) => format!("nothing here yet, {missing} known"),
        (_, 0) => format!("{entries}, the newest signed on {signed_at}"),
        _ => format!("{entries} and {missing} more known, the newest here signed on {signed_at}"),
    }
}
