//! Who is a neighbour: the engine's side of [`gossip::membership`], which decides whom to dial, to take in and to let
//! go. Here its words become messages and links, and back.
//!
//! Invariant: nothing but the overlay's own messages is exchanged with a peer that is no neighbour. Who is a relay is
//! what this peer's own address book says, or what it chose from the directory, never what a stranger says of itself
//! on a link.

use std::time::Duration;

use gossip::membership::{self, Membership};
use protocol::link::handshake::Side;
use protocol::messages::Message;
use protocol::messages::overlay::{
    Accept, Descriptor, ForwardJoin, Heartbeat, Others, Request, Shuffle, Wish,
};
use protocol::{Instant, PeerId, limits};

use crate::ctx::{Ctx, DirectoryMode};
use crate::facts::Fact;
use crate::io::{Config, LinkId, Log, Output, PeerKind};
use crate::relays::directory::Directory;

use super::Net;
use super::displaced::REPLACED;
use super::sessions::Channel;

const _: () = assert!(membership::SAMPLE_MAX == limits::PEERS_PER_MESSAGE_MAX);

/// Two links to one peer that opened within this time were dialled from both sides at once.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The settings of the overlay that follow from the engine's.
fn settings(config: &Config) -> membership::Config {
    let visitor = membership::Config::visitor();
    let common = membership::Config {
        active_max: config.links_max,
        anchors_target: config.relays_target,
        // A tab may run in the background, where timers fire once a second or less.
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
        #[cfg(feature = "relay")]
        // A relay accepts every peer, drops none and dials the relays it knows.
        PeerKind::Relay { .. } => membership::Config {
            anchor: true,
            active_target: config.links_max,
            active_high: config.links_max,
            // More than one address may open: its guests evict each other before they evict those of other addresses.
            guests_max: (config.links_max / 4).max(256),
            passive_max: 512,
            dials_max: 4,
            dial_anchors_only: true,
            ..common
        },
    }
}

impl Net {
    /// Takes part in the overlay from the moment there is a key to prove.
    pub(crate) fn begin_overlay(&mut self, ctx: &mut Ctx) {
        if self.membership.is_some() || !ctx.ready {
            return;
        }
        let Some(own) = ctx.peer() else { return };
        let now = ctx.clock();
        // Heartbeats count on from the wall clock, so that a restart does not repeat any.
        let heartbeat = ctx.now.wall.0;
        let mut membership = Membership::new(own, settings(&ctx.config), heartbeat, now, &mut ctx.rng);
        membership.set_anchors_only(self.relays_only, now, &mut ctx.rng);
        for candidate in self.known.take_early() {
            if candidate.peer != own {
                membership.learn(candidate.peer, candidate.relay, now, &mut ctx.rng);
            }
        }
        self.membership = Some(membership);
    }

