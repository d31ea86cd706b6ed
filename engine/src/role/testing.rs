//! For tests of a whole peer without its engine: what routes facts and loads is the test.

use std::collections::BTreeSet;

use protocol::link::handshake::Side;
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{FeedHead, Message};
use protocol::{Instant, Timestamp, VerifiedEntry};

use crate::api::{Command, Query, Response};
use crate::ctx::{Ctx, LoadOwner};
use crate::facts::Fact;
use crate::io::{Config, LinkId, Now, Output, RequestId};
use crate::log::append::Taken;
use crate::memory::MemoryStore;
use crate::parts::Parts;
use crate::store::{BatchId, Load, LoadId, Rows};
use crate::testing::{Remote, Wire, receive};

use super::{Role, messages, requests};

/// The number of the last request of a test.
const REQUEST: RequestId = RequestId(77);

pub(crate) struct Peer {
    pub(crate) ctx: Ctx,
    pub(crate) role: Role,
    pub(crate) parts: Parts,
    pub(crate) store: MemoryStore,
    wire: Wire,
    /// Outputs other than frames and batches that were not looked at.
    outputs: Vec<Output>,
}

impl Peer {
    /// A peer with an empty store, which was read.
    pub(crate) fn new(config: Config) -> Self {
        let mut peer = Self::unread(config);
        peer.ctx.ready = true;
        peer.parts.net.begin_overlay(&mut peer.ctx);
        peer
    }

    /// A peer that has not read its store.
    pub(crate) fn unread(config: Config) -> Self {
        let now = Now {
            instant: Instant(1_000_000_000),
            wall: Timestamp(1_700_000_000_000),
        };
        let (role, setup) = Role::new(&config, now);
        Self {
            parts: Parts::new(&config, now, &setup),
            ctx: Ctx::new(config, [7; 32], now, setup),
            role,
            store: MemoryStore::default(),
            wire: Wire::default(),
            outputs: Vec::new(),
        }
    }

    /// A person's device with an account, all of which is on disk.
    pub(crate) fn person() -> Self {
        let mut peer = Self::new(Config::browser());
        let (name, device_name) = ("Ada".to_owned(), "laptop".to_owned());
        let created = peer.command(Command::CreateAccount { name, device_name });
        assert!(matches!(created, Some(Response::Done(_))), "{created:?}");
        peer.persist();
        peer.parts.net.begin_overlay(&mut peer.ctx);
        peer
    }

    #[cfg(feature = "relay")]
    pub(crate) fn relay() -> Self {
        Self::new(Config::relay(protocol::KeyPair::from_seed(&[90; 32])))
    }

    /// Lets time pass, without any timer.
    pub(crate) fn pass(&mut self, time: core::time::Duration) {
        self.ctx.now.instant = self.ctx.now.instant + time;
        self.ctx.now.wall = self.ctx.now.wall.plus(time);
    }

    /// Opens a channel, on which nothing is proven.
    pub(crate) fn open(&mut self) -> LinkId {
        self.wire
            .open(&mut self.ctx, &mut self.parts.net, Side::Responder)
    }

    /// A peer becomes a neighbour; the facts about it are left to the test.
    pub(crate) fn neighbour(&mut self, remote: &Remote) -> LinkId {
        let link = self.open();
        let Self { ctx, parts, wire, .. } = self;
        let (net, directory) = (&mut parts.net, &parts.directory);
        wire.prove(ctx, net, directory, link, Side::Responder, remote.clone());
        let join = Message::Request(Request::alone(Wish::Join));
        receive(ctx, net, directory, link, &join);
        while net.pump(ctx, directory) {}
        let session = net.session(link).expect("a proven peer");
        assert!(session.neighbour, "the peer was accepted");
        self.sent(link);
        link
    }

    /// A relay that this peer knows becomes a neighbour.
    pub(crate) fn link_known(&mut self, relay: &Remote) -> LinkId {
        let Self { ctx, parts, .. } = self;
        parts.net.know_relay(ctx, relay.id(), String::new());
        let link = self.neighbour(relay);
        self.parts.sync.spread.on_up(link);
        self.facts();
        link
    }

    /// Entries are held, indexed and on disk.
    pub(crate) fn hold(&mut self, entries: &[VerifiedEntry]) {
        for entry in entries {
            let Self { ctx, parts, .. } = self;
            let taken = parts.log.take_in(ctx, None, entry.entry().clone(), false);
            assert!(matches!(taken, Ok(Taken::Appended { .. })), "{taken:?}");
            parts.on_appended(ctx, entry);
        }
        self.persist();
        self.facts();
    }

    /// How far the own feed is held.
    pub(crate) fn own_head(&self) -> FeedHead {
        let device = self.ctx.device().expect("a person's device");
        let feed = self.parts.log.feeds.get(&device).expect("a feed");
        FeedHead {
            account: feed.account,
            device,
            next_seq: feed.next_seq,
            head: feed.head,
        }
    }

    /// The role takes a message of a neighbour.
    pub(crate) fn receive(&mut self, link: LinkId, message: Message) {
        let len = message.encode().len();
        let Self { ctx, role, parts, .. } = self;
        messages::on_received(role, ctx, parts, link, message, len);
    }

