//! The engine's one contract: what goes in, what comes out.
//!
//! ```text
//! engine.handle(now, input);
//! while let Some(output) = engine.poll_output() { adapter.execute(output) }
//! adapter.wake_at(engine.next_deadline());   // then: engine.handle(now, Input::Tick)
//! ```
//!
//! Adapters translate and never decide. Outputs are executed in order.

use protocol::link::handshake::{Binding, Side};
use protocol::messages::Quota;
use protocol::messages::membership::InvitationSecret;
use protocol::{Instant, PeerId, Timestamp};

use crate::api::{Event, Request, Response, StoreState, Transport};
use crate::store::{Batch, BatchId, Load, LoadId, Rows};

/// The time of an input, read by the adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock.
    pub wall: Timestamp,
}

/// Names a channel to another peer. Chosen by the adapter, never reused within one run; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Names a request, to route its answer. Chosen by the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names a question to this relay's registry, to route its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameTicket(pub u64);

/// A peer one could dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    pub peer: PeerId,
    /// A relay (a native peer that never sleeps).
    pub relay: bool,
}

/// One thing that happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A load was executed.
    Loaded { id: LoadId, rows: Rows },
    /// A load failed for good (the store cannot be read).
    LoadFailed { id: LoadId },
    /// A batch, and every one before it, is as durable as it asked to be. One input for several batches saves a relay
    /// signatures.
    Persisted {
        /// The last of them.
        id: BatchId,
    },
    /// The store changed state: full, failing, or well again. A batch is never dropped by the adapter: it keeps
    /// trying in order and says so here.
    Store(StoreState),
    /// A channel to another peer opened; nothing was exchanged on it yet.
    LinkUp {
        /// Its new name.
        link: LinkId,
        /// The side of this peer in the handshake.
        side: Side,
        /// What the handshake is bound to.
        binding: Binding,
        /// How its bytes travel.
        transport: Transport,
        /// The address it came from; `None`: this machine, or a link that this peer dialled. What such links add is not
        /// limited.
        address: Option<AddressId>,
    },
    /// A frame arrived.
    Frame { link: LinkId, bytes: Vec<u8> },
    /// A channel closed or broke, from outside.
    LinkDown { link: LinkId },
    /// Dialling ended without a channel.
    DialFailed { peer: PeerId },
    /// A relay is to become a member of a network.
    Membership(MembershipInput),
    /// The adapter wants to open a channel to a peer and has a signaling message for it (see [`Output::Introduced`]).
    /// Neighbours forward it; it may be lost.
    Introduce {
        /// The receiver.
        to: PeerId,
        /// At most [`protocol::limits::SIGNAL_PAYLOAD_LEN_MAX`] bytes.
        payload: Vec<u8>,
    },
    /// Peers that could be dialled became known (by signaling, or by the address book of the adapter).
    Candidates(Vec<Candidate>),
    /// The description that this relay publishes from now on; the engine fills in the key, heartbeat and revision.
    /// Browsers ignore it.
    Describe(Box<protocol::messages::directory::Description>),
    /// The adapter's latest measurement of this relay, which becomes part of its description.
    RelayMetrics(RelayMetrics),
    /// Entries from a backup, taken in like those of a neighbour.
    Entries(Vec<protocol::Entry>),
    /// This relay is to stop: what only it holds is handed over to others first. Progress is reported by
    /// [`Event::Repair`].
    HandOver {
        /// It will not come back: its share is given to others.
        for_good: bool,
    },
    /// How relays are to be ranked from now on, as the operator of this browser's own relay wishes. The adapter has it
    /// from [`Routing::weighing`].
    Routing(Routing),
    /// This relay keeps a registry of names; it signs with this key.
    Registry(protocol::names::RegistryId),
    /// That registry answers.
    RegistryAnswer {
        ticket: NameTicket,
        answer: protocol::names::NameAnswer,
    },
    /// The device says that it has, or has not, a network; or it woke from sleep. `true` makes everything that waits
    /// for a retry try at once.
    Network {
        /// Whether there is one.
        online: bool,
    },
    /// The interface wants something.
    Request { id: RequestId, request: Request },
    /// A deadline passed.
    Tick,
}

