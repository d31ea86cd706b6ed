//! How relays become members of a network, and how members learn of each other: invitations are shown and answered,
//! and statements about members ([`Members`]) are passed on.
//!
//! An operator's invitation carries a secret. The relay that is invited shows it on its link to the relay that issued
//! it, whose adapter knows which secrets are valid; then that relay signs that it invites, and the invited one signs
//! that it joined. A relay that an operator told to join without an invitation signs that it joined, and waits until a
//! member invites it.
//!
//! Members send each other statements that are new to them, and compare fingerprints with one random neighbour at each
//! anti-entropy; if they differ, each sends the other all that it has.
//!
//! Invariants: statements go to members alone, except that an expelled relay is sent its expulsion; how often all of
//! them are sent on a link, how many signatures a neighbour can have checked, and how many secrets it can try, is
//! bounded; an invitation that was issued before this relay expelled another does not bring that one back.

use core::time::Duration;

use ordered::Map;
use protocol::messages::Message;
use protocol::messages::membership::{InvitationSecret, JoinAnswer, JoinRequest, Stance, Vouch, Vouches};
use protocol::{Instant, PeerId, Timestamp, codec, limits};

use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::io::{LinkId, Log as Line, Output};
use crate::log::records::meta;
use crate::net::{Net, Session};
use crate::store::{Op, Table};

use super::members::{Members, VouchRefused};

/// Time between two times at which all statements are sent on one link.
const SEND_ALL_INTERVAL: Duration = Duration::from_secs(5);
/// Signatures checked for one neighbour per second. Policy beyond: the rest comes again when fingerprints are compared.
const CHECKS_PER_S: u32 = 128;
/// Secrets that one link may try. Policy beyond: they are answered as unknown.
const TRIES_MAX: u32 = 8;
/// Relays without an invitation whose wish to join is remembered. Policy when full: further ones are not listed until
/// one of these is invited or leaves.
const ASKING_MAX: usize = 64;

/// Secrets that the adapter is asked about at a time. Policy when full: further ones are not answered, and shown again.
const PENDING_MAX: usize = 64;

/// What is remembered of a link to another relay.
#[derive(Clone, Copy, Debug, Default)]
struct Exchange {
    /// When all statements were last sent on it.
    sent_all: Option<Instant>,
    /// Signatures checked for it in this second.
    checks: u32,
    /// Secrets it tried.
    tries: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// Invitations of this relay, by the relay that issued them, until they are answered.
    secrets: Map<PeerId, InvitationSecret>,
    /// Relays that refused this relay's invitation.
    refused: Vec<PeerId>,
    /// Linked relays that are no members and say that they joined this one.
    asking: Map<LinkId, PeerId>,
    links: Map<LinkId, Exchange>,
    /// Relays that showed a secret which the adapter is asked about, and the earliest time of issue it was asked with.
    pending: Map<LinkId, (PeerId, Timestamp)>,
}

impl Joining {
    /// Relays that are linked and wait for an invitation.
    pub(crate) fn asking(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.asking.values().copied()
    }

    /// Whether `peer` refused this relay's invitation.
    pub(crate) fn is_refused(&self, peer: &PeerId) -> bool {
        self.refused.contains(peer)
    }

    /// The operator named an address to join, and `peer` is there.
    pub(crate) fn on_join_configured(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &mut Members,
        peer: PeerId,
    ) {
        if !members.is_by_invitation() || members.contains(&peer) {
            return;
        }
        if members.has_joined() || members.expulsion(&peer).is_some() {
            // Another relay may be at that address by now, or it was expelled: the setting makes it no member.
            ctx.log(Line::NamedStranger { peer });
            ctx.fact(Fact::Members { gone: vec![peer] });
            return;
        }
        self.vouch(ctx, net, members, peer, Stance::Joins);
    }

    /// This relay was invited by `peer`.
    pub(crate) fn join(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &mut Members,
        peer: PeerId,
        secret: InvitationSecret,
    ) {
        if !members.joins(&own(ctx), &peer) {
            self.vouch(ctx, net, members, peer, Stance::Joins);
        }
        self.secrets.insert(peer, secret);
        self.ask(ctx, net, members, peer);
    }

