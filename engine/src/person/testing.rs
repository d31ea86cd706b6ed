//! For tests of the role's parts: a person's device with its store, and a relay through which the test plays the
//! registry.

use protocol::messages::{FeedHead, Message, NameAsked};
use protocol::names::{NameAnswer, NameQuestion, NameRequest, RegistryId};
use protocol::{AccountId, Body, EntryId, EntryRef, Timestamp, VerifiedEntry};

use super::Person;
use super::claims::Subject;
use super::commands::{CommandParts, Done};
use super::own_feed::OwnFeed;
use crate::api::{ClaimView, Command, Error};
use crate::facts::{Fact, Source};
use crate::io::{LinkId, RequestId};
use crate::kinds::testing::{handle, registry};
use crate::kinds::{PostEntry, Viewer};
use crate::log::durability::Confirmed;
use crate::log::records::meta;
use crate::store::{BatchId, Op, Table};
use crate::testing::{Node, Remote};

pub(super) struct Device {
    pub(super) node: Node,
    pub(super) person: Person,
}

/// What happened since this was last asked.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Bodies of the entries that this device wrote.
    pub(super) written: Vec<Body>,
    /// Interests that began or ended.
    pub(super) interests: Vec<(AccountId, bool)>,
}

impl Device {
    /// A device without an account.
    pub(super) fn fresh() -> Self {
        Self {
            node: Node::without_account(),
            person: Person::default(),
        }
    }

    /// A device with an account, both of which are on disk.
    pub(super) fn new() -> Self {
        let mut device = Self::fresh();
        device.create().expect("an account");
        device.node.persist();
        device.node.facts();
        device.node.net.begin_overlay(&mut device.node.ctx);
        device
    }

    /// As [`Self::new`]; it takes names from the first registry, which no relay connects it with yet.
    pub(super) fn offline() -> Self {
        let mut device = Self::new();
        let Node { ctx, kinds, .. } = &mut device.node;
        kinds.learn_registry(ctx, RegistryId(registry(0).public()), false);
        device.settle();
        device
    }

    /// As [`Self::offline`], linked with a relay that it knows.
    pub(super) fn online() -> (Self, LinkId) {
        let mut device = Self::offline();
        let link = device.relay(20);
        (device, link)
    }

    /// As [`Self::online`], with a handle.
    pub(super) fn with_handle(name: &str) -> (Self, LinkId) {
        let (mut device, link) = Self::online();
        device.claim(name).expect("a claim");
        let (number, _) = device.request(link);
        let receipt = handle(name, device.me(), 5);
        device.node.kinds.learn_revision(5);
        device.answer(link, number, NameAnswer::Held(receipt));
        device.settle();
        assert_eq!(device.handle(), name);
        (device, link)
    }

    /// A relay that this device knows becomes a neighbour.
    pub(super) fn relay(&mut self, n: u8) -> LinkId {
        self.settle();
        let link = self.node.link_known(&Remote::relay(n));
        self.person.on_relay_up(&mut self.node.ctx);
        link
    }

    /// A link ends.
    pub(super) fn unlink(&mut self, link: LinkId) {
        self.node.net.end(&mut self.node.ctx, link, "the test ended it");
        self.person.on_session_down(&mut self.node.ctx, link);
    }

    /// Forgets what is not in the store; links stay.
    pub(super) fn restart(&mut self) {
        self.settle();
        self.person = Person::default();
        for (key, row) in self.node.store.rows(Table::Meta) {
            let Node { ctx, net, .. } = &mut self.node;
            let restored = self.person.restore_row(ctx, net, Table::Meta, &key, &row);
            assert!(restored.is_some());
        }
    }

    pub(super) fn command(&mut self, command: Command) -> Result<Done, Error> {
        let Node {
            ctx, net, log, kinds, ..
        } = &mut self.node;
        let mut parts = CommandParts { net, log, kinds };
        self.person.on_command(ctx, &mut parts, RequestId(1), command)
    }

    pub(super) fn create(&mut self) -> Result<Done, Error> {
        let (name, device_name) = ("Ada".into(), "laptop".into());
        self.command(Command::CreateAccount { name, device_name })
    }

    pub(super) fn claim(&mut self, name: &str) -> Result<Done, Error> {
        let name = name.to_owned();
        self.command(Command::ClaimName { name })
    }

