//! Posts, timelines and threads, as interfaces show them.

use protocol::{AccountId, DeviceId, EntryRef, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Beside, ClaimView};

/// A list of posts, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timeline {
    /// One's own posts and those of the people one follows.
    Home,
    /// Every post stored here.
    Public,
    /// One person's posts.
    User(AccountId),
    /// Answers to one's own posts.
    Activity,
}

/// A place in a timeline. Opaque: take it from [`Page::next`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor(pub Vec<u8>);

/// How safe an own post is. Honest: each number is what was confirmed, never what is hoped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durability {
    /// Committed to this device's disk.
    pub saved: bool,
    /// Other peers (not relays) that said they hold it.
    pub peers: u32,
    /// Relays whose signed receipt says it is on their disk.
    pub relays: u32,
    /// Relays known here.
    pub relays_known: u32,
}

/// A post, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostView {
    /// Its permanent name.
    pub entry: EntryRef,
    /// The device that wrote it.
    pub device: DeviceId,
    /// Its number in that device's feed.
    pub seq: u64,
    /// The author's display name; empty if unknown.
    pub name: String,
    /// The author's name in the registry; empty if there is none that is proven.
    pub handle: String,
    pub text: String,
    /// The time of writing, by the author's clock.
    pub timestamp: Timestamp,
    pub reply: Option<ReplyView>,
    /// Written by this account.
    pub mine: bool,
    /// Belongs into the home timeline.
    pub in_home: bool,
    /// Belongs into the activity timeline.
    pub in_activity: bool,
    /// For own posts.
    pub durability: Option<Durability>,
    /// For own posts: a slug that was asked for.
    pub slug_claim: Option<ClaimView>,
    /// What other entries say about it. Not looked for in [`Event::Posts`](super::Event::Posts) and the result of
    /// [`Command::Publish`](super::Command::Publish).
    pub beside: Beside,
}

/// What a post answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyView {
    /// The post that began the thread.
    pub root: EntryRef,
    /// The post answered.
    pub parent: EntryRef,
    /// The answered author's name, if known.
    pub parent_name: String,
}

/// A part of a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Newest first.
    pub posts: Vec<PostView>,
    /// The cursor of the next page. `None`: this was the last one.
    pub next: Option<Cursor>,
}

/// A post in its thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadView {
    /// What was asked for.
    pub entry: EntryRef,
    /// The post; `None` if it is not stored here (peers are being asked).
    pub post: Option<PostView>,
    /// From the root down to what the post answers; a gap is simply missing.
    pub ancestors: Vec<PostView>,
    /// Answers to the post and to its answers, oldest first; 200 at most.
    pub replies: Vec<PostView>,
    /// Peers are still being asked.
    pub searching: bool,
}
