//! Channels to neighbours: handshake, frames, liveness, and who gets to hear a message.
//!
//! Invariant: before a link's handshake is done, nothing but handshake frames is accepted on it; whoever breaks the protocol
//! loses the link, is told why, and costs the others nothing.

use std::collections::VecDeque;
use std::time::Duration;

use gossip::broadcast::Tree;
use ordered::{Map, Set};
use protocol::frame::{self, Reassembly};
use protocol::handshake::Handshake;
use protocol::handshake::{
    Binding, Established, HandshakeError, Hello, MAGIC, Role, Step, VERSION_MAX, VERSION_MIN, feature,
    pair_salt,
};
use protocol::message::{Decoded, FeedHead, Message, Ping, SaltedAccount};
use protocol::{AccountId, DeviceId, Instant, PeerId, Timestamp};
use rand_core::Rng;

use crate::api::{LinkView, Transport};
use crate::boot::Stage;
use crate::io::{LinkId, Log, Output};
use crate::log::keys::FeedNumber;
use crate::sync::exchange::{Inflight, Serve};
use crate::{Engine, clock};

/// Interests remembered of one neighbour. Beyond it the link is closed.
pub(crate) const THEIR_INTERESTS_MAX: usize = 65_536;
/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Hello and proof are repeated this often until the handshake is done.
const HANDSHAKE_REPEAT: Duration = Duration::from_secs(1);
/// A neighbour is pinged this often.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A neighbour that was silent this long, two pings, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(25);

/// A channel to another peer.
#[derive(Debug)]
pub(crate) struct Link {
    transport: Transport,
    /// Who dialled.
    role: Role,
    began: Instant,
    reassembly: Reassembly,
    bytes_in: u64,
    bytes_out: u64,
    since: Timestamp,
    last_heard: Instant,
    stage: LinkStage,
}

#[derive(Debug)]
enum LinkStage {
    Handshaking {
        handshake: Box<Handshake>,
        began: Instant,
        repeated: Instant,
    },
    Up(Box<Up>),
}

/// A link whose neighbour is proven.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) peer: PeerId,
    /// Both sides take each other for neighbours; before and after, only the overlay's own messages count.
    pub(crate) neighbour: bool,
    pub(crate) account: Option<AccountId>,
    /// It says it is a relay.
    pub(crate) relay: bool,
    /// Salts interests: that of both peers.
    pub(crate) salt: [u8; 32],
    /// Salts sketches: that of this link.
    pub(crate) link_salt: [u8; 32],
    /// The neighbour wants everything.
    pub(crate) everything: bool,
    /// All it wants is being told, in parts.
    pub(crate) hearing: bool,
    /// It was told.
    pub(crate) heard: bool,
    /// It was to be remembered, and was not.
    pub(crate) forgot: bool,
    /// This end told it that a sketch would come.
    pub(crate) sketches: bool,
    /// It told so.
    pub(crate) awaits_sketch: bool,
    /// The comparison by sketch under way.
    pub(crate) comparing: Option<Box<crate::sync::compare::Comparing>>,
    pub(crate) last_round: u32,
    /// It is a relay that wants its share.
    pub(crate) assigned: bool,
    /// A relay that said all it has of what this peer wants.
    pub(crate) compared: bool,
    /// Accounts it asked for in plain words, or that were named to it.
    pub(crate) named: Set<AccountId>,
    /// Accounts it spoke of, of those this browser wants.
    pub(crate) spoke_of: Set<AccountId>,
    /// What else it wants, as it named it.
    pub(crate) theirs: Set<SaltedAccount>,
    /// A relay: whom it serves, as it named them; and what it was last told of whom this one serves.
    pub(crate) serves: Set<SaltedAccount>,
    pub(crate) told_served: Option<[u8; 16]>,
    /// Of what it wants, the accounts held here.
    pub(crate) matched: Set<AccountId>,
    /// How far a relay said, or proved, that it has each feed; between relays alone.
    pub(crate) has: Map<FeedNumber, u64>,
    /// What this relay was asked to show, to prove that it has what it says.
    pub(crate) audit: Option<crate::relay::audit::Audit>,
    /// How far the neighbour was told, or sent, each feed.
    pub(crate) told: Map<FeedNumber, u64>,
    /// Wanted feeds of which the neighbour has more.
    pub(crate) ahead: Map<DeviceId, FeedHead>,
    /// Feeds it announced that may come by themselves.
    pub(crate) announced: Map<DeviceId, FeedHead>,
    /// Our requests it is answering.
    pub(crate) inflight: Map<u32, Inflight>,
    pub(crate) last_request: u32,
    /// Its requests we have not answered.
    pub(crate) serving: VecDeque<Serve>,
    pub(crate) loading: usize,
    /// Bulk taken in and not yet granted again.
    pub(crate) consumed: u32,
    ping: Option<(u64, Instant)>,
    next_ping: Instant,
    rtt: Option<Duration>,
}

