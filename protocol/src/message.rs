//! What linked peers say to each other.
//!
//! A message is one kind byte and the postcard bytes of its fields. Unknown kinds are skipped, known ones must decode
//! exactly and keep within their limits.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::directory::SignedDescription;
use crate::entry::{Entry, SignedHeader};
use crate::id::{AccountId, DeviceId, EntryId};
use crate::introduction::Introduction;
use crate::limits;
use crate::name::{NameAnswer, NameQuestion};
use crate::overlay::{Accept, Descriptor, ForwardJoin, Heartbeat, Others, Request, Shuffle};
use crate::receipt::Receipt;

/// An account as named between two peers: the first eight bytes of BLAKE3 keyed with their salt
/// ([`crate::handshake::pair_salt`]). A neighbour recognises the accounts it holds itself and learns nothing of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SaltedAccount(pub [u8; 8]);

impl SaltedAccount {
    /// The name of `account` between peers with `salt`.
    #[must_use]
    pub fn new(salt: &[u8; 32], account: &AccountId) -> Self {
        let hash = blake3::keyed_hash(salt, &account.0);
        let mut short = [0u8; 8];
        short.copy_from_slice(&hash.as_bytes()[..8]);
        Self(short)
    }
}

/// Bytes of a cell of a sketch.
pub const SKETCH_CELL_LEN: usize = 20;
/// Bytes of a feed's key in a sketch that name it afterwards.
pub const FEED_KEY_LEN: usize = 6;
/// A feed as its key in a sketch begins.
pub type FeedKey = [u8; FEED_KEY_LEN];

/// How far somebody has a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeedHead {
    /// Whose feed.
    pub account: AccountId,
    /// Which feed.
    pub device: DeviceId,
    /// Entries below this number are held; at least one is.
    pub next_seq: u64,
    /// The entry numbered `next_seq - 1`.
    pub head: EntryId,
}

/// A message between linked peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// "These accounts I want."
    Interests(Interests),
    /// "This is what I hold of what you want." The answer to `Interests`, and the repeated anti-entropy.
    Digest(Digest),
    /// "Send me these entries."
    Want(Want),
    /// Entries asked for, in order.
    Entries(Entries),
    /// The explicit end of the answer to a `Want`.
    RangeEnd(RangeEnd),
    /// A new entry, pushed along the overlay.
    Push(Push),
    /// "I have new entries, ask if you do not get them": in place of a push.
    Announce(Announcements),
    /// "This I now hold durably": to the authors of feeds.
    Have(Heads),
    /// A relay's signed "this is on my disk".
    Receipt(Receipt),
    /// "You may send this many more bytes of entries."
    Credit(Credit),
    /// Answer me.
    Ping(Ping),
    /// The answer.
    Pong(Ping),
    /// Two entries with one number in one feed.
    ForkProof(ForkProof),
    /// "Be my neighbour": said first, by whoever dialled.
    Request(Request),
    /// "We are neighbours."
    Accept(Accept),
    /// "No place here; ask these."
    Refuse(Others),
    /// News of a newcomer, on a walk.
    ForwardJoin(ForwardJoin),
    /// Acquaintances, on a walk.
    Shuffle(Shuffle),
    /// "I am here."
    Heartbeat(Heartbeat),
    /// "We are neighbours no more; ask these."
    Leave(Others),
    /// "Push me what comes along this tree."
    Graft(OnTree),
    /// "Only announce what comes along this tree."
    Prune(OnTree),
    /// One peer's word to another, on its way.
    Introduction(Introduction),
    /// What relays say of themselves.
    Relays(Relays),
    /// A question to the registry of names, passed on to a relay that keeps it.
    NameQuestion(NameAsked),
    /// Its answer, on the way back.
    NameAnswer(NameAnswered),
    /// "This is what I hold", in few bytes: in place of a digest.
    Sketch(Sketch),
    /// What came of a sketch.
    Compared(Compared),
    /// "I do not remember what you wanted."
    Forgotten,
    /// "These people's devices are linked with me": a relay that serves the app, to one that keeps names.
    Serves(Serves),
}

