//! A stand-in for the engine: sample people, posts and links in memory, so that every page and state can be looked at
//! without a network. Which state is chosen by the address: `/?state=offline,phrase` and so on (see [`Scenario`]).

mod cast;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use engine::api::{
    Answer, Ask, Command, Connection, Cursor, DeviceView, Durability, Event, HolderView, LinkView, MeView,
    NetworkView, Outcome, Page, PostView, ProfileView, Query, Refusal, RelayState, RelayView, Reply,
    ReplyView, ScoreView, StatusView, StoreState, ThreadView, Timeline, Transport,
};
use gloo_timers::callback::Timeout;
use protocol::directory::Description;
use protocol::name::NameAnswer;
use protocol::{AccountId, DeviceId, EntryId, EntryRef, PeerId, Timestamp};
use wasm_bindgen_futures::spawn_local;

use cast::{PEOPLE, TEXTS, WORDS};

use crate::ui::bridge::{Bridge, Carrier, HostCommand, StorageView, TabRole, Trouble};
use crate::ui::dom;
use crate::ui::kit::time::now_ms;

const MINUTE_MS: u64 = 60_000;

/// What the address asks for.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    words: [bool; SCENARIO_WORDS.len()],
}

const SCENARIO_WORDS: [&str; 20] = [
    "stranger",
    "empty",
    "offline",
    "connecting",
    "phrase",
    "follower",
    "full",
    "failing",
    "update",
    "revoked",
    "forked",
    "blocked",
    "nostore",
    "stopped",
    "searching",
    "norelay",
    "volatile",
    "many",
    "refuse",
    "opening",
];

impl Scenario {
    fn load() -> Self {
        let search = dom::window().location().search().unwrap_or_default();
        let named: Vec<&str> = search.split(['?', '&', '=', ',']).collect();
        Self {
            words: SCENARIO_WORDS.map(|word| named.contains(&word)),
        }
    }

    fn has(&self, word: &str) -> bool {
        SCENARIO_WORDS
            .iter()
            .zip(self.words)
            .any(|(known, on)| *known == word && on)
    }
}

