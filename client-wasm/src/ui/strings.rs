//! Every word a person reads. One module, so that another language is another module.
//!
//! The voice: plain, short, never blaming; says what happened, then what to do.

use engine::api::{ClaimView, FeedView, ProfileView, Refusal, ScoreView, StoreState};
use protocol::name::{NameAnswer, NameFault};

// The frame.
pub const APP: &str = "Starling";
pub const SKIP: &str = "Skip to the content";
pub const NAVIGATION: &str = "Places";
pub const CONTEXT: &str = "Beside the page";
pub const HOME: &str = "Home";
pub const EXPLORE: &str = "Explore";
pub const POST: &str = "Post";
pub const ACTIVITY: &str = "Activity";
pub const ACTIVITY_NEW: &str = "Activity, new answers";
pub const YOU: &str = "You";
pub const NETWORK: &str = "Network";
pub const BACK: &str = "Back";
pub const CLOSE: &str = "Close";
pub const CANCEL: &str = "Cancel";
pub const SAVE: &str = "Save";
pub const RETRY: &str = "Try again";
pub const COPIED: &str = "Copied.";
pub const NOT_COPIED: &str = "This browser does not allow copying. Select the text and copy it yourself.";
pub const OPENING: &str = "Opening Starling…";

// Time.
pub const NOW: &str = "now";
pub const NO_DATE: &str = "an impossible date";

/// Some minutes ago, short.
pub fn minutes(count: u64) -> String {
    format!("{count} min")
}

/// Some hours ago, short.
pub fn hours(count: u64) -> String {
    format!("{count} h")
}

