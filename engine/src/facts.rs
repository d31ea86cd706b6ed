//! What one part of the engine tells the others. Parts do not call upwards: they record a fact, and [`crate::Engine`]
//! routes it.

use protocol::messages::{FeedHead, Message};
use protocol::names::RegistryId;
use protocol::{AccountId, DeviceId, PeerId, VerifiedEntry};

use crate::io::LinkId;

/// Something that happened inside the engine and concerns another part.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A neighbour broke the protocol: its link ends.
    Misbehaved { link: LinkId, reason: String },
    /// A link whose peer was proven has ended.
    SessionDown(Ended),
    /// The peer of a link became a neighbour.
    NeighbourUp { link: LinkId },
    /// The peer of a link is a neighbour no more; the link may still carry messages of the overlay.
    NeighbourDown { link: LinkId },
    /// The round trip to a neighbour was measured by the overlay.
    RoundTrip { link: LinkId, rtt: core::time::Duration },
    /// A neighbour sent a message that is not about the overlay.
    Received {
        link: LinkId,
        message: Message,
        /// Encoded length in bytes.
        len: usize,
    },
    /// A verified entry was appended to its feed.
    Appended { entry: VerifiedEntry, from: Source },
    /// The first feed of an account begins here.
    AccountSeen(AccountId),
    /// A feed of the account turned out to be forked.
    Forked { account: AccountId, device: DeviceId },
    /// Entries of the account became void: its views must be indexed again.
    Voided(AccountId),
    /// Every view must be indexed again.
    RebuildViews,
    /// All entries of the account were indexed again.
    Reindexed(AccountId),
    /// A neighbour holds a feed up to, not including, this sequence number.
    PeerHas {
        link: LinkId,
        device: DeviceId,
        next_seq: u64,
    },
    /// A neighbour said how far it holds this device's own feed. The head is all zero if it did not say.
    OwnFeedAt { head: FeedHead },
    /// A neighbour names accounts whose feeds it wants and this peer may not hold.
    AccountsWanted { link: LinkId, accounts: Vec<AccountId> },
    /// An entry of this device's own feed arrived that does not continue the feed held here.
    OwnBranch,
    /// A neighbour said all it holds of what this peer wants.
    Compared { link: LinkId },
    /// A neighbour sent something that serves catching up; `entries`: entries that were missing here.
    Helped { link: LinkId, entries: bool },
    /// What this account follows changed.
    Followed { account: AccountId, on: bool },
    /// Interest in an account begins or ends.
    Interest { account: AccountId, on: bool },
    /// A relay is alive that was not known as such: it may be dialled.
    RelayFound(PeerId),
    /// Which relays are members of the network changed; `gone`: those that are members no more.
    Members { gone: Vec<PeerId> },
    /// A relay that this peer knows names the registry of its network.
    RegistryNamed(RegistryId),
}

/// The source of an appended entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// This device wrote it.
    Own,
    /// A neighbour.
    Link(LinkId),
    Backup,
}

/// A link that has ended, and who was at its other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) link: LinkId,
    pub(crate) peer: PeerId,
    pub(crate) account: Option<AccountId>,
    /// It called itself a relay.
    pub(crate) relay: bool,
}
