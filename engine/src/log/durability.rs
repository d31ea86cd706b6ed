//! Who holds one's own entries, and telling authors what is held of theirs.
//!
//! Invariant: a number shown to a person was confirmed: by this device's store, by a peer over its proven link, or by a
//! known relay's signed receipt.

use ordered::Map;
use protocol::message::{FeedHead, Heads, Message};
use protocol::receipt::Receipt;
use protocol::{AccountId, DeviceId, EntryRef, PeerId};

use crate::Engine;
use crate::api::{Durability, Event, HolderView};
use crate::io::{LinkId, PeerKind};
use crate::log::keys;
use crate::log::records::HolderRecord;
use crate::store::{Op, Table};

/// Own posts of which changes are told as they become safer.
pub(crate) const OWN_POSTS_MAX: usize = 1_024;
/// Peers remembered as holders of one feed; relays always are.
const PEERS_PER_FEED_MAX: usize = 64;

/// What was confirmed about one's own feeds.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    feeds: Map<DeviceId, Map<PeerId, HolderRecord>>,
}

impl Holders {
    pub(crate) fn restore(&mut self, device: DeviceId, peer: PeerId, record: HolderRecord) {
        self.feeds.or_default(device).insert(peer, record);
    }

    /// Notes a confirmation; returns how far the peer was known to be before, if this is more.
    fn note(&mut self, device: DeviceId, peer: PeerId, record: HolderRecord) -> Option<u64> {
        let holders = self.feeds.or_default(device);
        let before = holders.get(&peer).copied();
        if before.is_some_and(|before| before.next_seq >= record.next_seq && before.relay >= record.relay) {
            return None;
        }
        if before.is_none() && !record.relay && holders.len() >= PEERS_PER_FEED_MAX {
            return None;
        }
        holders.insert(peer, record);
        Some(before.map_or(0, |before| before.next_seq))
    }

    pub(crate) fn of(
        &self,
        device: &DeviceId,
        seq: u64,
    ) -> impl Iterator<Item = (PeerId, HolderRecord)> + '_ {
        self.feeds
            .get(device)
            .into_iter()
            .flatten()
            .filter(move |(_, record)| record.next_seq > seq)
            .map(|(peer, record)| (*peer, *record))
    }

    /// How far the feed is held by anybody else, and by any relay.
    pub(crate) fn reach(&self, device: &DeviceId) -> (u64, u64) {
        let records = || {
            self.feeds
                .get(device)
                .into_iter()
                .flatten()
                .map(|(_, record)| *record)
        };
        let anybody = records().map(|record| record.next_seq).max().unwrap_or(0);
        let relays = records()
            .filter(|record| record.relay)
            .map(|record| record.next_seq)
            .max()
            .unwrap_or(0);
        (anybody, relays)
    }
}

impl Engine {
    pub(crate) fn durability(&self, device: &DeviceId, seq: u64) -> Durability {
        let mut durability = Durability {
            saved: self.feeds.get(device).is_some_and(|feed| feed.durable > seq),
            relays_known: u32::try_from(self.replicas_wanted()).unwrap_or(u32::MAX),
            ..Durability::default()
        };
        for (_, record) in self.holders.of(device, seq) {
            if record.relay {
                durability.relays += 1;
            } else {
                durability.peers += 1;
            }
        }
        durability.relays_known = durability.relays_known.max(durability.relays);
        durability
    }

    /// How many relays should hold this device's entries: as many as there are, up to the usual number of replicas.
    fn replicas_wanted(&self) -> usize {
        let workers = self.directory.living_workers().count();
        workers
            .min(self.config.replicas)
            .max(self.peers.relays_len().min(1))
    }

    pub(crate) fn holder_views(&self, device: &DeviceId, seq: u64) -> Vec<HolderView> {
        self.holders
            .of(device, seq)
            .map(|(peer, record)| HolderView {
                peer,
                relay: record.relay,
                at: record.at,
            })
            .collect()
    }

    /// A feed's entries from `before` on are on disk now.
    pub(crate) fn on_feed_durable(&mut self, device: DeviceId, before: u64) {
        let Some(feed) = self.feeds.get(&device) else {
            return;
        };
        let account = feed.account;
        if self.me() == Some(account) {
            self.tell_durability(device, before);
            self.spread_saved(device);
        }
        let authors = self.links_whose(|up| up.account == Some(account));
        let source = self.feeds.get(&device).and_then(|feed| feed.source);
        // To relays only what is signed means something.
        let signs = self.is_relay() && self.config.worker;
        let source = source.filter(|link| signs && self.up(*link).is_some());
        if (!authors.is_empty() || source.is_some())
            && let Some(message) = self.confirmation(&device)
        {
            // The relay it came from passes it on to the author.
            for link in authors.into_iter().chain(source) {
                self.send(link, &message);
            }
        }
    }

