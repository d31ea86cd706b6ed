//! English texts of following.

pub const FOLLOW: &str = "Follow";
pub const FOLLOWING: &str = "Following";
pub const FOLLOW_LABEL: &str = "@name, profile link or account id";
pub const FOLLOW_BAD: &str = "That is no name and no profile link. A link looks like https://…/u/ followed by 55 letters \
     and digits; perhaps a part is missing.";
pub const FOLLOW_SELF: &str = "That is your own profile link. Send it to others so that they can follow you.";
pub const FOLLOWED_NOW: &str = "Followed. Their posts arrive as soon as a peer that has them is connected.";
pub const FOLLOWING_TITLE: &str = "People you follow";
pub const FOLLOWING_NONE: &str = "You follow nobody yet.";

/// The follow button, spoken.
pub fn follow_whom(name: &str, followed: bool) -> String {
    format!("{} {name}", if followed { FOLLOWING } else { FOLLOW })
}

/// How many people one follows.
pub fn following_count(count: u32) -> String {
    format!("{count} following")
}
