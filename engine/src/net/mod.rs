//! Links to other peers: channels and their sessions, the overlay that decides who is a neighbour, and introductions
//! over neighbours.

pub(crate) mod clock;
mod displaced;
pub(crate) mod introductions;
pub(crate) mod known;
pub(crate) mod overlay;
pub(crate) mod sessions;

#[cfg(test)]
mod tests;

use std::time::Duration;

use gossip::membership::Membership;
use ordered::{Map, Set};
use protocol::link::handshake::{Binding, Side};
use protocol::messages::{Message, Ping};
use protocol::{AccountId, Instant, PeerId};

use crate::api::{LinkView, Transport};
use crate::ctx::{Ctx, DirectoryMode};
use crate::facts::{Ended, Fact};
use crate::io::{AddressId, LinkId, Log, Output};
use crate::relays::directory::Directory;

use clock::Clock;
use displaced::{Displaced, REPLACED};
use introductions::Introductions;
use known::KnownRelays;
pub(crate) use sessions::Session;
use sessions::{Channel, FrameContent};

/// Interval at which the timers of a handshake in progress are checked.
const HANDSHAKE_TIMER: Duration = Duration::from_millis(250);

/// Peers of which it is remembered that they could not be dialled. Policy when full: of further ones it is not.
const UNREACHABLE_MAX: usize = 2_048;

