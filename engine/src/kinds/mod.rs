//! What entries say, one folder a kind of entry.
//!
//! A folder holds all that the engine does with its kind: the rows that an entry puts into the store, what it changes
//! in memory, what it adds to the view of a post, of a profile and of the own account, the command that writes it, and
//! the query that reads it. [`kinds!`] below is the only list of them: the tables that are read whole at the start,
//! cleared before a rebuild and emptied with an account, the reads beside a post and every dispatch derive from it. It
//! has to name each variant of [`Body`], or this does not compile.
//!
//! Invariants: the same entries give the same views on every peer, in whatever order they came. Rows depend on their
//! entry (and on who is looking) alone, so indexing an entry twice changes nothing, and removing one deletes exactly
//! what adding it put. Where one entry replaces another, the greatest [`Precedence`] wins. No folder names another
//! one; what they share is here.

mod devices;
mod follows;
mod handles;
mod posts;
mod profiles;
mod reactions;
mod registry;
mod slugs;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use core::fmt::Debug;

use protocol::entry::Header;
use protocol::kinds::{EntryBody, Kind};
use protocol::names::{NameReceipt, RegistryId};
use protocol::{AccountId, Body, DeviceId, EntryId, EntryRef};
use serde::{Deserialize, Serialize};

use crate::api::{Beside, Command, Error, MeView, PostView, ProfileView, Query, Response};
use crate::ctx::Ctx;
use crate::log::keys::{EntryPlace, FeedNumber};
use crate::store::{Op, Read, Row, Rows, Table};

pub(crate) use posts::{PostEntry, TimelineRows, answers, place_of, timeline};
pub(crate) use registry::Registry;
pub(crate) use slugs::Slugs;

/// A body that means something here.
pub(crate) trait EntryKind: Sized {
    /// What the folder keeps in memory: [`Stateless`] if nothing.
    type State: KindState;
    /// Every table that [`Self::rows`] names. A rebuild clears them whole.
    const TABLES: &'static [Table];

