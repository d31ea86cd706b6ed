//! What must hold for bytes that come from strangers' sockets and from disks that may be damaged. The fuzz targets
//! (`tests/fuzz`) check the same.
#![allow(dead_code, reason = "each fuzz target checks one thing")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use native::store::journal::{Damage, Mark, unfinished};
use rtc_crypto::{HmacAlgorithm, RTCCryptoProvider};
use starling_relay_node::web::admin;
use starling_relay_node::web::admin::keys::{self, Keys};
use starling_relay_node::webrtc::sdp::{Answer, OFFER_BYTES_MAX, Offer};
use starling_relay_node::webrtc::stun::{self, Credentials, Request};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

static CRYPTO: LazyLock<Arc<dyn RTCCryptoProvider>> =
    LazyLock::new(|| rtc_crypto::default_provider().unwrap());

const PASSWORD: &str = "a password of some length";
/// What a check of an honest browser is not longer than.
const ATTRIBUTES_MAX: usize = 1_000;

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Says how long the message is once `following` more bytes stand after it.
fn set_length(out: &mut [u8], following: usize) {
    let length = (out.len() - 20 + following) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
}

/// A connectivity check of a browser, with these bytes where its further attributes are.
fn check_with(attributes: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend(b"transaction!");
    attribute(&mut out, 0x0006, b"abcdefghijkl:peer");
    out.extend(&attributes[..attributes.len().min(ATTRIBUTES_MAX)]);
    out.resize(out.len().next_multiple_of(4), 0);
    set_length(&mut out, 24);
    let mut mac = [0; 20];
    let hmac = CRYPTO.crypto().new_hmac(HmacAlgorithm::Sha1, PASSWORD.as_bytes());
    hmac.unwrap().sign(&[&out], &mut mac).unwrap();
    attribute(&mut out, 0x0008, &mac);
    set_length(&mut out, 8);
    let sum = crc32fast::hash(&out) ^ 0x5354_554e;
    attribute(&mut out, 0x8028, &sum.to_be_bytes());
    out
}

/// A datagram at the WebRTC port: who does not know the password gets no answer, and what was changed on the way gets
/// none.
pub(crate) fn datagram(bytes: &[u8]) {
    let credentials = Credentials {
        local_ufrag: *b"abcdefghijkl",
        local_password: PASSWORD.to_owned(),
        remote_ufrag: "peer".to_owned(),
    };
    let parse = |datagram: &[u8]| Request::parse(datagram, &credentials, CRYPTO.crypto());
    let _ = (stun::is_stun(bytes), stun::local_ufrag(bytes));
    assert_eq!(parse(bytes), None, "nobody knows the password");

    let mut honest = check_with(bytes);
    assert!(stun::is_stun(&honest));
    if let Some(request) = parse(&honest) {
        assert_eq!(stun::local_ufrag(&honest), Some(credentials.local_ufrag));
        for peer in ["192.0.2.1:32853", "[2001:db8::7]:9"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let answer = request.answer(peer, &credentials, CRYPTO.crypto()).unwrap();
            assert_eq!(answer[..2], [1, 1]);
            assert!(
                answer.len() <= honest.len() + 20,
                "an answer is no longer than its question, nearly"
            );
            assert_eq!(parse(&answer), None, "an answer asks nothing");
        }
        let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % honest.len();
        honest[at] ^= 1;
        assert_eq!(parse(&honest), None, "byte {at} was changed");
    }
}

