//! Relays: what they say of themselves, how they do, and which of them keep what.

use protocol::PeerId;
use protocol::messages::directory::Description;
use serde::{Deserialize, Serialize};

/// How a relay seems to do. Who does better comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RelayState {
    /// Heard of lately.
    Alive,
    /// Two heartbeats are missing.
    Suspect,
    /// Silent for long.
    Dead,
    /// It left its network in order.
    Left,
    /// A relay that this device linked with, and that is no member of the network any more.
    NoMember,
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

/// The replicas of an account's feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasView {
    /// The relays that keep them. The first one that lives is the primary, and stands first.
    pub replicas: Vec<ReplicaView>,
    /// The relays that serve the app and that a device of the account is linked with, as far as the relay that answers
    /// knows; index relays do.
    pub served_by: Vec<PeerId>,
}

/// A replica of an account's feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaView {
    /// The relay that keeps the feed.
    pub relay: PeerId,
    /// The state of that relay as this peer sees it.
    pub state: RelayState,
    /// Entries it lacks of those held by the relay that answers, as far as that relay knows
    /// ([`Command::CheckReplicas`](super::Command::CheckReplicas) updates it). `None`: the two are not linked, or it
    /// never said.
    pub lag: Option<u64>,
    /// Milliseconds from when the relay that is asked took an entry in until this one had signed for it: the longest
    /// of the last ones measured of each of these feeds, or else what is usual over all feeds. `None`: not measured.
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
    /// How many should keep them, if there are enough relays.
    pub wanted: u32,
    /// How many of the relays with a share live.
    pub living: u32,
    /// Accounts held beside its share.
    pub cached: u64,
    /// This relay suspects a network partition: many relays fell silent at once, so it is probably cut off from them.
    pub suspects_partition: bool,
    /// It is to end, and hands over what it has: feeds that others lack a part of. `None`: it is not.
    pub to_hand_over: Option<u64>,
}

/// How good a relay seems to be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreView {
    pub relay: PeerId,
    /// In ten-thousandths: higher is better.
    pub score: u32,
    /// What it is one divided by, term by term, in tenths: replication delay, response time, distance and errors, each
    /// with its weight.
    pub parts: [u32; 4],
}

/// The members of a relay's network, as that relay sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersView {
    /// Every relay that describes itself is a member.
    pub open: bool,
    /// The settings list the members.
    pub listed: bool,
    /// This relay is one of them. In an open network only this relay.
    pub members: Vec<MemberView>,
    /// Linked relays that are no members and wait for an invitation by this one.
    pub asking: Vec<PeerId>,
    /// `false`: this relay joined a network, and no member of it invites this relay, which the others do not treat as a member.
    pub invited: bool,
    /// The relay that expelled this one.
    pub expelled_by: Option<PeerId>,
    /// Relays that refused this relay's invitation.
    pub refused: Vec<PeerId>,
}

/// A member of a relay's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub relay: PeerId,
    /// The URL it advertises; empty: none is known.
    pub url: String,
    pub state: RelayState,
    /// It is the relay that answers.
    pub this: bool,
    /// The member that invited it; `None`: this relay joined its network, or it is this relay.
    pub invited_by: Option<PeerId>,
    /// The members that nobody else vouches for: they go with it if it is expelled. Of the member asked about alone.
    pub goes: Vec<PeerId>,
    /// Whether all members accept that the relay that answers expels it: it joined through that relay. Otherwise the
    /// expulsion counts at that relay alone. Of the member asked about alone.
    pub expels_everywhere: bool,
    /// Of the accounts whose feeds the relay that answers holds, how many it keeps as one of their replicas; an estimate
    /// while a change of the assignment is being applied. Of the member asked about alone.
    pub accounts: u64,
}
