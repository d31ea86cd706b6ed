//! What waits to go out on a channel. Below the browser's own buffer sits a bounded queue of ours: a neighbour too slow
//! for both is let go, since a peer must slow down itself alone.

use std::collections::VecDeque;

/// Bytes in the browser's send buffer at which we hand over nothing more. Chrome closes a channel whose buffer reaches
/// 16 MiB.
pub const BUFFERED_STOP_BYTES: u32 = 1024 * 1024;
/// Bytes in the browser's send buffer at which we fill it again, early enough that it does not run empty.
pub const BUFFERED_LOW_BYTES: u32 = 128 * 1024;
/// Bytes that may wait in our own queue when the browser's buffer is full. Policy when full: the channel is closed as
/// too slow, since its neighbour would otherwise cost memory without limit.
pub const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The neighbour takes its bytes too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

/// The queue of one channel.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Outbox {
    /// Takes a frame. `Some`: send it right away; the browser holds `buffered` bytes now.
    pub fn offer(&mut self, frame: Vec<u8>, buffered: u32) -> Result<Option<Vec<u8>>, TooSlow> {
        if self.queue.is_empty() && buffered < BUFFERED_STOP_BYTES {
            return Ok(Some(frame));
        }
        if self.bytes + frame.len() > QUEUE_BYTES_MAX {
            return Err(TooSlow);
        }
        self.bytes += frame.len();
        self.queue.push_back(frame);
        Ok(None)
    }

    /// The next waiting frame, as long as the browser's buffer has room for it.
    pub fn next(&mut self, buffered: u32) -> Option<Vec<u8>> {
        if buffered >= BUFFERED_STOP_BYTES {
            return None;
        }
        let frame = self.queue.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_slowness_is_bounded() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.offer(vec![1], 0), Ok(Some(vec![1])));
        assert_eq!(outbox.offer(vec![2], BUFFERED_STOP_BYTES), Ok(None));
        assert_eq!(outbox.offer(vec![3], 0), Ok(None), "not past one that waits");
        assert_eq!(outbox.next(BUFFERED_STOP_BYTES), None);
        assert_eq!(outbox.next(0), Some(vec![2]));
        assert_eq!(outbox.next(0), Some(vec![3]));
        assert!(outbox.is_empty());
        let frame = || vec![0; 16 * 1024];
        let taken = (0..1_000)
            .take_while(|_| outbox.offer(frame(), BUFFERED_STOP_BYTES).is_ok())
            .count();
        assert_eq!(taken, QUEUE_BYTES_MAX / frame().len());
    }
}
