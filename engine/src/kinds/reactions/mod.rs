//! Reactions: one emoji or none of each account to each post. Nothing is kept in memory: the order of the rows gives
//! the latest reaction of an account, and a read skips what it said before. Many changes by one account hide
//! nobody else's reaction.

mod rows;
#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::Reaction;

use protocol::{AccountId, Body, EntryRef};

use crate::api::{Beside, Command, Error, Query, QueryResult, ReactionCount, ReactionView, Response};
use crate::kinds::{
    Draft, EntryInfo, EntryKind, IndexRow, Indexed, Indexing, KindState, Reading, Step, ViewContext, Viewer,
};
use crate::store::{Read, Row, Rows, Table};

/// Accounts whose reactions to one post are read.
const ACCOUNTS_MAX: usize = 100;
/// The same with those that took theirs back: what bounds the work.
const READ_MAX: usize = 2_000;

#[derive(Debug, Default)]
pub(crate) struct Reactions;

pub(crate) type State = Reactions;

impl EntryKind for Reaction {
    type State = State;
    const TABLES: &'static [Table] = &[Table::Reactions];

    fn rows(&self, entry: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        let (account, precedence) = (entry.account(), entry.precedence());
        vec![rows::of(&self.post, &account, &precedence, &self.emoji)]
    }

    fn apply(self, _: &mut State, _: &mut Indexing<'_>, _: &EntryInfo<'_>) -> Indexed {
        Indexed::default()
    }

    fn around(post: &EntryRef, viewer: Viewer) -> Vec<Read> {
        reads(post, viewer)
    }

    fn decorate(beside: &mut Beside, rows: &[Vec<Row>], context: &ViewContext<'_>) {
        let more = rows.first().is_some_and(|rows| is_cut(rows));
        beside.reactions = counted(&found(rows), more, context.viewer);
    }

    fn beside(&self, _: &EntryInfo<'_>) -> Option<EntryRef> {
        Some(self.post)
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::samples()
    }
}

impl KindState for Reactions {
    const TABLES: &'static [Table] = &[];

    /// What was said before is not known here, so the same reaction again is one more entry.
    fn draft(&self, command: &Command, _: Viewer) -> Option<Draft> {
        let Command::React { post, emoji } = command else {
            return None;
        };
        let form = match emoji.trim() {
            "" => Some(String::new()),
            text => protocol::kinds::emoji(text),
        };
        let body = form.map(|emoji| Body::Reaction(Reaction { post: *post, emoji }));
        Some(body.map(Some).ok_or(Error::NotAnEmoji))
    }

    fn query(&self, query: &Query, context: &ViewContext<'_>) -> Option<Step> {
        let Query::Reactions { post } = query else {
            return None;
        };
        Some(Step::Read(reads(post, context.viewer), Box::new(Who)))
    }
}

/// The reactions of many accounts, and that of the viewer, who may not be among them.
fn reads(post: &EntryRef, viewer: Viewer) -> Vec<Read> {
    let mut reads = vec![rows::last_of_each(post, ACCOUNTS_MAX, READ_MAX)];
    reads.extend(viewer.me.map(|me| rows::last_of(post, &me)));
    reads
}

/// Whether accounts that reacted may be missing in the rows of many accounts.
fn is_cut(rows: &[Row]) -> bool {
    rows.len() >= READ_MAX || rows.iter().filter(|row| rows::is_full(row)).count() >= ACCOUNTS_MAX
}

/// The emoji of each account in the rows of [`reads`].
fn found(rows: &[Vec<Row>]) -> Vec<(AccountId, String)> {
    let mut found: Vec<(AccountId, String)> = Vec::new();
    for (account, emoji) in rows.iter().flatten().filter_map(rows::reaction) {
        // The own one may have been read twice.
        if found.iter().all(|(known, _)| *known != account) {
            found.push((account, emoji));
        }
    }
    found
}

/// How many have each emoji. `more`: not all accounts that reacted are among them.
fn counted(reactions: &[(AccountId, String)], more: bool, viewer: Viewer) -> Vec<ReactionCount> {
    let mut counts: Vec<ReactionCount> = Vec::new();
    for (account, emoji) in reactions {
        let at = counts.partition_point(|counted| counted.emoji < *emoji);
        if counts.get(at).is_none_or(|counted| counted.emoji != *emoji) {
            let emoji = emoji.clone();
            counts.insert(
                at,
                ReactionCount {
                    emoji,
                    count: 0,
                    more,
                    mine: false,
                },
            );
        }
        counts[at].count += 1;
        counts[at].mine |= viewer.is(account);
    }
    counts
}

/// The rows of [`Query::Reactions`] are being read.
#[derive(Debug)]
struct Who;

impl Reading for Who {
    fn on_rows(self: Box<Self>, rows: Rows, context: &ViewContext<'_>) -> Step {
        let views = found(&rows).into_iter().map(|(account, emoji)| ReactionView {
            account,
            name: context.name_of(&account),
            emoji,
        });
        Step::Response(Response::Result(Box::new(QueryResult::Reactions(
            views.collect(),
        ))))
    }
}
