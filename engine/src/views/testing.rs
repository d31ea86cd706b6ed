//! A peer's log, kinds and views over a store in memory, for tests.

use protocol::names::RegistryId;
use protocol::{AccountId, Body, DeviceId, EntryId, EntryRef, Timestamp, VerifiedEntry};

use super::{OwnView, RoleView, Unanswered, ViewContext, Views};
use crate::api::{
    ClaimView, Cursor, Event, Page, PostView, Query, QueryResult, Response, ThreadView, Timeline,
};
use crate::ctx::{Ctx, LoadOwner};
use crate::facts::Fact;
use crate::io::{Now, Output, RequestId};
use crate::kinds::testing::{Author, ctx, registry};
use crate::kinds::{Kinds, Viewer};
use crate::log::Log;
use crate::log::append::Taken;
use crate::log::records::FeedRecord;
use crate::memory::MemoryStore;
use crate::net::Net;
use crate::store::{Load, Table};
use crate::sync::Sync;

/// What the role says.
#[derive(Debug, Default)]
pub(super) struct TestRole {
    pub(super) searching: Vec<AccountId>,
    pub(super) claims: Vec<(EntryId, ClaimView)>,
    pub(super) own: Option<OwnView>,
    pub(super) phrase_unconfirmed: bool,
}

impl RoleView for TestRole {
    fn searching(&self, account: &AccountId) -> bool {
        self.searching.contains(account)
    }

    fn relays_known(&self) -> u32 {
        3
    }

    fn claim(&self, post: &EntryId) -> Option<ClaimView> {
        let claim = self.claims.iter().find(|(of, _)| of == post);
        claim.map(|(_, claim)| claim.clone())
    }

    fn own(&self) -> Option<OwnView> {
        self.own.clone()
    }

    fn phrase_confirmed(&self) -> bool {
        !self.phrase_unconfirmed
    }
}

/// Borrows what views read and nothing else of the peer.
macro_rules! context {
    ($peer:ident) => {
        ViewContext {
            viewer: Viewer::of(&$peer.ctx),
            log: &$peer.log,
            kinds: &$peer.kinds,
            net: &$peer.net,
            sync: &$peer.sync,
            role: &$peer.role,
        }
    };
}

pub(super) struct Peer {
    pub(super) ctx: Ctx,
    pub(super) log: Log,
    pub(super) kinds: Kinds,
    pub(super) net: Net,
    pub(super) sync: Sync,
    pub(super) views: Views,
    pub(super) role: TestRole,
    pub(super) store: MemoryStore,
    /// Loads fail.
    pub(super) broken: bool,
    /// Loads are kept for [`Self::serve`].
    pub(super) slow: bool,
    waiting: Vec<Load>,
    pub(super) events: Vec<Event>,
    answers: Vec<(RequestId, Response)>,
    pub(super) unanswered: Vec<Unanswered>,
    /// Accounts that were indexed again.
    pub(super) reindexed: Vec<AccountId>,
}

impl Peer {
    /// The device of this author, or (`None`) a peer without an account.
    pub(super) fn new(me: Option<&Author>) -> Self {
        Self::with_store(me, MemoryStore::default(), true, false)
    }

    fn with_store(me: Option<&Author>, store: MemoryStore, events: bool, slow: bool) -> Self {
        let now = Now {
            wall: Timestamp(1_000_000),
            ..Now::default()
        };
        let mut peer = Self {
            ctx: ctx(me, now),
            log: Log::new(100),
            kinds: Kinds::default(),
            net: Net::new(),
            sync: Sync::new(),
            views: Views::new(events),
            role: TestRole::default(),
            store,
            broken: false,
            slow,
            waiting: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            unanswered: Vec::new(),
            reindexed: Vec::new(),
        };
        peer.restore();
        peer.ctx.ready = true;
        peer.views.on_ready(&mut peer.ctx, &mut peer.log, &mut peer.kinds);
        let id = RegistryId(registry(0).public());
        peer.kinds.learn_registry(&mut peer.ctx, id, false);
        peer.settle();
        peer.events.clear();
        peer
    }

    /// A peer that gives no events.
    pub(super) fn silent() -> Self {
        Self::with_store(None, MemoryStore::default(), false, false)
    }

    /// The same peer after a crash: what is not in the store is gone.
    pub(super) fn restarted(&self, me: Option<&Author>) -> Self {
        Self::with_store(me, self.store.clone(), true, false)
    }

    /// As [`Self::restarted`]; the loads of the start are kept for [`Self::serve`].
    pub(super) fn restarted_slowly(&self) -> Self {
        Self::with_store(None, self.store.clone(), true, true)
    }

    fn restore(&mut self) {
        for (key, row) in self.store.rows(Table::Feeds) {
            let device = DeviceId(key.try_into().expect("a key"));
            let (record, _) = FeedRecord::parse(&row).expect("a feed");
            self.log.feeds.restore(device, record);
        }
        for table in Kinds::STATE_TABLES {
            for (key, value) in self.store.rows(*table) {
                self.kinds.restore_row(*table, &key, &value).expect("a row");
            }
        }
        for (key, value) in self.store.rows(Table::Meta) {
            // Rows of others are none of this.
            let _ = self.views.restore(&key, &value);
        }
    }

