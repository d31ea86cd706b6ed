//! Whatever happens, in whatever order, a view keeps its invariants; and links are mutual once all has been said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use gossip::membership::{Cause, Config, Descriptor, Membership, Message, Output, SAMPLE_MAX, Wish};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

const ME: u8 = 0;

fn config() -> Config {
    Config {
        guests_max: 3,
        passive_max: 12,
        ..Config::visitor().with_active(3)
    }
}

fn told(peer: u8) -> Descriptor<u8> {
    Descriptor {
        peer,
        anchor: peer.is_multiple_of(5),
        heartbeat: u64::from(peer),
        age_s: 0,
    }
}

/// What can happen to a view.
#[derive(Clone, Debug)]
enum Event {
    Learn(u8),
    Opens(u8, bool),
    DialFails(u8),
    Breaks(u8),
    Says(u8, Message<u8>),
    Passes(u64),
    AnchorsOnly(bool),
    Wakes,
}

fn peers() -> impl Strategy<Value = Vec<Descriptor<u8>>> {
    proptest::collection::vec((0..20_u8).prop_map(told), 0..=SAMPLE_MAX + 1)
}

fn message() -> impl Strategy<Value = Message<u8>> {
    let wish = prop_oneof![
        Just(Wish::Join),
        Just(Wish::Urgent),
        Just(Wish::Fill),
        Just(Wish::Mix)
    ];
    let counter = prop_oneof![0..9_u64, Just(u64::MAX)];
    prop_oneof![
        (wish, any::<bool>(), counter.clone(), peers()).prop_map(|(wish, anchor, heartbeat, peers)| {
            Message::Request {
                wish,
                anchor,
                heartbeat,
                peers,
            }
        }),
        (any::<bool>(), counter.clone(), any::<u16>(), peers()).prop_map(
            |(anchor, heartbeat, degree, peers)| Message::Accept {
                anchor,
                heartbeat,
                degree,
                peers
            }
        ),
        peers().prop_map(|peers| Message::Refuse { peers }),
        (0..20_u8, any::<u8>()).prop_map(|(peer, ttl)| Message::ForwardJoin {
            newcomer: told(peer),
            ttl
        }),
        (any::<u8>(), peers()).prop_map(|(ttl, peers)| Message::Shuffle { ttl, peers }),
        (counter, any::<u16>(), any::<u64>(), any::<u16>()).prop_map(|(counter, degree, echo, held_ms)| {
            Message::Heartbeat {
                counter,
                degree,
                echo,
                held_ms,
            }
        }),
        peers().prop_map(|peers| Message::Leave { peers }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let peer = 0..20_u8;
    prop_oneof![
        1 => peer.clone().prop_map(Event::Learn),
        1 => (peer.clone(), any::<bool>()).prop_map(|(peer, dialled)| Event::Opens(peer, dialled)),
        1 => peer.clone().prop_map(Event::DialFails),
        1 => peer.clone().prop_map(Event::Breaks),
        8 => (peer, message()).prop_map(|(peer, message)| Event::Says(peer, message)),
        2 => (0..40_000_u64).prop_map(Event::Passes),
        1 => any::<bool>().prop_map(Event::AnchorsOnly),
        1 => Just(Event::Wakes),
    ]
}

/// The world outside one view, by what the view received and what it sent.
#[derive(Default)]
struct Outside {
    connected: BTreeSet<u8>,
    neighbours: BTreeSet<u8>,
    dialled: BTreeSet<u8>,
}

impl Outside {
    fn drain(&mut self, view: &mut Membership<u8>) {
        while let Some(output) = view.poll() {
            match output {
                Output::Dial(peer) => {
                    assert_ne!(peer, ME, "a dial to oneself");
                    assert!(!self.neighbours.contains(&peer), "a dial to a neighbour");
                    self.dialled.insert(peer);
                }
                Output::Send(peer, message) => {
                    assert!(message.peers().len() <= SAMPLE_MAX);
                    assert_ne!(peer, ME);
                }
                Output::Close(peer, _) => {
                    self.connected.remove(&peer);
                }
                Output::Up(peer) => {
                    assert_ne!(peer, ME, "a link to oneself");
                    assert!(self.neighbours.insert(peer), "up twice");
                    assert!(self.connected.contains(&peer), "a neighbour without a connection");
                }
                Output::Down(peer, _) => assert!(self.neighbours.remove(&peer), "down without up"),
                Output::Rtt(peer, _) => assert_ne!(peer, ME),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_keeps_its_bounds_whatever_happens(
        events in proptest::collection::vec(event(), 0..200),
        anchor in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let config = Config { anchor, ..config() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut now = Duration::from_secs(1);
        let mut view = Membership::new(ME, config.clone(), 7, now, &mut rng);
        let mut outside = Outside::default();
        for event in events {
            match event {
                Event::Learn(peer) => view.learn(peer, told(peer).anchor, now, &mut rng),
                Event::Opens(peer, dialled) => {
                    if outside.connected.insert(peer) {
                        view.on_connected(peer, dialled, now, &mut rng);
                    }
                }
                Event::DialFails(peer) => view.on_dial_failed(&peer, now, &mut rng),
                Event::Breaks(peer) => {
                    outside.connected.remove(&peer);
                    view.on_disconnected(&peer, now, &mut rng);
                }
                Event::Says(peer, message) => {
                    if outside.connected.contains(&peer)
                        && view.on_message(peer, message, now, &mut rng).is_err()
                    {
                        outside.connected.remove(&peer);
                    }
                }
                Event::Passes(ms) => {
                    now += Duration::from_millis(ms);
                    view.tick(now, &mut rng, |_| false);
                }
                Event::AnchorsOnly(on) => view.set_anchors_only(on, now, &mut rng),
                Event::Wakes => view.retry_now(now, &mut rng),
            }
            outside.drain(&mut view);
            let neighbours: BTreeSet<u8> = view.neighbours().copied().collect();
            prop_assert_eq!(&neighbours, &outside.neighbours);
            prop_assert!(neighbours.len() <= config.active_max);
            prop_assert!(view.dialing() <= config.dials_max * 3);
            prop_assert!(view.acquaintances_len() <= config.passive_max);
            prop_assert!(view.acquaintances().all(|(peer, _)| peer != ME && !neighbours.contains(&peer)));
        }
        // Time alone brings everything overdue to an end.
        for _ in 0..4 {
            now = view.next_deadline().max(now + Duration::from_secs(60));
            view.tick(now, &mut rng, |_| false);
            outside.drain(&mut view);
        }
    }
}

/// A few views that hear from each other at once, in the order things were said.
struct SmallNetwork {
    views: BTreeMap<u8, Membership<u8>>,
    rng: ChaCha8Rng,
    now: Duration,
    links: BTreeSet<(u8, u8)>,
    closed: Vec<&'static str>,
    /// Who does not answer.
    down: BTreeSet<u8>,
}

impl SmallNetwork {
    fn new(n: u8, config: &Config, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Duration::from_secs(1);
        let views = (0..n)
            .map(|me| (me, Membership::new(me, config.clone(), 1, now, &mut rng)))
            .collect();
        Self {
            views,
            rng,
            now,
            links: BTreeSet::new(),
            closed: Vec::new(),
            down: BTreeSet::new(),
        }
    }

    /// A member crashed.
    fn kill(&mut self, gone: u8) {
        self.down.insert(gone);
        let links: Vec<_> = self.links.iter().copied().collect();
        for (one, other) in links
            .into_iter()
            .filter(|(one, other)| [*one, *other].contains(&gone))
        {
            self.links.remove(&(one, other));
            let left = if one == gone { other } else { one };
            let (view, now, rng) = self.view(left);
            view.on_disconnected(&gone, now, rng);
        }
    }

    /// It is there again, knowing nobody.
    fn restart(&mut self, gone: u8, config: &Config) {
        self.down.remove(&gone);
        let new = Membership::new(gone, config.clone(), 1_000, self.now, &mut self.rng);
        self.views.insert(gone, new);
    }

    fn view(&mut self, peer: u8) -> (&mut Membership<u8>, Duration, &mut ChaCha8Rng) {
        (
            self.views.get_mut(&peer).expect("a member"),
            self.now,
            &mut self.rng,
        )
    }

    /// Lets everything happen that was asked for.
    fn settle(&mut self) {
        let mut said: VecDeque<(u8, u8, Message<u8>)> = VecDeque::new();
        loop {
            let up = self.views.keys().filter(|peer| !self.down.contains(peer));
            for me in up.copied().collect::<Vec<_>>() {
                while let Some(output) = self.views.get_mut(&me).and_then(Membership::poll) {
                    match output {
                        Output::Dial(to) if self.down.contains(&to) => {
                            let (view, now, rng) = self.view(me);
                            view.on_dial_failed(&to, now, rng);
                        }
                        Output::Dial(to) => {
                            if self.links.insert((me.min(to), me.max(to))) {
                                let (view, now, rng) = self.view(me);
                                view.on_connected(to, true, now, rng);
                                let (view, now, rng) = self.view(to);
                                let crossed = view.is_dialing(&me);
                                view.on_connected(me, crossed, now, rng);
                            }
                        }
                        Output::Send(to, message) => said.push_back((me, to, message)),
                        Output::Close(to, why) => {
                            self.closed.push(why);
                            // What was said before goes first.
                            while let Some((from, to, message)) = said.pop_front() {
                                self.deliver(from, to, message);
                            }
                            if self.links.remove(&(me.min(to), me.max(to))) {
                                let (view, now, rng) = self.view(to);
                                view.on_disconnected(&me, now, rng);
                            }
                        }
                        Output::Up(_) | Output::Down(..) | Output::Rtt(..) => {}
                    }
                }
            }
            let Some((from, to, message)) = said.pop_front() else {
                return;
            };
            self.deliver(from, to, message);
        }
    }

    fn deliver(&mut self, from: u8, to: u8, message: Message<u8>) {
        if self.links.contains(&(from.min(to), from.max(to))) {
            let (view, now, rng) = self.view(to);
            assert_eq!(view.on_message(from, message, now, rng), Ok(()), "{from} to {to}");
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let down = &self.down;
            let up = || self.views.iter().filter(|(peer, _)| !down.contains(peer));
            let next = up().map(|(_, view)| view.next_deadline()).min();
            self.now = next
                .unwrap_or(end)
                .max(self.now + Duration::from_millis(1))
                .min(end);
            let now = self.now;
            for (peer, view) in &mut self.views {
                if !self.down.contains(peer) && view.next_deadline() <= now {
                    view.tick(now, &mut self.rng, |_| false);
                }
            }
            self.settle();
            if self.now == end {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn links_are_mutual_and_nobody_is_banned_for_being_busy(n in 2..16_u8, seed in any::<u64>()) {
        let mut network = SmallNetwork::new(n, &config(), seed);
        for peer in 1..n {
            let (view, now, rng) = network.view(peer);
            view.learn(0, true, now, rng);
            network.settle();
        }
        network.pass(Duration::from_mins(5));
        for (me, view) in &network.views {
            prop_assert!(view.neighbours_len() > 0, "{} is alone", me);
            for neighbour in view.neighbours() {
                prop_assert!(network.views[neighbour].is_neighbour(me), "{} is no neighbour of {}", me, neighbour);
            }
        }
        prop_assert!(!network.closed.contains(&"it accepted what nobody asked"), "{:?}", network.closed);
    }
}

/// Nobody who could introduce them is left, so each link counts: none is kept for anchors that do not answer.
#[test]
fn places_of_anchors_that_are_gone_are_taken_and_given_back_when_they_return() {
    const ANCHOR: u8 = 0;
    let visitor = Config {
        active_target: 4,
        active_high: 4,
        active_max: 4,
        anchors_target: 1,
        ..config()
    };
    let anchor = Config::anchor();
    let n = 9;
    let mut network = SmallNetwork::new(n, &visitor, 3);
    network.restart(ANCHOR, &anchor);
    for peer in 1..n {
        let (view, now, rng) = network.view(peer);
        view.learn(ANCHOR, true, now, rng);
        network.settle();
    }
    let tabs = 1..n;
    let linked_with_it = |network: &SmallNetwork| {
        tabs.clone()
            .filter(|tab| network.views[tab].is_neighbour(&ANCHOR))
            .count()
    };
    let full = |network: &SmallNetwork| {
        tabs.clone()
            .filter(|tab| network.views[tab].neighbours_len() == 4)
            .count()
    };
    network.pass(Duration::from_mins(2));
    assert_eq!(linked_with_it(&network), 8, "everybody keeps a place for it");
    network.kill(ANCHOR);
    network.pass(Duration::from_mins(2));
    assert_eq!(linked_with_it(&network), 0);
    assert!(
        full(&network) >= 6,
        "its places are taken: {} of 8 have four",
        full(&network)
    );
    network.restart(ANCHOR, &anchor);
    network.pass(Duration::from_mins(2));
    assert_eq!(linked_with_it(&network), 8, "and given back");
}

/// Each has all the visitors it takes, since no other anchor was to be expected.
#[test]
fn anchors_that_are_full_make_room_for_each_other_and_for_no_more() {
    let visitor = Config {
        active_target: 1,
        active_high: 1,
        active_max: 1,
        anchors_target: 1,
        ..config()
    };
    let anchor = Config {
        active_target: 3,
        active_high: 3,
        active_max: 3,
        anchors_target: 1,
        dial_anchors_only: true,
        ..Config::anchor()
    };
    let mut network = SmallNetwork::new(12, &visitor, 5);
    for peer in 0..3 {
        network.restart(peer, &anchor);
    }
    for (tab, at) in (3..12).zip([0, 0, 0, 1, 1, 1, 2, 2, 2]) {
        let (view, now, rng) = network.view(tab);
        view.learn(at, true, now, rng);
        network.settle();
    }
    network.pass(Duration::from_mins(1));
    let linked =
        |network: &SmallNetwork, at: u8| network.views[&at].neighbours().copied().collect::<Vec<_>>();
    for at in 0..3 {
        assert!(linked(&network, at).iter().all(|peer| *peer >= 3));
        assert_eq!(network.views[&at].neighbours_len(), 3, "{at} is full");
    }
    for (one, other) in [(0, 1), (1, 0)] {
        let (view, now, rng) = network.view(one);
        view.learn(other, true, now, rng);
    }
    network.pass(Duration::from_mins(1));
    assert!(network.views[&0].is_neighbour(&1) && network.views[&1].is_neighbour(&0));
    // No third one takes more places of theirs.
    let (view, now, rng) = network.view(2);
    view.learn(0, true, now, rng);
    network.pass(Duration::from_mins(1));
    assert!(network.views[&0].is_neighbour(&1), "{:?}", linked(&network, 0));
    assert_eq!(linked(&network, 0).iter().filter(|peer| **peer < 3).count(), 1);
}

#[test]
fn walks_beyond_the_budget_end_and_only_a_flood_is_a_breach() {
    let mut network = SmallNetwork::new(2, &config(), 1);
    let (view, now, rng) = network.view(0);
    view.learn(1, false, now, rng);
    network.settle();
    let (view, now, rng) = network.view(0);
    assert!(view.is_neighbour(&1));
    let walk = || Message::Shuffle {
        ttl: 3,
        peers: vec![told(9)],
    };
    for _ in 0..100 {
        assert_eq!(view.on_message(1, walk(), now, rng), Ok(()));
    }
    assert!(view.is_neighbour(&1), "what a busy relay passes on is no breach");
    let breach = (0..1_000).find_map(|_| view.on_message(1, walk(), now, rng).err());
    assert_eq!(breach, Some("a flood of walks"));
    assert!(!view.is_neighbour(&1));
    let down = std::iter::from_fn(|| view.poll()).any(|output| output == Output::Down(1, Cause::Banned));
    assert!(down);
}

/// Connections that prove a key and ask for nothing cost a peer that asks nothing.
#[test]
fn the_oldest_silent_guest_gives_way_to_a_newcomer() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let config = Config {
        guests_max: 2,
        ..config()
    };
    let mut view = Membership::new(ME, config, 1, Duration::ZERO, &mut rng);
    let mut connect = |view: &mut Membership<u8>, peer, now| {
        view.on_connected(peer, false, Duration::from_millis(now), &mut rng);
        let mut closed = Vec::new();
        while let Some(output) = view.poll() {
            if let Output::Close(peer, _) = output {
                closed.push(peer);
            }
        }
        closed
    };
    assert_eq!(connect(&mut view, 1, 0), []);
    assert_eq!(connect(&mut view, 2, 500), []);
    assert_eq!(connect(&mut view, 3, 999), [3], "a young guest may still ask");
    assert_eq!(connect(&mut view, 4, 1_000), [1]);
    assert_eq!(connect(&mut view, 5, 1_001), [5]);
    assert_eq!(connect(&mut view, 20, 1_500), [2]);
    let request = Message::Request {
        wish: Wish::Join,
        anchor: false,
        heartbeat: 1,
        peers: Vec::new(),
    };
    let asked = view.on_message(20, request, Duration::from_millis(1_600), &mut rng);
    assert!(asked.is_ok() && view.is_neighbour(&20));
}
