//! What the stand-in for the engine knows, and what it answers to queries.

use engine::api::{
    Connection, Cursor, DeviceView, Durability, Event, HolderView, LinkView, MeView, NetworkView, Page,
    PostView, ProfileView, Query, QueryResult, QuotaView, RelayState, RelayView, ReplyView, ScoreView,
    StatusView, StoreState, ThreadView, Timeline, Transport,
};
use protocol::messages::Quota;
use protocol::messages::directory::Description;
use protocol::messages::receipt::Reason;
use protocol::names::NameAnswer;
use protocol::{AccountId, DeviceId, EntryId, EntryRef, PeerId, Timestamp};

use super::cast::{self, PEOPLE, TEXTS, WORDS};
use super::scenario::Scenario;
use crate::ui::dom;
use crate::ui::kit::time::now_ms;

pub(super) const MINUTE_MS: u64 = 60_000;

/// Bytes that look random and are always the same.
pub(super) fn bytes(seed: u64) -> [u8; 32] {
    let mut state = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(0x1234_5678_9ABC_DEF1);
    let mut out = [0; 32];
    for byte in &mut out {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 24) as u8;
    }
    out
}

pub(super) fn person(index: usize) -> AccountId {
    AccountId(bytes(100 + index as u64))
}

fn own_device() -> DeviceId {
    DeviceId(bytes(7))
}

/// Everything it knows.
pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) me: Option<MeView>,
    pub(super) status: StatusView,
    pub(super) posts: Vec<PostView>,
    pub(super) profiles: Vec<ProfileView>,
    pub(super) made: u64,
    pub(super) traffic: u64,
}

impl World {
    pub(super) fn new(scenario: Scenario) -> Self {
        let mut profiles: Vec<ProfileView> = PEOPLE
            .iter()
            .enumerate()
            .map(|(index, (name, bio))| ProfileView {
                account: person(index),
                name: (*name).to_owned(),
                bio: (*bio).to_owned(),
                handle: if index < 3 {
                    name.split(' ').next().unwrap_or_default().to_lowercase()
                } else {
                    String::new()
                },
                mine: index == 0,
                followed: index != 0 && index != 4 && !scenario.has("empty"),
                entries: 40 + 13 * index as u64,
                forked: index == 6,
                searching: false,
                feeds: cast::feeds(index, now_ms()),
                reported_by: (index % 3) as u32,
                compared: (index != 4).then(|| Timestamp(now_ms() - 3 * MINUTE_MS)),
            })
            .collect();
        profiles[4].name = String::new();
        let mut world = Self {
            scenario,
            me: None,
            status: StatusView {
                phrase_confirmed: true,
                ..StatusView::default()
            },
            posts: Vec::new(),
            profiles,
            made: 0,
            traffic: 0,
        };
        if !scenario.has("stranger") {
            world.me = Some(me(&scenario, PEOPLE[0].0));
        }
        if !scenario.has("empty") && !scenario.has("stranger") {
            world.fill();
        }
        world.status = world.status_now();
        world
    }

    pub(super) fn fill(&mut self) {
        self.converse();
        self.posts.sort_by_key(|post| std::cmp::Reverse(post.timestamp));
    }

