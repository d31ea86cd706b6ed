//! Who is a neighbour and what travels between neighbours: the engine's side of the gossip library.
//!
//! [`gossip::membership`] decides whom to dial, to take in and to let go; [`gossip::broadcast`] decides to whom an entry
//! is pushed and to whom it is announced. Here their words become messages, links and entries, and back.
//!
//! Invariants: nothing but the overlay's own messages is exchanged with a peer that is no neighbour; who is a relay is
//! what this device was told by its own address book, or chose from the directory ([`crate::person::relay_choice`]), never
//! what a stranger says of itself on a link.

use std::time::Duration;

use gossip::broadcast::{self, Item, Rank, Route, Tree};
use gossip::membership::{self, Membership};
use ordered::Map;
use protocol::handshake::Role;
use protocol::message::{Announced, Announcements, FeedHead, Message, OnTree, Push};
use protocol::overlay::{Accept, Descriptor, ForwardJoin, Heartbeat, Others, Request, Shuffle, Wish};
use protocol::{DeviceId, Instant, PeerId, VerifiedEntry, limits};

use crate::boot::Stage;
use crate::io::{Candidate, LinkId, Log, Output, PeerKind};
use crate::log::records::RelayRecord;
use crate::store::{Op, Table};
use crate::{Config, Engine, clock};

const _: () = assert!(membership::SAMPLE_MAX == limits::PEERS_PER_MESSAGE_MAX);
const _: () = assert!(broadcast::HOPS_MAX == limits::HOPS_MAX);
const _: () = assert!(broadcast::ANNOUNCEMENTS_PER_MESSAGE <= limits::HEADS_PER_MESSAGE_MAX);

/// Candidates kept until there is an account; later ones are dropped, the room is asked again.
const EARLY_CANDIDATES_MAX: usize = 256;
/// Links to one peer from both sides that opened within this time were dialled at once.
const AT_ONCE: Duration = Duration::from_secs(10);
/// A feed of which a neighbour has so many more is fetched at once: they are not under way.
const BEHIND: u64 = 4;

/// The settings of the overlay that follow from the engine's.
fn settings(config: &Config) -> membership::Config {
    let visitor = membership::Config::visitor();
    let common = membership::Config {
        active_max: config.links_max,
        anchors_target: config.relays_target,
        // A tab may run in the background, where timers tick once a second or slower.
        heartbeat_every: Duration::from_secs(10),
        dial_timeout: Duration::from_secs(15),
        shuffle_every: Duration::from_secs(30),
        // A fresh link between tabs costs each about a tenth of a second of work.
        mix_every: Duration::from_mins(1),
        ..visitor
    };
    match config.kind {
        PeerKind::Browser => membership::Config {
            active_target: config.links_target,
            active_high: (config.links_target + config.links_target / 2).min(config.links_max),
            ..common
        },
        // A relay takes in whoever comes, lets nobody go and dials the relays it was told of.
        PeerKind::Relay { .. } => membership::Config {
            anchor: true,
            active_target: config.links_max,
            active_high: config.links_max,
            guests_max: 64,
            passive_max: 512,
            dials_max: 4,
            dial_anchors_only: true,
            ..common
        },
    }
}

/// How entries are spread. Neighbours want different people's feeds, so a fresh link is eager in every tree until it
/// shows itself to be one too many.
pub(crate) const SPREADING: broadcast::Config = broadcast::Config {
    credit_window: limits::CREDIT_WINDOW_BYTES,
    eager_start: None,
};

/// Peers known and links by peer.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// Whom the address book calls a relay, and where it is; empty: the adapter knows.
    relays: Map<PeerId, String>,
    early: Vec<Candidate>,
    /// The link to each proven peer, neighbour or not.
    pub(crate) links: Map<PeerId, LinkId>,
}

impl Peers {
    /// Whether this device knows `peer` as a relay.
    pub(crate) fn is_relay(&self, peer: &PeerId) -> bool {
        self.relays.contains_key(peer)
    }

