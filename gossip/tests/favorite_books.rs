//! The example `favorite-books`: its rules, which need no network, and nodes as processes that talk to each other, to
//! hand-written HTTP, to peers that misbehave and to another implementation.

#[path = "favorite_books/misfits.rs"]
mod misfits;
#[path = "favorite_books/process.rs"]
mod process;

// The part of the example that does no I/O, with its unit tests.
#[allow(dead_code, reason = "what only the page shows")]
#[path = "../examples/favorite-books/node.rs"]
mod node;
#[path = "../examples/favorite-books/peers.rs"]
#[allow(dead_code, reason = "what only the page shows")]
mod peers;
#[path = "../examples/favorite-books/seen.rs"]
mod seen;
#[path = "../examples/favorite-books/wire.rs"]
#[allow(dead_code, reason = "what only the server and the client need")]
mod wire;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use misfits::{Habit, Listener, Misfit};
use process::{
    Witness, eventually, get, page, post, quick, send, start, start_on, start_python, start_python_with,
    titles,
};

fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|&flag| flag.to_owned()).collect()
}

fn status(answer: &process::Answer) -> Value {
    serde_json::from_str::<Value>(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))["status"].clone()
}

#[tokio::test]
async fn five_nodes_from_one_seed_learn_all_books() {
    let seed = start(&quick(None)).await;
    let mut nodes = vec![seed];
    for _ in 0..4 {
        nodes.push(start(&quick(Some(nodes[0].port))).await);
    }
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    let mut witness = Witness::default();
    // More than once: they change their minds meanwhile.
    for _ in 0..3 {
        witness.all_learn_all(&ports).await;
    }
    eventually("all know all as peers", async || {
        for &port in &ports {
            let known = page(port).await.peers;
            if !ports
                .iter()
                .all(|other| *other == port || known.get(other) == Some(&true))
            {
                return false;
            }
        }
        true
    })
    .await;
    let counters = page(ports[0]).await.counters;
    for name in [
        "messages sent",
        "messages received",
        "news among them",
        "duplicates ignored",
    ] {
        assert!(counters[name] > 0, "{counters:?}");
    }
}

#[tokio::test]
async fn a_killed_node_is_missed_and_its_newer_book_learned_when_it_returns() {
    let seed = start(&quick(None)).await;
    let others = [
        start(&quick(Some(seed.port))).await,
        start(&quick(Some(seed.port))).await,
    ];
    let unlucky = start(&quick(Some(seed.port))).await;
    let survivors = [seed.port, others[0].port, others[1].port];
    let all = [survivors[0], survivors[1], survivors[2], unlucky.port];
    let mut witness = Witness::default();
    // Long enough for its versions to outrun the clock: after the restart it has to learn its last version from others.
    let first = witness.page(unlucky.port).await.books[&unlucky.port].0;
    eventually("some changes of mind", async || {
        witness.page(unlucky.port).await.books[&unlucky.port].0 > first + 12
    })
    .await;
    witness.all_learn_all(&all).await;
    let last = witness.page(unlucky.port).await.books[&unlucky.port].0;

    let port = unlucky.kill().await;
    eventually("it is dropped by all", async || {
        for survivor in survivors {
            let page = witness.page(survivor).await;
            if page.peers.contains_key(&port) || !page.dropped.contains_key(&port) {
                return false;
            }
        }
        true
    })
    .await;
    witness.all_learn_all(&survivors).await;

    let back = start_on(port, &quick(Some(seed.port))).await;
    witness.forgive(port);
    eventually("all learn a newer book of it", async || {
        let mut newer = true;
        for survivor in survivors {
            newer &= witness.page(survivor).await.books[&back.port].0 > last;
        }
        newer
    })
    .await;
    witness.all_learn_all(&all).await;
    assert!(page(seed.port).await.peers.contains_key(&port));
}

#[tokio::test]
async fn a_seed_that_comes_late_or_comes_back_is_found() {
    let port = start(&quick(None)).await.kill().await;
    let early = [start(&quick(Some(port))).await, start(&quick(Some(port))).await];
    eventually("they notice that there is no seed", async || {
        early.iter().all(|node| {
            node.lines()
                .iter()
                .any(|line| line.contains("no peers from the seed"))
        })
    })
    .await;
    let all = [early[0].port, early[1].port, port];
    let seed = start_on(port, &quick(None)).await;
    let mut witness = Witness::default();
    witness.all_learn_all(&all).await;

    seed.kill().await;
    eventually("it is dropped", async || {
        let mut dropped = true;
        for node in &early {
            dropped &= !witness.page(node.port).await.peers.contains_key(&port);
        }
        dropped
    })
    .await;
    // It knows nobody; the others have to find it.
    let _seed = start_on(port, &quick(None)).await;
    witness.forgive(port);
    witness.all_learn_all(&all).await;
}