/// One thing to be done outside.
#[derive(Clone, Debug)]
pub enum Output {
    /// Put a frame on a channel. Order is kept per channel. The adapter bounds what it buffers and closes a channel
    /// whose buffer is full (`LinkDown`).
    Send {
        link: LinkId,
        /// The frame, at most [`protocol::limits::FRAME_LEN_MAX`] bytes.
        bytes: Vec<u8>,
    },
    /// Close a channel after sending what was given to it. No `LinkDown` follows.
    Close {
        link: LinkId,
        /// Why, for the log.
        reason: String,
    },
    Persist(Batch),
    /// Execute a load.
    Load(Load),
    /// Open a channel to a peer; answered by `LinkUp` or `DialFailed`.
    Dial {
        peer: PeerId,
        relay: bool,
        /// Where it is, if it is a relay that said so; empty: the adapter knows, or nobody does.
        url: String,
    },
    /// The peer on a channel proved its key and is a neighbour.
    SessionUp {
        link: LinkId,
        peer: PeerId,
    },
    /// Whether the peer of a channel is a member of this relay's network: its work is then not limited. It is none until
    /// this is said.
    Member {
        link: LinkId,
        on: bool,
    },
    /// A peer without a channel sent this one a signaling message; the key of `from` is proven.
    Introduced {
        /// The sender.
        from: PeerId,
        /// The message of its adapter.
        payload: Vec<u8>,
    },
    /// A relay shows the secret of an invitation to this one: see whether it is valid, and use it up; answered by
    /// [`MembershipInput::Invitation`].
    Invitation {
        link: LinkId,
        secret: InvitationSecret,
        /// An invitation that was issued before is not valid for the relay that shows it, and not used up: this relay
        /// expelled that one at this time. 0: it did not.
        not_before: Timestamp,
    },
    /// Ask this relay's registry; answered by `RegistryAnswer`. Requests are verified.
    Name {
        ticket: NameTicket,
        question: protocol::names::NameQuestion,
    },
    /// The answer to a request.
    Response {
        id: RequestId,
        response: Response,
    },
    /// Tell every interface.
    Event(Event),
    /// Something worth a line in the log.
    Log(Log),
}

/// A structured log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// The minutes by which this clock is ahead of those of the relays; 0: not any more.
    Clock { ahead_min: i32 },
    /// A handshake succeeded.
    Linked {
        link: LinkId,
        /// Neighbour.
        peer: PeerId,
        /// It says it is a relay.
        relay: bool,
    },
    /// A link ended; `reason` is ours, theirs or the transport's.
    Unlinked {
        link: LinkId,
        /// Neighbour, if it was proven.
        peer: Option<PeerId>,
        reason: String,
    },
    /// Something a neighbour sent was refused.
    Refused {
        link: LinkId,
        /// Neighbour, if proven.
        peer: Option<PeerId>,
        /// What was wrong.
        reason: String,
    },
    /// A row read from the store was not what was written there.
    Corrupt { table: crate::store::Table },
    /// The state of a relay changed.
    Relay {
        peer: PeerId,
        /// The URL it advertises.
        url: String,
        from: &'static str,
        to: &'static str,
        /// How long nothing was heard of it.
        silent: core::time::Duration,
    },
    /// A relay became a member of the network, or is one no more.
    Member {
        peer: PeerId,
        /// The member that invited it.
        by: Option<PeerId>,
        on: bool,
    },
    /// The relay at an address that the operator named to join is no member of this relay's network.
    NamedStranger { peer: PeerId },
    /// A relay accepted or refused this relay's invitation.
    Joined { peer: PeerId, accepted: bool },
    /// The assignment of feeds to relays was recomputed.
    Placement {
        /// Relays with a share.
        relays: usize,
        /// How many of them keep each account's feeds.
        replicas: usize,
    },
    /// The number of replicas of each feed fell below the wanted number, since too few relays are alive; or it was
    /// restored.
    Copies {
        /// Copies wanted.
        wanted: usize,
        /// Relays that could keep one.
        living: usize,
    },
    /// An audit failed: a relay did not show an entry that it said it holds. The feed is offered to it again.
    NotHeld {
        peer: PeerId,
        device: protocol::DeviceId,
        seq: u64,
    },
    /// A partition is suspected, because many relays fell silent at once; or it is no longer suspected.
    PartitionSuspected {
        /// Whether it is so.
        on: bool,
    },
    /// A known relay takes names from another registry than this peer does: names of that one are not shown here.
    OtherRegistry {
        /// The one this peer takes names from.
        known: protocol::names::RegistryId,
        other: protocol::names::RegistryId,
    },
    /// A fork was found.
    Forked {
        device: protocol::DeviceId,
        /// The number with two entries.
        seq: u64,
    },
}

