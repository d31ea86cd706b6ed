//! Comparing and fetching: digests, wants, ranges.
//!
//! A neighbour says how far it has each feed of common interest ([`Message::Digest`], later [`Message::Announce`]); what is
//! missing here is asked for ([`Message::Want`]) and answered in order ([`Message::Entries`] …, [`Message::RangeEnd`]).
//! Both sides pull, so nothing is sent twice. A feed is fetched from one neighbour at a time; when that one stalls or goes,
//! the next one that has it takes over. What was told on a link is remembered for as long as the link lives (its channel is
//! reliable), so anti-entropy sends only what changed since.

use std::time::Duration;

use gossip::broadcast::{Route, Tree};
use ordered::Map;
use protocol::message::{Credit, Digest, Entries, FeedHead, Message, Push, RangeEnd, Want};
use protocol::{AccountId, DeviceId, Instant, Timestamp, limits};

use crate::io::LinkId;
use crate::log::keys;
use crate::net::sessions::Up;
use crate::store::{Read, Rows, Table};
use crate::{Engine, Waiting};

/// Requests under way to one neighbour.
const INFLIGHT_MAX: usize = 64;
/// Requests of one neighbour waiting to be answered; further ones are answered as empty.
const SERVING_MAX: usize = 256;
/// Store reads under way for one neighbour.
const LOADING_MAX: usize = 4;
/// Bytes of entries in one message.
const ENTRIES_BYTES: usize = 96 * 1024;
/// A request without progress for this long is given to another neighbour.
const STALLED: Duration = Duration::from_secs(15);
/// Bulk is granted again in pieces of this size.
const GRANT_BYTES: u32 = limits::CREDIT_WINDOW_BYTES / 4;

/// Who fetches which feed.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    feeds: Map<DeviceId, LinkId>,
    /// Bytes relays sent this second.
    repaired: u32,
}

impl Fetches {
    pub(crate) fn any(&self) -> bool {
        !self.feeds.is_empty()
    }
}

/// A request of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inflight {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// How far the neighbour said it has the feed.
    pub(crate) next_seq: u64,
    progress: Instant,
}

/// A request of a neighbour, or what is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serve {
    request: u32,
    device: DeviceId,
    from: u64,
    to: u64,
}

impl Engine {
    /// Tells a neighbour how far the feeds of `accounts` are held here; `all` tells even what it was told before.
    pub(crate) fn send_digest(&mut self, link: LinkId, accounts: &[AccountId], all: bool) {
        let Some(up) = self
            .links
            .get_mut(&link)
            .and_then(crate::net::sessions::Link::up_mut)
        else {
            return;
        };
        let mut heads = Vec::new();
        for account in accounts {
            for (device, feed) in self.feeds.feeds_of(account) {
                let (next_seq, head) = feed.shareable();
                if all || up.told.get(&feed.number) != Some(&next_seq) {
                    up.told.insert(feed.number, next_seq);
                    heads.push(FeedHead {
                        account: *account,
                        device,
                        next_seq,
                        head,
                    });
                }
            }
        }
        // Who asked hears that there is nothing.
        if all || !heads.is_empty() {
            self.send_heads(link, heads, true);
        }
    }

    /// Sends heads in as many messages as it takes; `end`: these are all.
    pub(crate) fn send_heads(&mut self, link: LinkId, heads: Vec<FeedHead>, end: bool) {
        let mut heads = heads;
        loop {
            let rest = heads.split_off(heads.len().min(limits::HEADS_PER_MESSAGE_MAX));
            let end = end && rest.is_empty();
            self.send(link, &Message::Digest(Digest { heads, end }));
            if rest.is_empty() {
                return;
            }
            heads = rest;
        }
    }

    /// Compares with one neighbour chosen at random.
    pub(crate) fn anti_entropy(&mut self) {
        let links = self.up_links();
        if let Some(link) = self.any_of(&links) {
            self.digest_changes(link);
        }
    }

