//! Views: what interfaces read, and the events when it changes.
//!
//! What entries mean is a matter of [`crate::kinds`]; here their rows are paged through ([`paging`], [`thread`]), put
//! together with what the log and the neighbours know ([`profile`], [`completeness`], [`status`]), built again when
//! entries became void ([`reindex`]), and gathered into events ([`events`]).
//!
//! A query becomes a chain of loads, the last of which answers it. Each stage is a value that takes rows and returns
//! the next [`Step`]; [`Views`] keeps the stage by its load.

mod completeness;
mod events;
mod paging;
mod posts;
mod profile;
mod reindex;
mod status;
#[cfg(test)]
mod testing;
mod thread;

use ordered::Map;
use protocol::{AccountId, DeviceId, EntryId, VerifiedEntry};

use crate::api::{
    ClaimView, Error, OfferView, Query, QueryResult, QuotaView, Response, StoreState, Timeline,
};
use crate::ctx::{Ctx, LoadOwner};
use crate::io::RequestId;
use crate::kinds::{self, Indexed, Kinds, Viewer};
use crate::log::Log;
use crate::net::Net;
use crate::store::{LoadId, Read, Rows};
use crate::sync::Sync;

use events::Events;
pub(crate) use posts::post_view;
pub(crate) use profile::me_view;
use reindex::Reindex;
pub(crate) use status::status;

/// Loads under way at once, over all parts. Policy when full: further queries are refused as busy.
const LOADS_MAX: usize = 1_024;

/// What views read.
#[derive(Clone, Copy)]
pub(crate) struct ViewContext<'a> {
    pub(crate) viewer: Viewer,
    pub(crate) log: &'a Log,
    pub(crate) kinds: &'a Kinds,
    pub(crate) net: &'a Net,
    pub(crate) sync: &'a Sync,
    pub(crate) role: &'a dyn RoleView,
}

/// What this peer's role knows that views show.
pub(crate) trait RoleView {
    /// Whether neighbours may still come up with feeds of this account.
    fn searching(&self, _account: &AccountId) -> bool {
        false
    }

    /// How many relays should hold an own entry.
    fn relays_known(&self) -> u32;

    /// What is asked of the registry about an own post.
    fn claim(&self, _post: &EntryId) -> Option<ClaimView> {
        None
    }

    /// Whether the recovery phrase was confirmed; so it is without an account.
    fn phrase_confirmed(&self) -> bool {
        true
    }

    /// A quota of a relay that keeps it from taking more.
    fn quota(&self) -> Option<QuotaView> {
        None
    }

    /// This device of the own account, if there is one.
    fn own(&self) -> Option<OwnView> {
        None
    }
}

/// What a person's device knows of itself and entries do not say.
#[derive(Clone, Debug)]
pub(crate) struct OwnView {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// What was asked of the registry about the handle.
    pub(crate) claim: Option<ClaimView>,
    /// To whom the handle is offered.
    pub(crate) offer: Option<OfferView>,
    pub(crate) relays_only: bool,
    /// The store is an old copy of the device.
    pub(crate) old_copy: bool,
    /// Posts that are to be issued again.
    pub(crate) set_aside: u32,
    pub(crate) elsewhere: bool,
}

/// A query that is not about views, or that the network has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered {
    pub(crate) request: RequestId,
    pub(crate) query: Query,
}

/// What comes next in answering a query.
#[derive(Debug)]
enum Step {
    Response(Response),
    Read(Vec<Read>, Reading),
    /// Nothing here answers it.
    Unknown(Query),
}

impl Step {
    fn reply(reply: QueryResult) -> Self {
        Self::Response(Response::Result(Box::new(reply)))
    }
}

impl From<kinds::Step> for Step {
    fn from(step: kinds::Step) -> Self {
        match step {
            kinds::Step::Response(answer) => Self::Response(answer),
            kinds::Step::Read(reads, reading) => Self::Read(reads, Reading::Kind(reading)),
            kinds::Step::Unknown(query) => Self::Unknown(query),
        }
    }
}

/// A query whose rows are being read.
#[derive(Debug)]
enum Reading {
    Page(Box<paging::Page>),
    Thread(Box<thread::Thread>),
    Holders,
    Kind(Box<dyn kinds::Reading>),
}

impl Reading {
    fn on_rows(self, context: &ViewContext<'_>, rows: Rows) -> Step {
        match self {
            Self::Page(page) => page.on_rows(context, rows),
            Self::Thread(thread) => thread.on_rows(context, rows),
            Self::Holders => posts::on_place_rows(context, &rows),
            Self::Kind(reading) => context.kinds.on_rows(reading, rows, context.viewer).into(),
        }
    }
}

/// The account that a query is about: its feeds are wanted from now on, if they are not yet.
pub(crate) fn subject(query: &Query) -> Option<AccountId> {
    match query {
        Query::Profile { account }
        | Query::Timeline {
            timeline: Timeline::User(account),
            ..
        } => Some(*account),
        Query::Thread { post } => Some(post.account),
        _ => None,
    }
}

#[derive(Debug)]
pub(crate) struct Views {
    readings: Map<LoadId, (RequestId, Reading)>,
    reindex: Reindex,
    events: Events,
}

