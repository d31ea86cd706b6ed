//! What an interface may ask of the engine, and what it is told.
//!
//! Three streams cross this edge: an [`Ask`] (a [`Command`] changes something, a [`Query`] reads something), exactly one
//! [`Answer`] to each ask, and [`Event`]s nobody asked for. All of them are plain serialisable values, so that an
//! interface may live in another thread, tab or process. Text is untrusted text: show it, never interpret it.

use protocol::directory::Description;
use protocol::entry::ReplyTo;
use protocol::handshake::NoCommonVersion;
use protocol::name::NameAnswer;
use protocol::{AccountId, DeviceId, EntryId, EntryRef, PeerId, Timestamp};
use serde::{Deserialize, Serialize};

/// One request of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Change something.
    Command(Command),
    /// Read something.
    Query(Query),
}

/// The one answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The command took effect. For everything that creates an entry this comes at once, before the entry is on disk:
    /// its durability follows as [`Event::Durability`].
    Done(Outcome),
    /// What the query read.
    Reply(Box<Reply>),
    /// Nothing changed, and why.
    Refused(Refusal),
}

/// Something the person wants changed.
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
    /// This device's store is an old copy ([`MeView::old_copy`]) or its feed is forked: make it a new device of the same account, and
    /// issue again the posts that no other peer has.
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
        /// The post this one answers, and the post that began the thread ([`ReplyView::root`] of the answered post, or the
        /// answered post itself if it answers none).
        reply_to: Option<ReplyTo>,
        /// A slug to ask the registry for, as by [`Command::SetSlug`].
        slug: Option<String>,
    },
    /// Ask the registry for a slug for an own post, an address that is short and nobody else's; or (`None`) give the one it
    /// has back, or forget a claim that was refused or is not wanted any more. Works offline; how it goes is told by
    /// [`Event::Slug`].
    SetSlug {
        /// Which post.
        post: EntryRef,
        /// The slug; slashes around it and capitals do not matter, spaces become hyphens.
        slug: Option<String>,
    },
    /// Follow an account.
    Follow {
        /// Whom.
        account: AccountId,
    },
    /// Stop following an account.
    Unfollow {
        /// Whom.
        account: AccountId,
    },
    /// Change one's own name and self-description.
    EditProfile {
        /// Display name, 1 to 50 characters.
        name: String,
        /// Self-description, at most 500 characters.
        bio: String,
    },
    /// Ask the registry for a name of one's own: nobody else in the network has it. Works offline; how it goes is told by
    /// [`MeView::claim`].
    ClaimName {
        /// The name; a leading `@` and capitals do not matter.
        name: String,
    },
    /// Give the name back.
    ReleaseName,
    /// Let somebody else claim the name one has, or (`None`) nobody any more. It stays one's own until that happens. Works
    /// offline; how it goes is told by [`MeView::offer`].
    OfferName {
        /// Whom.
        to: Option<AccountId>,
    },
    /// Forget a claim or offer that was refused, or is not wanted any more.
    DropClaim,
    /// Withdraw a lost device. Needs the phrase, since a stolen device must not be able to do it.
    RevokeDevice {
        /// The 24 recovery words.
        phrase: String,
        /// The device to withdraw.
        device: DeviceId,
    },
    /// Link to relays alone, so that no other person's browser learns this one's address.
    SetRelaysOnly {
        /// Whether to.
        on: bool,
    },
    /// Throw every view away and fold all stored entries again.
    RebuildViews,
    /// Ask the relays that seem to lack entries of an account whether they still do, so that [`Query::Replicas`] is up to date.
    /// Done when each has answered or its link has ended: a caller that cannot wait that long sets its own limit. For relays.
    CheckReplicas {
        /// Whose.
        account: AccountId,
    },
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, nothing to tell.
    Ok,
    /// An account stands ready on this device (created or restored).
    Account(AccountId),
    /// The post exists; this is how it looks now.
    Published(Box<PostView>),
}

/// Why nothing was changed. Each has a plain-language counterpart in the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
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
        /// The word.
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
    /// Too long.
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
    /// So much is under way that this had to be refused; try again.
    Busy,
}