/// An offer: nothing of it but what was checked gets into the answer, whose lines are counted.
pub(crate) fn offer(text: &str) {
    const MESSAGE_BYTES: usize = 16 * 1024;
    let Ok(offer) = Offer::parse(text, MESSAGE_BYTES) else {
        return;
    };
    assert!(text.len() <= OFFER_BYTES_MAX);
    let candidates: [SocketAddr; 2] = ["192.0.2.1:1", "[2001:db8::1]:2"].map(|at| at.parse().unwrap());
    let answer = Answer {
        offer: &offer,
        session_id: u64::MAX,
        ufrag: "abcdefghijkl",
        password: PASSWORD,
        fingerprint: &[7; 32],
        candidates: &candidates,
        message_bytes_max: MESSAGE_BYTES,
    };
    let answer = answer.to_sdp();
    let lines: Vec<&str> = answer.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    assert_eq!(lines.len(), 15 + candidates.len() + 1, "{answer}");
    for line in lines {
        assert!(line.as_bytes().get(1) == Some(&b'='), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    assert_eq!(answer.matches("a=candidate").count(), candidates.len());
    assert!(answer.len() < 2_000);
}

const MARK: Mark = [0xff; 17];
/// Of another folder.
const OTHER_MARK: Mark = [0xfe; 17];

/// What looks like a commit to anybody who does not know the mark.
pub(crate) fn lookalike(value: &[u8]) -> Vec<u8> {
    commit(&OTHER_MARK, u64::MAX, value)
}

/// A commit as the store has fjall write it, with this value in it.
fn commit(mark: &Mark, number: u64, value: &[u8]) -> Vec<u8> {
    let mut items = Vec::new();
    for (key, value) in [(mark.as_slice(), [].as_slice()), (b"key", value)] {
        items.extend([2, 0, 0]);
        items.extend(1_u64.to_le_bytes());
        items.extend((key.len() as u16).to_le_bytes());
        items.extend([(value.len() as u32).to_le_bytes(); 2].concat());
        items.extend([key, value].concat());
    }
    let mut bytes = vec![1, 2, 0, 0, 0];
    bytes.extend(number.to_le_bytes());
    bytes.extend(&items);
    bytes.push(3);
    bytes.extend(xxh3_64(&items).to_le_bytes());
    bytes.extend(b"FJL\x03");
    bytes
}

/// A journal: it is repaired by one truncation, or damaged. And whatever is stored, the power may fail while it is
/// written, at any place.
pub(crate) fn journal(bytes: &[u8], at: usize) {
    match unfinished(bytes, &MARK) {
        Ok(None) => {}
        Ok(Some(cut)) => {
            assert!(cut < bytes.len());
            assert_eq!(unfinished(&bytes[..cut], &MARK), Ok(None));
        }
        Err(Damage(begins)) => assert!(begins < bytes.len()),
    }
    let (before, last) = (commit(&MARK, 1, b"before"), commit(&MARK, 2, bytes));
    let (first, at) = (before.len(), before.len() + at % last.len());
    let whole = [before, last, vec![0; 100]].concat();
    assert_eq!(unfinished(&whole, &MARK), Ok(None));
    let torn = |part: std::ops::Range<usize>| {
        let mut torn = whole.clone();
        torn[part].fill(0);
        let left = torn[first..].iter().any(|byte| *byte != 0);
        match torn == whole {
            true => assert_eq!(unfinished(&torn, &MARK), Ok(None)),
            false => assert_eq!(unfinished(&torn, &MARK), Ok(left.then_some(first))),
        }
    };
    torn(at..whole.len());
    torn(first..at);
    torn(at..(at + 512).min(whole.len()));
    // A commit's number is not covered by its sum.
    let damaged = at % first;
    if !(5..13).contains(&damaged) {
        let mut broken = whole;
        broken[damaged] ^= 0x10;
        assert_eq!(unfinished(&broken, &MARK), Err(Damage(0)), "byte {damaged}");
    }
}

/// A relay's admins, and the session of one of them.
static ADMIN: LazyLock<(TempDir, Keys, String)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::open(folder.path()).unwrap();
    let token = keys::issue_claim(folder.path()).unwrap();
    let session = keys.claim(&token).unwrap().unwrap();
    (folder, keys, session)
});

/// Cookies of a request to the admin page: they let nobody in, and do not hide the one that does.
pub(crate) fn cookies(values: &[Vec<u8>]) {
    let (_, keys, admin) = &*ADMIN;
    let mut headers = HeaderMap::new();
    for value in values {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(COOKIE, value);
        }
    }
    assert_eq!(admin::session(&headers, keys), None);
    let right = format!("theme=dark; starling-admin={admin}");
    headers.append(COOKIE, right.parse().unwrap());
    assert_eq!(admin::session(&headers, keys).as_ref(), Some(admin));
}

/// What a form of the admin page carries: it is from a page of that session, or it is not.
pub(crate) fn form(session: &str, token: &str) {
    let right = keys::form_token(session);
    assert!(keys::is_form_token(session, &right));
    let is = keys::is_form_token(session, token);
    assert_eq!(is, token.eq_ignore_ascii_case(&right), "{token:?}");
}

/// What is in a data folder about admins: whatever it is, nobody becomes one by it, and the relay starts.
pub(crate) fn admin_files(folder: &Path, claim: &[u8], sessions: &[u8], token: &str) {
    std::fs::write(folder.join("admin.claim"), claim).unwrap();
    std::fs::write(folder.join("admin.json"), sessions).unwrap();
    let keys = Keys::open(folder).unwrap();
    assert!(!keys.is_claim(token) && !keys.is_session(token));
    assert_eq!(keys.claim(token).unwrap(), None);
}