    pub(super) fn converse(&mut self) {
        let count = if self.scenario.has("many") { 20_000 } else { 90 };
        let now = now_ms();
        for number in 0..count as u64 {
            let author = [1, 0, 2, 9, 10, 3, 5, 1, 6, 7, 4][(number % 11) as usize] % PEOPLE.len();
            let age_ms = number * number * 2 * MINUTE_MS / 3 + number * 7 * MINUTE_MS + 20_000;
            let post = self.make(
                author,
                TEXTS[(number as usize * 5 + author) % TEXTS.len()],
                Timestamp(now.saturating_sub(age_ms)),
            );
            self.posts.push(post);
        }
        // A conversation under the third post.
        let root = self.posts[2].clone();
        for (author, text, minutes) in [
            (1, "Two watts! What wire?", 9),
            (
                2,
                "0.5 mm enamelled, end-fed, 20 m. The plum tree did the rest.",
                7,
            ),
            (0, "The plum tree deserves a call sign.", 4),
        ] {
            let mut reply = self.make(author, text, Timestamp(now - minutes * MINUTE_MS));
            let parent = self
                .posts
                .first()
                .filter(|p| p.reply.is_some())
                .unwrap_or(&root)
                .clone();
            reply.reply = Some(ReplyView {
                root: root.entry,
                parent: parent.entry,
                parent_name: parent.name.clone(),
            });
            if let Some(parent) = self.posts.iter_mut().find(|p| p.entry == parent.entry) {
                parent.beside.replies += 1;
            }
            self.posts.insert(0, reply);
        }
        // Answers to oneself.
        if let Some(own) = self
            .posts
            .iter()
            .find(|post| post.mine && post.reply.is_none())
            .cloned()
        {
            for (author, text, minutes) in [(5, "Envelope is exactly right.", 2), (7, "Seven!", 3)] {
                let mut reply = self.make(author, text, Timestamp(now - minutes * MINUTE_MS));
                reply.reply = Some(ReplyView {
                    root: own.entry,
                    parent: own.entry,
                    parent_name: own.name.clone(),
                });
                reply.in_activity = true;
                self.posts.insert(0, reply);
            }
        }
    }

    pub(super) fn make(&mut self, author: usize, text: &str, timestamp: Timestamp) -> PostView {
        self.made += 1;
        let mine = author == 0;
        let levels = [(3, 3), (4, 0), (0, 0)];
        let (peers, relays) = levels[(self.made % 3) as usize];
        PostView {
            entry: EntryRef {
                account: person(author),
                id: EntryId(bytes(10_000 + self.made)),
            },
            device: if mine {
                own_device()
            } else {
                DeviceId(bytes(500 + author as u64))
            },
            seq: self.made,
            name: self.profiles[author].name.clone(),
            handle: self.profiles[author].handle.clone(),
            text: text.to_owned(),
            timestamp,
            mine,
            in_home: self.profiles[author].followed || mine,
            durability: mine.then_some(Durability {
                saved: true,
                peers,
                relays,
                relays_known: 3,
            }),
            ..PostView::default()
        }
    }

    pub(super) fn status_now(&self) -> StatusView {
        let scenario = &self.scenario;
        let (connection, peers, relays) = if scenario.has("offline") {
            (Connection::Offline, 0, 0)
        } else if scenario.has("connecting") {
            (Connection::Connecting, 0, 0)
        } else if scenario.has("norelay") {
            (Connection::Online, 3, 0)
        } else {
            (Connection::Online, 6, 2)
        };
        StatusView {
            connection,
            peers,
            relays,
            waiting: if connection == Connection::Online { 0 } else { 3 },
            not_durable: match connection {
                Connection::Online if relays > 0 => 0,
                Connection::Online => 2,
                _ => 5,
            },
            syncing: false,
            store: if scenario.has("full") {
                StoreState::Full
            } else if scenario.has("failing") {
                StoreState::Failing
            } else {
                StoreState::Ok
            },
            phrase_confirmed: self.me.as_ref().is_none_or(|me| me.phrase_confirmed),
            clock_ahead_min: if scenario.has("clock") { 185 } else { 0 },
            quota: scenario.has("quota").then(|| QuotaView {
                quota: Quota::AccountEntries,
                per_hour: 3_600,
                until: Timestamp(now_ms() + 720_000),
            }),
        }
    }

    pub(super) fn links(&mut self) -> Vec<LinkView> {
        let status = self.status_now();
        self.traffic += 1_300;
        let rtts = [24, 61, 8, 35, 140, 410];
        (0..status.peers as usize)
            .map(|index| LinkView {
                peer: PeerId(bytes(900 + index as u64)),
                account: (index >= status.relays as usize).then(|| person(index)),
                name: if index >= status.relays as usize {
                    PEOPLE[index].0.to_owned()
                } else {
                    String::new()
                },
                relay: index < status.relays as usize,
                transport: if index == 1 {
                    Transport::WebSocket
                } else {
                    Transport::WebRtc
                },
                rtt_ms: (index != 4).then_some(rtts[index % rtts.len()]),
                bytes_in: 400_000 * (index as u64 + 1) + if index % 2 == 0 { self.traffic } else { 0 },
                bytes_out: 81_000 * (index as u64 + 1),
                since: Timestamp(now_ms().saturating_sub((index as u64 + 1) * 17 * MINUTE_MS)),
            })
            .collect()
    }

