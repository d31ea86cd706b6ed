//! Reading views: a query becomes a chain of loads, the last of which answers it.

use std::collections::VecDeque;
use std::time::Duration;

use ordered::sorted_by_key;
use protocol::entry::{Body, Kind, Post};
use protocol::{DeviceId, Entry, EntryId, EntryRef, Timestamp, codec};

use crate::api::{Answer, Cursor, NetworkView, Page, PostView, Query, Refusal, Reply, ThreadView, Timeline};
use crate::kinds::slugs::{SlugReading, read_slug};
use crate::log::keys::{self, Place};
use crate::store::{Read, Row, Rows, Table, prefix_end};
use crate::{AskId, Engine, Waiting};

/// Posts in one page.
const PAGE_MAX: u32 = 100;
/// Index rows read at once.
const INDEX_ROWS: usize = 200;
/// Index rows looked at for one page; a page may come out shorter, and says where to go on.
const INDEX_ROWS_MAX: usize = 5_000;
/// Posts may claim to be this far in the future; later ones are shown when their time has come.
const FUTURE_MAX: Duration = Duration::from_secs(600);
/// Answers counted.
const REPLIES_COUNTED_MAX: usize = 100;
/// Ancestors shown.
const ANCESTORS_MAX: usize = 50;
/// Answers shown in a thread.
const REPLIES_MAX: usize = 200;

/// A query on its way.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Index rows of a timeline.
    Index {
        timeline: Timeline,
        limit: usize,
        found: Vec<(Vec<u8>, Place)>,
        looked_at: usize,
    },
    /// The entries behind them.
    Entries {
        next: Option<Cursor>,
        places: Vec<Place>,
    },
    /// How often they were answered.
    Counts {
        next: Option<Cursor>,
        posts: Vec<PostView>,
    },
    /// A thread, in one of its steps.
    Thread {
        thread: Box<ThreadReading>,
        step: ThreadStep,
    },
    /// Where an own post is stored.
    Holders,
    /// About slugs.
    Slug(SlugReading),
}

/// A thread being gathered.
#[derive(Debug)]
pub(crate) struct ThreadReading {
    entry: EntryRef,
    post: Option<PostView>,
    ancestors: VecDeque<PostView>,
    replies: Vec<PostView>,
    /// Posts whose answers were not looked for yet.
    open: Vec<EntryId>,
}

#[derive(Debug)]
pub(crate) enum ThreadStep {
    /// The place of the post, or of its next ancestor.
    Locate,
    /// That entry.
    Fetch(Place),
    /// Index rows of answers.
    Answers,
    /// Their entries.
    AnswerEntries(Vec<Place>),
    /// How often each post shown was answered.
    Counts,
}

impl Engine {
    pub(crate) fn on_query(&mut self, ask: AskId, query: Query) {
        let reply = match query {
            Query::Me => Reply::Me(self.me_view()),
            Query::Phrase => Reply::Phrase(
                self.identity
                    .as_ref()
                    .and_then(|identity| identity.account_key.as_ref())
                    .map(protocol::phrase::to_words),
            ),
            Query::Timeline {
                timeline,
                after,
                limit,
            } => return self.read_timeline(ask, timeline, after, limit),
            Query::Thread { post } => return self.read_thread(ask, post),
            Query::Profile { account } => {
                if !self.wants(&account) || self.searching(&account) {
                    self.visit(account);
                }
                let mut profile = self.profile_view(&account);
                self.note_feeds(&mut profile);
                Reply::Profile(profile)
            }
            Query::Replicas { account } => Reply::Replicas(self.replicas_view(&account)),
            Query::Name { name } => return self.look_up_name(ask, &name),
            Query::Slug { slug } => return self.look_up_slug(ask, &slug),
            Query::Following => {
                let followed = self.follows.iter().filter(|(_, follow)| follow.on);
                Reply::Profiles(followed.map(|(account, _)| self.profile_view(account)).collect())
            }
            Query::Holders { post } => {
                let read = Read::Get {
                    table: Table::Ids,
                    key: post.id.0.to_vec(),
                };
                return self.read_on(ask, vec![read], Reading::Holders);
            }
            Query::Status => Reply::Status(self.current_status()),
            Query::Network => Reply::Network(NetworkView {
                links: self.link_views(),
                feeds: self.feeds.len() as u64,
                entries: self.feeds.entries(),
                interests: self.wanted().len() as u64,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                duplicates: self.duplicates,
                refused: self.refused,
                incompatible: self.incompatible,
                audits: self.audits,
                audits_failed: self.audits_failed,
                relays: self.directory.views(),
                delays: self.replicas.delays(),
                scores: self.scores(),
                weights: self
                    .config
                    .routing
                    .weights()
                    .map(|weight| (weight * 1_000.0) as u32),
                synced: self.synced_views(),
            }),
        };
        self.answer(ask, Answer::Reply(Box::new(reply)));
    }

