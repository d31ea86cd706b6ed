use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{Admitted, Door, DoorConfig, DoorError};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn from(door: &Door, remote: &str, pairs: &[(&'static str, &'static str)]) -> Result<Admitted, DoorError> {
    let remote: SocketAddr = format!("{remote}:1234").parse().unwrap();
    door.admit(remote, &headers(pairs))
}

fn check_origin(door: &Door, origin: &'static str, expected: Result<(), DoorError>) {
    let pairs = [("host", "relay.example"), ("origin", origin)];
    assert_eq!(from(door, "203.0.113.1", &pairs).map(drop), expected, "{origin}");
}

#[test]
fn origins_come_and_go() {
    let door = Door::new(DoorConfig::default());
    check_origin(&door, "https://other.example", Err(DoorError::Origin));
    door.clone().allow(["https://Other.example".to_owned()]);
    check_origin(&door, "https://other.example", Ok(()));
    door.allow([]);
    check_origin(&door, "https://other.example", Err(DoorError::Origin));
}

#[test]
fn a_page_reaches_the_server_it_came_from() {
    let door = Door::new(DoorConfig::default());
    check_origin(&door, "https://relay.example", Ok(()));
    check_origin(&door, "http://RELAY.example", Ok(()));
    for foreign in [
        "https://evil.example",
        "https://relay.example:8443",
        "https://relay.example.evil.example",
        "file://relay.example",
        "relay.example",
        "null",
        "",
    ] {
        check_origin(&door, foreign, Err(DoorError::Origin));
    }
    assert!(
        from(&door, "203.0.113.1", &[("host", "relay.example")]).is_ok(),
        "no browser"
    );
}

#[test]
fn listed_origins_are_allowed_as_well() {
    let door = Door::new(DoorConfig {
        allowed_origins: vec!["https://App.example/".to_owned()],
        ..DoorConfig::default()
    });
    check_origin(&door, "https://app.example", Ok(()));
    check_origin(&door, "http://app.example", Err(DoorError::Origin));
    let any = Door::new(DoorConfig {
        allowed_origins: vec!["*".to_owned()],
        ..DoorConfig::default()
    });
    check_origin(&any, "null", Ok(()));
}

#[test]
fn the_host_is_one_of_the_servers_names() {
    let any = Door::new(DoorConfig::default());
    assert_eq!(
        from(&any, "203.0.113.1", &[("host", "A.Example:80")])
            .unwrap()
            .host,
        "a.example:80"
    );
    assert_eq!(from(&any, "203.0.113.1", &[]).unwrap_err(), DoorError::Host);
    let named = Door::new(DoorConfig {
        hosts: vec!["Relay.example".to_owned()],
        ..DoorConfig::default()
    });
    assert!(from(&named, "203.0.113.1", &[("host", "relay.example")]).is_ok());
    let rebound = from(&named, "203.0.113.1", &[("host", "evil.example")]);
    assert_eq!(rebound.unwrap_err(), DoorError::Host);
}

#[test]
fn addresses_are_counted_until_they_leave() {
    let door = Door::new(DoorConfig {
        sockets_per_address_max: 2,
        ..DoorConfig::default()
    });
    let host = [("host", "relay.example")];
    let inside: Vec<_> = (0..2)
        .map(|_| from(&door, "203.0.113.1", &host).unwrap())
        .collect();
    assert_eq!(from(&door, "203.0.113.1", &host).unwrap_err(), DoorError::TooMany);
    assert!(
        from(&door, "203.0.113.2", &host).is_ok(),
        "others are not affected"
    );
    drop(inside);
    assert!(from(&door, "203.0.113.1", &host).is_ok());
    // One IPv6 customer has many addresses.
    let inside: Vec<_> = ["[2001:db8::1]", "[2001:db8::2]"]
        .map(|a| from(&door, a, &host).unwrap())
        .into();
    assert_eq!(
        from(&door, "[2001:db8::3]", &host).unwrap_err(),
        DoorError::TooMany
    );
    assert!(from(&door, "[2001:db8:0:1::1]", &host).is_ok());
    drop(inside);
}

#[test]
fn only_trusted_proxies_are_believed() {
    let door = Door::new(DoorConfig {
        trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
        ..DoorConfig::default()
    });
    let address = |remote, forwarded| {
        let mut pairs = vec![("host", "relay.example")];
        pairs.extend(Option::map(forwarded, |value| ("x-forwarded-for", value)));
        let address = from(&door, remote, &pairs).unwrap().address;
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
    assert_eq!(address("10.0.0.1", None).as_deref(), Some("10.0.0.1"));
    assert_eq!(
        address("127.0.0.1", Some("198.51.100.7")).as_deref(),
        Some("198.51.100.7")
    );
    assert_eq!(address("127.0.0.1", None), None);
    assert_eq!(address("[::ffff:127.0.0.1]", None), None);
}
