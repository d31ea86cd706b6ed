//! Reads the certificate's fingerprint (RFC 8122) and the candidates (RFC 8839) of a session description (RFC 8866).

use std::net::IpAddr;

use protocol::reach::{Reach, reach};

/// A candidate line longer than this is dropped.
const CANDIDATE_LEN_MAX: usize = 512;

/// The SHA-256 fingerprint of the certificate that a description names. `None`: it names none, uses another hash, or
/// names two: a peer that may choose between certificates could prove one and use the other.
pub fn fingerprint(sdp: &str) -> Option<[u8; 32]> {
    let mut found: Option<[u8; 32]> = None;
    for line in sdp.lines() {
        let Some(value) = attribute(line, "fingerprint") else {
            continue;
        };
        let value = parse_fingerprint(value)?;
        if found.is_some_and(|other| other != value) {
            return None;
        }
        found = Some(value);
    }
    found
}

fn parse_fingerprint(value: &str) -> Option<[u8; 32]> {
    let (hash, pairs) = value.split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; 32];
    let mut pairs = pairs.trim().split(':');
    for byte in &mut bytes {
        let pair = pairs
            .next()
            .filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

/// The value of an `a=name:value` line. Names are matched in any case, as some parsers do.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.trim_start().split_once('=')?;
    let (found, value) = value.trim_start().split_once(':')?;
    (key.trim().eq_ignore_ascii_case("a") && found.trim().eq_ignore_ascii_case(name)).then_some(value)
}

/// Whether a stranger's candidate may be tried. One in a private network, on this machine or at a system port is
/// refused: probing it would make this browser a port scanner behind its owner's firewall. Browsers hide theirs behind
/// `.local` names anyway; those only resolve in the local network.
pub fn strangers_candidate_allowed(candidate: &str) -> bool {
    if candidate.is_empty() {
        return true;
    }
    if candidate.len() > CANDIDATE_LEN_MAX {
        return false;
    }
    let mut fields = candidate.split_ascii_whitespace();
    let (Some(address), Some(port)) = (fields.nth(4), fields.next()) else {
        return false;
    };
    let Ok(port) = port.parse::<u16>() else {
        return false;
    };
    // 9 stands for "I only connect outwards" in TCP candidates.
    if port < 1024 && port != 9 {
        return false;
    }
    match address.parse::<IpAddr>() {
        Ok(ip) => reach(ip) == Reach::Internet,
        Err(_) => address.to_ascii_lowercase().ends_with(".local"),
    }
}

/// A stranger's description without the candidates that may not be tried.
pub fn without_forbidden_candidates(sdp: &str) -> String {
    let mut kept = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        if attribute(line, "candidate").is_none_or(strangers_candidate_allowed) {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: &str =
        "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89";

    #[test]
    fn a_description_names_exactly_one_certificate() {
        let one = format!("v=0\r\na=fingerprint:sha-256 {PRINT}\r\nm=application 9 x\r\n");
        let print = fingerprint(&one).expect("one");
        assert_eq!((print[0], print[1], print[31]), (0xab, 0xcd, 0x89));
        assert_eq!(
            fingerprint(&format!("{one}a=fingerprint:SHA-256 {PRINT}\r\n")),
            Some(print)
        );
        let other = PRINT.replace("AB", "AC");
        for bad in [
            format!("{one}a=fingerprint:sha-256 {other}\r\n"),
            format!("{one}A=Fingerprint:sha-256 {other}\r\n"),
            format!("{one} a = fingerprint :sha-256 {other}\r\n"),
            format!("{one}a=fingerprint:sha-1 AB:CD\r\n"),
            one.replace("AB:CD:EF:01", "AB:CD:EF"),
            one.replace("89\r", "89:00\r"),
            one.replace("AB:", "+B:"),
            "v=0\r\n".to_owned(),
        ] {
            assert_eq!(fingerprint(&bad), None, "{bad}");
        }
    }

    #[test]
    fn strangers_do_not_aim_this_browser_at_its_own_network() {
        let line =
            |address: &str, port: u16| format!("candidate:1 1 udp 2113937151 {address} {port} typ host");
        for good in [
            "203.0.113.7",
            "2606:4700::1",
            "0b5a2c3f-93b5-4c86-8c2f-2f8e2a0b8f11.local",
        ] {
            assert!(strangers_candidate_allowed(&line(good, 50_000)), "{good}");
            assert!(!strangers_candidate_allowed(&line(good, 22)), "{good}");
        }
        for bad in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.3.3",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "router.example",
            "224.0.0.1",
        ] {
            assert!(!strangers_candidate_allowed(&line(bad, 50_000)), "{bad}");
        }
        assert!(strangers_candidate_allowed(""), "the end of candidates");
        assert!(!strangers_candidate_allowed("candidate:1 1 udp"));
        let sdp = format!(
            "v=0\r\na={}\r\na={}\r\na=mid:0\r\n",
            line("10.0.0.1", 5_000),
            line("203.0.113.7", 5_000)
        );
        let kept = without_forbidden_candidates(&sdp);
        assert!(!kept.contains("10.0.0.1") && kept.contains("203.0.113.7") && kept.contains("a=mid:0"));
    }
}
