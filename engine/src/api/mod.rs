//! The requests, responses and events between the engine and an interface.
//!
//! There are three streams: [`Request`]s (a [`Command`] changes something, a [`Query`] reads something), exactly one
//! [`Response`] to each request, and unsolicited [`Event`]s. All of them are plain serialisable values, so that an
//! interface may run in another thread, tab or process. Text comes from strangers: show it, never interpret it.

mod device;
mod names;
mod network;
mod people;
mod posts;
mod reactions;
mod relays;

use protocol::kinds::ReplyTo;
use protocol::messages::receipt::Reason;
use protocol::names::NameAnswer;
use protocol::{AccountId, DeviceId, EntryRef, PeerId};
use serde::{Deserialize, Serialize};

pub use device::{Connection, DeviceView, MeView, QuotaView, StatusView, StoreState};
pub use names::{ClaimView, OfferView};
pub use network::{LinkView, NetworkView, Transport};
pub use people::{FeedView, HolderView, ProfileView};
pub use posts::{Cursor, Durability, Page, PostView, ReplyView, ThreadView, Timeline};
pub use reactions::{ReactionCount, ReactionView};
pub use relays::{
    MemberView, MembersView, RelayState, RelayView, RepairView, ReplicaView, ReplicasView, ScoreView,
};

/// One request of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Change something.
    Command(Command),
    Query(Query),
}

/// The response to a [`Request`]; there is exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The command took effect. For everything that creates an entry this comes at once, before the entry is on disk:
    /// its durability follows as [`Event::Durability`].
    Done(CommandResult),
    Result(Box<QueryResult>),
    /// The request failed and changed nothing.
    Error(Error),
}

/// A change that the user requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// First visit: make an account and this device's feed.
    CreateAccount {
        /// Display name, 1 to 50 characters.
        name: String,
        /// What to call this device in the device list, such as "Firefox on Linux".
        device_name: String,
    },
    /// Another device, or after site data was cleared: bring an account back as a new device with its own feed.
    Restore {
        /// The 24 recovery words, separated by white space, any case.
        phrase: String,
        /// What to call this device.
        device_name: String,
    },
    /// This device's store is an old copy ([`MeView::old_copy`]) or its feed is forked: make it a new device of the
    /// same account, and issue again the posts that no other peer has.
    BeginAsNewDevice {
        /// The recovery words; not needed while the phrase is unconfirmed, since the account's key is still here.
        phrase: Option<String>,
        /// What to call this device.
        device_name: String,
    },
    /// The person has written the recovery phrase down: forget the account key on this device.
    ConfirmPhrase,
    /// Publish a post.
    Publish {
        /// Chosen at random by the interface for each post: a repeated token is the same post, sent once.
        token: [u8; 16],
        /// The text, 1 to 3,000 characters.
        text: String,
        /// The post this one answers, and the post that began the thread ([`ReplyView::root`] of the answered post, or
        /// the answered post itself if it answers none).
        reply_to: Option<ReplyTo>,
        /// A slug to ask the registry for, as by [`Command::SetSlug`].
        slug: Option<String>,
    },
    /// Claim a slug for an own post, a short address that is unique in the network; or (`None`) release its slug, or drop a claim
    /// that was refused or is not wanted any more. Works offline; progress is reported by [`Event::Beside`].
    SetSlug {
        post: EntryRef,
        /// The slug; slashes around it and capitals do not matter, spaces become hyphens.
        slug: Option<String>,
    },
    /// React to a post with one emoji, in place of the one there was. An emoji that is not one is [`Error::NotFound`].
    React {
        post: EntryRef,
        /// The emoji; empty: take the reaction back.
        emoji: String,
    },
    /// Follow an account.
    Follow { account: AccountId },
    /// Stop following an account.
    Unfollow { account: AccountId },
    /// Change one's own name and self-description.
    EditProfile {
        /// Display name, 1 to 50 characters.
        name: String,
        /// Self-description, at most 500 characters.
        bio: String,
    },
    /// Claim a name, which is unique in the network. Works offline; progress is shown by [`MeView::claim`].
    ClaimName {
        /// The name; a leading `@` and capitals do not matter.
        name: String,
    },
    /// Release the account's name.
    ReleaseName,
    /// Allow another account to claim this account's name, or (`None`) withdraw that offer. The name keeps its owner
    /// until it is claimed. Works offline; progress is shown by [`MeView::offer`].
    OfferName {
        /// The account that may claim the name.
        to: Option<AccountId>,
    },
    /// Drop a claim or offer that was refused, or is not wanted any more.
    DropClaim,
    /// Withdraw a lost device. Needs the phrase, since a stolen device must not be able to do it.
    RevokeDevice {
        /// The 24 recovery words.
        phrase: String,
        /// The device to withdraw.
        device: DeviceId,
    },
    /// Link to relays alone, so that no other person's browser learns this one's address.
    SetRelaysOnly { on: bool },
    /// Delete every view and index all stored entries again.
    RebuildViews,
    /// Ask the relays that seem to lack entries of an account whether they still do, so that [`Query::Replicas`] is up
    /// to date. Done when each has answered or its link has ended: a caller that cannot wait that long sets its own
    /// limit. For relays.
    CheckReplicas { account: AccountId },
    /// Make a relay a member of this relay's network. For relays.
    InviteRelay { relay: PeerId },
    /// Withdraw a relay's membership. For relays.
    ExpelRelay { relay: PeerId },
    /// Remove a relay that is no member of the network any more from the address book.
    ForgetRelay { relay: PeerId },
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandResult {
    /// Done, nothing to tell.
    Ok,
    /// An account stands ready on this device (created or restored).
    Account(AccountId),
    /// The post exists; this is how it looks now.
    Published(Box<PostView>),
}