    pub(crate) fn digest_changes(&mut self, link: LinkId) {
        let Some(up) = self.up(link) else { return };
        let accounts: Vec<_> = if up.everything {
            self.feeds.accounts().collect()
        } else {
            up.matched.iter().copied().collect()
        };
        self.send_digest(link, &accounts, false);
    }

    /// A neighbour said how far it has feeds.
    pub(crate) fn on_heads(&mut self, link: LinkId, heads: &[FeedHead]) {
        for head in heads {
            self.note_spoke(link, head.account);
            self.note_head(link, *head);
        }
        self.pump_fetches(link);
    }

    /// A neighbour said, or showed, how far it has an account's feeds. Relays need not know that.
    pub(crate) fn note_spoke(&mut self, link: LinkId, account: AccountId) {
        if self.is_relay() || !self.wants(&account) {
            return;
        }
        let wall = self.now.wall;
        if let Some(up) = self.up_mut(link) {
            up.spoke_of.insert(account);
            self.compared.insert(account, wall);
        }
    }

    /// The account may not be wanted any more.
    pub(crate) fn forget_compared(&mut self, account: &AccountId) {
        if !self.wants(account) {
            self.compared.remove(account);
        }
    }

    /// When each followed account was last compared with a neighbour.
    pub(crate) fn synced_views(&self) -> Vec<(AccountId, Timestamp)> {
        self.compared
            .iter()
            .filter(|(account, _)| self.follows(account))
            .map(|(a, at)| (*a, *at))
            .collect()
    }

    /// Remembers what a neighbour has more of than is held here.
    pub(crate) fn note_head(&mut self, link: LinkId, head: FeedHead) {
        self.note_has(link, &head.device, head.next_seq);
        if !self.wants(&head.account) {
            return;
        }
        let feed = self.feeds.get(&head.device);
        let held = feed.map_or(0, |feed| feed.next_seq);
        if feed.is_some_and(|feed| feed.forked.is_some() || held >= feed.limit()) {
            return;
        }
        let other_branch =
            feed.is_some_and(|feed| head.next_seq == held && held > 0 && head.head != feed.head);
        let number = feed.map(|feed| feed.number);
        let feeds_max = self.config.feeds_max;
        let Some(up) = self.up_mut(link) else { return };
        if let Some(number) = number
            && head.next_seq >= held
        {
            // It has all there is here: no need to tell it.
            up.told.insert(number, head.next_seq);
        }
        if other_branch {
            self.probe_fork(link, head.device, held - 1);
        } else if head.next_seq > held && up.ahead.len() < feeds_max {
            up.ahead.insert(head.device, head);
        }
    }

    /// Asks a neighbour for the one entry that shows whether its branch of a feed is another than ours.
    pub(crate) fn probe_fork(&mut self, link: LinkId, device: DeviceId, seq: u64) {
        let Some(up) = self.up_mut(link) else { return };
        if up.inflight.len() < INFLIGHT_MAX {
            self.want_one(link, device, seq);
        }
    }

    /// Asks for one entry that is not part of a fetch. The number of the request.
    pub(crate) fn want_one(&mut self, link: LinkId, device: DeviceId, seq: u64) -> Option<u32> {
        let up = self.up_mut(link)?;
        up.last_request = up.last_request.wrapping_add(1);
        let want = Want {
            request: up.last_request,
            device,
            from: seq,
            to: seq + 1,
        };
        self.send(link, &Message::Want(want));
        Some(want.request)
    }

    /// Whether a link is one between relays, and this second's share of those is used up.
    fn repairs_enough(&self, link: LinkId) -> bool {
        let between_relays = self.is_relay() && self.up(link).is_some_and(|up| up.relay);
        between_relays && self.fetches.repaired >= self.config.repair_bytes_per_s
    }

