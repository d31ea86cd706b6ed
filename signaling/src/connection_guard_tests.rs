use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout};

use super::{Accepted, ConnectionGuard, GuardConfig, GuardError};
use crate::proxies::ProxyHints;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn from(
    guard: &ConnectionGuard,
    remote: &str,
    pairs: &[(&'static str, &'static str)],
) -> Result<Accepted, GuardError> {
    let remote: SocketAddr = format!("{remote}:1234").parse().unwrap();
    guard.accept(remote, &headers(pairs))
}

fn check_origin(guard: &ConnectionGuard, origin: &'static str, expected: Result<(), GuardError>) {
    let pairs = [("host", "relay.example"), ("origin", origin)];
    assert_eq!(from(guard, "203.0.113.1", &pairs).map(drop), expected, "{origin}");
}

#[test]
fn origins_come_and_go() {
    let guard = ConnectionGuard::new(GuardConfig::default());
    check_origin(&guard, "https://other.example", Err(GuardError::Origin(None)));
    guard.clone().allow(["https://Other.example".to_owned()]);
    check_origin(&guard, "https://other.example", Ok(()));
    guard.allow([]);
    check_origin(&guard, "https://other.example", Err(GuardError::Origin(None)));
}

#[test]
fn a_page_reaches_the_server_it_came_from() {
    let guard = ConnectionGuard::new(GuardConfig::default());
    check_origin(&guard, "https://relay.example", Ok(()));
    check_origin(&guard, "http://RELAY.example", Ok(()));
    for foreign in [
        "https://evil.example",
        "https://relay.example:8443",
        "https://relay.example.evil.example",
        "file://relay.example",
        "relay.example",
        "null",
        "",
    ] {
        check_origin(&guard, foreign, Err(GuardError::Origin(None)));
    }
    assert!(
        from(&guard, "203.0.113.1", &[("host", "relay.example")]).is_ok(),
        "no browser"
    );
}

#[test]
fn listed_origins_are_allowed_as_well() {
    let guard = ConnectionGuard::new(GuardConfig {
        allowed_origins: vec!["https://App.example/".to_owned()],
        ..GuardConfig::default()
    });
    check_origin(&guard, "https://app.example", Ok(()));
    check_origin(&guard, "http://app.example", Err(GuardError::Origin(None)));
    guard.configure_origins(&["https://Other.example/".to_owned()]);
    check_origin(&guard, "https://other.example", Ok(()));
    check_origin(&guard, "https://app.example", Err(GuardError::Origin(None)));
    let any = ConnectionGuard::new(GuardConfig {
        allowed_origins: vec!["*".to_owned()],
        ..GuardConfig::default()
    });
    check_origin(&any, "null", Ok(()));
}

#[test]
fn the_host_is_one_of_the_servers_names() {
    let any = ConnectionGuard::new(GuardConfig::default());
    assert_eq!(
        from(&any, "203.0.113.1", &[("host", "A.Example:80")])
            .unwrap()
            .host,
        "a.example:80"
    );
    assert_eq!(from(&any, "203.0.113.1", &[]).unwrap_err(), GuardError::Host);
    let named = ConnectionGuard::new(GuardConfig {
        hosts: vec!["Relay.example".to_owned()],
        ..GuardConfig::default()
    });
    assert!(from(&named, "203.0.113.1", &[("host", "relay.example")]).is_ok());
    let rebound = from(&named, "203.0.113.1", &[("host", "evil.example")]);
    assert_eq!(rebound.unwrap_err(), GuardError::Host);
}

#[test]
fn addresses_are_counted_until_they_leave() {
    let guard = ConnectionGuard::new(GuardConfig {
        sockets_per_address_max: 2,
        ..GuardConfig::default()
    });
    let host = [("host", "relay.example")];
    let settled = |remote| {
        let accepted = from(&guard, remote, &host).unwrap();
        accepted.place.settle();
        accepted
    };
    let inside: Vec<_> = (0..2).map(|_| settled("203.0.113.1")).collect();
    assert_eq!(
        from(&guard, "203.0.113.1", &host).unwrap_err(),
        GuardError::TooMany(None)
    );
    assert!(
        from(&guard, "203.0.113.2", &host).is_ok(),
        "others are not affected"
    );
    drop(inside);
    assert!(from(&guard, "203.0.113.1", &host).is_ok());
    // One IPv6 customer has many addresses.
    let inside: Vec<_> = ["[2001:db8::1]", "[2001:db8::2]"].map(settled).into();
    assert_eq!(
        from(&guard, "[2001:db8::3]", &host).unwrap_err(),
        GuardError::TooMany(None)
    );
    assert!(from(&guard, "[2001:db8:0:1::1]", &host).is_ok());
    drop(inside);
    // A socket whose peer has proven nothing keeps nobody out.
    let silent: Vec<_> = (0..64)
        .map(|_| from(&guard, "203.0.113.3", &host).unwrap())
        .collect();
    assert!((0..40).all(|_| from(&guard, "203.0.113.3", &host).is_ok()));
    drop(silent);
}

