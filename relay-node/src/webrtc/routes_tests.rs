use super::*;
use crate::webrtc::socket::Path;

fn ufrag(name: u8) -> Ufrag {
    [name; stun::UFRAG_BYTES]
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn record(port: u16, bytes: usize) -> Burst {
    Burst::one(
        Path {
            peer: address(port),
            local_ip: None,
        },
        vec![22; bytes].into(),
    )
}

fn routes(links_max: usize, half_open_max: usize) -> Arc<Routes> {
    Arc::new(Routes::new(links_max, half_open_max))
}

#[test]
fn a_record_goes_to_the_link_that_proved_its_address_last() {
    let routes = routes(8, 8);
    let (mut old, mut old_inbox) = routes.register(ufrag(b'a'), None).expect("room");
    let (mut new, mut new_inbox) = routes.register(ufrag(b'b'), None).expect("room");
    routes.deliver(&mut vec![record(1, 10)]);
    assert_eq!(routes.counters.unknown_dropped.load(Ordering::Relaxed), 1);
    old.learn(address(1), None);
    routes.deliver(&mut vec![record(1, 10)]);
    assert!(old_inbox.try_recv().is_ok());
    new.learn(address(1), None);
    routes.deliver(&mut vec![record(1, 10)]);
    assert!(old_inbox.try_recv().is_err());
    assert!(new_inbox.try_recv().is_ok());
    // The old link's end must not take the new one's route with it.
    drop(old);
    assert_eq!(
        routes.sizes(),
        Sizes {
            links: 1,
            half_open: 1,
            addresses: 1
        }
    );
    drop(new);
    assert_eq!(
        routes.sizes(),
        Sizes {
            links: 0,
            half_open: 0,
            addresses: 0
        }
    );
}

#[test]
fn a_link_keeps_a_few_addresses_and_never_forgets_the_one_in_use() {
    let routes = routes(8, 8);
    let (mut link, mut inbox) = routes.register(ufrag(b'a'), None).expect("room");
    let in_use = address(1);
    for port in 1..100 {
        link.learn(address(port), Some(in_use));
        assert!(routes.sizes().addresses <= ADDRESSES_MAX);
    }
    routes.deliver(&mut vec![record(1, 10), record(99, 10), record(50, 10)]);
    assert_eq!(inbox.try_recv().map(|burst| burst.path.peer), Ok(in_use));
    assert_eq!(inbox.try_recv().map(|burst| burst.path.peer), Ok(address(99)));
    assert!(inbox.try_recv().is_err());
}

#[test]
fn the_oldest_silent_half_open_link_gives_way_and_a_talking_one_does_not() {
    let routes = routes(8, 2);
    let (mut talking, _inbox) = routes.register(ufrag(b'a'), None).expect("room");
    talking.learn(address(1), None);
    let silent = routes.register(ufrag(b'b'), None).expect("room");
    let (mut third, _inbox) = routes
        .register(ufrag(b'c'), None)
        .expect("the silent one gives way");
    assert_eq!(routes.sizes().half_open, 2);
    drop(silent);
    third.learn(SocketAddr::from(([198, 51, 100, 3], 3)), None);
    assert_eq!(
        routes.register(ufrag(b'd'), None).err(),
        Some(RegisterError::Busy)
    );
    talking.opened();
    let _fourth = routes
        .register(ufrag(b'd'), None)
        .expect("an open link is not half-open");
    assert_eq!(routes.sizes().links, 3);
}

/// Offers without end from 8 /64 of one /48, beside newcomers whose browsers need a while until they check.
#[test]
fn offers_without_end_take_the_time_to_check_from_links_of_their_own_network() {
    let routes = routes(4_096, 16);
    let flood = |n: u16| IpAddr::from([0x2001, 0xdb8, 0xffff, n % 8, 0, 0, 0, 1]);
    let offer = |n: u16, from: IpAddr| {
        let mut ufrag = ufrag(0);
        ufrag[..2].copy_from_slice(&n.to_be_bytes());
        routes.register(ufrag, Some(from)).expect("a place")
    };
    let mut links: Vec<_> = (0..16).map(|n| offer(n, flood(n))).collect();
    let newcomers: Vec<_> = (0..8)
        .map(|n| offer(10_000 + n, IpAddr::from([192, 0, 2 + n as u8, 1])))
        .collect();
    links.extend((16..500).map(|n| offer(n, flood(n))));
    let is_kept = |id: u64| routes.tables().half_open.contains_key(&id);
    assert!(newcomers.iter().all(|(link, _)| is_kept(link.inlet().id)));
    assert_eq!(routes.sizes().half_open, 16);
    let newest = links.last().map(|(link, _)| link.inlet().id);
    assert!(newest.is_some_and(is_kept), "the oldest of the flood gave way");
}

/// Strangers that answer checks and never finish leave places to others.
#[test]
fn an_address_with_more_than_a_quarter_of_talking_half_open_links_gives_way() {
    let routes = routes(64, 16);
    let mut crowd = Vec::new();
    for n in 0..40 {
        let (mut link, inbox) = routes
            .register(ufrag(n), None)
            .expect("its own oldest one gives way");
        link.learn(SocketAddr::from(([192, 0, 2, 1], 1_000 + u16::from(n))), None);
        crowd.push((link, inbox));
        assert!(routes.sizes().half_open <= 16);
    }
    assert_eq!(routes.counters.half_open_evicted.load(Ordering::Relaxed), 24);
    let mut others = Vec::new();
    for n in 100..112 {
        let (mut link, inbox) = routes
            .register(ufrag(n), None)
            .expect("one of the crowd gives way");
        link.learn(SocketAddr::from(([192, 0, n, 1], 1)), None);
        others.push((link, inbox));
    }
    assert_eq!(
        routes.register(ufrag(200), None).err(),
        Some(RegisterError::Busy),
        "nobody has many"
    );
}

#[test]
fn a_full_table_refuses_and_an_ended_one_too() {
    let routes = routes(1, 8);
    let link = routes.register(ufrag(b'a'), None).expect("room");
    assert_eq!(
        routes.register(ufrag(b'b'), None).err(),
        Some(RegisterError::Full)
    );
    drop(link);
    drop(routes.register(ufrag(b'b'), None).expect("room again"));
    routes.end();
    assert_eq!(
        routes.register(ufrag(b'c'), None).err(),
        Some(RegisterError::Ended)
    );
}

#[test]
fn a_full_inbox_drops_the_newest_and_counts_it() {
    let routes = routes(8, 8);
    let (mut link, mut inbox) = routes.register(ufrag(b'a'), None).expect("room");
    link.learn(address(1), None);
    let burst = INBOX_BYTES_MAX / 8;
    for _ in 0..12 {
        routes.deliver(&mut vec![record(1, burst)]);
    }
    assert_eq!(routes.counters.inbox_full.load(Ordering::Relaxed), 4);
    link.inlet().taken(&inbox.try_recv().expect("eight are here"));
    routes.deliver(&mut vec![record(1, burst)]);
    assert_eq!(
        routes.counters.inbox_full.load(Ordering::Relaxed),
        4,
        "what was taken makes room"
    );
}