/// Something an interface wants to read. Reading a person or a post that is not stored here makes the engine look for
/// it at its peers; what arrives is told by events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// Who this is → [`Reply::Me`].
    Me,
    /// The recovery phrase, as long as it was not confirmed → [`Reply::Phrase`].
    Phrase,
    /// A timeline, newest first → [`Reply::Page`].
    Timeline {
        /// Which.
        timeline: Timeline,
        /// Only posts after this place (older ones); `None` starts at the top.
        after: Option<Cursor>,
        /// At most this many; 100 at most.
        limit: u32,
    },
    /// A post with what it answers and what answers it → [`Reply::Thread`].
    Thread {
        /// The post.
        post: EntryRef,
    },
    /// A person → [`Reply::Profile`].
    Profile {
        /// Whom.
        account: AccountId,
    },
    /// Which relays keep an account's feeds, the primary first → [`Reply::Replicas`]. For relays.
    Replicas {
        /// Whose.
        account: AccountId,
    },
    /// Whose a name is, by the registry's word → [`Reply::Name`]. Takes as long as the network takes.
    Name {
        /// The name; a leading `@` and capitals do not matter.
        name: String,
    },
    /// Which post a slug leads to → [`Reply::Name`] with a receipt that names the post. Feeds held here are looked at first;
    /// otherwise it takes as long as the network takes.
    Slug {
        /// The slug; slashes around it and capitals do not matter.
        slug: String,
    },
    /// Whom this account follows → [`Reply::Profiles`].
    Following,
    /// Who holds this own post → [`Reply::Holders`].
    Holders {
        /// The post.
        post: EntryRef,
    },
    /// The chip: connection, peers, what waits → [`Reply::Status`].
    Status,
    /// Links, feeds, traffic → [`Reply::Network`].
    Network,
}

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

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// `None`: no account yet.
    Me(Option<MeView>),
    /// The words, or `None` when they are no longer kept here.
    Phrase(Option<Vec<String>>),
    /// A part of a timeline.
    Page(Page),
    /// A thread.
    Thread(ThreadView),
    /// A person.
    Profile(ProfileView),
    /// The relays that keep somebody's feeds, the primary first.
    Replicas(ReplicasView),
    /// The registry's answer; [`NameAnswer::Unavailable`] if none came.
    Name(NameAnswer),
    /// Several people.
    Profiles(Vec<ProfileView>),
    /// Who holds a post.
    Holders(Vec<HolderView>),
    /// The chip.
    Status(StatusView),
    /// The network page.
    Network(NetworkView),
}

/// How a relay seems to do. Who does better comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RelayState {
    /// Heard of lately.
    Alive,
    /// Two heartbeats are missing.
    Suspect,
    /// Silent for long.
    Dead,
}

/// A relay of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayView {
    /// What it says of itself.
    pub description: Description,
    /// How it seems to do.
    pub state: RelayState,
    /// It is this peer.
    pub this: bool,
}

/// The copies of somebody's feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasView {
    /// The relays that keep them. The first one that lives is the primary, and stands first.
    pub replicas: Vec<ReplicaView>,
    /// The relays that serve the app and that a device of the account is linked with, as far as the one that is asked was
    /// told: those that keep names are.
    pub served_by: Vec<PeerId>,
}

/// A copy of somebody's feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaView {
    /// Who keeps it.
    pub relay: PeerId,
    /// How that relay seems to do.
    pub state: RelayState,
    /// Entries it lacks of those held by the relay that answers, as far as that relay knows ([`Command::CheckReplicas`] updates
    /// it). `None`: the two are not linked, or it never said.
    pub lag: Option<u64>,
    /// Milliseconds from when the relay that is asked took an entry in until this one had signed for it: the longest of the
    /// last ones measured of each of these feeds, or else what is usual over all feeds. `None`: not measured.
    pub delay_ms: Option<u32>,
}

/// How far a relay is with what it should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairView {
    /// It has had everything its neighbours had of its share, since it was started.
    pub caught_up: bool,
    /// Feeds it lacks a part of.
    pub feeds: u64,
    /// Entries it lacks.
    pub entries: u64,
    /// The relays it has them from.
    pub from: Vec<PeerId>,
    /// Relays with a share.
    pub relays: u32,
    /// How many of them keep each account's feeds.
    pub replicas: u32,
    /// How many should, if there are so many.
    pub wanted: u32,
    /// How many of the relays with a share live.
    pub living: u32,
    /// Accounts held beside its share.
    pub cached: u64,
    /// So many relays fell silent at once that this one is probably cut off.
    pub doubts: bool,
    /// It is to end, and hands over what it has: feeds that others lack a part of. `None`: it is not.
    pub to_hand_over: Option<u64>,
}

