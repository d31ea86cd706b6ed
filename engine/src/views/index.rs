//! Folding one entry into the views.

use protocol::entry::{Body, Follow, Header, Post, Profile};
use protocol::{AccountId, DeviceId, EntryId, EntryRef, Timestamp, VerifiedEntry};

use crate::Engine;
use crate::api::{PostView, ProfileView, ReplyView};
use crate::kinds::slugs;
use crate::log::durability::OWN_POSTS_MAX;
use crate::log::keys::{self, FeedNumber, Place};
use crate::log::records::{FollowRecord, Precedence, ProfileRecord};
use crate::store::{Op, Table};

/// Posts told in one event.
const FRESH_POSTS_MAX: usize = 50;

impl Engine {
    /// Folds an entry that was just appended.
    pub(crate) fn fold(&mut self, verified: &VerifiedEntry, number: FeedNumber) {
        let header = verified.header();
        let post = self.fold_entry(header, verified.id(), verified.body(), number);
        if post.is_some()
            && let Some(feed) = self.feeds.get_mut(&header.device)
        {
            feed.posts += 1;
        }
        if post.is_some() && self.me() == Some(header.account) {
            self.own_posts
                .insert((header.device, header.seq), verified.entry_ref());
            if self.own_posts.len() > OWN_POSTS_MAX {
                self.own_posts.pop_first();
            }
        }
        match post {
            Some(_) if self.is_relay() => {}
            Some(post) if self.fresh_posts.len() < FRESH_POSTS_MAX => {
                let view = self.post_view(
                    verified.entry_ref(),
                    header.device,
                    header.seq,
                    header.timestamp,
                    &post,
                );
                self.fresh_posts.push(view);
            }
            Some(_) => self.fresh_more = true,
            None => {}
        }
    }

    /// Folds an entry; returns the post if it is one. Folding an entry twice changes nothing.
    pub(crate) fn fold_entry(
        &mut self,
        header: &Header,
        id: EntryId,
        body: &[u8],
        number: FeedNumber,
    ) -> Option<Post> {
        let precedence = Precedence {
            lamport: header.lamport,
            device: header.device,
            seq: header.seq,
        };
        match Body::decode(header.kind, body)? {
            Body::Post(post) => {
                let place = Place {
                    feed: number,
                    seq: header.seq,
                };
                for (table, key) in self.post_rows(header.account, header.timestamp, id, &post) {
                    self.write(Op::put(table, key, &place));
                }
                return Some(post);
            }
            Body::Profile(profile) => self.fold_profile(header.account, profile, precedence),
            Body::Name(name) => self.fold_name(header.account, name, precedence),
            Body::Follow(follow) if self.me() == Some(header.account) => self.fold_follow(follow, precedence),
            Body::Follow(_) | Body::Certificate(_) => {}
            Body::Slug(slug) => self.fold_slug(header, &slug),
            Body::Revocation(revocation) => {
                if revocation.account == header.account {
                    self.write(Op::put(
                        Table::Revocations,
                        [header.account.0, revocation.device.0].concat(),
                        &revocation,
                    ));
                    self.revoke(header.account, revocation.device, revocation.next_seq);
                }
            }
        }
        None
    }