    /// Whether a relay this device knows was chosen by it, rather than named by its address book. `None`: it does not know it.
    pub(crate) fn is_chosen(&self, peer: &PeerId) -> Option<bool> {
        self.relays.get(peer).map(|url| !url.is_empty())
    }

    /// The relays this device chose.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = PeerId> + '_ {
        let chosen = self.relays.iter().filter(|(_, url)| !url.is_empty());
        chosen.map(|(peer, _)| *peer)
    }

    pub(crate) fn relays_len(&self) -> usize {
        self.relays.len()
    }

    /// A relay read from the store.
    pub(crate) fn restore_relay(&mut self, relay: PeerId, url: String) {
        self.relays.insert(relay, url);
        self.early.push(Candidate {
            peer: relay,
            relay: true,
        });
    }
}

impl Engine {
    pub(crate) fn on_candidates(&mut self, candidates: &[Candidate]) {
        let own = self.own_peer();
        for candidate in candidates {
            if own == Some(candidate.peer) {
                continue;
            }
            if candidate.relay && self.peers.is_chosen(&candidate.peer) != Some(false) {
                self.know_relay(candidate.peer, String::new());
            }
            let now = clock(self.now);
            match &mut self.overlay {
                Some(overlay) => overlay.learn(candidate.peer, candidate.relay, now, &mut self.rng),
                None if self.peers.early.len() < EARLY_CANDIDATES_MAX => self.peers.early.push(*candidate),
                None => {}
            }
        }
    }

    /// This device knows a relay from now on, also after it was closed.
    pub(crate) fn know_relay(&mut self, relay: PeerId, url: String) {
        let record = RelayRecord {
            at: self.now.wall,
            url: url.clone(),
        };
        self.write(Op::put(Table::Relays, relay.0.to_vec(), &record));
        self.peers.relays.insert(relay, url);
    }

    /// This device does not know a relay any more.
    pub(crate) fn forget_relay(&mut self, relay: &PeerId) {
        self.write(Op::Delete {
            table: Table::Relays,
            key: relay.0.to_vec(),
        });
        self.peers.relays.remove(relay);
    }

    /// Whether `peer` is a neighbour.
    pub(crate) fn is_neighbour(&self, peer: &PeerId) -> bool {
        let link = self.peers.links.get(peer);
        link.and_then(|link| self.up(*link))
            .is_some_and(|up| up.neighbour)
    }

    /// Takes part in the overlay from the moment there is a key to prove.
    pub(crate) fn begin_overlay(&mut self) {
        if self.overlay.is_some() || !matches!(self.stage, Stage::Ready) {
            return;
        }
        let Some(me) = self.own_peer() else {
            return;
        };
        let now = clock(self.now);
        // Heartbeats count on from the wall clock, so that a restart goes on where the last run was.
        let heartbeat = self.now.wall.0;
        let mut overlay = Membership::new(me, settings(&self.config), heartbeat, now, &mut self.rng);
        overlay.set_anchors_only(self.relays_only, now, &mut self.rng);
        for candidate in core::mem::take(&mut self.peers.early) {
            if candidate.peer != me {
                overlay.learn(candidate.peer, candidate.relay, now, &mut self.rng);
            }
        }
        self.overlay = Some(overlay);
    }

    /// A peer proved its key on a link.
    pub(crate) fn on_proven(&mut self, link: LinkId, peer: PeerId, role: Role, began: Instant) {
        if let Some(older) = self.peers.links.get(&peer).copied() {
            if self.keeps(older, peer, role, began) {
                return self.close_link(link, "both dialled at once");
            }
            // The older one is most likely dead without knowing.
            self.close_link(older, "replaced by a newer link");
        }
        self.peers.links.insert(peer, link);
        let now = clock(self.now);
        if let Some(overlay) = &mut self.overlay {
            let dialled = role == Role::Initiator || overlay.is_dialing(&peer);
            overlay.on_connected(peer, dialled, now, &mut self.rng);
        }
    }