/// How relays become members of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipInput {
    /// The relay `peer` is at an address that this relay's operator named to join.
    Configured { peer: PeerId },
    /// The same, and it gave the operator an invitation.
    Join { peer: PeerId, secret: InvitationSecret },
    /// Whether the secret of an [`Output::Invitation`] is valid, and used up now. `None`: that cannot be known at the
    /// moment; the other relay asks again.
    Invitation { link: LinkId, valid: Option<bool> },
}

/// Which relays are members of a relay's network: they are given feeds to keep, and their receipts count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Those that members invited.
    Invited,
    /// These, and no others.
    Listed(Vec<PeerId>),
    /// Every relay that keeps a link with a member and describes itself there.
    Open,
}

/// What kind of peer this engine is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Browser or relay.
    pub kind: PeerKind,
    /// Links wanted; the engine dials until it has as many.
    pub links_target: usize,
    /// Links accepted at most.
    pub links_max: usize,
    /// Of the links wanted, how many should be relays.
    pub relays_target: usize,
    /// Feeds kept at most; a relay or browser that holds as many refuses new strangers' feeds, never followed ones.
    pub feeds_max: usize,
    /// Bytes of batches that may be on their way to the disk, those of all links together; beyond that, entries of
    /// neighbours are refused, and fetched once there is room again.
    pub unwritten_bytes_max: usize,
    /// How often one random neighbour is compared with (anti-entropy).
    pub anti_entropy: core::time::Duration,
    /// How often relays describe themselves. Two that are missing, and a half, make one suspect.
    pub relays_beat_every: core::time::Duration,
    /// Which relays a relay takes for members of its network.
    pub admission: Admission,
    /// How a browser ranks relays.
    pub routing: Routing,
    /// Number of relays that keep each account's feeds, if there are enough.
    pub replicas: usize,
    /// How long a dead relay keeps its share before the next in line takes it over.
    pub repair_grace: core::time::Duration,
    /// Bytes of entries a relay fetches from other relays per second, so that its clients do not have to wait.
    pub repair_bytes_per_s: u32,
    /// Accounts a relay holds beside its share, while there are enough other relays that keep them.
    pub cached_accounts_max: usize,
    /// A relay that keeps feeds, and signs for what it has. Others hold only those of the people linked with them and
    /// of whom these look at, and their word is that of any peer.
    pub worker: bool,
    /// A relay that joins others, and so has to catch up with them before it serves.
    pub joins: bool,
    /// A relay whose adapter answers [`Output::Name`].
    pub runs_registry: bool,
    /// Questions to the registry a neighbour may ask a minute; a relay, who asks for its people, 256 times as many.
    pub names_per_minute: u32,
    /// Requests to the registry that all neighbours together may make a minute.
    pub claims_per_minute: u32,
    /// How much neighbours may add in an hour.
    pub quotas: Quotas,
}

/// Default interval of a relay's heartbeats.
pub const RELAYS_BEAT_EVERY: core::time::Duration = core::time::Duration::from_secs(5);

/// Bytes a relay fetches from others per second unless told otherwise: 9,000 posts, half of what two cores check.
pub const REPAIR_BYTES_PER_S: u32 = 4 * 1024 * 1024;

/// Default number of accounts that a relay caches outside of its share: they take some 50 MB of memory.
pub const CACHED_ACCOUNTS_MAX: usize = 100_000;

/// Stands for the address that links come from (of IPv6: for a /64): what they add is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressId(pub u128);

impl From<core::net::IpAddr> for AddressId {
    fn from(address: core::net::IpAddr) -> Self {
        Self(match address {
            core::net::IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            core::net::IpAddr::V6(address) => address.to_bits(),
        })
    }
}