/// Some days ago, short.
pub fn days(count: u64) -> String {
    format!("{count} d")
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What a device is called unless its owner says otherwise.
pub fn device_name(browser: Option<&str>, system: Option<&str>) -> String {
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}

// First visit.
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
pub const PHRASE_TITLE: &str = "Your 24 recovery words";
pub const PHRASE_LEAD: &str = "These words are your account. They bring it back on a new device, or here if the browser \
     clears its data. Nobody can send them to you again, so keep them where only you can find them.";
pub const PHRASE_LIST: &str = "Recovery words, in order";
pub const PHRASE_COPY: &str = "Copy";
pub const PHRASE_DOWNLOAD: &str = "Download";
pub const PHRASE_FILE: &str = "starling-recovery-words.txt";
pub const PHRASE_CONFIRM: &str = "I have written them down";
pub const PHRASE_LATER: &str = "Later";
pub const PHRASE_DONE: &str = "Done. The words are no longer kept on this device.";
pub const PHRASE_GONE: &str = "You confirmed your recovery words. They are not kept on this device any more, so nobody \
     who takes it can take your account.";
pub const QUIZ_TITLE: &str = "A quick check";
pub const QUIZ_LEAD: &str = "Pick the words from what you wrote down.";
pub const QUIZ_WRONG: &str = "That is another word. Look at what you wrote down and pick again.";
pub const QUIZ_BACK: &str = "Show the words again";
pub const PEOPLE_TITLE: &str = "Find people";
pub const PEOPLE_LEAD: &str = "Starling shows what the people you follow write. Paste the profile link of somebody you \
     know, or look around first.";
pub const PEOPLE_YOURS: &str = "Your own profile link, to send to others:";
pub const PEOPLE_DONE: &str = "Go to my timeline";
pub const RESTORE_TITLE: &str = "Bring your account back";
pub const RESTORE_LEAD: &str = "Enter your 24 recovery words. This browser becomes one more device of your account, and \
     what you wrote comes back from the people and relays that keep it.";
pub const RESTORE_LABEL: &str = "Recovery words";
pub const RESTORE_HINT: &str = "In order, separated by spaces or lines.";
pub const RESTORE_SUBMIT: &str = "Bring it back";
pub const RESTORE_BACK: &str = "Make a new account instead";
pub const RESTORE_WORKING: &str = "Bringing it back…";
pub const CREATE_WORKING: &str = "Creating…";

/// Which step of how many.
pub fn step(now: usize, all: usize) -> String {
    format!("Step {now} of {all}")
}

/// The question of the quick check.
pub fn quiz_question(number: usize) -> String {
    format!("Which is word number {number}?")
}

/// How many words were typed so far.
pub fn words_so_far(count: usize) -> String {
    format!("{count} of 24 words")
}

/// The file with the recovery words.
pub fn phrase_file(name: &str, account: &str, words: &[String]) -> String {
    let mut text = format!("Starling recovery words of {name}\nAccount {account}\n\n");
    for (index, word) in words.iter().enumerate() {
        text.push_str(&format!("{:>2}. {word}\n", index + 1));
    }
    text.push_str("\nWhoever has these words has the account. Keep them where only you can find them.\n");
    text
}

// Timelines.
pub const HOME_FEED: &str = "Home timeline";
pub const PUBLIC_FEED: &str = "Public posts";
pub const USER_FEED: &str = "Posts of this person";
pub const ACTIVITY_FEED: &str = "Answers to you";
pub const FEED_END: &str = "You have reached the beginning.";
pub const EMPTY_HOME_TITLE: &str = "It is quiet here";
pub const EMPTY_HOME: &str = "Follow somebody and what they write appears here. Paste a profile link, or look around in \
     Explore. You can also just write: your posts wait for your first readers.";
pub const EMPTY_PUBLIC_TITLE: &str = "Nothing to show yet";
pub const EMPTY_PUBLIC: &str = "Posts that this device has received appear here. Once a relay or another person's browser \
     is linked, that takes a few seconds.";
pub const EMPTY_ACTIVITY_TITLE: &str = "No answers yet";
pub const EMPTY_ACTIVITY: &str = "When somebody whose posts reach this device answers one of yours, you find it \
     here.";
pub const EMPTY_USER_TITLE: &str = "No posts here yet";
pub const EMPTY_USER: &str = "Nothing this person wrote has reached this device.";
pub const EMPTY_MINE: &str = "What you write appears here.";
pub const LOOK_AROUND: &str = "Look around";

/// The pill over a list.
pub fn new_posts(count: usize, more: bool) -> String {
    if more {
        format!("{count}+ new posts")
    } else {
        counted(count as u64, "new post", "new posts")
    }
}

// Posts.
pub const COPY_LINK: &str = "Copy link";
pub const LINK_COPIED: &str = "Link copied.";
pub const SHOW_MORE: &str = "Show all";
pub const SHOW_LESS: &str = "Show less";
pub const ANSWERS: &str = "Answering";
pub const SAVING: &str = "Saving…";
pub const SAFE_HERE: &str = "Only on this device";
pub const NOT_TAKEN: &str = "Not posted yet.";
pub const DISCARD: &str = "Discard";
pub const HOLDERS_RELAY: &str = "Relay";
pub const HOLDERS_PEER: &str = "Peer";
pub const HOLDERS_NONE: &str = "Saved on this device, and nowhere else yet. It goes out by itself as soon as somebody is \
     linked.";
pub const HOLDERS_SOME: &str = "Besides this device, these said they keep it:";
pub const HOLDERS_SAVING: &str = "Being written to this device's storage.";

/// What the reply action says to a screen reader.
pub fn reply_to(name: &str, replies: u32) -> String {
    match replies {
        0 => format!("Reply to {name}"),
        100.. => format!("Reply to {name}, 100 replies or more"),
        _ => format!(
            "Reply to {name}, {}",
            counted(u64::from(replies), "reply", "replies")
        ),
    }
}

/// A count beside an icon.
pub fn reply_count(replies: u32) -> String {
    match replies {
        0 => String::new(),
        100.. => "100+".to_owned(),
        _ => replies.to_string(),
    }
}

/// The durability mark, spoken.
pub fn safe_at_peers(peers: u32) -> String {
    format!("At {}", counted(u64::from(peers), "peer", "peers"))
}

/// The durability mark, spoken.
pub fn safe_on_relays(relays: u32, known: u32) -> String {
    if known > relays {
        format!("On {relays} of {known} relays")
    } else {
        format!("On {}", counted(u64::from(relays), "relay", "relays"))
    }
}

/// A post, announced.
pub fn post_by(name: &str) -> String {
    format!("Post by {name}")
}

// Composer.
pub const COMPOSE_LABEL: &str = "New post";
pub const COMPOSE_PLACEHOLDER: &str = "What is new?";
pub const COMPOSE_REPLY_LABEL: &str = "Your reply";
pub const COMPOSE_REPLY_PLACEHOLDER: &str = "Write your reply";
pub const COMPOSE_SEND: &str = "Post";
pub const COMPOSE_SEND_REPLY: &str = "Reply";
pub const COMPOSE_OFFLINE: &str = "Will be sent when you are back online.";
pub const COMPOSE_CONNECTING: &str = "Will be sent as soon as somebody is linked.";
pub const SAID_OFFLINE: &str = "Saved on this device. It will go out when you are back online.";
pub const SAID_CONNECTING: &str = "Saved on this device. It will go out as soon as somebody is linked.";

/// How many characters are left.
pub fn characters_left(left: i64) -> String {
    if left >= 0 {
        counted(left.unsigned_abs(), "character left", "characters left")
    } else {
        counted(left.unsigned_abs(), "character too many", "characters too many")
    }
}

// People.
pub const FOLLOW: &str = "Follow";
pub const FOLLOWING: &str = "Following";
pub const FOLLOW_LABEL: &str = "@name, profile link or account id";
pub const FOLLOW_BAD: &str = "That is no profile link. It looks like https://…/u/ followed by 55 letters and digits; \
     perhaps a part is missing. A name begins with @.";
pub const FOLLOW_SELF: &str = "That is your own profile link. Send it to others so that they can follow you.";
pub const FOLLOWED_NOW: &str = "Followed. What they write arrives as soon as somebody who has it is linked.";
pub const FOLLOWING_TITLE: &str = "People you follow";
pub const FOLLOWING_NONE: &str = "You follow nobody yet.";
pub const EDIT_PROFILE: &str = "Edit profile";
pub const PROFILE: &str = "Profile";
pub const PROFILE_NAME: &str = "Name";
pub const PROFILE_BIO: &str = "About you";
pub const PROFILE_SAVED: &str = "Profile saved.";
pub const COPY_PROFILE_LINK: &str = "Copy profile link";
pub const PROFILE_SEARCHING: &str = "Nothing of this person is here yet. Asking peers…";
pub const PROFILE_FORKED_TITLE: &str = "This feed contradicts itself.";
pub const PROFILE_FORKED: &str = "Two different entries claim the same place in it: a key was misused, or an old backup \
     came back to life. Starling shows what came before and takes nothing after.";

pub const HELD_PROOF: &str = "Each device numbers, links and signs what is written on it: if something were missing or \
     changed, it would show.";

/// How much of what a person signed is here, `day` being that of the newest of it.
pub fn held(view: &ProfileView, name: &str, day: Option<String>) -> String {
    let posts = view.posts();
    let here = counted(posts, "post", "posts");
    match (view.ahead(), day.filter(|_| view.is_complete())) {
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
pub fn compared(peers: u32, ahead: u64, last: Option<String>) -> String {
    match (peers, last) {
        (0, None) => SYNCED_NONE.to_owned(),
        (0, Some(last)) => format!("No linked peer has this. Last compared on {last}."),
        _ => {
            let more = if ahead == 0 {
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
    let (entries, ahead) = (counted(feed.entries, "entry", "entries"), feed.ahead);
    match (feed.entries, ahead) {
        (0, _) => format!("nothing here yet, {ahead} known"),
        (_, 0) => format!("{entries}, the newest signed on {signed_at}"),
        _ => format!("{entries} and {ahead} more known, the newest here signed on {signed_at}"),
    }
}

/// The follow button, spoken.
pub fn follow_whom(name: &str, followed: bool) -> String {
    format!("{} {name}", if followed { FOLLOWING } else { FOLLOW })
}

/// How good a relay is for this device, and why.
pub fn relay_score(view: &ScoreView) -> String {
    let tenths = |n: u32| format!("{}.{}", n / 10, n % 10);
    let [replication, response, distance, errors] = view.parts.map(tenths);
    format!(
        " · score {} = 1000 ÷ ({replication} replication + {response} response + {distance} distance + {errors} errors)",
        tenths(view.score)
    )
}

/// What the scores are for, and the weights behind them, given in thousandths.
pub fn relay_weights(weights: [u32; 4]) -> String {
    let [replication, response, distance, errors] = weights.map(|weight| {
        let digits = format!("{}.{:03}", weight / 1_000, weight % 1_000);
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    format!(
        "{RELAYS_SCORE} Whoever runs your relay sets what counts: a millisecond until your posts are there {replication}, a \
         millisecond to answer {response}, a kilometre {distance} (a browser does not know where it is), failing always {errors}."
    )
}

// Names of the registry.
pub const HANDLE: &str = "Your name in the network";
pub const HANDLE_LEAD: &str = "A short name that belongs to you alone, so that people can find you by it. You need none \
     to write or to be followed.";
pub const HANDLE_LABEL: &str = "The name you would like";
pub const HANDLE_CLAIM: &str = "Ask for it";
pub const HANDLE_DROP: &str = "Never mind";
pub const HANDLE_RELEASE: &str = "Give it back";
pub const OFFER: &str = "Give this name to somebody else";
pub const OFFER_LABEL: &str = "Their profile link or @name";
pub const OFFER_HINT: &str = "Then they ask for the name in their own app, and have it. Somebody with a name gives that one \
     back first. Until then this name stays yours, and you can take the offer back.";
pub const OFFER_SUBMIT: &str = "Offer it";
pub const OFFER_BACK: &str = "Take the offer back";
pub const OFFER_SELF: &str = "That is you. Paste the profile link of who is to have the name.";
pub const NAMED_ASKING: &str = "Asking the network whose name this is…";
pub const NAMED_NOBODY: &str = "Nobody has this name.";
pub const NAMED_UNKNOWN: &str =
    "Whose name this is cannot be found out right now. Try again when you are online.";

/// A name one has.
pub fn handle_held(handle: &str) -> String {
    format!("You are @{handle}. Nobody else in the network has this name.")
}

/// An offer that stands.
pub fn offer_stands(handle: &str, to: &str) -> String {
    format!(
        "@{handle} is offered to {to}, who has it as soon as they ask for it. Tell them; until then it is yours."
    )
}

/// An offer, or (`None`) taking one back, that is not decided.
pub fn offer_waits(handle: &str, to: Option<String>) -> String {
    match to {
        Some(to) => {
            format!("Offering @{handle} to {to}… This happens as soon as the network can be reached.")
        }
        None => format!("Taking the offer of @{handle} back as soon as the network can be reached…"),
    }
}

/// An offer that was refused.
pub fn not_yours(handle: &str) -> String {
    format!(
        "The network says that @{handle} is not yours any more; perhaps another of your devices gave it back."
    )
}

/// A claim that is not decided.
pub fn claim_waits(claim: &ClaimView) -> String {
    let name = &claim.name;
    if claim.release {
        format!("Giving back @{name}… This happens as soon as the network can be reached.")
    } else {
        format!(
            "Asking for @{name}… The network decides as soon as it can be reached; you can close the app meanwhile."
        )
    }
}

// Link names of posts.
pub const SLUG: &str = "Link name";
pub const SLUG_ADD: &str = "Give it a link name";
pub const SLUG_LABEL: &str = "A short address of its own";
pub const SLUG_PLACEHOLDER: &str = "such as: why-they-flock";
pub const SLUG_ALSO: &str = "The long link works as ever.";
pub const SLUG_ASKING: &str = "Asking the network where this link leads…";
pub const SLUG_UNKNOWN: &str =
    "Where this link leads cannot be found out right now. Try again when you are online.";

/// A link name that is not decided.
pub fn slug_waits(claim: &ClaimView) -> String {
    let what = if claim.release {
        "Giving back"
    } else {
        "Asking for"
    };
    format!("{what} /{}/ as soon as the network can be reached.", claim.name)
}

/// Why a claim came to nothing, and what to do.
pub fn claim_refused(claim: &ClaimView, slug: bool) -> String {
    let shown = |name: &str| {
        if slug {
            format!("/{name}/")
        } else {
            format!("@{name}")
        }
    };
    let why = match &claim.refused {
        Some(NameAnswer::Taken) => "is taken, or looks too much like one that is. Choose another".to_owned(),
        Some(NameAnswer::Resting { .. }) => {
            "was given back a short while ago and rests. Choose another".to_owned()
        }
        Some(NameAnswer::HasOther { name }) => format!("is one too many: there is {} already", shown(name)),
        Some(NameAnswer::TooMany { max }) => format!("is one too many: an account has {max} at most"),
        Some(NameAnswer::Fault(fault)) => match fault {
            NameFault::TooShort { min } => format!("is too short: {min} characters at least"),
            NameFault::TooLong { max } => format!("is too long: {max} characters at most"),
            NameFault::Character { character } => {
                let dot = if slug { "" } else { " ." };
                format!("cannot have “{character}” there: letters, digits, and - _{dot} between them")
            }
            NameFault::NotCanonical { canonical } => format!("is written {}: ask for that", shown(canonical)),
            NameFault::MixedScripts => "mixes scripts that look alike. Use one".to_owned(),
            NameFault::Confusable => "reads like a name in other letters. Choose another".to_owned(),
            NameFault::Reserved => "is kept for the network itself. Choose another".to_owned(),
        },
        _ => "was refused. Choose another".to_owned(),
    };
    format!("{} {why}.", shown(&claim.name))
}

// A post's own page.
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
pub const NOT_FOUND: &str = "Nothing lives at this address";
pub const NOT_FOUND_HINT: &str =
    "The link may be incomplete. Profile and post links are long: check that no part is missing.";
pub const TO_HOME: &str = "Go to your timeline";

// Status and notices.
pub const OFFLINE: &str = "Offline";
pub const CONNECTING: &str = "Connecting…";
pub const TAB_FOLLOWS: &str = "Starling is also open in another tab, which does the work. This one shows the same and \
     takes over when that one closes.";
pub const UPDATE_READY: &str = "A new version of Starling is ready.";
pub const UPDATE_NOW: &str = "Reload";
pub const PHRASE_REMIND: &str =
    "Your account exists only in this browser until you write down your recovery words.";
pub const PHRASE_REMIND_OPEN: &str = "Show the words";
pub const STORE_FULL: &str = "This device's storage is full. You can read, but nothing new is kept. Free some space on the \
     device; Starling carries on by itself.";
pub const STORE_FAILING: &str = "This browser is not storing what you write at the moment. Starling keeps trying; leave \
     this tab open.";
pub const STORE_BLOCKED: &str =
    "An older version of Starling is still open in another tab. Close it and this one carries on.";
pub const STORE_UNAVAILABLE: &str = "This browser does not let Starling store anything. In a private window, or with site \
     storage switched off, Starling cannot work.";
pub const ENGINE_STOPPED: &str =
    "Starling stopped unexpectedly. Nothing that was saved is lost. Reload to carry on.";
pub const RELOAD: &str = "Reload";
pub const REVOKED: &str = "This device was withdrawn from your account. You can read here, but not write.";
pub const FORKED_SELF: &str = "This device's feed contradicts itself, perhaps because an old backup was put back. You can \
     read here, but not write. Bring your account back from your recovery words to carry on.";
pub const START_OVER: &str = "Start over on this device";
pub const NO_RELAY: &str = "No relay is in reach. People who are linked still get what you write at once; relays get it \
     when they are back.";

/// The status chip.
pub fn chip(peers: u32, waiting: u32) -> String {
    let linked = counted(u64::from(peers), "peer", "peers");
    if waiting == 0 {
        linked
    } else {
        format!("{linked} · {waiting} waiting")
    }
}

/// The status chip without a link.
pub fn chip_unlinked(state: &str, waiting: u32) -> String {
    if waiting == 0 {
        state.to_owned()
    } else {
        format!("{} · {waiting} waiting", state.trim_end_matches('…'))
    }
}

/// Who is linked, in a sentence's worth.
pub fn linked(peers: u32, relays: u32) -> String {
    let others = peers.saturating_sub(relays);
    format!(
        "{} and {}",
        counted(u64::from(relays), "relay", "relays"),
        counted(u64::from(others), "other peer", "other peers")
    )
}

/// The status chip, spoken.
pub fn chip_label(text: &str) -> String {
    format!("Network: {text}")
}

/// A rebuild of everything shown.
pub fn rebuilding(done: u64, total: u64) -> String {
    format!("Putting your timelines together again: {done} of {total}.")
}

// You.
pub const SAFETY: &str = "How safe your posts are";
pub const SAFETY_ALL: &str = "Everything you wrote is stored by at least one relay.";
pub const PHRASE_SECTION: &str = "Recovery words";
pub const DEVICES: &str = "Devices";
pub const THIS_DEVICE: &str = "This device";
pub const WITHDRAWN: &str = "Withdrawn";
pub const WITHDRAW: &str = "Withdraw";
pub const WITHDRAW_LEAD: &str = "A withdrawn device can no longer write in your name. What it wrote stays. Enter your \
     recovery words to do this, so that nobody who takes a device can.";
pub const WITHDRAWN_NOW: &str = "The device was withdrawn.";
pub const DEVICES_HINT: &str = "To add a device, open Starling there and enter your recovery words.";
pub const STORAGE: &str = "Storage";
pub const STORAGE_USED: &str = "In use";
pub const STORAGE_LEFT: &str = "Still free";
pub const STORAGE_KEPT: &str = "Kept by the browser";
pub const STORAGE_KEPT_YES: &str = "Yes";
pub const STORAGE_KEPT_NO: &str = "Not promised";
pub const STORAGE_KEPT_HINT: &str = "The browser may clear this site's data when space runs short or after a week without a \
     visit. Your recovery words and the relays protect you then.";
pub const STORAGE_KEEP: &str = "Ask the browser to keep it";
pub const STORAGE_UNKNOWN: &str = "This browser does not say.";
pub const PRIVACY: &str = "Privacy";
pub const RELAYS_ONLY: &str = "Link to relays only";
pub const RELAYS_ONLY_HINT: &str = "Everybody you are linked with directly can see your internet address. With this, only \
     relays can; posts take a little longer and need a relay in reach.";
pub const APPEARANCE: &str = "Appearance";
pub const THEME_SYSTEM: &str = "System";
pub const THEME_LIGHT: &str = "Light";
pub const THEME_DARK: &str = "Dark";
pub const KEYS: &str = "Keyboard shortcuts";
pub const THIS_BROWSER: &str = "This browser";
pub const ERASE: &str = "Remove account from this browser";
pub const ERASE_HINT: &str =
    "Deletes everything Starling stores here. Posts that others keep stay with them.";
pub const ERASE_TITLE: &str = "Remove the account from this browser?";
pub const ERASE_NO_WORDS: &str = "You have not confirmed your recovery words. Without them nobody, not even you, can bring \
     this account back.";
pub const ERASE_WITH_WORDS: &str = "Only your 24 recovery words bring it back.";
pub const ERASE_CONFIRM: &str = "Remove it";

/// What would be lost with this device.
pub fn only_here(count: u32) -> String {
    if count == 1 {
        "One thing you wrote is only on this device. Lose the device and it is lost.".to_owned()
    } else {
        format!("{count} things you wrote are only on this device. Lose the device and they are lost.")
    }
}

/// What no relay has yet; `more` if something else was said before.
pub fn not_on_relays(count: u32, more: bool) -> String {
    let more = if more { " more" } else { "" };
    if count == 1 {
        format!("One{more} is held by other people's browsers, but by no relay yet.")
    } else {
        format!("{count}{more} are held by other people's browsers, but by no relay yet.")
    }
}

/// The sheet that withdraws a device.
pub fn withdraw_title(name: &str) -> String {
    format!("Withdraw {name}")
}

/// Since when a device is part of the account.
pub fn device_facts(since: &str, entries: u64) -> String {
    format!("Since {since} · {}", counted(entries, "entry", "entries"))
}

/// How many people one follows.
pub fn following_count(count: u32) -> String {
    format!("{count} following")
}

// Network.
pub const NETWORK_SKY: &str = "You in the middle, peers around you: the nearer, the quicker they answer.";
pub const NETWORK_NOBODY: &str = "Nobody is linked at the moment.";
pub const NETWORK_SELF: &str = "You";
pub const NETWORK_LINKS: &str = "Links";
pub const LINK_WHO: &str = "Who";
pub const LINK_VIA: &str = "Connected by";
pub const LINK_RTT: &str = "Round trip";
pub const LINK_IN: &str = "In";
pub const LINK_OUT: &str = "Out";
pub const LINK_SINCE: &str = "Since";
pub const LINK_NONE: &str = "No links. Starling keeps trying by itself.";
pub const VIA_WEBRTC: &str = "WebRTC";
pub const VIA_WEBSOCKET: &str = "WebSocket";
pub const VIA_MEMORY: &str = "Memory";
pub const RELAY: &str = "Relay";
pub const PEER: &str = "Peer";
pub const HELD: &str = "What this device holds";
pub const HELD_FEEDS: &str = "Feeds";
pub const HELD_ENTRIES: &str = "Entries";
pub const HELD_INTERESTS: &str = "People asked about";
pub const HELD_DUPLICATES: &str = "Received twice";
pub const HELD_REFUSED: &str = "Refused as invalid";
pub const RELAYS: &str = "Relays heard of";
pub const RELAYS_SCORE: &str = "Starling turns to the relays with the highest scores: those that have your posts soonest, answer \
     quickly and rarely fail.";
pub const RELAY_ALIVE: &str = "Answering";
pub const RELAY_SUSPECT: &str = "Silent lately";
pub const RELAY_DEAD: &str = "Gone silent";
pub const SYNCED: &str = "Last compared";
pub const SYNCED_NONE: &str = "Nothing was compared with anybody yet.";
pub const DIAGNOSTICS: &str = "Diagnostics";
pub const DIAGNOSTICS_HINT: &str =
    "Helps whoever runs your relay to find a fault. Contains no posts and no words of yours.";
pub const DIAGNOSTICS_COPY: &str = "Copy diagnostics";
pub const RECONNECT: &str = "Connect again now";
pub const OPEN_NETWORK: &str = "Open the network page";

/// The whole picture in one sentence.
pub fn sky_label(peers: usize, relays: usize) -> String {
    format!(
        "{NETWORK_SKY} {}, {}.",
        counted(relays as u64, "relay", "relays"),
        counted((peers - relays.min(peers)) as u64, "other peer", "other peers")
    )
}

/// A round trip.
pub fn milliseconds(ms: u32) -> String {
    format!("{ms} ms")
}

/// An amount of storage or traffic.
pub fn bytes(count: u64) -> String {
    const KILO: u64 = 1_000;
    match count {
        0..KILO => format!("{count} B"),
        KILO..1_000_000 => format!("{} kB", count / KILO),
        1_000_000..1_000_000_000 => format!("{}.{} MB", count / 1_000_000, count / 100_000 % 10),
        _ => format!("{}.{} GB", count / 1_000_000_000, count / 100_000_000 % 10),
    }
}

/// Keys and what they do.
pub const KEY_LIST: [(&str, &str); 10] = [
    ("j", "Next post"),
    ("k", "Previous post"),
    ("Enter", "Open the post"),
    ("r", "Reply to the post"),
    ("n", "Write a new post"),
    ("/", "Follow or look somebody up"),
    (".", "Show new posts"),
    ("Ctrl ⏎", "Send what you are writing (on a Mac: ⌘ ⏎)"),
    ("Esc", "Close what is open"),
    ("?", "This list"),
];

// Trouble, in plain words.

/// The store's state as a notice, if it needs one.
pub fn store(state: StoreState) -> Option<&'static str> {
    match state {
        StoreState::Ok => None,
        StoreState::Full => Some(STORE_FULL),
        StoreState::Failing => Some(STORE_FAILING),
    }
}

/// Why something was not done, and what to do.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Starting => "Starling is still opening. Try again in a moment.".to_owned(),
        Refusal::NoAccount => "There is no account on this device yet.".to_owned(),
        Refusal::HasAccount => {
            "There is an account on this device already. Reload the page to see it.".to_owned()
        }
        Refusal::PhraseWord { position, word } => format!(
            "Word {} (“{word}”) is not in the list of recovery words. Check its spelling.",
            position + 1
        ),
        Refusal::PhraseLength { words } => {
            format!(
                "A recovery phrase has 24 words; this has {words}. Perhaps a word is missing or joined to another."
            )
        }
        Refusal::PhraseChecksum => {
            "Every word is in the list, but together they do not fit: two may be swapped, or one \
             may be a different word from the list."
                .to_owned()
        }
        Refusal::PhraseOfOther => "These words belong to another account.".to_owned(),
        Refusal::Empty => "Write something first.".to_owned(),
        Refusal::TooLong { max } => format!("That is too long: {max} characters at most."),
        Refusal::NotFound => "That is not here any more.".to_owned(),
        Refusal::Revoked => REVOKED.to_owned(),
        Refusal::Forked => FORKED_SELF.to_owned(),
        Refusal::Store(state) => store(*state).unwrap_or(STORE_FAILING).to_owned(),
        Refusal::Busy => "Too much is under way at once. Try again in a moment.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345), "12 kB");
        assert_eq!(bytes(1_250_000), "1.2 MB");
        assert_eq!(bytes(3_000_000_000), "3.0 GB");
    }

    #[test]
    fn the_chip_says_what_waits() {
        assert_eq!(chip(1, 0), "1 peer");
        assert_eq!(chip(5, 2), "5 peers · 2 waiting");
        assert_eq!(chip_unlinked(CONNECTING, 3), "Connecting · 3 waiting");
    }
}