#[tokio::test]
async fn peers_that_misbehave_are_dropped_and_stop_nobody() {
    let seed = start(&quick(None)).await;
    let other = start(&quick(Some(seed.port))).await;
    let mut misfits = Vec::new();
    for habit in Habit::ALL {
        misfits.push((habit, Misfit::start(habit).await));
    }
    for (_, misfit) in &misfits {
        assert_eq!(
            get(seed.port, &format!("/peers/{}", misfit.port))
                .await
                .expect("peers")
                .code,
            200
        );
    }
    let mut witness = Witness::default();
    let mut why: BTreeMap<u16, String> = BTreeMap::new();
    eventually("all are dropped", async || {
        why.extend(witness.page(seed.port).await.dropped);
        misfits.iter().all(|(_, misfit)| why.contains_key(&misfit.port))
    })
    .await;
    for (habit, misfit) in &misfits {
        let why = &why[&misfit.port];
        assert!(habit.reasons().contains(&why.as_str()), "{habit:?}: {why}");
        let line = |line: &String| {
            line.contains("dropped a peer") && line.contains(&format!("peer={}", misfit.port))
        };
        eventually("its log says so", async || seed.lines().iter().any(line)).await;
    }
    // Nor does noise: some of it ended, some never.
    let half = &b"POST /gossip HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{"[..];
    let mut held = Vec::new();
    for noise in [half, b"GET / HTTP/1.1\r\nHost", b""] {
        let mut stream = TcpStream::connect(("127.0.0.1", seed.port))
            .await
            .expect("it listens");
        stream.write_all(noise).await.expect("it reads");
        held.push(stream);
    }
    for noise in [
        &b"\x16\x03\x01 no TLS here\r\n\r\n"[..],
        b"GET\r\n\r\n",
        &[b'a'; 200_000],
    ] {
        send(seed.port, noise).await;
    }
    for _ in 0..3 {
        witness.all_learn_all(&[seed.port, other.port]).await;
    }
}