    /// The rows that the entry puts into the store; taking the entry out deletes the same rows.
    fn rows(&self, entry: &EntryInfo<'_>, viewer: Viewer) -> Vec<IndexRow>;

    /// What the entry changes beyond its rows.
    fn apply(self, state: &mut Self::State, indexing: &mut Indexing<'_>, entry: &EntryInfo<'_>) -> Indexed;

    /// What is read beside a post for its view; how many reads there are is the same for every post.
    fn around(_post: &EntryRef, _viewer: Viewer) -> Vec<Read> {
        Vec::new()
    }

    /// Adds to a post's view what the reads of [`Self::around`] found, in their order.
    fn decorate(_beside: &mut Beside, _rows: &[Vec<Row>], _context: &ViewContext<'_>) {}

    /// The post that the entry says something about: what [`Self::around`] finds there may have changed.
    fn beside(&self, _entry: &EntryInfo<'_>) -> Option<EntryRef> {
        None
    }

    /// Bodies of every shape that matters to the rows.
    #[cfg(test)]
    fn samples() -> Vec<Self>;
}

/// What a folder keeps in memory over all entries of its kinds, and what it says of all of them.
pub(crate) trait KindState: Default {
    /// The tables that hold it, read whole at the start. Not among the tables of any [`EntryKind::TABLES`].
    const TABLES: &'static [Table];

    /// Takes in a row of [`Self::TABLES`]. `None`: it is not what was written there.
    fn restore(&mut self, _registry: &mut Registry, _table: Table, _key: &[u8], _value: &[u8]) -> Option<()> {
        const {
            assert!(
                Self::TABLES.is_empty(),
                "a state with tables says how it is restored"
            );
        }
        None
    }

    /// The account's entries are about to be indexed again: what they said no longer counts.
    fn clear_account(&mut self, _ctx: &mut Ctx, _viewer: Viewer, _account: &AccountId) {
        const {
            assert!(
                Self::TABLES.is_empty(),
                "a state with tables says how it is cleared"
            );
        }
    }

    /// The account's feeds are no longer held.
    fn forget_account(&mut self, _ctx: &mut Ctx, _account: &AccountId) {
        const {
            assert!(
                Self::TABLES.is_empty(),
                "a state with tables says what it forgets"
            );
        }
    }

    /// This peer takes names from another registry than before.
    fn on_registry(&mut self, _ctx: &mut Ctx, _registry: &mut Registry) {}

    /// Adds to a profile what memory knows.
    fn show_profile(&self, _view: &mut ProfileView, _context: &ViewContext<'_>) {}

    /// Adds to the own account what memory knows.
    fn show_me(&self, _view: &mut MeView, _context: &ViewContext<'_>) {}

    /// What a command wants written. `None`: the command is none of these kinds'.
    fn draft(&self, _command: &Command, _viewer: Viewer) -> Option<Draft> {
        None
    }

    /// Begins to answer a query. `None`: the query is none of these kinds'.
    fn query(&self, _query: &Query, _context: &ViewContext<'_>) -> Option<Step> {
        None
    }
}

/// Nothing is kept in memory.
#[derive(Debug, Default)]
pub(crate) struct Stateless;

impl KindState for Stateless {
    const TABLES: &'static [Table] = &[];
}

macro_rules! kinds {
    ($($folder:ident: $($kind:ident),+;)*) => {
        /// The state of every kind.
        #[derive(Debug, Default)]
        pub(crate) struct Kinds {
            registry: Registry,
            $($folder: $folder::State,)*
        }

        /// Tables of rows that each stem from one entry: a rebuild clears them.
        const INDEX: &[&[Table]] = &[$($(<$folder::$kind as EntryKind>::TABLES),+),*];
        /// Tables of what is in memory.
        const STATE: &[&[Table]] = &[$(<$folder::State as KindState>::TABLES),*];

        impl Kinds {
            /// The kinds of entries that are indexed.
            pub(crate) const INDEXED: &'static [Kind] = &[$($(<$folder::$kind as EntryBody>::KIND),+),*];

            /// Adds an entry to the views.
            pub(crate) fn index(
                &mut self,
                ctx: &mut Ctx,
                viewer: Viewer,
                header: &Header,
                id: EntryId,
                body: &[u8],
                number: FeedNumber,
            ) -> Indexed {
                let entry = EntryInfo { header, id, number };
                let registry = &mut self.registry;
                let mut indexing = Indexing { ctx, viewer, registry };
                match Body::decode(header.kind, body) {
                    $($(Some(Body::$kind(body)) => {
                        index::<$folder::$kind>(body, &mut self.$folder, &mut indexing, &entry)
                    })+)*
                    None => Indexed::default(),
                }
            }

            /// Takes an entry that became void, or is no longer held, out of the tables of rows.
            pub(crate) fn unindex(
                &self,
                ctx: &mut Ctx,
                viewer: Viewer,
                header: &Header,
                id: EntryId,
                body: &[u8],
                number: FeedNumber,
            ) {
                let entry = EntryInfo { header, id, number };
                let rows = match Body::decode(header.kind, body) {
                    $($(Some(Body::$kind(body)) => body.rows(&entry, viewer),)+)*
                    None => Vec::new(),
                };
                ctx.write_all(rows.into_iter().map(IndexRow::delete));
            }

            /// Takes in a row of [`Self::STATE_TABLES`]. `None`: it is not what was written there.
            pub(crate) fn restore_row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Option<()> {
                $(if <$folder::State as KindState>::TABLES.contains(&table) {
                    return self.$folder.restore(&mut self.registry, table, key, value);
                })*
                None
            }

            /// Before the account's entries are indexed again: what they said no longer counts.
            pub(crate) fn clear_account(&mut self, ctx: &mut Ctx, viewer: Viewer, account: &AccountId) {
                $(self.$folder.clear_account(ctx, viewer, account);)*
            }

            /// The account's feeds are no longer held; the rows of its entries go with [`Self::unindex`].
            pub(crate) fn forget_account(&mut self, ctx: &mut Ctx, account: &AccountId) {
                $(self.$folder.forget_account(ctx, account);)*
            }

            /// What is read beside a post for its view.
            pub(crate) fn around(post: &EntryRef, viewer: Viewer) -> Vec<Read> {
                let mut reads = Vec::new();
                $($(reads.extend(<$folder::$kind as EntryKind>::around(post, viewer));)+)*
                reads
            }

            /// What was found by [`Self::around`] says about the post; takes just those rows.
            pub(crate) fn beside(
                &self,
                post: &EntryRef,
                viewer: Viewer,
                rows: &mut dyn Iterator<Item = Vec<Row>>,
            ) -> Beside {
                let mut beside = Beside::default();
                let context = self.context(viewer);
                $($({
                    let reads = <$folder::$kind as EntryKind>::around(post, viewer).len();
                    let found: Vec<_> = (&mut *rows).take(reads).collect();
                    <$folder::$kind as EntryKind>::decorate(&mut beside, &found, &context);
                })+)*
                beside
            }

            fn on_registry(&mut self, ctx: &mut Ctx) {
                $(self.$folder.on_registry(ctx, &mut self.registry);)*
            }

            /// What entries say about an account.
            pub(crate) fn profile_view(&self, account: &AccountId, viewer: Viewer) -> ProfileView {
                let mut view = ProfileView {
                    account: *account,
                    mine: viewer.is(account),
                    ..ProfileView::default()
                };
                let context = self.context(viewer);
                $(self.$folder.show_profile(&mut view, &context);)*
                view
            }

            /// Adds what entries say about the own account.
            pub(crate) fn show_me(&self, view: &mut MeView, viewer: Viewer) {
                let context = self.context(viewer);
                $(self.$folder.show_me(view, &context);)*
            }

            /// What a command wants written, if it is a matter of one entry. The caller makes sure that the feed can
            /// be written, also if there turns out to be nothing to write.
            pub(crate) fn draft(&self, command: &Command, viewer: Viewer) -> Option<Draft> {
                $(if let Some(draft) = self.$folder.draft(command, viewer) {
                    return Some(draft);
                })*
                None
            }

            /// Begins to answer a query about what entries say. `None`: it is about something else.
            pub(crate) fn query(&self, query: &Query, viewer: Viewer) -> Option<Step> {
                let context = self.context(viewer);
                $(if let Some(step) = self.$folder.query(query, &context) {
                    return Some(step);
                })*
                None
            }
        }

        #[cfg(test)]
        impl Kinds {
            /// The samples of every kind, each with the tables of its rows.
            pub(crate) fn samples() -> Vec<(Body, &'static [Table])> {
                let mut samples = Vec::new();
                $($({
                    let tables = <$folder::$kind as EntryKind>::TABLES;
                    let bodies = <$folder::$kind as EntryKind>::samples();
                    samples.extend(bodies.into_iter().map(|body| (Body::$kind(body), tables)));
                })+)*
                samples
            }
        }
    };
}

kinds! {
    posts: Post;
    profiles: Profile;
    follows: Follow;
    handles: Name;
    slugs: Slug;
    devices: Certificate, Revocation;
    reactions: Reaction;
}

fn index<K: EntryKind>(
    body: K,
    state: &mut K::State,
    indexing: &mut Indexing<'_>,
    entry: &EntryInfo<'_>,
) -> Indexed {
    let rows = body.rows(entry, indexing.viewer);
    debug_assert!(rows.iter().all(|row| K::TABLES.contains(&row.table)));
    indexing.ctx.write_all(rows.into_iter().map(IndexRow::put));
    if let Some(post) = body.beside(entry) {
        indexing.ctx.changed.record_beside(post);
    }
    body.apply(state, indexing, entry)
}

impl Kinds {
    /// See [`EntryKind::TABLES`].
    pub(crate) const INDEX_TABLES: &'static [Table] = &concat::<{ len(INDEX) }>(INDEX);
    /// See [`KindState::TABLES`].
    pub(crate) const STATE_TABLES: &'static [Table] = &concat::<{ len(STATE) }>(STATE);

    fn context(&self, viewer: Viewer) -> ViewContext<'_> {
        ViewContext {
            viewer,
            registry: &self.registry,
            kinds: self,
        }
    }

    /// A post without what is read beside it.
    pub(crate) fn post_view(&self, post: &PostEntry, viewer: Viewer) -> PostView {
        post.view(&self.context(viewer))
    }

    /// A relay that this peer knows says which registry its network takes names from; or (`own`) this relay keeps one
    /// itself. The first one named stays, unless it is the own one.
    pub(crate) fn learn_registry(&mut self, ctx: &mut Ctx, id: RegistryId, own: bool) {
        if self.registry.learn(ctx, id, own) {
            self.on_registry(ctx);
        }
    }

    /// The registry as read from the store; before or after the rows of names.
    pub(crate) fn restore_registry(&mut self, ctx: &mut Ctx, id: RegistryId) {
        self.registry.restore(id);
        self.on_registry(ctx);
    }

    /// Rows of a query that [`Self::query`] began.
    pub(crate) fn on_rows(&self, reading: Box<dyn Reading>, rows: Rows, viewer: Viewer) -> Step {
        reading.on_rows(rows, &self.context(viewer))
    }

    /// The display name of an account; empty if unknown.
    pub(crate) fn name_of(&self, account: &AccountId) -> &str {
        self.profiles.name(account)
    }

    /// The handle of an account; empty if it has none that is proven.
    pub(crate) fn handle_of(&self, account: &AccountId) -> &str {
        self.handles.of(&self.registry, account)
    }

    /// The registry that this peer takes names from.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The registry has given out this revision.
    pub(crate) fn learn_revision(&mut self, revision: u64) {
        self.registry.learn_revision(revision);
    }

    /// What the account said last of its handle: of any registry, and perhaps outdated by another account.
    pub(crate) fn receipt_of(&self, account: &AccountId) -> Option<&NameReceipt> {
        self.handles.receipt(account)
    }

    /// The proof of whose a handle is, as far as feeds held here say.
    pub(crate) fn holder_of(&self, handle: &str) -> Option<&NameReceipt> {
        self.handles.holder(handle)
    }

    /// Whether this account follows another.
    pub(crate) fn follows(&self, account: &AccountId) -> bool {
        self.follows.follows(account)
    }

    /// The accounts this account follows.
    pub(crate) fn followed(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.follows.followed()
    }

    /// Whether the account's posts belong into the home timeline.
    pub(crate) fn in_home(&self, account: &AccountId, viewer: Viewer) -> bool {
        self.follows.in_home(account, viewer)
    }
}

/// The account for which views are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// The account of this device; `None` at a relay and before there is one.
    pub(crate) me: Option<AccountId>,
}

impl Viewer {
    pub(crate) fn of(ctx: &Ctx) -> Self {
        Self { me: ctx.me() }
    }

    pub(crate) fn is(self, account: &AccountId) -> bool {
        self.me.as_ref() == Some(account)
    }
}

/// An entry without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryInfo<'a> {
    pub(crate) header: &'a Header,
    pub(crate) id: EntryId,
    pub(crate) number: FeedNumber,
}

impl EntryInfo<'_> {
    pub(crate) fn account(&self) -> AccountId {
        self.header.account
    }