    pub(super) fn context(&self) -> ViewContext<'_> {
        context!(self)
    }

    /// Entries come in with one input.
    pub(super) fn take(&mut self, entries: &[VerifiedEntry]) {
        self.take_unsettled(entries);
        self.settle();
    }

    fn take_unsettled(&mut self, entries: &[VerifiedEntry]) {
        for entry in entries {
            let taken = self
                .log
                .take_in(&mut self.ctx, None, entry.entry().clone(), false);
            match taken.expect("an honest author") {
                Taken::Appended { entry, .. } => {
                    let (ctx, log, kinds) = (&mut self.ctx, &mut self.log, &mut self.kinds);
                    self.views.on_appended(ctx, log, kinds, &entry);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Ends an input, and those of the loads that it makes.
    pub(super) fn settle(&mut self) {
        loop {
            let facts: Vec<_> = core::iter::from_fn(|| self.ctx.next_fact()).collect();
            for fact in facts {
                match fact {
                    Fact::Reindexed(account) => self.reindexed.push(account),
                    Fact::Voided(account) => {
                        let (ctx, log, kinds) = (&mut self.ctx, &mut self.log, &mut self.kinds);
                        self.views.reindex(ctx, log, kinds, account);
                    }
                    _ => {}
                }
            }
            let reached = self.log.flush(&mut self.ctx);
            self.views.read_changed(&mut self.ctx);
            self.ctx.flush(reached);
            let context = context!(self);
            self.views.flush_events(&mut self.ctx, &context);
            while let Some(output) = self.ctx.poll_output() {
                match output {
                    Output::Persist(batch) => self.store.apply(&batch),
                    Output::Load(load) => self.waiting.push(load),
                    Output::Event(event) => self.events.push(event),
                    Output::Response { id, response } => self.answers.push((id, response)),
                    _ => {}
                }
            }
            if self.slow || !self.serve() {
                return;
            }
        }
    }

    /// Executes the loads that wait. Whether there were any.
    pub(super) fn serve(&mut self) -> bool {
        let waiting = core::mem::take(&mut self.waiting);
        let any = !waiting.is_empty();
        for load in waiting {
            let owner = self.ctx.end_load(load.id);
            let rows = self.store.load(&load);
            let context = context!(self);
            match (owner, self.broken) {
                (Some(LoadOwner::View), broken) => {
                    let rows = (!broken).then_some(rows);
                    let unanswered = self.views.on_rows(&mut self.ctx, &context, load.id, rows);
                    self.unanswered.extend(unanswered);
                }
                (Some(LoadOwner::Reindex), false) => {
                    let (ctx, log, kinds) = (&mut self.ctx, &mut self.log, &mut self.kinds);
                    self.views.on_reindex_rows(ctx, log, kinds, load.id, rows);
                }
                (Some(LoadOwner::Reindex), true) => self.views.on_reindex_failed(load.id),
                other => panic!("{other:?}"),
            }
        }
        any
    }

    /// Asks; the answer, if there is one.
    pub(super) fn ask(&mut self, query: Query) -> Option<Response> {
        let request = RequestId(9);
        let context = context!(self);
        let unanswered = self.views.on_query(&mut self.ctx, &context, request, query);
        self.unanswered.extend(unanswered);
        self.settle();
        self.answers.pop().map(|(id, answer)| {
            assert_eq!((id, self.answers.len()), (request, 0), "one answer to each ask");
            answer
        })
    }

    fn reply(&mut self, query: Query) -> QueryResult {
        match self.ask(query) {
            Some(Response::Result(reply)) => *reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn page(&mut self, timeline: Timeline, after: Option<Cursor>, limit: u32) -> Page {
        let query = Query::Timeline {
            timeline,
            after,
            limit,
        };
        match self.reply(query) {
            QueryResult::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn page_of(&mut self, author: &Author) -> Vec<PostView> {
        self.page(Timeline::User(author.account()), None, 100).posts
    }

    /// The texts of a timeline's first page.
    pub(super) fn texts(&mut self, timeline: Timeline) -> Vec<String> {
        texts(&self.page(timeline, None, 100).posts)
    }

    pub(super) fn thread(&mut self, post: EntryRef) -> ThreadView {
        match self.reply(Query::Thread { post }) {
            QueryResult::Thread(thread) => thread,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn texts(posts: &[PostView]) -> Vec<String> {
    posts.iter().map(|post| post.text.clone()).collect()
}

/// A feed of `n` posts after its beginning, a second apart, called `0` and so on.
pub(super) fn feed_of(author: &mut Author, n: usize) -> Vec<VerifiedEntry> {
    let mut entries = vec![author.begin()];
    entries.extend((0..n).map(|n| author.post(&n.to_string())));
    entries
}

pub(super) fn follow(author: &mut Author, account: AccountId) -> VerifiedEntry {
    author.write(&Body::Follow(protocol::kinds::Follow { account, on: true }))
}