    pub(crate) fn read_on(&mut self, ask: AskId, reads: Vec<Read>, reading: Reading) {
        self.load(
            reads,
            Waiting::View {
                ask,
                reading: Box::new(reading),
            },
        );
    }

    pub(crate) fn on_view_rows(&mut self, ask: AskId, reading: Reading, rows: Rows) {
        match reading {
            Reading::Index {
                timeline,
                limit,
                found,
                looked_at,
            } => {
                self.on_index_rows(ask, timeline, limit, found, looked_at, rows);
            }
            Reading::Entries { next, places } => {
                let posts = self.posts_at(&places, rows);
                let reads = posts.iter().flat_map(|post| read_around(&post.entry)).collect();
                self.read_on(ask, reads, Reading::Counts { next, posts });
            }
            Reading::Counts { next, mut posts } => {
                self.note_around(posts.iter_mut(), &rows);
                self.answer(ask, Answer::Reply(Box::new(Reply::Page(Page { posts, next }))));
            }
            Reading::Thread { thread, step } => self.on_thread_rows(ask, thread, step, rows),
            Reading::Slug(reading) => self.on_slug_rows(ask, reading, rows),
            Reading::Holders => {
                let place = rows
                    .into_iter()
                    .flatten()
                    .next()
                    .and_then(|(_, value)| place(&value));
                let device = place.and_then(|place| Some((self.feeds.device(place.feed)?, place.seq)));
                let answer = match device {
                    Some((device, seq)) => {
                        Answer::Reply(Box::new(Reply::Holders(self.holder_views(&device, seq))))
                    }
                    None => Answer::Refused(Refusal::NotFound),
                };
                self.answer(ask, answer);
            }
        }
    }

    fn read_timeline(&mut self, ask: AskId, timeline: Timeline, after: Option<Cursor>, limit: u32) {
        if let Timeline::User(account) = timeline
            && !self.wants(&account)
        {
            self.visit(account);
        }
        let start = match after {
            // A place of another timeline: from there on its rows would be read.
            Some(Cursor(key)) if !key.starts_with(&timeline_prefix(&timeline)) => {
                return self.answer(ask, Answer::Refused(Refusal::NotFound));
            }
            // Just behind that row.
            Some(Cursor(mut key)) => {
                key.push(0);
                key
            }
            None => keys::not_newer(&timeline_prefix(&timeline), self.now.wall.plus(FUTURE_MAX)),
        };
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let reading = Reading::Index {
            timeline,
            limit,
            found: Vec::new(),
            looked_at: 0,
        };
        self.read_on(ask, vec![index_read(&timeline, start)], reading);
    }

