//! A post in its thread: what it answers, and what answers it.

use std::collections::VecDeque;

use ordered::sorted_by_key;
use protocol::{EntryId, EntryRef};

use crate::api::{PostView, QueryResult, ThreadView};
use crate::kinds::{answers, place_of};
use crate::log::keys::EntryPlace;
use crate::store::Rows;

use super::posts::{add_beside, found, place, posts_at, read_beside, read_places};
use super::{Reading, Step, ViewContext};

/// Maximum number of ancestors shown.
const ANCESTORS_MAX: usize = 50;
/// Maximum number of replies shown.
const REPLIES_MAX: usize = 200;

/// A thread being gathered.
#[derive(Debug)]
pub(super) struct Thread {
    entry: EntryRef,
    post: Option<PostView>,
    ancestors: VecDeque<PostView>,
    replies: Vec<PostView>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The place of the post, or of its next ancestor, is read.
    Locate,
    /// That entry is read.
    Fetch(EntryPlace),
    /// The places of answers are read.
    Answers,
    /// Their entries are read.
    AnswerEntries(Vec<EntryPlace>),
    /// The reactions, slugs and reply counts of the posts are read.
    Beside,
}

pub(super) fn begin(entry: EntryRef) -> Step {
    let thread = Thread {
        entry,
        post: None,
        ancestors: VecDeque::new(),
        replies: Vec::new(),
        stage: Stage::Locate,
    };
    Step::Read(vec![place_of(&entry.id)], Reading::Thread(Box::new(thread)))
}

impl Thread {
    fn read(mut self: Box<Self>, stage: Stage, reads: Vec<crate::store::Read>) -> Step {
        self.stage = stage;
        Step::Read(reads, Reading::Thread(self))
    }

    pub(super) fn on_rows(mut self: Box<Self>, context: &ViewContext<'_>, rows: Rows) -> Step {
        match core::mem::replace(&mut self.stage, Stage::Beside) {
            Stage::Locate => match found(&rows) {
                Some(place) => self.read(Stage::Fetch(place), read_places(&[place])),
                None => self.read_first_answers(),
            },
            Stage::Fetch(place) => {
                let Some(post) = posts_at(context, &[place], rows).pop() else {
                    return self.read_first_answers();
                };
                let parent = post.reply.as_ref().map(|reply| reply.parent.id);
                if self.post.is_none() {
                    self.post = Some(post);
                } else {
                    self.ancestors.push_front(post);
                }
                match parent {
                    Some(parent) if self.ancestors.len() < ANCESTORS_MAX => {
                        self.read(Stage::Locate, vec![place_of(&parent)])
                    }
                    _ => self.read_first_answers(),
                }
            }
            Stage::Answers => {
                let mut places: Vec<_> = rows.iter().flatten().filter_map(place).collect();
                places.truncate(REPLIES_MAX - self.replies.len());
                if places.is_empty() {
                    return self.read_beside(context);
                }
                let reads = read_places(&places);
                self.read(Stage::AnswerEntries(places), reads)
            }
            Stage::AnswerEntries(places) => {
                let answers = posts_at(context, &places, rows);
                let open: Vec<_> = answers.iter().map(|post| post.entry.id).collect();
                self.replies.extend(answers);
                if open.is_empty() || self.replies.len() >= REPLIES_MAX {
                    return self.read_beside(context);
                }
                self.read_answers(&open)
            }
            Stage::Beside => self.finish(context, rows),
        }
    }

    /// Answers are shown also to a post that is not here.
    fn read_first_answers(self: Box<Self>) -> Step {
        let post = self.entry.id;
        self.read_answers(&[post])
    }

    fn read_answers(self: Box<Self>, posts: &[EntryId]) -> Step {
        let room = REPLIES_MAX - self.replies.len();
        let reads = posts.iter().map(|post| answers(post, room)).collect();
        self.read(Stage::Answers, reads)
    }

    fn read_beside(self: Box<Self>, context: &ViewContext<'_>) -> Step {
        let posts = self.post.iter().chain(&self.ancestors).chain(&self.replies);
        let reads = read_beside(context, posts);
        self.read(Stage::Beside, reads)
    }

    fn finish(self: Box<Self>, context: &ViewContext<'_>, rows: Rows) -> Step {
        let Self {
            entry,
            mut post,
            ancestors,
            mut replies,
            ..
        } = *self;
        let mut ancestors: Vec<_> = ancestors.into();
        let posts = post.iter_mut().chain(&mut ancestors).chain(&mut replies);
        add_beside(context, posts, rows);
        let searching = post.is_none() && context.role.searching(&entry.account);
        Step::reply(QueryResult::Thread(ThreadView {
            entry,
            post,
            ancestors,
            replies: sorted_by_key(replies, |post| (post.timestamp, post.entry.id)),
            searching,
        }))
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