    /// Asks a neighbour for what it has more of, as much as may be under way.
    pub(crate) fn pump_fetches(&mut self, link: LinkId) {
        if self.repairs_enough(link) {
            // Goes on with the next second.
            return;
        }
        let now = self.now.instant;
        let mut wants = Vec::new();
        let told = {
            let Some(up) = self
                .links
                .get_mut(&link)
                .and_then(crate::net::sessions::Link::up_mut)
            else {
                return;
            };
            let mut obsolete = Vec::new();
            for (device, head) in &up.ahead {
                if up.inflight.len() >= INFLIGHT_MAX {
                    break;
                }
                let held = self.feeds.get(device).map_or(0, |feed| feed.next_seq);
                if held >= head.next_seq {
                    obsolete.push((*device, head.next_seq));
                } else if !self.fetches.feeds.contains_key(device) {
                    obsolete.push((*device, head.next_seq));
                    self.fetches.feeds.insert(*device, link);
                    up.last_request = up.last_request.wrapping_add(1);
                    up.inflight.insert(
                        up.last_request,
                        Inflight {
                            account: head.account,
                            device: *device,
                            next_seq: head.next_seq,
                            progress: now,
                        },
                    );
                    wants.push(Want {
                        request: up.last_request,
                        device: *device,
                        from: held,
                        to: head.next_seq,
                    });
                }
            }
            for (device, _) in &obsolete {
                up.ahead.remove(device);
            }
            obsolete
        };
        for (device, next_seq) in told {
            // It said so before the feed was known here.
            self.note_has(link, &device, next_seq);
        }
        for want in wants {
            self.send(link, &Message::Want(want));
        }
    }

    /// A neighbour asks for entries.
    pub(crate) fn on_want(&mut self, link: LinkId, want: Want) {
        let held = self.feeds.get(&want.device).map_or(0, |feed| feed.shareable().0);
        let serve = Serve {
            request: want.request,
            device: want.device,
            from: want.from,
            to: want.to.min(held),
        };
        let Some(up) = self.up_mut(link) else { return };
        if serve.from >= serve.to || up.serving.len() >= SERVING_MAX {
            self.send(
                link,
                &Message::RangeEnd(RangeEnd {
                    request: want.request,
                }),
            );
            return;
        }
        up.serving.push_back(serve);
        self.pump_serving(link);
    }

    /// Reads entries a neighbour asked for, as long as it has credit.
    pub(crate) fn pump_serving(&mut self, link: LinkId) {
        loop {
            if self.broadcast.credit(&link) <= 0 {
                return;
            }
            let Some(up) = self.up_mut(link) else { return };
            if up.loading >= LOADING_MAX {
                return;
            }
            let Some(serve) = up.serving.pop_front() else {
                return;
            };
            up.loading += 1;
            let Some(number) = self.feeds.get(&serve.device).map(|feed| feed.number) else {
                self.end_serve(link, &serve);
                continue;
            };
            let read = Read::Range {
                table: Table::Entries,
                start: keys::entry(number, serve.from),
                end: keys::entry(number, serve.to),
                limit: limits::ENTRIES_PER_MESSAGE_MAX,
                bytes_max: ENTRIES_BYTES,
                reverse: false,
            };
            self.load(vec![read], Waiting::Serve { link, serve });
        }
    }

    pub(crate) fn on_serve_rows(&mut self, link: LinkId, mut serve: Serve, rows: Rows) {
        let rows = rows.into_iter().next().unwrap_or_default();
        // Entries are stored as they travel; a gap in the numbers would be a damaged store: what is before it is sent.
        let mut raw = Vec::with_capacity(rows.len());
        for (key, value) in &rows {
            if keys::seq_of(key) != Some(serve.from) {
                break;
            }
            raw.push(value.as_slice());
            serve.from += 1;
        }
        if raw.is_empty() {
            return self.end_serve(link, &serve);
        }
        let message = Entries::encode_raw(serve.request, &raw);
        self.broadcast.spend(&link, message.len());
        if self.up(link).is_some() {
            self.send_bytes(link, &message);
        }
        if let Some((number, up)) = self
            .feeds
            .get(&serve.device)
            .map(|feed| feed.number)
            .zip(self.up_mut(link))
        {
            let told = up.told.or_default(number);
            *told = serve.from.max(*told);
        }
        if serve.from >= serve.to {
            return self.end_serve(link, &serve);
        }
        if let Some(up) = self.up_mut(link) {
            up.loading -= 1;
            up.serving.push_front(serve);
        }
        self.pump_serving(link);
    }

