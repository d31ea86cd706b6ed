//! Links and traffic.

use protocol::link::handshake::NoCommonVersion;
use protocol::{AccountId, PeerId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{RelayView, ScoreView};

/// How a link's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// A WebRTC data channel.
    WebRtc,
    WebSocket,
    /// Memory, in tests and simulations.
    Memory,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// The neighbour.
    pub peer: PeerId,
    /// The account whose device it is, if the peer said so.
    pub account: Option<AccountId>,
    /// That account's name, if known.
    pub name: String,
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

/// The network page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
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
    /// Entries refused for a time because a quota was used up: entries of an account, bytes of an account, new accounts of
    /// an address, bytes of an address.
    pub over_quota: [u64; 4],
    /// How often work was asked of new accounts because many came, and how many proved it.
    pub work_of_accounts: [u64; 2],
    /// The last neighbour that had no protocol version in common with this peer.
    pub incompatible: Option<NoCommonVersion>,
    /// Entries other relays were asked to show, to prove that they have what they say.
    pub audits: u64,
    /// Those they did not show.
    pub audits_failed: u64,
    /// The directory of relays, and those of the address book that are no members any more.
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