    /// Tells a neighbour what is held, durably, of its account's feeds.
    pub(crate) fn confirm_held(&mut self, link: LinkId, account: &AccountId) {
        let devices = self.feeds.devices(account).to_vec();
        for device in devices {
            if let Some(message) = self.confirmation(&device) {
                self.send(link, &message);
            }
        }
    }

    /// "I hold this": signed by a relay that keeps feeds, a plain word from others. Nothing that is not on disk: a feed that
    /// is ahead of its disk is confirmed as far as the disk has it.
    fn confirmation(&self, device: &DeviceId) -> Option<Message> {
        let feed = self.feeds.get(device)?;
        if feed.durable == 0 {
            return None;
        }
        Some(match &self.config.kind {
            PeerKind::Relay { key } if self.is_relay() && self.config.worker => Message::Receipt(
                Receipt::issue(key, *device, feed.durable, feed.durable_head, self.now.wall),
            ),
            _ => Message::Have(Heads {
                heads: vec![FeedHead {
                    account: feed.account,
                    device: *device,
                    next_seq: feed.durable,
                    head: feed.durable_head,
                }],
            }),
        })
    }

    pub(crate) fn on_have(&mut self, link: LinkId, heads: &[FeedHead]) {
        let Some(peer) = self.up(link).map(|up| up.peer) else {
            return;
        };
        for head in heads {
            if self.me() == Some(head.account) {
                self.note_spoke(link, head.account);
            }
            self.note_holder(peer, false, head.device, head.next_seq, head.head);
        }
    }

    pub(crate) fn on_receipt(&mut self, link: LinkId, receipt: &Receipt) {
        let Some(peer) = self.up(link).map(|up| up.peer) else {
            return;
        };
        if receipt.verify().is_err() {
            return self.misbehaved(link, "a receipt with a wrong signature");
        }
        if self.is_relay() {
            self.note_signed(receipt);
            return self.pass_receipt(peer, receipt);
        }
        // Anybody can call itself a relay. A receipt counts as durable only from one this device knows as such, or that such
        // a one knows; and if it does not say that it keeps no feeds.
        let known = self.peers.is_relay(&peer);
        let own = self.feeds.get(&receipt.device).map(|feed| feed.account);
        if let Some(own) = own.filter(|own| receipt.relay == peer && self.me() == Some(*own)) {
            self.note_spoke(link, own);
        }
        if receipt.relay == peer || (known && self.directory.vouches_for(&receipt.relay)) {
            let keeps = known && self.directory.may_keep(&receipt.relay);
            let before = self.note_holder(
                receipt.relay,
                keeps,
                receipt.device,
                receipt.next_seq,
                receipt.head,
            );
            let device = self.identity.as_ref().map(|identity| identity.device);
            let news = before.is_some_and(|before| before < receipt.next_seq);
            if keeps && news && device == Some(receipt.device) {
                let since = self.links.get(&link).map(|link| link.origin().1);
                let (relay, now) = (receipt.relay, self.now.instant);
                self.routes.signed(relay, receipt.next_seq, since, now);
            }
        }
    }

    /// Another relay's receipt, for an author who is linked here, or where the entries came from: the way they took, back.
    fn pass_receipt(&mut self, from: PeerId, receipt: &Receipt) {
        let Some(feed) = self.feeds.get(&receipt.device) else {
            return;
        };
        let account = feed.account;
        // Passed on once between relays, who are linked with each other: that is enough, and cannot go in circles.
        let source = feed.source.filter(|_| receipt.relay == from);
        let source = source.filter(|link| self.up(*link).is_some_and(|up| up.peer != from));
        let authors = self.links_whose(|up| up.account == Some(account));
        for link in authors.into_iter().chain(source) {
            self.send(link, &Message::Receipt(receipt.clone()));
        }
    }

    /// How far the peer was known to hold the feed before, if this is more.
    fn note_holder(
        &mut self,
        peer: PeerId,
        relay: bool,
        device: DeviceId,
        next_seq: u64,
        head: protocol::EntryId,
    ) -> Option<u64> {
        let feed = self.feeds.get(&device)?;
        if self.me() != Some(feed.account) || next_seq > feed.next_seq {
            return None;
        }
        if next_seq == feed.next_seq && head != feed.head {
            return None;
        }
        let record = HolderRecord {
            next_seq,
            relay,
            at: self.now.wall,
        };
        let before = self.holders.note(device, peer, record)?;
        self.write(Op::put(Table::Holders, keys::holder(&device, &peer), &record));
        self.tell_durability(device, before);
        Some(before)
    }

    /// Own posts from `from` on may be safer than before.
    fn tell_durability(&mut self, device: DeviceId, from: u64) {
        let posts: Vec<(u64, EntryRef)> = self
            .own_posts
            .range((device, from)..=(device, u64::MAX))
            .map(|((_, seq), post)| (*seq, *post))
            .collect();
        for (seq, post) in posts {
            let durability = self.durability(&device, seq);
            self.event(Event::Durability { post, durability });
        }
    }
}