    /// The answer to a command, if there is one at once. What the device wrote is indexed.
    pub(crate) fn command(&mut self, command: Command) -> Option<Response> {
        let Self { ctx, role, parts, .. } = self;
        requests::on_command(role, ctx, parts, REQUEST, command);
        for fact in self.facts() {
            if let Fact::Appended { entry, .. } = fact {
                self.parts.on_appended(&mut self.ctx, &entry);
            }
        }
        self.answer()
    }

    /// The answer to a query, if there is one at once.
    pub(crate) fn query(&mut self, query: Query) -> Option<Response> {
        let Self { ctx, role, parts, .. } = self;
        requests::on_query(role, ctx, parts, REQUEST, query);
        self.answer()
    }

    fn answer(&mut self) -> Option<Response> {
        self.flush();
        let answers = self.outputs.extract_if(.., is_answer);
        answers.last().map(|output| match output {
            Output::Response { response: answer, .. } => answer,
            other => panic!("{other:?}"),
        })
    }

    /// The rows of a load that `owner` waits for, or (`None`) that it failed.
    pub(crate) fn on_rows(&mut self, owner: LoadOwner, load: LoadId, rows: Option<Rows>) {
        let Self { ctx, role, parts, .. } = self;
        role.on_rows(ctx, parts, owner, load, rows);
    }

    /// The loads that were asked for, each with the part that waits for it. Other outputs are kept.
    pub(crate) fn loads(&mut self) -> Vec<(LoadOwner, Load)> {
        let mut loads = Vec::new();
        for output in self.outputs() {
            if let Output::Load(load) = output {
                let owner = self.ctx.end_load(load.id).expect("a part waits for it");
                loads.push((owner, load));
            } else {
                self.outputs.push(output);
            }
        }
        loads
    }

    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        core::iter::from_fn(|| self.ctx.next_fact()).collect()
    }

    pub(crate) fn sent(&mut self, link: LinkId) -> Vec<Message> {
        self.wire.sent(&mut self.ctx, link)
    }

    /// Ends the input: what was written is in the store, but was not reported as persisted.
    fn flush(&mut self) {
        for output in self.wire.outputs(&mut self.ctx) {
            match output {
                Output::Persist(batch) => self.store.apply(&batch),
                other => self.outputs.push(other),
            }
        }
    }

    /// Outputs other than frames and batches since this was last asked.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        self.flush();
        core::mem::take(&mut self.outputs)
    }

    /// What was written so far is on disk.
    pub(crate) fn persist(&mut self) {
        let Self { ctx, role, parts, .. } = self;
        let reached = parts.log.flush(ctx);
        let due = ctx.flush(reached);
        let last = BatchId(ctx.next_batch().0 - 1);
        role.on_persisted(ctx, parts, last);
        #[cfg(feature = "relay")]
        while parts.sync.has_unconfirmed() {
            parts.tick(ctx);
        }
        if let Some(commit) = due {
            parts.sync.grant_consumed(ctx, &commit.consumed);
        }
        self.flush();
    }

    /// The number of the claim that is sent to the registry, once it is on disk.
    pub(crate) fn claim_request(&mut self, link: LinkId) -> u32 {
        for _ in 0..4 {
            self.persist();
            let Self { ctx, role, parts, .. } = self;
            role.on_timer(ctx, parts);
        }
        let asked = self.sent(link).into_iter().find_map(|message| match message {
            Message::NameQuestion(asked) => Some(asked.request),
            _ => None,
        });
        asked.expect("a claim is sent")
    }

    /// What an act did: the parts that it changed, the facts it recorded, what it sent, read and answered; in alphabetical order.
    pub(crate) fn effects(&mut self, link: LinkId, act: impl FnOnce(&mut Self)) -> String {
        self.facts();
        self.sent(link);
        self.outputs();
        let before = self.parts_now();
        act(self);
        let after = self.parts_now();
        let changed = before.into_iter().zip(after);
        let changed = changed.filter(|((_, before), (_, after))| before != after);
        let mut effects: BTreeSet<String> = changed.map(|((name, _), _)| name.to_owned()).collect();
        effects.extend(self.facts().iter().map(|fact| name("fact", fact)));
        effects.extend(self.sent(link).iter().map(|message| name("sent", message)));
        for output in self.outputs() {
            effects.insert(match &output {
                Output::Response { response: answer, .. } => match answer {
                    Response::Error(error) => name("refused", error),
                    Response::Done(done) => name("done", done),
                    Response::Result(result) => name("result", result),
                },
                other => name("output", other),
            });
        }
        effects.into_iter().collect::<Vec<_>>().join(" ")
    }

    fn parts_now(&self) -> [(&'static str, String); 8] {
        let parts = &self.parts;
        [
            ("role", format!("{:?}", self.role)),
            ("log", format!("{:?}", parts.log)),
            ("net", format!("{:?}", parts.net)),
            ("sync", format!("{:?}", parts.sync)),
            ("kinds", format!("{:?}", parts.kinds)),
            ("views", format!("{:?}", parts.views)),
            ("directory", format!("{:?}", parts.directory)),
            ("lookups", format!("{:?}", parts.lookups)),
        ]
    }
}

fn is_answer(output: &mut Output) -> bool {
    matches!(output, Output::Response { .. })
}

/// The name of a variant after what it is.
fn name(of: &str, value: &impl core::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    format!("{of}:{}", &text[..end])
}