    pub(crate) fn end_serve(&mut self, link: LinkId, serve: &Serve) {
        if let Some(up) = self.up_mut(link) {
            up.loading = up.loading.saturating_sub(1);
            self.send(
                link,
                &Message::RangeEnd(RangeEnd {
                    request: serve.request,
                }),
            );
        }
        self.pump_serving(link);
    }

    /// Entries we asked for.
    pub(crate) fn on_entries(&mut self, link: LinkId, entries: Entries, len: usize) {
        self.consume(link, len);
        if self.on_audited(link, &entries) {
            return;
        }
        let now = self.now.instant;
        if let Some(up) = self.up_mut(link) {
            if let Some(inflight) = up.inflight.get_mut(&entries.request) {
                inflight.progress = now;
            }
            if up.relay {
                self.fetches.repaired = self.fetches.repaired.saturating_add(len as u32);
            }
        }
        let held = self.feeds.entries();
        for entry in entries.entries {
            if let Err(reason) = self.ingest(link, entry, None) {
                return self.misbehaved(link, &reason);
            }
        }
        if self.feeds.entries() > held {
            self.note_use(link, true);
        }
    }

    /// A neighbour's answer is complete.
    pub(crate) fn on_range_end(&mut self, link: LinkId, request: u32) {
        if self.on_audit_end(link, request) {
            return;
        }
        let Some(up) = self.up_mut(link) else { return };
        if let Some(inflight) = up.inflight.remove(&request) {
            self.fetches.feeds.remove(&inflight.device);
            self.pump_fetches(link);
            self.pump_other_fetches(inflight.device);
        }
    }

    /// A new entry, pushed.
    pub(crate) fn on_push(&mut self, link: LinkId, push: Push, len: usize) {
        self.consume(link, len);
        let route = Route {
            tree: Tree::from_byte(push.tree),
            hops: push.hops - 1,
        };
        if let Err(reason) = self.ingest(link, push.entry, Some(route)) {
            self.misbehaved(link, &reason);
        }
    }

    /// A link ended: what was fetched over it is fetched from others.
    pub(crate) fn release_fetches(&mut self, up: &Up) {
        for inflight in up.inflight.values() {
            self.fetches.feeds.remove(&inflight.device);
        }
        for inflight in up.inflight.values() {
            self.pump_other_fetches(inflight.device);
        }
    }

    fn pump_other_fetches(&mut self, device: DeviceId) {
        let others: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.up().is_some_and(|up| up.ahead.contains_key(&device)))
            .map(|(link, _)| *link)
            .collect();
        for other in others {
            self.pump_fetches(other);
        }
    }

    pub(crate) fn keep_fetches(&mut self) {
        let now = self.now.instant;
        let most = self.config.repair_bytes_per_s;
        let waited = self.is_relay() && self.fetches.repaired >= most;
        self.fetches.repaired = self.fetches.repaired.saturating_sub(most);
        if waited {
            for link in self.up_links() {
                self.pump_fetches(link);
            }
        }
        let mut stalled = Vec::new();
        for link in self.links.values_mut() {
            let Some(up) = link.up_mut() else { continue };
            up.inflight.retain(|_, inflight| {
                let keep = now.since(inflight.progress) < STALLED;
                if !keep {
                    stalled.push(inflight.device);
                }
                keep
            });
        }
        for device in stalled {
            self.fetches.feeds.remove(&device);
            self.pump_other_fetches(device);
        }
    }

    /// Lets neighbours send as much again as was taken in.
    pub(crate) fn grant_consumed(&mut self, consumed: &Map<LinkId, u32>) {
        for (link, bytes) in consumed {
            let Some(up) = self.up_mut(*link) else { continue };
            up.consumed = up.consumed.saturating_add(*bytes);
            if up.consumed >= GRANT_BYTES {
                let bytes = core::mem::take(&mut up.consumed);
                self.send(*link, &Message::Credit(Credit { bytes }));
            }
        }
    }
}
