//! Slugs: the names posts have in the registry. Which post a slug leads to, and which slug a post has, are both
//! answered by the order of rows, so nothing is kept in memory: of a post the row of the greatest (lamport, device)
//! comes first, of a slug that of the highest revision.
//!
//! Invariant: a slug is shown only with the signature of the registry this peer takes names from, and leads to a post
//! only while that post's author says so as well.

mod lookup;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::Slug;

use protocol::EntryRef;
use protocol::names::NameReceipt;

use crate::api::{Beside, Query};
use crate::kinds::{
    EntryInfo, EntryKind, IndexRow, Indexed, Indexing, KindState, Registry, Step, ViewContext, Viewer,
};
use crate::store::{Read, Row, Table};

#[derive(Debug, Default)]
pub(crate) struct Slugs;

pub(crate) type State = Slugs;

impl Slugs {
    /// Reads what a post's author said last of its slug.
    pub(crate) fn read(post: &EntryRef) -> Read {
        rows::newest_of(post)
    }

    /// The slug in the rows of [`Self::read`]; `None` if there is none that is proven.
    pub(crate) fn proven(rows: &[Row], registry: &Registry) -> Option<NameReceipt> {
        let receipt = rows::receipt(rows.first()?)?;
        registry.is(receipt.registry).then_some(receipt)
    }
}

impl KindState for Slugs {
    const TABLES: &'static [Table] = &[];

    fn query(&self, query: &Query, context: &ViewContext<'_>) -> Option<Step> {
        match query {
            Query::Slug { slug } => Some(lookup::begin(slug, context)),
            _ => None,
        }
    }
}

impl EntryKind for Slug {
    type State = State;
    const TABLES: &'static [Table] = &[Table::Slugs, Table::BySlug];

    fn rows(&self, entry: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        let (account, id) = (entry.account(), self.post);
        let receipt = self.receipt.as_ref().filter(|it| it.account == account);
        rows::of(&EntryRef { account, id }, receipt, &entry.precedence())
    }

    fn apply(self, _: &mut State, _: &mut Indexing<'_>, _: &EntryInfo<'_>) -> Indexed {
        Indexed::default()
    }

    fn around(post: &EntryRef, _: Viewer) -> Vec<Read> {
        vec![Slugs::read(post)]
    }

    fn decorate(beside: &mut Beside, rows: &[Vec<Row>], context: &ViewContext<'_>) {
        let proven = rows
            .first()
            .and_then(|rows| Slugs::proven(rows, context.registry));
        beside.slug = proven.map_or_else(String::new, |receipt| receipt.name);
    }

    fn beside(&self, entry: &EntryInfo<'_>) -> Option<EntryRef> {
        let (account, id) = (entry.account(), self.post);
        Some(EntryRef { account, id })
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::samples()
    }
}