    /// Shows a relay its invitation, if it is a neighbour and does not invite this relay already.
    fn ask(&self, ctx: &mut Ctx, net: &Net, members: &Members, peer: PeerId) {
        if members.stance(&peer, &own(ctx)) == Some(Stance::Invites) {
            return;
        }
        let link = net.neighbour_link(&peer);
        if let Some((link, secret)) = link.zip(self.secrets.get(&peer)) {
            ctx.send(link, &Message::JoinRequest(JoinRequest { secret: *secret }));
        }
    }

    /// A relay became a neighbour.
    pub(crate) fn on_neighbour_up(&mut self, ctx: &mut Ctx, net: &Net, members: &Members, session: &Session) {
        let link = session.link;
        self.links.insert(link, Exchange::default());
        self.ask(ctx, net, members, session.peer);
        if members.contains(&session.peer) {
            self.send_all(ctx, members, link);
        } else if let Some(expulsion) = members.expulsion(&session.peer) {
            // It learns why it is not a member.
            send(ctx, members, link, core::slice::from_ref(expulsion));
        }
    }

    pub(crate) fn on_session_down(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.asking.remove(&link);
    }

    /// Once a second.
    pub(crate) fn on_timer(&mut self) {
        for exchange in self.links.values_mut() {
            exchange.checks = 0;
        }
    }

    /// The interval of anti-entropy: one neighbouring member compares fingerprints.
    pub(crate) fn on_anti_entropy(&self, ctx: &mut Ctx, net: &Net, members: &Members) {
        for peer in self.secrets.keys() {
            // It could not be answered before, or this relay was expelled since.
            self.ask(ctx, net, members, *peer);
        }
        let is_member = |session: &Session| session.neighbour && members.contains(&session.peer);
        if let Some(link) = ctx.any_of(&net.links_whose(is_member)) {
            let fingerprint = members.fingerprint();
            let vouches = Vec::new();
            ctx.send(link, &Message::Vouches(Vouches { fingerprint, vouches }));
        }
    }

    /// Signs a statement of this relay, keeps it and sends it to the members.
    pub(crate) fn vouch(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &mut Members,
        relay: PeerId,
        stance: Stance,
    ) {
        let Some(local) = &ctx.local else { return };
        let vouch = members.sign(&local.key, relay, stance, ctx.now.wall);
        self.learn(ctx, net, members, vec![vouch], None);
    }

    /// Keeps those that are new, and passes them on.
    fn learn(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &mut Members,
        mut vouches: Vec<Vouch>,
        from: Option<LinkId>,
    ) {
        let before = members.all().clone();
        let mut fresh = Vec::new();
        // A statement may be by a relay that a later one of the list makes a member.
        loop {
            let kept = fresh.len();
            let mut rest = Vec::new();
            for vouch in vouches {
                match members.check(&vouch) {
                    Ok(()) if self.may_check(from) => {}
                    Err(VouchRefused::Stranger) => {
                        rest.push(vouch);
                        continue;
                    }
                    _ => continue,
                }
                match members.take_in(vouch.clone()) {
                    Ok(removed) => {
                        if let Some(removed) = removed {
                            let (table, key) = (Table::Meta, key_of(&removed));
                            ctx.write(Op::Delete { table, key });
                        }
                        ctx.write(Op::put(Table::Meta, key_of(&vouch), &vouch));
                        fresh.push(vouch);
                    }
                    Err(VouchRefused::Forged) => {
                        if let Some(link) = from {
                            ctx.misbehaved(link, "a statement about a relay with a wrong signature");
                        }
                        rest.clear();
                        break;
                    }
                    Err(_) => {}
                }
            }
            vouches = rest;
            if fresh.len() == kept {
                break;
            }
            members.compute();
        }
        if fresh.is_empty() {
            return;
        }
        let me = own(ctx);
        for vouch in fresh
            .iter()
            .filter(|vouch| vouch.by == me && vouch.stance == Stance::Invites)
        {
            // It is no member before it has said that it joined.
            if let Some(link) = net.neighbour_link(&vouch.relay) {
                self.send_all_now(ctx, members, link);
            }
        }
        for vouch in &fresh {
            let expelled = net
                .link_to(&vouch.relay)
                .filter(|_| vouch.stance == Stance::Expels);
            if let Some(link) = expelled.filter(|link| Some(*link) != from) {
                send(ctx, members, link, core::slice::from_ref(vouch));
            }
        }
        self.on_changed(ctx, net, members, &before);
        // Those that became members with it were sent everything.
        let others = |session: &Session| {
            let was_member = before.contains(&session.peer) && members.contains(&session.peer);
            session.neighbour && Some(session.link) != from && was_member
        };
        for link in net.links_whose(others) {
            send(ctx, members, link, &fresh);
        }
    }