impl Views {
    /// `events`: there are interfaces that listen.
    pub(crate) fn new(events: bool) -> Self {
        Self {
            readings: Map::new(),
            reindex: Reindex::default(),
            events: Events::new(events),
        }
    }

    /// Answers a query, now or once rows are read. Returns it if it is not about views.
    pub(crate) fn on_query(
        &mut self,
        ctx: &mut Ctx,
        context: &ViewContext<'_>,
        request: RequestId,
        query: Query,
    ) -> Option<Unanswered> {
        if ctx.loads_len() >= LOADS_MAX {
            ctx.answer(request, Response::Error(Error::Busy));
            return None;
        }
        let step = match query {
            Query::Me => Step::reply(QueryResult::Me(me_view(context))),
            Query::Timeline {
                timeline,
                after,
                limit,
            } => paging::begin(timeline, after, limit, ctx.now.wall),
            Query::Thread { post } => thread::begin(post),
            Query::Profile { account } => {
                Step::reply(QueryResult::Profile(profile::whole(context, &account)))
            }
            Query::Following => Step::reply(QueryResult::Profiles(profile::followed(context))),
            Query::Holders { post } => posts::locate(&post.id),
            Query::Status => Step::reply(QueryResult::Status(status(ctx, context))),
            query => match context.kinds.query(&query, context.viewer) {
                Some(step) => step.into(),
                None => Step::Unknown(query),
            },
        };
        self.go_on(ctx, request, step)
    }

    /// Rows of a load of [`LoadOwner::View`]; `None`: it failed. Returns the query if they do not answer it.
    pub(crate) fn on_rows(
        &mut self,
        ctx: &mut Ctx,
        context: &ViewContext<'_>,
        load: LoadId,
        rows: Option<Rows>,
    ) -> Option<Unanswered> {
        let rows = self.events.on_rows(ctx, context, load, rows).err()?;
        let (request, reading) = self.readings.remove(&load)?;
        let step = match rows {
            Some(rows) => reading.on_rows(context, rows),
            None => Step::Response(Response::Error(Error::Store(StoreState::Failing))),
        };
        self.go_on(ctx, request, step)
    }

    fn go_on(&mut self, ctx: &mut Ctx, request: RequestId, step: Step) -> Option<Unanswered> {
        match step {
            Step::Response(answer) => ctx.answer(request, answer),
            Step::Read(reads, reading) => {
                let load = ctx.load(LoadOwner::View, reads);
                self.readings.insert(load, (request, reading));
            }
            Step::Unknown(query) => return Some(Unanswered { request, query }),
        }
        None
    }

    /// An entry was appended to its feed: it is added to the views.
    pub(crate) fn on_appended(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        kinds: &mut Kinds,
        entry: &VerifiedEntry,
    ) -> Indexed {
        let (header, viewer) = (entry.header(), Viewer::of(ctx));
        let Some(feed) = log.feeds.get_mut(&header.device) else {
            return Indexed::default();
        };
        let indexed = kinds.index(ctx, viewer, header, entry.id(), entry.body(), feed.number);
        if let Some(post) = &indexed.post {
            feed.posts += 1;
            log.touch(header.device);
            if viewer.is(&header.account) {
                log.holders
                    .record_own_post(header.device, header.seq, entry.entry_ref());
            }
            self.events.record_post(post);
        }
        indexed
    }

    /// Before an input ends: reads what its events need.
    pub(crate) fn read_changed(&mut self, ctx: &mut Ctx) {
        self.events.read_changed(ctx);
    }

    /// Ends an input: gives the events of what it changed.
    pub(crate) fn flush_events(&mut self, ctx: &mut Ctx, context: &ViewContext<'_>) {
        self.events.flush(ctx, context);
    }

    /// The store was read.
    pub(crate) fn on_ready(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds) {
        self.events.on_ready(ctx);
        self.reindex.begin_new_kinds(log);
        self.reindex.go_on(ctx, log, kinds);
    }

    /// A row of [`crate::store::Table::Meta`]: work that the last run did not finish, or how far it was. `None`: it is
    /// none of this.
    pub(crate) fn restore(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        self.reindex.restore(key, value)
    }

    /// Entries of the account became void: those that are left are indexed again.
    pub(crate) fn reindex(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds, account: AccountId) {
        self.reindex.begin(ctx, account);
        self.reindex.go_on(ctx, log, kinds);
    }

    /// Throws all views away and indexes all entries again.
    pub(crate) fn rebuild(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds) {
        self.reindex.begin_all(ctx);
        self.reindex.go_on(ctx, log, kinds);
    }

    /// Rows of a load of [`LoadOwner::Reindex`].
    pub(crate) fn on_reindex_rows(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        kinds: &mut Kinds,
        load: LoadId,
        rows: Rows,
    ) {
        self.reindex.on_rows(ctx, log, kinds, load, rows);
    }

    /// A load of [`LoadOwner::Reindex`] failed: it is tried again by [`Self::on_timer`].
    pub(crate) fn on_reindex_failed(&mut self, load: LoadId) {
        self.reindex.on_load_failed(load);
    }

    /// Once a second.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds) {
        self.reindex.on_timer(ctx, log, kinds);
    }

    /// Whether entries are being indexed again, or are to be: until then an account may seem to have said nothing.
    pub(crate) fn is_reindexing(&self) -> bool {
        self.reindex.is_busy()
    }
}