    fn on_index_rows(
        &mut self,
        ask: AskId,
        timeline: Timeline,
        limit: usize,
        mut found: Vec<(Vec<u8>, Place)>,
        mut looked_at: usize,
        rows: Rows,
    ) {
        let rows = rows.into_iter().next().unwrap_or_default();
        let exhausted = rows.len() < INDEX_ROWS;
        let mut last = None;
        for (key, value) in rows {
            looked_at += 1;
            if let Some(place) = place(&value)
                && self.belongs(&timeline, place)
            {
                found.push((key.clone(), place));
            }
            last = Some(key);
            if found.len() > limit {
                break;
            }
        }
        if found.len() <= limit && !exhausted && looked_at < INDEX_ROWS_MAX {
            let mut start = last.unwrap_or_default();
            start.push(0);
            let reading = Reading::Index {
                timeline,
                limit,
                found,
                looked_at,
            };
            return self.read_on(ask, vec![index_read(&timeline, start)], reading);
        }
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(|(key, _)| Cursor(key.clone()))
        } else if exhausted {
            None
        } else {
            last.map(Cursor)
        };
        let places: Vec<_> = found.into_iter().map(|(_, place)| place).collect();
        self.read_on(ask, read_places(&places), Reading::Entries { next, places });
    }

    fn belongs(&self, timeline: &Timeline, place: Place) -> bool {
        let Some((_, feed)) = self.feeds.by_number(place.feed) else {
            return false;
        };
        let in_home = || self.me() == Some(feed.account) || self.follows(&feed.account);
        place.seq < feed.limit() && (*timeline != Timeline::Home || in_home())
    }

    /// The posts at `places`, in their order; what is not a post any more is left out.
    fn posts_at(&self, places: &[Place], rows: Rows) -> Vec<PostView> {
        places
            .iter()
            .zip(rows)
            .filter_map(|(place, rows)| {
                let stored = stored_post(&rows.into_iter().next()?)?;
                let (_, feed) = self.feeds.by_number(place.feed)?;
                (place.seq < feed.limit()).then(|| {
                    self.post_view(
                        stored.entry,
                        stored.device,
                        stored.seq,
                        stored.timestamp,
                        &stored.post,
                    )
                })
            })
            .collect()
    }

    fn read_thread(&mut self, ask: AskId, entry: EntryRef) {
        if !self.wants(&entry.account) {
            self.visit(entry.account);
        }
        let thread = ThreadReading {
            entry,
            post: None,
            ancestors: VecDeque::new(),
            replies: Vec::new(),
            open: vec![entry.id],
        };
        let reading = Reading::Thread {
            thread: Box::new(thread),
            step: ThreadStep::Locate,
        };
        self.read_on(
            ask,
            vec![Read::Get {
                table: Table::Ids,
                key: entry.id.0.to_vec(),
            }],
            reading,
        );
    }

    fn on_thread_rows(&mut self, ask: AskId, mut thread: Box<ThreadReading>, step: ThreadStep, rows: Rows) {
        match step {
            ThreadStep::Locate => {
                let found = rows
                    .into_iter()
                    .flatten()
                    .next()
                    .and_then(|(_, value)| place(&value));
                match found {
                    Some(place) => {
                        let reading = Reading::Thread {
                            thread,
                            step: ThreadStep::Fetch(place),
                        };
                        self.read_on(ask, read_places(&[place]), reading);
                    }
                    None => self.read_answers(ask, thread),
                }
            }
            ThreadStep::Fetch(place) => {
                let Some(post) = self.posts_at(&[place], rows).pop() else {
                    return self.read_answers(ask, thread);
                };
                let parent = post.reply.as_ref().map(|reply| reply.parent.id);
                if thread.post.is_none() {
                    thread.post = Some(post);
                } else {
                    thread.ancestors.push_front(post);
                }
                match parent {
                    Some(parent) if thread.ancestors.len() < ANCESTORS_MAX => {
                        let reading = Reading::Thread {
                            thread,
                            step: ThreadStep::Locate,
                        };
                        self.read_on(
                            ask,
                            vec![Read::Get {
                                table: Table::Ids,
                                key: parent.0.to_vec(),
                            }],
                            reading,
                        );
                    }
                    _ => self.read_answers(ask, thread),
                }
            }
            ThreadStep::Answers => {
                let mut places: Vec<_> = rows
                    .into_iter()
                    .flatten()
                    .filter_map(|(_, value)| place(&value))
                    .collect();
                places.truncate(REPLIES_MAX - thread.replies.len());
                if places.is_empty() {
                    return self.count_thread(ask, thread);
                }
                let reads = read_places(&places);
                let reading = Reading::Thread {
                    thread,
                    step: ThreadStep::AnswerEntries(places),
                };
                self.read_on(ask, reads, reading);
            }
            ThreadStep::AnswerEntries(places) => {
                let answers = self.posts_at(&places, rows);
                thread.open = answers.iter().map(|post| post.entry.id).collect();
                thread.replies.extend(answers);
                if thread.open.is_empty() || thread.replies.len() >= REPLIES_MAX {
                    return self.count_thread(ask, thread);
                }
                self.read_answers(ask, thread);
            }
            ThreadStep::Counts => {
                let thread = *thread;
                let ThreadReading {
                    entry,
                    mut post,
                    ancestors,
                    mut replies,
                    ..
                } = thread;
                let mut ancestors: Vec<_> = ancestors.into();
                self.note_around(post.iter_mut().chain(&mut ancestors).chain(&mut replies), &rows);
                let replies = sorted_by_key(replies, |post| (post.timestamp, post.entry.id));
                let searching = post.is_none() && self.searching(&entry.account);
                let view = ThreadView {
                    entry,
                    post,
                    ancestors,
                    replies,
                    searching,
                };
                self.answer(ask, Answer::Reply(Box::new(Reply::Thread(view))));
            }
        }
    }

    fn read_answers(&mut self, ask: AskId, thread: Box<ThreadReading>) {
        let reads = thread
            .open
            .iter()
            .map(|id| Read::prefix(Table::ByParent, &id.0, REPLIES_MAX))
            .collect();
        self.read_on(
            ask,
            reads,
            Reading::Thread {
                thread,
                step: ThreadStep::Answers,
            },
        );
    }

    fn count_thread(&mut self, ask: AskId, thread: Box<ThreadReading>) {
        let posts = thread.post.iter().chain(&thread.ancestors).chain(&thread.replies);
        let reads = posts.flat_map(|post| read_around(&post.entry)).collect();
        self.read_on(
            ask,
            reads,
            Reading::Thread {
                thread,
                step: ThreadStep::Counts,
            },
        );
    }

    /// See [`read_around`].
    fn note_around<'a>(&self, posts: impl Iterator<Item = &'a mut PostView>, rows: &Rows) {
        for (post, rows) in posts.zip(rows.chunks_exact(2)) {
            post.replies = rows[0].len() as u32;
            post.slug = self
                .slug_in(&rows[1])
                .map_or_else(String::new, |receipt| receipt.name);
        }
    }
}

