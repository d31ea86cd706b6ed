//! The reference model: what must hold in every run, whatever fails and whenever.
//!
//! It knows nothing of the engine's inside. It reads what leaves each engine (frames, events, answers) and what is on
//! each disk, and keeps little: which entry has which number, what each peer promised, and which own posts are not
//! safe yet. It watches every simulated network, so each test of this crate is a test of these rules, too:
//!
//! 1. **One number, one entry.** No honest device ever has two entries with one number, on whatever disks they are.
//! 2. **On disk before it leaves.** What a device sends of its own feed, or says of it (push, entries, digest,
//!    announcement), is on its disk. So is what it claims of the registry, and the post that a slug is claimed for.
//! 3. **On disk before it is confirmed.** What a peer says that it holds ("have", receipt) is on its disk.
//! 4. **A promise outlives every crash.** A relay has what it signed a receipt for, until it drops the feed; a device
//!    has the own posts it called saved. Looked at when a process ends and when the power is cut.
//! 5. **No number is made up.** A person sees no more relays that hold a post than signed for it; strangers that lie do not count.
//! 6. **A receipt of a living member is true.** That relay, or another living member that took the feed over, has the entries on its
//!    disk. Looked at whenever a test asks ([`Model::broken_promises`]).
//!
//! Rules about whole histories (what was typed exists exactly once, all peers show the same, the registry gave nothing
//! to nobody) need to know what people did: they are in [`crate::crashes`] and [`crate::random`].

use std::collections::{BTreeMap, BTreeSet};

use protocol::link::frame::{self, Reassembly};
use protocol::messages::{Decoded, FeedHead, Message};
use protocol::names::NameQuestion;
use protocol::{DeviceId, EntryId, PeerId};
use starling_engine::api::{CommandResult, Event, Response};
use starling_engine::store::Table;
use starling_engine::{LinkId, Output};

use crate::disk::Disk;

/// What became of own posts that were not safe when their device died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsafe {
    /// They were not on its disk.
    pub(crate) lost: u32,
    /// They were, but nobody had been told.
    pub(crate) kept: u32,
}