    /// Whether the older of two links to a peer stays: when both sides dialled at once, the one that the lower key
    /// dialled does, on both sides.
    fn keeps(&self, older: LinkId, peer: PeerId, role: Role, began: Instant) -> bool {
        let Some((older_role, older_began)) = self.links.get(&older).map(crate::net::sessions::Link::origin)
        else {
            return false;
        };
        let at_once = role != older_role && began.since(older_began) < AT_ONCE;
        let lower = self.key().is_some_and(|key| key.public() < peer.0);
        at_once && (older_role == Role::Initiator) == lower
    }

    /// A link to a proven peer is gone.
    pub(crate) fn on_unproven(&mut self, link: LinkId, peer: PeerId) {
        let now = clock(self.now);
        self.broadcast.on_down(&link, now);
        if self.peers.links.get(&peer) != Some(&link) {
            return;
        }
        self.peers.links.remove(&peer);
        if let Some(overlay) = &mut self.overlay {
            overlay.on_disconnected(&peer, now, &mut self.rng);
        }
    }

    /// Whether `peer` never sleeps: a relay this device knows, and for relays, who link with each other, any that is in the
    /// directory.
    pub(crate) fn is_anchor(&self, peer: &PeerId) -> bool {
        self.peers.is_relay(peer) || (self.is_relay() && self.directory.lists(peer))
    }

    /// Whether `peer` is a relay that is not this browser's: those keep feeds for the people linked with them, so a browser
    /// that links with each it hears of would make each keep everything. Without any of its own, any will do.
    fn is_strange_relay(&self, peer: &PeerId) -> bool {
        let strange = !self.is_relay() && !self.peers.is_relay(peer) && self.directory.lists(peer);
        strange && self.links_with_relay()
    }

    /// A message of the overlay. `None`: it is not of the overlay.
    pub(crate) fn on_overlay_message(&mut self, link: LinkId, peer: PeerId, message: &Message) -> Option<()> {
        let relay = self.is_anchor(&peer);
        let theirs = |descriptor: &Descriptor| membership::Descriptor {
            peer: descriptor.peer,
            anchor: self.is_anchor(&descriptor.peer),
            heartbeat: descriptor.heartbeat,
            age_s: descriptor.age_s,
        };
        // Relays come from the directory, not from hearsay.
        let hearsay = |told: &Descriptor| !self.is_relay() && told.relay && !self.peers.is_relay(&told.peer);
        let all = |peers: &[Descriptor]| peers.iter().filter(|told| !hearsay(told)).map(theirs).collect();
        let message = match message {
            Message::Request(request) => membership::Message::Request {
                wish: match request.wish {
                    Wish::Join => membership::Wish::Join,
                    Wish::Urgent => membership::Wish::Urgent,
                    Wish::Fill => membership::Wish::Fill,
                    Wish::Mix => membership::Wish::Mix,
                },
                anchor: relay,
                heartbeat: request.heartbeat,
                peers: all(&request.peers),
            },
            Message::Accept(accept) => membership::Message::Accept {
                anchor: relay,
                heartbeat: accept.heartbeat,
                degree: accept.degree,
                peers: all(&accept.peers),
            },
            Message::Refuse(others) => membership::Message::Refuse {
                peers: all(&others.peers),
            },
            Message::Leave(others) => membership::Message::Leave {
                peers: all(&others.peers),
            },
            Message::ForwardJoin(walk) => membership::Message::ForwardJoin {
                newcomer: theirs(&walk.newcomer),
                ttl: walk.ttl,
            },
            Message::Shuffle(walk) => membership::Message::Shuffle {
                ttl: walk.ttl,
                peers: all(&walk.peers),
            },
            Message::Heartbeat(heartbeat) => membership::Message::Heartbeat {
                counter: heartbeat.counter,
                degree: heartbeat.degree,
                echo: heartbeat.echo,
                held_ms: heartbeat.held_ms,
            },
            _ => return None,
        };
        for told in message.peers() {
            if !self.peers.links.contains_key(&told.peer) {
                self.introductions.trace(told.peer, link);
            }
        }
        let now = clock(self.now);
        if let Some(overlay) = &mut self.overlay
            && let Err(reason) = overlay.on_message(peer, message, now, &mut self.rng)
        {
            self.misbehaved(link, reason);
        }
        Some(())
    }

