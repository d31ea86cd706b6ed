//! Peer connections, which only a page can have. The worker says what to do, in order; the broker reports.
//!
//! Every connection has one data channel, agreed beforehand (`negotiated`, id 0), which is handed to the worker in the
//! turn that makes it: from then on no byte passes through the page. Where the browser cannot hand channels over, the
//! bytes are passed on from here.
//!
//! Invariants: candidates reach the browser only after the description they belong to, and the worker only after it
//! got ours; after `Close` nothing is reported and nothing is held.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Event, MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelInit, RtcDataChannelType,
    RtcIceCandidateInit, RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType,
    RtcSessionDescriptionInit,
};

use super::worker::WorkerHandle;
use crate::platform::{self, Alarm, Listener};
use crate::vec_map::VecMap;
use crate::worker::outbox::Outbox;
use crate::worker::port::{ConnectionId, ToPage, ToWorker};

/// The label of every data channel. Both sides create the channel themselves, as agreed beforehand.
const LABEL: &str = "starling";
/// Candidates that wait for a description, each way. Policy when full: further ones are dropped.
const EARLY_CANDIDATES_MAX: usize = 64;
/// Time that a disconnected connection has to recover before it is closed. Chromium reports "disconnected" some 7 s
/// after the last packet, and "failed" only 15 s later; a new connection takes 30 ms.
const DISCONNECTED: Duration = Duration::from_secs(2);
/// Interval at which a channel with queued messages is polled, in case the browser's event for a drained buffer does
/// not come.
const POLL: Duration = Duration::from_millis(15);

/// All connections of this page.
pub struct Broker {
    me: Weak<Self>,
    worker: Rc<WorkerHandle>,
    connections: RefCell<VecMap<ConnectionId, Rc<Connection>>>,
}

struct Connection {
    id: ConnectionId,
    peer: RtcPeerConnection,
    /// Candidates of the other side that came before its description.
    early: RefCell<Option<Vec<(String, String)>>>,
    /// Candidates of this side that came before its description was sent.
    unsent: RefCell<Option<Vec<(String, String)>>>,
    /// Rings when the peer was lost for too long.
    lost: Rc<Alarm>,
    stays: RefCell<Option<Stays>>,
    closures: RefCell<Vec<Listener<Event>>>,
    closed: Cell<bool>,
}

/// A channel whose bytes pass through the page.
struct Stays {
    channel: RtcDataChannel,
    outbox: Outbox,
    poll: Rc<Alarm>,
}

