//! Messages survive being cut into frames; nobody can make a peer hold more than a message.

use proptest::prelude::*;
use protocol::limits::{FRAME_LEN_MAX, MESSAGE_LEN_MAX, REASON_LEN_MAX};
use protocol::link::frame::{self, CLOSE, FrameError, HELLO, LAST, MORE, PROOF, Reassembly};

const ROOM: usize = FRAME_LEN_MAX - 1;

fn check(len: usize) {
    let message: Vec<u8> = (0..len).map(|place| (place % 251) as u8).collect();
    let frames: Vec<_> = frame::fragment(&message).collect();
    assert_eq!(frames.len(), len.div_ceil(ROOM).max(1), "{len} bytes");
    let mut reassembly = Reassembly::default();
    for (number, bytes) in frames.iter().enumerate() {
        let (kind, payload) = frame::split(bytes).expect("within the limit");
        let whole = reassembly.push(kind, payload).expect("within the limit");
        if number + 1 == frames.len() {
            assert_eq!(whole.as_ref(), Some(&message));
        } else {
            assert_eq!(whole, None);
            assert_eq!(bytes.len(), FRAME_LEN_MAX, "only the last frame is short");
        }
    }
}

#[test]
fn messages_of_every_length_near_a_frame_border_arrive_whole() {
    for parts in 0..=MESSAGE_LEN_MAX / ROOM {
        for len in (parts * ROOM).saturating_sub(2)..=parts * ROOM + 2 {
            if len <= MESSAGE_LEN_MAX {
                check(len);
            }
        }
    }
    check(MESSAGE_LEN_MAX);
}

proptest! {
    #[test]
    fn messages_of_any_length_arrive_whole(len in 0..=MESSAGE_LEN_MAX) {
        check(len);
    }

    #[test]
    fn parts_of_any_size_add_up(parts in proptest::collection::vec(0..2_000usize, 1..30)) {
        let mut reassembly = Reassembly::default();
        let mut sent = Vec::new();
        for (number, len) in parts.iter().enumerate() {
            let part = vec![number as u8; *len];
            sent.extend_from_slice(&part);
            prop_assert_eq!(reassembly.push(MORE, &part), Ok(None));
        }
        prop_assert_eq!(reassembly.push(LAST, &[]), Ok(Some(sent)));
        prop_assert_eq!(reassembly.push(LAST, b"next"), Ok(Some(b"next".to_vec())));
    }

    #[test]
    fn arbitrary_frames_never_hold_more_than_a_message(
        frames in proptest::collection::vec((0..6u8, 0..40_000usize), 0..40),
    ) {
        let mut reassembly = Reassembly::default();
        let mut held = 0;
        for (kind, len) in frames {
            let part = vec![kind; len];
            match reassembly.push(kind, &part) {
                Ok(None) => {
                    held += len;
                    prop_assert!(held <= MESSAGE_LEN_MAX);
                }
                Ok(Some(message)) => {
                    prop_assert_eq!(message.len(), held + len);
                    held = 0;
                }
                Err(FrameError::MessageTooLong) => {
                    prop_assert!(held + len > MESSAGE_LEN_MAX);
                    held = 0;
                }
                Err(error) => {
                    prop_assert_eq!(error, FrameError::Unknown);
                    prop_assert!(kind != MORE && kind != LAST);
                }
            }
        }
    }

    #[test]
    fn a_reason_is_cut_at_a_character(reason in ".{0,300}") {
        let bytes = frame::close(&reason);
        let (kind, payload) = frame::split(&bytes).unwrap();
        prop_assert_eq!(kind, CLOSE);
        prop_assert!(payload.len() <= REASON_LEN_MAX);
        let said = core::str::from_utf8(payload).unwrap();
        prop_assert!(reason.starts_with(said));
        prop_assert!(reason.len() == said.len() || said.len() + 4 > REASON_LEN_MAX);
    }
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let mut reassembly = Reassembly::default();
    let message = vec![0; MESSAGE_LEN_MAX + 1];
    let results: Vec<_> = frame::fragment(&message)
        .map(|bytes| reassembly.push(bytes[0], &bytes[1..]))
        .collect();
    let (last, first) = results.split_last().unwrap();
    assert!(first.iter().all(|result| *result == Ok(None)));
    assert_eq!(*last, Err(FrameError::MessageTooLong));
}

#[test]
fn frames_that_are_none_are_refused() {
    assert_eq!(frame::split(&[]), Err(FrameError::Empty));
    assert!(frame::split(&vec![LAST; FRAME_LEN_MAX]).is_ok());
    assert_eq!(
        frame::split(&vec![LAST; FRAME_LEN_MAX + 1]),
        Err(FrameError::TooLong)
    );
    for kind in [HELLO, PROOF, CLOSE, 5, 255] {
        assert_eq!(Reassembly::default().push(kind, b"x"), Err(FrameError::Unknown));
    }
}