    /// Does what the overlay and the trees want done.
    pub(crate) fn pump_overlay(&mut self) {
        let now = clock(self.now);
        if let Some(overlay) = &mut self.overlay
            && overlay.next_deadline() <= now
        {
            let (links, broadcast) = (&self.peers.links, &self.broadcast);
            overlay.tick(now, &mut self.rng, |peer| {
                links.get(peer).is_some_and(|link| broadcast.carries(link, now))
            });
        }
        if self.broadcast.next_deadline().is_some_and(|at| at <= now) {
            self.broadcast.tick(now);
        }
        loop {
            self.pump_broadcast(None);
            let Some(output) = self.overlay.as_mut().and_then(Membership::poll) else {
                return;
            };
            self.on_overlay_output(output);
        }
    }

    fn on_overlay_output(&mut self, output: membership::Output<PeerId>) {
        match output {
            membership::Output::Dial(peer) if self.is_strange_relay(&peer) => {
                let now = clock(self.now);
                if let Some(overlay) = &mut self.overlay {
                    overlay.on_dial_failed(&peer, now, &mut self.rng);
                }
            }
            membership::Output::Dial(peer) => {
                let known = self
                    .peers
                    .relays
                    .get(&peer)
                    .filter(|url| !url.is_empty())
                    .cloned();
                // Without any relay of its own, a browser turns to any it has heard of.
                let heard = || self.directory.url_of(&peer).filter(|_| !self.is_relay());
                let url = known.or_else(heard).unwrap_or_default();
                let relay = self.is_anchor(&peer) || !url.is_empty();
                self.emit(Output::Dial { peer, relay, url });
            }
            membership::Output::Send(peer, message) => {
                if let Some(link) = self.peers.links.get(&peer).copied() {
                    self.send(link, &ours(message));
                }
            }
            membership::Output::Close(peer, why) => {
                if let Some(link) = self.peers.links.get(&peer).copied() {
                    self.close_link(link, why);
                }
            }
            membership::Output::Up(peer) => {
                let Some(link) = self.peers.links.get(&peer).copied() else {
                    return;
                };
                let Some(up) = self.up_mut(link) else { return };
                up.neighbour = true;
                let relay = up.relay;
                self.broadcast.on_up(link);
                self.emit(Output::SessionUp { link, peer });
                self.emit(Output::Log(Log::Linked { link, peer, relay }));
                self.tell_interests(link);
                self.tell_relays(link);
                self.ping(link);
                if self.peers.is_relay(&peer) {
                    self.on_relay_for_names();
                }
            }
            membership::Output::Down(peer, _) => {
                if let Some(link) = self.peers.links.get(&peer).copied() {
                    self.broadcast.on_down(&link, clock(self.now));
                    if let Some(up) = self.up_mut(link) {
                        up.neighbour = false;
                    }
                }
            }
            membership::Output::Rtt(peer, rtt) => {
                if let Some(link) = self.peers.links.get(&peer) {
                    self.broadcast.set_rtt(link, rtt);
                }
            }
        }
    }

    /// Does what the trees want done. `entry`: what is pushed, if something is.
    pub(crate) fn pump_broadcast(&mut self, entry: Option<&VerifiedEntry>) {
        let mut encoded: Option<Vec<u8>> = None;
        while let Some(output) = self.broadcast.poll() {
            match output {
                broadcast::Output::Push { to, item, route } => {
                    let Some(entry) = entry else { continue };
                    let bytes = encoded
                        .get_or_insert_with(|| {
                            Message::Push(Push {
                                hops: route.hops + 1,
                                tree: route.tree.byte(),
                                entry: entry.entry().clone(),
                            })
                            .encode()
                        })
                        .clone();
                    self.send_bytes(to, &bytes);
                    self.note_told(to, &item);
                }
                broadcast::Output::Announce { to, items } => self.send_announcements(to, &items),
                broadcast::Output::Reconcile { with } => self.digest_changes(with),
                broadcast::Output::Graft { to, item, tree } => {
                    self.send(to, &Message::Graft(OnTree { tree: tree.byte() }));
                    let head = item.and_then(|item| {
                        let up = self.up_mut(to)?;
                        up.announced.remove(&item.key)
                    });
                    if let Some(head) = head {
                        self.note_head(to, head);
                        self.pump_fetches(to);
                    }
                }
                broadcast::Output::Prune { to, tree } => {
                    self.send(to, &Message::Prune(OnTree { tree: tree.byte() }));
                }
            }
        }
    }