/// Bytes that look random and are always the same.
fn bytes(seed: u64) -> [u8; 32] {
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

fn person(index: usize) -> AccountId {
    AccountId(bytes(100 + index as u64))
}

fn own_device() -> DeviceId {
    DeviceId(bytes(7))
}

struct World {
    scenario: Scenario,
    me: Option<MeView>,
    status: StatusView,
    posts: Vec<PostView>,
    profiles: Vec<ProfileView>,
    made: u64,
    traffic: u64,
}

impl World {
    fn new(scenario: Scenario) -> Self {
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
                told_by: (index % 3) as u32,
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

    fn fill(&mut self) {
        self.converse();
        self.posts.sort_by_key(|post| std::cmp::Reverse(post.timestamp));
    }

    fn converse(&mut self) {
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
                parent.replies += 1;
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

    fn make(&mut self, author: usize, text: &str, timestamp: Timestamp) -> PostView {
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
            reply: None,
            replies: 0,
            mine,
            in_home: self.profiles[author].followed || mine,
            in_activity: false,
            durability: mine.then_some(Durability {
                saved: true,
                peers,
                relays,
                relays_known: 3,
            }),
            slug: String::new(),
            slug_claim: None,
        }
    }

    fn status_now(&self) -> StatusView {
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
        }
    }

    fn links(&mut self) -> Vec<LinkView> {
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

    fn page(&self, timeline: Timeline, after: Option<&Cursor>, limit: u32) -> Page {
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

    fn thread(&self, entry: EntryRef) -> ThreadView {
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

    fn query(&mut self, query: &Query) -> Reply {
        match query {
            Query::Replicas { .. } => Reply::Replicas(Default::default()),
            Query::Name { .. } | Query::Slug { .. } => Reply::Name(NameAnswer::Unavailable),
            Query::Me => Reply::Me(self.me.clone()),
            Query::Phrase => Reply::Phrase(
                self.me
                    .as_ref()
                    .filter(|me| !me.phrase_confirmed)
                    .map(|_| WORDS.split_whitespace().map(str::to_owned).collect()),
            ),
            Query::Timeline {
                timeline,
                after,
                limit,
            } => Reply::Page(self.page(*timeline, after.as_ref(), *limit)),
            Query::Thread { post } => Reply::Thread(self.thread(*post)),
            Query::Profile { account } => Reply::Profile(self.profile(*account)),
            Query::Following => Reply::Profiles(
                self.profiles
                    .iter()
                    .filter(|profile| profile.followed)
                    .cloned()
                    .collect(),
            ),
            Query::Holders { post } => Reply::Holders(self.holders(*post)),
            Query::Status => Reply::Status(self.status),
            Query::Network => {
                let links = self.links();
                Reply::Network(NetworkView {
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
        }
    }

    fn relays() -> Vec<RelayView> {
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

    fn profile(&self, account: AccountId) -> ProfileView {
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

    fn holders(&self, entry: EntryRef) -> Vec<HolderView> {
        let Some(durability) = self
            .posts
            .iter()
            .find(|post| post.entry == entry)
            .and_then(|post| post.durability)
        else {
            return Vec::new();
        };
        (0..durability.relays + durability.peers)
            .map(|index| HolderView {
                peer: PeerId(bytes(900 + u64::from(index))),
                relay: index < durability.relays,
                at: Timestamp(now_ms().saturating_sub(u64::from(index + 1) * 2 * MINUTE_MS)),
            })
            .collect()
    }

    fn follow(&mut self, account: AccountId, followed: bool) -> Vec<Event> {
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

fn me(scenario: &Scenario, name: &str) -> MeView {
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
    }
}

struct Demo {
    world: RefCell<World>,
    bridge: OnceCell<Bridge>,
}

impl Demo {
    fn say(&self, event: Event) {
        if let Some(bridge) = self.bridge.get() {
            bridge.event(event);
        }
    }

    fn command(self: &Rc<Self>, command: &Command) -> Result<Outcome, Refusal> {
        let mut events = Vec::new();
        let outcome = {
            let mut world = self.world.borrow_mut();
            match command {
                Command::CreateAccount { name, .. } => {
                    if name.is_empty() {
                        return Err(Refusal::Empty);
                    }
                    let own = me(&world.scenario, name);
                    world.me = Some(MeView {
                        following: 0,
                        ..own.clone()
                    });
                    Outcome::Account(own.account)
                }
                Command::Restore { phrase, .. } => {
                    let known: Vec<&str> = WORDS.split_whitespace().collect();
                    let words: Vec<String> = phrase.split_whitespace().map(str::to_ascii_lowercase).collect();
                    if let Some(position) = words.iter().position(|word| !known.contains(&word.as_str())) {
                        return Err(Refusal::PhraseWord {
                            position: position as u32,
                            word: words[position].clone(),
                        });
                    }
                    if words.len() != known.len() {
                        return Err(Refusal::PhraseLength {
                            words: words.len() as u32,
                        });
                    }
                    let own = me(&world.scenario, PEOPLE[0].0);
                    world.me = Some(MeView {
                        phrase_confirmed: true,
                        ..own.clone()
                    });
                    world.fill();
                    Outcome::Account(own.account)
                }
                Command::ConfirmPhrase => {
                    if let Some(me) = &mut world.me {
                        me.phrase_confirmed = true;
                        events.push(Event::Me(me.clone()));
                    }
                    Outcome::Ok
                }
                Command::Publish { text, reply_to, .. } => {
                    if world.scenario.has("refuse") {
                        return Err(Refusal::Store(StoreState::Full));
                    }
                    let mut post = world.make(0, text, Timestamp(now_ms()));
                    post.durability = Some(Durability {
                        relays_known: 3,
                        ..Durability::default()
                    });
                    post.reply = reply_to.as_ref().and_then(|to| {
                        let parent = world.posts.iter().find(|post| post.entry == to.parent)?;
                        Some(ReplyView {
                            root: to.root,
                            parent: to.parent,
                            parent_name: parent.name.clone(),
                        })
                    });
                    world.posts.insert(0, post.clone());
                    self.grow_safer(post.entry, world.status.connection == Connection::Online);
                    Outcome::Published(Box::new(post))
                }
                Command::Follow { account } => {
                    events = world.follow(*account, true);
                    Outcome::Ok
                }
                Command::Unfollow { account } => {
                    events = world.follow(*account, false);
                    Outcome::Ok
                }
                Command::EditProfile { name, bio } => {
                    if name.is_empty() {
                        return Err(Refusal::Empty);
                    }
                    name.clone_into(&mut world.profiles[0].name);
                    bio.clone_into(&mut world.profiles[0].bio);
                    events.push(Event::Profile(world.profiles[0].clone()));
                    if let Some(me) = &mut world.me {
                        name.clone_into(&mut me.name);
                        bio.clone_into(&mut me.bio);
                        events.push(Event::Me(me.clone()));
                    }
                    Outcome::Ok
                }
                Command::SetRelaysOnly { on } => {
                    if let Some(me) = &mut world.me {
                        me.relays_only = *on;
                        events.push(Event::Me(me.clone()));
                    }
                    Outcome::Ok
                }
                Command::RevokeDevice { .. } => return Err(Refusal::PhraseLength { words: 3 }),
                Command::RebuildViews | Command::CheckReplicas { .. } => Outcome::Ok,
                // There is no registry behind this.
                Command::ClaimName { .. }
                | Command::ReleaseName
                | Command::OfferName { .. }
                | Command::DropClaim
                | Command::SetSlug { .. } => {
                    return Err(Refusal::Busy);
                }
            }
        };
        for event in events {
            self.say(event);
        }
        Ok(outcome)
    }

    /// A post's way outwards, as it would be told.
    fn grow_safer(self: &Rc<Self>, entry: EntryRef, online: bool) {
        let steps: &[(u32, u32, u32)] = if online {
            &[(60, 0, 0), (900, 2, 0), (2_200, 4, 2)]
        } else {
            &[(60, 0, 0)]
        };
        for (after_ms, peers, relays) in steps.iter().copied() {
            let demo = self.clone();
            Timeout::new(after_ms, move || {
                let durability = Durability {
                    saved: true,
                    peers,
                    relays,
                    relays_known: 3,
                };
                if let Some(post) = demo
                    .world
                    .borrow_mut()
                    .posts
                    .iter_mut()
                    .find(|post| post.entry == entry)
                {
                    post.durability = Some(durability);
                }
                demo.say(Event::Durability {
                    post: entry,
                    durability,
                });
            })
            .forget();
        }
    }

    /// Another person writes a post.
    fn others_write(self: &Rc<Self>, after_ms: u32, author: usize) {
        let demo = self.clone();
        Timeout::new(after_ms, move || {
            let post = {
                let mut world = demo.world.borrow_mut();
                let post = world.make(author, TEXTS[author], Timestamp(now_ms()));
                world.posts.insert(0, post.clone());
                post
            };
            demo.say(Event::Posts {
                posts: vec![post],
                more: false,
            });
        })
        .forget();
    }
}

/// Shows the interface over the stand-in.
pub fn run() {
    let scenario = Scenario::load();
    let demo = Rc::new(Demo {
        world: RefCell::new(World::new(scenario)),
        bridge: OnceCell::new(),
    });
    let bridge = Bridge::new(Carrier {
        ask: {
            let demo = demo.clone();
            Box::new(move |number, ask| {
                if demo.world.borrow().scenario.has("opening") {
                    return;
                }
                let (demo, ask) = (demo.clone(), ask.clone());
                spawn_local(async move {
                    let answer = match &ask {
                        Ask::Query(query) => Answer::Reply(Box::new(demo.world.borrow_mut().query(query))),
                        Ask::Command(command) => match demo.command(command) {
                            Ok(outcome) => Answer::Done(outcome),
                            Err(refusal) => Answer::Refused(refusal),
                        },
                    };
                    if let Some(bridge) = demo.bridge.get() {
                        bridge.answered(number, answer);
                    }
                });
            })
        },
        host: {
            let demo = demo.clone();
            Box::new(move |command| {
                if let (HostCommand::KeepStorage, Some(bridge)) = (command, demo.bridge.get()) {
                    bridge.host_changed(|host| {
                        if let Some(storage) = &mut host.storage {
                            storage.persistent = true;
                        }
                    });
                }
            })
        },
    });
    bridge.host_changed(|host| {
        host.tab = if scenario.has("follower") {
            TabRole::Following
        } else {
            TabRole::Leading
        };
        host.update_ready = scenario.has("update");
        host.storage = Some(StorageView {
            used_bytes: 48_300_000,
            quota_bytes: 2_100_000_000,
            persistent: !scenario.has("volatile"),
        });
        host.trouble = if scenario.has("blocked") {
            Some(Trouble::StoreBlocked)
        } else if scenario.has("nostore") {
            Some(Trouble::StoreUnavailable("UnknownError".to_owned()))
        } else if scenario.has("stopped") {
            Some(Trouble::EngineStopped("unreachable".to_owned()))
        } else {
            None
        };
    });
    // Set once, right here.
    let _ = demo.bridge.set(bridge.clone());
    if !scenario.has("stranger")
        && !scenario.has("empty")
        && !scenario.has("offline")
        && !scenario.has("connecting")
    {
        demo.others_write(2_500, 1);
        demo.others_write(3_000, 2);
    }
    crate::ui::app::start(bridge);
}
