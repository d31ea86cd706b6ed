//! English texts of posts.

pub const COPY_LINK: &str = "Copy link";
pub const SHOW_MORE: &str = "Show all";
pub const SHOW_LESS: &str = "Show less";
pub const ANSWERS: &str = "Answering";

/// A post, announced.
pub fn post_by(name: &str) -> String {
    format!("Post by {name}")
}
