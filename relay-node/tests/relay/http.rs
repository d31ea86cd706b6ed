//! The relay's HTTP edge, and how it ends.

use std::path::Path;

use protocol::message::Message;
use rustix::process::Signal;

use crate::peer::{Author, link};
use crate::process::Relay;

fn app(dir: &Path) {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("index.html", &"<p>the app</p>".repeat(100));
    write("client-0123456789abcdef_bg.wasm", &"\0asm".repeat(1_000));
    write("csp.txt", "default-src 'self'");
}

#[tokio::test]
async fn it_says_who_and_how_it_is() {
    let relay = Relay::start_with(&["--name", "Nest"]).await;
    let about = relay.get("/api/relay", &[]).await;
    let about: serde_json::Value = serde_json::from_slice(&about.body).unwrap();
    let peer: protocol::PeerId = about["peer"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        link(&relay, &Author::new(1)).await.established.peer,
        peer,
        "the key it proves"
    );
    assert_eq!(about["name"], "Nest");
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(relay.get("/healthz", &[]).await.status, 200);
    assert_eq!(relay.get("/readyz", &[]).await.status, 200);
    assert_eq!(relay.get("/api/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn it_says_who_keeps_somebodys_feeds_and_who_serves_them() {
    for (roles, keeps, serves) in [("worker", true, false), ("web,signal", false, true)] {
        let relay = Relay::start_with(&["--roles", roles]).await;
        let mut author = Author::new(1);
        let mut linked = link(&relay, &author).await;
        let peer = linked.established.peer.to_string();
        linked.push(author.feed[0].clone()).await;
        linked.push(author.post("kept by whom?")).await;
        if keeps {
            linked.durable(&author, 2).await;
        } else {
            // It says that it has them, and does not sign.
            loop {
                match linked.next().await.expect("the relay closed the link") {
                    Message::Have(have) if have.heads[0].next_seq == 2 => break,
                    Message::Receipt(receipt) => panic!("{receipt:?}"),
                    _ => {}
                }
            }
        }
        let path = format!("/api/replicas/{}", author.account);
        let answer = relay.get(&path, &[]).await;
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let here = serde_json::json!({"peer": peer, "state": "alive", "lag": 0, "delay_ms": 0});
        let expected = serde_json::json!({
            "replicas": if keeps { vec![here] } else { vec![] },
            "served_by": if serves { vec![peer] } else { vec![] },
        });
        assert_eq!(answer, expected, "{roles}");
        assert_eq!(relay.get("/api/replicas/nobody", &[]).await.status, 400);
    }
}

#[tokio::test]
async fn it_serves_the_app() {
    let dir = tempfile::tempdir().unwrap();
    app(dir.path());
    let relay = Relay::start_with(&["--app-dir", dir.path().to_str().unwrap()]).await;
    let page = relay.get("/u/somebody", &[("Accept", "text/html")]).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(page.header("content-security-policy"), "default-src 'self'");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(page.text().contains("the app"));
    let wasm = relay
        .get("/client-0123456789abcdef_bg.wasm", &[("Accept-Encoding", "br")])
        .await;
    assert_eq!(wasm.header("content-type"), "application/wasm");
    assert_eq!(wasm.header("content-encoding"), "br");
    assert!(wasm.header("cache-control").contains("immutable"));
    assert_eq!(relay.get("/csp.txt", &[]).await.status, 404);
    assert_eq!(relay.get("/../Cargo.toml", &[]).await.status, 404);
}

#[tokio::test]
async fn sigterm_ends_it_in_order() {
    let mut relay = Relay::start().await;
    let mut author = Author::new(1);
    let mut linked = link(&relay, &author).await;
    linked.push(author.feed[0].clone()).await;
    linked.push(author.post("before the end")).await;
    linked.durable(&author, 2).await;
    relay.signal(Signal::TERM);
    assert_eq!(linked.channel.close_reason().await, "the relay is stopping");
    assert!(relay.wait().success());
    relay.restart().await;
    let mut reader = link(&relay, &Author::new(2)).await;
    assert_eq!(reader.fetch(author.device_id(), 0, 10).await.len(), 2);
}

#[tokio::test]
async fn mistakes_of_the_operator_are_explained() {
    let relay = Relay::start().await;
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_relay-node"))
            .args(arguments)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let check = |arguments: &[&str], about: &[&str]| {
        let (succeeded, error) = run(arguments);
        assert!(!succeeded);
        for word in about {
            assert!(error.contains(word), "{error:?} does not speak of {word:?}");
        }
    };
    let address = relay.address.to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().to_str().unwrap();
    check(
        &["--listen", &address, "--data-dir", elsewhere],
        &["--listen", &address],
    );
    let used = relay.data_dir();
    let used = used.to_str().unwrap();
    check(
        &["--listen", "127.0.0.1:0", "--data-dir", used],
        &["another process", used],
    );
    check(&["export", "--data-dir", used], &["another process", used]);
    check(
        &["--data-dir", "/proc/nothing/here"],
        &["/proc/nothing/here", "--data-dir"],
    );
    assert!(run(&["config", "check"]).0);
}

#[test]
fn flags_win_over_the_environment_and_it_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    std::fs::write(&file, "name = \"file\"\nlinks_max = 3\nlog = \"warn\"\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .args(["config", "check", "--name", "flag", "--config"])
        .arg(&file)
        .envs([
            ("STARLING_NAME", "environment"),
            ("STARLING_LINKS_MAX", "4"),
            ("STARLING_PUBLIC_IP", "203.0.113.1, 2001:db8::1"),
            // Of the tests' own, not a setting.
            ("STARLING_RELAY_BIN", "/nowhere"),
        ])
        .output()
        .unwrap();
    let settings = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in [
        "name = \"flag\"",
        "links_max = 4",
        "log = \"warn\"",
        "public_ip = [\"203.0.113.1\",\"2001:db8::1\"]",
    ] {
        assert!(
            settings.lines().any(|setting| setting == line),
            "no {line} in {settings}"
        );
    }
}

#[tokio::test]
async fn status_says_how_a_relay_is_and_that_none_is_there() {
    let relay = Relay::start_with(&["--zone", "cellar", "--name", "Ada's relay"]).await;
    let status = async |at: String| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_relay-node"))
            .args(["status", "--at", &at])
            .output()
            .await
            .unwrap()
    };
    let well = status(format!("http://{}", relay.address)).await;
    let said = String::from_utf8(well.stdout).unwrap();
    assert!(well.status.success(), "{said}");
    assert!(said.starts_with("Ada's relay "), "{said}");
    assert!(said.contains("(this)  alive  cellar"), "{said}");

    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let none = status(format!("http://{free}")).await;
    assert!(!none.status.success());
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(
        said.contains("no relay answers") && said.contains("--at"),
        "{said}"
    );
}

#[tokio::test]
async fn names_are_looked_up_and_a_flood_of_questions_is_told_to_wait() {
    let relay = Relay::start().await;
    let ask = async |name: &str| relay.get(&format!("/api/names/{name}"), &[]).await;
    let started = std::time::Instant::now();
    // The registry opens after the relay serves.
    while ask("ada").await.status == 503 {
        assert!(started.elapsed() < crate::process::DEADLINE);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let free = ask("%C3%A4da").await;
    assert_eq!(
        (free.status, free.text().as_str()),
        (404, "nobody has that name\n")
    );
    let none = ask("a%20b").await;
    assert_eq!(
        (none.status, none.text().as_str()),
        (404, "that cannot be a name\n")
    );
    assert_eq!(ask(&"a".repeat(1_000)).await.status, 400);
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        assert!(statuses.len() < 1_000, "nobody is told to wait");
        statuses.push(ask("ada").await.status);
    }
    assert!(statuses.len() > 50, "{statuses:?}");
    assert_eq!(
        relay.get("/api/relay", &[]).await.status,
        200,
        "everything else goes on"
    );
}
