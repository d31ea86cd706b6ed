//! The handle to a running driver: for transports, for code that sends requests to the engine, and for the services
//! around it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::api::{Query, QueryResult, RelayView, RepairView, Request, Response, StoreState, Transport};
use engine::io::{Candidate, LinkId, NameTicket};
use protocol::PeerId;
use protocol::link::handshake::{Binding, Side};
use protocol::messages::directory::Description;
use protocol::names::{NameAnswer, RegistryId};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::budgets::{Budgets, Payer};
use super::{Availability, DriverInput, Progress, Standstill};
use crate::link::{FrameSink, LinkEnd, link_queue};
use crate::network::RelayUrl;

/// Why a channel did not become a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// As many links as configured.
    #[error("the relay has as many links as it takes; try later")]
    Full,
    /// The peer is stopping.
    #[error("the relay is stopping")]
    Stopping,
}

/// Where a channel comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// This side opened it, to this address if it is that of a relay.
    Dialled(Option<RelayUrl>),
    /// The other side opened it, from this address; `None`: from this machine.
    Accepted(Option<IpAddr>),
}

/// The handle to a running driver. Clones are handles to the same driver.
#[derive(Clone, Debug)]
pub struct DriverHandle {
    pub(super) inputs: mpsc::Sender<DriverInput>,
    pub(super) link_next: Arc<AtomicU64>,
    pub(super) places: Arc<Semaphore>,
    pub(super) places_max: usize,
    pub(super) budgets: Budgets,
    pub(super) beside: Budgets,
    pub(super) refused: Arc<AtomicU64>,
    pub(super) ready: watch::Receiver<bool>,
    pub(super) relays: watch::Receiver<Vec<RelayView>>,
    pub(super) repair: watch::Receiver<RepairView>,
    pub(super) store: watch::Receiver<StoreState>,
    pub(super) registry: Option<Availability>,
    pub(super) progress: Progress,
}

/// For transports.
impl DriverHandle {
    /// Makes an open channel a link; waits while links of its address have used more than their share of the engine.
    ///
    /// # Errors
    /// [`AttachError`]: close the channel with that text as the reason.
    pub async fn attach(
        &self,
        side: Side,
        binding: Binding,
        transport: Transport,
        origin: Origin,
    ) -> Result<LinkEnd, AttachError> {
        let (dialled, address) = match origin {
            Origin::Dialled(url) => (url, None),
            Origin::Accepted(address) => (None, address),
        };
        let payer = self.budgets.payer_of_both(&self.beside, address);
        payer.ready().await;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            AttachError::Full
        })?;
        let link = LinkId(self.link_next.fetch_add(1, Ordering::Relaxed));
        let (handle, outgoing) = link_queue(payer.clone());
        let up = DriverInput::LinkUp {
            link,
            side,
            binding,
            transport,
            dialled,
            address,
            handle,
        };
        self.inputs.send(up).await.map_err(|_| AttachError::Stopping)?;
        Ok(LinkEnd {
            sink: FrameSink::new(link, self.inputs.clone(), place, payer),
            outgoing,
        })
    }

    /// Who pays for requests of an address.
    #[must_use]
    pub fn payer(&self, address: Option<IpAddr>) -> Payer {
        self.budgets.payer_of_both(&self.beside, address)
    }

    /// Reports that a dial the engine asked for failed.
    pub async fn dial_failed(&self, peer: PeerId) {
        self.send(DriverInput::DialFailed(peer)).await;
    }

    /// Links now, those in their handshake included.
    #[must_use]
    pub fn links(&self) -> usize {
        self.places_max - self.places.available_permits()
    }
}

/// For users of the peer.
impl DriverHandle {
    /// Whether the engine has read its store.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// For how long the engine's thread has done nothing.
    #[must_use]
    pub fn standstill(&self) -> Standstill {
        self.progress.standstill()
    }

    /// The state of the store after its last write.
    #[must_use]
    pub fn store(&self) -> StoreState {
        *self.store.borrow()
    }

