//! English texts of the page of a post.

pub const THREAD: &str = "Post";
pub const THREAD_SEARCHING: &str = "Asking peers for this post…";
pub const THREAD_SEARCHING_HINT: &str = "It is not on this device. You can leave this page open.";
pub const THREAD_NOT_FOUND: &str = "This post could not be found";
pub const THREAD_NOT_FOUND_HINT: &str = "It is not on this device, and nobody linked right now has it. Its author may be \
     away, or the link may be incomplete.";
pub const THREAD_PARENT_MISSING: &str = "The post this one answers is not here.";
pub const THREAD_TO_AUTHOR: &str = "Open the author's profile";
pub const THREAD_REPLIES: &str = "Replies";
pub const THREAD_NO_REPLIES: &str = "No replies yet.";