    fn may_check(&mut self, from: Option<LinkId>) -> bool {
        let Some(exchange) = from.and_then(|link| self.links.get_mut(&link)) else {
            // This relay signed it.
            return from.is_none();
        };
        exchange.checks += 1;
        exchange.checks <= CHECKS_PER_S
    }

    /// The members may be others than `before`.
    fn on_changed(&mut self, ctx: &mut Ctx, net: &Net, members: &Members, before: &ordered::Set<PeerId>) {
        let now = members.all();
        let came: Vec<PeerId> = now
            .iter()
            .filter(|peer| !before.contains(*peer))
            .copied()
            .collect();
        let gone: Vec<PeerId> = before
            .iter()
            .filter(|peer| !now.contains(*peer))
            .copied()
            .collect();
        if came.is_empty() && gone.is_empty() {
            return;
        }
        for peer in came {
            let by = members.inviter(&peer).map(|vouch| vouch.by);
            ctx.log(Line::Member { peer, by, on: true });
            let link = net.neighbour_link(&peer);
            if let Some(link) = link {
                self.asking.remove(&link);
                self.send_all(ctx, members, link);
            }
        }
        for peer in gone.iter().copied() {
            let by = None;
            ctx.log(Line::Member { peer, by, on: false });
        }
        ctx.fact(Fact::Members { gone });
    }

    /// A neighbouring relay sent statements.
    pub(crate) fn on_vouches(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &mut Members,
        link: LinkId,
        message: Vouches,
    ) {
        let Some(session) = net.session(link).filter(|session| session.relay) else {
            return ctx.misbehaved(link, "statements about relays from a peer that is none");
        };
        if !members.is_by_invitation() {
            return;
        }
        let (peer, own) = (session.peer, own(ctx));
        if !members.contains(&peer) {
            let joins =
                |vouch: &&Vouch| vouch.by == peer && vouch.relay == own && vouch.stance == Stance::Joins;
            let asks = message.vouches.iter().find(joins);
            let is_signed = asks.is_some_and(|asks| asks.verify().is_ok());
            if is_signed && members.expulsion(&peer).is_none() && self.asking.len() < ASKING_MAX {
                self.asking.insert(link, peer);
            }
        }
        // Also what a stranger passes on, which may be that a member invites it.
        let about_own = |vouch: &Vouch| vouch.relay == own && vouch.stance == Stance::Invites;
        let was_invited = members.inviter(&own).is_some();
        let invites = message.vouches.iter().any(about_own);
        self.learn(ctx, net, members, message.vouches, Some(link));
        if let Some(by) = members.unanswered_invitation() {
            self.vouch(ctx, net, members, by, Stance::Joins);
        }
        if invites && !was_invited && members.inviter(&own).is_some() {
            // The relay that invites needs to know that this one joined it.
            self.send_all_now(ctx, members, link);
        }
        if !members.contains(&peer) {
            return;
        }
        self.asking.remove(&link);
        if message.fingerprint != members.fingerprint() {
            self.send_all(ctx, members, link);
        }
    }

    /// Sends a neighbour all statements, unless that was done a moment ago.
    fn send_all(&mut self, ctx: &mut Ctx, members: &Members, link: LinkId) {
        let exchange = self.links.or_default(link);
        let now = ctx.now.instant;
        if exchange
            .sent_all
            .is_some_and(|at| now.since(at) < SEND_ALL_INTERVAL)
        {
            return;
        }
        self.send_all_now(ctx, members, link);
    }