/// How much neighbours may add to a relay; 0: any amount. What is refused is fetched later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Entries of one account in an hour.
    pub entries_per_account: u64,
    /// Bytes of the entries of one account in an hour; at least a mebibyte.
    pub bytes_per_account: u64,
    /// New accounts from one address in an hour. Beyond a quarter of it they need proof of work.
    pub accounts_per_address: u64,
    /// Bytes of entries from one address in an hour; at least a mebibyte.
    pub bytes_per_address: u64,
    /// New accounts from all addresses in a minute. Beyond a quarter of it they need proof of work, and beyond all of it
    /// they are taken as well.
    pub accounts_per_minute: u64,
}

impl Quotas {
    /// What this quota allows in an hour.
    #[must_use]
    pub const fn per_hour(&self, quota: Quota) -> u64 {
        match quota {
            Quota::AccountEntries => self.entries_per_account,
            Quota::AccountBytes => self.bytes_per_account,
            Quota::AddressAccounts => self.accounts_per_address,
            Quota::AddressBytes => self.bytes_per_address,
        }
    }

    /// What a relay allows by default: an account may write a post a second all day, a school behind one
    /// address may bring a thousand newcomers at once, and two or three a second come to the relay without any work.
    pub const USUAL: Self = Self {
        entries_per_account: 3_600,
        bytes_per_account: 64 << 20,
        accounts_per_address: 1_000,
        bytes_per_address: 1 << 30,
        accounts_per_minute: 600,
    };
}

/// A measurement of a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayMetrics {
    /// How busy its engine is, in thousandths.
    pub load: u16,
    /// Mean time from an entry's arrival to its commit, in microseconds.
    pub response_us: u32,
    /// Links refused for want of room, in millionths of those asked for.
    pub errors_ppm: u32,
}

/// What is known of a relay for one feed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// Milliseconds between an entry and its receipt.
    pub replication_ms: f32,
    /// Milliseconds it takes to answer.
    pub response_ms: f32,
    /// Kilometres away; 0 if that is not known.
    pub distance_km: f32,
    /// Share of requests that fail, 0 to 1.
    pub errors: f32,
}

/// The weights by which relays are ranked, and what counts as usual as long as nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// Of a millisecond between an entry and its receipt.
    pub replication: f32,
    /// Of a millisecond of response time.
    pub response: f32,
    /// Of a kilometre.
    pub distance: f32,
    /// Of all requests failing.
    pub errors: f32,
    /// Usual milliseconds to a receipt.
    pub usual_replication_ms: f32,
    /// Usual milliseconds to a response.
    pub usual_response_ms: f32,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            replication: 1.0,
            response: 2.0,
            distance: 0.02,
            errors: 10_000.0,
            usual_replication_ms: 150.0,
            usual_response_ms: 100.0,
        }
    }
}

impl Routing {
    /// The greatest weight that is accepted: with a greater one, the other terms would vanish in rounding.
    pub const WEIGHT_MAX: f32 = 1_000_000.0;

    /// These weights, in the order of [`Self::weights`]. `None` if relays cannot be ranked by them: all are 0, or one
    /// is negative, not a number or above [`Self::WEIGHT_MAX`].
    #[must_use]
    pub fn weighing(weights: [f32; 4]) -> Option<Self> {
        let sound = weights
            .iter()
            .all(|weight| (0.0..=Self::WEIGHT_MAX).contains(weight));
        let [replication, response, distance, errors] = weights;
        let routing = Self {
            replication,
            response,
            distance,
            errors,
            ..Self::default()
        };
        (sound && weights.iter().any(|weight| *weight > 0.0)).then_some(routing)
    }

    /// Of replication delay, response time, distance and errors.
    #[must_use]
    pub fn weights(&self) -> [f32; 4] {
        [self.replication, self.response, self.distance, self.errors]
    }

    /// What each term, in the order of [`Self::weights`], adds to a relay's cost.
    #[must_use]
    pub fn parts(&self, terms: &Terms) -> [f32; 4] {
        [
            self.replication * terms.replication_ms,
            self.response * terms.response_ms,
            self.distance * terms.distance_km,
            self.errors * terms.errors,
        ]
    }

    /// How good a relay is: `1 / (i·replication + j·response + k·distance + l·errors)`. Higher is better.
    #[must_use]
    pub fn score(&self, terms: &Terms) -> f32 {
        1.0 / self.parts(terms).iter().sum::<f32>().max(0.001)
    }
}