#[derive(Debug)]
pub(crate) struct Net {
    channels: Map<LinkId, Channel>,
    /// The link to each proven peer.
    by_peer: Map<PeerId, LinkId>,
    pub(crate) known: KnownRelays,
    membership: Option<Membership<PeerId>>,
    /// Peers whose last dial failed.
    unreachable: Set<PeerId>,
    introductions: Introductions,
    displaced: Displaced,
    clock: Clock,
    /// Whether [`Displaced::is_elsewhere`] when it was looked at last.
    elsewhere: bool,
    relays_only: bool,
    online: bool,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            channels: Map::new(),
            by_peer: Map::new(),
            known: KnownRelays::default(),
            membership: None,
            unreachable: Set::new(),
            introductions: Introductions::default(),
            displaced: Displaced::default(),
            clock: Clock::default(),
            elsewhere: false,
            relays_only: false,
            online: true,
        }
    }

    // Who is there.

    /// The session of a link whose peer is proven.
    pub(crate) fn session(&self, link: LinkId) -> Option<&Session> {
        self.channels.get(&link)?.session()
    }

    fn session_mut(&mut self, link: LinkId) -> Option<&mut Session> {
        self.channels.get_mut(&link)?.session_mut()
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.channels.values().filter_map(Channel::session)
    }

    pub(crate) fn neighbours(&self) -> impl Iterator<Item = &Session> {
        self.sessions().filter(|session| session.neighbour)
    }

    pub(crate) fn neighbour_links(&self) -> Vec<LinkId> {
        self.links_whose(|session| session.neighbour)
    }

    /// The links whose session passes `test`, in the order of their numbers.
    pub(crate) fn links_whose(&self, test: impl Fn(&Session) -> bool) -> Vec<LinkId> {
        let sessions = self.sessions().filter(|session| test(session));
        sessions.map(|session| session.link).collect()
    }

    pub(crate) fn link_to(&self, peer: &PeerId) -> Option<LinkId> {
        self.by_peer.get(peer).copied()
    }

    /// The link to a peer that is a neighbour.
    pub(crate) fn neighbour_link(&self, peer: &PeerId) -> Option<LinkId> {
        let session = self.link_to(peer).and_then(|link| self.session(link));
        Some(session.filter(|session| session.neighbour)?.link)
    }

    pub(crate) fn is_neighbour(&self, peer: &PeerId) -> bool {
        self.neighbour_link(peer).is_some()
    }

    /// The round trip to a linked peer, if it was measured.
    pub(crate) fn rtt_of(&self, peer: &PeerId) -> Option<Duration> {
        self.session(self.link_to(peer)?)?.rtt()
    }

    /// Whether a relay that this peer knows is a neighbour.
    pub(crate) fn links_with_relay(&self) -> bool {
        self.neighbours()
            .any(|session| self.known.contains(&session.peer))
    }

    /// A known relay that is a neighbour, at random.
    pub(crate) fn any_known_relay(&self, ctx: &mut Ctx) -> Option<LinkId> {
        let relays = self.links_whose(|session| session.neighbour && self.known.contains(&session.peer));
        ctx.any_of(&relays)
    }

    /// Whether `peer` never sleeps: a relay this peer knows; for relays, which link with each other, any member.
    pub(crate) fn is_anchor(&self, directory: &Directory, peer: &PeerId) -> bool {
        match directory.mode() {
            DirectoryMode::Relay => {
                let known = || self.known.contains(peer) || directory.lists(peer);
                directory.is_member(peer).unwrap_or_else(known)
            }
            DirectoryMode::Device => self.known.contains(peer),
        }
    }

    /// Whether there is a neighbour to carry an introduction.
    pub(crate) fn has_neighbours(&self) -> bool {
        self.membership
            .as_ref()
            .is_some_and(|membership| membership.neighbours_len() > 0)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.channels.values().any(Channel::is_handshaking)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.online
    }

    pub(crate) fn relays_only(&self) -> bool {
        self.relays_only
    }

    /// How the neighbours are shown. `name_of` names an account.
    pub(crate) fn views(&self, ctx: &Ctx, name_of: impl Fn(&AccountId) -> String) -> Vec<LinkView> {
        let channels = self.channels.values();
        let named = channels.filter_map(|channel| {
            let account = channel.session()?.account;
            let name = account.map(|account| name_of(&account)).unwrap_or_default();
            channel.view(ctx, &name)
        });
        named.collect()
    }

    // What happens to links.

    /// Finds out which linked relays are members of this network: what they add is not limited. The adapter learns of
    /// it, too.
    pub(crate) fn mark_members(&mut self, ctx: &mut Ctx, directory: &Directory) {
        let relays = self.links_whose(|session| session.relay && session.address.is_some());
        for link in relays {
            let member = self
                .session(link)
                .is_some_and(|session| self.is_anchor(directory, &session.peer));
            if let Some(session) = self.session_mut(link).filter(|session| session.member != member) {
                session.member = member;
                ctx.emit(Output::Member { link, on: member });
            }
        }
    }

    /// A channel opened.
    pub(crate) fn on_link_up(
        &mut self,
        ctx: &mut Ctx,
        link: LinkId,
        side: Side,
        binding: Binding,
        transport: Transport,
        address: Option<AddressId>,
    ) {
        let channel = if ctx.ready {
            Channel::open(ctx, link, side, binding, transport, address, self.relays_only)
        } else {
            None
        };
        let Some(channel) = channel else {
            return ctx.emit(Output::Close {
                link,
                reason: "not ready for links yet".into(),
            });
        };
        self.channels.insert(link, channel);
        let soon = ctx.now.instant + HANDSHAKE_TIMER;
        ctx.next_timeout = ctx.next_timeout.min(soon);
    }

    pub(crate) fn on_frame(&mut self, ctx: &mut Ctx, directory: &Directory, link: LinkId, bytes: &[u8]) {
        let Some(channel) = self.channels.get_mut(&link) else {
            return;
        };
        match channel.on_frame(ctx, link, bytes) {
            FrameContent::Nothing => {}
            FrameContent::Misbehaved(reason) => self.on_misbehaved(ctx, link, &reason),
            FrameContent::Closed(reason) => {
                ctx.emit(Output::Close {
                    link,
                    reason: "the neighbour closed it".into(),
                });
                let peer = self.session(link).map(|session| session.peer);
                self.end(ctx, link, &format!("closed by the neighbour: {reason}"));
                if let Some(peer) = peer.filter(|_| reason == REPLACED) {
                    self.on_replaced(ctx, peer);
                }
            }
            FrameContent::Established(established) => {
                let peer = established.peer;
                channel.establish(ctx, link, established);
                let (side, opened) = channel.origin();
                self.on_proven(ctx, link, peer, side, opened);
            }
            FrameContent::Message(message, len) => self.on_message(ctx, directory, link, message, len),
        }
    }

    /// A peer replaced its link to this device by a newer one. If this device opened none, another holder of its key
    /// did.
    fn on_replaced(&mut self, ctx: &mut Ctx, peer: PeerId) {
        let dials = self.membership.as_ref().is_some_and(|it| it.is_dialing(&peer));
        if dials || self.is_handshaking() || self.link_to(&peer).is_some() {
            return;
        }
        if self.displaced.record(ctx.now.instant)
            && let Some(membership) = &mut self.membership
        {
            membership.postpone(&peer, ctx.clock(), &mut ctx.rng);
        }
        self.look_elsewhere(ctx);
    }

    /// Whether this device is in use in another place, too.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    fn look_elsewhere(&mut self, ctx: &mut Ctx) {
        let elsewhere = self.displaced.is_elsewhere(ctx.now.instant);
        ctx.changed.me |= elsewhere != self.elsewhere;
        self.elsewhere = elsewhere;
    }

    fn on_message(
        &mut self,
        ctx: &mut Ctx,
        directory: &Directory,
        link: LinkId,
        message: Message,
        len: usize,
    ) {
        let Some(session) = self.session(link) else {
            return;
        };
        let (peer, neighbour) = (session.peer, session.neighbour);
        if self.on_overlay_message(ctx, directory, link, peer, &message) {
            return;
        }
        if !neighbour {
            // Sent before the peer learned that it is no neighbour.
            return;
        }
        if let Some(membership) = &mut self.membership {
            membership.heard(&peer, ctx.clock());
        }
        match message {
            Message::Ping(ping) => ctx.send(link, &Message::Pong(ping)),
            Message::Pong(pong) => self.on_pong(ctx.now.instant, link, pong),
            Message::Introduction(introduction) => self.on_introduction(ctx, link, introduction),
            message => ctx.fact(Fact::Received { link, message, len }),
        }
    }

    fn on_pong(&mut self, now: Instant, link: LinkId, pong: Ping) {
        if let Some(session) = self.session_mut(link) {
            session.on_pong(now, pong);
        }
    }

    /// The peer broke the protocol: it loses the link. A peer that is no relay of ours is not linked with again for a
    /// while.
    pub(crate) fn on_misbehaved(&mut self, ctx: &mut Ctx, link: LinkId, reason: &str) {
        if !self.channels.contains_key(&link) {
            return;
        }
        ctx.totals.refused += 1;
        let peer = self.session(link).map(|session| session.peer);
        if let Some((membership, peer)) = self.membership.as_mut().zip(peer)
            && !self.known.contains(&peer)
        {
            membership.ban(peer, ctx.clock(), &mut ctx.rng);
        }
        ctx.log(Log::Refused {
            link,
            peer,
            reason: reason.to_owned(),
        });
        self.close(ctx, link, reason);
    }

    /// Tells the peer why, and closes the link.
    pub(crate) fn close(&mut self, ctx: &mut Ctx, link: LinkId, reason: &str) {
        if self.channels.contains_key(&link) {
            sessions::close(ctx, link, reason);
            self.end(ctx, link, reason);
        }
    }

    /// Closes every link.
    pub(crate) fn close_all(&mut self, ctx: &mut Ctx, reason: &str) {
        let links: Vec<LinkId> = self.channels.keys().copied().collect();
        for link in links {
            self.close(ctx, link, reason);
        }
    }

    /// Forgets a link that is closed or being closed.
    pub(crate) fn end(&mut self, ctx: &mut Ctx, link: LinkId, reason: &str) {
        let Some(channel) = self.channels.remove(&link) else {
            return;
        };
        ctx.forget_link(link);
        let session = channel.session();
        sessions::log_end(ctx, link, session.map(|session| session.peer), reason);
        let Some(session) = session else { return };
        let ended = Ended {
            link,
            peer: session.peer,
            account: session.account,
            relay: session.relay,
        };
        ctx.fact(Fact::SessionDown(ended));
        self.on_unproven(ctx, link, session.peer);
    }

    /// What time alone does to links.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, directory: &Directory) {
        self.mark_members(ctx, directory);
        self.compare_clocks(ctx, directory);
        self.introductions.refill();
        self.look_elsewhere(ctx);
        let mut ended = Vec::new();
        for (link, channel) in self.channels.iter_mut() {
            if let Err(reason) = channel.on_timer(ctx, *link) {
                ended.push((*link, reason));
            }
        }
        for (link, reason) in ended {
            self.close(ctx, link, reason);
        }
    }
}
