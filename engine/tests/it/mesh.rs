//! The mesh as a whole: it grows and mends itself, with and without a signaling server.

use starling_engine::api::Timeline;
use starling_engine::{Candidate, Input};

use crate::network::{Network, seed};

/// This many people who all follow the first, linked by a signaling server that then dies.
fn crowd(n: usize) -> (Network, Vec<usize>) {
    let mut net = Network::new(seed());
    let people: Vec<usize> = (0..n).map(|i| net.person(&format!("P{i}"))).collect();
    for follower in &people[1..] {
        net.follow(*follower, people[0]);
    }
    net.introduce_all();
    net.run_for_ms(30_000);
    net.signaling = false;
    (net, people)
}

/// Introduces one person to another, as an invitation does.
fn invite(net: &mut Network, newcomer: usize, host: usize) {
    let peer = net.peer_id(host).unwrap();
    let candidates = vec![Candidate { peer, relay: false }];
    net.connect(newcomer, host);
    net.input(newcomer, Input::Candidates(candidates));
}

#[test]
fn a_newcomer_who_knows_one_finds_the_others_without_signaling() {
    let (mut net, people) = crowd(14);
    let newcomer = net.person("New");
    net.follow(newcomer, people[0]);
    invite(&mut net, newcomer, people[5]);
    net.run_for_ms(30_000);
    let linked = net.linked(newcomer);
    assert!(linked.len() >= 5, "by introduction: {linked:?}");
    // The one it came by leaves, and the newcomer is still there.
    net.crash(people[5]);
    net.post(people[0], "hello to all");
    net.run_for_ms(5_000);
    assert_eq!(net.texts(newcomer, Timeline::Home), ["hello to all"]);
}

#[test]
fn lost_neighbours_are_replaced_without_signaling() {
    let (mut net, people) = crowd(16);
    let one = people[15];
    let neighbours = net.linked(one);
    let (kept, lost) = neighbours.split_first().unwrap();
    for peer in lost {
        net.crash(*peer);
    }
    net.run_for_ms(60_000);
    let now = net.linked(one);
    assert!(now.contains(kept));
    let fresh = now.iter().filter(|peer| !neighbours.contains(peer)).count();
    assert!(fresh >= 3, "had {neighbours:?}, lost {lost:?}, has {now:?}");
}

#[test]
fn a_peer_that_loses_all_neighbours_finds_others_by_signaling() {
    let (mut net, people) = crowd(16);
    net.signaling = true;
    let one = people[15];
    for peer in net.linked(one) {
        net.crash(peer);
    }
    net.run_for_ms(30_000);
    assert!(net.linked(one).len() >= 3);
}

#[test]
fn nobody_has_more_links_than_allowed() {
    let mut net = Network::new(seed());
    let config = starling_engine::Config {
        links_target: 3,
        links_max: 4,
        relays_target: 0,
        ..starling_engine::Config::browser()
    };
    let people: Vec<usize> = (0..12)
        .map(|i| net.person_with(config.clone(), &format!("P{i}")))
        .collect();
    for follower in &people[1..] {
        net.follow(*follower, people[0]);
    }
    net.introduce_all();
    for second in 0..60 {
        net.run_for_ms(1_000);
        for peer in &people {
            let neighbours = net.neighbours(*peer);
            assert!(
                neighbours <= 4,
                "{neighbours} after {second} s (seed {})",
                net.seed
            );
        }
    }
    net.post(people[0], "over several links");
    net.run_for_ms(5_000);
    for follower in &people[1..] {
        assert_eq!(net.texts(*follower, Timeline::Home), ["over several links"]);
    }
}
