//! The queues of a link: the driver's end never waits, the transport's end does.
//!
//! A transport attaches an open channel to the driver ([`crate::driver::DriverHandle::attach`]) and gets a
//! [`LinkEnd`]: it puts received frames into the [`FrameSink`] and sends what comes out of [`Outgoing`]. All queues
//! are bounded; a link whose outgoing queue is full is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::io::LinkId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use crate::driver::{DriverInput, Payer};

/// Frames that may wait to be sent on one link.
const QUEUE_FRAMES_MAX: usize = 4_096;
/// Bytes that may wait to be sent on one link. The engine has about a megabyte of entries under way to a peer that
/// grants no more credit; the rest is for messages that need no credit.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Frames handed to the engine in one batch.
const BATCH_FRAMES_MAX: usize = 16;
/// Bytes in one batch; the frame that exceeds it is still part of it.
const BATCH_BYTES_MAX: usize = 32 << 10;

/// Batches of one link that the engine has not finished with.
pub(crate) const BATCHES_MAX: usize = 2;

/// Received frames of one link that are handed to the engine together. Small, so that links take turns.
#[derive(Debug, Default)]
pub struct FrameBatch {
    frames: Vec<Vec<u8>>,
    bytes: usize,
}

impl FrameBatch {
    /// Adds a frame.
    pub fn push(&mut self, frame: Vec<u8>) {
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    /// Whether another frame fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.frames.len() < BATCH_FRAMES_MAX && self.bytes < BATCH_BYTES_MAX
    }

    /// Whether it holds no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// What a transport has to do next.
#[derive(Debug)]
pub enum ToLink {
    /// Send this frame.
    Frame(Bytes),
    /// Close the channel, with this reason.
    Close(String),
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicUsize,
    abandoned: AtomicBool,
    wake: Notify,
    settled: Notify,
}

#[derive(Debug)]
pub(crate) struct LinkHandle {
    /// Pays for what the link costs.
    pub(crate) payer: Payer,
    queue: mpsc::Sender<ToLink>,
    shared: Arc<Shared>,
}

/// The transport's end of the outgoing queue.
#[derive(Debug)]
pub struct Outgoing {
    queue: mpsc::Receiver<ToLink>,
    shared: Arc<Shared>,
}

pub(crate) fn link_queue(payer: Payer) -> (LinkHandle, Outgoing) {
    let (sender, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
    let shared = Arc::new(Shared::default());
    let handle = LinkHandle {
        payer,
        queue: sender,
        shared: Arc::clone(&shared),
    };
    (handle, Outgoing { queue, shared })
}

impl LinkHandle {
    /// Queues a frame; `false` if the queue is full.
    pub(crate) fn send(&self, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        let queued = self.shared.bytes.fetch_add(length, Ordering::Relaxed);
        queued + length <= QUEUE_BYTES_MAX && self.queue.try_send(ToLink::Frame(bytes.into())).is_ok()
    }

    /// The peer is a neighbour now.
    pub(crate) fn settle(&self) {
        self.shared.settled.notify_one();
    }

    /// Closes the channel once everything queued is sent.
    pub(crate) fn close(self, reason: String) {
        // If the queue is full, dropping it closes the channel too, only without the reason.
        let _ = self.queue.try_send(ToLink::Close(reason));
    }

    /// Closes the channel now, whatever is queued.
    pub(crate) fn abandon(self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }
}

impl Outgoing {
    /// The next thing to do; `None`: close the channel now.
    pub async fn next(&mut self) -> Option<ToLink> {
        let next = self.queue.recv().await;
        self.taken(next)
    }

    /// The next thing to do, if there is one already.
    pub fn try_next(&mut self) -> Option<ToLink> {
        let next = self.queue.try_recv().ok();
        self.taken(next)
    }

    /// Resolves when the channel has to be closed whatever is still queued, because its peer reads too slowly. Await it
    /// beside sending, which may never end in that case.
    pub fn abandoned(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            // A notification sent earlier is kept for the first waiter, and there is only one.
            while !shared.abandoned.load(Ordering::Relaxed) {
                shared.wake.notified().await;
            }
        }
    }

    /// Resolves once the peer has proven its key and is a neighbour. Only one such future may be awaited.
    pub fn settled(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.settled.notified().await }
    }

    fn taken(&mut self, next: Option<ToLink>) -> Option<ToLink> {
        if let Some(ToLink::Frame(bytes)) = &next {
            self.shared.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        next.filter(|_| !self.shared.abandoned.load(Ordering::Relaxed))
    }
}

/// Where a transport puts received frames. Dropping it ends the link.
#[derive(Debug)]
pub struct FrameSink {
    link: LinkId,
    inputs: mpsc::Sender<DriverInput>,
    place: Option<OwnedSemaphorePermit>,
    payer: Payer,
    /// One for each batch that the engine has not finished with.
    turns: Arc<Semaphore>,
}

impl FrameSink {
    pub(crate) fn new(
        link: LinkId,
        inputs: mpsc::Sender<DriverInput>,
        place: OwnedSemaphorePermit,
        payer: Payer,
    ) -> Self {
        Self {
            link,
            inputs,
            place: Some(place),
            payer,
            turns: Arc::new(Semaphore::new(BATCHES_MAX)),
        }
    }

    #[must_use]
    pub fn link(&self) -> LinkId {
        self.link
    }

    /// The transport has computed this long for the link, and its address pays for it.
    pub fn spend(&self, time: Duration) {
        self.payer.spend_beside(time);
    }

    /// Who pays for what the transport computes for the link.
    pub(crate) fn payer(&self) -> Payer {
        self.payer.clone()
    }

    /// Hands one frame to the engine; waits as [`Self::frames`] does. `false`: the peer is stopping.
    pub async fn frame(&self, bytes: Vec<u8>) -> bool {
        let mut batch = FrameBatch::default();
        batch.push(bytes);
        self.frames(batch).await
    }

    /// Hands a batch of frames to the engine, in their order; waits until the engine has finished with earlier ones, and
    /// while links of this address have used more than their share of it. `false`: the peer is stopping.
    pub async fn frames(&self, batch: FrameBatch) -> bool {
        let (link, frames) = (self.link, batch.frames);
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return false;
        };
        self.payer.ready().await;
        let frames = DriverInput::Frames { link, frames, turn };
        self.inputs.send(frames).await.is_ok()
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        let down = DriverInput::LinkDown { link: self.link };
        let place = self.place.take();
        match self.inputs.try_send(down) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            // It must not get lost. The place is held until the driver took it, which bounds the number of these tasks.
            Err(mpsc::error::TrySendError::Full(down)) => {
                let inputs = self.inputs.clone();
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move {
                        let _ = inputs.send(down).await;
                        drop(place);
                    });
                }
            }
        }
    }
}

/// A link as its transport holds it.
#[derive(Debug)]
pub struct LinkEnd {
    /// Takes received frames.
    pub sink: FrameSink,
    /// Gives frames to send.
    pub outgoing: Outgoing,
}