    fn note_told(&mut self, link: LinkId, item: &Item<DeviceId>) {
        let number = self.feeds.get(&item.key).map(|feed| feed.number);
        if let Some((number, up)) = number.zip(self.up_mut(link)) {
            up.told.insert(number, item.upto);
        }
    }

    fn send_announcements(&mut self, link: LinkId, announcements: &[broadcast::Announcement<DeviceId>]) {
        let mut items = Vec::with_capacity(announcements.len());
        for announcement in announcements {
            let Some(feed) = self.feeds.get(&announcement.item.key) else {
                continue;
            };
            let (number, (next_seq, head)) = (feed.number, feed.shareable());
            let head = FeedHead {
                account: feed.account,
                device: announcement.item.key,
                next_seq,
                head,
            };
            if let Some(up) = self.up_mut(link)
                && up.told.insert(number, next_seq) != Some(next_seq)
            {
                items.push(Announced {
                    head,
                    tree: announcement.tree.byte(),
                    hops: announcement.hops,
                    waited_ms: announcement.waited_ms,
                });
            }
        }
        if !items.is_empty() {
            self.send(link, &Message::Announce(Announcements { items }));
        }
    }

    /// A neighbour announces what it holds. What is one or a few entries ahead may be under way along a tree and is
    /// waited for; the rest is fetched at once.
    pub(crate) fn on_announce(&mut self, link: LinkId, announcements: &Announcements) {
        let mut behind = Vec::new();
        let mut waiting = Vec::new();
        for announced in &announcements.items {
            let head = announced.head;
            self.note_has(link, &head.device, head.next_seq);
            if !self.wants(&head.account) {
                continue;
            }
            let feed = self.feeds.get(&head.device);
            let held = feed.map_or(0, |feed| feed.next_seq);
            let broken = feed.is_some_and(|feed| feed.forked.is_some() || held >= feed.limit());
            if broken || head.next_seq <= held || feed.is_none() || head.next_seq - held > BEHIND {
                behind.push(head);
                if head.next_seq > held {
                    continue;
                }
            } else if let Some(up) = self.up_mut(link) {
                up.announced.insert(head.device, head);
            }
            waiting.push(broadcast::Announcement {
                item: Item {
                    key: head.device,
                    upto: head.next_seq,
                },
                tree: Tree::from_byte(announced.tree),
                hops: announced.hops,
                waited_ms: announced.waited_ms,
            });
        }
        self.on_heads(link, &behind);
        let feeds = &self.feeds;
        let has = |item: &Item<DeviceId>| {
            feeds
                .get(&item.key)
                .is_some_and(|feed| feed.next_seq >= item.upto)
        };
        let now = clock(self.now);
        let news = self.broadcast.on_announce(link, &waiting, now, has, Rank::of);
        self.add_merit(link, news);
    }

    /// Passes on an entry of `len` bytes that was just made (`route` says along which tree) or was pushed by `source`.
    pub(crate) fn spread(&mut self, entry: &VerifiedEntry, len: usize, source: Option<LinkId>, route: Route) {
        let header = entry.header();
        let item = item_of(entry);
        let Some(number) = self.feeds.get(&header.device).map(|feed| feed.number) else {
            return;
        };
        let now = clock(self.now);
        let len = PUSH_LEN_BESIDE_ENTRY + len;
        let links = &self.links;
        let account = header.account;
        let wants = |link: &LinkId| {
            links
                .get(link)
                .and_then(crate::net::sessions::Link::up)
                .is_some_and(|up| {
                    up.wants(&account) && up.told.get(&number).is_none_or(|told| *told < item.upto)
                })
        };
        match source {
            Some(from) => {
                let rank = Rank::of(&header.device);
                self.broadcast.on_news(from, item, route, rank, len, now, wants);
                self.note_told(from, &item);
                self.add_merit(from, 1);
            }
            None => self.broadcast.publish(item, route.tree, len, now, wants),
        }
        self.pump_broadcast(Some(entry));
    }

