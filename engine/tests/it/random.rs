//! Random histories: whatever happens, live peers with the same interests end with the same views, and with everything
//! that was typed. [`crate::crashes`] looks closer at single devices; here more of them meet.

use rand_core::Rng;
use starling_engine::Log;
use starling_engine::api::{Command, Query, QueryResult, Timeline};

use crate::crashes::{App, doom, reopen, typed_texts};
use crate::model::Unsafe;
use crate::network::{Network, seed};

/// What was done to a network.
#[derive(Debug, Default)]
struct Faults {
    deaths: u32,
    partitions: u32,
    posts: Unsafe,
}

/// One random history. Returns the faults, to prove that there were some.
fn history(seed: u64) -> Faults {
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
    let mut apps: Vec<_> = people.iter().map(|peer| App::new(*peer)).collect();
    net.run_for_ms(500);
    net.introduce_all();
    let mut faults = Faults::default();
    for _ in 0..60 {
        let pause_ms = 200 + u64::from(net.rng.next_u32() % 800);
        net.run_for_ms(pause_ms);
        let one = (net.rng.next_u32() as usize) % net.peers.len();
        match net.rng.next_u32() % 10 {
            0..=5 => {
                let author = net.rng.next_u32() as usize % people.len();
                if net.peers[people[author]].engine.is_some() {
                    apps[author].type_post(&mut net, None);
                }
            }
            6 => {
                let other = (net.rng.next_u32() as usize) % net.peers.len();
                net.cut(one, other);
            }
            7 => {
                faults.partitions += 1;
                let groups: Vec<_> = (0..net.peers.len()).map(|_| net.rng.next_u32() % 2).collect();
                net.partition(&groups);
            }
            8 => {
                if net.peers[one].engine.is_some() {
                    faults.deaths += 1;
                    doom(&mut net, one, 20);
                    if let Some(app) = apps.iter_mut().find(|app| app.peer == one) {
                        app.type_post(&mut net, None);
                    }
                }
            }
            _ => {
                net.heal();
                for peer in 0..net.peers.len() {
                    match apps.iter_mut().find(|app| app.peer == peer) {
                        _ if net.peers[peer].engine.is_some() => {}
                        Some(app) => reopen(&mut net, app),
                        None => net.start(peer),
                    }
                }
                net.introduce_all();
            }
        }
    }
    net.heal();
    for peer in 0..net.peers.len() {
        net.spare(peer);
        if net.peers[peer].engine.is_none() {
            net.start(peer);
        }
    }
    net.run_for_ms(100);
    net.introduce_all();
    for app in &mut apps {
        app.publish_again(&mut net);
    }
    net.run_for_ms(180_000);
    let posts = |net: &mut Network, peer, timeline| -> Vec<_> {
        net.page(peer, timeline)
            .into_iter()
            .map(|post| (post.entry, post.text, post.name))
            .collect()
    };
    let expected = posts(&mut net, relays[0], Timeline::Public);
    let mut shown: Vec<&String> = expected.iter().map(|(_, text, _)| text).collect();
    let mut typed: Vec<&String> = apps
        .iter()
        .flat_map(|app| &app.typed)
        .map(|(text, _)| text)
        .collect();
    shown.sort();
    typed.sort();
    assert!(!typed.is_empty());
    assert_eq!(shown, typed, "what was typed is there, once, seed {seed}");
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
    }
    for (peer, it) in net.peers.iter().enumerate() {
        let refused = |log: &&Log| matches!(log, Log::Refused { .. } | Log::Corrupt { .. });
        let refused: Vec<_> = it.log.iter().filter(refused).collect();
        assert!(
            refused.is_empty(),
            "peer {peer} refuses what honest peers send: {refused:?}, seed {seed}"
        );
    }
    faults.posts = net.model.deaths;
    faults
}

#[test]
fn live_peers_with_the_same_interests_end_with_the_same_views() {
    let first = seed();
    let count = std::env::var("STARLING_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let mut all = Faults::default();
    for seed in first..first + count {
        let faults = history(seed);
        all.deaths += faults.deaths;
        all.partitions += faults.partitions;
        all.posts.lost += faults.posts.lost;
        all.posts.kept += faults.posts.kept;
    }
    println!("{all:?}");
    assert!(
        all.deaths > 0 && all.partitions > 0,
        "the faults did happen: {all:?}"
    );
    assert!(
        all.posts.lost > 0 && all.posts.kept > 0,
        "devices died with posts that were not safe, before and after they were on disk: {all:?}"
    );
}

/// A history in which devices are set back to older copies of their disks, with and without another peer that holds what they wrote
/// since. Returns how many were noticed to be old copies.
fn set_back(seed: u64) -> u32 {
    let mut net = Network::new(seed);
    net.model.old_copies = true;
    let relays: Vec<_> = (0..2).map(|_| net.add_relay()).collect();
    let people: Vec<_> = (0..3).map(|n| net.person(&format!("P{n}"))).collect();
    let mut apps: Vec<_> = people.iter().map(|peer| App::new(*peer)).collect();
    net.introduce_all();
    net.run_for_ms(5_000);
    let mut noticed = 0;
    for _ in 0..6 {
        let app = &mut apps[net.rng.next_u32() as usize % people.len()];
        let peer = app.peer;
        let copy = net.peers[peer].disk.copy();
        for _ in 0..=net.rng.next_u32() % 3 {
            app.type_post(&mut net, None);
            net.run_for_ms(1_000);
        }
        // Others have it all.
        net.run_for_ms(10_000);
        net.crash(peer);
        net.peers[peer].disk.replace(copy);
        let offline = net.rng.next_u32().is_multiple_of(2);
        if offline {
            let groups: Vec<_> = (0..net.peers.len()).map(|one| u32::from(one == peer)).collect();
            net.partition(&groups);
        }
        net.start(peer);
        net.run_for_ms(100);
        if offline {
            for _ in 0..=net.rng.next_u32() % 3 {
                app.type_post(&mut net, None);
                net.run_for_ms(1_000);
            }
            net.heal();
        }
        net.introduce_all();
        net.run_for_ms(15_000);
        if let QueryResult::Me(Some(me)) = net.query(peer, Query::Me)
            && me.old_copy
        {
            noticed += 1;
            let device_name = "made new".to_owned();
            let phrase = None;
            net.command(peer, Command::BeginAsNewDevice { phrase, device_name });
            net.run_for_ms(100);
            net.introduce_all();
            net.run_for_ms(10_000);
        }
    }
    net.run_for_ms(60_000);
    let typed = typed_texts(&apps);
    for relay in relays {
        let mut shown = net.texts(relay, Timeline::Public);
        shown.sort();
        assert_eq!(shown, typed, "what was typed is there, once, seed {seed}");
    }
    noticed
}

#[test]
fn a_device_that_starts_from_an_older_copy_of_its_disk_never_forks_its_feed() {
    let noticed: u32 = (seed()..seed() + 6).map(set_back).sum();
    assert!(noticed > 0, "some devices wrote before they were linked");
}
