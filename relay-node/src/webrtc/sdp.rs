//! The little SDP a data-channel link needs: read one kind of offer, write one kind of answer.
//!
//! RFC 8841 (the `UDP/DTLS/SCTP` media section), RFC 8839 (ICE in SDP), RFC 8122 (fingerprints), RFC 8842 (setup
//! roles). Only an offer with exactly one `webrtc-datachannel` section is accepted: a relay carries no media.
//!
//! Invariants: the offer's candidates are never read, so no offer can make the relay send a packet anywhere
//! (an ICE-lite agent only answers). Everything echoed into the answer was checked against a character set first.

use std::fmt::Write;
use std::net::SocketAddr;

/// Longest offer read, in bytes. Chromium's is about 1 kB, with many candidates 3 kB.
pub const OFFER_BYTES_MAX: usize = 16 * 1024;

/// The SCTP port both ends use; every browser offers it and the SCTP layer knows one port for both ends.
const SCTP_PORT: u16 = 5000;

/// A SHA-256 certificate fingerprint.
pub type Fingerprint = [u8; 32];

/// Why an offer was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`OFFER_BYTES_MAX`].
    #[error("the offer is longer than {OFFER_BYTES_MAX} bytes")]
    TooLong,
    /// A line that is not `<letter>=<value>`, or no session description at all.
    #[error("the offer is not a session description")]
    Malformed,
    /// Not exactly one data channel section, or media beside it.
    #[error("the offer must hold one data channel section and no media")]
    NotOneDataChannel,
    /// The named attribute is missing.
    #[error("the offer lacks a={0}")]
    Missing(&'static str),
    /// The named attribute cannot be understood or is not supported.
    #[error("the offer's a={0} is not acceptable")]
    Unacceptable(&'static str),
}

/// What a link needs to know of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What its data channel section is called.
    pub mid: String,
    /// The browser's user name fragment.
    pub ufrag: String,
    /// Of the certificate the browser will show.
    pub fingerprint: Fingerprint,
}

impl Offer {
    /// Reads an offer. `message_bytes_max` is the longest message this end will send.
    ///
    /// # Errors
    /// [`SdpError`].
    pub fn parse(sdp: &str, message_bytes_max: usize) -> Result<Self, SdpError> {
        if sdp.len() > OFFER_BYTES_MAX {
            return Err(SdpError::TooLong);
        }
        let mut session = Attributes::default();
        let mut media: Option<Attributes<'_>> = None;
        let mut lines = sdp.lines();
        if lines.next() != Some("v=0") {
            return Err(SdpError::Malformed);
        }
        for line in lines.filter(|line| !line.is_empty()) {
            let (kind, value) = line.split_once('=').ok_or(SdpError::Malformed)?;
            match kind {
                "m" if media.is_some() || !is_data_channel(value) => return Err(SdpError::NotOneDataChannel),
                "m" => media = Some(Attributes::default()),
                "a" => media.as_mut().unwrap_or(&mut session).read(value)?,
                _ if kind.len() == 1 => {}
                _ => return Err(SdpError::Malformed),
            }
        }
        let media = media.ok_or(SdpError::NotOneDataChannel)?;
        media.over(session).into_offer(message_bytes_max)
    }
}

/// `application <port> UDP/DTLS/SCTP webrtc-datachannel`
fn is_data_channel(media: &str) -> bool {
    let mut words = media.split_ascii_whitespace();
    words.next() == Some("application")
        && words.next().is_some_and(|port| port != "0")
        && words
            .next()
            .is_some_and(|transport| transport.ends_with("/DTLS/SCTP"))
        && words.next() == Some("webrtc-datachannel")
}

/// The attributes of one level. The media level wins over the session's (RFC 8866 section 5.13).
#[derive(Default)]
struct Attributes<'a> {
    mid: Option<&'a str>,
    ufrag: Option<&'a str>,
    password: Option<&'a str>,
    fingerprint: Option<Fingerprint>,
    setup: Option<&'a str>,
    sctp_port: Option<&'a str>,
    message_bytes_max: Option<&'a str>,
    lite: bool,
}

