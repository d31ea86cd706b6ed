//! What a peer may say in SCTP, checked before the SCTP layer hears it (RFC 9260 section 3.2).
//!
//! The layer below implements all of SCTP; a link uses one ordered, reliable stream. Everything else a peer could
//! make it keep memory for (further streams, unordered messages, stream resets without end, partial
//! reliability) ends the link here.

use super::session::Ended;

const COMMON_HEADER_BYTES: usize = 12;

const DATA: u8 = 0;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// U flag of a DATA chunk: unordered.
const UNORDERED: u8 = 0x04;

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
