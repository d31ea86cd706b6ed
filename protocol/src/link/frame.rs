//! Frames: the content of one data-channel or WebSocket message, and the fragmentation of peer messages into them.
//!
//! A frame is one type byte and its payload, at most [`limits::FRAME_LEN_MAX`] bytes together. A peer message longer
//! than that is sent as `MORE` frames and a final `LAST`; the frames of two messages are never interleaved.

use crate::limits;

/// Handshake: [`Hello`](super::handshake::Hello).
pub const HELLO: u8 = 0;
/// Handshake: the signature over both hellos.
pub const PROOF: u8 = 1;
/// A part of a message; more parts follow.
pub const MORE: u8 = 2;
/// A whole message, or the last part of one.
pub const LAST: u8 = 3;
/// The link is being closed; the payload is a reason in UTF-8.
pub const CLOSE: u8 = 4;

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No type byte.
    #[error("empty frame")]
    Empty,
    /// Longer than allowed.
    #[error("frame over {} bytes", limits::FRAME_LEN_MAX)]
    TooLong,
    /// The parts add up to more than allowed.
    #[error("message over {} bytes", limits::MESSAGE_LEN_MAX)]
    MessageTooLong,
    /// An unknown type.
    #[error("unknown type of frame")]
    Unknown,
}

/// Type and payload of a frame.
///
/// # Errors
/// [`FrameError`] if it is empty or too long.
pub fn split(frame: &[u8]) -> Result<(u8, &[u8]), FrameError> {
    if frame.len() > limits::FRAME_LEN_MAX {
        return Err(FrameError::TooLong);
    }
    frame
        .split_first()
        .map(|(kind, payload)| (*kind, payload))
        .ok_or(FrameError::Empty)
}

/// A frame of `kind`.
#[must_use]
pub fn join(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(1 + payload.len());
    frame.push(kind);
    frame.extend_from_slice(payload);
    frame
}

/// The `CLOSE` frame for a reason, cut to [`limits::REASON_LEN_MAX`] bytes at a character.
#[must_use]
pub fn close(reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(limits::REASON_LEN_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    join(CLOSE, &reason.as_bytes()[..end])
}

/// Splits a message into frames.
pub fn fragment(message: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let room = limits::FRAME_LEN_MAX - 1;
    let parts = message.len().div_ceil(room).max(1);
    (0..parts).map(move |part| {
        let start = part * room;
        let end = message.len().min(start + room);
        join(if part + 1 == parts { LAST } else { MORE }, &message[start..end])
    })
}

/// Reassembles messages from frames. Holds at most [`limits::MESSAGE_LEN_MAX`] bytes.
#[derive(Debug, Default)]
pub struct Reassembly {
    parts: Vec<u8>,
}

impl Reassembly {
    /// Adds the payload of a `MORE` or `LAST` frame, and returns the message when it is complete.
    ///
    /// # Errors
    /// [`FrameError`] if the message grows too long or `kind` is neither.
    pub fn push(&mut self, kind: u8, payload: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if kind != MORE && kind != LAST {
            return Err(FrameError::Unknown);
        }
        if self.parts.len() + payload.len() > limits::MESSAGE_LEN_MAX {
            self.parts = Vec::new();
            return Err(FrameError::MessageTooLong);
        }
        self.parts.extend_from_slice(payload);
        Ok((kind == LAST).then(|| core::mem::take(&mut self.parts)))
    }
}
