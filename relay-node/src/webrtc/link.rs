//! One link: the task that drives a [`Session`], and the ends the application holds.
//!
//! The task alone owns the session, so the packet path takes no lock. Each turn takes everything that has come
//! in, then flushes once: one SACK answers a burst, and what leaves goes out in one segmented send.
//!
//! Bounds: what is sent and not yet acknowledged by the peer never exceeds `send_buffer_bytes` (the sender waits);
//! of it at most `in_flight_bytes` are handed to SCTP at a time. Messages received and not yet taken are at most
//! [`RECEIVED_MESSAGES_MAX`] here and one receive window in SCTP (the peer waits).

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, Semaphore, TryAcquireError, mpsc, oneshot};

use super::routes::{Registration, Routes};
use super::sdp::Fingerprint;
use super::session::{Ended, Outgoing, Session};
use super::socket::{Burst, Path, Socket};
use super::{MESSAGE_BYTES_MAX, RtcError};

/// Maximum number of messages that wait for [`RtcReceiver::recv`].
const RECEIVED_MESSAGES_MAX: usize = 32;

/// Messages between the sender and the task; their bytes are bounded by the send buffer.
const QUEUED_MESSAGES_MAX: usize = 256;

/// Bursts taken in one turn before the link flushes, so that acknowledgements are not held back by a fast peer.
const BURSTS_PER_TURN_MAX: usize = 32;

/// How long a closing link may go on delivering what was already sent or received.
const LINGER: Duration = Duration::from_secs(1);

/// An open link: one reliable, ordered channel of binary messages to one browser.
///
/// Dropping it (both halves, once split) closes it, after what was sent has had a second to arrive.
#[derive(Debug)]
pub struct RtcLink {
    /// SHA-256 of the certificate this end used, as its answer said.
    pub local_fingerprint: Fingerprint,
    /// SHA-256 of the peer's certificate, as its offer said and its handshake proved.
    pub remote_fingerprint: Fingerprint,
    /// The peer's address.
    pub remote: Option<IpAddr>,
    sender: RtcSender,
    receiver: RtcReceiver,
}

impl RtcLink {
    /// See [`RtcSender::send`].
    pub async fn send(&self, message: Bytes) -> Result<(), RtcError> {
        self.sender.send(message).await
    }

    /// See [`RtcSender::try_send`].
    pub fn try_send(&self, message: Bytes) -> Result<(), RtcError> {
        self.sender.try_send(message)
    }

    /// See [`RtcSender::buffered_bytes`].
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.sender.buffered_bytes()
    }

    /// See [`RtcReceiver::recv`].
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.receiver.recv().await
    }

    /// Splits the link into its directions.
    #[must_use]
    pub fn split(self) -> (RtcSender, RtcReceiver) {
        (self.sender, self.receiver)
    }

    /// See [`RtcSender::close`].
    pub async fn close(self) {
        self.sender.close().await;
    }
}

/// The sending half of a link. Clones share the link and its buffer.
#[derive(Debug, Clone)]
pub struct RtcSender {
    queue: mpsc::Sender<Bytes>,
    buffer: Arc<SendBuffer>,
}

/// The bytes a sender may still put in; closed when the link is gone.
#[derive(Debug)]
struct SendBuffer {
    room: Semaphore,
    bytes_max: usize,
    closing: Notify,
}

impl RtcSender {
    /// Sends a message of 1 to [`MESSAGE_BYTES_MAX`] bytes, waiting for room in the send buffer. May be
    /// cancelled: then the message is not sent.
    pub async fn send(&self, message: Bytes) -> Result<(), RtcError> {
        let length = checked_length(&message)?;
        // Reserve the place in the queue first: it is freed if this is cancelled while waiting for room in the buffer,
        // while reserved room would leak.
        let place = self.queue.reserve().await.map_err(|_| RtcError::Closed)?;
        self.buffer
            .room
            .acquire_many(length)
            .await
            .map_err(|_| RtcError::Closed)?
            .forget();
        place.send(message);
        Ok(())
    }

    /// Sends a message if there is room for it now, else [`RtcError::SendBufferFull`].
    pub fn try_send(&self, message: Bytes) -> Result<(), RtcError> {
        let length = checked_length(&message)?;
        let place = self.queue.try_reserve().map_err(|error| match error {
            TrySendError::Full(()) => RtcError::SendBufferFull,
            TrySendError::Closed(()) => RtcError::Closed,
        })?;
        let room = self
            .buffer
            .room
            .try_acquire_many(length)
            .map_err(|error| match error {
                TryAcquireError::NoPermits => RtcError::SendBufferFull,
                TryAcquireError::Closed => RtcError::Closed,
            })?;
        room.forget();
        place.send(message);
        Ok(())
    }