    /// Takes an entry that became void out of the index tables.
    pub(crate) fn unfold_entry(&mut self, header: &Header, id: EntryId, body: &[u8]) {
        match Body::decode(header.kind, body) {
            Some(Body::Post(post)) => {
                for (table, key) in self.post_rows(header.account, header.timestamp, id, &post) {
                    self.write(Op::Delete { table, key });
                }
            }
            Some(Body::Slug(slug)) => {
                for row in slugs::rows(header, &slug) {
                    if let Op::Put { table, key, .. } = row {
                        self.write(Op::Delete { table, key });
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether a post belongs into the activity timeline: somebody else answers an own post, or writes in a thread that an
    /// own post began.
    fn in_activity(&self, author: AccountId, post: &Post) -> bool {
        let (Some(me), Some(reply)) = (self.me(), &post.reply) else {
            return false;
        };
        me != author && (reply.parent.account == me || reply.root.account == me)
    }

    /// The index rows of a post.
    fn post_rows(
        &self,
        account: AccountId,
        time: Timestamp,
        id: EntryId,
        post: &Post,
    ) -> Vec<(Table, Vec<u8>)> {
        let mut rows = vec![
            (Table::Ids, id.0.to_vec()),
            (Table::ByTime, keys::by_time(time, &id)),
            (Table::ByAccount, keys::by_account(&account, time, &id)),
        ];
        if let Some(reply) = &post.reply {
            rows.push((Table::ByParent, keys::by_parent(&reply.parent.id, time, &id)));
            if self.in_activity(account, post) {
                rows.push((Table::Activity, keys::by_time(time, &id)));
            }
        }
        rows
    }

    fn fold_profile(&mut self, account: AccountId, profile: Profile, precedence: Precedence) {
        let known = &mut self.feeds.account_mut(account).profile;
        if known.as_ref().is_some_and(|known| known.precedence >= precedence) {
            return;
        }
        let record = ProfileRecord {
            name: profile.name,
            bio: profile.bio,
            precedence,
        };
        *known = Some(record.clone());
        self.write(Op::put(Table::Profiles, account.0.to_vec(), &record));
        self.changed_profiles.insert(account);
        self.me_changed |= self.me() == Some(account);
    }

    fn fold_follow(&mut self, follow: Follow, precedence: Precedence) {
        if self
            .follows
            .get(&follow.account)
            .is_some_and(|known| known.precedence >= precedence)
        {
            return;
        }
        let wanted = self.wants(&follow.account);
        let record = FollowRecord {
            on: follow.on,
            precedence,
        };
        self.follows.insert(follow.account, record);
        self.write(Op::put(Table::Follows, follow.account.0.to_vec(), &record));
        self.changed_profiles.insert(follow.account);
        self.me_changed = true;
        if wanted != self.wants(&follow.account) {
            self.tell_interest(follow.account, follow.on);
        }
        self.forget_compared(&follow.account);
    }

    /// A post ready to be shown; answers to it are counted, and its slug is found, by whoever reads the store.
    pub(crate) fn post_view(
        &self,
        entry: EntryRef,
        device: DeviceId,
        seq: u64,
        timestamp: Timestamp,
        post: &Post,
    ) -> PostView {
        let mine = self.me() == Some(entry.account);
        PostView {
            entry,
            device,
            seq,
            name: self.feeds.name(&entry.account).to_owned(),
            handle: self.handle_of(&entry.account).to_owned(),
            text: post.text.clone(),
            timestamp,
            reply: post.reply.map(|reply| ReplyView {
                root: reply.root,
                parent: reply.parent,
                parent_name: self.feeds.name(&reply.parent.account).to_owned(),
            }),
            replies: 0,
            mine,
            in_home: mine || self.follows(&entry.account),
            in_activity: self.in_activity(entry.account, post),
            durability: mine.then(|| self.durability(&device, seq)),
            slug: String::new(),
            slug_claim: self.claims.view(Some(entry.id)).filter(|_| mine),
        }
    }

    /// A person, without [`ProfileView::feeds`] and what comes after.
    pub(crate) fn profile_view(&self, account: &AccountId) -> ProfileView {
        let held = self.feeds.account(account);
        let profile = held.and_then(|held| held.profile.as_ref());
        let feeds = || self.feeds.feeds_of(account).map(|(_, feed)| feed);
        ProfileView {
            account: *account,
            name: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
            bio: profile.map(|profile| profile.bio.clone()).unwrap_or_default(),
            handle: self.handle_of(account).to_owned(),
            mine: self.me() == Some(*account),
            followed: self.follows(account),
            entries: feeds().map(|feed| feed.next_seq).sum(),
            forked: feeds().any(|feed| feed.forked.is_some()),
            searching: feeds().next().is_none() && self.searching(account),
            feeds: Vec::new(),
            told_by: 0,
            compared: None,
        }
    }
}
