use super::*;

/// The shape of Chromium's offer for one data channel.
fn offer() -> String {
    let fingerprint = vec!["0A"; 32].join(":");
    format!(
        "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n\
         a=msid-semantic: WMS\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:Kp3/\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n\
         a=max-message-size:262144\r\n"
    )
}

fn parse(sdp: &str) -> Result<Offer, SdpError> {
    Offer::parse(sdp, 16_384)
}

#[test]
fn a_browsers_offer_is_read() {
    let read = parse(&offer()).expect("it is fine");
    assert_eq!(
        read,
        Offer {
            mid: "0".to_owned(),
            ufrag: "Kp3/".to_owned(),
            fingerprint: [10; 32]
        }
    );
}

#[test]
fn credentials_may_stand_at_session_level_and_the_media_level_wins() {
    let session = offer()
        .replace("a=ice-ufrag:Kp3/\r\n", "")
        .replace("a=group", "a=ice-ufrag:session\r\na=group");
    assert_eq!(parse(&session).expect("it is fine").ufrag, "session");
    let both = offer().replace("a=group", "a=ice-ufrag:session\r\na=group");
    assert_eq!(parse(&both).expect("it is fine").ufrag, "Kp3/");
}

#[test]
fn what_a_link_cannot_work_with_is_refused() {
    let check = |from: &str, to: &str, expected: SdpError| {
        assert!(offer().contains(from), "{from}");
        assert_eq!(parse(&offer().replace(from, to)), Err(expected), "{to}");
    };
    check("v=0", "v=1", SdpError::Malformed);
    check("t=0 0", "nonsense", SdpError::Malformed);
    check("t=0 0", "tt=0", SdpError::Malformed);
    check("application 9", "application 0", SdpError::NotOneDataChannel);
    check("application", "video", SdpError::NotOneDataChannel);
    check("DTLS/SCTP", "TLS/RTP/SAVPF", SdpError::NotOneDataChannel);
    check(
        "t=0 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        SdpError::NotOneDataChannel,
    );
    check("a=ice-ufrag:Kp3/", "a=x", SdpError::Missing("ice-ufrag"));
    check(
        "a=ice-ufrag:Kp3/",
        "a=ice-ufrag:abc",
        SdpError::Unacceptable("ice-ufrag"),
    );
    check(
        "a=ice-ufrag:Kp3/",
        "a=ice-ufrag:ab:cd",
        SdpError::Unacceptable("ice-ufrag"),
    );
    check(
        "a=ice-pwd:abcdef",
        "a=ice-pwd:",
        SdpError::Unacceptable("ice-pwd"),
    );
    check("sha-256", "sha-512", SdpError::Missing("fingerprint"));
    check(
        "sha-256 0A:",
        "sha-256 0A:0A:",
        SdpError::Unacceptable("fingerprint"),
    );
    check(
        "sha-256 0A:",
        "sha-256 +A:",
        SdpError::Unacceptable("fingerprint"),
    );
    check("sha-256 0A:", "sha-256 ", SdpError::Unacceptable("fingerprint"));
    check("actpass", "active", SdpError::Unacceptable("setup"));
    check("a=mid:0", "a=mid:a b", SdpError::Unacceptable("mid"));
    check("5000", "5001", SdpError::Unacceptable("sctp-port"));
    check("262144", "1024", SdpError::Unacceptable("max-message-size"));
    check("262144", "-1", SdpError::Unacceptable("max-message-size"));
    check(
        "a=group",
        "a=ice-lite\r\na=group",
        SdpError::Unacceptable("ice-lite"),
    );
    let second = format!("a=fingerprint:SHA-256 {}\r\na=setup", vec!["0b"; 32].join(":"));
    check("a=setup", &second, SdpError::Unacceptable("fingerprint"));
    assert_eq!(parse(&"a".repeat(OFFER_BYTES_MAX + 1)), Err(SdpError::TooLong));
}

#[test]
fn no_limit_and_no_mention_of_message_size_are_enough() {
    assert!(parse(&offer().replace("262144", "0")).is_ok());
    assert!(parse(&offer().replace("a=max-message-size:262144\r\n", "")).is_ok());
}

#[test]
fn the_answer_says_what_the_browser_needs() {
    let offer = parse(&offer()).expect("it is fine");
    let candidates = ["192.0.2.1:4433", "[2001:db8::1]:4433"].map(|text| text.parse().expect("an address"));
    let sdp = Answer {
        offer: &offer,
        session_id: u64::MAX,
        ufrag: "abcdefghijkl",
        password: "abcdefghijklmnopqrstuvwx",
        fingerprint: &[0xAB; 32],
        candidates: &candidates,
        message_bytes_max: 16_384,
    }
    .to_sdp();
    for line in [
        "o=- 9223372036854775807 1 IN IP4 0.0.0.0",
        "a=ice-lite",
        "a=mid:0",
        "a=setup:active",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 4433 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 4433 typ host",
        "a=end-of-candidates",
    ] {
        assert!(sdp.contains(&format!("{line}\r\n")), "{line} in {sdp}");
    }
    assert!(sdp.contains(&vec!["AB"; 32].join(":")));
}