    /// Bytes sent and not yet acknowledged by the peer's transport.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer
            .bytes_max
            .saturating_sub(self.buffer.room.available_permits())
    }

    /// Waits until a message of any size can be sent at once.
    pub async fn ready(&self) -> Result<(), RtcError> {
        let room = self.buffer.room.acquire_many(MESSAGE_BYTES_MAX as u32).await;
        room.map(drop).map_err(|_| RtcError::Closed)
    }

    /// Whether the link is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Closes the link, even if others hold a part of it, and waits until it is gone. What was sent before has a
    /// second to arrive.
    pub async fn close(&self) {
        self.buffer.closing.notify_one();
        self.queue.closed().await;
    }
}

fn checked_length(message: &Bytes) -> Result<u32, RtcError> {
    match message.len() {
        0 => Err(RtcError::EmptyMessage),
        length if length > MESSAGE_BYTES_MAX => Err(RtcError::MessageTooLong(length)),
        length => Ok(length as u32),
    }
}

/// The receiving half of a link.
#[derive(Debug)]
pub struct RtcReceiver {
    messages: mpsc::Receiver<Bytes>,
    cost: Arc<Cost>,
}

/// What a link's task has computed and nobody has paid for, in nanoseconds.
#[derive(Debug, Default)]
struct Cost(AtomicU64);

impl Cost {
    /// Runs the link's task and adds what it computes.
    async fn metered<T>(&self, task: impl Future<Output = T>) -> T {
        let mut task = pin!(task);
        poll_fn(|context| {
            let began = Instant::now();
            let polled = task.as_mut().poll(context);
            let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.0.fetch_add(nanos, Ordering::Relaxed);
            polled
        })
        .await
    }
}

impl RtcReceiver {
    /// The next message, or `None` once the link is gone and everything received was taken.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.messages.recv().await
    }

    /// How long the link's task has computed since this was asked last.
    #[must_use]
    pub fn take_cost(&self) -> Duration {
        Duration::from_nanos(self.cost.0.swap(0, Ordering::Relaxed))
    }

    /// The next message if one is here.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.messages.try_recv().ok()
    }
}

/// The application's ends, seen from the task.
struct Ports {
    queue: mpsc::Receiver<Bytes>,
    received: mpsc::Sender<Bytes>,
    buffer: Arc<SendBuffer>,
    cost: Arc<Cost>,
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.buffer.room.close();
    }
}

/// What a link's task works with.
pub(super) struct Driver {
    pub(super) session: Session,
    pub(super) registration: Registration,
    pub(super) bursts: mpsc::Receiver<Burst>,
    pub(super) wire: Wire,
    pub(super) local_fingerprint: Fingerprint,
    pub(super) remote_fingerprint: Fingerprint,
    pub(super) open_timeout: Duration,
    pub(super) send_buffer_bytes: usize,
    pub(super) in_flight_bytes: usize,
}

/// Why a link's task is done.
enum Done {
    Session(Ended),
    /// The endpoint wants the place or shuts down.
    Evicted,
    /// The application closed it, or holds no part of it any more.
    Closed,
}

impl From<Ended> for Done {
    fn from(ended: Ended) -> Self {
        Self::Session(ended)
    }
}

impl Driver {
    /// Runs the link from its first check to its end. `opened` takes the open link; if its other end is dropped,
    /// nobody waits any more.
    pub(super) async fn run(mut self, mut opened: oneshot::Sender<Result<RtcLink, RtcError>>) {
        let opening = tokio::select! {
            result = tokio::time::timeout(self.open_timeout, self.open()) => result,
            () = opened.closed() => Ok(Err(Done::Closed)),
        };
        let error = match opening {
            Ok(Ok(())) => {
                let (link, ports) = self.ports();
                self.registration.opened();
                let done = if opened.send(Ok(link)).is_ok() {
                    let cost = Arc::clone(&ports.cost);
                    cost.metered(self.exchange(ports)).await
                } else {
                    (Done::Closed, None)
                };
                return self.leave(done.0, done.1).await;
            }
            Ok(Err(Done::Evicted)) => RtcError::Evicted,
            Ok(Err(Done::Closed)) => RtcError::Closed,
            Ok(Err(Done::Session(ended))) => RtcError::Handshake(ended.to_string()),
            Err(_) => {
                let counters = &self.registration.routes().counters;
                counters.half_open_expired.fetch_add(1, Ordering::Relaxed);
                RtcError::Timeout
            }
        };
        self.leave(Done::Closed, None).await;
        // That no caller waits any more is one of the reasons to be here.
        let _ = opened.send(Err(error));
    }