    /// Publishes a post, number `n` of this device.
    pub(super) fn post(&mut self, n: u16, slug: Option<&str>) -> Result<PostEntry, Error> {
        let mut token = [0; 16];
        token[..2].copy_from_slice(&n.to_be_bytes());
        let done = self.command(Command::Publish {
            token,
            text: format!("post {n}"),
            reply_to: None,
            slug: slug.map(str::to_owned),
        })?;
        let Done::Published(post) = done else {
            panic!("not published: {done:?}");
        };
        Ok(post)
    }

    pub(super) fn me(&self) -> AccountId {
        self.node.ctx.me().expect("an account")
    }

    pub(super) fn handle(&self) -> &str {
        self.node.kinds.handle_of(&self.me())
    }

    pub(super) fn view(&self, subject: Subject) -> Option<ClaimView> {
        self.person.claims.view(subject)
    }

    /// Entries that were written are known to the views, and all that was written is on disk.
    pub(super) fn settle(&mut self) -> Settled {
        let mut settled = Settled::default();
        for fact in self.node.facts() {
            match fact {
                Fact::Appended { entry, from } => {
                    self.index(&entry);
                    if from == Source::Own {
                        let body = Body::decode(entry.header().kind, entry.body());
                        settled.written.extend(body);
                    }
                }
                Fact::Interest { account, on } => settled.interests.push((account, on)),
                _ => {}
            }
        }
        self.node.persist();
        let ctx = &mut self.node.ctx;
        let before = ctx.persisted();
        let last = BatchId(ctx.next_batch().0 - 1);
        ctx.on_persisted(last);
        self.person.on_persisted(ctx, before);
        settled
    }

    /// The views learn what an entry says.
    pub(super) fn index(&mut self, entry: &VerifiedEntry) {
        let Node { ctx, log, kinds, .. } = &mut self.node;
        let (header, viewer) = (entry.header(), Viewer::of(ctx));
        let number = log.feeds.get(&header.device).map_or(0, |feed| feed.number);
        kinds.index(ctx, viewer, header, entry.id(), entry.body(), number);
    }

    /// The timers of claims run.
    pub(super) fn tick(&mut self) {
        let Node { ctx, net, kinds, .. } = &mut self.node;
        self.person.claims.on_timer(ctx, kinds, net);
    }

    /// What a relay was asked to pass on to the registry since this was last asked.
    pub(super) fn asked(&mut self, link: LinkId) -> Vec<(u32, NameRequest)> {
        let sent = self.node.sent(link).into_iter();
        let asked = sent.filter_map(|message| match message {
            Message::NameQuestion(NameAsked {
                request,
                question: NameQuestion::Request(of),
            }) => Some((request, of)),
            _ => None,
        });
        asked.collect()
    }

    /// As [`Self::asked`], once the store has written everything and the timers have run as often as it takes.
    pub(super) fn requests(&mut self, link: LinkId) -> Vec<(u32, NameRequest)> {
        for _ in 0..4 {
            self.settle();
            self.tick();
        }
        self.asked(link)
    }

    /// The one request in [`Self::requests`].
    pub(super) fn request(&mut self, link: LinkId) -> (u32, NameRequest) {
        let mut requests = self.requests(link);
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The registry answers a request. An answer that is not to a claim is given back.
    pub(super) fn answer(&mut self, link: LinkId, number: u32, answer: NameAnswer) -> Option<NameAnswer> {
        let Node { ctx, kinds, log, .. } = &mut self.node;
        self.person.on_name_answer(ctx, kinds, log, link, number, answer)
    }

    /// Claims in the store.
    pub(super) fn stored_claims(&mut self) -> usize {
        self.node.flush();
        let rows = self.node.store.rows(Table::Meta);
        rows.keys().filter(|key| key.starts_with(meta::CLAIM)).count()
    }

    /// Posts of which interfaces learn that the claim of the slug changed, since this was last asked.
    pub(super) fn changed_slugs(&mut self) -> Vec<EntryRef> {
        let changed = core::mem::take(&mut self.node.ctx.changed.beside);
        changed.into_iter().collect()
    }
}

// The own feed.

impl Device {
    /// As [`Self::new`], after a restart: whether the own feed is complete is not known.
    pub(super) fn restarted() -> Self {
        let mut device = Self::new();
        device.person.own_feed = OwnFeed::default();
        device
    }