fn timeline_prefix(timeline: &Timeline) -> Vec<u8> {
    match timeline {
        Timeline::User(account) => account.0.to_vec(),
        Timeline::Home | Timeline::Public | Timeline::Activity => Vec::new(),
    }
}

fn index_read(timeline: &Timeline, start: Vec<u8>) -> Read {
    let table = match timeline {
        Timeline::Home | Timeline::Public => Table::ByTime,
        Timeline::User(_) => Table::ByAccount,
        Timeline::Activity => Table::Activity,
    };
    let end = prefix_end(&timeline_prefix(timeline));
    Read::Range {
        table,
        start,
        end,
        limit: INDEX_ROWS,
        bytes_max: usize::MAX,
        reverse: false,
    }
}

fn read_places(places: &[Place]) -> Vec<Read> {
    places
        .iter()
        .map(|place| Read::Get {
            table: Table::Entries,
            key: place.key(),
        })
        .collect()
}

/// What stands in other tables about a post: answers, and its slug.
fn read_around(post: &EntryRef) -> [Read; 2] {
    [
        Read::prefix(Table::ByParent, &post.id.0, REPLIES_COUNTED_MAX),
        read_slug(post),
    ]
}

fn place(value: &[u8]) -> Option<Place> {
    codec::decode(value).ok()
}

struct StoredPost {
    entry: EntryRef,
    device: DeviceId,
    seq: u64,
    timestamp: Timestamp,
    post: Post,
}

/// The post in a row of `Entries`.
fn stored_post((_, value): &Row) -> Option<StoredPost> {
    let entry: Entry = codec::decode(value).ok()?;
    let header = &entry.signed.header;
    let Some(Body::Post(post)) = Body::decode(Kind::POST, &entry.body).filter(|_| header.kind == Kind::POST)
    else {
        return None;
    };
    let id = EntryRef {
        account: header.account,
        id: header.id(),
    };
    Some(StoredPost {
        entry: id,
        device: header.device,
        seq: header.seq,
        timestamp: header.timestamp,
        post,
    })
}
