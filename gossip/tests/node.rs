//! Nodes as programs use them: over TCP on this machine, and many in memory.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use gossip::node::memory::Network;
use gossip::node::{Config, JoinError, Node, Received, SendError, Way, tcp};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// What a failure costs; nothing waits so long otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

gossip::messages! {
    /// What the members say.
    #[derive(Clone, Debug, PartialEq)]
    enum Words {
        1 => Number(u64),
        2 => Point(Point),
    }
}

gossip::messages! {
    /// What a later version of the program says.
    #[derive(Clone, Debug, PartialEq)]
    enum LaterWords {
        1 => Number(u64),
        900 => Song(String),
    }
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn bound() -> Node<Words, SocketAddr> {
    tcp::bind(local(), Config::default()).await.expect("a free port")
}

async fn hears<P: gossip::node::Peer>(node: &mut Node<Words, P>) -> Received<Words, P> {
    timeout(PATIENCE, node.recv())
        .await
        .expect("something is said")
        .expect("the node lives")
}

/// Waits until `what` holds of the node's neighbours.
async fn until<P: gossip::node::Peer>(node: &Node<Words, P>, what: impl Fn(&[P]) -> bool) {
    let waiting = async {
        while !what(&node.neighbours().await) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("neighbours as expected");
}

#[tokio::test]
async fn one_joins_through_any_one_member_and_all_hear_all() {
    let (mut one, mut two, mut three) = (bound().await, bound().await, bound().await);
    two.join(one.address()).await.expect("through the first");
    three.join(two.address()).await.expect("through the second");
    one.broadcast(&Words::Number(1)).await.expect("said");
    three
        .broadcast(&Words::Point(Point { x: 3, y: -3 }))
        .await
        .expect("said");
    assert_eq!(hears(&mut two).await.message, Words::Number(1));
    let heard = hears(&mut three).await;
    assert_eq!(heard.message, Words::Number(1));
    assert_eq!(heard.from, one.address());
    assert!(matches!(heard.way, Way::Broadcast { hops: 1..=2 }), "{heard:?}");
    let heard = hears(&mut one).await;
    assert_eq!(heard.message, Words::Point(Point { x: 3, y: -3 }));
    assert_eq!((heard.from, heard.missed), (three.address(), 0));
}

#[tokio::test]
async fn one_neighbour_alone_hears_what_is_sent_to_it() {
    let (mut one, two) = (bound().await, bound().await);
    two.join(one.address()).await.expect("joined");
    two.send(one.address(), &Words::Number(7)).await.expect("sent");
    let heard = hears(&mut one).await;
    assert_eq!((heard.from, heard.way), (two.address(), Way::Direct));
    let stranger = SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!(
        two.send(stranger, &Words::Number(7)).await,
        Err(SendError::NoNeighbour)
    );
}

#[tokio::test]
async fn what_a_later_version_says_is_heard_by_its_tag() {
    let mut old = bound().await;
    let new: Node<LaterWords, _> = tcp::bind(local(), Config::default()).await.expect("a free port");
    new.join(old.address()).await.expect("joined");
    new.broadcast(&LaterWords::Song("la".to_owned()))
        .await
        .expect("said");
    let Words::Unknown { tag: 900, bytes } = hears(&mut old).await.message else {
        panic!("an unknown tag is a message");
    };
    assert_eq!(bytes, b"\x02la");
}

#[tokio::test]
async fn where_nobody_is_joining_fails_with_the_reason() {
    let node = bound().await;
    let nobody = bound().await;
    let address = nobody.address();
    nobody.leave().await;
    let Err(JoinError::Unreachable { peer, reason }) = node.join(address).await else {
        panic!("nobody is there");
    };
    assert_eq!(peer, address.to_string());
    assert!(reason.contains("refused"), "{reason}");
    let error = tcp::bind::<Words>(SocketAddr::from(([0, 0, 0, 0], 0)), Config::default()).await;
    assert!(error.is_err(), "others cannot dial that");
    let taken = tcp::bind::<Words>(node.address(), Config::default()).await;
    assert!(taken.is_err());
}

#[tokio::test]
async fn who_leaves_is_missed_at_once_and_the_others_go_on() {
    let (mut one, two, three) = (bound().await, bound().await, bound().await);
    two.join(one.address()).await.expect("joined");
    three.join(one.address()).await.expect("joined");
    until(&one, |neighbours| neighbours.len() == 2).await;
    let gone = two.address();
    two.leave().await;
    until(&one, |neighbours| !neighbours.contains(&gone)).await;
    // Dropped without leaving, as when a program crashes.
    three.broadcast(&Words::Number(5)).await.expect("said");
    assert_eq!(hears(&mut one).await.message, Words::Number(5));
    drop(three);
    until(&one, <[SocketAddr]>::is_empty).await;
}

#[tokio::test]
async fn what_was_kept_of_acquaintances_leads_back_after_a_restart() {
    let (one, two, three) = (bound().await, bound().await, bound().await);
    two.join(one.address()).await.expect("joined");
    three.join(two.address()).await.expect("joined");
    until(&three, |neighbours| neighbours.len() == 2).await;
    // A member that leaves is an acquaintance from then on.
    let gone = one.address();
    one.leave().await;
    until(&three, |neighbours| !neighbours.contains(&gone)).await;
    assert!(three.acquaintances().await.contains(&gone));
    let mut kept = three.acquaintances().await;
    kept.extend(three.neighbours().await);
    three.leave().await;
    let again = bound().await;
    let mut joined = false;
    for member in kept {
        joined |= again.join(member).await.is_ok();
    }
    assert!(joined, "one of them lives");
    assert_eq!(again.neighbours().await, [two.address()]);
}

#[tokio::test]
async fn rubbish_at_the_door_ends_that_connection_and_nothing_else() {
    let (mut one, two) = (bound().await, bound().await);
    two.join(one.address()).await.expect("joined");
    let hello = |address: SocketAddr| {
        let body = [
            tcp::MAGIC.as_slice(),
            &[0, 127, 0, 0, 1],
            &[
                0x80 | (address.port() & 0x7f) as u8,
                0x80 | (address.port() >> 7 & 0x7f) as u8,
                (address.port() >> 14) as u8,
            ],
        ]
        .concat();
        [&(body.len() as u32).to_be_bytes(), &body[..]].concat()
    };
    let stranger = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let rubbish: [Vec<u8>; 6] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0, 0, 0, 3, 1, 2, 3],
        [hello(stranger), vec![0xff, 0xff, 0xff, 0xff, 1]].concat(),
        [hello(stranger), vec![0, 0, 0, 3, 9, 9, 9]].concat(),
        [hello(one.address()), vec![0, 0, 0, 1, 1]].concat(),
    ];
    for bytes in rubbish {
        let mut stream = TcpStream::connect(one.address()).await.expect("it listens");
        stream.write_all(&bytes).await.expect("written");
        let mut rest = Vec::new();
        // It ends the connection, in good order or not.
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{bytes:02x?}");
    }
    two.broadcast(&Words::Number(9)).await.expect("said");
    assert_eq!(hears(&mut one).await.message, Words::Number(9));
    assert_eq!(one.neighbours().await, [two.address()]);
    assert_eq!(one.malformed(), 0);
}

