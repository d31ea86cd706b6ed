//! Random histories of a network by invitation with strangers that lie, members that die for good, clocks that jump and
//! disks that fill. In all of them a receipt of a living member is true ([`crate::model`]), and what people typed is there in
//! the end.

use std::time::Duration;

use protocol::messages::directory::Description;
use protocol::messages::membership::{Stance, Vouch, Vouches};
use protocol::messages::receipt::Receipt;
use protocol::messages::{Announced, Announcements, Digest, FeedHead, Heads, Message, Relays};
use protocol::{AccountId, DeviceId, EntryId, KeyPair, PeerId, Timestamp};
use rand_core::Rng;
use starling_engine::api::Timeline;
use starling_engine::{Candidate, Config, Input, Log};

use crate::crashes::{App, doom, typed_texts};
use crate::directory::description;
use crate::members::invite;
use crate::network::{Network, seed};
use crate::placement::know;

const MEMBERS: usize = 5;
/// As many as replicas, so that a relay that believed them could think that they alone keep a feed.
const STRANGERS: usize = REPLICAS;
const PEOPLE: usize = 4;
const REPLICAS: usize = 3;
/// People who write and leave for good at the beginning: their feeds are at members alone, and nobody asks for them.
const AUTHORS: usize = 6;
/// A dead member keeps its share for this long.
const GRACE: Duration = Duration::from_secs(20);
/// Members that die for good. With one less than the replicas a feed may be at one relay alone for a while.
const GONE_MAX: usize = REPLICAS - 1;
/// Time after which the share of a dead member is at others: silence, grace, and fetching.
const REPAIRED_MS: u64 = 150_000;
/// The furthest that a clock jumps: three days.
const JUMP_MAX_MS: u64 = 3 * 24 * 3_600 * 1_000;

/// Histories in one test; the tests run side by side.
const HISTORIES: u64 = 2;

/// What happened in one history.
#[derive(Debug, Default)]
struct Seen {
    lies: u32,
    gone: u32,
    jumps: u32,
    full: u32,
    deaths: u32,
    /// Feeds that members deleted.
    dropped: u32,
    promises: usize,
}

struct Story {
    net: Network,
    members: Vec<usize>,
    strangers: Vec<(usize, KeyPair)>,
    /// The devices of people, for lies about them.
    feeds: Vec<(AccountId, DeviceId)>,
    apps: Vec<App>,
    /// Members that died for good.
    gone: Vec<usize>,
    /// People who wrote, got receipts and left for good.
    left: Vec<App>,
    seen: Seen,
}

/// A relay of a network by invitation that keeps little beside its share, and notices soon that its disk is full.
fn config(key: KeyPair, joins: bool) -> Config {
    Config {
        joins,
        repair_grace: GRACE,
        replicas: REPLICAS,
        cached_accounts_max: 1,
        unwritten_bytes_max: 4_096,
        ..Config::relay(key)
    }
}