#[test]
fn only_trusted_proxies_are_believed() {
    let guard = ConnectionGuard::new(GuardConfig {
        trusted_proxies: vec!["10.0.0.0/24".parse().unwrap()],
        ..GuardConfig::default()
    });
    let address = |remote, forwarded| {
        let mut pairs = vec![("host", "relay.example")];
        pairs.extend(Option::map(forwarded, |value| ("x-forwarded-for", value)));
        let address = from(&guard, remote, &pairs).unwrap().address;
        address.map(|address| address.to_string())
    };
    assert_eq!(
        address("203.0.113.1", Some("198.51.100.7")).as_deref(),
        Some("203.0.113.1")
    );
    assert_eq!(
        address("10.0.0.1", Some("1.1.1.1, 198.51.100.7")).as_deref(),
        Some("198.51.100.7")
    );
    assert_eq!(
        address("10.0.1.1", Some("198.51.100.7")).as_deref(),
        Some("10.0.1.1")
    );
    assert_eq!(address("10.0.0.1", None).as_deref(), Some("10.0.0.1"));
    assert_eq!(
        address("127.0.0.1", Some("198.51.100.7")).as_deref(),
        Some("198.51.100.7")
    );
    assert_eq!(address("127.0.0.1", None), None);
    assert_eq!(address("[::ffff:127.0.0.1]", None), None);
}

/// The 65th person behind a proxy in another container, and how it ends.
#[test]
fn a_crowded_proxy_is_named_with_the_line_to_add() {
    let crowd = |trusted: &[&str], headers: &[(&'static str, &'static str)], remote| {
        let hints = ProxyHints::default();
        let guard = ConnectionGuard::new(GuardConfig {
            trusted_proxies: trusted.iter().map(|proxy| proxy.parse().unwrap()).collect(),
            hints: hints.clone(),
            ..GuardConfig::default()
        });
        let headers = [&[("host", "relay.example")], headers].concat();
        let mut inside = Vec::new();
        let refused = loop {
            match from(&guard, remote, &headers) {
                Ok(accepted) => {
                    accepted.place.settle();
                    inside.push(accepted);
                }
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(inside.len(), 64);
        let given: Vec<String> = hints.given().iter().map(ToString::to_string).collect();
        (refused, given)
    };
    let client = [("x-forwarded-for", "198.51.100.7")];
    for headers in [&client[..], &[]] {
        let (refused, given) = crowd(&[], headers, "172.18.0.5");
        assert!(refused.contains("--trusted-proxy 172.18.0.5"), "{refused}");
        assert_eq!(given.len(), 1, "{given:?}");
    }
    let (refused, given) = crowd(&["172.16.0.0/12"], &[], "172.18.0.5");
    assert!(refused.contains("proxy_set_header X-Forwarded-For"), "{refused}");
    assert_eq!(given.len(), 1);
    for (trusted, remote) in [(&["172.16.0.0/12"][..], "172.18.0.5"), (&[], "203.0.113.1")] {
        let (refused, given) = crowd(trusted, &client, remote);
        assert_eq!(refused, "too many connections from your address");
        assert!(given.is_empty(), "{given:?}");
    }
}

#[test]
fn a_proxy_that_forwards_no_host_is_named_with_the_line_to_add() {
    let hints = ProxyHints::default();
    let guard = ConnectionGuard::new(GuardConfig {
        hints: hints.clone(),
        ..GuardConfig::default()
    });
    let request = [("host", "127.0.0.1:8080"), ("origin", "https://relay.example")];
    for _ in 0..2 {
        let refused = from(&guard, "127.0.0.1", &request).unwrap_err();
        assert!(
            refused.to_string().contains("proxy_set_header Host $http_host;"),
            "{refused}"
        );
    }
    assert_eq!(hints.given().len(), 1);
    // Nobody on the internet learns how the server is set up.
    assert_eq!(
        from(&guard, "203.0.113.1", &request).unwrap_err(),
        GuardError::Origin(None)
    );
}

/// A person at the attacker's address, while the attacker opens each socket again that is closed.
#[tokio::test(start_paused = true)]
async fn a_newcomer_has_time_to_prove_its_key_while_its_address_holds_all_places_with_silent_sockets() {
    let guard = ConnectionGuard::new(GuardConfig::default());
    let remote: SocketAddr = "203.0.113.1:1234".parse().unwrap();
    let open = async || guard.admit(remote, &headers(&[("host", "relay.example")])).await;
    let hold = async || {
        loop {
            let Ok(accepted) = open().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            accepted.place.evicted().await;
        }
    };
    let newcomers = async {
        let mut settled = Vec::new();
        for n in 0..20 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let began = Instant::now();
            let accepted = open().await.unwrap_or_else(|error| panic!("{n}: {error}"));
            let waited = began.elapsed();
            // The first ones queue behind the attacker's 64 sockets.
            assert!(waited < Duration::from_secs(3), "{n} waited for {waited:?}");
            // Three round trips across the world.
            let evicted = timeout(Duration::from_secs(1), accepted.place.evicted()).await;
            assert!(
                evicted.is_err(),
                "{n} had to give way before it could prove its key"
            );
            accepted.place.settle();
            settled.push(accepted);
        }
    };
    let holders = futures_util::future::join_all((0..64).map(|_| hold()));
    tokio::select! {
        _ = holders => unreachable!("they hold their sockets for ever"),
        () = newcomers => {}
    }
}
