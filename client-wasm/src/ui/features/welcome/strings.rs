//! English texts of the first visit.

pub const WELCOME: &str = "Welcome to Starling";
pub const WELCOME_LEAD: &str = "A social network made of the people in it. What you write lives in this browser and \
     with those who follow you. There is no company in between, and no sign-up.";
pub const NAME_LABEL: &str = "What should people call you?";
pub const NAME_HINT: &str = "Any name you like. You can change it later.";
pub const NAME_EMPTY: &str = "Choose a name first; it can be anything.";
pub const NAME_CREATE: &str = "Create my account";
pub const HAVE_ACCOUNT: &str = "Have an account already?";
pub const RESTORE_OPEN: &str = "Enter your recovery words";
pub const STEPS: &str = "Steps";
pub const PEOPLE_TITLE: &str = "Find people";
pub const PEOPLE_LEAD: &str = "Starling shows the posts of the people you follow. Paste the profile link of someone you \
     know, or look around first.";
pub const PEOPLE_YOURS: &str = "Your own profile link, to send to others:";
pub const PEOPLE_DONE: &str = "Go to my timeline";
pub const RESTORE_TITLE: &str = "Bring your account back";
pub const RESTORE_LEAD: &str = "Enter your 24 recovery words. This browser becomes one more device of your account, and \
     what you wrote comes back from the people and relays that keep it.";
pub const RESTORE_SUBMIT: &str = "Bring it back";
pub const RESTORE_BACK: &str = "Make a new account instead";
pub const RESTORE_WORKING: &str = "Bringing it back…";
pub const CREATE_WORKING: &str = "Creating…";

/// The number of the current step and of all steps.
pub fn step(now: usize, all: usize) -> String {
    format!("Step {now} of {all}")
}