impl<'a> Attributes<'a> {
    fn read(&mut self, attribute: &'a str) -> Result<(), SdpError> {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "mid" => self.mid = Some(value),
            "ice-ufrag" => self.ufrag = Some(value),
            "ice-pwd" => self.password = Some(value),
            "setup" => self.setup = Some(value),
            "sctp-port" => self.sctp_port = Some(value),
            "max-message-size" => self.message_bytes_max = Some(value),
            "ice-lite" => self.lite = true,
            "fingerprint" => {
                let (hash, digits) = value
                    .split_once(' ')
                    .ok_or(SdpError::Unacceptable("fingerprint"))?;
                // Others may stand beside it (RFC 8122 section 5); ours is the one every browser sends.
                if hash.eq_ignore_ascii_case("sha-256") {
                    let read = parse_fingerprint(digits).ok_or(SdpError::Unacceptable("fingerprint"))?;
                    // Two certificates would leave open which one the handshake's signatures are bound to.
                    if self.fingerprint.is_some_and(|earlier| earlier != read) {
                        return Err(SdpError::Unacceptable("fingerprint"));
                    }
                    self.fingerprint = Some(read);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn over(self, session: Self) -> Self {
        Self {
            mid: self.mid,
            ufrag: self.ufrag.or(session.ufrag),
            password: self.password.or(session.password),
            fingerprint: self.fingerprint.or(session.fingerprint),
            setup: self.setup.or(session.setup),
            sctp_port: self.sctp_port,
            message_bytes_max: self.message_bytes_max,
            lite: self.lite || session.lite,
        }
    }

    fn into_offer(self, message_bytes_max: usize) -> Result<Offer, SdpError> {
        let mid = self.mid.ok_or(SdpError::Missing("mid"))?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`{|}~".contains(c);
        if mid.is_empty() || mid.len() > 32 || !mid.chars().all(token) {
            return Err(SdpError::Unacceptable("mid"));
        }
        let ufrag = self.ufrag.ok_or(SdpError::Missing("ice-ufrag"))?;
        if !(4..=256).contains(&ufrag.len()) || !ufrag.chars().all(is_ice_char) {
            return Err(SdpError::Unacceptable("ice-ufrag"));
        }
        // An ICE-lite agent never authenticates to the peer, so the password is only looked at.
        let password = self.password.ok_or(SdpError::Missing("ice-pwd"))?;
        if !(22..=256).contains(&password.len()) || !password.chars().all(is_ice_char) {
            return Err(SdpError::Unacceptable("ice-pwd"));
        }
        // Two lite agents would wait for each other's checks for ever.
        if self.lite {
            return Err(SdpError::Unacceptable("ice-lite"));
        }
        // We are the DTLS client (`setup:active`), so the peer must be willing to be the server.
        match self.setup.ok_or(SdpError::Missing("setup"))? {
            "actpass" | "passive" => {}
            _ => return Err(SdpError::Unacceptable("setup")),
        }
        if self.sctp_port.ok_or(SdpError::Missing("sctp-port"))?.parse() != Ok(SCTP_PORT) {
            return Err(SdpError::Unacceptable("sctp-port"));
        }
        // Absent means 64 KiB, zero means no limit (RFC 8841 section 6).
        let accepted: usize = match self.message_bytes_max {
            None => 65_536,
            Some(text) => text
                .parse()
                .map_err(|_| SdpError::Unacceptable("max-message-size"))?,
        };
        if accepted != 0 && accepted < message_bytes_max {
            return Err(SdpError::Unacceptable("max-message-size"));
        }
        Ok(Offer {
            mid: mid.to_owned(),
            ufrag: ufrag.to_owned(),
            fingerprint: self.fingerprint.ok_or(SdpError::Missing("fingerprint"))?,
        })
    }
}

fn is_ice_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '+' || c == '/'
}

/// Reads `AB:CD:…`, 32 pairs of hexadecimal digits.
fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let mut fingerprint = [0; 32];
    let mut pairs = text.trim_end().split(':');
    for byte in &mut fingerprint {
        let pair = pairs
            .next()
            .filter(|pair| pair.len() == 2 && !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(fingerprint)
}

/// What the answer tells the browser.
#[derive(Debug)]
pub struct Answer<'a> {
    /// What is answered.
    pub offer: &'a Offer,
    /// Of this answer alone.
    pub session_id: u64,
    /// This end's user name fragment.
    pub ufrag: &'a str,
    /// What the browser's checks must be made with.
    pub password: &'a str,
    /// Of this end's certificate.
    pub fingerprint: &'a Fingerprint,
    /// Where this end is reached.
    pub candidates: &'a [SocketAddr],
    /// Longest message this end takes.
    pub message_bytes_max: usize,
}

impl Answer<'_> {
    /// Writes the whole answer; all candidates are in it, none trickle later.
    #[must_use]
    pub fn to_sdp(&self) -> String {
        let mid = &self.offer.mid;
        let fingerprint: Vec<String> = self
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let mut sdp = format!(
            "v=0\r\n\
             o=- {session} 1 IN IP4 0.0.0.0\r\n\
             s=-\r\n\
             t=0 0\r\n\
             a=group:BUNDLE {mid}\r\n\
             a=ice-lite\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
             c=IN IP4 0.0.0.0\r\n\
             a=mid:{mid}\r\n\
             a=ice-ufrag:{ufrag}\r\n\
             a=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\n\
             a=setup:active\r\n\
             a=sctp-port:{SCTP_PORT}\r\n\
             a=max-message-size:{message_bytes_max}\r\n",
            // RFC 8866 section 5.2 allows 64 bits; browsers read a signed number.
            session = self.session_id >> 1,
            ufrag = self.ufrag,
            password = self.password,
            fingerprint = fingerprint.join(":"),
            message_bytes_max = self.message_bytes_max,
        );
        for (index, candidate) in self.candidates.iter().enumerate() {
            // RFC 8445 section 5.1.2.1: host preference 126, then our order, then component 1.
            let priority = (126u32 << 24) | ((65_535 - index as u32) << 8) | 255;
            // Writing to a string cannot fail.
            let _ = write!(
                sdp,
                "a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host\r\n",
                foundation = index + 1,
                ip = candidate.ip(),
                port = candidate.port(),
            );
        }
        sdp.push_str("a=end-of-candidates\r\n");
        sdp
    }
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
