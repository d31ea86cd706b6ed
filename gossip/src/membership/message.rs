//! What neighbours say to each other about who is there.

/// Descriptors in one message at most; more is a breach of the protocol.
pub const SAMPLE_MAX: usize = 16;
/// Links a walk may travel at most; a higher claim is cut down to it. The paper's active random walk length is 6.
pub const WALK_TTL_MAX: u8 = 8;

/// What one peer knows of another and passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor<P> {
    /// Who.
    pub peer: P,
    /// It never sleeps, they say.
    pub anchor: bool,
    /// The highest heartbeat counter heard of.
    pub heartbeat: u64,
    /// Seconds since somebody heard from it.
    pub age_s: u16,
}

/// Why a peer wants to be a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is new here: let others know of it.
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
    /// Said first, by whoever dialled: be my neighbour.
    Request {
        /// Why.
        wish: Wish,
        /// The asker never sleeps.
        anchor: bool,
        /// The asker's heartbeat counter.
        heartbeat: u64,
        /// Whom the asker knows.
        peers: Vec<Descriptor<P>>,
    },
    /// We are neighbours.
    Accept {
        /// The answerer never sleeps.
        anchor: bool,
        /// The answerer's heartbeat counter.
        heartbeat: u64,
        /// How many neighbours it has.
        degree: u16,
        /// Whom it knows: a newcomer knows nobody else.
        peers: Vec<Descriptor<P>>,
    },
    /// No place; these may have one.
    Refuse {
        /// Whom to ask instead.
        peers: Vec<Descriptor<P>>,
    },
    /// A walk that carries news of a newcomer.
    ForwardJoin {
        /// Who is new.
        newcomer: Descriptor<P>,
        /// Links still to travel.
        ttl: u8,
    },
    /// A walk that swaps acquaintances wherever it comes by.
    Shuffle {
        /// Links still to travel.
        ttl: u8,
        /// Acquaintances.
        peers: Vec<Descriptor<P>>,
    },
    /// I am here.
    Heartbeat {
        /// Rises by one each time.
        counter: u64,
        /// How many neighbours I have.
        degree: u16,
        /// The last counter heard from you, or 0.
        echo: u64,
        /// Milliseconds since I heard it.
        held_ms: u16,
    },
    /// We are neighbours no more, and nobody failed.
    Leave {
        /// Whom to ask instead.
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
