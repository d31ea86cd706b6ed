//! Authors, their entries, and a registry, for tests.

use protocol::entry::Position;
use protocol::kinds::{Certificate, Post, Profile, ReplyTo};
use protocol::names::NameReceipt;
use protocol::{AccountId, Body, DeviceId, EntryId, EntryRef, KeyPair, Timestamp, VerifiedEntry};

use crate::api::MeView;
use crate::ctx::{Ctx, DirectoryMode, Local, Setup};
use crate::facts::Fact;
use crate::io::{Config, Now, Output};
use crate::kinds::{Indexed, Kinds, Viewer};
use crate::log::keys::FeedNumber;
use crate::memory::MemoryStore;
use crate::store::{Load, LoadId, Read, Rows, Table};

/// A device of an account, and the feed it writes.
pub(crate) struct Author {
    account: KeyPair,
    device: KeyPair,
    next: Position,
    /// Of the next entry.
    pub(crate) time: Timestamp,
}

impl Author {
    pub(crate) fn new(account: u8) -> Self {
        Self::with_device(account, 0)
    }

    /// Another device of the account.
    pub(crate) fn with_device(account: u8, device: u8) -> Self {
        Self {
            account: KeyPair::from_seed(&[account; 32]),
            device: KeyPair::from_seed(&[100 + account * 4 + device; 32]),
            next: Position {
                seq: 0,
                prev: EntryId::default(),
                lamport: 1,
            },
            time: Timestamp(1_000_000),
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        AccountId(self.account.public())
    }

    pub(crate) fn device(&self) -> DeviceId {
        DeviceId(self.device.public())
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.account
    }

    pub(crate) fn device_key(&self) -> &KeyPair {
        &self.device
    }

    pub(crate) fn viewer(&self) -> Viewer {
        Viewer {
            me: Some(self.account()),
        }
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::issue(&self.account, self.device(), "a device".into(), Timestamp(7))
    }

    /// The first entry of the feed.
    pub(crate) fn begin(&mut self) -> VerifiedEntry {
        self.write(&Body::Certificate(self.certificate()))
    }

    /// The next entry of the feed; a feed that has not begun gets its beginning, which is dropped.
    pub(crate) fn write(&mut self, body: &Body) -> VerifiedEntry {
        if self.next.seq == 0 && !matches!(body, Body::Certificate(_)) {
            self.begin();
        }
        let entry = VerifiedEntry::create(&self.device, self.next, self.account(), self.time, body);
        self.next = Position {
            seq: self.next.seq + 1,
            prev: entry.id(),
            lamport: self.next.lamport + 1,
        };
        self.time.0 += 1_000;
        entry
    }

    /// As [`Self::write`], with this Lamport time.
    pub(crate) fn write_at(&mut self, lamport: u64, body: &Body) -> VerifiedEntry {
        if self.next.seq == 0 {
            self.begin();
        }
        self.next.lamport = lamport;
        self.write(body)
    }

    pub(crate) fn post(&mut self, text: &str) -> VerifiedEntry {
        self.write(&Body::Post(post(text, None)))
    }

    pub(crate) fn post_at(&mut self, time: Timestamp, text: &str) -> VerifiedEntry {
        self.time = time;
        self.post(text)
    }

    /// `root`: the post that began the thread.
    pub(crate) fn answer(&mut self, text: &str, root: EntryRef, parent: EntryRef) -> VerifiedEntry {
        let reply = Some(ReplyTo { root, parent });
        self.write(&Body::Post(post(text, reply)))
    }

    pub(crate) fn call(&mut self, name: &str) -> VerifiedEntry {
        self.write(&Body::Profile(profile(name)))
    }
}

pub(crate) fn post(text: &str, reply: Option<ReplyTo>) -> Post {
    let text = text.to_owned();
    Post { text, reply }
}

pub(crate) fn profile(name: &str) -> Profile {
    Profile {
        name: name.to_owned(),
        bio: format!("{name} was here"),
    }
}

pub(crate) fn registry(number: u8) -> KeyPair {
    KeyPair::from_seed(&[240 + number; 32])
}

/// A receipt of the first registry: the handle is the account's.
pub(crate) fn handle(name: &str, account: AccountId, revision: u64) -> NameReceipt {
    NameReceipt::issue(&registry(0), name.into(), None, account, revision, Timestamp(9))
}

/// A receipt of the first registry: the slug is the post's.
pub(crate) fn slug(name: &str, post: EntryRef, revision: u64) -> NameReceipt {
    let (id, at) = (Some(post.id), Timestamp(9));
    NameReceipt::issue(&registry(0), name.into(), id, post.account, revision, at)
}

/// Of a person's device, or (`None`) of a peer without an account.
pub(crate) fn ctx(me: Option<&Author>, now: Now) -> Ctx {
    let local = me.map(|me| Local {
        key: me.device.clone(),
        features: 0,
        certificate: Some(me.certificate()),
    });
    let setup = Setup {
        local,
        feeds_max: 100,
        strict: false,
        signs_receipts: false,
        directory: DirectoryMode::Device,
        events: true,
    };
    Ctx::new(Config::browser(), [7; 32], now, setup)
}

/// Kinds with a store beneath.
pub(crate) struct Bench {
    pub(crate) ctx: Ctx,
    pub(crate) kinds: Kinds,
    pub(crate) store: MemoryStore,
    pub(crate) viewer: Viewer,
    pub(crate) outputs: Vec<Output>,
}

impl Bench {
    /// A peer that takes names from the first registry.
    pub(crate) fn new(viewer: Viewer) -> Self {
        let mut bench = Self::without_registry(viewer);
        bench.learn(0);
        bench
    }

