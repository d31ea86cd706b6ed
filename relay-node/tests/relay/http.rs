//! The relay's HTTP edge, and how it ends.

use std::path::Path;

use protocol::messages::Message;
use rustix::process::Signal;

use crate::peer::{Author, link};
use crate::process::{Relay, Response};

fn app(dir: &Path) {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("index.html", &"<p>the app</p>".repeat(100));
    write("client-0123456789abcdef_bg.wasm", &"\0asm".repeat(1_000));
    write("client-0123456789abcdef_bg.wasm.br", "compressed by the build");
    write("csp.txt", "default-src 'self'");
}

/// What a problem document says is wrong.
fn detail(response: &Response) -> String {
    assert_eq!(response.header("content-type"), "application/problem+json");
    let problem: starling_relay_node::web::Problem = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(problem.status, response.status);
    problem.detail.expect("a detail")
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
async fn it_says_which_relays_keep_an_accounts_feeds_and_not_who_is_online() {
    for (roles, keeps) in [("worker", true), ("web,signal", false)] {
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
    let page = relay.get("/u/unknown", &[("Accept", "text/html")]).await;
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
    assert_eq!(wasm.text(), "compressed by the build");
    let tag = wasm.header("etag");
    let known = relay
        .get(
            "/client-0123456789abcdef_bg.wasm",
            &[("Accept-Encoding", "br"), ("If-None-Match", tag)],
        )
        .await;
    assert_eq!((known.status, known.header("etag")), (304, tag));
    // RFC 9110 section 8.6: it would be the length of what the client has.
    assert!(
        !known.head.to_lowercase().contains("content-length"),
        "{}",
        known.head
    );
    assert!(known.body.is_empty());
    assert!(wasm.header("cache-control").contains("immutable"));
    assert_eq!(relay.get("/csp.txt", &[]).await.status, 404);
    assert_eq!(relay.get("/../Cargo.toml", &[]).await.status, 404);
    for path in ["/.git/config", "/metrics"] {
        let hidden = relay.get(path, &[("Accept", "text/html")]).await;
        assert_eq!(hidden.status, 404, "{path}");
        assert_eq!(hidden.header("content-type"), "text/html; charset=utf-8");
        assert!(!hidden.text().contains("<p>the app</p>"), "{path}");
    }
    let head = relay.ask(relay.address, "HEAD", "/", &[], "").await;
    assert_eq!((head.status, head.header("content-length")), (200, "1400"));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn a_request_without_a_host_is_refused_and_an_older_one_needs_none() {
    let relay = Relay::start().await;
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        ("GET /link HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "200",
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n", "200"),
    ] {
        let answer = relay.exchange(relay.address, request.as_bytes()).await;
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request}: {answer}");
    }
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
    // It is found by its data folder, whatever flags it was started with.
    let by_folder = tokio::process::Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .args(["status", "--data-dir"])
        .arg(relay.data_dir())
        .output()
        .await
        .unwrap();
    assert!(by_folder.status.success(), "{by_folder:?}");

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
        (free.status, detail(&free).as_str()),
        (404, "nobody has that name")
    );
    let none = ask("a%20b").await;
    assert_eq!(
        (none.status, detail(&none).as_str()),
        (404, "that cannot be a name")
    );
    assert_eq!(ask(&"a".repeat(1_000)).await.status, 400);
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        assert!(statuses.len() < 1_000, "no request is limited");
        statuses.push(ask("ada").await.status);
    }
    assert!(statuses.len() > 50, "{statuses:?}");
    assert_eq!(
        relay.get("/api/relay", &[]).await.status,
        200,
        "everything else goes on"
    );
}
