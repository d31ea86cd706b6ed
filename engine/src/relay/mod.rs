//! The role of a relay: it keeps a part of all feeds, signs for what it has, answers for names, and tells who is
//! linked with it.
//!
//! [`placement`] says which relays keep whose feeds and [`cache`] what is held beside that; [`repair`] says how far
//! this relay is with it. [`reassigning`] and [`hand_over`] go over all accounts in pieces. [`peer_has`] and [`audit`]
//! know what other relays hold, [`replicas`] how soon they do, and [`replacements`] what they prove of feeds that this
//! one would drop. [`withdrawals`] says which feeds it keeps no longer.
//! [`members`] says which relays belong to the network, [`joining`] how they come to, and [`member_list`] tells devices.
//! [`subscriptions`] and [`interest_cache`] hold what linked people want; [`receipts`], [`presence`] and
//! [`name_proxy`] serve them.
//!
//! [`Relay`] combines these parts: its methods are named after the inputs and facts that the engine routes to it.
//! Those about whose feeds are wanted stand in [`interest`], those that only a relay answers in [`messages`], those
//! about audits and what is dropped in [`drops`].
//!
//! Invariant: a part keeps nothing of a link that has ended.

mod audit;
mod cache;
mod drops;
mod hand_over;
mod interest;
mod interest_cache;
mod joining;
mod member_list;
mod members;
mod messages;
mod name_proxy;
mod peer_has;
mod placement;
mod presence;
mod reassigning;
mod receipts;
mod repair;
mod replacements;
mod replicas;
mod revocation_check;
mod subscriptions;
mod withdrawals;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use protocol::messages::Message;
use protocol::messages::directory::{Description, role};
use protocol::messages::membership::{InvitationSecret, Stance};
use protocol::messages::receipt::Receipt;
use protocol::names::NameAnswer;
use protocol::{AccountId, DeviceId, Instant, PeerId, VerifiedEntry};

use crate::api::{Event, MemberView, MembersView, RelayState, ReplicaView, ReplicasView};
use crate::ctx::Ctx;
use crate::facts::{Ended, Source};
use crate::io::{Config, LinkId, Log as Line, NameTicket};
use crate::kinds::Kinds;
use crate::log::Log;
use crate::log::records::meta;
use crate::net::Net;
use crate::relays::directory::Directory;
use crate::store::{Op, Table};
use crate::sync::{PeerInterest, Remembered, Sync, Wanting};

use audit::Audits;
use cache::Cache;
use hand_over::HandOver;
use interest_cache::InterestCache;
use joining::Joining;
use members::Members;
use messages::Checks;
use name_proxy::NameProxy;
use peer_has::PeerHas;
use placement::{Placement, Reassigned};
use presence::Presence;
use reassigning::Reassigning;
use repair::Repair;
use replacements::Replacements;
use replicas::Replicas;
use subscriptions::Subscriptions;
use withdrawals::Withdrawals;

/// The parts of the engine that a relay reads and acts on, for inputs that concern most of them.
pub(crate) struct RelayParts<'a> {
    pub(crate) net: &'a Net,
    pub(crate) log: &'a mut Log,
    pub(crate) sync: &'a mut Sync,
    pub(crate) directory: &'a Directory,
    pub(crate) kinds: &'a mut Kinds,
}

#[derive(Debug)]
pub(crate) struct Relay {
    own: PeerId,
    members: Members,
    /// The list of them that linked devices have.
    sent_members: Option<Vec<PeerId>>,
    joining: Joining,
    placement: Placement,
    /// A change of the assignment that is being applied.
    reassigning: Option<Reassigning>,
    repair: Repair,
    hand_over: HandOver,
    peer_has: PeerHas,
    audits: Audits,
    replicas: Replicas,
    cache: Cache,
    replacements: Replacements,
    withdrawals: Withdrawals,
    /// This relay has signed receipts, and that is stored: devices may count on everything it holds.
    signed: bool,
    subscriptions: Subscriptions,
    interests: InterestCache,
    presence: Presence,
    names: NameProxy,
    checks: Checks,
}

