//! The events that follow from one input, gathered until it ends.

use core::cmp::Reverse;

use ordered::sorted_by_key;

use crate::api::{Event, StatusView};
use crate::ctx::Ctx;
use crate::kinds::PostEntry;

use super::{Sources, me_view, post_view, profile, status};

/// Posts in one event. Policy when there are more: the event says so, and interfaces read the timeline again.
const FRESH_POSTS_MAX: usize = 50;

/// See the module.
#[derive(Debug)]
pub(super) struct Events {
    /// There are interfaces that listen.
    on: bool,
    posts: Vec<PostEntry>,
    more_posts: bool,
    /// What was said last.
    status: StatusView,
}

impl Events {
    pub(super) fn new(on: bool) -> Self {
        Self {
            on,
            posts: Vec::new(),
            more_posts: false,
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

    /// Ends an input.
    pub(super) fn flush(&mut self, ctx: &mut Ctx, sources: &Sources<'_>) {
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
            let posts = posts.iter().map(|post| post_view(sources, post)).collect();
            let more = core::mem::take(&mut self.more_posts);
            ctx.event(Event::Posts { posts, more });
        }
        // After the posts: the one that is meant may be among them.
        for (post, slug) in changed.slugs {
            let mine = sources.viewer.is(&post.account);
            let claim = mine.then(|| sources.standing.slug_claim(&post.id)).flatten();
            ctx.event(Event::Slug { post, slug, claim });
        }
        for account in changed.profiles {
            ctx.event(Event::Profile(profile::view(sources, &account)));
        }
        if changed.me
            && let Some(me) = me_view(sources)
        {
            ctx.event(Event::Me(me));
        }
        self.flush_status(ctx, sources);
    }

    fn flush_status(&mut self, ctx: &mut Ctx, sources: &Sources<'_>) {
        let status = status(ctx, sources);
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
