//! English texts of the activity page.

pub const ACTIVITY: &str = "Activity";
pub const ACTIVITY_NEW: &str = "Activity, new answers";
pub const ACTIVITY_FEED: &str = "Answers to you";
pub const EMPTY_ACTIVITY_TITLE: &str = "No answers yet";
pub const EMPTY_ACTIVITY: &str = "When someone whose posts reach this device answers one of yours, you find the \
     answer here.";