/// Why nothing was changed. Each has a plain-language counterpart in the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The engine is still reading its store.
    Starting,
    /// There is no account on this device yet.
    NoAccount,
    /// There is an account on this device already.
    HasAccount,
    /// The word at this position (from 0) is not in the list of recovery words.
    PhraseWord {
        /// Position from 0.
        position: u32,
        word: String,
    },
    /// A recovery phrase has 24 words; this had another number.
    PhraseLength {
        /// How many words there were.
        words: u32,
    },
    /// All words are known, but together they are no phrase: two are swapped, or one is wrong.
    PhraseChecksum,
    /// The phrase belongs to another account.
    PhraseOfOther,
    /// The name, text or self-description is empty.
    Empty,
    TooLong {
        /// Characters allowed.
        max: u32,
    },
    /// Not found here.
    NotFound,
    /// This device was withdrawn by its account: it can read, not write.
    Revoked,
    /// This device's feed has two entries for one number (a restored backup or a stolen key): it can no longer be
    /// written. Restore the account from the phrase as a new device.
    Forked,
    /// This device's store is an old copy of it, and other peers hold what it wrote since: it can read, not write. See
    /// [`Command::BeginAsNewDevice`].
    OldCopy,
    /// The store takes no writes.
    Store(StoreState),
    /// Too many requests are in progress; try again.
    Busy,
    /// The reaction is not one emoji.
    NotAnEmoji,
}

