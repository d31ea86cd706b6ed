//! What neighbours say to each other about who is there.

/// Descriptors in one message at most; more is a breach of the protocol.
pub const SAMPLE_MAX: usize = 16;
/// Links a walk may travel at most; a higher claim is cut down to it. The paper's active random walk length is 6.
pub const WALK_TTL_MAX: u8 = 8;

/// What one peer knows of another and passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor<P> {
    /// The peer.
    pub peer: P,
    /// It is said never to sleep.
    pub anchor: bool,
    /// The highest heartbeat counter known.
    pub heartbeat: u64,
    /// Seconds since the peer was last heard from.
    pub age_s: u16,
}

/// Why a peer wants to be a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It joins: others should hear of it.
    Join,
    /// It has no neighbour left (the paper's high priority).
    Urgent,
    /// It wants one more (low priority).
    Fill,
    /// It has enough, and mixes the overlay.
    Mix,
}

/// One overlay message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<P> {
    /// Asks to become a neighbour: the first message of the peer that dialled.
    Request {
        /// The reason.
        wish: Wish,
        /// The sender never sleeps.
        anchor: bool,
        /// The sender's heartbeat counter.
        heartbeat: u64,
        /// Peers the sender knows.
        peers: Vec<Descriptor<P>>,
    },
    /// Accepts a request.
    Accept {
        /// The sender never sleeps.
        anchor: bool,
        /// The sender's heartbeat counter.
        heartbeat: u64,
        /// Number of its neighbours.
        degree: u16,
        /// Peers it knows: a new peer knows no others.
        peers: Vec<Descriptor<P>>,
    },
    /// Refuses a request, and names peers to ask instead.
    Refuse {
        /// Peers to ask instead.
        peers: Vec<Descriptor<P>>,
    },
    /// Introduces a new peer, on a random walk.
    ForwardJoin {
        /// The new peer.
        newcomer: Descriptor<P>,
        /// Links still to travel.
        ttl: u8,
    },
    /// Exchanges samples of known peers, on a random walk.
    Shuffle {
        /// Links still to travel.
        ttl: u8,
        /// The sample.
        peers: Vec<Descriptor<P>>,
    },
    /// Sign of life.
    Heartbeat {
        /// Rises by one each time.
        counter: u64,
        /// Number of the sender's neighbours.
        degree: u16,
        /// The last counter received from the receiver, or 0.
        echo: u64,
        /// Milliseconds since it was received.
        held_ms: u16,
    },
    /// Ends being neighbours in order.
    Leave {
        /// Peers to ask instead.
        peers: Vec<Descriptor<P>>,
    },
}

impl<P> Message<P> {
    /// The name of the kind, for counters.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Accept { .. } => "accept",
            Self::Refuse { .. } => "refuse",
            Self::ForwardJoin { .. } => "forward_join",
            Self::Shuffle { .. } => "shuffle",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Leave { .. } => "leave",
        }
    }

    /// The descriptors it carries.
    #[must_use]
    pub fn peers(&self) -> &[Descriptor<P>] {
        match self {
            Self::Request { peers, .. }
            | Self::Accept { peers, .. }
            | Self::Refuse { peers }
            | Self::Shuffle { peers, .. }
            | Self::Leave { peers } => peers,
            Self::ForwardJoin { newcomer, .. } => core::slice::from_ref(newcomer),
            Self::Heartbeat { .. } => &[],
        }
    }
}
