use super::*;

const PASSWORD: &str = "a password of some length";

fn credentials() -> Credentials {
    Credentials {
        local_ufrag: *b"abcdefghijkl",
        local_password: PASSWORD.to_owned(),
        remote_ufrag: "peer".to_owned(),
    }
}

fn crypto() -> std::sync::Arc<dyn rtc_crypto::RTCCryptoProvider> {
    rtc_crypto::default_provider().expect("a provider is compiled in")
}

struct Check {
    username: &'static str,
    password: &'static str,
    extra: &'static [(u16, &'static [u8])],
}

const HONEST: Check = Check {
    username: "abcdefghijkl:peer",
    password: PASSWORD,
    extra: &[],
};

/// A binding request as a browser makes it.
fn request(check: &Check) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0];
    out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    out.extend_from_slice(b"transaction!");
    out.extend_from_slice(&USERNAME.to_be_bytes());
    out.extend_from_slice(&(check.username.len() as u16).to_be_bytes());
    out.extend_from_slice(check.username.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
    for (kind, value) in check.extra {
        push_attribute(&mut out, *kind, value);
    }
    set_length(&mut out, 24);
    let mac = hmac_sha1(check.password.as_bytes(), &[&out], crypto().crypto()).expect("a MAC");
    push_attribute(&mut out, MESSAGE_INTEGRITY, &mac);
    set_length(&mut out, 8);
    let crc = crc32fast::hash(&out) ^ FINGERPRINT_XOR;
    push_attribute(&mut out, FINGERPRINT, &crc.to_be_bytes());
    out
}

fn parse(datagram: &[u8]) -> Option<Request> {
    Request::parse(datagram, &credentials(), crypto().crypto())
}

/// RFC 5769 section 2.1, the sample request, whose password is not ASCII alone.
#[test]
fn the_sample_request_of_the_test_vectors_is_understood() {
    let sample = [
        0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
        0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20,
        0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00,
        0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a,
        0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf,
        0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28,
        0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
    ];
    let key = b"VOkJxbRl1RmTxUk/WvJxBt";
    let message = Message::split(&sample).expect("it is whole");
    let integrity = message
        .attributes()
        .find(|one| one.kind == MESSAGE_INTEGRITY)
        .expect("it has one");
    assert!(integrity_holds(
        &sample,
        integrity.offset,
        integrity.value,
        key,
        crypto().crypto()
    ));
    let fingerprint = message
        .attributes()
        .find(|one| one.kind == FINGERPRINT)
        .expect("it has one");
    let crc = crc32fast::hash(&sample[..fingerprint.offset]) ^ FINGERPRINT_XOR;
    assert_eq!(fingerprint.value, crc.to_be_bytes());
    // It comes from a controlled agent and names a shorter fragment than ours: nothing for this endpoint.
    assert_eq!(local_ufrag(&sample), None);
    assert_eq!(parse(&sample), None);
}

#[test]
fn an_honest_check_passes_and_says_whether_it_nominates() {
    let datagram = request(&HONEST);
    assert!(is_stun(&datagram));
    assert_eq!(local_ufrag(&datagram), Some(*b"abcdefghijkl"));
    assert_eq!(parse(&datagram).map(|request| request.use_candidate), Some(false));
    let nominating = request(&Check {
        extra: &[(0x0024, &[1, 2, 3, 4]), (USE_CANDIDATE, &[])],
        ..HONEST
    });
    assert_eq!(
        parse(&nominating).map(|request| request.use_candidate),
        Some(true)
    );
}

#[test]
fn a_forged_or_misdirected_check_is_nothing() {
    for check in [
        Check {
            password: "another password entirely",
            ..HONEST
        },
        Check {
            username: "abcdefghijkl:other",
            ..HONEST
        },
        Check {
            username: "abcdefghijkX:peer",
            ..HONEST
        },
        Check {
            username: "abcdefghijkl",
            ..HONEST
        },
        Check {
            extra: &[(ICE_CONTROLLED, &[0; 8])],
            ..HONEST
        },
    ] {
        assert_eq!(parse(&request(&check)), None, "{}", check.username);
    }
    let honest = request(&HONEST);
    for at in 0..honest.len() {
        let mut flipped = honest.clone();
        flipped[at] ^= 1;
        assert_eq!(parse(&flipped), None, "byte {at} is covered by nothing");
        assert_eq!(parse(&honest[..at]), None, "cut at {at}");
    }
    // A nomination behind the MAC would be anybody's.
    let mut appended = honest[..honest.len() - 8].to_vec();
    push_attribute(&mut appended, USE_CANDIDATE, &[]);
    set_length(&mut appended, 8);
    let crc = crc32fast::hash(&appended) ^ FINGERPRINT_XOR;
    push_attribute(&mut appended, FINGERPRINT, &crc.to_be_bytes());
    assert_eq!(parse(&appended).map(|request| request.use_candidate), Some(false));
}

#[test]
fn the_answer_carries_the_address_and_verifies() {
    let check = |peer: &str, expected: &[u8]| {
        let peer: SocketAddr = peer.parse().expect("an address");
        let request = parse(&request(&HONEST)).expect("honest");
        let answer = request
            .answer(peer, &credentials(), crypto().crypto())
            .expect("an answer");
        let message = Message::split(&answer).expect("it is whole");
        assert_eq!(
            (message.kind, &message.transaction),
            (BINDING_SUCCESS, b"transaction!")
        );
        let attributes: Vec<_> = message.attributes().collect();
        assert_eq!(attributes[0].kind, XOR_MAPPED_ADDRESS);
        assert_eq!(&attributes[0].value[..2], &expected[..2]);
        let port = u16::from_be_bytes([attributes[0].value[2], attributes[0].value[3]]) ^ 0x2112;
        assert_eq!(port, peer.port());
        let mask = &answer[4..20];
        let ip: Vec<u8> = attributes[0].value[4..]
            .iter()
            .zip(mask)
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        assert_eq!(ip, &expected[2..]);
        let (integrity, fingerprint) = (&attributes[1], &attributes[2]);
        let key = PASSWORD.as_bytes();
        assert!(integrity_holds(
            &answer,
            integrity.offset,
            integrity.value,
            key,
            crypto().crypto()
        ));
        let crc = crc32fast::hash(&answer[..fingerprint.offset]) ^ FINGERPRINT_XOR;
        assert_eq!(fingerprint.value, crc.to_be_bytes());
    };
    check("192.0.2.1:32853", &[0, 1, 192, 0, 2, 1]);
    check("[::ffff:192.0.2.1]:9", &[0, 1, 192, 0, 2, 1]);
    check(
        "[2001:db8::7]:9",
        &[0, 2, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
    );
}
