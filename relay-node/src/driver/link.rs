//! The two ends of a link's queues: the driver's, which never waits, and the transport's, which does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use engine::io::LinkId;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use super::FromLink;

/// Frames waiting to be sent on one link.
const QUEUE_FRAMES_MAX: usize = 4_096;
/// Bytes waiting to be sent on one link. The engine has about a megabyte of entries under way to a peer that grants no
/// more; the rest is for what needs no grant.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Frames handed to the engine at once.
const HANDFUL_FRAMES_MAX: usize = 16;
/// Bytes of them; with the frame that goes beyond it.
const HANDFUL_BYTES_MAX: usize = 32 << 10;

/// Frames of one link that are handed to the engine together: what has arrived, but so little of it that links take turns.
#[derive(Debug, Default)]
pub struct Handful {
    frames: Vec<Vec<u8>>,
    bytes: usize,
}

impl Handful {
    /// Adds a frame.
    pub fn put(&mut self, frame: Vec<u8>) {
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    /// Whether another one has a place.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.frames.len() < HANDFUL_FRAMES_MAX && self.bytes < HANDFUL_BYTES_MAX
    }

    /// Whether there is none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// What a transport is told.
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
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct LinkHandle {
    queue: mpsc::Sender<ToLink>,
    shared: Arc<Shared>,
}

/// The transport's end of what is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    queue: mpsc::Receiver<ToLink>,
    shared: Arc<Shared>,
}

pub(crate) fn link_queue() -> (LinkHandle, Outgoing) {
    let (sender, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
    let shared = Arc::new(Shared::default());
    let handle = LinkHandle {
        queue: sender,
        shared: Arc::clone(&shared),
    };
    (handle, Outgoing { queue, shared })
}

impl LinkHandle {
    /// Queues a frame; `false` if there is no place for it.
    pub(crate) fn send(&self, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        let queued = self.shared.bytes.fetch_add(length, Ordering::Relaxed);
        queued + length <= QUEUE_BYTES_MAX && self.queue.try_send(ToLink::Frame(bytes.into())).is_ok()
    }

    /// The channel is to be closed once everything queued was sent.
    pub(crate) fn close(self, reason: String) {
        // Without a place the closed queue says the same, but for the reason.
        let _ = self.queue.try_send(ToLink::Close(reason));
    }

    /// The channel is to be closed now.
    pub(crate) fn abandon(self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }
}

impl Outgoing {
    /// The next thing to do; `None`: close now.
    pub async fn next(&mut self) -> Option<ToLink> {
        let next = self.queue.recv().await;
        self.taken(next)
    }

    /// The next thing to do, if there is one already.
    pub fn try_next(&mut self) -> Option<ToLink> {
        let next = self.queue.try_recv().ok();
        self.taken(next)
    }

    /// Resolves when the channel is to be closed whatever is still queued: its peer takes too little. To be awaited beside
    /// sending, which may never end then.
    pub fn abandoned(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            // A notice given before is kept for the first who waits, and there is one.
            while !shared.abandoned.load(Ordering::Relaxed) {
                shared.wake.notified().await;
            }
        }
    }

    fn taken(&mut self, next: Option<ToLink>) -> Option<ToLink> {
        if let Some(ToLink::Frame(bytes)) = &next {
            self.shared.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        next.filter(|_| !self.shared.abandoned.load(Ordering::Relaxed))
    }
}

/// The transport's way to the engine. Dropping it ends the link.
#[derive(Debug)]
pub struct FrameSink {
    link: LinkId,
    inputs: mpsc::Sender<FromLink>,
    place: Option<OwnedSemaphorePermit>,
}

impl FrameSink {
    pub(super) fn new(link: LinkId, inputs: mpsc::Sender<FromLink>, place: OwnedSemaphorePermit) -> Self {
        let place = Some(place);
        Self { link, inputs, place }
    }

    /// The link's name.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.link
    }

    /// Hands a frame to the engine, waiting for its turn. `false`: the relay is ending.
    pub async fn frame(&self, bytes: Vec<u8>) -> bool {
        let mut one = Handful::default();
        one.put(bytes);
        self.frames(one).await
    }

    /// Hands frames that came at once to the engine, in their order, waiting for their turn. `false`: the relay is ending.
    pub async fn frames(&self, handful: Handful) -> bool {
        let (link, frames) = (self.link, handful.frames);
        self.inputs.send(FromLink::Frames { link, frames }).await.is_ok()
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        let down = FromLink::Down { link: self.link };
        let place = self.place.take();
        match self.inputs.try_send(down) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            // It must not get lost. The place is held until it is told, so that these tasks are bounded as well.
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
    /// Where frames that arrive go.
    pub sink: FrameSink,
    /// Frames to be sent.
    pub outgoing: Outgoing,
}
