//! Random histories: whatever happens, live peers with the same interests end with the same views.

use rand_core::Rng;
use starling_engine::api::Timeline;

use crate::network::{Network, seed};

/// One random history. Returns how many crashes and partitions there were, to prove that there were some.
fn history(seed: u64) -> (u32, u32) {
    let mut net = Network::new(seed);
    let relays: Vec<_> = (0..2).map(|_| net.add_relay()).collect();
    let people: Vec<_> = (0..5).map(|n| net.person(&format!("P{n}"))).collect();
    // Everybody follows everybody: all have the same interests.
    for follower in &people {
        for followed in &people {
            if follower != followed {
                net.follow(*follower, *followed);
            }
        }
    }
    net.run_for_ms(500);
    net.introduce_all();
    let (mut crashes, mut partitions) = (0, 0);
    for _ in 0..60 {
        let pause_ms = 200 + u64::from(net.rng.next_u32() % 800);
        net.run_for_ms(pause_ms);
        let one = (net.rng.next_u32() as usize) % net.peers.len();
        match net.rng.next_u32() % 10 {
            0..=5 => {
                let author = people[net.rng.next_u32() as usize % people.len()];
                if net.peers[author].engine.is_some() {
                    let text = format!("post {}", net.rng.next_u32());
                    net.post(author, &text);
                }
            }
            6 => {
                let other = (net.rng.next_u32() as usize) % net.peers.len();
                net.cut(one, other);
            }
            7 => {
                partitions += 1;
                let groups: Vec<_> = (0..net.peers.len()).map(|_| net.rng.next_u32() % 2).collect();
                net.partition(&groups);
            }
            8 => {
                // A person's post that was not yet saved may be lost with the crash; nothing else may.
                if net.peers[one].engine.is_some() {
                    crashes += 1;
                    net.crash(one);
                }
            }
            _ => {
                net.heal();
                for peer in 0..net.peers.len() {
                    if net.peers[peer].engine.is_none() {
                        net.start(peer);
                    }
                }
                net.introduce_all();
            }
        }
    }
    net.heal();
    for peer in 0..net.peers.len() {
        if net.peers[peer].engine.is_none() {
            net.start(peer);
        }
    }
    net.run_for_ms(100);
    net.introduce_all();
    net.run_for_ms(180_000);
    let posts = |net: &mut Network, peer, timeline| -> Vec<_> {
        net.page(peer, timeline)
            .into_iter()
            .map(|post| (post.entry, post.text, post.name))
            .collect()
    };
    let expected = posts(&mut net, relays[0], Timeline::Public);
    assert!(!expected.is_empty());
    for relay in &relays {
        assert_eq!(
            posts(&mut net, *relay, Timeline::Public),
            expected,
            "relays differ, seed {seed}"
        );
    }
    for person in &people {
        assert_eq!(
            posts(&mut net, *person, Timeline::Home),
            expected,
            "person {person} differs, seed {seed}"
        );
        let refused: Vec<_> = net.peers[*person]
            .log
            .iter()
            .filter(|log| {
                matches!(
                    log,
                    starling_engine::Log::Refused { .. } | starling_engine::Log::Corrupt { .. }
                )
            })
            .collect();
        assert!(
            refused.is_empty(),
            "honest peers refuse nothing: {refused:?}, seed {seed}"
        );
    }
    (crashes, partitions)
}

#[test]
fn live_peers_with_the_same_interests_end_with_the_same_views() {
    let first = seed();
    let count = std::env::var("STARLING_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let (mut crashes, mut partitions) = (0, 0);
    for seed in first..first + count {
        let (c, p) = history(seed);
        crashes += c;
        partitions += p;
    }
    assert!(
        crashes > 0 && partitions > 0,
        "the faults did happen: {crashes} crashes, {partitions} partitions"
    );
}