/// Told without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The store is read: asks are answered from now on.
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
    /// The directory of relays changed: all of it.
    Relays(Vec<RelayView>),
    /// How far a relay is with what it should hold changed.
    Repair(RepairView),
    /// An own post is safer than before.
    Durability {
        /// Which post.
        post: EntryRef,
        /// How safe.
        durability: Durability,
    },
    /// A post's slug changed, or how the claim for one of an own post goes.
    Slug {
        /// Which post.
        post: EntryRef,
        /// Its slug from now on, empty if it has none any more; `None`: it is what it was.
        slug: Option<String>,
        /// The claim that is not decided, or was refused.
        claim: Option<ClaimView>,
    },
    /// A person's name, description or follow state changed.
    Profile(ProfileView),
    /// One's own account changed (devices, phrase, follows).
    Me(MeView),
    /// The chip changed.
    Status(StatusView),
    /// A feed has two entries with one number: somebody misuses its key, or restored an old backup.
    Forked {
        /// Whose.
        account: AccountId,
        /// Which device.
        device: DeviceId,
    },
    /// Progress of a rebuild: `done` of `total` entries.
    Rebuilding {
        /// Entries folded.
        done: u64,
        /// Entries there are.
        total: u64,
    },
}

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The text.
    pub text: String,
    /// When, by the author's clock.
    pub timestamp: Timestamp,
    /// What it answers.
    pub reply: Option<ReplyView>,
    /// Posts that answer it, stored here; 100 means "100 or more".
    pub replies: u32,
    /// Written by this account.
    pub mine: bool,
    /// Belongs into the home timeline.
    pub in_home: bool,
    /// Belongs into the activity timeline.
    pub in_activity: bool,
    /// For own posts.
    pub durability: Option<Durability>,
    /// Its slug in the registry; empty if there is none that is proven, or it was not looked for: as in [`Event::Posts`].
    pub slug: String,
    /// For own posts: a slug that was asked for.
    pub slug_claim: Option<ClaimView>,
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
    /// Where to go on, unless this was the end.
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

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileView {
    /// Who.
    pub account: AccountId,
    /// Display name; empty if not known yet.
    pub name: String,
    /// Self-description.
    pub bio: String,
    /// Name in the registry; empty if there is none that is proven.
    pub handle: String,
    /// Oneself.
    pub mine: bool,
    /// Followed by oneself.
    pub followed: bool,
    /// Entries stored here, of all devices.
    pub entries: u64,
    /// One of the feeds is forked and frozen.
    pub forked: bool,
    /// Nothing of this person is stored here yet; peers are being asked.
    pub searching: bool,
    /// The feeds of the person's devices, the last written first. This and what follows is found for [`Query::Profile`] alone.
    pub feeds: Vec<FeedView>,
    /// Linked peers that said how far they have them.
    pub told_by: u32,
    /// When one last did, since this device was started.
    pub compared: Option<Timestamp>,
}

impl ProfileView {
    /// Posts stored here and shown.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.feeds.iter().map(|feed| feed.posts).sum()
    }

    /// Entries that linked peers say they have and this one has not.
    #[must_use]
    pub fn ahead(&self) -> u64 {
        self.feeds
            .iter()
            .fold(0, |sum, feed| feed.ahead.saturating_add(sum))
    }

    /// When the newest entry stored here was signed, by its author's clock.
    #[must_use]
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.feeds
            .iter()
            .filter(|feed| feed.entries > 0)
            .map(|feed| feed.signed_at)
            .max()
    }

    /// All that was signed until then is here, each entry linked to the one before, and of the peers asked none has more.
    /// Never so for a feed that contradicts itself, or as long as nobody was asked.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.compared.is_some() && !self.forked && self.signed_at().is_some() && self.ahead() == 0
    }
}

/// A device's feed. What is stored of it is its beginning, without a gap, each entry of it signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedView {
    /// Which device.
    pub device: DeviceId,
    /// What it is called.
    pub name: String,
    /// Entries stored here and valid.
    pub entries: u64,
    /// Posts among them.
    pub posts: u64,
    /// The newest of them; all zero if that is not known.
    pub head: EntryId,
    /// When that was signed, by the author's clock.
    pub signed_at: Timestamp,
    /// Entries beyond, which linked peers say they have.
    pub ahead: u64,
}

/// One's own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeView {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// Display name.
    pub name: String,
    /// Self-description.
    pub bio: String,
    /// Name in the registry; empty if there is none.
    pub handle: String,
    /// What was asked of the registry about the name, and is not decided or was refused.
    pub claim: Option<ClaimView>,
    /// To whom the name is offered; or shall be, if [`Self::claim`] is about that.
    pub offer: Option<OfferView>,
    /// The recovery phrase was written down; the account key is no longer here.
    pub phrase_confirmed: bool,
    /// All devices of the account, this one first.
    pub devices: Vec<DeviceView>,
    /// How many people are followed.
    pub following: u32,
    /// This device was withdrawn: it can read, not write.
    pub revoked: bool,
    /// This device's feed is forked: it can read, not write.
    pub forked: bool,
    /// This device's store is an old copy (a copied browser profile, a machine that was set back): it can read, not write, until
    /// [`Command::BeginAsNewDevice`].
    pub old_copy: bool,
    /// Posts written on the old copy that no other peer has: they are issued again then.
    pub set_aside: u32,
    /// Link to relays alone.
    pub relays_only: bool,
}

