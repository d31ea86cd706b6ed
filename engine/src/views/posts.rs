//! Posts as interfaces see them, and where own ones are stored.

use protocol::{EntryId, EntryRef};

use crate::api::{ClaimView, Error, PostView, QueryResult, Response};
use crate::kinds::{Kinds, PostEntry, place_of};
use crate::log::keys::EntryPlace;
use crate::store::{Read, Row, Rows, Table};

use super::{Reading, Step, ViewContext};

/// A post without what is read beside it: as in events.
pub(crate) fn post_view(context: &ViewContext<'_>, post: &PostEntry) -> PostView {
    let mut view = context.kinds.post_view(post, context.viewer);
    if view.mine {
        let relays_known = context.role.relays_known();
        view.durability = Some(context.log.durability(&post.device, post.seq, relays_known));
        view.slug_claim = claim_beside(context, &post.entry);
    }
    view
}

/// What is asked of the registry about a post, if it is an own one.
pub(super) fn claim_beside(context: &ViewContext<'_>, post: &EntryRef) -> Option<ClaimView> {
    let mine = context.viewer.is(&post.account);
    mine.then(|| context.role.claim(&post.id)).flatten()
}

/// Reads the entries at `places`.
pub(super) fn read_places(places: &[EntryPlace]) -> Vec<Read> {
    let read = |place: &EntryPlace| Read::Get {
        table: Table::Entries,
        key: place.key(),
    };
    places.iter().map(read).collect()
}

/// The posts in the rows of [`read_places`], in the order of the places; what is not a valid post any more is left out.
pub(super) fn posts_at(context: &ViewContext<'_>, places: &[EntryPlace], rows: Rows) -> Vec<PostView> {
    let posts = places.iter().zip(rows).filter_map(|(place, rows)| {
        let post = PostEntry::parse(rows.first()?)?;
        let (_, feed) = context.log.feeds.by_number(place.feed)?;
        (place.seq < feed.limit()).then(|| post_view(context, &post))
    });
    posts.collect()
}

/// What is read beside each of these posts.
pub(super) fn read_beside<'a>(
    context: &ViewContext<'_>,
    posts: impl Iterator<Item = &'a PostView>,
) -> Vec<Read> {
    posts
        .flat_map(|post| Kinds::around(&post.entry, context.viewer))
        .collect()
}

/// Adds the rows of [`read_beside`] to the same posts.
pub(super) fn add_beside<'a>(
    context: &ViewContext<'_>,
    posts: impl Iterator<Item = &'a mut PostView>,
    rows: Rows,
) {
    let mut rows = rows.into_iter();
    for post in posts {
        post.beside = context.kinds.beside(&post.entry, context.viewer, &mut rows);
    }
}

/// The place in a row of an index table.
pub(super) fn place((_, value): &Row) -> Option<EntryPlace> {
    protocol::codec::decode(value).ok()
}

/// The place in the rows of [`place_of`].
pub(super) fn found(rows: &Rows) -> Option<EntryPlace> {
    place(rows.first()?.first()?)
}

/// Begins to answer who holds an own post.
pub(super) fn locate(post: &EntryId) -> Step {
    Step::Read(vec![place_of(post)], Reading::Holders)
}

pub(super) fn on_place_rows(context: &ViewContext<'_>, rows: &Rows) -> Step {
    let place = found(rows);
    let at = place.and_then(|place| Some((context.log.feeds.device(place.feed)?, place.seq)));
    match at {
        Some((device, seq)) => Step::reply(QueryResult::Holders(context.log.holder_views(&device, seq))),
        None => Step::Response(Response::Error(Error::NotFound)),
    }
}

#[cfg(test)]
#[path = "posts_tests.rs"]
mod tests;
