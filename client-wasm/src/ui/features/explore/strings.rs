//! English texts of the explore page.

pub const EXPLORE: &str = "Explore";
pub const PUBLIC_FEED: &str = "Public posts";
pub const EMPTY_PUBLIC_TITLE: &str = "Nothing to show yet";
pub const EMPTY_PUBLIC: &str = "Posts that this device has received appear here. Once a relay or another person's browser \
     is linked, that takes a few seconds.";