impl Relay {
    pub(crate) fn new(config: &Config, own: PeerId, now: Instant) -> Self {
        Self {
            own,
            members: Members::new(own, config.admission.clone()),
            sent_members: None,
            joining: Joining::default(),
            placement: Placement::new(config, own),
            reassigning: None,
            repair: Repair::new(config, now),
            hand_over: HandOver::default(),
            peer_has: PeerHas::default(),
            audits: Audits::default(),
            replicas: Replicas::default(),
            cache: Cache::default(),
            replacements: Replacements::default(),
            withdrawals: Withdrawals::new(own),
            signed: false,
            subscriptions: Subscriptions::default(),
            interests: InterestCache::default(),
            presence: Presence::default(),
            names: NameProxy::default(),
            checks: Checks::default(),
        }
    }

    // The store.

    /// A row of the `Meta` table. `None`: it is this role's row, and damaged.
    pub(crate) fn restore_row(&mut self, log: &mut Log, key: &[u8], value: &[u8]) -> Option<()> {
        if let Some(vouch) = joining::stored(key, value) {
            self.members.restore(vouch?);
        } else if let Some(withdrawal) = withdrawals::stored(key, value) {
            let (account, withdrawal) = withdrawal?;
            self.withdrawals.restore(account, withdrawal);
        } else if key == meta::NETWORKED {
            self.repair.restore_networked();
        } else if key == meta::SIGNED {
            self.signed = true;
        } else if let Some(number) = cache::dropped_feed(key) {
            let number = number?;
            // Its rows are still there: the number must not be given to another feed.
            log.feeds.reserve(number);
            self.cache.resume(number);
        }
        Some(())
    }

    /// The store has been read: goes on deleting what was being deleted.
    pub(crate) fn on_ready(&mut self, ctx: &mut Ctx) {
        self.members.compute();
        self.begin_to_sign(ctx);
        self.cache.continue_deleting(ctx);
    }

    // Time.

