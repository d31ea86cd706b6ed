//! English texts of an old copy of a device.

use crate::ui::kit::strings::counted;

pub const BEGIN: &str = "Make it a new device";
pub const ELSEWHERE: &str = "This device is open in another place, too: a copy of this browser's profile. Close one of them before \
     you write. What both write contradicts itself.";
pub const WORKING: &str = "Making it a new device…";
pub const TITLE: &str = "Make this a device of its own";
pub const LEAD: &str = "Another copy of this device went on writing, so this one cannot. As a new device of your account it can. \
     Enter your recovery words: they prove that it is you.";
pub const DONE: &str = "This is a device of its own now.";

/// The notice of an old copy; `set_aside`: posts written here that nobody else has.
pub fn notice(set_aside: u32) -> String {
    with_posts(
        "This is an older copy of a device that went on writing elsewhere.",
        set_aside,
    )
}

/// The notice of a forked feed; `set_aside`: posts written here that nobody shows any more.
pub fn forked(set_aside: u32) -> String {
    with_posts(
        "Two copies of this device wrote at the same time, so its feed contradicts itself.",
        set_aside,
    )
}

fn with_posts(what: &str, set_aside: u32) -> String {
    match set_aside {
        0 => format!("{what} It can read, not write."),
        n => format!(
            "{what} {} written here will be sent once it is a device of its own.",
            counted(u64::from(n), "post", "posts")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::notice;

    #[test]
    fn the_notice_counts_what_waits() {
        assert!(notice(0).ends_with("It can read, not write."));
        assert!(notice(1).contains(" 1 post written here"));
        assert!(notice(3).contains(" 3 posts written here"));
    }
}