    /// Gives the engine a command or a query; in a task of [`Payer::pays_for`], that one pays. `None`: the peer is
    /// stopping.
    pub async fn request(&self, request: Request) -> Option<Response> {
        let (reply, answer) = oneshot::channel();
        self.inputs
            .send(DriverInput::Request(request, Payer::of_task(), reply))
            .await
            .ok()?;
        answer.await.ok()
    }

    /// Reads something of the engine. `None`: it cannot be read now, or the peer is stopping.
    pub async fn ask(&self, query: Query) -> Option<QueryResult> {
        match self.request(Request::Query(query)).await? {
            Response::Result(reply) => Some(*reply),
            Response::Done(_) | Response::Error(_) => None,
        }
    }

    /// Names peers that can be dialled.
    pub async fn candidates(&self, candidates: Vec<Candidate>) {
        self.send(DriverInput::Candidates(candidates)).await;
    }

    /// Ends all links at once and without a reason, as a broken network does.
    pub async fn disconnect(&self) {
        self.send(DriverInput::Disconnect).await;
    }
}

/// For a relay.
impl DriverHandle {
    /// Whether the registry can be reached; `None`: this peer keeps none.
    #[must_use]
    pub fn registry(&self) -> Option<&Availability> {
        self.registry.as_ref()
    }

    /// Has other relays fetch what only this one has, and waits at most `within` for it. Returns whether they have all.
    pub async fn hand_over(&self, for_good: bool, within: Duration) -> bool {
        let handed = async {
            self.inputs.send(DriverInput::HandOver { for_good }).await.ok()?;
            // Inputs are taken in order: once this is answered, the engine has begun, and what the watch shows is of now.
            let _ = self.ask(Query::Network).await;
            let mut repair = self.repair.clone();
            repair
                .wait_for(|repair| repair.to_hand_over == Some(0))
                .await
                .ok()?;
            Some(())
        };
        matches!(tokio::time::timeout(within, handed).await, Ok(Some(())))
    }

    /// How much this relay lacks of what is assigned to it.
    #[must_use]
    pub fn repair(&self) -> RepairView {
        self.repair.borrow().clone()
    }

    /// The directory of relays as it stands.
    #[must_use]
    pub fn relays(&self) -> Vec<RelayView> {
        self.relays.borrow().clone()
    }

    /// The directory of relays, whenever it changes.
    #[must_use]
    pub fn watch_relays(&self) -> watch::Receiver<Vec<RelayView>> {
        self.relays.clone()
    }

    /// Sets this relay's description.
    pub async fn describe(&self, description: Description) {
        self.send(DriverInput::Describe(Box::new(description))).await;
    }

    /// Takes in entries from a backup; waits while the driver's queue is full.
    pub async fn restore(&self, entries: Vec<protocol::Entry>) {
        self.send(DriverInput::Entries(entries)).await;
    }

    /// Says whether the secret of an invitation that was shown on a link is valid; `None`: that cannot be known now.
    pub async fn answer_invitation(&self, link: LinkId, valid: Option<bool>) {
        self.send(DriverInput::Invitation { link, valid }).await;
    }

    /// Names the registry this relay keeps.
    pub async fn set_registry(&self, registry: RegistryId) {
        self.send(DriverInput::Registry(registry)).await;
    }

    /// Gives the registry's answer to a question from the [`super::RegistryQueue`].
    pub async fn answer_name(&self, ticket: NameTicket, answer: NameAnswer) {
        self.send(DriverInput::NameAnswer(ticket, answer)).await;
    }

    async fn send(&self, input: DriverInput) {
        // It fails only once the driver has stopped, which has no use for it then.
        let _ = self.inputs.send(input).await;
    }
}

/// A driver's thread. Dropping it stops the thread without waiting for it.
#[derive(Debug)]
pub struct DriverThread {
    pub(super) stop: oneshot::Sender<String>,
    pub(super) done: oneshot::Receiver<bool>,
}

impl DriverThread {
    /// Closes all links with this reason, writes everything to the disk and ends. Returns whether everything is there.
    pub async fn stop(self, reason: &str) -> bool {
        let _ = self.stop.send(reason.to_owned());
        self.done.await.unwrap_or(false)
    }

    /// Resolves if the thread ends by itself, which only happens when the store's thread did.
    pub async fn ended(&mut self) {
        let _ = (&mut self.done).await;
    }
}