impl Broker {
    /// No connections; reports to this worker.
    pub fn new(worker: Rc<WorkerHandle>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            worker,
            connections: RefCell::default(),
        })
    }

    /// Does what the worker says.
    pub fn execute(&self, command: ToPage) {
        match command {
            ToPage::Offer { connection } => self.open(connection, None),
            ToPage::Accept { connection, sdp } => self.open(connection, Some(sdp)),
            ToPage::Answered { connection, sdp } => {
                if let Some(connection) = self.get(connection) {
                    let broker = self.me.clone();
                    spawn_local(async move {
                        if connection.set_remote(RtcSdpType::Answer, &sdp).await.is_err()
                            && let Some(broker) = broker.upgrade()
                        {
                            broker.end(&connection);
                        }
                    });
                }
            }
            ToPage::Candidate {
                connection,
                candidate,
                mid,
            } => {
                if let Some(connection) = self.get(connection) {
                    connection.add_candidate(candidate, mid);
                }
            }
            ToPage::Bytes { connection, bytes } => {
                if let Some(connection) = self.get(connection) {
                    self.pass_on(&connection, Some(bytes));
                }
            }
            ToPage::Close { connection } => {
                let removed = self.connections.borrow_mut().remove(connection);
                if let Some(connection) = removed {
                    connection.close();
                }
            }
            // Not for a broker.
            _ => {}
        }
    }

    /// Closes everything, reporting nothing.
    pub fn close_all(&self) {
        let connections = self.connections.borrow_mut().take_values();
        for connection in connections {
            connection.close();
        }
    }

    fn get(&self, connection: ConnectionId) -> Option<Rc<Connection>> {
        self.connections.borrow().get(connection).cloned()
    }

    fn end(&self, connection: &Rc<Connection>) {
        let there = self.connections.borrow_mut().remove(connection.id).is_some();
        connection.close();
        if there {
            self.worker.post(&ToWorker::Ended {
                connection: connection.id,
            });
        }
    }

    fn open(&self, id: ConnectionId, offer: Option<String>) {
        let made = self.make(id);
        let Ok(connection) = made else {
            self.worker.post(&ToWorker::Ended { connection: id });
            return;
        };
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        let broker = self.me.clone();
        spawn_local(async move {
            let described = connection.describe(offer.as_deref()).await;
            let Some(broker) = broker.upgrade().filter(|_| !connection.closed.get()) else {
                return;
            };
            match described {
                Ok(sdp) => {
                    broker.worker.post(&ToWorker::Described { connection: id, sdp });
                    for (candidate, mid) in connection.unsent.take().unwrap_or_default() {
                        broker.worker.post(&ToWorker::Candidate {
                            connection: id,
                            candidate,
                            mid,
                        });
                    }
                }
                Err(error) => {
                    platform::debug(&format!("connection {id}: {error:?}"));
                    broker.end(&connection);
                }
            }
        });
    }

    fn make(&self, id: ConnectionId) -> Result<Rc<Connection>, JsValue> {
        // No ICE servers: the relay has a public address, and browsers next to each other need none.
        let peer = RtcPeerConnection::new_with_configuration(&RtcConfiguration::new())?;
        let init = RtcDataChannelInit::new();
        init.set_negotiated(true);
        init.set_id(0);
        init.set_ordered(true);
        let channel = peer.create_data_channel_with_data_channel_dict(LABEL, &init);
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        let transferred = self
            .worker
            .post_channel(&ToWorker::Channel { connection: id }, &channel);

        let connection = Rc::new_cyclic(|me: &Weak<Connection>| {
            let (me, broker) = (me.clone(), self.me.clone());
            Connection {
                id,
                peer,
                early: RefCell::new(Some(Vec::new())),
                unsent: RefCell::new(Some(Vec::new())),
                lost: Alarm::new(move || {
                    if let (Some(connection), Some(broker)) = (me.upgrade(), broker.upgrade()) {
                        broker.end(&connection);
                    }
                }),
                stays: RefCell::new(None),
                closures: RefCell::default(),
                closed: Cell::new(false),
            }
        });
        let on_candidate = self.listener(&connection, Self::on_candidate);
        connection.peer.set_onicecandidate(Some(&on_candidate));
        let on_state = self.listener(&connection, Self::on_state);
        connection.peer.set_onconnectionstatechange(Some(&on_state));
        if !transferred {
            self.store_channel(&connection, channel);
        }
        Ok(connection)
    }

    /// A listener that lives as long as the connection.
    fn listener(
        &self,
        connection: &Rc<Connection>,
        on: fn(&Self, &Rc<Connection>, Event),
    ) -> js_sys::Function {
        let (broker, weak) = (self.me.clone(), Rc::downgrade(connection));
        let closure = Listener::<Event>::new(move |event| {
            if let (Some(broker), Some(connection)) = (broker.upgrade(), weak.upgrade())
                && !connection.closed.get()
            {
                on(&broker, &connection, event);
            }
        });
        let function = closure.as_ref().unchecked_ref::<js_sys::Function>().clone();
        connection.closures.borrow_mut().push(closure);
        function
    }

    fn on_candidate(&self, connection: &Rc<Connection>, event: Event) {
        let event: RtcPeerConnectionIceEvent = event.unchecked_into();
        // The other side does not need to know that there are no more candidates.
        let Some(found) = event.candidate().filter(|found| !found.candidate().is_empty()) else {
            return;
        };
        let (candidate, mid) = (found.candidate(), found.sdp_mid().unwrap_or_default());
        if let Some(unsent) = connection.unsent.borrow_mut().as_mut() {
            if unsent.len() < EARLY_CANDIDATES_MAX {
                unsent.push((candidate, mid));
            }
            return;
        }
        self.worker.post(&ToWorker::Candidate {
            connection: connection.id,
            candidate,
            mid,
        });
    }

    fn on_state(&self, connection: &Rc<Connection>, _: Event) {
        match connection.peer.connection_state() {
            RtcPeerConnectionState::Connected => connection.lost.set(None),
            RtcPeerConnectionState::Disconnected => {
                connection.lost.set(Some(platform::instant() + DISCONNECTED));
            }
            RtcPeerConnectionState::Failed | RtcPeerConnectionState::Closed => self.end(connection),
            _ => {}
        }
    }

    // Channels that stay.

    fn store_channel(&self, connection: &Rc<Connection>, channel: RtcDataChannel) {
        let on_open = self.listener(connection, |broker, connection, _| {
            broker.worker.post(&ToWorker::Connected {
                connection: connection.id,
            });
        });
        let on_close = self.listener(connection, |broker, connection, _| broker.end(connection));
        let on_message = self.listener(connection, |broker, connection, event| {
            let event: MessageEvent = event.unchecked_into();
            let bytes = crate::worker::frame_of(&event.data());
            broker.worker.post(&ToWorker::Bytes {
                connection: connection.id,
                bytes,
            });
        });
        channel.set_onopen(Some(&on_open));
        channel.set_onclose(Some(&on_close));
        channel.set_onmessage(Some(&on_message));
        let (broker, weak) = (self.me.clone(), Rc::downgrade(connection));
        let poll = Alarm::new(move || {
            if let (Some(broker), Some(connection)) = (broker.upgrade(), weak.upgrade()) {
                broker.pass_on(&connection, None);
            }
        });
        *connection.stays.borrow_mut() = Some(Stays {
            channel,
            outbox: Outbox::default(),
            poll,
        });
        self.worker.post(&ToWorker::ChannelStays {
            connection: connection.id,
        });
    }

    /// Sends what fits of a frame and of those that wait.
    fn pass_on(&self, connection: &Rc<Connection>, frame: Option<Vec<u8>>) {
        let sent = {
            let mut stays = connection.stays.borrow_mut();
            let Some(stays) = stays.as_mut() else { return };
            stays.pass_on(frame)
        };
        match sent {
            Ok(0) => {}
            Ok(bytes) => self.worker.post(&ToWorker::Sent {
                connection: connection.id,
                bytes,
            }),
            Err(()) => self.end(connection),
        }
    }
}