#[tokio::test]
async fn one_that_does_not_listen_costs_the_others_nothing() {
    let config = Config {
        inbox: 4,
        ..Config::default()
    };
    let mut deaf: Node<Words, _> = tcp::bind(local(), config).await.expect("a free port");
    let (mut one, two) = (bound().await, bound().await);
    deaf.join(one.address()).await.expect("joined");
    two.join(one.address()).await.expect("joined");
    for n in 0..50 {
        two.broadcast(&Words::Number(n)).await.expect("said");
    }
    let mut heard = BTreeSet::new();
    while heard.len() < 50 {
        let Words::Number(n) = hears(&mut one).await.message else {
            panic!("a number");
        };
        heard.insert(n);
    }
    // What did not fit is counted.
    let last = two.broadcast(&Words::Number(50)).await;
    assert!(last.is_ok());
    let mut total = 0;
    while total < 51 {
        let Ok(Some(received)) = timeout(Duration::from_millis(500), deaf.recv()).await else {
            // The last of them found no place: one more makes room to say so.
            two.broadcast(&Words::Number(51)).await.expect("said");
            continue;
        };
        total += 1 + received.missed;
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_in_memory_all_hear_everything_although_some_die() {
    let network = Network::new();
    let mut nodes: Vec<Node<Words, u64>> = (0..30)
        .map(|name| network.bind(name, Config::default()))
        .collect();
    for at in 1..nodes.len() {
        let through = nodes[at / 2].address();
        nodes[at].join(through).await.expect("joined");
    }
    sleep(Duration::from_secs(60)).await;
    for round in 0..3 {
        for node in &nodes[..10] {
            let said = Words::Number(round * 10 + node.address());
            node.broadcast(&said).await.expect("said");
        }
        for (at, node) in nodes.iter_mut().enumerate() {
            let own = usize::from(at < 10);
            let mut heard = BTreeSet::new();
            while heard.len() < 10 - own {
                let received = hears(node).await;
                assert!(heard.insert(format!("{:?}", received.message)), "twice");
            }
        }
        // A third of the rest crashes.
        let rest = nodes.len() - (nodes.len() - 10) / 3;
        nodes.truncate(rest);
        sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_halves_hear_of_each_other_what_was_said_apart() {
    let network = Network::new();
    let mut nodes: Vec<Node<Words, u64>> = (0..8).map(|name| network.bind(name, Config::default())).collect();
    for node in &nodes[1..] {
        node.join(0).await.expect("joined");
    }
    sleep(Duration::from_secs(30)).await;
    for a in 0..4 {
        for b in 4..8 {
            network.cut(a, b);
        }
    }
    sleep(Duration::from_secs(60)).await;
    nodes[0].broadcast(&Words::Number(1)).await.expect("said");
    nodes[7].broadcast(&Words::Number(2)).await.expect("said");
    assert_eq!(hears(&mut nodes[1]).await.message, Words::Number(1));
    for a in 0..4 {
        for b in 4..8 {
            network.heal(a, b);
        }
    }
    let healed = Instant::now();
    let heard = timeout(Duration::from_secs(180), nodes[1].recv()).await;
    let heard = heard.expect("halves find each other").expect("it lives");
    assert_eq!(heard.message, Words::Number(2));
    assert!(healed.elapsed() > Duration::ZERO);
}