    pub(super) fn publish(&mut self, token: u16) -> Result<PostEntry, Error> {
        self.post(token, None)
    }

    /// Whether a command that writes waits.
    pub(super) fn waits(&mut self, request: u64) -> bool {
        let Node { ctx, net, .. } = &mut self.node;
        self.person
            .hold_until_checked(ctx, net, RequestId(request), publish(1))
            .is_none()
    }

    /// A neighbour has said all that it holds. Whether neighbours may learn of the whole feed from now on.
    pub(super) fn compared(&mut self, link: LinkId) -> bool {
        let Node { ctx, net, log, .. } = &mut self.node;
        self.person.own_feed.on_compared(ctx, net, log, link)
    }

    pub(super) fn ready(&mut self) -> Vec<u64> {
        let Node { ctx, net, .. } = &self.node;
        let ready = self.person.own_feed.take_ready(ctx, net);
        ready.iter().map(|(request, _)| request.0).collect()
    }

    /// An entry of the own feed arrives; it is signed here in place of the device's other copy.
    pub(super) fn fetched(&mut self, token: u16) -> EntryId {
        self.node.facts();
        self.publish(token).expect("published");
        let entries = self.own_entries();
        let entry = entries.last().expect("an entry");
        let Node { ctx, log, .. } = &mut self.node;
        self.person.on_arrived(ctx, log, entry);
        entry.id()
    }

    /// Whether neighbours may learn of the whole feed from now on.
    pub(super) fn on_timer(&mut self) -> bool {
        let Node { ctx, net, log, .. } = &mut self.node;
        self.person.own_feed.on_timer(ctx, net, log)
    }

    /// A neighbour says how far it holds the own feed.
    pub(super) fn heard(&mut self, next_seq: u64, head: EntryId) {
        let head = FeedHead {
            account: self.node.ctx.me().expect("an account"),
            device: self.node.ctx.device().expect("a device"),
            next_seq,
            head,
        };
        let Node { ctx, log, .. } = &mut self.node;
        self.person.on_own_feed_at(ctx, log, head);
    }

    /// An entry of another continuation of the own feed has arrived.
    pub(super) fn contradicted(&mut self) {
        let Node { ctx, log, .. } = &mut self.node;
        self.person.on_own_branch(ctx, log);
    }

    /// Another peer confirms the first `next_seq` entries of the own feed.
    pub(super) fn confirm(&mut self, next_seq: u64) {
        let device = self.node.ctx.device().expect("a device");
        let confirmed = Confirmed {
            peer: Remote::peer(90).id(),
            relay: false,
            device,
            next_seq,
            head: self.node.log.holders.own_id(device, next_seq - 1).expect("held"),
            signed_at: Timestamp(0),
        };
        self.node.log.confirm(&mut self.node.ctx, confirmed);
    }

    /// The rows of a cut are read; `false`: none is under way.
    pub(super) fn cut(&mut self) -> bool {
        let loads = self.node.loads();
        let Some(load) = loads.first() else {
            return false;
        };
        let rows = self.node.store.load(load);
        let Node { ctx, log, kinds, .. } = &mut self.node;
        self.person.on_cut_rows(ctx, log, kinds, Some(rows));
        self.node.persist();
        true
    }

    pub(super) fn next_seq(&self) -> u64 {
        let device = self.node.ctx.device().expect("a device");
        self.node.log.feeds.get(&device).map_or(0, |feed| feed.next_seq)
    }

    pub(super) fn shared(&self) -> u64 {
        let device = self.node.ctx.device().expect("a device");
        self.node.log.feeds.get(&device).map_or(0, |feed| feed.shared().0)
    }

    pub(super) fn own_entries(&mut self) -> Vec<VerifiedEntry> {
        let facts = self.node.facts().into_iter();
        let own = facts.filter_map(|fact| match fact {
            Fact::Appended { entry, .. } => Some(entry),
            _ => None,
        });
        own.collect()
    }
}

pub(super) fn publish(token: u16) -> Command {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&token.to_be_bytes());
    Command::Publish {
        token: bytes,
        text: format!("post {token}"),
        reply_to: None,
        slug: None,
    }
}

pub(super) fn writes(ops: &[Op], of: Table) -> usize {
    let writes = ops
        .iter()
        .filter(|op| matches!(op, Op::Put { table, .. } if *table == of));
    writes.count()
}