/// A name or slug that was asked for, or is to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimView {
    /// Which.
    pub name: String,
    /// It is to be given back.
    pub release: bool,
    /// Why it came to nothing. `None`: the registry has not answered yet.
    pub refused: Option<NameAnswer>,
}

/// The account's name, offered to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// To whom. `None`: an offer is to be taken back.
    pub to: Option<AccountId>,
    /// Their display name, if known.
    pub name: String,
    /// The registry knows of it; otherwise it is the claim that says how it goes.
    pub stands: bool,
}

/// A device of one's own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its key.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Since when, by its own clock.
    pub since: Timestamp,
    /// This very device.
    pub this: bool,
    /// Withdrawn.
    pub revoked: bool,
    /// Entries of its feed stored here.
    pub entries: u64,
}

/// Who holds an own post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderView {
    /// Which peer.
    pub peer: PeerId,
    /// A relay, with a signed receipt; otherwise a peer that said so over its link.
    pub relay: bool,
    /// When it was told.
    pub at: Timestamp,
}

/// The state of the connection, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// No link, and the device says it has no network.
    #[default]
    Offline,
    /// No link yet; trying.
    Connecting,
    /// At least one link.
    Online,
}

/// How the store is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreState {
    /// Writes succeed.
    #[default]
    Ok,
    /// No space: nothing new is kept until there is.
    Full,
    /// Writes fail for another reason; they are tried again.
    Failing,
}

/// The status chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// In one word.
    pub connection: Connection,
    /// Linked peers, relays included.
    pub peers: u32,
    /// Linked relays.
    pub relays: u32,
    /// Own entries that nobody else has confirmed to hold: lost if this device is lost.
    pub waiting: u32,
    /// Own entries without any relay's receipt.
    pub not_durable: u32,
    /// Entries are being fetched.
    pub syncing: bool,
    /// The store.
    pub store: StoreState,
    /// Whether the recovery phrase was confirmed (true without an account).
    pub phrase_confirmed: bool,
}

/// How a link's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// A WebRTC data channel.
    WebRtc,
    /// A WebSocket.
    WebSocket,
    /// Memory, in tests and simulations.
    Memory,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// The neighbour.
    pub peer: PeerId,
    /// Whose device it is, if it said so.
    pub account: Option<AccountId>,
    /// That account's name, if known.
    pub name: String,
    /// A relay.
    pub relay: bool,
    /// How the bytes travel.
    pub transport: Transport,
    /// Round trip in milliseconds, if measured.
    pub rtt_ms: Option<u32>,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Since when.
    pub since: Timestamp,
}

/// How good a relay seems to be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreView {
    /// Which.
    pub relay: PeerId,
    /// In ten-thousandths: higher is better.
    pub score: u32,
    /// What it is one divided by, term by term, in tenths: replication delay, response time, distance and errors, each with
    /// its weight.
    pub parts: [u32; 4],
}

/// The network page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// All links.
    pub links: Vec<LinkView>,
    /// Feeds stored here.
    pub feeds: u64,
    /// Entries stored here.
    pub entries: u64,
    /// Accounts this peer asks its neighbours for.
    pub interests: u64,
    /// Bytes of frames received since the start, on all links.
    pub bytes_in: u64,
    /// Bytes of frames sent since the start, on all links.
    pub bytes_out: u64,
    /// Entries received that were stored already.
    pub duplicates: u64,
    /// Frames and messages refused (bad signatures, malformed, over a limit).
    pub refused: u64,
    /// The last neighbour that had no protocol version in common with this peer.
    pub incompatible: Option<NoCommonVersion>,
    /// Entries other relays were asked to show, to prove that they have what they say.
    pub audits: u64,
    /// Those they did not show.
    pub audits_failed: u64,
    /// The directory of relays.
    pub relays: Vec<RelayView>,
    /// Of a relay: how soon others have what is written at it, in milliseconds.
    pub delays: Vec<(PeerId, u32)>,
    /// How good each of them seems to be for this device.
    pub scores: Vec<ScoreView>,
    /// The weights behind the scores, in thousandths: of a millisecond of replication delay, a millisecond of response
    /// time, a kilometre, and all requests failing.
    pub weights: [u32; 4],
    /// When each followed account was last compared with a neighbour.
    pub synced: Vec<(AccountId, Timestamp)>,
}
