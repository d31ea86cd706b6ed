//! A relay among neighbours, for tests: the peers at the other end of its links are played by the test.

use core::time::Duration;

use protocol::kinds::{Body, Certificate, Post};
use protocol::link::handshake::{Side, feature};
use protocol::messages::directory::{Description, role};
use protocol::messages::membership::Stance;
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::receipt::{Reason, Withdrawal};
use protocol::messages::{Interests, Message, Relays};
use protocol::{
    AccountId, DeviceId, Entry, EntryId, Instant, KeyPair, PeerId, Timestamp, VerifiedEntry, entry::Position,
};

use crate::api::CommandResult;
use crate::ctx::{Ctx, DirectoryMode, Local, Setup};
use crate::facts::{Ended, Fact};
use crate::io::{Admission, Config, LinkId, Log as Line, Now, Output, RequestId};
use crate::kinds::Kinds;
use crate::log::Log;
use crate::log::append::Taken;
use crate::net::Net;
use crate::relays::directory::{Directory, Own, Sender};
use crate::store::{Load, Op, Rows};
use crate::sync::{Sync, Wanting};
use crate::testing::{Remote, Wire, receive};

use super::{Relay, RelayParts};

/// A key by number and use.
pub(crate) fn key(use_: u8, n: u16) -> KeyPair {
    let [low, high] = n.to_le_bytes();
    let mut seed = [use_; 32];
    (seed[0], seed[1]) = (low, high);
    KeyPair::from_seed(&seed)
}

/// The key of relay `n`; the one under test is relay 0.
pub(crate) fn relay_key(n: u16) -> KeyPair {
    key(0x11, n)
}

pub(crate) fn relay_peer(n: u16) -> PeerId {
    PeerId(relay_key(n).public())
}

/// The account of person `n`.
pub(crate) fn account(n: u16) -> AccountId {
    AccountId(key(0xaa, n).public())
}

/// The device of person `n`.
pub(crate) fn device(n: u16) -> DeviceId {
    DeviceId(key(0xdd, n).public())
}

/// Of the device of person `n`.
pub(crate) fn certificate(n: u16) -> Certificate {
    Certificate::issue(&key(0xaa, n), device(n), "laptop".into(), Timestamp(1_000))
}

/// The first entries of the feed of person `n`: a certificate, then posts.
pub(crate) fn feed(n: u16, entries: u64) -> Vec<VerifiedEntry> {
    let mut prev = EntryId::default();
    let mut feed = Vec::new();
    for seq in 0..entries {
        let body = match seq {
            0 => Body::Certificate(certificate(n)),
            _ => Body::Post(Post {
                text: format!("{seq}"),
                reply: None,
            }),
        };
        let position = Position {
            seq,
            prev,
            lamport: seq + 1,
        };
        let entry = VerifiedEntry::create(&key(0xdd, n), position, account(n), Timestamp(1_000 + seq), &body);
        prev = entry.id();
        feed.push(entry);
    }
    feed
}

/// How a worker describes itself.
pub(crate) fn worker(zone: &str) -> Description {
    Description {
        roles: role::WORKER,
        zone: zone.into(),
        capacity: 100,
        ..Description::default()
    }
}

/// How the parts that both roles share are set up for relay 0.
pub(crate) fn setup(config: &Config) -> Setup {
    let local = Local {
        key: relay_key(0),
        features: feature::RELAY,
        certificate: None,
    };
    Setup {
        local: Some(local),
        feeds_max: config.feeds_max,
        strict: true,
        signs_receipts: config.worker,
        directory: DirectoryMode::Relay,
        events: false,
    }
}

fn remote(key: KeyPair, relay: bool, certificate: Option<Certificate>) -> Remote {
    Remote {
        key,
        relay,
        certificate,
        ..Remote::peer(0)
    }
}

/// The device of person `n`.
pub(crate) fn person(n: u16) -> Remote {
    remote(key(0xdd, n), false, Some(certificate(n)))
}

pub(crate) struct World {
    pub(crate) ctx: Ctx,
    pub(crate) net: Net,
    pub(crate) log: Log,
    pub(crate) sync: Sync,
    pub(crate) directory: Directory,
    pub(crate) kinds: Kinds,
    pub(crate) relay: Relay,
    heartbeat: u64,
    pub(crate) wire: Wire,
}