impl Stays {
    fn pass_on(&mut self, frame: Option<Vec<u8>>) -> Result<u32, ()> {
        let mut sent = 0;
        let mut next = match frame {
            Some(frame) => self
                .outbox
                .offer(frame, self.channel.buffered_amount())
                .map_err(|_| ())?,
            None => self.outbox.next(self.channel.buffered_amount()),
        };
        while let Some(frame) = next {
            self.channel.send_with_u8_array(&frame).map_err(|_| ())?;
            sent += frame.len() as u32;
            next = self.outbox.next(self.channel.buffered_amount());
        }
        if !self.outbox.is_empty() {
            self.poll.set_by(platform::instant() + POLL);
        }
        Ok(sent)
    }
}

impl Connection {
    /// Makes this side's description and sets it: an answer to an offer, or an offer.
    async fn describe(&self, offer: Option<&str>) -> Result<String, JsValue> {
        let made = match offer {
            Some(offer) => {
                self.set_remote(RtcSdpType::Offer, offer).await?;
                self.peer.create_answer()
            }
            None => self.peer.create_offer(),
        };
        let made: RtcSessionDescriptionInit = JsFuture::from(made).await?.unchecked_into();
        JsFuture::from(self.peer.set_local_description(&made)).await?;
        let set = self.peer.local_description();
        Ok(set
            .map(|set| set.sdp())
            .or_else(|| made.get_sdp())
            .unwrap_or_default())
    }

    async fn set_remote(&self, kind: RtcSdpType, sdp: &str) -> Result<(), JsValue> {
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(sdp);
        JsFuture::from(self.peer.set_remote_description(&description)).await?;
        for (candidate, mid) in self.early.take().unwrap_or_default() {
            self.add_candidate(candidate, mid);
        }
        Ok(())
    }

    fn add_candidate(&self, candidate: String, mid: String) {
        if let Some(early) = self.early.borrow_mut().as_mut() {
            if early.len() < EARLY_CANDIDATES_MAX {
                early.push((candidate, mid));
            }
            return;
        }
        if candidate.is_empty() {
            return;
        }
        let init = RtcIceCandidateInit::new(&candidate);
        init.set_sdp_mid(Some(&mid));
        let adding = self
            .peer
            .add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init));
        spawn_local(async move {
            // A candidate that the browser refuses is not needed.
            let _ = JsFuture::from(adding).await;
        });
    }

    fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.lost.set(None);
        self.peer.set_onicecandidate(None);
        self.peer.set_onconnectionstatechange(None);
        if let Some(stays) = self.stays.take() {
            stays.poll.set(None);
            stays.channel.set_onopen(None);
            stays.channel.set_onclose(None);
            stays.channel.set_onmessage(None);
            stays.channel.close();
        }
        self.peer.close();
        self.closures.take();
    }
}
