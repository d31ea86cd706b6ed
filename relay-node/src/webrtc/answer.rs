//! Links over WebRTC: the relay is a member of the signaling lobby, answers every offer, and each data channel that
//! opens becomes a link.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use engine::api::Transport;
use protocol::link::frame;
use protocol::link::handshake::{Binding, Side};
use protocol::signal::{self, Payload};
use protocol::{PeerId, codec};
use signaling::{LocalCall, LocalReceiver, LocalSender, network};

use super::{RtcEndpoint, RtcLink, RtcReceiver, RtcSender};
use native::driver::{DriverHandle, Origin};
use native::link::{FrameSink, Outgoing, ToLink};

/// Offers of one peer answered and not yet open. An honest one has one, or two when it gave one up.
const OPENING_PER_PEER_MAX: usize = 4;

/// Answers offers until the relay leaves the room.
pub async fn answer_offers(
    endpoint: Arc<RtcEndpoint>,
    driver: DriverHandle,
    room: LocalSender,
    mut calls: LocalReceiver,
) {
    let room = Arc::new(room);
    let opening = Opening::default();
    while let Some(LocalCall {
        from,
        address,
        payload,
    }) = calls.recv().await
    {
        let (session, sdp) = match signal::decode(&payload) {
            Ok(Payload::Offer { session, sdp }) => (session, sdp),
            // A relay never sends offers: a peer that wants a link sends one itself, whatever its key.
            Ok(Payload::Call { session }) => {
                decline(&room, from, session);
                continue;
            }
            // The offer contains everything that is needed of a peer.
            Ok(Payload::Candidate { .. } | Payload::Answer { .. } | Payload::Decline { .. }) => continue,
            Err(_) => {
                tracing::debug!(peer = %from, "malformed signal");
                continue;
            }
        };
        let Some(place) = opening.enter(from).filter(|_| driver.is_ready()) else {
            decline(&room, from, session);
            continue;
        };
        let accepted = match endpoint.accept(&sdp, address).await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::info!(peer = %from, %error, "WebRTC offer declined");
                decline(&room, from, session);
                continue;
            }
        };
        let sdp = accepted.answer_sdp;
        room.signal(from, codec::encode(&Payload::Answer { session, sdp }));
        let (driver, room) = (driver.clone(), Arc::clone(&room));
        tokio::spawn(async move {
            match accepted.pending.open().await {
                Ok(link) => {
                    drop((place, room));
                    run(link, &driver).await;
                }
                Err(error) => {
                    tracing::info!(peer = %from, %error, "WebRTC link did not open");
                    decline(&room, from, session);
                }
            }
        });
    }
}

fn decline(room: &LocalSender, to: PeerId, session: u64) {
    room.signal(to, codec::encode(&Payload::Decline { session }));
}

async fn run(link: RtcLink, driver: &DriverHandle) {
    let binding = Binding::Dtls {
        offerer: link.remote_fingerprint,
        answerer: link.local_fingerprint,
    };
    let remote = link.remote.map(|address| address.to_canonical());
    let address = remote.filter(|address| !address.is_loopback()).map(network);
    let (sender, mut receiver) = link.split();
    let end = match driver
        .attach(
            Side::Responder,
            binding,
            Transport::WebRtc,
            Origin::Accepted(address),
        )
        .await
    {
        Ok(end) => end,
        Err(error) => {
            let _ = sender.try_send(frame::close(&error.to_string()).into());
            sender.close().await;
            return;
        }
    };
    let (sink, mut outgoing) = (end.sink, end.outgoing);
    let abandoned = outgoing.abandoned();
    // The link ends when either direction ends. Neither waits for the other.
    tokio::select! {
        () = write(&sender, &mut outgoing) => {}
        () = read(&mut receiver, &sink) => {}
        () = abandoned => {}
    }
    drop(outgoing);
    sender.close().await;
    drop(sink);
}

async fn write(sender: &RtcSender, outgoing: &mut Outgoing) {
    while let Some(ToLink::Frame(bytes)) = outgoing.next().await {
        if sender.send(bytes).await.is_err() {
            return;
        }
    }
}

async fn read(receiver: &mut RtcReceiver, sink: &FrameSink) {
    while let Some(bytes) = receiver.recv().await {
        sink.spend(receiver.take_cost());
        if !sink.frame(bytes.into()).await {
            return;
        }
    }
}

/// How many links of each peer are opening.
#[derive(Clone, Debug, Default)]
struct Opening(Arc<Mutex<HashMap<PeerId, usize>>>);

struct OpeningPlace {
    peer: PeerId,
    opening: Opening,
}

impl Opening {
    fn enter(&self, peer: PeerId) -> Option<OpeningPlace> {
        let mut opening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = opening.entry(peer).or_insert(0);
        if *count >= OPENING_PER_PEER_MAX {
            return None;
        }
        *count += 1;
        let opening = self.clone();
        Some(OpeningPlace { peer, opening })
    }
}

impl Drop for OpeningPlace {
    fn drop(&mut self) {
        let mut opening = self.opening.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = opening.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                opening.remove(&self.peer);
            }
        }
    }
}
