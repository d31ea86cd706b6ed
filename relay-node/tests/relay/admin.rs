//! The operator's page: how a browser becomes the admin, stays it, and what it can have done.

use std::time::{Duration, Instant};

use crate::peer::{Author, link};
use crate::process::{DEADLINE, Relay, Response};

/// The path of the address in a text.
fn claim_path(text: &str) -> Option<String> {
    let (_, path) = text.split_once("/admin/claim?")?;
    Some(format!("/admin/claim?{}", path.split_whitespace().next()?))
}

/// The paths that were printed at its starts, once there are this many.
async fn printed(relay: &Relay, n: usize) -> Vec<String> {
    let started = Instant::now();
    loop {
        let all: Vec<String> = {
            let said = relay.said.lock().unwrap();
            said.iter().filter_map(|line| claim_path(line)).collect()
        };
        if all.len() >= n {
            return all;
        }
        assert!(
            started.elapsed() < DEADLINE,
            "{} addresses were printed",
            all.len()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn admin_url(relay: &Relay, more: &[&str]) -> (bool, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .args(["admin-url", "--data-dir"])
        .arg(relay.data_dir())
        .args(more)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn token(path: &str) -> &str {
    path.rsplit('=').next().unwrap()
}

/// The cookie a browser would send back.
fn cookie(response: &Response) -> String {
    let set = response.header("set-cookie");
    set.split(';').next().unwrap().to_owned()
}

/// The token in the page's forms.
fn form(page: &Response) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"form\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

async fn become_admin(relay: &Relay) -> String {
    let (made, text) = admin_url(relay, &[]).await;
    assert!(made, "{text}");
    let path = claim_path(&text).expect("an address");
    let taken = relay
        .post("/admin/claim", &[], &format!("token={}", token(&path)))
        .await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    cookie(&taken)
}

async fn page(relay: &Relay, cookie: &str) -> Response {
    relay.get("/admin", &[("Cookie", cookie)]).await
}

#[tokio::test]
async fn the_first_start_prints_an_address_that_makes_one_browser_the_admin_once() {
    let mut relay = Relay::start().await;
    assert_eq!(printed(&relay, 1).await.len(), 1);
    // Nobody came: the next start makes another, and the first is worth nothing any more.
    relay.kill();
    relay.restart().await;
    let both = printed(&relay, 2).await;
    assert_eq!(both.len(), 2);
    let ask = async |path: &str| relay.get(path, &[]).await;
    assert_eq!(ask(&both[0]).await.status, 403);
    // Looking at it, however often, uses nothing up.
    for _ in 0..3 {
        let asked = ask(&both[1]).await;
        assert_eq!(asked.status, 200);
        assert!(asked.text().contains("Become the admin"));
        assert_eq!(asked.header("set-cookie"), "");
        assert_eq!(asked.header("cache-control"), "no-store");
        assert!(
            asked
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
    }
    let wrong = relay
        .post("/admin/claim", &[], &format!("token={}", "0".repeat(64)))
        .await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (403, ""));
    assert!(wrong.text().contains("relay-node admin-url"));

    let form = format!("token={}", token(&both[1]));
    // Two at the same moment: one of them.
    let (one, other) = tokio::join!(
        relay.post("/admin/claim", &[], &form),
        relay.post("/admin/claim", &[], &form)
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403]);
    let won = if one.status == 303 { one } else { other };
    let set = won.header("set-cookie");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/admin", "Max-Age=2592000"] {
        assert!(set.contains(word), "no {word} in {set}");
    }
    assert!(!set.contains("Secure"), "this came over plain http");
    let session = cookie(&won);
    assert_eq!(page(&relay, &session).await.status, 200);
    assert_eq!(
        relay.post("/admin/claim", &[], &form).await.status,
        403,
        "used up"
    );

    // It lasts, and nobody is offered the relay again.
    relay.kill();
    relay.restart().await;
    assert_eq!(page(&relay, &session).await.status, 200);
    assert_eq!(relay.post("/admin/claim", &[], &form).await.status, 403);
    // Everything it said is read when it is dead.
    relay.kill();
    assert_eq!(printed(&relay, 2).await.len(), 2);
}

#[tokio::test]
async fn without_a_session_there_are_instructions_and_nothing_else() {
    let relay = Relay::start().await;
    for (method, path) in [
        ("GET", "/admin"),
        ("GET", "/admin/drain"),
        ("POST", "/admin/drain"),
        ("POST", "/admin/leave"),
    ] {
        for cookie in ["", "starling-admin=", "other=1; starling-admin=0000"] {
            let form = [
                ("Cookie", cookie),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ];
            let answer = relay.ask(relay.address, method, path, &form, "form=1").await;
            assert_eq!(answer.status, 401, "{method} {path}");
            let text = answer.text();
            assert!(text.contains("relay-node admin-url"), "{text}");
            assert!(!text.contains("token") && !text.contains("/data"), "{text}");
        }
    }
    assert_eq!(relay.get("/admin/nothing", &[]).await.status, 404);
    let style = relay.get("/admin/style.css", &[]).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(style.header("x-content-type-options"), "nosniff");
    assert!(style.text().contains("light-dark("));
}

#[tokio::test]
async fn the_page_says_how_the_relay_is_and_only_its_own_forms_do_something() {
    let relay = Relay::start_with(&["--name", "Ada's <b>nest</b>", "--host", "relay.example"]).await;
    // The listener's own address is none of its names.
    assert_eq!(relay.get("/admin", &[]).await.status, 421);
    printed(&relay, 1).await;
    let said = relay.said.lock().unwrap().join("\n");
    assert!(said.contains("https://relay.example/admin/claim?"), "{said}");
    drop(relay);

    let relay = Relay::start_with(&[
        "--name",
        "Ada's <b>nest</b>",
        "--zone",
        "cellar",
        "--heartbeat-ms",
        "200",
    ])
    .await;
    let session = become_admin(&relay).await;
    let mine = page(&relay, &session).await;
    assert_eq!(mine.status, 200);
    let text = mine.text();
    for shown in [
        "Ada's &lt;b&gt;nest&lt;/b&gt;",
        "ready",
        "each feed is kept by",
        "cellar",
        "in this relay's data folder",
        "In use",
        "There is no other relay to take them now",
    ] {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
    // The registry opens after the relay serves, and is announced with the next heartbeat.
    let started = Instant::now();
    while page(&relay, &session).await.text().contains("claims wait") {
        assert!(started.elapsed() < DEADLINE, "the registry's key is not shown");
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    // With nobody to take it, nothing is handed over.
    let own = form(&mine);
    let with = [("Cookie", session.as_str())];
    let drain = relay.post("/admin/drain", &with, &format!("form={own}")).await;
    assert_eq!(drain.status, 409);
    // A form of another site, or one without the page's token, does nothing.
    let forged = [("Cookie", session.as_str()), ("Origin", "https://evil.example")];
    let leave = format!("form={own}&others=false");
    assert_eq!(relay.post("/admin/leave", &forged, &leave).await.status, 403);
    let null = [("Cookie", session.as_str()), ("Origin", "null")];
    assert_eq!(relay.post("/admin/leave", &null, &leave).await.status, 403);
    assert_eq!(
        relay.post("/admin/leave", &with, "others=false").await.status,
        403
    );
    let long = format!("form={}", "0".repeat(10_000));
    assert_eq!(relay.post("/admin/leave", &with, &long).await.status, 413);
    assert_eq!(page(&relay, &session).await.status, 200, "still here");

    // A second browser, and what the first can do about it.
    let second = become_admin(&relay).await;
    assert!(
        page(&relay, &second)
            .await
            .text()
            .contains("1 browser is the admin besides this one")
    );
    let others = relay
        .post("/admin/leave", &with, &format!("form={own}&others=true"))
        .await;
    assert_eq!(others.status, 303);
    assert_eq!(page(&relay, &second).await.status, 401);
    let left = relay.post("/admin/leave", &with, &leave).await;
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(page(&relay, &session).await.status, 401);
}

#[tokio::test]
async fn behind_a_proxy_that_speaks_tls_the_cookie_goes_over_tls_alone() {
    let relay = Relay::start_with(&["--advertise", "https://relay.example"]).await;
    let first = printed(&relay, 1).await.pop().unwrap();
    let said = relay.said.lock().unwrap().join("\n");
    assert!(
        said.contains("https://relay.example/admin/claim?token="),
        "{said}"
    );
    let proxied = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.9")];
    let asked = relay.get(&first, &proxied).await;
    assert_eq!(asked.status, 200);
    let body = format!("token={}", token(&first));
    let taken = relay.post("/admin/claim", &proxied, &body).await;
    assert_eq!(taken.status, 303);
    assert!(taken.header("set-cookie").ends_with("; Secure"));
    assert_eq!(page(&relay, &cookie(&taken)).await.status, 200);
}

#[tokio::test]
async fn an_address_that_tries_too_often_has_to_wait_and_no_other_has() {
    let relay = Relay::start().await;
    let session = become_admin(&relay).await;
    let from = |address| [("X-Forwarded-For", address)];
    let mut refused = None;
    for n in 0..1_000 {
        let path = format!("/admin/claim?token={n:064}");
        let answer = relay.get(&path, &from("203.0.113.9")).await;
        if answer.status == 429 {
            refused = Some(n);
            break;
        }
        assert_eq!(answer.status, 403);
    }
    assert!(refused.is_some_and(|n| n >= 100), "{refused:?}");
    assert_eq!(relay.get("/admin", &from("203.0.113.10")).await.status, 401);
    assert_eq!(page(&relay, &session).await.status, 200);
}

#[tokio::test]
async fn a_relay_that_serves_no_app_has_its_page_where_its_figures_are() {
    let mut relay = Relay::start_with(&["--roles", "worker,signal"]).await;
    let (made, text) = admin_url(&relay, &[]).await;
    assert!(!made && text.contains("role web"), "{text}");
    assert_eq!(relay.get("/admin", &[]).await.status, 404);
    relay.kill();
    assert!(printed(&relay, 0).await.is_empty());

    let relay = Relay::start_with(&["--roles", "worker,signal", "--metrics-listen", "127.0.0.1:0"]).await;
    let (made, text) = admin_url(&relay, &[]).await;
    assert!(made, "{text}");
    let port = text
        .split("localhost:")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let figures = format!("127.0.0.1:{port}").parse().unwrap();
    assert_ne!(figures, relay.address);
    assert_eq!(relay.get("/admin", &[]).await.status, 404);
    assert_eq!(relay.ask(figures, "GET", "/admin", &[], "").await.status, 401);
    let path = claim_path(&text).unwrap();
    assert_eq!(relay.ask(figures, "GET", &path, &[], "").await.status, 200);
    assert_eq!(relay.ask(figures, "GET", "/metrics", &[], "").await.status, 200);
}

#[tokio::test]
async fn admin_url_needs_a_running_relay() {
    let mut relay = Relay::start().await;
    relay.kill();
    let (made, text) = admin_url(&relay, &[]).await;
    assert!(
        !made && text.contains("no relay runs") && text.contains("--data-dir"),
        "{text}"
    );
}

#[tokio::test]
async fn a_drain_over_the_page_hands_everything_over() {
    let quick = ["--heartbeat-ms", "200", "--open"];
    let first = Relay::start_with(&quick).await;
    let mut author = Author::new(1);
    let mut linked = link(&first, &author).await;
    linked.push(author.feed[0].clone()).await;
    linked.push(author.post("to be kept")).await;
    linked.durable(&author, 2).await;
    drop(linked);
    let join = format!("http://{}", first.address);
    let second = Relay::start_with(&[&quick[..], &["--join", &join]].concat()).await;

    let session = become_admin(&first).await;
    let with = [("Cookie", session.as_str())];
    let until = async |what: &str| {
        let started = Instant::now();
        loop {
            let shown = page(&first, &session).await;
            if shown.text().contains(what) {
                return shown;
            }
            assert!(started.elapsed() < DEADLINE, "no {what} in {}", shown.text());
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    };
    let shown = until("data-testid=\"drain\"").await;
    let asked = first.get("/admin/drain", &with).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text().contains("1 other relay"), "{}", asked.text());
    // Asking alone does nothing.
    let repair = async || {
        let repair = first.get("/api/repair", &[]).await;
        serde_json::from_slice::<serde_json::Value>(&repair.body).unwrap()
    };
    assert!(repair().await["to_hand_over"].is_null());
    assert_eq!(first.post("/admin/drain", &with, "form=0").await.status, 403);
    assert!(repair().await["to_hand_over"].is_null());

    let act = format!("form={}", form(&shown));
    assert_eq!(first.post("/admin/drain", &with, &act).await.status, 303);
    until("data-testid=\"drained\"").await;
    assert_eq!(repair().await["to_hand_over"], 0);
    // The other really has it.
    let mut reader = link(&second, &Author::new(2)).await;
    assert_eq!(reader.fetch(author.device_id(), 0, 10).await.len(), 2);
}