    /// Closes the session and removes it from the tables; only then are the application's ends notified.
    async fn leave(mut self, done: Done, ports: Option<Ports>) {
        if let Done::Session(ended) = &done {
            tracing::debug!(%ended, "link ended");
        }
        self.session.close(Instant::now());
        self.wire
            .transmit(self.session.selected(), self.session.outgoing())
            .await;
        drop(self);
        drop(ports);
    }

    fn ports(&self) -> (RtcLink, Ports) {
        let (queue_sender, queue) = mpsc::channel(QUEUED_MESSAGES_MAX);
        let (received, messages) = mpsc::channel(RECEIVED_MESSAGES_MAX);
        let cost = Arc::new(Cost::default());
        let buffer = Arc::new(SendBuffer {
            room: Semaphore::new(self.send_buffer_bytes),
            bytes_max: self.send_buffer_bytes,
            closing: Notify::new(),
        });
        let link = RtcLink {
            local_fingerprint: self.local_fingerprint,
            remote_fingerprint: self.remote_fingerprint,
            remote: self.session.selected().map(|path| path.peer.ip()),
            sender: RtcSender {
                queue: queue_sender,
                buffer: Arc::clone(&buffer),
            },
            receiver: RtcReceiver {
                messages,
                cost: Arc::clone(&cost),
            },
        };
        (
            link,
            Ports {
                queue,
                received,
                buffer,
                cost,
            },
        )
    }

    /// Checks and handshakes, until the channel is open.
    async fn open(&mut self) -> Result<(), Done> {
        while !self.session.is_open() {
            let deadline = self.session.deadline();
            tokio::select! {
                burst = self.bursts.recv() => self.take_bursts(burst)?,
                () = tokio::time::sleep_until(deadline.into()) => self.session.handle_deadline(Instant::now())?,
                () = self.registration.inlet().end.notified() => return Err(Done::Evicted),
            }
            self.settle().await?;
        }
        Ok(())
    }

    /// Carries messages, until either end is done.
    async fn exchange(&mut self, mut ports: Ports) -> (Done, Option<Ports>) {
        let done = match self.carry(&mut ports).await {
            Ok(done) => done,
            Err(ended) => {
                // The peer closed after sending: what it sent is still the application's.
                let _ = tokio::time::timeout(LINGER, self.hand_over(&ports.received)).await;
                Done::Session(ended)
            }
        };
        (done, Some(ports))
    }

    async fn carry(&mut self, ports: &mut Ports) -> Result<Done, Ended> {
        let mut timer = std::pin::pin!(tokio::time::sleep_until(self.session.deadline().into()));
        let mut senders_gone = false;
        let mut receiver_gone = false;
        let mut linger_until: Option<Instant> = None;
        loop {
            self.settle().await?;
            let acknowledged = self.session.take_acknowledged();
            if acknowledged > 0 {
                ports.buffer.room.add_permits(acknowledged);
            }
            if receiver_gone {
                // Unread messages would close the receive window, and with it the other direction.
                while self.session.read(Instant::now())?.is_some() {}
            }
            if senders_gone && receiver_gone && linger_until.is_none() {
                linger_until = Some(Instant::now() + LINGER);
            }
            let mut deadline = self.session.deadline();
            if let Some(until) = linger_until {
                let delivered = ports.queue.is_empty() && self.session.unacknowledged_bytes() == 0;
                if delivered || Instant::now() >= until {
                    return Ok(Done::Closed);
                }
                deadline = deadline.min(until);
            }
            if timer.deadline().into_std() != deadline {
                timer.as_mut().reset(deadline.into());
            }
            let may_write = self.session.may_write(self.in_flight_bytes) && !senders_gone;
            tokio::select! {
                biased;
                () = self.registration.inlet().end.notified() => return Ok(Done::Evicted),
                burst = self.bursts.recv() => self.take_bursts(burst)?,
                place = ports.received.reserve(), if self.session.is_readable() && !receiver_gone => match place {
                    Ok(place) => {
                        if let Some(message) = self.session.read(Instant::now())? {
                            place.send(message);
                        }
                        self.fill(&ports.received)?;
                    }
                    Err(_) => receiver_gone = true,
                },
                message = ports.queue.recv(), if may_write => match message {
                    Some(message) => self.take_messages(message, &mut ports.queue)?,
                    None => senders_gone = true,
                },
                () = ports.received.closed(), if !receiver_gone => receiver_gone = true,
                () = ports.buffer.closing.notified(), if linger_until.is_none() => {
                    linger_until = Some(Instant::now() + LINGER);
                }
                () = &mut timer => self.session.handle_deadline(Instant::now())?,
            }
        }
    }