/// Default number of relays that store each account's feeds.
pub const REPLICAS: usize = 3;

/// Default time for which a dead relay keeps its share, since most relays come back soon.
pub const REPAIR_GRACE: core::time::Duration = core::time::Duration::from_mins(5);

/// Default limit of questions about names that one neighbour may ask per minute.
pub const NAMES_PER_MINUTE: u32 = 30;

/// Requests to the registry a minute unless told otherwise, a hundred a second: more than people who come at once, and
/// few enough that a flood of names is seen before it has taken many.
pub const CLAIMS_PER_MINUTE: u32 = 6_000;

/// Browser or relay.
#[derive(Clone, Debug)]
pub enum PeerKind {
    /// A person's device: keeps what the person follows; its key is in the store.
    Browser,
    /// A native peer: keeps its share of all accounts that come along; its key is given.
    #[cfg(feature = "relay")]
    Relay { key: protocol::KeyPair },
}

impl Config {
    /// A person's device.
    #[must_use]
    pub fn browser() -> Self {
        Self {
            kind: PeerKind::Browser,
            links_target: 8,
            links_max: 16,
            relays_target: 2,
            feeds_max: 20_000,
            unwritten_bytes_max: 16 << 20,
            anti_entropy: core::time::Duration::from_secs(45),
            relays_beat_every: RELAYS_BEAT_EVERY,
            admission: Admission::Open,
            routing: Routing::default(),
            replicas: REPLICAS,
            repair_grace: REPAIR_GRACE,
            repair_bytes_per_s: REPAIR_BYTES_PER_S,
            cached_accounts_max: CACHED_ACCOUNTS_MAX,
            worker: false,
            joins: false,
            runs_registry: false,
            names_per_minute: NAMES_PER_MINUTE,
            claims_per_minute: CLAIMS_PER_MINUTE,
            quotas: Quotas::default(),
        }
    }

    #[cfg(feature = "relay")]
    #[must_use]
    pub fn relay(key: protocol::KeyPair) -> Self {
        Self {
            kind: PeerKind::Relay { key },
            links_target: 0,
            links_max: 1_024,
            relays_target: 8,
            feeds_max: 1_000_000,
            // Reached only when the disk is full or fails: a disk that is well has a batch within milliseconds.
            unwritten_bytes_max: 64 << 20,
            anti_entropy: core::time::Duration::from_secs(30),
            worker: true,
            admission: Admission::Invited,
            quotas: Quotas::USUAL,
            ..Self::browser()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_which_relays_can_be_ranked_are_taken() {
        let weights = [1.0, 2.0, 0.5, 100.0];
        let routing = Routing::weighing(weights).expect("weights");
        assert_eq!(routing.weights(), weights);
        for weights in [
            [0.0; 4],
            [1.0, -1.0, 0.0, 0.0],
            [f32::NAN, 1.0, 1.0, 1.0],
            [f32::INFINITY, 0.0, 0.0, 0.0],
            [2.0 * Routing::WEIGHT_MAX, 0.0, 0.0, 0.0],
        ] {
            assert_eq!(Routing::weighing(weights), None, "{weights:?}");
        }
    }

    #[test]
    fn a_relay_that_costs_less_scores_higher() {
        let routing = Routing::weighing([1.0, 2.0, 0.5, 100.0]).expect("weights");
        let terms = Terms {
            replication_ms: 10.0,
            response_ms: 20.0,
            distance_km: 30.0,
            errors: 0.5,
        };
        assert_eq!(routing.parts(&terms), [10.0, 40.0, 15.0, 50.0]);
        assert!((routing.score(&terms) - 1.0 / 115.0).abs() < 1e-6);
        let none = routing.score(&Terms::default());
        assert!(none > routing.score(&terms) && none.is_finite());
    }

    #[cfg(feature = "relay")]
    #[test]
    fn a_browser_serves_nobody_and_a_relay_keeps_feeds() {
        let browser = Config::browser();
        assert!(matches!(browser.kind, PeerKind::Browser));
        let key = protocol::KeyPair::from_seed(&[1; 32]);
        let relay = Config::relay(key.clone());
        assert!(matches!(&relay.kind, PeerKind::Relay { key: of } if of.public() == key.public()));
        assert!(relay.worker && !browser.worker);
        assert!(relay.links_max > browser.links_max);
    }
}