    /// Tells of an entry that came with a range: whoever wants it is told of it, not sent it.
    pub(crate) fn announce(&mut self, entry: &VerifiedEntry, source: LinkId) {
        let header = entry.header();
        let item = item_of(entry);
        let now = clock(self.now);
        self.broadcast.on_fetched(item, now);
        let tree = Tree::of_author(&header.device);
        for link in self.links_wanting(&header.account) {
            if link == source {
                self.note_told(link, &item);
            } else {
                self.broadcast.announce(&link, item, tree, now);
            }
        }
    }

    /// An entry that is held was pushed once more.
    pub(crate) fn on_duplicate(&mut self, from: LinkId, device: DeviceId, seq: u64, tree: Tree) {
        let item = Item {
            key: device,
            upto: seq + 1,
        };
        self.note_told_at_least(from, &item);
        let now = clock(self.now);
        self.broadcast
            .on_duplicate(from, item, tree, Rank::of(&device), now);
    }

    fn note_told_at_least(&mut self, link: LinkId, item: &Item<DeviceId>) {
        let number = self.feeds.get(&item.key).map(|feed| feed.number);
        if let Some((number, up)) = number.zip(self.up_mut(link)) {
            let told = up.told.or_default(number);
            *told = item.upto.max(*told);
        }
    }

    fn add_merit(&mut self, link: LinkId, times: u32) {
        let peer = self.up(link).map(|up| up.peer);
        if let Some((overlay, peer)) = self.overlay.as_mut().zip(peer) {
            overlay.add_merit(&peer, times);
        }
    }
}

/// Bytes of a push beside its entry: what it is, its hops and its tree. To the byte: the neighbour grants again what arrived, and
/// what is charged beyond that would never come back.
const PUSH_LEN_BESIDE_ENTRY: usize = 3;

fn item_of(entry: &VerifiedEntry) -> Item<DeviceId> {
    Item {
        key: entry.header().device,
        upto: entry.header().seq + 1,
    }
}

fn ours(message: membership::Message<PeerId>) -> Message {
    let described = |told: membership::Descriptor<PeerId>| Descriptor {
        peer: told.peer,
        relay: told.anchor,
        heartbeat: told.heartbeat,
        age_s: told.age_s,
    };
    let all = |peers: Vec<membership::Descriptor<PeerId>>| peers.into_iter().map(described).collect();
    match message {
        membership::Message::Request {
            wish,
            heartbeat,
            peers,
            ..
        } => Message::Request(Request {
            wish: match wish {
                membership::Wish::Join => Wish::Join,
                membership::Wish::Urgent => Wish::Urgent,
                membership::Wish::Fill => Wish::Fill,
                membership::Wish::Mix => Wish::Mix,
            },
            heartbeat,
            peers: all(peers),
        }),
        membership::Message::Accept {
            heartbeat,
            degree,
            peers,
            ..
        } => Message::Accept(Accept {
            heartbeat,
            degree,
            peers: all(peers),
        }),
        membership::Message::Refuse { peers } => Message::Refuse(Others { peers: all(peers) }),
        membership::Message::Leave { peers } => Message::Leave(Others { peers: all(peers) }),
        membership::Message::ForwardJoin { newcomer, ttl } => Message::ForwardJoin(ForwardJoin {
            newcomer: described(newcomer),
            ttl,
        }),
        membership::Message::Shuffle { ttl, peers } => Message::Shuffle(Shuffle {
            ttl,
            peers: all(peers),
        }),
        membership::Message::Heartbeat {
            counter,
            degree,
            echo,
            held_ms,
        } => Message::Heartbeat(Heartbeat {
            counter,
            degree,
            echo,
            held_ms,
        }),
    }
}