    /// The key of the row that stores it.
    pub(crate) fn place(&self) -> EntryPlace {
        EntryPlace {
            feed: self.number,
            seq: self.header.seq,
        }
    }

    pub(crate) fn precedence(&self) -> Precedence {
        Precedence {
            lamport: self.header.lamport,
            device: self.header.device,
            seq: self.header.seq,
        }
    }
}

/// Of entries that replace each other the one with the greatest (lamport, device) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Precedence {
    pub(crate) lamport: u64,
    pub(crate) device: DeviceId,
    /// Within one feed and lamport the later entry.
    pub(crate) seq: u64,
}

impl Precedence {
    /// Bytes for the end of a key: the row of the entry that counts comes first.
    pub(crate) fn greatest_first(&self) -> Vec<u8> {
        let mut key = (!self.lamport).to_be_bytes().to_vec();
        key.extend(self.device.0.iter().map(|byte| !byte));
        key.extend_from_slice(&(!self.seq).to_be_bytes());
        key
    }
}

/// A row that stems from one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexRow {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl IndexRow {
    fn put(self) -> Op {
        Op::Put {
            table: self.table,
            key: self.key,
            value: self.value,
        }
    }

    fn delete(self) -> Op {
        Op::Delete {
            table: self.table,
            key: self.key,
        }
    }
}

