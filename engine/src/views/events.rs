//! The events that follow from one input, gathered until it ends.

use core::cmp::Reverse;

use ordered::{Set, sorted_by_key};
use protocol::EntryRef;

use crate::api::{Event, StatusView};
use crate::ctx::{Ctx, LoadOwner};
use crate::kinds::{Kinds, PostEntry, Viewer};
use crate::store::{LoadId, Rows};

use super::posts::claim_beside;
use super::{ViewContext, me_view, post_view, profile, status};

/// Posts in one event. Policy when there are more: the event says so, and interfaces read the timeline again.
const FRESH_POSTS_MAX: usize = 50;

/// Posts that wait until what other entries say about them is read. Policy when full: there is no event for more.
const BESIDE_MAX: usize = 256;
/// Maximum number of posts whose changed views are read at once.
const BESIDE_READ_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Events {
    /// There are interfaces that listen.
    on: bool,
    posts: Vec<PostEntry>,
    more_posts: bool,
    /// Posts about which other entries say something else.
    beside: Set<EntryRef>,
    /// What they say is being read: of these posts, in the order of the reads.
    reading: Option<(LoadId, Vec<EntryRef>)>,
    /// What was said last.
    status: StatusView,
}

impl Events {
    pub(super) fn new(on: bool) -> Self {
        Self {
            on,
            posts: Vec::new(),
            more_posts: false,
            beside: Set::new(),
            reading: None,
            status: StatusView {
                phrase_confirmed: true,
                ..StatusView::default()
            },
        }
    }

    pub(super) fn record_post(&mut self, post: &PostEntry) {
        if !self.on {
            return;
        }
        if self.posts.len() < FRESH_POSTS_MAX {
            self.posts.push(post.clone());
        } else {
            self.more_posts = true;
        }
    }

    /// Before an input ends: reads what changed about posts. One load at a time.
    pub(super) fn read_changed(&mut self, ctx: &mut Ctx) {
        if !self.on || !ctx.ready {
            return;
        }
        for post in core::mem::take(&mut ctx.changed.beside) {
            if self.beside.len() < BESIDE_MAX {
                self.beside.insert(post);
            }
        }
        if self.reading.is_some() || self.beside.is_empty() {
            return;
        }
        let mut waiting = core::mem::take(&mut self.beside).into_iter();
        let posts: Vec<_> = waiting.by_ref().take(BESIDE_READ_MAX).collect();
        self.beside = waiting.collect();
        let viewer = Viewer::of(ctx);
        let reads = posts.iter().flat_map(|post| Kinds::around(post, viewer));
        let load = ctx.load(LoadOwner::View, reads.collect());
        self.reading = Some((load, posts));
    }

    /// Rows of a load of [`LoadOwner::View`]; `None`: it failed, and there is no event. Gives the rows back if they
    /// are not of [`Self::read_changed`].
    pub(super) fn on_rows(
        &mut self,
        ctx: &mut Ctx,
        context: &ViewContext<'_>,
        load: LoadId,
        rows: Option<Rows>,
    ) -> Result<(), Option<Rows>> {
        let Some((_, posts)) = self.reading.take_if(|(reading, _)| *reading == load) else {
            return Err(rows);
        };
        let Some(rows) = rows else { return Ok(()) };
        let mut rows = rows.into_iter();
        for post in posts {
            let beside = context.kinds.beside(&post, context.viewer, &mut rows);
            let slug_claim = claim_beside(context, &post);
            ctx.event(Event::Beside {
                post,
                beside,
                slug_claim,
            });
        }
        Ok(())
    }

    /// Ends an input.
    pub(super) fn flush(&mut self, ctx: &mut Ctx, context: &ViewContext<'_>) {
        if !ctx.ready {
            return;
        }
        let changed = core::mem::take(&mut ctx.changed);
        if !self.on {
            return;
        }
        if !self.posts.is_empty() {
            let posts = core::mem::take(&mut self.posts);
            let posts = sorted_by_key(posts, |post| Reverse((post.timestamp, post.entry.id)));
            let posts = posts.iter().map(|post| post_view(context, post)).collect();
            let more = core::mem::take(&mut self.more_posts);
            ctx.event(Event::Posts { posts, more });
        }
        for account in changed.profiles {
            ctx.event(Event::Profile(profile::view(context, &account)));
        }
        if changed.me
            && let Some(me) = me_view(context)
        {
            ctx.event(Event::Me(me));
        }
        self.flush_status(ctx, context);
    }

    fn flush_status(&mut self, ctx: &mut Ctx, context: &ViewContext<'_>) {
        let status = status(ctx, context);
        if status != self.status {
            self.status = status;
            ctx.event(Event::Status(status));
        }
    }

    /// Interfaces begin to listen.
    pub(super) fn on_ready(&self, ctx: &mut Ctx) {
        ctx.event(Event::Status(self.status));
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