#[tokio::test]
async fn requests_are_answered_to_the_letter() {
    // It says nothing by itself during this test.
    let node = start(&flags(&["--gossip-interval", "3600", "--fickle-interval", "0"])).await;
    let port = node.port;
    let peers = get(port, "/peers/61001").await.expect("an answer");
    assert_eq!((peers.code, peers.body.as_str()), (200, r#"["61001"]"#));
    let peers = get(port, "/peers/61002/").await.expect("an answer");
    assert_eq!((peers.code, peers.body.as_str()), (200, r#"["61001","61002"]"#));
    // Literally, without an id: nobody becomes a peer.
    for path in ["/peers/", "/peers"] {
        let peers = get(port, path).await.expect("an answer");
        assert_eq!((peers.code, peers.body.as_str()), (200, r#"["61001","61002"]"#));
    }

    let body = r#"{"client_id": "61003", "messages": [{"uuid": "0b6ec3ab-54f4-4fd8-b7d1-2f8ecbb5d3a7",
        "client_id": "61004", "payload": {"version": 3, "book": "Emma"}, "ttl": 3}]}"#;
    for path in ["/gossip", "/gossip/"] {
        let answer = post(port, path, body).await.expect("an answer");
        assert_eq!((answer.code, answer.body.as_str()), (200, r#"{"status":"OK"}"#));
    }
    let shown = page(port).await;
    assert_eq!(shown.books[&61_004], (3, "Emma".to_owned()));
    assert_eq!(shown.counters["news among them"], 1);
    assert_eq!(shown.counters["duplicates ignored"], 1);
    let peers = get(port, "/peers/61001").await.expect("an answer").body;
    assert_eq!(
        peers, r#"["61001","61002","61003"]"#,
        "who gossips is a peer; who is gossiped about may be one"
    );
    assert_eq!(shown.peers.get(&61_004), Some(&false));

    // Fields nobody knows are skipped, whatever is in them.
    let more = json!({"client_id": "61003", "mood": [1, {"a": null}], "messages": [{
        "uuid": "u2", "client_id": "61004", "ttl": 1, "colour": "red",
        "payload": {"version": 4, "book": "Tom & \"Jerry\" <3", "author": {}},
    }]});
    assert_eq!(
        status(&post(port, "/gossip", &more.to_string()).await.expect("an answer")),
        "OK"
    );
    let shown = page(port).await.books[&61_004].clone();
    assert_eq!(shown, (4, "Tom &amp; &quot;Jerry&quot; &lt;3".to_owned()));

    // Used up, or nothing at all: ignored, and no reason for an error.
    for (ttl, uuid) in [(0, "u3"), (-5, "u4")] {
        let body = json!({"client_id": "61003", "messages": [
            {"uuid": uuid, "client_id": "61004", "payload": {"version": 9, "book": "Kim"}, "ttl": ttl}]});
        assert_eq!(
            status(&post(port, "/gossip", &body.to_string()).await.expect("an answer")),
            "OK"
        );
    }
    let empty = r#"{"client_id": "61003", "messages": []}"#;
    assert_eq!(
        status(&post(port, "/gossip", empty).await.expect("an answer")),
        "OK"
    );
    assert_eq!(page(port).await.books[&61_004].0, 4);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_as_a_whole() {
    let node = start(&flags(&["--gossip-interval", "3600", "--fickle-interval", "0"])).await;
    let port = node.port;
    let good = json!({"client_id": "61003", "messages": [
        {"uuid": "good", "client_id": "61004", "payload": {"version": 3, "book": "Emma"}, "ttl": 3},
        {"uuid": "other", "client_id": "61005", "payload": {"version": 3, "book": "Kim"}, "ttl": 3},
    ]});
    let mut bad = vec![
        String::new(),
        "gossip".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{".repeat(10_000),
        good.to_string().replace("61003", "nobody"),
    ];
    // Without any one of its fields, or with the wrong kind of thing in it.
    for pointer in ["/client_id", "/messages"] {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let mut without = good.clone();
        let object = without.pointer_mut(parent).and_then(Value::as_object_mut);
        assert!(object.expect("an object").remove(field).is_some());
        bad.push(without.to_string());
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).expect("a field") = json!({"not": ["this"]});
        bad.push(wrong.to_string());
    }
    for body in &bad {
        let answer = post(port, "/gossip", body).await.expect("an answer");
        assert_eq!(status(&answer), "ERROR", "{body}");
    }
    let oversized = good.to_string().replace("Emma", &"E".repeat(65 * 1024 * 1024));
    let answer = post(port, "/gossip", &oversized).await.expect("an answer");
    assert_eq!((answer.code, status(&answer)), (413, json!("ERROR")));
    let shown = page(port).await;
    assert_eq!(shown.books.len(), 1, "nothing was taken: {shown:?}");
    assert!(shown.peers.is_empty(), "{shown:?}");
    assert_eq!(shown.counters["requests refused"], bad.len() as u64 + 1);

    for id in ["nobody", "0", "65536", "-1", "%2e%2e"] {
        let answer = get(port, &format!("/peers/{id}")).await.expect("an answer");
        assert_eq!((answer.code, status(&answer)), (400, json!("ERROR")), "{id}");
    }
    assert_eq!(get(port, "/gossip").await.expect("an answer").code, 405);
    assert_eq!(get(port, "/elsewhere").await.expect("an answer").code, 404);
    assert_eq!(
        status(&post(port, "/gossip", &good.to_string()).await.expect("an answer")),
        "OK"
    );
}

#[tokio::test]
async fn one_odd_message_is_left_out_alone() {
    let node = start(&flags(&["--gossip-interval", "3600", "--fickle-interval", "0"])).await;
    let port = node.port;
    let message = |version: i64| json!({"uuid": format!("v{version}"), "client_id": "61004", "payload": {"version": version, "book": "Emma"}, "ttl": 3});
    let fields = [
        "/uuid",
        "/client_id",
        "/payload",
        "/payload/version",
        "/payload/book",
        "/ttl",
    ];
    let mut version = 0;
    for pointer in fields {
        for odd in [
            json!({"not": ["this"]}),
            json!(1e30),
            json!(3.5),
            json!(u64::MAX),
            json!(null),
        ] {
            version += 1;
            let (good, mut spoiled) = (message(version), message(version + 1_000));
            *spoiled.pointer_mut(pointer).expect("a field") = odd;
            let body = json!({"client_id": "61003", "messages": [spoiled, good]});
            let answer = post(port, "/gossip", &body.to_string()).await.expect("an answer");
            assert_eq!(status(&answer), "OK", "{body}");
            assert_eq!(page(port).await.books[&61_004].0, version as u64, "{body}");
        }
    }
}

/// Two nodes of ours, and one in Python that repeats everything it ever saw, odd messages before all others.
#[tokio::test]
async fn a_ring_with_a_peer_that_repeats_odd_messages_for_ever_stays_within_one_version() {
    let steady = flags(&["--gossip-interval", "0.1", "--fickle-interval", "1"]);
    let one = start(&steady).await;
    let other = start(&[steady, flags(&["--seed", &one.port.to_string()])].concat()).await;
    let titles: Vec<String> = (0..60).map(|n| format!("Volume {n}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let stranger = start_python_with(Some(other.port), &titles, &misfits::odd_messages()).await;
    // The version each of the three has of the books of all three.
    let versions = async || {
        let mut versions = BTreeMap::new();
        for port in [one.port, other.port] {
            let books = page(port).await.books.into_iter();
            versions.insert(port, books.map(|(node, (version, _))| (node, version)).collect());
        }
        let last = stranger.lines().into_iter().rfind(|line| line.starts_with('{'));
        let state: BTreeMap<String, Value> =
            serde_json::from_str(&last.unwrap_or_default()).unwrap_or_default();
        let version =
            |(node, payload): (String, Value)| Some((node.parse().ok()?, payload["version"].as_u64()?));
        let known: BTreeMap<u16, u64> = state.into_iter().filter_map(version).collect();
        versions.insert(stranger.port, known);
        versions
    };
    eventually("all know all", async || {
        versions()
            .await
            .values()
            .all(|known: &BTreeMap<u16, u64>| known.len() >= 3)
    })
    .await;
    let begin = versions().await;
    for _ in 0..50 {
        let before = versions().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let after = versions().await;
        for (node, own) in before
            .iter()
            .filter_map(|(node, known)| Some((node, known.get(node)?)))
        {
            for (at, known) in &after {
                assert!(
                    known[node] + 1 >= *own,
                    "{at} knows {} of {node}, which was at {own}",
                    known[node]
                );
            }
        }
    }
    let end = versions().await;
    for port in [one.port, other.port, stranger.port] {
        assert!(
            end[&port][&port] > begin[&port][&port] + 1,
            "{port} went on: {begin:?} {end:?}"
        );
    }
    for port in [one.port, other.port] {
        let shown = page(port).await;
        assert!(!shown.dropped.contains_key(&stranger.port), "{shown:?}");
        assert_eq!(shown.counters["requests refused"], 0);
    }
    assert!(
        !stranger.lines().iter().any(|line| line.contains("dropped")),
        "{:?}",
        stranger.lines()
    );
}

#[tokio::test]
async fn its_own_requests_keep_to_the_format() {
    let listener = Listener::start("127.0.0.1").await.expect("a free port");
    let mut with_seed = quick(Some(listener.port));
    with_seed.extend(flags(&["--ttl", "5", "--payloads-file"]));
    with_seed.push(titles("format", &["Les Misérables", "  ", "Tom \"and\" Jerry"]).await);
    let node = start(&with_seed).await;
    let id = node.port.to_string();
    let host = format!("localhost:{}", listener.port);
    eventually("it asks and tells", async || {
        let heard = listener.heard();
        heard
            .iter()
            .any(|request| request.head.starts_with(&format!("GET /peers/{id} HTTP/1.1\r\n")))
            && heard
                .iter()
                .any(|request| request.head.starts_with("POST /gossip HTTP/1.1\r\n"))
    })
    .await;
    let body = json!({"client_id": listener.port.to_string(), "messages": [
        {"uuid": "far", "client_id": "61004", "payload": {"version": 3, "book": "Emma"}, "ttl": 4}]});
    assert_eq!(
        status(
            &post(node.port, "/gossip", &body.to_string())
                .await
                .expect("an answer")
        ),
        "OK"
    );
    let mut told = Vec::new();
    eventually(
        "it tells its own news, and passes on that of others",
        async || {
            told = listener
                .heard()
                .iter()
                .filter(|request| request.head.starts_with("POST "))
                .map(|request| serde_json::from_str::<Value>(&request.body).expect("JSON"))
                .collect();
            let messages = || {
                told.iter()
                    .flat_map(|told| told["messages"].as_array().into_iter().flatten())
            };
            messages().any(|message| message["client_id"] == id && message["ttl"] == 5)
                && messages().any(|message| message["uuid"] == "far" && message["ttl"] == 3)
        },
    )
    .await;
    for gossip in &told {
        assert_eq!(gossip.as_object().expect("an object").len(), 2);
        assert_eq!(gossip["client_id"], id);
        let messages = gossip["messages"].as_array().expect("messages");
        assert!(!messages.is_empty());
        for message in messages {
            assert_eq!(message.as_object().expect("an object").len(), 4, "{message}");
            assert_eq!(
                message["payload"].as_object().expect("an object").len(),
                2,
                "{message}"
            );
            assert!(
                message["uuid"].is_string() && message["client_id"].is_string(),
                "{message}"
            );
            assert!(message["payload"]["version"].is_u64(), "{message}");
            assert!(message["ttl"].as_i64().is_some_and(|ttl| ttl > 0), "{message}");
            let book = message["payload"]["book"].as_str().expect("a title");
            assert!(
                ["Les Misérables", "Tom \"and\" Jerry", "Emma"].contains(&book),
                "{message}"
            );
        }
    }
    for request in listener.heard() {
        let named = request
            .head
            .to_lowercase()
            .lines()
            .any(|line| *line == format!("host: {host}"));
        assert!(named, "{}", request.head);
    }
}

#[tokio::test]
async fn localhost_may_be_either_address() {
    let node = start(&quick(None)).await;
    let Ok(listener) = Listener::start("::1").await else {
        eprintln!("this machine has no ::1");
        return;
    };
    let connected = TcpStream::connect(("::1", node.port)).await;
    assert!(connected.is_ok(), "{connected:?}");
    get(node.port, &format!("/peers/{}", listener.port))
        .await
        .expect("peers");
    eventually("a peer on ::1 gets news", async || !listener.heard().is_empty()).await;
}

#[tokio::test]
async fn another_implementation_and_this_one_learn_from_each_other() {
    let plain = |name: &'static str| async move {
        let mut plain = quick(None);
        plain.push("--payloads-file".to_owned());
        plain.push(titles(name, &["Dracula", "Walden"]).await);
        plain
    };
    let seed = start(&plain("python-seed").await).await;
    let stranger = start_python(Some(seed.port), &["Heidi", "Kim", "Ödipus & Co."]).await;
    // This one knows nobody but the stranger.
    let mut behind = plain("python-behind").await;
    behind.extend(["--seed".to_owned(), stranger.port.to_string()]);
    let behind = start(&behind).await;
    let another = start_python(Some(behind.port), &["Emma"]).await;
    let mut witness = Witness::default();
    for port in [seed.port, behind.port] {
        eventually("both books of the others are learned", async || {
            let books = witness.page(port).await.books;
            books
                .get(&stranger.port)
                .is_some_and(|known| *known == (3, "Ödipus &amp; Co.".to_owned()))
                && books
                    .get(&another.port)
                    .is_some_and(|known| *known == (1, "Emma".to_owned()))
        })
        .await;
    }
    witness.all_learn_all(&[seed.port, behind.port]).await;
    let versions = [
        (seed.port, witness.page(seed.port).await.books[&seed.port].0),
        (behind.port, witness.page(behind.port).await.books[&behind.port].0),
    ];
    for node in [&stranger, &another] {
        eventually("the other implementation learns ours", async || {
            let last = node.lines().into_iter().rfind(|line| line.starts_with('{'));
            let state: Value = serde_json::from_str(&last.unwrap_or_default()).unwrap_or_default();
            versions.iter().all(|(port, version)| {
                let payload = &state[port.to_string()];
                payload["version"].as_u64() >= Some(*version)
                    && ["Dracula", "Walden"].contains(&payload["book"].as_str().unwrap_or_default())
            })
        })
        .await;
        assert!(
            !node.lines().iter().any(|line| line.contains("Error")),
            "{:?}",
            node.lines()
        );
    }
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    for signal in ["-TERM", "-INT"] {
        let node = start(&quick(None)).await;
        let peer = start(&quick(Some(node.port))).await;
        Witness::default().all_learn_all(&[node.port, peer.port]).await;
        let (status, lines) = node.stop(signal).await;
        assert!(status.success(), "{status}: {lines:?}");
    }
}

#[tokio::test]
async fn choices_can_be_repeated() {
    let chosen = flags(&["--fickle-interval", "0", "--random-seed", "7"]);
    let node = start(&chosen).await;
    let (_, first) = page(node.port).await.books[&node.port].clone();
    let port = node.kill().await;
    let node = start_on(port, &chosen).await;
    let (_, again) = page(node.port).await.books[&node.port].clone();
    assert_eq!(first, again);
}