/// What applying an entry may use.
pub(crate) struct Indexing<'a> {
    pub(crate) ctx: &'a mut Ctx,
    pub(crate) viewer: Viewer,
    pub(crate) registry: &'a mut Registry,
}

/// What an indexed entry is to the views.
#[derive(Debug, Default)]
pub(crate) struct Indexed {
    pub(crate) post: Option<PostEntry>,
}

/// What views depend on beside rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewContext<'a> {
    pub(crate) viewer: Viewer,
    pub(crate) registry: &'a Registry,
    kinds: &'a Kinds,
}

impl ViewContext<'_> {
    /// See [`Kinds::name_of`].
    pub(crate) fn name_of(&self, account: &AccountId) -> String {
        self.kinds.name_of(account).to_owned()
    }

    /// See [`Kinds::handle_of`].
    pub(crate) fn handle_of(&self, account: &AccountId) -> String {
        self.kinds.handle_of(account).to_owned()
    }

    /// See [`Kinds::in_home`].
    pub(crate) fn in_home(&self, account: &AccountId) -> bool {
        self.kinds.in_home(account, self.viewer)
    }
}

/// What a command wants written; `None`: nothing, it is so already.
pub(crate) type Draft = Result<Option<Body>, Error>;

/// What comes next in answering a query.
#[derive(Debug)]
pub(crate) enum Step {
    Response(Response),
    /// Rows are needed.
    Read(Vec<Read>, Box<dyn Reading>),
    /// It is not known here: this is what the network may know.
    Unknown(Query),
}

/// A query whose rows are being read.
pub(crate) trait Reading: Debug {
    fn on_rows(self: Box<Self>, rows: Rows, context: &ViewContext<'_>) -> Step;
}

/// Text as people write it: trimmed, not empty, not too long.
pub(crate) fn text(text: &str, chars_max: usize) -> Result<String, Error> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(Error::Empty),
        n if n > chars_max => Err(too_long(chars_max)),
        _ => Ok(text.to_owned()),
    }
}

fn too_long(chars_max: usize) -> Error {
    Error::TooLong {
        max: u32::try_from(chars_max).unwrap_or(u32::MAX),
    }
}

const fn len(parts: &[&[Table]]) -> usize {
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        sum += parts[at].len();
        at += 1;
    }
    sum
}

const fn concat<const N: usize>(parts: &[&[Table]]) -> [Table; N] {
    let mut all = [Table::Meta; N];
    let (mut next, mut part) = (0, 0);
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            all[next] = parts[part][at];
            next += 1;
            at += 1;
        }
        part += 1;
    }
    all
}