    /// The next deadline of the overlay.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.membership.as_ref().map(Membership::next_deadline)
    }

    // What the rest of the engine wants of the overlay.

    pub(crate) fn learn(&mut self, ctx: &mut Ctx, peer: PeerId, relay: bool) {
        if let Some(membership) = &mut self.membership {
            membership.learn(peer, relay, ctx.clock(), &mut ctx.rng);
        }
    }

    /// Dials a relay although there are links enough.
    pub(crate) fn dial_beyond(&mut self, ctx: &mut Ctx, peer: PeerId) {
        if let Some(membership) = &mut self.membership {
            membership.dial_beyond(peer, ctx.clock());
        }
    }

    /// The peer is no neighbour any more.
    pub(crate) fn dismiss(&mut self, ctx: &mut Ctx, peer: PeerId) {
        if let Some(membership) = &mut self.membership {
            membership.dismiss(peer, ctx.clock(), &mut ctx.rng);
        }
    }

    /// The link delivered what was new here, `times` times.
    pub(crate) fn add_merit(&mut self, link: LinkId, times: u32) {
        let peer = self.session(link).map(|session| session.peer);
        if let Some((membership, peer)) = self.membership.as_mut().zip(peer) {
            membership.add_merit(&peer, times);
        }
    }

    pub(crate) fn on_dial_failed(&mut self, ctx: &mut Ctx, peer: &PeerId) {
        if let Some(membership) = &mut self.membership {
            membership.on_dial_failed(peer, ctx.clock(), &mut ctx.rng);
        }
        if self.unreachable.len() < super::UNREACHABLE_MAX {
            self.unreachable.insert(*peer);
        }
    }

    /// Whether the last dial of a peer failed, and none succeeded since.
    pub(crate) fn is_unreachable(&self, peer: &PeerId) -> bool {
        self.unreachable.contains(peer)
    }

    /// The device says whether it has a network; `true` also when it woke from sleep.
    pub(crate) fn set_online(&mut self, ctx: &mut Ctx, online: bool) {
        self.online = online;
        if let Some(membership) = self.membership.as_mut().filter(|_| online) {
            membership.retry_now(ctx.clock(), &mut ctx.rng);
        }
    }

    pub(crate) fn restore_relays_only(&mut self, on: bool) {
        self.relays_only = on;
    }

    pub(crate) fn set_relays_only(&mut self, ctx: &mut Ctx, on: bool) {
        self.relays_only = on;
        if let Some(membership) = &mut self.membership {
            membership.set_anchors_only(on, ctx.clock(), &mut ctx.rng);
        }
    }

    // What happens on links.

    /// A peer proved its key on a link.
    pub(super) fn on_proven(
        &mut self,
        ctx: &mut Ctx,
        link: LinkId,
        peer: PeerId,
        side: Side,
        opened: Instant,
    ) {
        if let Some(older) = self.link_to(&peer) {
            if self.keeps_older(ctx, older, peer, side, opened) {
                return self.close(ctx, link, "both dialled at once");
            }
            // The older one is most likely dead without knowing it.
            self.close(ctx, older, REPLACED);
        }
        self.by_peer.insert(peer, link);
        self.unreachable.remove(&peer);
        if let Some(membership) = &mut self.membership {
            let dialled = side == Side::Initiator || membership.is_dialing(&peer);
            membership.on_connected(peer, dialled, ctx.clock(), &mut ctx.rng);
        }
    }

    /// Whether the older of two links to a peer stays: when both sides dialled at once, the one that the lower key
    /// dialled does, on both sides.
    fn keeps_older(&self, ctx: &Ctx, older: LinkId, peer: PeerId, side: Side, opened: Instant) -> bool {
        let Some((older_side, older_opened)) = self.channels.get(&older).map(Channel::origin) else {
            return false;
        };
        let at_once = side != older_side && opened.since(older_opened) < AT_ONCE;
        let lower = ctx.peer().is_some_and(|own| own < peer);
        at_once && (older_side == Side::Initiator) == lower
    }

    /// A link to a proven peer is gone.
    pub(super) fn on_unproven(&mut self, ctx: &mut Ctx, link: LinkId, peer: PeerId) {
        if self.link_to(&peer) != Some(link) {
            return;
        }
        self.by_peer.remove(&peer);
        if let Some(membership) = &mut self.membership {
            membership.on_disconnected(&peer, ctx.clock(), &mut ctx.rng);
        }
    }

    /// Takes a message of the overlay. `false`: it is not of the overlay.
    pub(super) fn on_overlay_message(
        &mut self,
        ctx: &mut Ctx,
        directory: &Directory,
        link: LinkId,
        peer: PeerId,
        message: &Message,
    ) -> bool {
        let Some(message) = self.read_wire(directory, peer, message) else {
            return false;
        };
        for named in message.peers() {
            if !self.by_peer.contains_key(&named.peer) {
                self.introductions.trace(named.peer, link);
            }
        }
        if let Some(membership) = &mut self.membership
            && let Err(reason) = membership.on_message(peer, message, ctx.clock(), &mut ctx.rng)
        {
            self.on_misbehaved(ctx, link, reason);
        }
        true
    }

    fn read_wire(
        &self,
        directory: &Directory,
        peer: PeerId,
        message: &Message,
    ) -> Option<membership::Message<PeerId>> {
        let anchor = self.is_anchor(directory, &peer);
        let described = |told: &Descriptor| membership::Descriptor {
            peer: told.peer,
            anchor: self.is_anchor(directory, &told.peer),
            heartbeat: told.heartbeat,
            age_s: told.age_s,
        };
        let hearsay = |told: &Descriptor| match directory.mode() {
            // Every peer takes relays from the directory alone.
            DirectoryMode::Relay => told.relay && !self.is_anchor(directory, &told.peer),
            DirectoryMode::Device => told.relay && !self.known.contains(&told.peer),
        };
        let all = |peers: &[Descriptor]| {
            peers
                .iter()
                .filter(|told| !hearsay(told))
                .map(described)
                .collect()
        };
        Some(match message {
            Message::Request(request) => membership::Message::Request {
                wish: match request.wish {
                    Wish::Join => membership::Wish::Join,
                    Wish::Urgent => membership::Wish::Urgent,
                    Wish::Fill => membership::Wish::Fill,
                    Wish::Mix => membership::Wish::Mix,
                },
                anchor,
                heartbeat: request.heartbeat,
                peers: all(&request.peers),
            },
            Message::Accept(accept) => membership::Message::Accept {
                anchor,
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
                newcomer: described(&walk.newcomer),
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
        })
    }

    /// Lets the overlay act on time. `carries`: whether a link lies in a broadcast tree.
    pub(crate) fn tick(&mut self, ctx: &mut Ctx, carries: impl Fn(LinkId) -> bool) {
        let now = ctx.clock();
        if let Some(membership) = &mut self.membership
            && membership.next_deadline() <= now
        {
            let links = &self.by_peer;
            membership.tick(now, &mut ctx.rng, |peer| {
                links.get(peer).is_some_and(|link| carries(*link))
            });
        }
    }

    /// Does the next thing the overlay wants done. `false`: there is none.
    pub(crate) fn pump(&mut self, ctx: &mut Ctx, directory: &Directory) -> bool {
        let Some(output) = self.membership.as_mut().and_then(Membership::poll) else {
            return false;
        };
        match output {
            membership::Output::Dial(peer) => self.dial(ctx, directory, peer),
            membership::Output::Send(peer, message) => {
                let message = to_wire(message, |peer| !self.is_guest_relay(directory, peer));
                if let Some((link, message)) = self.link_to(&peer).zip(message) {
                    ctx.send(link, &message);
                }
            }
            membership::Output::Close(peer, why) => {
                if let Some(link) = self.link_to(&peer) {
                    self.close(ctx, link, why);
                }
            }
            membership::Output::Up(peer) => {
                self.on_neighbour(ctx, peer);
                self.mark_members(ctx, directory);
            }
            membership::Output::Down(peer, _) => {
                if let Some(link) = self.link_to(&peer) {
                    if let Some(session) = self.session_mut(link) {
                        session.neighbour = false;
                    }
                    ctx.fact(Fact::NeighbourDown { link });
                }
            }
            membership::Output::Rtt(peer, rtt) => {
                if let Some(link) = self.link_to(&peer) {
                    ctx.fact(Fact::RoundTrip { link, rtt });
                }
            }
        }
        true
    }

    fn on_neighbour(&mut self, ctx: &mut Ctx, peer: PeerId) {
        let Some(link) = self.link_to(&peer) else { return };
        let Some(session) = self.session_mut(link) else {
            return;
        };
        session.neighbour = true;
        let relay = session.relay;
        ctx.emit(Output::SessionUp { link, peer });
        ctx.log(Log::Linked { link, peer, relay });
        ctx.fact(Fact::NeighbourUp { link });
    }

    fn dial(&mut self, ctx: &mut Ctx, directory: &Directory, peer: PeerId) {
        if self.is_strange_relay(directory, &peer) {
            return self.on_dial_failed(ctx, &peer);
        }
        let known = self.known.url(&peer).cloned();
        let heard = || match directory.mode() {
            DirectoryMode::Relay => None,
            // A person's device without a relay of its own turns to any it has heard of.
            DirectoryMode::Device => directory.url_of(&peer),
        };
        let url = known.or_else(heard).unwrap_or_default();
        let relay = self.is_anchor(directory, &peer) || !url.is_empty();
        ctx.emit(Output::Dial { peer, relay, url });
    }

    /// Whether a linked peer is a relay of another network: others are not told of it, and so do not dial it.
    fn is_guest_relay(&self, directory: &Directory, peer: &PeerId) -> bool {
        let session = self.link_to(peer).and_then(|link| self.session(link));
        session.is_some_and(|session| session.relay) && !self.is_anchor(directory, peer)
    }

    /// Whether `peer` is a relay that is none of this device's: those keep feeds for the people linked with them, so a
    /// device that links with every relay it hears of would make each keep everything. Without a relay of its own, any
    /// will do.
    fn is_strange_relay(&self, directory: &Directory, peer: &PeerId) -> bool {
        match directory.mode() {
            DirectoryMode::Relay => false,
            DirectoryMode::Device => {
                !self.known.contains(peer) && directory.lists(peer) && self.links_with_relay()
            }
        }
    }

    /// Pings a fresh neighbour, so that its round trip is known soon.
    pub(crate) fn ping(&mut self, ctx: &mut Ctx, link: LinkId) {
        if let Some(session) = self.session_mut(link) {
            session.ping(ctx);
        }
    }
}

/// `None`: it is about a peer that is not `named` to others.
fn to_wire(message: membership::Message<PeerId>, named: impl Fn(&PeerId) -> bool) -> Option<Message> {
    let described = |told: membership::Descriptor<PeerId>| Descriptor {
        peer: told.peer,
        relay: told.anchor,
        heartbeat: told.heartbeat,
        age_s: told.age_s,
    };
    let all = |peers: Vec<membership::Descriptor<PeerId>>| {
        let named = peers.into_iter().filter(|told| named(&told.peer));
        named.map(described).collect()
    };
    Some(match message {
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
        membership::Message::ForwardJoin { newcomer, .. } if !named(&newcomer.peer) => return None,
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
    })
}
