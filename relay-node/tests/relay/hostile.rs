//! Bad input at a live relay: the link is closed with a reason, nothing is stored, others notice nothing.

use protocol::limits;
use protocol::link::frame;
use protocol::link::handshake::HandshakeError;
use protocol::messages::{Message, Ping};
use tokio_tungstenite::tungstenite::Message as Ws;

use crate::peer::{Author, Channel, Linked, connect, connect_with_small_buffer, link};
use crate::process::Relay;

/// A relay, and a link of an honest peer that must survive everything.
struct RelayWithLink {
    relay: Relay,
    honest: Linked,
}

impl RelayWithLink {
    async fn new() -> Self {
        let relay = Relay::start().await;
        let honest = link(&relay, &Author::new(1)).await;
        Self { relay, honest }
    }

    async fn channel(&self) -> Channel {
        connect(&self.relay, &[]).await.unwrap()
    }

    async fn others_notice_nothing(&mut self) {
        self.honest.send(&Message::Ping(Ping { token: 42 })).await;
        loop {
            match self.honest.next().await.expect("the honest link was closed") {
                Message::Pong(ping) => break assert_eq!(ping.token, 42),
                _ => continue,
            }
        }
        assert_eq!(self.relay.get("/readyz", &[]).await.status, 200);
    }
}