    pub(super) fn page(&self, timeline: Timeline, after: Option<&Cursor>, limit: u32) -> Page {
        let from = after.map_or(0, |cursor| {
            cursor
                .0
                .iter()
                .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte))
        });
        let mut matching = self.posts.iter().filter(|post| match timeline {
            Timeline::Home => post.in_home,
            Timeline::Public => true,
            Timeline::User(account) => post.entry.account == account,
            Timeline::Activity => post.in_activity,
        });
        let posts: Vec<PostView> = matching
            .by_ref()
            .skip(from)
            .take(limit as usize)
            .cloned()
            .collect();
        let next =
            (matching.next().is_some()).then(|| Cursor(((from + posts.len()) as u32).to_be_bytes().to_vec()));
        Page { posts, next }
    }

    pub(super) fn thread(&self, entry: EntryRef) -> ThreadView {
        let find = |entry: &EntryRef| self.posts.iter().find(|post| post.entry == *entry).cloned();
        let post = find(&entry);
        let mut ancestors = Vec::new();
        let mut above = post
            .as_ref()
            .and_then(|post| post.reply.as_ref())
            .map(|reply| reply.parent);
        while let Some(found) = above.and_then(|parent| find(&parent)) {
            above = found.reply.as_ref().map(|reply| reply.parent);
            ancestors.insert(0, found);
        }
        let mut replies: Vec<PostView> = self
            .posts
            .iter()
            .filter(|post| post.reply.as_ref().is_some_and(|reply| reply.parent == entry))
            .cloned()
            .collect();
        replies.reverse();
        ThreadView {
            entry,
            searching: post.is_none() && self.scenario.has("searching"),
            post,
            ancestors,
            replies,
        }
    }

    pub(super) fn query(&mut self, query: &Query) -> QueryResult {
        match query {
            Query::Replicas { .. } => QueryResult::Replicas(Default::default()),
            Query::Me => QueryResult::Me(self.me.clone()),
            Query::Phrase => QueryResult::Phrase(
                self.me
                    .as_ref()
                    .filter(|me| !me.phrase_confirmed)
                    .map(|_| WORDS.split_whitespace().map(str::to_owned).collect()),
            ),
            Query::Timeline {
                timeline,
                after,
                limit,
            } => QueryResult::Page(self.page(*timeline, after.as_ref(), *limit)),
            Query::Thread { post } => QueryResult::Thread(self.thread(*post)),
            Query::Profile { account } => QueryResult::Profile(self.profile(*account)),
            Query::Following => QueryResult::Profiles(
                self.profiles
                    .iter()
                    .filter(|profile| profile.followed)
                    .cloned()
                    .collect(),
            ),
            Query::Holders { post } => QueryResult::Holders(self.holders(*post)),
            Query::Status => QueryResult::Status(self.status),
            Query::Network => {
                let links = self.links();
                QueryResult::Network(NetworkView {
                    links,
                    feeds: 14,
                    entries: self.posts.len() as u64 * 3,
                    interests: 8,
                    duplicates: 212,
                    refused: 0,
                    relays: Self::relays(),
                    synced: (1..5)
                        .map(|index| {
                            (
                                person(index),
                                Timestamp(now_ms().saturating_sub(index as u64 * 3 * MINUTE_MS)),
                            )
                        })
                        .collect(),
                    scores: [
                        (1, 98, [0, 1_000, 0, 20]),
                        (2, 51, [1_500, 440, 0, 20]),
                        (3, 7, [1_500, 2_000, 0, 10_000]),
                    ]
                    .map(|(n, score, parts)| ScoreView {
                        relay: PeerId([n; 32]),
                        score,
                        parts,
                    })
                    .into(),
                    weights: [1_000, 2_000, 20, 10_000_000],
                    ..NetworkView::default()
                })
            }
            // There is no registry behind this, and not every kind of entry is played.
            _ => QueryResult::Name(NameAnswer::Unavailable),
        }
    }

    pub(super) fn relays() -> Vec<RelayView> {
        let relay = |n: u8, state, url: &str| RelayView {
            description: Description {
                relay: PeerId([n; 32]),
                url: url.to_owned(),
                ..Description::default()
            },
            state,
            this: false,
        };
        vec![
            relay(1, RelayState::Alive, "https://relay.example"),
            relay(2, RelayState::Alive, "https://starlings.example"),
            relay(3, RelayState::Dead, "http://203.0.113.7:8080"),
        ]
    }

    pub(super) fn profile(&self, account: AccountId) -> ProfileView {
        self.profiles
            .iter()
            .find(|profile| profile.account == account)
            .cloned()
            .unwrap_or(ProfileView {
                account,
                searching: true,
                ..ProfileView::default()
            })
    }

    pub(super) fn holders(&self, entry: EntryRef) -> Vec<HolderView> {
        let Some(durability) = self
            .posts
            .iter()
            .find(|post| post.entry == entry)
            .and_then(|post| post.durability)
        else {
            return Vec::new();
        };
        // A post on a relay was on one more before.
        let withdrawn = u32::from(durability.relays > 0);
        (0..durability.relays + durability.peers + withdrawn)
            .map(|index| {
                let gone = index >= durability.relays + durability.peers;
                HolderView {
                    peer: PeerId(bytes(900 + u64::from(index))),
                    relay: gone || index < durability.relays,
                    at: Timestamp(now_ms().saturating_sub(u64::from(index + 1) * 2 * MINUTE_MS)),
                    withdrawn: gone.then_some(Reason::MOVED),
                }
            })
            .collect()
    }

    pub(super) fn follow(&mut self, account: AccountId, followed: bool) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(profile) = self
            .profiles
            .iter_mut()
            .find(|profile| profile.account == account)
        {
            profile.followed = followed;
            events.push(Event::Profile(profile.clone()));
        }
        if let Some(me) = &mut self.me {
            me.following = self.profiles.iter().filter(|profile| profile.followed).count() as u32;
            events.push(Event::Me(me.clone()));
        }
        events
    }
}