    /// Once a second.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) {
        self.joining.on_timer();
        self.names.on_timer(ctx);
        self.checks.on_timer(ctx);
        if !parts.directory.suspects_partition() {
            let grace = ctx.config.repair_grace;
            let members = placement::members(parts.directory, ctx.clock(), grace);
            if let Some(reassigned) = self.placement.set_members(members) {
                self.on_reassigned(ctx, parts, reassigned);
            }
        }
        for link in parts.sync.links_to_ask_again(ctx.now.instant) {
            self.send_interests(ctx, parts.net, parts.log, parts.sync, link);
        }
        if self.repair.handing_over().is_some() && !self.hand_over.is_counting() {
            self.hand_over.begin();
            self.count_hand_over(ctx, parts);
        }
        self.update_repair(ctx, parts);
        self.audits_on_timer(ctx, parts);
        self.trim_cache(ctx, parts);
        self.presence.on_timer(ctx, parts.net, parts.directory);
        self.send_members(ctx, parts.net, parts.directory);
    }

    // Members.

    /// The relays that the directory may list; `None`: any.
    pub(crate) fn listed(&self) -> Option<ordered::Set<PeerId>> {
        (!self.members.is_open()).then(|| self.members.all().clone())
    }

    /// The operator named an address to join, and `peer` is there.
    pub(crate) fn on_join_configured(&mut self, ctx: &mut Ctx, net: &Net, peer: PeerId) {
        self.joining.on_join_configured(ctx, net, &mut self.members, peer);
    }

    /// An operator was given an invitation by `peer`.
    pub(crate) fn join(&mut self, ctx: &mut Ctx, net: &Net, peer: PeerId, secret: InvitationSecret) {
        self.joining.join(ctx, net, &mut self.members, peer, secret);
    }

    /// Whether the secret that was shown on a link is valid.
    pub(crate) fn on_invitation(&mut self, ctx: &mut Ctx, net: &Net, link: LinkId, valid: Option<bool>) {
        self.joining
            .on_invitation(ctx, net, &mut self.members, link, valid);
    }

    #[cfg(test)]
    pub(crate) fn asking(&self) -> Vec<PeerId> {
        self.joining.asking().collect()
    }

    #[cfg(test)]
    pub(crate) fn is_refused(&self, peer: &PeerId) -> bool {
        self.joining.is_refused(peer)
    }

    #[cfg(test)]
    pub(crate) fn take_in(&mut self, vouch: protocol::messages::membership::Vouch) {
        self.members.restore(vouch);
        self.members.compute();
    }

    #[cfg(test)]
    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        self.members.fingerprint()
    }

    /// The operator invites relays, or expels them.
    pub(crate) fn vouch(&mut self, ctx: &mut Ctx, net: &Net, relay: PeerId, stance: Stance) {
        self.joining.vouch(ctx, net, &mut self.members, relay, stance);
    }

    /// The members as an operator sees them.
    pub(crate) fn members_view(
        &self,
        net: &Net,
        log: &Log,
        directory: &Directory,
        about: Option<PeerId>,
    ) -> MembersView {
        let view = |peer: &PeerId| self.member_view(log, directory, *peer, about == Some(*peer));
        MembersView {
            open: self.members.is_open(),
            listed: !self.members.is_open() && !self.members.is_by_invitation(),
            members: self.members.all().iter().map(view).collect(),
            asking: self.joining.asking().collect(),
            invited: !self.members.waits_for_invitation(),
            expelled_by: self.members.expelled_by(),
            refused: net
                .known
                .peers()
                .filter(|peer| self.joining.is_refused(peer))
                .collect(),
        }
    }

    /// `whole`: also what expelling it would do.
    fn member_view(&self, log: &Log, directory: &Directory, peer: PeerId, whole: bool) -> MemberView {
        let this = peer == self.own;
        let invited = self.members.inviter(&peer);
        let mut goes: Vec<PeerId> = Vec::new();
        let whole = whole && !this;
        if whole && self.members.is_by_invitation() {
            let remaining = self.members.without(&peer);
            let gone = self.members.all().iter();
            goes.extend(gone.filter(|other| **other != peer && !remaining.contains(*other)));
        }
        MemberView {
            relay: peer,
            url: match directory.own_description().filter(|_| this) {
                Some(own) => own.url.clone(),
                None => directory.url_of(&peer).unwrap_or_default(),
            },
            state: self.state_of(directory, &peer).unwrap_or(RelayState::Dead),
            this,
            invited_by: invited.map(|vouch| vouch.by),
            goes,
            expels_everywhere: whole && self.members.counts_everywhere(&peer),
            accounts: match whole {
                true => self.placement.assigned_len(&log.feeds, &peer) as u64,
                false => 0,
            },
        }
    }

    // Placement.

    /// The assignment changed: relays are asked for what is assigned to this one now, and offered what they should
    /// have.
    fn on_reassigned(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>, reassigned: Reassigned) {
        ctx.log(Line::Placement {
            relays: self.placement.members().len(),
            replicas: self.placement.replicas_assigned(),
        });
        self.hand_over.restart();
        if !self.placement.is_divided() {
            self.cache.clear();
            if !reassigned.was_divided {
                // Every member keeps everything, as before.
                return;
            }
        }
        let RelayParts { net, log, sync, .. } = parts;
        for link in net.links_whose(|session| session.neighbour && session.relay) {
            self.send_interests(ctx, net, log, sync, link);
        }
        self.reassigning = Some(Reassigning::default());
        self.go_on_reassigning(ctx, parts);
    }

    /// Applies the assignment to the next accounts.
    fn go_on_reassigning(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) {
        let Some(mut it) = self.reassigning.take() else {
            return;
        };
        let RelayParts { net, log, sync, .. } = parts;
        let wants_its_share = |link| sync.interest(link).is_some_and(|interest| interest.assigned);
        let relays = net
            .neighbours()
            .filter(|session| session.relay && wants_its_share(session.link));
        let relays: Vec<(LinkId, PeerId)> = relays.map(|session| (session.link, session.peer)).collect();
        let piece = self.placement.piece();
        let accounts = log.feeds.accounts_after(it.after).take(piece);
        let accounts: Vec<AccountId> = accounts.copied().collect();
        for account in &accounts {
            self.placement.on_account_seen(&log.feeds, *account);
            let replicas = self.placement.replicas_of(&log.feeds, account);
            if self.placement.is_divided() {
                let beside = !replicas.contains(&self.own);
                self.cache.assign(*account, beside, ctx.now.instant);
            }
            for (link, _) in relays.iter().filter(|(_, peer)| replicas.contains(peer)) {
                let interest = sync.interest(*link);
                if interest.is_some_and(|interest| !interest.matched.contains(account)) {
                    sync.match_accounts(*link, [*account]);
                    it.fresh.or_default(*link).push(*account);
                }
            }
        }
        if accounts.len() == piece {
            it.after = accounts.last().copied();
            self.reassigning = Some(it);
            return ctx.work_at(reassigning::next_piece(ctx.now.instant));
        }
        self.placement.set_complete();
        for (link, _) in relays {
            let fresh = it.fresh.get(&link).map_or(&[][..], Vec::as_slice);
            sync.send_digest(ctx, net, log, link, fresh, true);
        }
    }

    /// Goes on with what is done in pieces.
    pub(crate) fn work(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) {
        self.go_on_reassigning(ctx, parts);
        self.count_hand_over(ctx, parts);
    }

    /// Looks at the next feeds that are to be handed over, if they are being counted.
    fn count_hand_over(&mut self, ctx: &mut Ctx, parts: &RelayParts<'_>) {
        let Some(for_good) = self.repair.handing_over() else {
            return;
        };
        let relays = repair::relay_neighbours(parts.net, parts.directory);
        let relays: Vec<(LinkId, PeerId)> = relays.map(|session| (session.link, session.peer)).collect();
        let feeds = &parts.log.feeds;
        self.hand_over
            .go_on(for_good, feeds, &self.placement, &self.peer_has, &relays);
        if self.hand_over.is_counting() {
            ctx.work_at(reassigning::next_piece(ctx.now.instant));
        }
    }

    /// Asks a neighbouring relay for everything it has of what this one wants.
    fn send_interests(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, sync: &mut Sync, link: LinkId) {
        self.repair.on_interests_sent(link);
        let wanting = Wanting::without_follows(self);
        sync.send_interests(ctx, net, log, wanting, link);
    }

    /// This relay is to end: what only it has, others should have first. Its timer is due at once.
    pub(crate) fn hand_over(&mut self, ctx: &mut Ctx, for_good: bool) {
        self.repair.hand_over(for_good);
        self.hand_over = HandOver::default();
        ctx.wake();
    }

    /// Whether it was to leave its network, and the others hold what it had.
    pub(crate) fn has_handed_over(&self) -> bool {
        self.repair.has_handed_over()
    }

    /// Sees how far this relay is with what it should hold, and emits that if it changed.
    fn update_repair(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) {
        let now = ctx.now.instant;
        if !self.repair.is_due(now) {
            return;
        }
        let RelayParts {
            net,
            log,
            sync,
            directory,
            ..
        } = parts;
        let missing = repair::missing(net, directory, &log.feeds, sync);
        self.repair.set_alone(self.is_alone(net, directory));
        let mut view = self.repair.assess(&missing, now);
        let members = self.placement.members().iter();
        let alive =
            members.filter(|member| self.state_of(directory, &member.peer) == Some(RelayState::Alive));
        let living = alive.count();
        let wanted = ctx.config.replicas;
        if self.repair.judge_copies(wanted, living, now) {
            ctx.log(Line::Copies { wanted, living });
        }
        view.relays = self.placement.members().len() as u32;
        view.replicas = self.placement.replicas_assigned() as u32;
        view.wanted = wanted as u32;
        view.living = living as u32;
        view.cached = self.cache.len() as u64;
        view.suspects_partition = directory.suspects_partition();
        view.to_hand_over = self
            .repair
            .handing_over()
            .map(|_| self.hand_over.left(&log.feeds));
        if view.to_hand_over.is_some_and(|left| left > 0) && self.repair.is_time_to_ask(now) {
            for link in net.links_whose(|session| session.neighbour && session.relay) {
                self.send_interests(ctx, net, log, sync, link);
            }
        }
        if let Some(view) = self.repair.changed(view) {
            ctx.event(Event::Repair(view));
        }
    }

    /// Whether other members are known, and every one of them was dialled without success.
    fn is_alone(&self, net: &Net, directory: &Directory) -> bool {
        let others = directory
            .descriptions()
            .filter(|other| other.relay != self.own && other.roles & role::LEFT == 0);
        let mut others = others.peekable();
        let unreachable =
            |other: &Description| net.is_unreachable(&other.relay) && !net.is_neighbour(&other.relay);
        others.peek().is_some() && others.all(unreachable)
    }

    fn state_of(&self, directory: &Directory, relay: &PeerId) -> Option<RelayState> {
        match *relay == self.own {
            true => Some(RelayState::Alive),
            false => directory.state(relay),
        }
    }

    // Neighbours.

    /// A peer became a neighbour, and is sent interests.
    pub(crate) fn on_neighbour_up(&mut self, ctx: &mut Ctx, net: &Net, directory: &Directory, link: LinkId) {
        let Some(session) = net.session(link) else {
            return;
        };
        self.repair.on_interests_sent(link);
        if session.relay {
            self.joining.on_neighbour_up(ctx, net, &self.members, session);
        } else {
            self.send_members_to(ctx, directory, link);
            self.subscriptions.add_link(link, session.account);
            for withdrawal in session
                .account
                .iter()
                .flat_map(|account| self.withdrawals.of(account))
            {
                ctx.send(link, &Message::Withdrawal(withdrawal.clone()));
            }
        }
    }

    /// The link of a proven peer ended; `interest`: what the peer wanted.
    pub(crate) fn on_session_down(&mut self, ctx: &mut Ctx, ended: &Ended, interest: PeerInterest) {
        let Ended { link, peer, .. } = *ended;
        self.subscriptions.remove_link(link);
        if !ended.relay {
            let named = interest.named;
            let wanted = interest.matched.iter().chain(named.iter()).chain(&ended.account);
            self.cache.touch_cached(wanted.copied(), ctx.now.instant);
            if !interest.resume_failed {
                let salted = interest.salted;
                self.interests.remember(peer, Remembered { salted, named });
            }
        }
        if ended.relay {
            self.hand_over.restart();
        }
        self.peer_has.on_session_down(link);
        self.repair.on_session_down(link);
        self.joining.on_session_down(link);
        self.audits.on_session_down(link);
        self.replacements.on_session_down(link);
        self.presence.on_session_down(link);
        self.names.on_session_down(ctx, link);
        self.checks.end(ctx, link);
    }

    /// A neighbouring relay has the entries of a feed below `next_seq`.
    pub(crate) fn on_peer_has(
        &mut self,
        net: &Net,
        log: &Log,
        link: LinkId,
        device: &DeviceId,
        next_seq: u64,
    ) {
        if net.session(link).is_some_and(|session| session.relay) {
            self.peer_has.record(&log.feeds, link, device, next_seq);
        }
    }

    /// A neighbour said everything it has of what this relay wants.
    pub(crate) fn on_compared(&mut self, ctx: &mut Ctx, net: &Net, directory: &Directory, link: LinkId) {
        let Some(session) = net.session(link).filter(|session| session.relay) else {
            return;
        };
        self.repair.on_compared(link);
        if net.is_anchor(directory, &session.peer) && self.repair.set_networked() {
            ctx.write(Op::Put {
                table: Table::Meta,
                key: meta::NETWORKED.to_vec(),
                value: Vec::new(),
            });
        }
    }

    /// A neighbour sent something that serves catching up; `entries`: entries that were missing here.
    pub(crate) fn on_helped(&mut self, ctx: &Ctx, net: &Net, link: LinkId, entries: bool) {
        if let Some(session) = net.session(link) {
            self.repair.on_helped(&session.peer, entries, ctx.now.instant);
        }
    }

    // Feeds.

    /// The first feed of an account begins here.
    pub(crate) fn on_account_seen(&mut self, ctx: &Ctx, log: &Log, account: AccountId) {
        self.placement.on_account_seen(&log.feeds, account);
        if self.placement.is_divided() && !self.placement.is_assigned_here(&log.feeds, &account) {
            self.cache.touch(account, ctx.now.instant);
        }
    }

    /// An entry was appended to its feed.
    pub(crate) fn on_appended(&mut self, ctx: &mut Ctx, net: &Net, entry: &VerifiedEntry, from: Source) {
        let header = entry.header();
        self.hand_over.on_appended(header.account);
        if header.seq == 0 {
            self.withdrawals.on_held(ctx, header.account, header.device);
        }
        let Source::Link(link) = from else { return };
        if !net.session(link).is_some_and(|session| session.relay) {
            let (device, next_seq) = (header.device, header.seq + 1);
            self.replicas.record_written(device, next_seq, ctx.now.instant);
        }
    }

    /// A neighbour sent a receipt, its own or another relay's.
    fn on_receipt(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        directory: &Directory,
        link: LinkId,
        receipt: &Receipt,
    ) {
        let Some(from) = net.session(link).map(|session| session.peer) else {
            return;
        };
        if receipt.verify().is_err() {
            return ctx.misbehaved(link, "a receipt with a wrong signature");
        }
        self.record_signed(ctx, net, log, directory, receipt);
        if let Some(feed) = log.feeds.get(&receipt.device) {
            self.withdrawals.on_receipt(ctx, feed.account, receipt);
        }
        receipts::pass_on(ctx, net, log, from, receipt);
    }

    /// Another relay signed for a feed; the receipt is verified, and may have come over a third peer.
    fn record_signed(&mut self, ctx: &Ctx, net: &Net, log: &Log, directory: &Directory, receipt: &Receipt) {
        let Receipt {
            relay,
            device,
            next_seq,
            ..
        } = receipt;
        let session = net.link_to(relay).and_then(|link| net.session(link));
        let Some(session) = session.filter(|_| net.is_anchor(directory, relay)) else {
            return;
        };
        self.on_peer_has(net, log, session.link, device, *next_seq);
        self.replacements.on_receipt(session.link, receipt);
        if self.audits.is_about(session.link, device) {
            // It is the answer to a question, and says nothing about when the relay had the entry.
            return;
        }
        self.replicas
            .record_signed(*relay, device, *next_seq, session.opened, ctx.now.instant);
    }

    // Replicas.

    /// Who keeps an account's feeds: relays that are alive first, otherwise in the order of the assignment.
    pub(crate) fn replicas_view(
        &self,
        net: &Net,
        log: &Log,
        directory: &Directory,
        account: &AccountId,
    ) -> ReplicasView {
        let devices = log.feeds.devices(account);
        let view = |relay: PeerId| {
            let this = relay == self.own;
            let link = net.link_to(&relay);
            let has = |device: &DeviceId| self.peer_has.get(link?, log.feeds.get(device)?.number);
            let said = devices.iter().any(|device| has(device).is_some());
            let behind = link.map_or_else(Vec::new, |link| self.behind(net, log, link, devices));
            ReplicaView {
                relay,
                state: self.state_of(directory, &relay).unwrap_or(RelayState::Dead),
                lag: (this || said).then(|| behind.iter().map(|(_, held, has)| held - has).sum()),
                delay_ms: match this {
                    true => Some(0),
                    false => self.replicas.delay(&relay, devices),
                },
            }
        };
        let replicas = self.placement.replicas_of(&log.feeds, account);
        ReplicasView {
            replicas: ordered::sorted_by_key(replicas.into_iter().map(view), |replica| replica.state),
            served_by: self.served_by(net, directory, account),
        }
    }

    /// Feeds of which a peer said less than is held here: how much is held, and how much it said.
    fn behind(&self, net: &Net, log: &Log, link: LinkId, devices: &[DeviceId]) -> Vec<(DeviceId, u64, u64)> {
        if net.session(link).is_none() {
            return Vec::new();
        }
        let feeds = devices
            .iter()
            .filter_map(|device| Some((*device, log.feeds.get(device)?)));
        let feeds = feeds.map(|(device, feed)| {
            let has = self.peer_has.get(link, feed.number).unwrap_or(0);
            (device, feed.valid_len(), has)
        });
        feeds.filter(|(_, held, has)| has < held).collect()
    }

    /// The mean delay of each relay's copies, in milliseconds.
    pub(crate) fn delays(&self) -> Vec<(PeerId, u32)> {
        self.replicas.delays()
    }

    // People.

    /// The relays that a device of an account is linked with, as far as this one knows.
    fn served_by(&self, net: &Net, directory: &Directory, account: &AccountId) -> Vec<PeerId> {
        self.presence.served_by(self.own, net, directory, account)
    }

    /// This relay's registry answered.
    pub(crate) fn on_registry_answer(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        ticket: NameTicket,
        answer: NameAnswer,
    ) {
        self.names.on_registry_answer(ctx, net, ticket, answer);
    }
}
