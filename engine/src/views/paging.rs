//! Timelines, page by page.

use std::time::Duration;

use protocol::Timestamp;

use crate::api::{self, Cursor, Error, PostView, QueryResult, Response, Timeline};
use crate::kinds::{TimelineRows, timeline as timeline_rows};
use crate::log::keys::EntryPlace;
use crate::store::{Read, Row, Rows, prefix_end};

use super::posts::{add_beside, place, posts_at, read_beside, read_places};
use super::{Reading, Step, ViewContext};

/// Maximum number of posts in one page.
const PAGE_MAX: u32 = 100;
/// Number of index rows read at once.
const INDEX_ROWS: usize = 200;
/// Maximum number of index rows examined for one page; the page may be shorter, and its cursor says where to go on.
const INDEX_ROWS_MAX: usize = 5_000;
/// How far in the future a post's time may be; later ones are shown when their time has come. Clocks of devices differ
/// by minutes.
const FUTURE_MAX: Duration = Duration::from_secs(600);

/// A page on its way.
#[derive(Debug)]
pub(super) enum Page {
    /// The index rows are read.
    Index(Index),
    /// The entries behind them are read.
    Entries {
        next: Option<Cursor>,
        places: Vec<EntryPlace>,
    },
    /// The reactions, slugs and reply counts of the posts are read.
    Beside {
        next: Option<Cursor>,
        posts: Vec<PostView>,
    },
}

/// Index rows being looked through.
#[derive(Debug)]
pub(super) struct Index {
    rows: TimelineRows,
    home: bool,
    limit: usize,
    found: Vec<(Vec<u8>, EntryPlace)>,
    looked_at: usize,
}

/// Begins to read a page. `after`: the cursor of the page before.
pub(super) fn begin(timeline: Timeline, after: Option<Cursor>, limit: u32, now: Timestamp) -> Step {
    let rows = timeline_rows(&timeline);
    let first = rows.not_newer(now.plus(FUTURE_MAX));
    let start = match after {
        // A place of another timeline: from there on its rows would be read.
        Some(Cursor(key)) if !key.starts_with(&rows.prefix) => {
            return Step::Response(Response::Error(Error::NotFound));
        }
        // No cursor shows what is not to be seen yet.
        Some(Cursor(key)) => behind(key).max(first),
        None => first,
    };
    let index = Index {
        rows,
        home: timeline == Timeline::Home,
        limit: limit.clamp(1, PAGE_MAX) as usize,
        found: Vec::new(),
        looked_at: 0,
    };
    index.read(start)
}

/// The first key behind this one.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl Page {
    fn step(self, reads: Vec<Read>) -> Step {
        Step::Read(reads, Reading::Page(Box::new(self)))
    }

    pub(super) fn on_rows(self, context: &ViewContext<'_>, rows: Rows) -> Step {
        match self {
            Self::Index(index) => index.on_rows(context, rows.into_iter().next().unwrap_or_default()),
            Self::Entries { next, places } => {
                let posts = posts_at(context, &places, rows);
                let reads = read_beside(context, posts.iter());
                Self::Beside { next, posts }.step(reads)
            }
            Self::Beside { next, mut posts } => {
                add_beside(context, posts.iter_mut(), rows);
                Step::reply(QueryResult::Page(api::Page { posts, next }))
            }
        }
    }
}

impl Index {
    fn read(self, start: Vec<u8>) -> Step {
        let read = Read::Range {
            table: self.rows.table,
            start,
            end: prefix_end(&self.rows.prefix),
            limit: INDEX_ROWS,
            bytes_max: usize::MAX,
            reverse: false,
        };
        Page::Index(self).step(vec![read])
    }

    fn on_rows(mut self, context: &ViewContext<'_>, rows: Vec<Row>) -> Step {
        let exhausted = rows.len() < INDEX_ROWS;
        let mut last = None;
        for row in rows {
            self.looked_at += 1;
            let place = place(&row).filter(|place| self.belongs(context, *place));
            if let Some(place) = place {
                self.found.push((row.0.clone(), place));
            }
            last = Some(row.0);
            if self.found.len() > self.limit {
                break;
            }
        }
        if self.found.len() <= self.limit && !exhausted && self.looked_at < INDEX_ROWS_MAX {
            return self.read(behind(last.unwrap_or_default()));
        }
        let next = if self.found.len() > self.limit {
            self.found.truncate(self.limit);
            self.found.last().map(|(key, _)| Cursor(key.clone()))
        } else {
            last.filter(|_| !exhausted).map(Cursor)
        };
        let places: Vec<_> = self.found.into_iter().map(|(_, place)| place).collect();
        let reads = read_places(&places);
        Page::Entries { next, places }.step(reads)
    }

    fn belongs(&self, context: &ViewContext<'_>, place: EntryPlace) -> bool {
        let Some((_, feed)) = context.log.feeds.by_number(place.feed) else {
            return false;
        };
        let in_home = || context.kinds.in_home(&feed.account, context.viewer);
        place.seq < feed.limit() && (!self.home || in_home())
    }
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