#[tokio::test]
async fn before_the_handshake_nothing_is_accepted() {
    let mut test = RelayWithLink::new().await;
    let check = async |frame: Vec<u8>, reason: &str| {
        let mut channel = test.channel().await;
        channel.send_frame(frame).await;
        assert_eq!(channel.close_reason().await, reason);
    };
    let early = HandshakeError::TooEarly.to_string();
    let ping = Message::Ping(Ping { token: 1 }).encode();
    check(frame::join(frame::LAST, &ping), &early).await;
    check(frame::join(frame::MORE, &ping), &early).await;
    check(frame::join(99, b"?"), &early).await;
    check(
        frame::join(frame::HELLO, b"no hello"),
        &HandshakeError::Malformed.to_string(),
    )
    .await;
    check(vec![], &frame::FrameError::Empty.to_string()).await;
    check(
        vec![frame::LAST; limits::FRAME_LEN_MAX + 1],
        &frame::FrameError::TooLong.to_string(),
    )
    .await;
    check(
        vec![frame::LAST; 10 * limits::FRAME_LEN_MAX],
        &frame::FrameError::TooLong.to_string(),
    )
    .await;
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn text_is_no_frame() {
    let mut test = RelayWithLink::new().await;
    let mut channel = test.channel().await;
    channel.send_raw(Ws::text("hello")).await;
    assert_eq!(channel.close_reason().await, "frames are binary messages");
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn a_forged_handshake_is_refused() {
    let mut test = RelayWithLink::new().await;
    let proof = HandshakeError::Proof.to_string();
    // The certificate and key of another device are named, and the own key is used.
    let (victim, mut thief) = (Author::new(2), Author::new(3));
    thief.certificate = victim.certificate.clone();
    let mut channel = test.channel().await;
    for frame in channel.handshake(&thief, 1).frames() {
        channel.send_frame(frame).await;
    }
    assert_eq!(
        channel.close_reason().await,
        HandshakeError::Certificate.to_string()
    );
    // A proof made for another host: what a stranger in between would pass on.
    let mut channel = test.channel().await;
    let mut handshake = channel.handshake_for_host(&victim, 1, "evil.example");
    for frame in handshake.frames() {
        channel.send_frame(frame).await;
    }
    let reason = loop {
        let frame = channel.next_frame().await.unwrap();
        let (kind, payload) = frame::split(&frame).unwrap();
        if kind == frame::CLOSE {
            break String::from_utf8(payload.to_vec()).unwrap();
        }
        // The relay's own proof does not hold for the wrong host either; that is not what is tested here.
        if let Ok(protocol::link::handshake::Step::Send(frame)) = handshake.on_frame(kind, payload) {
            channel.send_frame(frame).await;
        }
    };
    assert_eq!(reason, proof);
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn a_replayed_handshake_is_refused() {
    let mut test = RelayWithLink::new().await;
    let victim = Author::new(2);
    let mut recorded = Vec::new();
    let channel = test.channel().await;
    let handshake = channel.handshake(&victim, 9);
    let _linked = channel.establish(handshake, &mut recorded).await;
    assert_eq!(recorded.len(), 2, "a hello and a proof");
    let mut thief = test.channel().await;
    for frame in recorded {
        thief.send_frame(frame).await;
    }
    assert_eq!(thief.close_reason().await, HandshakeError::Proof.to_string());
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn after_the_handshake_the_rules_go_on() {
    let mut test = RelayWithLink::new().await;
    // A peer that broke the protocol is refused for a while, so each breach comes from another peer.
    let mut seed = 2;
    let mut check = async |frames: Vec<Vec<u8>>, reason: &str| {
        seed += 1;
        let mut linked = link(&test.relay, &Author::new(seed)).await;
        for frame in frames {
            linked.channel.send_frame(frame).await;
        }
        assert_eq!(linked.channel.close_reason().await, reason);
    };
    check(vec![frame::join(frame::LAST, &[])], "malformed message").await;
    check(
        vec![frame::join(frame::LAST, &[3, 0xff, 0xff])],
        "malformed message",
    )
    .await;
    check(
        vec![frame::join(77, b"?")],
        &frame::FrameError::Unknown.to_string(),
    )
    .await;
    let part = frame::join(frame::MORE, &vec![0; limits::FRAME_LEN_MAX - 1]);
    let parts = limits::MESSAGE_LEN_MAX / (limits::FRAME_LEN_MAX - 1) + 1;
    check(vec![part; parts], &frame::FrameError::MessageTooLong.to_string()).await;
    let mut again = link(&test.relay, &Author::new(3)).await;
    assert_eq!(again.channel.close_reason().await, "it broke the protocol before");
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn a_wrongly_signed_entry_is_not_stored() {
    let mut test = RelayWithLink::new().await;
    let mut author = Author::new(2);
    let mut linked = link(&test.relay, &author).await;
    let certificate = author.feed[0].clone();
    linked.push(certificate).await;
    linked.durable(&author, 1).await;
    let mut forged = author.post("said by me").entry().clone();
    forged.signed.header.lamport += 1;
    linked
        .send(&Message::Push(protocol::messages::Push {
            tree: 0,
            hops: 1,
            entry: forged,
        }))
        .await;
    assert!(!linked.channel.close_reason().await.is_empty());
    let mut reader = link(&test.relay, &Author::new(3)).await;
    assert_eq!(
        reader.fetch(author.device_id(), 0, 10).await.len(),
        1,
        "the certificate alone"
    );
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn a_flood_of_pings_ends_its_link_alone() {
    let mut test = RelayWithLink::new().await;
    let mut channel = test.channel().await;
    for _ in 0..200 {
        channel.send_raw(Ws::Ping(vec![0; 100].into())).await;
    }
    assert_eq!(channel.close_reason().await, "too many pings");
    test.others_notice_nothing().await;
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let relay = Relay::start().await;
    let author = Author::new(2);
    let channel = connect_with_small_buffer(&relay).await;
    let handshake = channel.handshake(&author, 7);
    let mut deaf = channel.establish(handshake, &mut Vec::new()).await;
    // Every ping is answered, and no answer is read: first the kernel's buffers fill, then the link's own queue.
    let ping = frame::join(frame::LAST, &Message::Ping(Ping { token: u64::MAX }).encode());
    let mut sent = 0u64;
    while sent < 5_000_000 && deaf.channel.try_send(ping.clone()).await {
        sent += 1;
    }
    assert!(
        sent < 5_000_000,
        "the relay takes everything from a peer that reads nothing"
    );
    let mut other = link(&relay, &Author::new(1)).await;
    other.send(&Message::Ping(Ping { token: 42 })).await;
    while other.next().await.expect("the other link was closed") != Message::Pong(Ping { token: 42 }) {}
}

#[tokio::test]
async fn foreign_pages_and_crowds_stay_outside() {
    let relay = Relay::start_with(&[
        "--sockets-per-address-max",
        "2",
        "--allowed-origin",
        "https://app.example",
    ])
    .await;
    let refused = async |headers: &[(&'static str, &str)]| connect(&relay, headers).await.err();
    assert_eq!(refused(&[("origin", "https://evil.example")]).await, Some(403));
    assert_eq!(refused(&[("origin", "null")]).await, Some(403));
    assert_eq!(refused(&[("origin", "https://app.example")]).await, None);
    let own = format!("http://{}", relay.address);
    assert_eq!(refused(&[("origin", &own)]).await, None);
    let from = [("x-forwarded-for", "203.0.113.7")];
    // Sockets that prove nothing keep nobody out. With two places, one comes in a second.
    let began = std::time::Instant::now();
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(connect(&relay, &from).await.unwrap());
    }
    assert!(
        began.elapsed() > std::time::Duration::from_millis(3_900),
        "they took turns"
    );
    let mut inside = Vec::new();
    for n in 1..=2 {
        let channel = connect(&relay, &from).await.unwrap();
        let handshake = channel.handshake(&Author::new(n), 7);
        let mut linked = channel.establish(handshake, &mut Vec::new()).await;
        // One that is answered after it was accepted as a neighbour has a place of its own.
        while !matches!(
            linked.next().await.expect("the link was closed"),
            Message::Accept(_)
        ) {}
        linked.send(&Message::Ping(Ping { token: 42 })).await;
        while linked.next().await.expect("the link was closed") != Message::Pong(Ping { token: 42 }) {}
        inside.push(linked);
    }
    assert_eq!(
        refused(&from).await,
        Some(429),
        "two linked devices have all places"
    );
    assert_eq!(refused(&[("x-forwarded-for", "203.0.113.8")]).await, None);
}
