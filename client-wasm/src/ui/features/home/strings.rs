//! English texts of the home timeline.

pub const HOME: &str = "Home";
pub const HOME_FEED: &str = "Home timeline";
pub const EMPTY_HOME_TITLE: &str = "It is quiet here";
pub const EMPTY_HOME: &str = "Follow people and their posts appear here. Paste a profile link, or look around in Explore. \
     You can also just write: your posts wait for your first readers.";