/// The own account.
pub(super) fn me(scenario: &Scenario, name: &str) -> MeView {
    let now = now_ms();
    MeView {
        account: person(0),
        device: own_device(),
        name: name.to_owned(),
        bio: PEOPLE[0].1.to_owned(),
        handle: String::new(),
        claim: None,
        offer: None,
        phrase_confirmed: !scenario.has("phrase") && !scenario.has("stranger"),
        devices: vec![
            DeviceView {
                device: own_device(),
                name: dom::device_name(),
                since: Timestamp(now.saturating_sub(40 * 24 * 60 * MINUTE_MS)),
                this: true,
                revoked: scenario.has("revoked"),
                entries: 211,
            },
            DeviceView {
                device: DeviceId(bytes(8)),
                name: "Firefox on Android".to_owned(),
                since: Timestamp(now.saturating_sub(9 * 24 * 60 * MINUTE_MS)),
                this: false,
                revoked: false,
                entries: 38,
            },
            DeviceView {
                device: DeviceId(bytes(9)),
                name: "Safari on Mac".to_owned(),
                since: Timestamp(now.saturating_sub(300 * 24 * 60 * MINUTE_MS)),
                this: false,
                revoked: true,
                entries: 1_204,
            },
        ],
        following: 6,
        revoked: scenario.has("revoked"),
        forked: scenario.has("forked"),
        relays_only: false,
        old_copy: scenario.has("old-copy"),
        set_aside: if scenario.has("old-copy") { 2 } else { 0 },
        elsewhere: scenario.has("elsewhere"),
    }
}