/// See [`Message::Interests`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interests {
    /// Forget what was said before.
    pub reset: bool,
    /// Everything (relays).
    pub everything: bool,
    /// What the receiver, by its own directory, sees assigned to the sender (relays).
    pub assigned: bool,
    /// Wanted from now on.
    pub add: Vec<SaltedAccount>,
    /// No longer wanted.
    pub remove: Vec<SaltedAccount>,
    /// Wanted, and said in plain words to a relay that seems not to know them.
    pub named: Vec<AccountId>,
    /// More parts follow.
    pub more: bool,
    /// A sketch of what the sender holds follows; a digest is not needed.
    pub sketch: bool,
    /// In place of all that is wanted, its fingerprint: the same as when both were linked last.
    pub same: Option<[u8; 16]>,
}

impl Interests {
    /// The fingerprint of all that is wanted, in ascending order: the first 16 bytes of its BLAKE3 hash.
    #[must_use]
    pub fn fingerprint<'a>(wanted: impl IntoIterator<Item = &'a SaltedAccount>) -> [u8; 16] {
        let mut hash = blake3::Hasher::new();
        for account in wanted {
            hash.update(&account.0);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        short
    }
}

/// See [`Message::Sketch`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// Which comparison; another than the one before begins anew.
    pub round: u32,
    /// Feeds in it.
    pub feeds: u32,
    /// The number of the first cell: that of the cells before, or 0.
    pub first: u32,
    /// Cells, [`SKETCH_CELL_LEN`] bytes each.
    pub cells: Vec<u8>,
}

/// See [`Message::Compared`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Which comparison.
    pub round: u32,
    /// What came of it.
    pub verdict: Verdict,
}

/// See [`Compared`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// These cells do not tell all; so many, counted from the first, might.
    More(u32),
    /// So little is held alike that a digest is shorter: send yours, mine follows.
    Plain,
    /// What differs, of what the sender of the sketch holds, or a part of that.
    Differ(Differences),
}

/// See [`Verdict::Differ`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Feeds not held at all: a digest should say which they are.
    pub asked: Vec<FeedKey>,
    /// Feeds of which more is held here: up to which number.
    pub ahead: Vec<(FeedKey, u64)>,
    /// The last part.
    pub end: bool,
}

/// See [`Message::Digest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// What is held.
    pub heads: Vec<FeedHead>,
    /// The last part of this digest.
    pub end: bool,
}

/// See [`Message::Want`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Chosen by the asker, different among its requests under way on the link.
    pub request: u32,
    /// Which feed.
    pub device: DeviceId,
    /// From this number.
    pub from: u64,
    /// Up to, not including, this number.
    pub to: u64,
}

/// See [`Message::Entries`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The `Want` this answers.
    pub request: u32,
    /// Consecutive entries of one feed.
    pub entries: Vec<Entry>,
}

impl Entries {
    /// The bytes of the message with these entries, each given by its own bytes: what is stored is sent without being
    /// decoded.
    #[must_use]
    pub fn encode_raw(request: u32, entries: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![kind::ENTRIES];
        message.extend(codec::encode(&request));
        message.extend(codec::encode(&(entries.len() as u64)));
        for entry in entries {
            message.extend_from_slice(entry);
        }
        message
    }
}

/// See [`Message::RangeEnd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeEnd {
    /// The `Want` this ends.
    pub request: u32,
}

/// See [`Message::Push`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Links it has travelled: 1 from its author.
    pub hops: u8,
    /// The broadcast tree it travels along.
    pub tree: u8,
    /// The entry.
    pub entry: Entry,
}

/// See [`Message::Announce`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcements {
    /// What is held.
    pub items: Vec<Announced>,
}

/// One feed of an [`Announcements`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// How far the feed is held.
    pub head: FeedHead,
    /// The broadcast tree its last entry came along.
    pub tree: u8,
    /// Links that entry had travelled.
    pub hops: u8,
    /// Milliseconds the announcement waited: by so much sooner a push would have been here.
    pub waited_ms: u16,
}