impl World {
    /// Relay 0, without neighbours.
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let key = relay_key(0);
        let mut config = Config {
            admission: Admission::Open,
            ..Config::relay(key.clone())
        };
        change(&mut config);
        let now = Now {
            instant: Instant(1_000_000_000),
            wall: Timestamp(1_700_000_000_000),
        };
        let own = PeerId(key.public());
        let setup = setup(&config);
        let mut world = Self {
            net: Net::new(),
            log: Log::new(setup.feeds_max),
            sync: Sync::new(),
            directory: Directory::new(&config, now.instant, setup.directory),
            kinds: Kinds::default(),
            relay: Relay::new(&config, own, now.instant),
            ctx: Ctx::new(config, [7; 32], now, setup),
            heartbeat: 1,
            wire: Wire::default(),
        };
        world.ctx.ready = true;
        world.list_members();
        world.net.begin_overlay(&mut world.ctx);
        world
    }

    /// A relay with the default configuration.
    pub(crate) fn default() -> Self {
        Self::new(|_| {})
    }

    pub(crate) fn now(&self) -> Instant {
        self.ctx.now.instant
    }

    /// The operator invites a relay, or expels it.
    pub(crate) fn vouch(&mut self, relay: PeerId, stance: Stance) {
        self.relay.vouch(&mut self.ctx, &self.net, relay, stance);
    }

    /// The adapter says whether the secret shown on a link is valid.
    pub(crate) fn on_invitation(&mut self, link: LinkId, valid: Option<bool>) {
        self.relay.on_invitation(&mut self.ctx, &self.net, link, valid);
    }

    /// The operator was given an invitation by relay `n`.
    pub(crate) fn join(&mut self, n: u16, secret: [u8; 16]) {
        self.relay.join(&mut self.ctx, &self.net, relay_peer(n), secret);
    }

    /// The operator named an address to join, and relay `n` is there.
    pub(crate) fn named(&mut self, n: u16) {
        self.relay
            .on_join_configured(&mut self.ctx, &self.net, relay_peer(n));
    }

    /// The interval of anti-entropy.
    pub(crate) fn on_anti_entropy(&mut self) {
        let Self {
            ctx,
            net,
            log,
            sync,
            directory,
            ..
        } = self;
        self.relay.on_anti_entropy(ctx, net, log, sync, directory);
    }

    /// Links with relay `n`; what it is sent meanwhile is not taken.
    pub(crate) fn prove_relay(&mut self, n: u16) -> LinkId {
        let link = self.prove(relay_key(n), true, None);
        self.receive(link, &Message::Request(Request::alone(Wish::Join)));
        while self.net.pump(&mut self.ctx, &self.directory) {}
        self.relay
            .on_neighbour_up(&mut self.ctx, &self.net, &self.directory, link);
        self.facts();
        link
    }

    /// The directory lists the members of the network from now on.
    pub(crate) fn list_members(&mut self) {
        let listed = self.relay.listed();
        self.directory.set_members(&mut self.ctx, listed);
    }

    /// Linked relays are looked at.
    pub(crate) fn mark_members(&mut self) {
        self.net.mark_members(&mut self.ctx, &self.directory);
    }

    /// Lets time pass, without any timer.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.ctx.now.instant = self.ctx.now.instant + time;
        self.ctx.now.wall = self.ctx.now.wall.plus(time);
    }

    /// The timer of this role.
    pub(crate) fn tick(&mut self) {
        self.with_parts(Relay::on_timer);
    }

    /// Goes on with what is done in pieces.
    pub(crate) fn work(&mut self) {
        self.with_parts(Relay::work);
    }

    /// Links with a peer, which becomes a neighbour.
    pub(crate) fn link(&mut self, key: KeyPair, relay: bool, certificate: Option<Certificate>) -> LinkId {
        self.link_as(remote(key, relay, certificate))
    }

    /// The same for any peer.
    pub(crate) fn link_as(&mut self, remote: Remote) -> LinkId {
        let link = self.prove_as(remote);
        self.receive(link, &Message::Request(Request::alone(Wish::Join)));
        while self.net.pump(&mut self.ctx, &self.directory) {}
        let session = self.net.session(link).expect("a proven peer");
        assert!(session.neighbour, "the peer was accepted");
        self.relay
            .on_neighbour_up(&mut self.ctx, &self.net, &self.directory, link);
        self.facts();
        self.sent(link);
        link
    }

    /// Opens a link to a peer, which proves its key and is no neighbour so far.
    pub(crate) fn prove(&mut self, key: KeyPair, relay: bool, certificate: Option<Certificate>) -> LinkId {
        self.prove_as(remote(key, relay, certificate))
    }

    fn prove_as(&mut self, remote: Remote) -> LinkId {
        let Self {
            ctx,
            net,
            directory,
            wire,
            ..
        } = self;
        let link = wire.open(ctx, net, Side::Responder);
        wire.prove(ctx, net, directory, link, Side::Responder, remote);
        self.sent(link);
        link
    }

    /// Links with relay `n`.
    pub(crate) fn link_relay(&mut self, n: u16) -> LinkId {
        self.link(relay_key(n), true, None)
    }

    /// Links with the device of person `n`.
    pub(crate) fn link_person(&mut self, n: u16) -> LinkId {
        self.link_as(person(n))
    }

    /// Opens a link to the device of person `n`, which is no neighbour so far.
    pub(crate) fn prove_person(&mut self, n: u16) -> LinkId {
        self.prove_as(person(n))
    }

    /// A message arrives on a link.
    pub(crate) fn receive(&mut self, link: LinkId, message: &Message) {
        receive(&mut self.ctx, &mut self.net, &self.directory, link, message);
    }

    /// A link ends.
    pub(crate) fn unlink(&mut self, link: LinkId) {
        self.net.end(&mut self.ctx, link, "the test ended it");
        for fact in self.facts() {
            if let Fact::SessionDown(ended) = fact {
                self.on_session_down(&ended);
            }
        }
    }

    /// Runs `act` with this role and the parts around it.
    fn with_parts<T>(&mut self, act: impl FnOnce(&mut Relay, &mut Ctx, &mut RelayParts<'_>) -> T) -> T {
        let Self {
            ctx,
            net,
            log,
            sync,
            directory,
            kinds,
            relay,
            ..
        } = self;
        let mut parts = RelayParts {
            net,
            log,
            sync,
            directory,
            kinds,
        };
        act(relay, ctx, &mut parts)
    }

    /// The role takes a message of the peer at the end of a link; what it gives back.
    pub(crate) fn on_message(&mut self, link: LinkId, message: Message) -> Option<Message> {
        let len = message.encode().len();
        self.with_parts(|relay, ctx, parts| relay.on_message(ctx, parts, link, message, len))
    }

    /// An interface asks for a check of the replicas of person `n`.
    pub(crate) fn check_replicas(&mut self, request: u64, n: u16) -> Option<CommandResult> {
        self.with_parts(|relay, ctx, parts| relay.check_replicas(ctx, parts, RequestId(request), &account(n)))
    }

    /// The peer at the end of a link becomes a neighbour; the withdrawals that it is sent.
    pub(crate) fn neighbour(&mut self, link: LinkId) -> Vec<Withdrawal> {
        self.relay
            .on_neighbour_up(&mut self.ctx, &self.net, &self.directory, link);
        let sent = self.sent(link).into_iter();
        let withdrawals = sent.filter_map(|message| match message {
            Message::Withdrawal(withdrawal) => Some(withdrawal),
            _ => None,
        });
        withdrawals.collect()
    }

    /// The same; what it is sent is not looked at.
    pub(crate) fn neighbour_up(&mut self, link: LinkId) {
        self.receive(link, &Message::Request(Request::alone(Wish::Join)));
        while self.net.pump(&mut self.ctx, &self.directory) {}
        self.facts();
        self.sent(link);
        self.relay
            .on_neighbour_up(&mut self.ctx, &self.net, &self.directory, link);
    }

    /// What an operator's block or a quota removes.
    pub(crate) fn withdraw(&mut self, n: u16, reason: Reason) {
        self.with_parts(|relay, ctx, parts| relay.withdraw(ctx, parts, account(n), reason));
    }

    /// Rows to delete were read.
    pub(crate) fn on_drop_rows(&mut self, rows: Rows) {
        self.with_parts(|relay, ctx, parts| relay.on_drop_rows(ctx, parts, rows));
    }

    /// A row of the `Meta` table without a value is read at the start.
    pub(crate) fn restore_row(&mut self, key: &[u8]) -> Option<()> {
        self.restore(key, &[])
    }

    /// A row of the `Meta` table is read at the start.
    pub(crate) fn restore(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        self.relay.restore_row(&mut self.log, key, value)
    }

    /// The store has been read.
    pub(crate) fn on_ready(&mut self) {
        self.relay.on_ready(&mut self.ctx);
    }

    /// The peer at the end of a link says what it wants.
    pub(crate) fn on_interests(&mut self, link: LinkId, interests: Interests) {
        let remembered = self.relay.on_interests(&self.net, link, &interests);
        let wanting = Wanting::without_follows(&self.relay);
        let (ctx, net, log) = (&mut self.ctx, &self.net, &self.log);
        self.sync
            .on_interests(ctx, net, log, wanting, link, interests, remembered);
        for fact in self.facts() {
            if let Fact::AccountsWanted { link, accounts } = fact {
                self.relay
                    .on_accounts_wanted(&mut self.ctx, &self.net, &self.log, link, &accounts);
            }
        }
    }

    /// The peer at the end of a link names people.
    pub(crate) fn name(&mut self, link: LinkId, people: &[u16]) {
        let interests = Interests {
            named: people.iter().map(|n| account(*n)).collect(),
            ..Interests::default()
        };
        self.on_interests(link, interests);
    }

    /// Whether the feeds of person `n` are wanted.
    pub(crate) fn wants(&self, n: u16) -> bool {
        let wanting = Wanting::without_follows(&self.relay);
        wanting.wants(&self.log, &account(n))
    }

    fn on_session_down(&mut self, ended: &Ended) {
        let wanting = Wanting::without_follows(&self.relay);
        let interest = self
            .sync
            .on_session_down(&mut self.ctx, &self.net, &self.log, wanting, ended);
        self.relay.on_session_down(&mut self.ctx, ended, interest);
    }

    /// Relay `n` describes itself over its own link, or over that of `by`.
    pub(crate) fn describe(&mut self, n: u16, description: Description, link: LinkId) {
        self.heartbeat += 1;
        let description = Description {
            heartbeat: self.heartbeat,
            ..description
        };
        let relays = vec![description.sign(&relay_key(n))];
        let from = Sender {
            link,
            peer: relay_peer(n),
            anchor: true,
        };
        self.directory
            .on_relays(&mut self.ctx, from, Relays { relays }, |_| false, |_| false);
    }

    /// Relay 0 describes itself.
    pub(crate) fn describe_own(&mut self, description: Description) {
        self.directory.describe(&mut self.ctx, description);
    }

    /// The directory judges who is alive.
    pub(crate) fn judge(&mut self) {
        let own = Own {
            revision: 0,
            registry: None,
        };
        self.directory.on_timer(&mut self.ctx, own, &[], false);
    }

    /// Workers 1 to `n` of the directory, none of which is linked; and this relay.
    pub(crate) fn workers(&mut self, n: u16) {
        self.describe_own(worker(""));
        for relay in 1..=n {
            self.describe(relay, worker(""), LinkId(10_000 + u64::from(relay)));
        }
    }

    /// The first entries of the feed of person `n` are held.
    pub(crate) fn hold(&mut self, n: u16, entries: u64) {
        self.hold_from(n, entries, None);
    }

    /// The same, as they came over a link.
    pub(crate) fn hold_from(&mut self, n: u16, entries: u64, link: Option<LinkId>) {
        use crate::facts::Source;
        let from = link.map_or(Source::Backup, Source::Link);
        let held = self.log.feeds.get(&device(n)).map_or(0, |feed| feed.next_seq);
        for entry in feed(n, entries).into_iter().skip(held as usize) {
            let taken = self.take_in(entry.entry().clone(), link);
            let Taken::Appended { entry, .. } = taken else {
                panic!("an entry that is not held: {taken:?}");
            };
            let by_relay = |link: &LinkId| self.net.session(*link).is_some_and(|session| session.relay);
            let feed = self.log.feeds.get_mut(&device(n)).expect("held");
            feed.source = link.filter(by_relay);
            self.relay.on_appended(&mut self.ctx, &self.net, &entry, from);
            for fact in self.facts() {
                if let Fact::AccountSeen(account) = fact {
                    self.relay.on_account_seen(&self.ctx, &self.log, account);
                }
            }
        }
    }

    fn take_in(&mut self, entry: Entry, link: Option<LinkId>) -> Taken {
        let taken = self.log.take_in(&mut self.ctx, link, entry, false);
        taken.expect("a valid entry")
    }

    /// What was written is on disk.
    pub(crate) fn persist(&mut self) {
        let reached = self.log.flush(&mut self.ctx);
        self.log.on_persisted(&reached);
    }

    /// The peer at the end of a link wants the feeds of these people, which are held here.
    pub(crate) fn interested(&mut self, link: LinkId, people: &[u16]) {
        self.sync.match_accounts(link, people.iter().map(|n| account(*n)));
    }

    /// The relay at the end of a link has the entries of person `n` below `next_seq`.
    pub(crate) fn peer_has(&mut self, link: LinkId, n: u16, next_seq: u64) {
        self.relay
            .on_peer_has(&self.net, &self.log, link, &device(n), next_seq);
    }

    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        core::iter::from_fn(|| self.ctx.next_fact()).collect()
    }

    /// The messages sent on a link since this was last asked.
    pub(crate) fn sent(&mut self, link: LinkId) -> Vec<Message> {
        self.wire.sent(&mut self.ctx, link)
    }

    /// Outputs other than frames since this was last asked.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        self.wire.outputs(&mut self.ctx)
    }

    /// Lines of the log since outputs were last taken.
    pub(crate) fn lines(&mut self) -> Vec<Line> {
        let outputs = self.outputs().into_iter();
        outputs
            .filter_map(|output| match output {
                Output::Log(line) => Some(line),
                _ => None,
            })
            .collect()
    }

    /// What was written, and what is to be read, since outputs were last taken.
    pub(crate) fn store(&mut self) -> (Vec<Op>, Vec<Load>) {
        let (mut ops, mut loads) = (Vec::new(), Vec::new());
        for output in self.outputs() {
            match output {
                Output::Persist(batch) => ops.extend(batch.ops),
                Output::Load(load) => loads.push(load),
                _ => {}
            }
        }
        (ops, loads)
    }
}
