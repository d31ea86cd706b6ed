//! Runs the engine: one input, all its outputs, then the next input or deadline.
//!
//! ```text
//! links ──── frames (bounded, fair) ───►┐
//! store ──── answers ──────────────────►│ driver thread ├──► links' queues (bounded, never waited for)
//! clock ──── ticks ────────────────────►┘               └──► store's queue (bounded)
//! ```
//!
//! Invariants:
//! - outputs are executed in order, and all of them before the next input;
//! - the driver never waits for a link: a link whose queue is full is closed, so a slow peer slows only itself;
//! - what a link's frames cost is paid by its address, and so is what its frames and requests have the store read; each
//!   link has few batches of frames waiting, so one that sends without end delays others by no more than these;
//! - what the store's queue has no place for waits here, up to a bound; beyond it no frames are taken: they wait in the
//!   links and in the end in their senders. A disk that is full or fails does not fill that queue, since the engine
//!   refuses entries before; one that does not answer does, and handles see it ([`DriverHandle::standstill`]);
//! - half-open links have a budget of their own (`half_open`), and take no place of a neighbour;
//! - a link id is never used again.

mod budgets;
mod engine_loop;
mod half_open;
mod handle;
mod load_meter;
mod log;
#[cfg(test)]
mod payer_tests;
mod progress;
mod registry_queue;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use engine::api::{Event, RepairView, Request, Response, StoreState, Transport};
use engine::io::{Candidate, Config, Input, LinkId, NameTicket};
use protocol::link::handshake::{Binding, Side};
use protocol::messages::directory::Description;
use protocol::messages::membership::InvitationSecret;
use protocol::names::{NameAnswer, RegistryId};
use protocol::{PeerId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use budgets::Budgets;
pub use budgets::Payer;
use engine_loop::{EngineLoop, Watches};
use half_open::HalfOpen;
pub use half_open::network as wide_network;
pub use handle::{AttachError, DriverHandle, DriverThread, Origin};
use progress::Progress;
pub use progress::Standstill;
pub use registry_queue::{Availability, Questions, RegistryQueue};

use crate::link::LinkHandle;
use crate::network::{AddressBook, RelayUrl};
use crate::store::Store;

/// Inputs from all links together that may wait for the engine. Each link has few of them, so that links take turns.
const INPUTS_MAX: usize = 128;

/// Places of links that were closed and whose transports have not ended yet. Policy when full: newcomers are refused.
const CLOSING_MAX: usize = 16;

/// What links and services give the driver.
#[derive(Debug)]
pub(crate) enum DriverInput {
    /// A channel opened.
    LinkUp {
        link: LinkId,
        side: Side,
        binding: Binding,
        transport: Transport,
        /// The address this side dialled, if it did.
        dialled: Option<RelayUrl>,
        /// The address it came from.
        address: Option<IpAddr>,
        handle: LinkHandle,
    },
    /// Frames arrived on it. The permit is one of the link's, which may have [`crate::link::BATCHES_MAX`] batches here.
    Frames {
        link: LinkId,
        frames: Vec<Vec<u8>>,
        turn: OwnedSemaphorePermit,
    },
    /// It closed.
    LinkDown { link: LinkId },
    /// All links are ended.
    Disconnect,
    /// A dial the engine asked for failed.
    DialFailed(PeerId),
    /// Peers that can be dialled.
    Candidates(Vec<Candidate>),
    /// This relay's description.
    Describe(Box<Description>),
    /// A command or query of this machine, and who pays for it.
    Request(Request, Option<Payer>, oneshot::Sender<Response>),
    /// Entries of a backup.
    Entries(Vec<protocol::Entry>),
    /// This relay is about to stop, for good or for a while.
    HandOver { for_good: bool },
    /// This relay keeps this registry.
    Registry(RegistryId),
    /// The registry's answer to a question.
    NameAnswer(NameTicket, NameAnswer),
    /// Whether the secret that was shown on a link is valid; `None`: that cannot be known now.
    Invitation { link: LinkId, valid: Option<bool> },
}

/// Gets every event of the engine, on the driver's thread: it must not block.
pub type EventListener = Box<dyn FnMut(&Event) + Send>;

/// What a driver runs, and on what.
pub struct Options {
    /// What kind of peer the engine is.
    pub config: Config,
    /// Randomness for the engine.
    pub seed: [u8; 32],
    /// The store and the receiver of its answers.
    pub store: (Store, mpsc::Receiver<Input>),
    /// The addresses of relays.
    pub address_book: Arc<AddressBook>,
    /// Takes questions to the registry, if this is a relay that keeps one.
    pub registry_queue: Option<RegistryQueue>,
    /// Takes the secrets of invitations that other relays show, and the earliest time of issue of one that is valid for
    /// the relay; answered by [`DriverHandle::answer_invitation`]. `None`: none is valid.
    pub invitations: Option<mpsc::Sender<(LinkId, InvitationSecret, Timestamp)>>,
    /// Percent of the engine's thread that the links and requests of one address may use, and of one processor what they
    /// may use of other threads; 0: as much as there is.
    pub percent_per_address: u32,
    /// Gets the engine's events.
    pub on_event: EventListener,
}

impl Options {
    /// A peer that keeps no registry and whose events are not listened to.
    #[must_use]
    pub fn new(
        config: Config,
        seed: [u8; 32],
        store: (Store, mpsc::Receiver<Input>),
        address_book: Arc<AddressBook>,
    ) -> Self {
        Self {
            config,
            seed,
            store,
            address_book,
            registry_queue: None,
            invitations: None,
            percent_per_address: 0,
            on_event: Box::new(|_| {}),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// Starts a thread that runs an engine.
///
/// # Errors
/// When the system gives no thread or no runtime for it.
pub fn start(options: Options) -> std::io::Result<(DriverHandle, DriverThread)> {
    // The engine bounds neighbours and gives a reason when it refuses one; half-open links have a budget, and those
    // that give way keep their places until their transports have closed them.
    let links_max = options.config.links_max;
    let places_max = links_max + HalfOpen::max(links_max) + CLOSING_MAX;
    let places = Arc::new(Semaphore::new(places_max));
    let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
    let (ready, is_ready) = watch::channel(false);
    let (relays, relays_seen) = watch::channel(Vec::new());
    let (repair, repair_seen) = watch::channel(RepairView::default());
    let (store, store_seen) = watch::channel(StoreState::Ok);
    let registry = options.registry_queue.as_ref().map(RegistryQueue::availability);
    let refused = Arc::new(AtomicU64::new(0));
    let progress = Progress::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let watches = Watches {
        ready,
        relays,
        repair,
        store,
    };
    let (stop, stopped) = oneshot::channel();
    let (finish, done) = oneshot::channel();
    let handle = DriverHandle {
        inputs,
        link_next: Arc::new(AtomicU64::new(1)),
        places: Arc::clone(&places),
        places_max,
        budgets: Budgets::new(options.percent_per_address),
        beside: Budgets::new(options.percent_per_address),
        refused: Arc::clone(&refused),
        ready: is_ready,
        relays: relays_seen,
        repair: repair_seen,
        store: store_seen,
        registry,
        progress: progress.clone(),
    };
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let (engine_loop, answers) = EngineLoop::new(options, watches, refused, progress);
            let running = engine_loop.run(inbox, answers, stopped, (places, places_max));
            let _ = finish.send(runtime.block_on(running));
        })?;
    Ok((handle, DriverThread { stop, done }))
}