fn describe(net: &mut Network, relay: usize, capacity: u32) {
    let described = Description {
        capacity,
        ..description(&format!("zone {relay}"), relay)
    };
    net.input(relay, Input::Describe(Box::new(described)));
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut net = Network::new(seed);
        let mut members = Vec::new();
        for n in 0..MEMBERS {
            let member = net.add(config(KeyPair::from_seed(&[n as u8 + 1; 32]), n > 0));
            describe(&mut net, member, 100);
            if let Some(first) = members.first() {
                invite(&mut net, *first, member);
                net.run_for_ms(10_000);
            }
            members.push(member);
        }
        let mut strangers = Vec::new();
        for n in 0..STRANGERS {
            let key = KeyPair::from_seed(&[n as u8 + 60; 32]);
            let stranger = net.add(config(key.clone(), false));
            net.model.liars.insert(stranger);
            describe(&mut net, stranger, 1_000_000);
            strangers.push((stranger, key));
        }
        let people: Vec<_> = (0..PEOPLE).map(|n| net.person(&format!("P{n}"))).collect();
        let mut feeds = Vec::new();
        for person in &people {
            let device = net.peer_id(*person).expect("a key");
            feeds.push((net.account(*person), DeviceId(device.0)));
            for other in people.iter().filter(|other| *other != person) {
                net.follow(*person, *other);
            }
        }
        let mut story = Self {
            apps: people.iter().map(|peer| App::new(*peer)).collect(),
            net,
            members,
            strangers,
            feeds,
            gone: Vec::new(),
            left: Vec::new(),
            seen: Seen::default(),
        };
        for _ in 0..AUTHORS {
            story.write_and_leave();
        }
        story.meet();
        story.net.run_for_ms(30_000);
        story
    }

    fn dice(&mut self, sides: usize) -> usize {
        self.net.rng.next_u32() as usize % sides
    }

    fn lives(&self, peer: usize) -> bool {
        self.net.peers[peer].engine.is_some()
    }

    fn living_members(&self) -> Vec<usize> {
        let living = self.members.iter().copied().filter(|member| self.lives(*member));
        living.collect()
    }

    /// Introduces peers to each other: people to two members each, strangers to all.
    fn meet(&mut self) {
        for (n, at) in self.apps.iter().map(|app| app.peer).enumerate() {
            for member in [n % MEMBERS, (n + 2) % MEMBERS].map(|n| self.members[n]) {
                if self.lives(at) && self.lives(member) {
                    know(&mut self.net, at, member);
                }
            }
        }
        let all: Vec<_> = (0..self.net.peers.len())
            .filter_map(|peer| self.net.peer_id(peer))
            .map(|peer| Candidate { peer, relay: false })
            .collect();
        for (stranger, _) in &self.strangers {
            self.net.input(*stranger, Input::Candidates(all.clone()));
        }
    }

    /// Somebody comes to a member, writes, and leaves for good once it signed for what was written.
    fn write_and_leave(&mut self) {
        let living = self.living_members();
        let member = living[self.dice(living.len())];
        let net = &mut self.net;
        let person = net.person("A");
        know(net, person, member);
        let device = net.peer_id(person).expect("a key");
        self.feeds.push((net.account(person), DeviceId(device.0)));
        let mut app = App::new(person);
        for _ in 0..2 {
            app.type_post(net, None);
        }
        net.run_for_ms(20_000);
        assert!(
            net.model.is_promised(DeviceId(device.0)),
            "no receipt, seed {}",
            net.seed
        );
        net.crash(person);
        self.left.push(app);
    }

    /// One lie of one stranger.
    fn lie(&mut self) {
        self.seen.lies += 1;
        let n = self.dice(STRANGERS);
        let (stranger, key) = self.strangers[n].clone();
        let now = Timestamp(self.net.now().wall.0);
        let feed = self.dice(self.feeds.len());
        let (account, device) = self.feeds[feed];
        let (end, last) = self.net.model.end_of(device).expect("a feed");
        let mut made_up = [0; 32];
        self.net.rng.fill_bytes(&mut made_up);
        let head = |next_seq, head| FeedHead {
            account,
            device,
            next_seq,
            head,
        };
        let longer = head(end + 100, EntryId(made_up));
        let whole = head(end, last);
        let invented = KeyPair::from_seed(&made_up);
        let describe = |key: &KeyPair| {
            let described = Description {
                heartbeat: now.0 * 2,
                capacity: 1_000_000,
                ..description("nowhere", 99)
            };
            described.sign(key)
        };
        let member = self.members[self.net.rng.next_u32() as usize % MEMBERS];
        let member = self.net.peer_id(member).unwrap_or_default();
        let me = PeerId(key.public());
        let message = match self.dice(9) {
            // It has more than there is.
            0 => Message::Digest(Digest {
                heads: vec![longer],
                end: true,
            }),
            1 => Message::Announce(Announcements {
                items: vec![Announced {
                    head: longer,
                    tree: 0,
                    hops: 1,
                    waited_ms: 0,
                }],
            }),
            // It has, and keeps, all there is.
            2 => Message::Have(Heads { heads: vec![whole] }),
            3 => Message::Digest(Digest {
                heads: vec![whole],
                end: true,
            }),
            4 => Message::Receipt(Receipt::issue(&key, device, end, last, now)),
            // So does a relay that does not exist.
            5 => Message::Receipt(Receipt::issue(&invented, device, end, last, now)),
            // Both are relays of this network.
            6 => Message::Relays(Relays {
                relays: vec![describe(&key), describe(&invented)],
            }),
            7 => Message::Vouches(Vouches {
                fingerprint: [0; 16],
                vouches: vec![
                    Vouch::issue(&key, member, Stance::Invites, now),
                    Vouch::issue(&key, member, Stance::Joins, now),
                    Vouch::issue(&invented, me, Stance::Invites, now),
                ],
            }),
            // A member is none any more.
            _ => Message::Vouches(Vouches {
                fingerprint: [0; 16],
                vouches: vec![Vouch::issue(&key, member, Stance::Expels, now)],
            }),
        };
        self.net.lie(stranger, &message);
    }

    /// Dead peers that are not gone start again, all links come back, and all disks have room.
    fn recover(&mut self) {
        self.net.heal();
        for peer in 0..self.net.peers.len() {
            self.net.spare(peer);
            if self.net.peers[peer].disk.full {
                self.net.fill_disk(peer, false);
            }
            let left = self.gone.contains(&peer) || self.left.iter().any(|app| app.peer == peer);
            if self.lives(peer) || left {
                continue;
            }
            self.net.start(peer);
            if self.members.contains(&peer) {
                describe(&mut self.net, peer, 100);
            }
        }
        self.net.run_for_ms(100);
        self.meet();
        for app in &mut self.apps {
            app.publish_again(&mut self.net);
        }
    }

    /// A member dies for good, after everything was well for a while, and its share goes to others.
    fn bury(&mut self) {
        self.recover();
        self.net.run_for_ms(REPAIRED_MS);
        let living = self.living_members();
        let member = living[self.dice(living.len())];
        self.net.crash(member);
        self.gone.push(member);
        self.seen.gone += 1;
    }

    fn step(&mut self) {
        let pause_ms = 200 + self.dice(2_000) as u64;
        self.net.run_for_ms(pause_ms);
        let person = self.dice(PEOPLE);
        match self.dice(20) {
            0..=6 if self.lives(self.apps[person].peer) => self.apps[person].type_post(&mut self.net, None),
            7..=11 => self.lie(),
            12 | 13 => {
                // A clock goes wrong, and at a later jump perhaps right again.
                let peer = self.dice(self.net.peers.len());
                let ahead = match self.dice(3) {
                    0 => 0,
                    _ => self.net.rng.next_u64() % JUMP_MAX_MS,
                };
                self.net.peers[peer].clock_ahead_ms = ahead;
                self.seen.jumps += 1;
            }
            14 => {
                let member = self.dice(MEMBERS);
                let member = self.members[member];
                if self.lives(member) {
                    let full = !self.net.peers[member].disk.full;
                    self.net.fill_disk(member, full);
                    self.seen.full += u32::from(full);
                }
            }
            15 => {
                let peer = self.dice(self.net.peers.len());
                if self.lives(peer) && !self.net.model.liars.contains(&peer) {
                    doom(&mut self.net, peer, 30);
                    self.seen.deaths += 1;
                }
            }
            16 => {
                let groups: Vec<_> = (0..self.net.peers.len())
                    .map(|_| self.net.rng.next_u32() % 2)
                    .collect();
                self.net.partition(&groups);
            }
            17 | 18 => self.recover(),
            19 if self.gone.len() < GONE_MAX => self.bury(),
            19 => {
                self.recover();
                self.net.run_for_ms(5_000);
                self.write_and_leave();
            }
            _ => {}
        }
        self.check_receipts();
    }

    /// A receipt of a living member is true.
    fn check_receipts(&self) {
        let disks = self.members.iter().filter(|member| !self.gone.contains(member));
        let disks: Vec<_> = disks
            .map(|member| (*member, &self.net.peers[*member].disk))
            .collect();
        let broken = self.net.model.broken_promises(&disks);
        assert!(
            broken.is_empty(),
            "signed for and nowhere to be found: {broken:?}, gone {:?}, seed {}",
            self.gone,
            self.net.seed
        );
    }

    /// What was typed is there, once, for every person, at every member that keeps it, and for a newcomer.
    fn end(mut self) -> Seen {
        for peer in 0..self.net.peers.len() {
            // The time of every post has come, also of those that were dated in the future.
            self.net.peers[peer].clock_ahead_ms = JUMP_MAX_MS;
        }
        self.recover();
        self.net.run_for_ms(REPAIRED_MS);
        self.check_receipts();
        let seed = self.net.seed;
        let typed = typed_texts(&self.apps);
        self.apps.append(&mut self.left);
        let everything = typed_texts(&self.apps);
        let newcomer = self.net.person("N");
        self.net.peers[newcomer].clock_ahead_ms = JUMP_MAX_MS;
        let living = self.living_members();
        know(&mut self.net, newcomer, living[0]);
        for (account, _) in self.feeds.clone() {
            self.net.follow_account(newcomer, account);
        }
        self.net.run_for_ms(60_000);
        let people = self.apps[..PEOPLE].iter().map(|app| (app.peer, &typed));
        for (peer, expected) in people.chain([(newcomer, &everything)]) {
            let mut shown = self.net.texts(peer, Timeline::Home);
            shown.sort();
            assert_eq!(shown, *expected, "person {peer}, seed {seed}");
        }
        let strangers: Vec<_> = self
            .strangers
            .iter()
            .map(|(_, key)| PeerId(key.public()))
            .collect();
        for (peer, it) in self.net.peers.iter().enumerate() {
            if self.net.model.liars.contains(&peer) {
                continue;
            }
            let honest = |log: &&Log| match log {
                Log::Refused { peer: Some(by), .. } => !strangers.contains(by),
                Log::Corrupt { .. } => true,
                _ => false,
            };
            let refused: Vec<_> = it.log.iter().filter(honest).collect();
            assert!(
                refused.is_empty(),
                "peer {peer} refuses what honest peers send: {refused:?}, seed {seed}"
            );
        }
        self.seen.promises = self.net.model.promises();
        self.seen.dropped = self.net.model.drops;
        self.seen
    }
}