pub(crate) struct Model {
    seed: u64,
    /// Every entry that was on any disk.
    ids: BTreeMap<(DeviceId, u64), EntryId>,
    places: BTreeMap<EntryId, (DeviceId, u64)>,
    /// How far each relay signed for each feed, and the entry it ended with.
    receipts: BTreeMap<(usize, DeviceId), (u64, EntryId)>,
    /// Feeds' relays that ever signed, and how far.
    signed: BTreeMap<DeviceId, BTreeMap<usize, u64>>,
    /// How far each relay signed for each feed, also for those that it deleted since.
    promised: BTreeMap<(usize, DeviceId), (u64, EntryId)>,
    /// Peers that lie: nothing they say is held against them, and nothing they sign counts.
    pub(crate) liars: BTreeSet<usize>,
    /// Own posts that were called saved.
    saved: BTreeMap<usize, BTreeSet<EntryId>>,
    /// Own posts that were made and not called saved yet.
    unsaved: BTreeSet<(usize, EntryId)>,
    pub(crate) deaths: Unsafe,
    /// Feeds that relays deleted after they had signed for them.
    pub(crate) drops: u32,
    /// A test uses one device key twice.
    pub(crate) forks_allowed: bool,
    /// Devices start from older copies of their disks: one that meets nobody may sign a number again, and nobody else may see it.
    pub(crate) old_copies: bool,
    messages: BTreeMap<(usize, LinkId), Reassembly>,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ids: BTreeMap::new(),
            places: BTreeMap::new(),
            receipts: BTreeMap::new(),
            signed: BTreeMap::new(),
            promised: BTreeMap::new(),
            liars: BTreeSet::new(),
            saved: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            deaths: Unsafe::default(),
            drops: 0,
            forks_allowed: false,
            old_copies: false,
            messages: BTreeMap::new(),
        }
    }

    /// Whether a device called this own post saved.
    pub(crate) fn is_saved(&self, peer: usize, post: &EntryId) -> bool {
        self.saved.get(&peer).is_some_and(|saved| saved.contains(post))
    }

    /// A test took the disk of a peer away: what it promised is void.
    pub(crate) fn forget(&mut self, peer: usize) {
        self.receipts.retain(|(of, _), _| *of != peer);
        self.promised.retain(|(of, _), _| *of != peer);
        self.saved.remove(&peer);
        self.unsaved.retain(|(of, _)| *of != peer);
    }

    /// An entry is on a disk.
    pub(crate) fn on_stored(&mut self, device: DeviceId, seq: u64, id: EntryId) {
        let first = *self.ids.entry((device, seq)).or_insert(id);
        self.places.insert(id, (device, seq));
        assert!(
            first == id || self.forks_allowed || self.old_copies,
            "two entries have the number {seq} of one feed (seed {})",
            self.seed
        );
    }

    /// A relay deletes a feed: its receipts are void.
    pub(crate) fn on_dropped(&mut self, peer: usize, device: DeviceId) {
        self.drops += u32::from(self.receipts.remove(&(peer, device)).is_some());
    }

    /// A step of an engine wants this done; it may die before it is.
    pub(crate) fn on_output(&mut self, peer: usize, output: &Output) {
        if let Output::Response {
            response: Response::Done(CommandResult::Published(post)),
            ..
        } = output
            && !self.is_saved(peer, &post.entry.id)
        {
            self.unsaved.insert((peer, post.entry.id));
        }
    }

    pub(crate) fn on_event(&mut self, peer: usize, event: &Event) {
        match event {
            Event::Forked { .. } => self.check(self.forks_allowed, peer, "sees a fork"),
            Event::Durability { post, durability } => {
                if durability.saved {
                    self.saved.entry(peer).or_default().insert(post.id);
                    self.unsaved.remove(&(peer, post.id));
                }
                let place = self.places.get(&post.id);
                let signed = place.and_then(|(device, seq)| Some((self.signed.get(device)?, seq)));
                let relays = signed.map_or(0, |(signed, seq)| {
                    signed.values().filter(|upto| *upto > seq).count()
                });
                let honest = durability.relays as usize <= relays;
                self.check(honest, peer, "counts relays that never signed");
            }
            _ => {}
        }
    }

    pub(crate) fn on_send(&mut self, from: usize, own: PeerId, link: LinkId, bytes: &[u8], disk: &Disk) {
        let Some((kind @ (frame::MORE | frame::LAST), part)) =
            bytes.split_first().map(|(k, rest)| (*k, rest))
        else {
            return;
        };
        let message = self.messages.entry((from, link)).or_default().push(kind, part);
        let Some(message) = message.expect("engines send whole messages") else {
            return;
        };
        self.messages.remove(&(from, link));
        if let Ok(Decoded::Known(message)) = Message::decode(&message)
            && !disk.tampered
            && !self.liars.contains(&from)
        {
            self.on_message(from, own, &message, disk);
        }
    }

    fn on_message(&mut self, from: usize, own: PeerId, message: &Message, disk: &Disk) {
        let device = DeviceId(own.0);
        let held = |head: &FeedHead| {
            head.next_seq == 0 || disk.entries().id(head.device, head.next_seq - 1) == Some(head.head)
        };
        let own_held = |head: &FeedHead| head.device != device || held(head);
        let entries = |entries: &[protocol::Entry]| {
            entries.iter().map(|entry| &entry.signed.header).all(|header| {
                header.device != device || disk.entries().id(device, header.seq) == Some(header.id())
            })
        };
        match message {
            Message::Push(push) => {
                let held = entries(core::slice::from_ref(&push.entry));
                self.check(held, from, "pushes an own entry that is not on its disk");
            }
            Message::Entries(answer) => {
                let held = entries(&answer.entries);
                self.check(held, from, "answers with an own entry that is not on its disk");
            }
            Message::Digest(digest) => {
                let held = digest.heads.iter().all(own_held);
                self.check(held, from, "has an own entry in a digest that is not on its disk");
            }
            Message::Announce(news) => {
                let held = news.items.iter().all(|item| own_held(&item.head));
                self.check(held, from, "announces an own entry that is not on its disk");
            }
            Message::Have(heads) => {
                let held = heads.heads.iter().all(held);
                self.check(held, from, "says that it has what is not on its disk");
            }
            Message::Receipt(receipt) if receipt.relay == own => {
                let held = disk.entries().id(receipt.device, receipt.next_seq - 1) == Some(receipt.head);
                self.check(held, from, "signs for what is not on its disk");
                let upto = self
                    .signed
                    .entry(receipt.device)
                    .or_default()
                    .entry(from)
                    .or_default();
                *upto = receipt.next_seq.max(*upto);
                let promise = (receipt.next_seq, receipt.head);
                for promises in [&mut self.receipts, &mut self.promised] {
                    let known = promises.entry((from, receipt.device)).or_insert(promise);
                    *known = promise.max(*known);
                }
            }
            Message::NameQuestion(asked) => {
                if let NameQuestion::Request(request) = &asked.question
                    && request.certificate.device == device
                {
                    let stored = disk.mentions(Table::Meta, &request.nonce);
                    self.check(stored, from, "claims what its disk does not know of");
                    let post = request.post.as_ref().map(|header| (header.seq, header.id()));
                    let held = post.is_none_or(|(_, id)| self.on_disk(disk, &id));
                    self.check(held, from, "claims a slug for a post that is not on its disk");
                }
            }
            Message::ForkProof(_) => self.check(self.forks_allowed, from, "proves a fork"),
            _ => {}
        }
    }

    /// Receipts of these relays whose entries none of them has: the relay, the feed and how far it signed.
    pub(crate) fn broken_promises(&self, members: &[(usize, &Disk)]) -> Vec<(usize, DeviceId, u64)> {
        let has = |disk: &Disk, device: DeviceId, next_seq: u64, head: EntryId| {
            let entries = disk.entries();
            entries.below(device, next_seq) == next_seq && entries.id(device, next_seq - 1) == Some(head)
        };
        let is_member = |peer: usize| members.iter().any(|(member, _)| *member == peer);
        let made = self.promised.iter().filter(|((of, _), _)| is_member(*of));
        let broken = made.filter(|((_, device), (next_seq, head))| {
            !members
                .iter()
                .any(|(_, disk)| has(disk, *device, *next_seq, *head))
        });
        broken
            .map(|((of, device), (next_seq, _))| (*of, *device, *next_seq))
            .collect()
    }

    /// How many receipts were given, one for each relay and feed.
    pub(crate) fn promises(&self) -> usize {
        self.promised.len()
    }

    /// Whether a relay signed for all of a feed.
    pub(crate) fn is_promised(&self, device: DeviceId) -> bool {
        let end = self.end_of(device);
        let promised = self.promised.iter().filter(|((_, of), _)| *of == device);
        promised
            .map(|(_, promise)| Some(*promise))
            .any(|promise| promise == end)
    }

    /// How far a feed was ever on a disk, and the entry it ended with.
    pub(crate) fn end_of(&self, device: DeviceId) -> Option<(u64, EntryId)> {
        let (&(_, seq), id) = self.ids.range((device, 0)..=(device, u64::MAX)).next_back()?;
        Some((seq + 1, *id))
    }

    fn on_disk(&self, disk: &Disk, id: &EntryId) -> bool {
        let place = self.places.get(id);
        place.is_some_and(|(device, seq)| disk.entries().id(*device, *seq) == Some(*id))
    }

    /// A peer died; this is what its disk has.
    pub(crate) fn on_crash(&mut self, peer: usize, disk: &Disk) {
        for ((device, seq), id) in disk.entries().all() {
            self.on_stored(*device, *seq, *id);
        }
        let made: Vec<EntryId> = self
            .unsaved
            .iter()
            .filter(|(of, _)| *of == peer)
            .map(|(_, id)| *id)
            .collect();
        for id in made {
            self.unsaved.remove(&(peer, id));
            match self.on_disk(disk, &id) {
                true => self.deaths.kept += 1,
                false => self.deaths.lost += 1,
            }
        }
        if disk.tampered {
            return;
        }
        for id in self.saved.get(&peer).into_iter().flatten() {
            // A post that an old copy of a device took back waits to be issued again; afterwards it is another entry.
            let aside = disk
                .rows(Table::Meta)
                .contains_key(&[b"aside:", id.0.as_slice()].concat());
            self.check(
                aside || self.old_copies || self.on_disk(disk, id),
                peer,
                "lost a post it had called saved",
            );
        }
        for ((_, device), (next_seq, head)) in self.receipts.iter().filter(|((of, _), _)| *of == peer) {
            let whole = disk.entries().below(*device, *next_seq) == *next_seq;
            let same = disk.entries().id(*device, next_seq - 1) == Some(*head);
            self.check(whole && same, peer, "lost what it had signed for");
        }
    }

    fn check(&self, holds: bool, peer: usize, otherwise: &str) {
        assert!(holds, "peer {peer} {otherwise} (seed {})", self.seed);
    }
}