impl Up {
    pub(crate) fn wants(&self, account: &AccountId) -> bool {
        self.everything || self.matched.contains(account)
    }
}

impl Link {
    /// Who dialled, and when it opened.
    pub(crate) const fn origin(&self) -> (Role, Instant) {
        (self.role, self.began)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.stage, LinkStage::Handshaking { .. })
    }

    pub(crate) fn up(&self) -> Option<&Up> {
        match &self.stage {
            LinkStage::Up(up) => Some(up),
            LinkStage::Handshaking { .. } => None,
        }
    }

    /// The peer at the other end, if it is a neighbour.
    pub(crate) fn neighbour(&self) -> Option<&Up> {
        self.up().filter(|up| up.neighbour)
    }

    pub(crate) fn up_mut(&mut self) -> Option<&mut Up> {
        match &mut self.stage {
            LinkStage::Up(up) => Some(up),
            LinkStage::Handshaking { .. } => None,
        }
    }
}

impl Engine {
    pub(crate) fn up(&self, link: LinkId) -> Option<&Up> {
        self.links.get(&link).and_then(Link::up)
    }

    pub(crate) fn up_mut(&mut self, link: LinkId) -> Option<&mut Up> {
        self.links.get_mut(&link).and_then(Link::up_mut)
    }

    /// Whether a relay this device knows is a neighbour.
    pub(crate) fn links_with_relay(&self) -> bool {
        let mut neighbours = self.links.values().filter_map(Link::neighbour);
        neighbours.any(|up| self.peers.is_relay(&up.peer))
    }

    /// The round trip to a linked peer, if it was measured.
    pub(crate) fn rtt_of(&self, peer: &PeerId) -> Option<Duration> {
        let link = self.peers.links.get(peer)?;
        self.up(*link)?.rtt
    }

    pub(crate) fn up_links(&self) -> Vec<LinkId> {
        self.links_whose(|up| up.neighbour)
    }

    /// The links whose neighbour wants the feeds of `account`.
    pub(crate) fn links_wanting(&self, account: &AccountId) -> Vec<LinkId> {
        self.links_whose(|up| up.wants(account))
    }

    /// The links that are up and pass `test`, in the order of their numbers.
    pub(crate) fn links_whose(&self, test: impl Fn(&Up) -> bool) -> Vec<LinkId> {
        let passes = |link: &Link| link.up().is_some_and(&test);
        let links = self.links.iter().filter(|(_, link)| passes(link));
        links.map(|(id, _)| *id).collect()
    }

    /// One of these links, by chance.
    pub(crate) fn any_of(&mut self, links: &[LinkId]) -> Option<LinkId> {
        if links.is_empty() {
            return None;
        }
        Some(links[(self.rng.next_u64() % links.len() as u64) as usize])
    }

