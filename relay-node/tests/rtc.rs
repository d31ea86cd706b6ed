//! The WebRTC endpoint against full WebRTC peers over loopback, and against what strangers may send it.

mod offerer;
mod path;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offerer::Offerer;
use path::Path;
use starling_relay_node::webrtc::{
    MESSAGE_BYTES_MAX, RtcConfig, RtcEndpoint, RtcError, RtcLink, RtcStats, SdpError,
};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(10);

fn loopback() -> RtcConfig {
    RtcConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

async fn endpoint() -> RtcEndpoint {
    RtcEndpoint::bind(loopback()).await.expect("bind")
}

async fn connect(endpoint: &RtcEndpoint) -> (Offerer, RtcLink) {
    let offerer = Offerer::new().await;
    let accepted = endpoint.accept(&offerer.offer_sdp, None).await.expect("accept");
    let (link, ()) = tokio::join!(accepted.pending.open(), offerer.open(accepted.answer_sdp));
    (offerer, link.expect("link"))
}

/// The same, with `path` between them.
async fn connect_over(endpoint: &RtcEndpoint, path: &Path) -> (Offerer, RtcLink) {
    let offerer = Offerer::new().await;
    let accepted = endpoint.accept(&offerer.offer_sdp, None).await.expect("accept");
    let direct = format!(" {} typ host", endpoint.local_addr().port());
    let detour = format!(" {} typ host", path.entrance().port());
    assert!(accepted.answer_sdp.contains(&direct));
    let answer = accepted.answer_sdp.replace(&direct, &detour);
    let (link, ()) = tokio::join!(accepted.pending.open(), offerer.open(answer));
    (offerer, link.expect("link"))
}

/// Waits until `holds`, for what the other end's close takes a moment to do.
async fn eventually(endpoint: &RtcEndpoint, holds: impl Fn(RtcStats) -> bool) {
    let give_up = Instant::now() + SOON;
    while !holds(endpoint.stats()) {
        assert!(Instant::now() < give_up, "still {:?}", endpoint.stats());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_link_computes_is_counted_once() {
    let endpoint = endpoint().await;
    let (offerer, link) = connect(&endpoint).await;
    let (_sender, mut receiver) = link.split();
    let mut costs = Vec::new();
    for messages in [1, 64] {
        for _ in 0..messages {
            offerer.send(&vec![7; MESSAGE_BYTES_MAX]).await;
            let received = timeout(SOON, receiver.recv()).await;
            received.expect("in time").expect("open");
        }
        costs.push(receiver.take_cost());
    }
    assert!(Duration::ZERO < costs[0] && costs[0] < costs[1], "{costs:?}");
    // Without messages hardly anything is added.
    let rest = receiver.take_cost();
    assert!(rest < costs[1] / 4, "{rest:?} after {costs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_opens_and_carries_messages_both_ways() {
    let endpoint = endpoint().await;
    let (offerer, mut link) = connect(&endpoint).await;
    assert_eq!(link.local_fingerprint, endpoint.fingerprint());
    assert_ne!(link.remote_fingerprint, link.local_fingerprint);

    for length in [1, 2, 1_000, 1_200, 8_192, MESSAGE_BYTES_MAX] {
        let message = vec![length as u8; length];
        offerer.send(&message).await;
        let received = timeout(SOON, link.recv()).await.expect("in time").expect("open");
        assert_eq!(received, message);
        link.send(received).await.expect("send");
        let echoed = timeout(SOON, offerer.recv())
            .await
            .expect("in time")
            .expect("open");
        assert_eq!(&echoed[..], &message[..]);
    }
    assert!(matches!(
        link.send(Bytes::new()).await,
        Err(RtcError::EmptyMessage)
    ));
    let long = Bytes::from(vec![0; MESSAGE_BYTES_MAX + 1]);
    assert!(matches!(link.send(long).await, Err(RtcError::MessageTooLong(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_links_share_one_port() {
    let endpoint = endpoint().await;
    let mut ends = Vec::new();
    for _ in 0..20 {
        ends.push(connect(&endpoint).await);
    }
    let stats = endpoint.stats();
    assert_eq!((stats.links, stats.half_open, stats.opened), (20, 0, 20));
    for (index, (offerer, link)) in ends.iter_mut().enumerate() {
        offerer.send(&[index as u8; 100]).await;
        let received = timeout(SOON, link.recv()).await.expect("in time").expect("open");
        assert_eq!(received[0], index as u8, "each link hears its own peer");
        link.send(received).await.expect("send");
    }
    for (index, (offerer, _link)) in ends.iter().enumerate() {
        assert_eq!(
            timeout(SOON, offerer.recv())
                .await
                .expect("in time")
                .expect("open")[0],
            index as u8
        );
    }
    endpoint.shutdown().await;
    assert_eq!(endpoint.stats().links, 0);
    assert!(matches!(
        endpoint.accept(&ends[0].0.offer_sdp, None).await,
        Err(RtcError::ShutDown)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_arrives_whole_and_in_order() {
    const MESSAGES: u32 = 2_000;
    let endpoint = endpoint().await;
    let (offerer, link) = connect(&endpoint).await;
    let (sender, mut receiver) = link.split();
    let message = |index: u32| {
        let mut message = index.to_be_bytes().to_vec();
        message.resize(8_000, index as u8);
        message
    };
    let up = async {
        for index in 0..MESSAGES {
            offerer.send(&message(index)).await;
        }
    };
    let down = async {
        for index in 0..MESSAGES {
            sender.send(message(index).into()).await.expect("send");
        }
    };
    let up_heard = async {
        for index in 0..MESSAGES {
            assert_eq!(
                receiver.recv().await.expect("open"),
                message(index),
                "up, message {index}"
            );
        }
    };
    let down_heard = async {
        for index in 0..MESSAGES {
            assert_eq!(
                offerer.recv().await.expect("open"),
                message(index),
                "down, message {index}"
            );
        }
    };
    timeout(Duration::from_secs(60), async {
        tokio::join!(up, down, up_heard, down_heard)
    })
    .await
    .expect("in time");
    // The last acknowledgement may be delayed by 200 ms.
    timeout(SOON, async {
        while sender.buffered_bytes() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("all is acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_peer_back_and_loses_nothing() {
    let endpoint = endpoint().await;
    let check = async |length: usize| {
        let (offerer, mut link) = connect(&endpoint).await;
        // Several times what may be on the way: the peer's buffer and the window.
        let messages = (6 << 20) / length as u32;
        let sent = AtomicU32::new(0);
        let flood = async {
            for index in 0..messages {
                let mut message = index.to_be_bytes().to_vec();
                message.resize(length, 0);
                offerer.send(&message).await;
                sent.store(index + 1, Ordering::Relaxed);
            }
        };
        let read = async {
            // The window closes, and the peer waits for as long as nothing is read.
            let held_back = async {
                loop {
                    let before = sent.load(Ordering::Relaxed);
                    sleep(Duration::from_millis(500)).await;
                    if before > 0 && before == sent.load(Ordering::Relaxed) {
                        return before;
                    }
                }
            };
            let before = timeout(SOON, held_back).await.expect("the peer stops in time");
            let bytes = before as usize * length;
            assert!(
                before < messages,
                "all {bytes} bytes were taken, and nobody had read any"
            );
            for index in 0..messages {
                let message = timeout(SOON, link.recv()).await.expect("in time").expect("open");
                assert_eq!(message[..4], index.to_be_bytes());
            }
        };
        tokio::join!(flood, read);
    };
    tokio::join!(check(MESSAGE_BYTES_MAX), check(5_000), check(1_163), check(300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_send_buffer_makes_the_sender_wait() {
    let endpoint = RtcEndpoint::bind(RtcConfig {
        send_buffer_bytes: 64 << 10,
        ..loopback()
    })
    .await
    .expect("bind");
    let (offerer, link) = connect(&endpoint).await;
    let message = Bytes::from(vec![7; MESSAGE_BYTES_MAX]);
    let mut sent = 0;
    // The peer does not read; in the end its window, its inbox and our buffer are full.
    let full = async {
        loop {
            match link.try_send(message.clone()) {
                Ok(()) => sent += 1,
                Err(RtcError::SendBufferFull) if link.buffered_bytes() > 0 && sent > 4 => break,
                Err(RtcError::SendBufferFull) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(SOON, full).await.expect("it fills");
    assert!(link.buffered_bytes() <= 64 << 10);
    for _ in 0..sent {
        assert_eq!(
            timeout(SOON, offerer.recv())
                .await
                .expect("in time")
                .expect("open")
                .len(),
            message.len()
        );
    }
    timeout(SOON, link.send(message))
        .await
        .expect("there is room again")
        .expect("open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_closing_leaves_no_trace() {
    let endpoint = endpoint().await;
    let gone = |stats: RtcStats| (stats.links, stats.half_open, stats.addresses) == (0, 0, 0);

    // The peer closes its connection.
    let (offerer, mut link) = connect(&endpoint).await;
    offerer.close().await;
    assert!(timeout(SOON, link.recv()).await.expect("in time").is_none());
    assert!(matches!(
        link.send(Bytes::from_static(b"late")).await,
        Err(RtcError::Closed)
    ));
    eventually(&endpoint, gone).await;

    // The peer closes its channel, after more last words than are taken in advance.
    let (offerer, mut link) = connect(&endpoint).await;
    for _ in 0..100 {
        offerer.send(b"last word").await;
    }
    // The offerer's stack drops what is still queued when its channel is closed.
    sleep(Duration::from_millis(200)).await;
    offerer.close_channel().await;
    sleep(Duration::from_millis(200)).await;
    for _ in 0..100 {
        assert_eq!(
            timeout(SOON, link.recv())
                .await
                .expect("in time")
                .expect("a message"),
            &b"last word"[..]
        );
    }
    assert!(timeout(SOON, link.recv()).await.expect("in time").is_none());
    eventually(&endpoint, gone).await;

    // We close, after a last word.
    let (offerer, link) = connect(&endpoint).await;
    link.send(Bytes::from_static(b"last word")).await.expect("send");
    link.close().await;
    assert!(gone(endpoint.stats()), "{:?}", endpoint.stats());
    assert_eq!(
        &timeout(SOON, offerer.recv())
            .await
            .expect("in time")
            .expect("a message")[..],
        b"last word"
    );
    assert!(timeout(SOON, offerer.recv()).await.expect("in time").is_none());

    // We let go.
    let (offerer, link) = connect(&endpoint).await;
    let (sender, receiver) = link.split();
    drop(receiver);
    sender
        .send(Bytes::from_static(b"half a link still sends"))
        .await
        .expect("send");
    drop(sender);
    assert!(timeout(SOON, offerer.recv()).await.expect("in time").is_some());
    assert!(timeout(SOON, offerer.recv()).await.expect("in time").is_none());
    eventually(&endpoint, gone).await;

    // Nobody waits for the answer.
    let offerer = Offerer::new().await;
    drop(endpoint.accept(&offerer.offer_sdp, None).await.expect("accept"));
    eventually(&endpoint, gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_connections_leave_the_tables_empty() {
    let endpoint = endpoint().await;
    let cycles = async |by_peer: bool| {
        for _ in 0..25 {
            let (offerer, mut link) = connect(&endpoint).await;
            if by_peer {
                offerer.close().await;
                assert!(timeout(SOON, link.recv()).await.expect("in time").is_none());
            } else {
                link.close().await;
            }
        }
    };
    tokio::join!(cycles(true), cycles(false), cycles(true), cycles(false));
    eventually(&endpoint, |stats| {
        (stats.links, stats.half_open, stats.addresses) == (0, 0, 0)
    })
    .await;
    assert_eq!(endpoint.stats().opened, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_on_the_port_is_dropped_and_harms_no_link() {
    let endpoint = endpoint().await;
    let (offerer, mut link) = connect(&endpoint).await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("stranger");
    let mut seed = 0x9E37_79B9_u32;
    for index in 0..2_000_usize {
        let datagram: Vec<u8> = (0..index % 1_400)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        let _ = stranger.send_to(&datagram, endpoint.local_addr()).await;
    }
    // Headers that look right, with nothing behind them.
    for head in [
        &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..],
        &[22, 254, 253, 0, 0],
        &[23, 254, 253],
        &[128, 96],
    ] {
        let _ = stranger.send_to(head, endpoint.local_addr()).await;
    }
    offerer.send(b"still here").await;
    assert_eq!(
        timeout(SOON, link.recv()).await.expect("in time").expect("open"),
        &b"still here"[..]
    );
    let stats = endpoint.stats();
    assert!(stats.unknown_dropped > 0);
    assert_eq!((stats.links, stats.addresses), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_in_the_peers_name_harms_no_link() {
    let endpoint = endpoint().await;
    let path = Path::to(endpoint.local_addr()).await;
    let (offerer, mut link) = connect_over(&endpoint, &path).await;
    let mut seed = 0x2545_F491_u32;
    let mut draw = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    for index in 0..3_000_usize {
        // Record types 20 to 23, a version, epochs 0 to 2, then anything.
        let mut record = vec![20 + draw() % 4, 254, 253, 0, draw() % 3];
        record.extend((0..6).map(|_| draw()));
        let length = index % 300;
        record.extend_from_slice(&(length as u16).to_be_bytes());
        record.extend((0..length).map(|_| draw()));
        path.inject(&record).await;
    }
    // A fatal handshake_failure and a close_notify, as anybody could write them.
    for (sequence, alert) in [[2, 40], [1, 0]].into_iter().enumerate() {
        path.inject(&[
            21,
            254,
            253,
            0,
            0,
            9,
            9,
            9,
            9,
            9,
            sequence as u8,
            0,
            2,
            alert[0],
            alert[1],
        ])
        .await;
    }
    for _ in 0..20 {
        offerer.send(b"still here").await;
        assert_eq!(
            timeout(SOON, link.recv()).await.expect("in time").expect("open"),
            &b"still here"[..]
        );
        link.send(Bytes::from_static(b"so are we")).await.expect("send");
        assert_eq!(
            &timeout(SOON, offerer.recv())
                .await
                .expect("in time")
                .expect("open")[..],
            b"so are we"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_offer_is_an_error() {
    let endpoint = endpoint().await;
    let good = Offerer::new().await.offer_sdp;
    let check = async |offer: String| {
        assert!(
            matches!(endpoint.accept(&offer, None).await, Err(RtcError::Offer(_))),
            "accepted: {offer}"
        );
    };
    check(String::new()).await;
    check("garbage".to_owned()).await;
    check("v=0\r\n".to_owned()).await;
    check("\u{1F426}".repeat(1_000)).await;
    for (from, to) in [
        ("m=application", "m=audio"),
        ("webrtc-datachannel", "elsewhere"),
        ("a=ice-ufrag:", "a=x:"),
        ("a=ice-pwd:", "a=ice-pwd:\u{7}"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-1 "),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 zz:"),
        ("a=setup:actpass", "a=setup:active"),
        ("a=sctp-port:5000", "a=sctp-port:9"),
        ("a=mid:", "a=mid:\" "),
    ] {
        assert!(good.contains(from), "{from}: {good}");
        check(good.replace(from, to)).await;
    }
    // Every truncation is refused or complete; none panics.
    for length in 0..good.len() {
        if let Some(cut) = good.get(..length) {
            let _ = endpoint.accept(cut, None).await;
        }
    }
    let long = format!("{good}{}", "a=x\r\n".repeat(4_000));
    assert!(matches!(
        endpoint.accept(&long, None).await,
        Err(RtcError::Offer(SdpError::TooLong))
    ));
    eventually(&endpoint, |stats| stats.links == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_offers_is_bounded_and_honest_peers_still_get_in() {
    let config = RtcConfig {
        half_open_max: 8,
        open_timeout: Duration::from_secs(2),
        ..loopback()
    };
    let endpoint = RtcEndpoint::bind(config).await.expect("bind");
    let offer = Offerer::new().await.offer_sdp;
    let mut abandoned = Vec::new();
    for _ in 0..200 {
        abandoned.push(
            endpoint
                .accept(&offer, None)
                .await
                .expect("the oldest silent one gives way")
                .pending,
        );
        assert!(endpoint.stats().half_open <= 8);
    }
    assert_eq!(endpoint.stats().half_open_evicted, 192);
    assert!(matches!(abandoned.remove(0).open().await, Err(RtcError::Evicted)));

    let (offerer, mut link) = connect(&endpoint).await;
    offerer.send(b"in").await;
    assert_eq!(
        timeout(SOON, link.recv()).await.expect("in time").expect("open"),
        &b"in"[..]
    );

    assert!(matches!(
        abandoned.pop().expect("the newest").open().await,
        Err(RtcError::Timeout)
    ));
    eventually(&endpoint, |stats| stats.half_open == 0 && stats.links == 1).await;
    assert_eq!(endpoint.stats().half_open_expired, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_links_than_configured_are_refused() {
    let endpoint = RtcEndpoint::bind(RtcConfig {
        links_max: 2,
        ..loopback()
    })
    .await
    .expect("bind");
    let first = connect(&endpoint).await;
    let _second = connect(&endpoint).await;
    let third = Offerer::new().await;
    assert!(matches!(
        endpoint.accept(&third.offer_sdp, None).await,
        Err(RtcError::Full)
    ));
    first.1.close().await;
    let _ = endpoint
        .accept(&third.offer_sdp, None)
        .await
        .expect("there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_than_the_offer_named_opens_nothing() {
    let config = RtcConfig {
        open_timeout: Duration::from_secs(3),
        ..loopback()
    };
    let endpoint = RtcEndpoint::bind(config).await.expect("bind");
    let offerer = Offerer::new().await;
    let at = offerer.offer_sdp.find("sha-256 ").expect("a fingerprint") + 8;
    let mut forged = offerer.offer_sdp.clone();
    let other = if &forged[at..=at] == "0" { "1" } else { "0" };
    forged.replace_range(at..=at, other);
    let accepted = endpoint.accept(&forged, None).await.expect("it reads well");
    offerer.take_answer(accepted.answer_sdp).await;
    assert!(matches!(
        accepted.pending.open().await,
        Err(RtcError::Handshake(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_loses_and_delays_still_delivers_everything() {
    const MESSAGES: u32 = 100;
    let endpoint = endpoint().await;
    let path = Path::to(endpoint.local_addr()).await;
    let (offerer, mut link) = connect_over(&endpoint, &path).await;
    path.set_loss_percent(5);
    path.set_delay(Duration::from_millis(10));
    let message = |index: u32| {
        let mut message = index.to_be_bytes().to_vec();
        message.resize(4_000, index as u8);
        message
    };
    let down = async {
        for index in 0..MESSAGES {
            link.send(message(index).into()).await.expect("send");
        }
        for index in 0..MESSAGES {
            assert_eq!(
                link.recv().await.expect("open"),
                message(index),
                "up, message {index}"
            );
        }
    };
    let up = async {
        for index in 0..MESSAGES {
            assert_eq!(
                offerer.recv().await.expect("open"),
                message(index),
                "down, message {index}"
            );
        }
        for index in 0..MESSAGES {
            offerer.send(&message(index)).await;
        }
    };
    timeout(Duration::from_secs(60), async { tokio::join!(down, up) })
        .await
        .expect("in time");
    assert!(path.lost() > 0, "the path did lose");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_survives_a_new_address_of_its_peer() {
    let endpoint = endpoint().await;
    let path = Path::to(endpoint.local_addr()).await;
    let (offerer, mut link) = connect_over(&endpoint, &path).await;
    offerer.send(b"before").await;
    assert_eq!(
        timeout(SOON, link.recv()).await.expect("in time").expect("open"),
        &b"before"[..]
    );

    path.rebind().await;
    // The peer's next check, within seconds, makes the new address known.
    offerer.send(b"after").await;
    assert_eq!(
        timeout(SOON, link.recv()).await.expect("in time").expect("open"),
        &b"after"[..]
    );
    link.send(Bytes::from_static(b"and back")).await.expect("send");
    assert_eq!(
        &timeout(2 * SOON, offerer.recv())
            .await
            .expect("in time")
            .expect("open")[..],
        b"and back"
    );
    assert_eq!(endpoint.stats().addresses, 2);
}