/// A read request. If it is for a person or a post that is not stored here, the engine requests it from its peers; what
/// arrives is reported by events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// The account and device of this peer → [`QueryResult::Me`].
    Me,
    /// The recovery phrase, as long as it was not confirmed → [`QueryResult::Phrase`].
    Phrase,
    /// A timeline, newest first → [`QueryResult::Page`].
    Timeline {
        timeline: Timeline,
        /// Only posts after this place (older ones); `None` starts at the top.
        after: Option<Cursor>,
        /// At most this many; 100 at most.
        limit: u32,
    },
    /// A post with what it answers and what answers it → [`QueryResult::Thread`].
    Thread { post: EntryRef },
    /// A person → [`QueryResult::Profile`].
    Profile { account: AccountId },
    /// Which relays keep an account's feeds, the primary first → [`QueryResult::Replicas`]. For relays.
    Replicas { account: AccountId },
    /// The owner of a name, according to the registry → [`QueryResult::Name`]. Takes as long as the network takes.
    Name {
        /// The name; a leading `@` and capitals do not matter.
        name: String,
    },
    /// Which post a slug leads to → [`QueryResult::Name`] with a receipt that names the post. Feeds held here are
    /// looked at first; otherwise it takes as long as the network takes.
    Slug {
        /// The slug; slashes around it and capitals do not matter.
        slug: String,
    },
    /// Who reacted to a post, 100 people at most → [`QueryResult::Reactions`].
    Reactions { post: EntryRef },
    /// Whom this account follows → [`QueryResult::Profiles`].
    Following,
    /// Who holds this own post → [`QueryResult::Holders`].
    Holders { post: EntryRef },
    /// The chip: connection, peers, what waits → [`QueryResult::Status`].
    Status,
    /// Links, feeds, traffic → [`QueryResult::Network`].
    Network,
    /// The members of this relay's network → [`QueryResult::Members`]. For relays.
    Members {
        /// The member of which is said what expelling it would do.
        about: Option<PeerId>,
    },
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryResult {
    /// `None`: no account yet.
    Me(Option<MeView>),
    /// The words, or `None` when they are no longer kept here.
    Phrase(Option<Vec<String>>),
    /// A part of a timeline.
    Page(Page),
    Thread(ThreadView),
    Profile(ProfileView),
    /// The relays that keep an account's feeds, the primary first.
    Replicas(ReplicasView),
    /// The registry's answer; [`NameAnswer::Unavailable`] if none came.
    Name(NameAnswer),
    /// Reactions to a post.
    Reactions(Vec<ReactionView>),
    /// Several people.
    Profiles(Vec<ProfileView>),
    /// The peers that hold a post.
    Holders(Vec<HolderView>),
    /// The state of the connection.
    Status(StatusView),
    /// The network page.
    Network(NetworkView),
    /// The members of a relay's network.
    Members(MembersView),
}

/// What entries of each kind say about a post. A kind adds a field; the JSON API of relays shows them all under these
/// names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Posts that answer it, stored here; 100 means "100 or more".
    pub replies: u32,
    /// Its slug in the registry; empty if there is none that is proven.
    pub slug: String,
    /// Reactions of 100 people at most, and always the own one; in the order of their bytes, so that none moves when
    /// counts change.
    pub reactions: Vec<ReactionCount>,
}

/// An unsolicited message to interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The store is read: requests are answered from now on.
    Ready {
        /// Whether there is an account on this device.
        account: bool,
    },
    /// Posts became visible here, newest first (own ones too).
    Posts {
        /// At most 50.
        posts: Vec<PostView>,
        /// There were more: read the timeline again when the reader asks for them.
        more: bool,
    },
    /// What other entries say about a post changed, or how the claim for the slug of an own one goes. If more than 256
    /// posts change at once, there is no event for the rest: the next query for them has it.
    Beside {
        post: EntryRef,
        /// What they say now.
        beside: Beside,
        /// As [`PostView::slug_claim`].
        slug_claim: Option<ClaimView>,
    },
    /// The directory of relays changed: all of it.
    Relays(Vec<RelayView>),
    /// How far a relay is with what it should hold changed.
    Repair(RepairView),
    /// A relay that held own posts says that it keeps them no longer; or one that this device linked with is no member of the
    /// network any more ([`Reason::NO_MEMBER`]).
    NotKept {
        relay: PeerId,
        /// The URL it advertises; empty: none is known.
        url: String,
        reason: Reason,
    },
    /// An own post is safer than before, or less safe.
    Durability {
        post: EntryRef,
        /// How safe.
        durability: Durability,
    },
    /// A person's name, description or follow state changed.
    Profile(ProfileView),
    /// One's own account changed (devices, phrase, follows).
    Me(MeView),
    /// The chip changed.
    Status(StatusView),
    /// A feed has two entries with one number: its key is misused, or an old backup was restored.
    Forked { account: AccountId, device: DeviceId },
    /// Progress of a rebuild: `done` of `total` entries.
    Rebuilding {
        /// Entries indexed.
        done: u64,
        /// Entries there are.
        total: u64,
    },
}