/// See [`Message::Graft`] and [`Message::Prune`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnTree {
    /// The broadcast tree.
    pub tree: u8,
}

/// See [`Message::Have`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// How far which feeds are held.
    pub heads: Vec<FeedHead>,
}

/// See [`Message::Credit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Bytes of `Entries` and `Push` messages consumed since the last grant.
    pub bytes: u32,
}

/// See [`Message::Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Returned unchanged.
    pub token: u64,
}

/// See [`Message::ForkProof`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// One.
    pub one: SignedHeader,
    /// The other: same device and number, another id.
    pub other: SignedHeader,
}

/// See [`Message::Relays`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relays {
    /// One each.
    pub relays: Vec<SignedDescription>,
}

/// See [`Message::Serves`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serves {
    /// All of them, in place of what was said before.
    pub accounts: Vec<SaltedAccount>,
}

/// See [`Message::NameQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAsked {
    /// Chosen by the asker, different among its questions under way on the link.
    pub request: u32,
    /// What is asked.
    pub question: NameQuestion,
}

/// See [`Message::NameAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAnswered {
    /// The question this answers.
    pub request: u32,
    /// What is answered.
    pub answer: NameAnswer,
}

/// What bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A message of this version.
    Known(Message),
    /// A kind of a later version: skip it.
    Unknown(u8),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not decodable.
    #[error("a malformed message")]
    Malformed,
    /// A list is longer than allowed.
    #[error("a message over its limits")]
    TooMuch,
}

mod kind {
    pub(super) const INTERESTS: u8 = 1;
    pub(super) const DIGEST: u8 = 2;
    pub(super) const WANT: u8 = 3;
    pub(super) const ENTRIES: u8 = 4;
    pub(super) const RANGE_END: u8 = 5;
    pub(super) const PUSH: u8 = 6;
    pub(super) const ANNOUNCE: u8 = 7;
    pub(super) const HAVE: u8 = 8;
    pub(super) const RECEIPT: u8 = 9;
    pub(super) const CREDIT: u8 = 10;
    pub(super) const PING: u8 = 11;
    pub(super) const PONG: u8 = 12;
    pub(super) const FORK_PROOF: u8 = 13;
    pub(super) const REQUEST: u8 = 14;
    pub(super) const ACCEPT: u8 = 15;
    pub(super) const REFUSE: u8 = 16;
    pub(super) const FORWARD_JOIN: u8 = 17;
    pub(super) const SHUFFLE: u8 = 18;
    pub(super) const HEARTBEAT: u8 = 19;
    pub(super) const LEAVE: u8 = 20;
    pub(super) const GRAFT: u8 = 21;
    pub(super) const PRUNE: u8 = 22;
    pub(super) const INTRODUCTION: u8 = 23;
    pub(super) const RELAYS: u8 = 24;
    pub(super) const NAME_QUESTION: u8 = 25;
    pub(super) const NAME_ANSWER: u8 = 26;
    pub(super) const SKETCH: u8 = 27;
    pub(super) const COMPARED: u8 = 28;
    pub(super) const FORGOTTEN: u8 = 29;
    pub(super) const SERVES: u8 = 30;
}

