//! English texts of timelines.

use crate::ui::kit::strings::counted;

pub const FEED_END: &str = "You have reached the beginning.";

/// The pill over a list.
pub fn new_posts(count: usize, more: bool) -> String {
    if more {
        format!("{count}+ new posts")
    } else {
        counted(count as u64, "new post", "new posts")
    }
}
