//! What a peer may say, checked before the layers below hear it: DTLS records of an established link (RFC 6347
//! section 4.1), and SCTP packets (RFC 9260 section 3.2).
//!
//! Anybody can write a plain record in the peer's name, and the DTLS layer answers a broken handshake record with a
//! fatal alert of its own, which the peer must believe. A DTLS client whose handshake is complete has no use
//! for another plain record: the server finished after it.
//!
//! The SCTP layer implements all of SCTP; a link uses one ordered, reliable stream. Everything else a peer could
//! make it keep memory for (further streams, unordered messages, stream resets without end, partial
//! reliability) ends the link here.

use super::session::Ended;

const RECORD_HEADER_BYTES: usize = 13;
const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;

/// The only epoch with keys: renegotiation does not exist here.
const SECURED_EPOCH: [u8; 2] = [0, 1];

const COMMON_HEADER_BYTES: usize = 12;

const DATA: u8 = 0;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// U flag of a DATA chunk: unordered.
const UNORDERED: u8 = 0x04;

/// Whether every record of `datagram` is encrypted and of a kind an established link still takes.
pub(super) fn is_secured(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while !rest.is_empty() {
        let Some((header, body)) = rest.split_at_checked(RECORD_HEADER_BYTES) else {
            return false;
        };
        if !matches!(header[0], ALERT | APPLICATION_DATA) || header[3..5] != SECURED_EPOCH {
            return false;
        }
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let Some(next) = body.get(length..) else {
            return false;
        };
        rest = next;
    }
    true
}

/// Bytes of user data in `packet`, if the packet is one a link's peer may send. A packet that is cut short is left
/// to the SCTP layer to refuse.
pub(super) fn user_bytes(packet: &[u8]) -> Result<usize, Ended> {
    let mut bytes = 0;
    let mut rest = packet.get(COMMON_HEADER_BYTES..).unwrap_or_default();
    while let [kind, flags, high, low, body @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match *kind {
            DATA => {
                // TSN, then the stream.
                if body.get(4..6).is_some_and(|stream| stream != [0, 0]) {
                    return Err(Ended::Violation("a second stream"));
                }
                if flags & UNORDERED != 0 {
                    return Err(Ended::Violation("an unordered message"));
                }
                bytes += length.saturating_sub(16);
            }
            // A reset of the only stream is how a data channel is closed (RFC 8831 section 6.7).
            RE_CONFIG => return Err(Ended::ByPeer),
            FORWARD_TSN => return Err(Ended::Violation("an abandoned message")),
            _ => {}
        }
        if length < 4 {
            break;
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[u8], expected: Result<usize, Ended>) {
        let mut packet = vec![0; COMMON_HEADER_BYTES];
        packet.extend_from_slice(chunks);
        assert_eq!(user_bytes(&packet), expected, "{chunks:?}");
    }

    fn data(flags: u8, stream: u16, bytes: u16) -> Vec<u8> {
        let mut chunk = vec![DATA, flags];
        chunk.extend_from_slice(&(16 + bytes).to_be_bytes());
        chunk.extend_from_slice(&[0, 0, 0, 1]);
        chunk.extend_from_slice(&stream.to_be_bytes());
        chunk.resize(usize::from(16 + bytes).next_multiple_of(4), 0);
        chunk
    }

    #[test]
    fn an_established_link_takes_encrypted_records_only() {
        let record = |kind: u8, epoch: u8, length: u8| {
            let mut record = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 0, 0, length];
            record.resize(RECORD_HEADER_BYTES + usize::from(length), 7);
            record
        };
        for kind in [ALERT, APPLICATION_DATA] {
            assert!(is_secured(&record(kind, 1, 9)));
            assert!(!is_secured(&record(kind, 0, 9)));
            assert!(!is_secured(&record(kind, 2, 9)));
        }
        let (handshake, change_cipher_spec) = (22, 20);
        assert!(!is_secured(&record(handshake, 1, 9)));
        assert!(!is_secured(&record(change_cipher_spec, 1, 1)));
        let two = [record(APPLICATION_DATA, 1, 0), record(ALERT, 1, 3)].concat();
        assert!(is_secured(&two));
        let hidden = [record(APPLICATION_DATA, 1, 4), record(handshake, 0, 3)].concat();
        assert!(!is_secured(&hidden));
        for length in (1..two.len()).filter(|length| *length != RECORD_HEADER_BYTES) {
            assert!(!is_secured(&two[..length]), "cut at {length}");
        }
    }

    #[test]
    fn one_ordered_stream_passes_and_its_bytes_are_counted() {
        check(&[], Ok(0));
        check(&[3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Ok(0));
        let mut two = data(3, 0, 5);
        two.extend(data(3, 0, 8));
        check(&two, Ok(13));
    }

    #[test]
    fn everything_else_ends_the_link() {
        check(&data(3, 1, 5), Err(Ended::Violation("a second stream")));
        check(&data(7, 0, 5), Err(Ended::Violation("an unordered message")));
        check(&[RE_CONFIG, 0, 0, 4], Err(Ended::ByPeer));
        check(
            &[FORWARD_TSN, 0, 0, 4],
            Err(Ended::Violation("an abandoned message")),
        );
    }

    #[test]
    fn short_and_false_lengths_end_the_walk() {
        for bytes in 0..COMMON_HEADER_BYTES + 4 {
            assert_eq!(user_bytes(&vec![0xFF; bytes]), Ok(0));
        }
        check(&[1, 0, 0, 0, RE_CONFIG, 0, 0, 4], Ok(0));
        check(&[1, 0, 0xFF, 0xFF, RE_CONFIG, 0, 0, 4], Ok(0));
    }
}
