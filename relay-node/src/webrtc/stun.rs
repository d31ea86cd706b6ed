//! STUN as an ICE-lite agent needs it: read a binding request, answer it, nothing else.
//!
//! RFC 8489 (message format, short-term credentials, FINGERPRINT) and RFC 8445 section 7.3 (the responder's
//! half of a connectivity check). An ICE-lite agent never sends a request, so responses and indications
//! have no reader here and are dropped by [`Request::parse`].
//!
//! Invariant: a [`Request`] exists only if its FINGERPRINT was right, its USERNAME named both ends and its
//! MESSAGE-INTEGRITY was made with our password. [`local_ufrag`] alone looks at an unverified packet, and its
//! result may only pick the link that will verify it.

use std::net::{IpAddr, SocketAddr};

use rtc_crypto::{HmacAlgorithm, RTCCrypto};

/// Length of the user name fragments this endpoint hands out: 9 random bytes in base64. RFC 8445 wants 24 bits.
pub const UFRAG_BYTES: usize = 12;

/// A user name fragment made by this endpoint; the key of the routing table.
pub type Ufrag = [u8; UFRAG_BYTES];

const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const INTEGRITY_BYTES: usize = 20;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

/// Whether a datagram's first byte puts it in STUN's range (RFC 7983 section 7).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first <= 3)
}

/// The local half of USERNAME, unverified: which link should look at this packet.
#[must_use]
pub fn local_ufrag(datagram: &[u8]) -> Option<Ufrag> {
    let message = Message::split(datagram)?;
    let username = message
        .attributes()
        .find(|attribute| attribute.kind == USERNAME)?;
    let (local, _) = halves(username.value)?;
    local.try_into().ok()
}

/// What both ends of one link agreed on in the offer and the answer.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Ours, from the answer.
    pub local_ufrag: Ufrag,
    /// Ours: what every check must be made with.
    pub local_password: String,
    /// The browser's, from its offer.
    pub remote_ufrag: String,
}

/// A verified connectivity check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    transaction: [u8; 12],
    /// The controlling agent nominates the address this came from.
    pub use_candidate: bool,
}

impl Request {
    /// Reads and verifies a binding request. `None` is junk, a forgery or a message for someone else; none of
    /// them deserves an answer, which would only tell a stranger that something listens here.
    #[must_use]
    pub fn parse(datagram: &[u8], credentials: &Credentials, crypto: &dyn RTCCrypto) -> Option<Self> {
        let message = Message::split(datagram)?;
        if message.kind != BINDING_REQUEST {
            return None;
        }
        let mut named = false;
        let mut use_candidate = false;
        let mut authentic = false;
        let mut intact = false;
        for attribute in message.attributes() {
            match attribute.kind {
                FINGERPRINT => {
                    let claimed = u32::from_be_bytes(attribute.value.try_into().ok()?);
                    let end = attribute.offset + 4 + attribute.value.len();
                    // RFC 8489 section 14.7: it is the last attribute, so the header's length already covers it.
                    intact = end == datagram.len()
                        && claimed == crc32fast::hash(&datagram[..attribute.offset]) ^ FINGERPRINT_XOR;
                }
                // RFC 8489 section 14.5: whatever follows MESSAGE-INTEGRITY, FINGERPRINT aside, is ignored.
                _ if authentic => {}
                USERNAME => {
                    let (local, remote) = halves(attribute.value)?;
                    named = local == credentials.local_ufrag && remote == credentials.remote_ufrag.as_bytes();
                }
                MESSAGE_INTEGRITY => {
                    authentic = integrity_holds(
                        datagram,
                        attribute.offset,
                        attribute.value,
                        credentials.local_password.as_bytes(),
                        crypto,
                    );
                    if !authentic {
                        return None;
                    }
                }
                USE_CANDIDATE => use_candidate = true,
                // Against an ICE-lite agent the other side always controls (RFC 8445 section 6.1.1).
                ICE_CONTROLLED => return None,
                _ => {}
            }
        }
        (named && authentic && intact).then_some(Self {
            transaction: message.transaction,
            use_candidate,
        })
    }

