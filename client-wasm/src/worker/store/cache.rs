//! Recently used segments, up to a number of bytes; the least recently used goes first.

use std::rc::Rc;

use super::segment::{SegmentBytes, SegmentNumber};
use crate::vec_map::VecMap;

/// A bounded cache of segments.
#[derive(Debug)]
pub struct Cache {
    bytes_max: usize,
    bytes: usize,
    clock: u64,
    /// With the time of their last use.
    segments: VecMap<SegmentNumber, (u64, SegmentBytes)>,
}

impl Cache {
    /// Holds at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            clock: 0,
            segments: VecMap::default(),
        }
    }

    /// A segment, which thereby becomes the most recently used.
    pub fn get(&mut self, number: SegmentNumber) -> Option<SegmentBytes> {
        let (used, bytes) = self.segments.get_mut(number)?;
        self.clock += 1;
        *used = self.clock;
        Some(Rc::clone(bytes))
    }

    /// Keeps a segment as the most recently used one, unless it alone is too big.
    pub fn insert(&mut self, number: SegmentNumber, bytes: SegmentBytes) {
        self.remove(number);
        if bytes.len() > self.bytes_max {
            return;
        }
        self.clock += 1;
        self.bytes += bytes.len();
        self.segments.insert(number, (self.clock, bytes));
        while self.bytes > self.bytes_max {
            let oldest = self.segments.iter().min_by_key(|(_, (used, _))| *used);
            let Some((oldest, _)) = oldest else { break };
            self.remove(oldest);
        }
    }

    /// Forgets a segment.
    pub fn remove(&mut self, number: SegmentNumber) {
        if let Some((_, bytes)) = self.segments.remove(number) {
            self.bytes -= bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(100);
        for number in 0..3 {
            cache.insert(number, Rc::new(vec![0; 30]));
        }
        assert!(cache.get(0).is_some());
        cache.insert(3, Rc::new(vec![0; 30]));
        assert!(cache.get(1).is_none(), "it was used longest ago");
        assert!(cache.get(0).is_some() && cache.get(2).is_some() && cache.get(3).is_some());
        cache.insert(4, Rc::new(vec![0; 101]));
        assert!(
            cache.get(4).is_none() && cache.get(0).is_some(),
            "too big to be worth the rest"
        );
    }
}