    pub(crate) fn without_registry(viewer: Viewer) -> Self {
        Self {
            ctx: ctx(None, Now::default()),
            kinds: Kinds::default(),
            store: MemoryStore::default(),
            viewer,
            outputs: Vec::new(),
        }
    }

    /// A known relay names this registry.
    pub(crate) fn learn(&mut self, number: u8) {
        let id = protocol::names::RegistryId(registry(number).public());
        self.kinds.learn_registry(&mut self.ctx, id, false);
        self.flush();
    }

    pub(crate) fn index(&mut self, entry: &VerifiedEntry) -> Indexed {
        let (ctx, viewer) = (&mut self.ctx, self.viewer);
        let indexed = self
            .kinds
            .index(ctx, viewer, entry.header(), entry.id(), entry.body(), FEED);
        self.flush();
        indexed
    }

    pub(crate) fn unindex(&mut self, entry: &VerifiedEntry) {
        let (ctx, viewer) = (&mut self.ctx, self.viewer);
        self.kinds
            .unindex(ctx, viewer, entry.header(), entry.id(), entry.body(), FEED);
        self.flush();
    }

    /// Ends an input: what was written is in the store.
    pub(crate) fn flush(&mut self) {
        self.ctx.flush(Vec::new());
        while let Some(output) = self.ctx.poll_output() {
            match output {
                Output::Persist(batch) => self.store.apply(&batch),
                other => self.outputs.push(other),
            }
        }
    }

    pub(crate) fn read(&self, reads: Vec<Read>) -> Rows {
        let id = LoadId(1);
        self.store.load(&Load { id, reads })
    }

    /// The tables among these that have rows.
    pub(crate) fn used(&self, tables: &[Table]) -> Vec<Table> {
        let used = tables.iter().filter(|table| !self.store.is_empty(**table));
        used.copied().collect()
    }

    /// The same peer after a restart.
    pub(crate) fn restarted(&self) -> Self {
        let mut bench = Self::without_registry(self.viewer);
        bench.store = self.store.clone();
        for table in Kinds::STATE_TABLES {
            for (key, value) in bench.store.rows(*table) {
                let restored = bench.kinds.restore_row(*table, &key, &value);
                assert!(restored.is_some(), "a row of {table:?}");
            }
        }
        if let Some(id) = self.kinds.registry.id() {
            bench.kinds.restore_registry(&mut bench.ctx, id);
        }
        bench
    }

    pub(crate) fn me(&self) -> MeView {
        let account = self.viewer.me.expect("there is an account");
        let mut view = MeView {
            account,
            device: DeviceId::default(),
            name: String::new(),
            bio: String::new(),
            handle: String::new(),
            claim: None,
            offer: None,
            phrase_confirmed: true,
            devices: Vec::new(),
            following: 0,
            revoked: false,
            forked: false,
            relays_only: false,
            old_copy: false,
            set_aside: 0,
            elsewhere: false,
        };
        self.kinds.show_me(&mut view, self.viewer);
        view
    }

    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        core::iter::from_fn(|| self.ctx.next_fact()).collect()
    }

    /// The profiles of which there are events at the end of the input.
    pub(crate) fn changed(&mut self) -> Vec<AccountId> {
        let changed = core::mem::take(&mut self.ctx.changed);
        changed.profiles.into_iter().collect()
    }
}

/// The number of every feed here: only places in rows depend on it.
const FEED: FeedNumber = 3;