    /// Takes what has come in, up to [`BURSTS_PER_TURN_MAX`].
    fn take_bursts(&mut self, first: Option<Burst>) -> Result<(), Ended> {
        let now = Instant::now();
        // The routing table holds the other end for as long as `registration` lives.
        let mut next = first;
        let mut taken = 0;
        while let Some(burst) = next {
            self.registration.inlet().taken(&burst);
            for datagram in burst.datagrams() {
                self.session.handle_datagram(now, burst.path, datagram)?;
            }
            taken += 1;
            next = if taken < BURSTS_PER_TURN_MAX {
                self.bursts.try_recv().ok()
            } else {
                None
            };
        }
        Ok(())
    }

    /// Gives SCTP what is queued, as far as the flight allows.
    fn take_messages(&mut self, first: Bytes, queue: &mut mpsc::Receiver<Bytes>) -> Result<(), Ended> {
        let now = Instant::now();
        self.session.write(now, &first)?;
        while self.session.may_write(self.in_flight_bytes)
            && let Ok(message) = queue.try_recv()
        {
            self.session.write(now, &message)?;
        }
        Ok(())
    }

    /// Hands over what can be read, as far as there is place.
    fn fill(&mut self, received: &mpsc::Sender<Bytes>) -> Result<(), Ended> {
        while self.session.is_readable()
            && let Ok(place) = received.try_reserve()
        {
            match self.session.read(Instant::now())? {
                Some(message) => place.send(message),
                None => break,
            }
        }
        Ok(())
    }

    /// Hands over all that can be read.
    async fn hand_over(&mut self, received: &mpsc::Sender<Bytes>) {
        while let Ok(Some(message)) = self.session.read(Instant::now()) {
            if received.send(message).await.is_err() {
                break;
            }
        }
    }

    /// Routes what was verified and sends what is due.
    async fn settle(&mut self) -> Result<(), Ended> {
        self.session.flush(Instant::now())?;
        let selected = self.session.selected();
        for path in self.session.take_verified() {
            self.registration.learn(path.peer, selected.map(|path| path.peer));
        }
        self.wire.transmit(selected, self.session.outgoing()).await;
        Ok(())
    }
}

/// Sends a link's datagrams, as many as possible with each call into the kernel.
pub(super) struct Wire {
    socket: Arc<Socket>,
    routes: Arc<Routes>,
    batch: Vec<u8>,
}

impl Wire {
    pub(super) fn new(socket: Arc<Socket>, routes: Arc<Routes>) -> Self {
        Self {
            socket,
            routes,
            batch: Vec::new(),
        }
    }

    /// Sends everything in `outgoing`, in order.
    async fn transmit(&mut self, selected: Option<Path>, outgoing: &mut Vec<Outgoing>) {
        let mut rest = outgoing.drain(..).peekable();
        while let Some((path, first)) = rest.next() {
            let Some(path) = path.or(selected) else { continue };
            let segment = first.len();
            let segments_max = self.socket.segments_max(segment);
            self.batch.clear();
            self.batch.extend_from_slice(&first);
            let mut segments = 1;
            let mut last = segment;
            // Equal datagrams to one address leave together; a shorter one may end the batch.
            while segments < segments_max
                && last == segment
                && let Some((_, next)) = rest.next_if(|(next_path, next)| {
                    next_path.or(selected) == Some(path) && next.len() <= segment
                })
            {
                self.batch.extend_from_slice(&next);
                segments += 1;
                last = next.len();
            }
            if let Err(error) = self.socket.send(path, &self.batch, segment).await {
                self.routes
                    .counters
                    .send_failed
                    .fetch_add(segments as u64, Ordering::Relaxed);
                tracing::trace!(%error, peer = %path.peer, "datagrams were not sent");
            }
        }
    }
}