    fn send_all_now(&mut self, ctx: &mut Ctx, members: &Members, link: LinkId) {
        self.links.or_default(link).sent_all = Some(ctx.now.instant);
        let all: Vec<Vouch> = members.vouches().cloned().collect();
        send(ctx, members, link, &all);
    }

    // Invitations.

    /// A relay shows the secret of an invitation.
    pub(crate) fn on_join_request(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &Members,
        link: LinkId,
        request: JoinRequest,
    ) {
        let Some(session) = net.session(link).filter(|session| session.relay) else {
            return ctx.misbehaved(link, "an invitation shown by a peer that is no relay");
        };
        let peer = session.peer;
        let invited = members.stance(&own(ctx), &peer) == Some(Stance::Invites);
        if invited || !members.is_by_invitation() {
            let accepted = invited || members.contains(&peer) || members.is_open();
            return ctx.send(link, &Message::JoinAnswer(JoinAnswer { accepted }));
        }
        let exchange = self.links.or_default(link);
        exchange.tries += 1;
        if exchange.tries > TRIES_MAX {
            let accepted = false;
            return ctx.send(link, &Message::JoinAnswer(JoinAnswer { accepted }));
        }
        if self.pending.len() < PENDING_MAX && !self.pending.contains_key(&link) {
            let (secret, not_before) = (request.secret, not_before(members, &peer));
            self.pending.insert(link, (peer, not_before));
            ctx.emit(Output::Invitation {
                link,
                secret,
                not_before,
            });
        }
    }

    /// The adapter knows whether the secret that was shown on a link is valid; then it is used up. The link may have
    /// ended.
    pub(crate) fn on_invitation(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        members: &mut Members,
        link: LinkId,
        valid: Option<bool>,
    ) {
        let Some(((peer, asked_with), valid)) = self.pending.remove(&link).zip(valid) else {
            return;
        };
        // It may have been expelled since.
        let accepted = valid && not_before(members, &peer) <= asked_with;
        if accepted {
            self.vouch(ctx, net, members, peer, Stance::Invites);
        }
        if let Some(link) = net.link_to(&peer) {
            ctx.send(link, &Message::JoinAnswer(JoinAnswer { accepted }));
        }
    }

    /// A relay answered this relay's invitation.
    pub(crate) fn on_join_answer(&mut self, ctx: &mut Ctx, net: &Net, link: LinkId, answer: JoinAnswer) {
        let Some(peer) = net.session(link).map(|session| session.peer) else {
            return;
        };
        if self.secrets.remove(&peer).is_none() {
            return;
        }
        let accepted = answer.accepted;
        self.refused.retain(|other| *other != peer);
        if !accepted {
            self.refused.push(peer);
        }
        ctx.log(Line::Joined { peer, accepted });
    }
}

/// Sends a neighbour statements, and says what this relay holds.
fn send(ctx: &mut Ctx, members: &Members, link: LinkId, vouches: &[Vouch]) {
    let fingerprint = members.fingerprint();
    for part in vouches.chunks(limits::VOUCHES_PER_MESSAGE_MAX) {
        let vouches = part.to_vec();
        ctx.send(link, &Message::Vouches(Vouches { fingerprint, vouches }));
    }
}

/// The earliest time at which an invitation was issued that `peer` may use.
fn not_before(members: &Members, peer: &PeerId) -> Timestamp {
    members
        .expulsion(peer)
        .map_or(Timestamp(0), |expulsion| expulsion.at)
}

fn own(ctx: &Ctx) -> PeerId {
    ctx.peer().unwrap_or_default()
}

fn key_of(vouch: &Vouch) -> Vec<u8> {
    let joins = u8::from(vouch.stance == Stance::Joins);
    [meta::VOUCH, &vouch.by.0, &vouch.relay.0, &[joins]].concat()
}

/// A statement of the `Meta` table. The inner `None`: a damaged row.
pub(crate) fn stored(key: &[u8], value: &[u8]) -> Option<Option<Vouch>> {
    key.starts_with(meta::VOUCH)
        .then(|| codec::decode_extensible(value).ok())
}

#[cfg(test)]
#[path = "joining_tests.rs"]
mod tests;