fn history(seed: u64) -> Seen {
    let mut story = Story::new(seed);
    for _ in 0..70 {
        story.step();
    }
    story.end()
}

fn histories(part: u64) {
    let first = seed() + HISTORIES * part;
    let mut all = Seen::default();
    for seed in first..first + HISTORIES {
        let seen = history(seed);
        all.lies += seen.lies;
        all.gone += seen.gone;
        all.jumps += seen.jumps;
        all.full += seen.full;
        all.deaths += seen.deaths;
        all.dropped += seen.dropped;
        all.promises += seen.promises;
    }
    println!("{all:?}");
    let happened = [all.lies, all.gone, all.jumps, all.full, all.dropped];
    assert!(
        happened.iter().all(|count| *count > 0) && all.promises > 0,
        "all of it did happen: {all:?}"
    );
}

#[test]
fn a_receipt_of_a_living_member_is_true_although_strangers_lie_and_members_die() {
    histories(0);
}

#[test]
fn a_receipt_of_a_living_member_is_true_in_other_histories() {
    histories(1);
}

#[test]
fn a_receipt_whose_entries_no_living_member_has_is_noticed() {
    let mut net = Network::new(seed());
    let relays = [net.add_relay(), net.add_relay()];
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    know(&mut net, relays[1], relays[0]);
    net.run_for_ms(20_000);
    net.post(ada, "signed for");
    net.run_for_ms(20_000);
    let broken = |net: &Network, living: &[usize]| {
        let disks = living.iter().map(|relay| (*relay, &net.peers[*relay].disk));
        net.model.broken_promises(&disks.collect::<Vec<_>>()).len()
    };
    assert!(net.model.promises() > 0);
    assert_eq!(broken(&net, &relays), 0);
    net.peers[relays[0]].disk.lose_entries();
    assert_eq!(broken(&net, &relays), 0, "the other one has taken it over");
    assert!(broken(&net, &relays[..1]) > 0, "the other one is gone");
    assert_eq!(broken(&net, &relays[1..]), 0, "it promised and has it");
    assert_eq!(broken(&net, &[]), 0, "nobody is left that promised anything");
}