    /// The success response, telling the peer the address we saw it at.
    /// `None` only if the crypto provider knows no HMAC-SHA1.
    #[must_use]
    pub fn answer(
        &self,
        peer: SocketAddr,
        credentials: &Credentials,
        crypto: &dyn RTCCrypto,
    ) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(HEADER_BYTES + 24 + 24 + 8);
        out.extend_from_slice(&BINDING_SUCCESS.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(&self.transaction);

        let mut address = vec![0, 0];
        let port = peer.port() ^ (MAGIC_COOKIE >> 16) as u16;
        address.extend_from_slice(&port.to_be_bytes());
        match peer.ip().to_canonical() {
            IpAddr::V4(ip) => {
                address[1] = 1;
                address.extend_from_slice(&(ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes());
            }
            IpAddr::V6(ip) => {
                address[1] = 2;
                let mut mask = [0; 16];
                mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
                mask[4..].copy_from_slice(&self.transaction);
                address.extend(ip.octets().iter().zip(mask).map(|(octet, mask)| octet ^ mask));
            }
        }
        push_attribute(&mut out, XOR_MAPPED_ADDRESS, &address);

        set_length(&mut out, 4 + INTEGRITY_BYTES);
        let mac = hmac_sha1(credentials.local_password.as_bytes(), &[&out], crypto)?;
        push_attribute(&mut out, MESSAGE_INTEGRITY, &mac);

        set_length(&mut out, 8);
        let fingerprint = crc32fast::hash(&out) ^ FINGERPRINT_XOR;
        push_attribute(&mut out, FINGERPRINT, &fingerprint.to_be_bytes());
        Some(out)
    }
}

struct Message<'a> {
    kind: u16,
    transaction: [u8; 12],
    datagram: &'a [u8],
}

struct Attribute<'a> {
    kind: u16,
    /// Where the attribute's header starts in the datagram.
    offset: usize,
    value: &'a [u8],
}

impl<'a> Message<'a> {
    fn split(datagram: &'a [u8]) -> Option<Self> {
        let header = datagram.get(..HEADER_BYTES)?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let whole = kind & 0xC000 == 0
            && cookie == MAGIC_COOKIE
            && length.is_multiple_of(4)
            && datagram.len() == HEADER_BYTES + length;
        let transaction = header[8..].try_into().ok()?;
        whole.then_some(Self {
            kind,
            transaction,
            datagram,
        })
    }

    /// The attributes up to the first one that does not fit.
    fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let datagram = self.datagram;
        let mut offset = HEADER_BYTES;
        std::iter::from_fn(move || {
            let header = datagram.get(offset..offset + 4)?;
            let kind = u16::from_be_bytes([header[0], header[1]]);
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let value = datagram.get(offset + 4..offset + 4 + length)?;
            let attribute = Attribute { kind, offset, value };
            offset += 4 + length.next_multiple_of(4);
            Some(attribute)
        })
    }
}

fn halves(username: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = username.iter().position(|byte| *byte == b':')?;
    Some((&username[..colon], &username[colon + 1..]))
}

/// RFC 8489 section 14.5: the MAC covers the message up to MESSAGE-INTEGRITY, under a header whose length ends with it.
fn integrity_holds(
    datagram: &[u8],
    offset: usize,
    claimed: &[u8],
    key: &[u8],
    crypto: &dyn RTCCrypto,
) -> bool {
    let Ok(length) = u16::try_from(offset - HEADER_BYTES + 4 + INTEGRITY_BYTES) else {
        return false;
    };
    let length = length.to_be_bytes();
    match hmac_sha1(key, &[&datagram[..2], &length, &datagram[4..offset]], crypto) {
        Some(mac) => rtc_crypto::constant_time_eq(&mac, claimed),
        None => false,
    }
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]], crypto: &dyn RTCCrypto) -> Option<[u8; INTEGRITY_BYTES]> {
    let mut output = [0; INTEGRITY_BYTES];
    crypto
        .new_hmac(HmacAlgorithm::Sha1, key)
        .ok()?
        .sign(parts, &mut output)
        .ok()?;
    Some(output)
}

fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    debug_assert!(
        value.len().is_multiple_of(4),
        "every attribute we write is a multiple of four bytes"
    );
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

/// Writes the length the message will have once `following` more bytes stand after it.
fn set_length(out: &mut [u8], following: usize) {
    let length = (out.len() - HEADER_BYTES + following) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
#[path = "stun_tests.rs"]
mod tests;