impl Message {
    /// Its bytes: kind, then fields.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        fn with<T: Serialize>(kind: u8, fields: &T) -> Vec<u8> {
            codec::encode_after(vec![kind], fields)
        }
        match self {
            Self::Interests(fields) => with(kind::INTERESTS, fields),
            Self::Digest(fields) => with(kind::DIGEST, fields),
            Self::Want(fields) => with(kind::WANT, fields),
            Self::Entries(fields) => with(kind::ENTRIES, fields),
            Self::RangeEnd(fields) => with(kind::RANGE_END, fields),
            Self::Push(fields) => with(kind::PUSH, fields),
            Self::Announce(fields) => with(kind::ANNOUNCE, fields),
            Self::Have(fields) => with(kind::HAVE, fields),
            Self::Receipt(fields) => with(kind::RECEIPT, fields),
            Self::Credit(fields) => with(kind::CREDIT, fields),
            Self::Ping(fields) => with(kind::PING, fields),
            Self::Pong(fields) => with(kind::PONG, fields),
            Self::ForkProof(fields) => with(kind::FORK_PROOF, fields),
            Self::Request(fields) => with(kind::REQUEST, fields),
            Self::Accept(fields) => with(kind::ACCEPT, fields),
            Self::Refuse(fields) => with(kind::REFUSE, fields),
            Self::ForwardJoin(fields) => with(kind::FORWARD_JOIN, fields),
            Self::Shuffle(fields) => with(kind::SHUFFLE, fields),
            Self::Heartbeat(fields) => with(kind::HEARTBEAT, fields),
            Self::Leave(fields) => with(kind::LEAVE, fields),
            Self::Graft(fields) => with(kind::GRAFT, fields),
            Self::Prune(fields) => with(kind::PRUNE, fields),
            Self::Introduction(fields) => with(kind::INTRODUCTION, fields),
            Self::Relays(fields) => with(kind::RELAYS, fields),
            Self::NameQuestion(fields) => with(kind::NAME_QUESTION, fields),
            Self::NameAnswer(fields) => with(kind::NAME_ANSWER, fields),
            Self::Sketch(fields) => with(kind::SKETCH, fields),
            Self::Compared(fields) => with(kind::COMPARED, fields),
            Self::Forgotten => vec![kind::FORGOTTEN],
            Self::Serves(fields) => with(kind::SERVES, fields),
        }
    }

    /// The message in `bytes`.
    ///
    /// # Errors
    /// [`MessageError`] if a known kind does not decode exactly or exceeds a limit.
    pub fn decode(bytes: &[u8]) -> Result<Decoded, MessageError> {
        let (kind, fields) = bytes.split_first().ok_or(MessageError::Malformed)?;
        let message = match *kind {
            kind::INTERESTS => Self::Interests(fields_of(fields)?),
            kind::DIGEST => Self::Digest(fields_of(fields)?),
            kind::WANT => Self::Want(fields_of(fields)?),
            kind::ENTRIES => Self::Entries(fields_of(fields)?),
            kind::RANGE_END => Self::RangeEnd(fields_of(fields)?),
            kind::PUSH => Self::Push(fields_of(fields)?),
            kind::ANNOUNCE => Self::Announce(fields_of(fields)?),
            kind::HAVE => Self::Have(fields_of(fields)?),
            kind::RECEIPT => Self::Receipt(fields_of(fields)?),
            kind::CREDIT => Self::Credit(fields_of(fields)?),
            kind::PING => Self::Ping(fields_of(fields)?),
            kind::PONG => Self::Pong(fields_of(fields)?),
            kind::FORK_PROOF => Self::ForkProof(fields_of(fields)?),
            kind::REQUEST => Self::Request(fields_of(fields)?),
            kind::ACCEPT => Self::Accept(fields_of(fields)?),
            kind::REFUSE => Self::Refuse(fields_of(fields)?),
            kind::FORWARD_JOIN => Self::ForwardJoin(fields_of(fields)?),
            kind::SHUFFLE => Self::Shuffle(fields_of(fields)?),
            kind::HEARTBEAT => Self::Heartbeat(fields_of(fields)?),
            kind::LEAVE => Self::Leave(fields_of(fields)?),
            kind::GRAFT => Self::Graft(fields_of(fields)?),
            kind::PRUNE => Self::Prune(fields_of(fields)?),
            kind::INTRODUCTION => Self::Introduction(fields_of(fields)?),
            kind::RELAYS => Self::Relays(fields_of(fields)?),
            kind::NAME_QUESTION => Self::NameQuestion(fields_of(fields)?),
            kind::NAME_ANSWER => Self::NameAnswer(fields_of(fields)?),
            kind::SKETCH => Self::Sketch(fields_of(fields)?),
            kind::COMPARED => Self::Compared(fields_of(fields)?),
            kind::FORGOTTEN => fields_of(fields).map(|()| Self::Forgotten)?,
            kind::SERVES => Self::Serves(fields_of(fields)?),
            unknown => return Ok(Decoded::Unknown(unknown)),
        };
        if message.within_limits() {
            Ok(Decoded::Known(message))
        } else {
            Err(MessageError::TooMuch)
        }
    }

    /// Numbers are bounded before anything is verified: whoever receives a head or a header counts on from it.
    fn within_limits(&self) -> bool {
        let held = |next_seq: u64| (1..=limits::SEQ_MAX + 1).contains(&next_seq);
        let heads = |heads: &[FeedHead]| {
            heads.len() <= limits::HEADS_PER_MESSAGE_MAX && heads.iter().all(|h| held(h.next_seq))
        };
        let header = |signed: &SignedHeader| signed.header.seq <= limits::SEQ_MAX;
        let peers = |peers: &[Descriptor]| peers.len() <= limits::PEERS_PER_MESSAGE_MAX;
        match self {
            Self::Interests(m) => {
                m.add.len() + m.remove.len() <= limits::INTERESTS_PER_MESSAGE_MAX
                    && m.named.len() <= limits::NAMED_PER_MESSAGE_MAX
            }
            Self::Digest(m) => heads(&m.heads),
            Self::Announce(m) => {
                m.items.len() <= limits::HEADS_PER_MESSAGE_MAX
                    && m.items.iter().all(|announced| held(announced.head.next_seq))
            }
            Self::Have(m) => heads(&m.heads),
            Self::Want(m) => m.from < m.to,
            Self::Entries(m) => {
                !m.entries.is_empty()
                    && m.entries.len() <= limits::ENTRIES_PER_MESSAGE_MAX
                    && m.entries.iter().all(|entry| header(&entry.signed))
            }
            Self::Push(m) => m.hops >= 1 && m.hops <= limits::HOPS_MAX && header(&m.entry.signed),
            Self::Receipt(m) => held(m.next_seq),
            Self::ForkProof(m) => header(&m.one) && header(&m.other),
            Self::Introduction(m) => {
                m.hops <= limits::INTRODUCTION_HOPS_MAX && m.payload.len() <= limits::SIGNAL_PAYLOAD_LEN_MAX
            }
            Self::Relays(m) => {
                (1..=limits::RELAYS_PER_MESSAGE_MAX).contains(&m.relays.len())
                    && m.relays.iter().all(|relay| relay.description.within_limits())
            }
            Self::Serves(m) => m.accounts.len() <= limits::INTERESTS_PER_MESSAGE_MAX,
            Self::NameQuestion(m) => m.question.within_limits(),
            Self::NameAnswer(m) => m.answer.within_limits(),
            Self::Sketch(m) => {
                let cells = m.cells.len() / SKETCH_CELL_LEN;
                m.cells.len().is_multiple_of(SKETCH_CELL_LEN) && cells <= limits::SKETCH_CELLS_PER_MESSAGE_MAX
            }
            Self::Compared(m) => match &m.verdict {
                Verdict::More(_) | Verdict::Plain => true,
                Verdict::Differ(m) => {
                    m.asked.len() + m.ahead.len() <= limits::DIFFERENCES_PER_MESSAGE_MAX
                        && m.ahead.iter().all(|(_, next_seq)| held(*next_seq))
                }
            },
            Self::Request(m) => peers(&m.peers),
            Self::Accept(m) => peers(&m.peers),
            Self::Refuse(m) | Self::Leave(m) => peers(&m.peers),
            Self::Shuffle(m) => peers(&m.peers),
            Self::RangeEnd(_)
            | Self::Credit(_)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::ForwardJoin(_)
            | Self::Heartbeat(_)
            | Self::Graft(_)
            | Self::Prune(_)
            | Self::Forgotten => true,
        }
    }
}

fn fields_of<T: Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    codec::decode(bytes).map_err(|_| MessageError::Malformed)
}