    pub(crate) fn on_link_up(&mut self, link: LinkId, role: Role, binding: Binding, transport: Transport) {
        let key = match self.key() {
            Some(key) if matches!(self.stage, Stage::Ready) => key.clone(),
            _ => {
                self.emit(Output::Close {
                    link,
                    reason: "not ready for links yet".into(),
                });
                return;
            }
        };
        let mut features = 0;
        if self.is_relay() {
            features |= feature::RELAY;
        }
        if self.relays_only {
            features |= feature::RELAYS_ONLY;
        }
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features,
            peer: PeerId(key.public()),
            nonce: self.random(),
            certificate: self
                .identity
                .as_ref()
                .map(|identity| identity.certificate.clone()),
            wall: self.now.wall,
        };
        let handshake = Handshake::new(role, binding, key, &hello);
        let frames = handshake.frames();
        let now = self.now.instant;
        let stage = LinkStage::Handshaking {
            handshake: Box::new(handshake),
            began: now,
            repeated: now,
        };
        self.links.insert(
            link,
            Link {
                transport,
                role,
                began: now,
                reassembly: Reassembly::default(),
                bytes_in: 0,
                bytes_out: 0,
                since: self.now.wall,
                last_heard: now,
                stage,
            },
        );
        for frame in frames {
            self.send_frame(link, frame);
        }
        self.next_housekeeping = self.next_housekeeping.min(now + crate::HOUSEKEEPING_BUSY);
    }

    pub(crate) fn on_frame(&mut self, id: LinkId, bytes: &[u8]) {
        let now = self.now.instant;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.last_heard = now;
        link.bytes_in += bytes.len() as u64;
        self.bytes_in += bytes.len() as u64;
        let (kind, payload) = match frame::split(bytes) {
            Ok(split) => split,
            Err(error) => return self.misbehaved(id, &error.to_string()),
        };
        if kind == frame::CLOSE {
            let reason: String = String::from_utf8_lossy(payload).chars().take(200).collect();
            self.emit(Output::Close {
                link: id,
                reason: "the neighbour closed it".into(),
            });
            return self.end_link(id, &format!("closed by the neighbour: {reason}"));
        }
        match &mut link.stage {
            LinkStage::Handshaking { handshake, .. } => match handshake.on_frame(kind, payload) {
                Ok(Step::Wait) => {}
                Ok(Step::Send(frame)) => self.send_frame(id, frame),
                Ok(Step::Done(established)) => self.on_established(id, *established),
                Err(error) => {
                    if let HandshakeError::Version(versions) = error {
                        self.incompatible = Some(versions);
                    }
                    self.misbehaved(id, &error.to_string());
                }
            },
            // Late repeats of the handshake mean nothing.
            LinkStage::Up(_) if kind == frame::HELLO || kind == frame::PROOF => {}
            LinkStage::Up(_) => match link.reassembly.push(kind, payload) {
                Ok(None) => {}
                Ok(Some(message)) => match Message::decode(&message) {
                    Ok(Decoded::Known(known)) => self.on_message(id, known, message.len()),
                    Ok(Decoded::Unknown(_)) => {}
                    Err(error) => self.misbehaved(id, &error.to_string()),
                },
                Err(error) => self.misbehaved(id, &error.to_string()),
            },
        }
    }

    fn on_established(&mut self, id: LinkId, established: Established) {
        let Established {
            peer,
            account,
            features,
            salt: link_salt,
            ..
        } = established;
        let Some(salt) = self.own_peer().map(|own| pair_salt(&own, &peer)) else {
            return;
        };
        let relay = features & feature::RELAY != 0;
        let now = self.now.instant;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let (role, began) = (link.role, link.began);
        if let LinkStage::Handshaking { handshake, .. } = &link.stage {
            // The neighbour may have missed our last frames: an early message of a fresh channel can be lost.
            let repeat = handshake.frames();
            link.stage = LinkStage::Up(Box::new(Up {
                peer,
                neighbour: false,
                account,
                relay,
                salt,
                link_salt,
                everything: false,
                hearing: false,
                heard: false,
                forgot: false,
                sketches: false,
                awaits_sketch: false,
                comparing: None,
                last_round: 0,
                assigned: false,
                compared: false,
                named: Set::new(),
                spoke_of: Set::new(),
                theirs: Set::new(),
                serves: Set::new(),
                told_served: None,
                matched: Set::new(),
                has: Map::new(),
                audit: None,
                told: Map::new(),
                ahead: Map::new(),
                announced: Map::new(),
                inflight: Map::new(),
                last_request: 0,
                serving: VecDeque::new(),
                loading: 0,
                consumed: 0,
                ping: None,
                next_ping: now,
                rtt: None,
            }));
            for frame in repeat {
                self.send_frame(id, frame);
            }
        }
        self.on_proven(id, peer, role, began);
    }

    fn on_message(&mut self, link: LinkId, message: Message, len: usize) {
        let Some((peer, neighbour)) = self.up(link).map(|up| (up.peer, up.neighbour)) else {
            return;
        };
        if self.on_overlay_message(link, peer, &message).is_some() {
            return;
        }
        if !neighbour {
            // The last words of a former neighbour.
            return;
        }
        if let Some(overlay) = &mut self.overlay {
            overlay.heard(&peer, clock(self.now));
        }
        if matches!(
            message,
            Message::Digest(_) | Message::Sketch(_) | Message::Compared(_)
        ) {
            self.note_use(link, false);
        }
        let now = clock(self.now);
        match message {
            Message::Interests(interests) => self.on_interests(link, interests),
            Message::Digest(digest) => {
                self.on_heads(link, &digest.heads);
                if digest.end {
                    self.on_compared(link);
                }
            }
            Message::Sketch(sketch) => self.on_sketch(link, &sketch),
            Message::Compared(compared) => self.on_verdict(link, compared),
            Message::ResumeFailed(_) => self.on_forgotten(link),
            Message::Announce(announcements) => self.on_announce(link, &announcements),
            Message::Want(want) => self.on_want(link, want),
            Message::Entries(entries) => self.on_entries(link, entries, len),
            Message::RangeEnd(end) => self.on_range_end(link, end.request),
            Message::Push(push) => self.on_push(link, push, len),
            Message::Have(heads) => self.on_have(link, &heads.heads),
            Message::Receipt(receipt) => self.on_receipt(link, &receipt),
            Message::Credit(credit) => {
                self.broadcast.grant(&link, credit.bytes);
                self.pump_serving(link);
            }
            Message::Ping(ping) => self.send(link, &Message::Pong(ping)),
            Message::Pong(pong) => self.on_pong(link, pong),
            Message::ForkProof(proof) => self.on_fork_proof(link, proof),
            Message::Introduction(word) => self.on_introduction(link, word),
            Message::Relays(relays) => self.on_relays(link, relays),
            Message::Presence(presence) => self.on_serves(link, presence),
            Message::NameQuestion(asked) => self.on_name_question(link, asked),
            Message::NameAnswer(answered) => self.on_name_answer(link, answered),
            Message::Graft(on) => self.broadcast.on_graft(&link, Tree::from_byte(on.tree), now),
            Message::Prune(on) => self.broadcast.on_prune(&link, Tree::from_byte(on.tree), now),
            Message::Request(_)
            | Message::Accept(_)
            | Message::Refuse(_)
            | Message::ForwardJoin(_)
            | Message::Shuffle(_)
            | Message::Heartbeat(_)
            | Message::Leave(_) => {}
        }
    }

    /// Sends a message to a proven neighbour.
    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        if self.up(link).is_some() {
            self.send_bytes(link, &message.encode());
        }
    }

    /// Sends an encoded message.
    pub(crate) fn send_bytes(&mut self, link: LinkId, message: &[u8]) {
        for frame in frame::fragment(message) {
            self.send_frame(link, frame);
        }
    }

    fn send_frame(&mut self, link: LinkId, bytes: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&link) {
            link.bytes_out += bytes.len() as u64;
            self.bytes_out += bytes.len() as u64;
        }
        self.emit(Output::Send { link, bytes });
    }

    /// The neighbour broke the protocol: it loses the link, and a stranger is not linked with again for a while.
    pub(crate) fn misbehaved(&mut self, link: LinkId, reason: &str) {
        self.refused += 1;
        let peer = self.up(link).map(|up| up.peer);
        if let Some((overlay, peer)) = self.overlay.as_mut().zip(peer)
            && !self.peers.is_relay(&peer)
        {
            overlay.ban(peer, clock(self.now), &mut self.rng);
        }
        self.emit(Output::Log(Log::Refused {
            link,
            peer,
            reason: reason.to_owned(),
        }));
        self.close_link(link, reason);
    }

    /// Says why, then closes.
    pub(crate) fn close_link(&mut self, link: LinkId, reason: &str) {
        if self.links.contains_key(&link) {
            self.send_frame(link, frame::close(reason));
            self.emit(Output::Close {
                link,
                reason: reason.to_owned(),
            });
            self.end_link(link, reason);
        }
    }

    /// Forgets a link that is closed or being closed.
    pub(crate) fn end_link(&mut self, id: LinkId, reason: &str) {
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        let peer = link.up().map(|up| up.peer);
        self.emit(Output::Log(Log::Unlinked {
            link: id,
            peer,
            reason: reason.to_owned(),
        }));
        if let LinkStage::Up(mut up) = link.stage {
            self.on_unproven(id, up.peer);
            if self.is_relay() && !up.relay {
                self.cache_wanted_until_now(&up);
            }
            if self.is_relay() && !up.relay && !up.forgot {
                let (wanted, named) = (core::mem::take(&mut up.theirs), core::mem::take(&mut up.named));
                self.recalled.remember(up.peer, wanted, named);
            }
            self.release_fetches(&up);
            self.forget_registrar_link(id);
            self.forget_name_link(id);
            if self.is_relay() {
                self.end_checks(id);
            }
        }
    }

    /// What time alone does to links.
    pub(crate) fn keep_links(&mut self) {
        let now = self.now.instant;
        let mut repeats = Vec::new();
        let mut silent = Vec::new();
        let mut pings = Vec::new();
        for (id, link) in self.links.iter_mut() {
            match &mut link.stage {
                LinkStage::Handshaking { began, .. } if now.since(*began) >= HANDSHAKE_TIMEOUT => {
                    silent.push((*id, "the handshake took too long"));
                }
                LinkStage::Handshaking {
                    handshake, repeated, ..
                } => {
                    if now.since(*repeated) >= HANDSHAKE_REPEAT {
                        *repeated = now;
                        repeats.push((*id, handshake.frames()));
                    }
                }
                LinkStage::Up(_) if now.since(link.last_heard) >= SILENCE_MAX => {
                    silent.push((*id, "the neighbour was silent for too long"));
                }
                LinkStage::Up(up) if now >= up.next_ping => pings.push(*id),
                LinkStage::Up(_) => {}
            }
        }
        for (id, frames) in repeats {
            for frame in frames {
                self.send_frame(id, frame);
            }
        }
        for (id, reason) in silent {
            self.close_link(id, reason);
        }
        for id in pings {
            self.ping(id);
        }
    }

    pub(crate) fn ping(&mut self, link: LinkId) {
        let token = u64::from_le_bytes(self.random());
        let now = self.now.instant;
        if let Some(up) = self.up_mut(link) {
            up.ping = Some((token, now));
            up.next_ping = now + PING_EVERY;
            self.send(link, &Message::Ping(Ping { token }));
        }
    }

    fn on_pong(&mut self, link: LinkId, pong: Ping) {
        let now = self.now.instant;
        if let Some(up) = self.up_mut(link)
            && let Some((token, sent)) = up.ping
            && token == pong.token
        {
            up.ping = None;
            let sample = now.since(sent);
            // Smoothed as TCP does (RFC 6298 section 2).
            up.rtt = Some(up.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
        }
    }

    pub(crate) fn link_views(&self) -> Vec<LinkView> {
        self.links
            .values()
            .filter_map(|link| {
                let up = link.neighbour()?;
                Some(LinkView {
                    peer: up.peer,
                    account: up.account,
                    name: up
                        .account
                        .map(|account| self.feeds.name(&account).to_owned())
                        .unwrap_or_default(),
                    relay: up.relay,
                    transport: link.transport,
                    rtt_ms: up
                        .rtt
                        .map(|rtt| u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX)),
                    bytes_in: link.bytes_in,
                    bytes_out: link.bytes_out,
                    since: link.since,
                })
            })
            .collect()
    }
}
