//! The queue of what is going to happen.
//!
//! Time goes in steps of a tenth of a millisecond. Within a step, what was put in first comes out first, so that a run
//! depends on its seed alone.

use core::time::Duration;
use std::collections::BTreeMap;

/// Steps in a second.
const STEPS_PER_S: u64 = 10_000;
/// Steps the near queue reaches ahead: 1.6 s, which holds nearly all messages.
const NEAR: u64 = 1 << 14;

/// Events of type `E` in the order of their time.
#[derive(Debug)]
pub struct Agenda<E> {
    near: Vec<Vec<E>>,
    far: BTreeMap<u64, Vec<E>>,
    step: u64,
    /// The events of the current step not yet handed out, last first.
    due: Vec<E>,
    len: usize,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self {
            near: (0..NEAR).map(|_| Vec::new()).collect(),
            far: BTreeMap::new(),
            step: 0,
            due: Vec::new(),
            len: 0,
        }
    }
}

impl<E> Agenda<E> {
    /// Now.
    #[must_use]
    pub const fn now(&self) -> Duration {
        Duration::from_nanos(self.step * (1_000_000_000 / STEPS_PER_S))
    }

    /// Lets `event` happen at `at`, or in the next step when that is past.
    pub fn add(&mut self, at: Duration, event: E) {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let step = nanos.div_ceil(1_000_000_000 / STEPS_PER_S).max(self.step + 1);
        if step < self.step + NEAR {
            self.near[(step % NEAR) as usize].push(event);
        } else {
            self.far.entry(step).or_default().push(event);
        }
        self.len += 1;
    }

    /// The next event that is not later than `until`; without one the time is `until`.
    pub fn next(&mut self, until: Duration) -> Option<E> {
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX) / (1_000_000_000 / STEPS_PER_S);
        loop {
            if let Some(event) = self.due.pop() {
                self.len -= 1;
                return Some(event);
            }
            if self.step >= until || self.len == 0 {
                self.step = self.step.max(until);
                return None;
            }
            self.step += 1;
            // What was put in while it was far comes first: it was put in earlier.
            let near = &mut self.near[(self.step % NEAR) as usize];
            match self.far.remove(&self.step) {
                Some(mut far) => {
                    far.append(near);
                    self.due = far;
                }
                None => core::mem::swap(&mut self.due, near),
            }
            self.due.reverse();
        }
    }

    /// Events to come.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is going to happen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_come_in_order_and_equal_times_as_they_were_put_in() {
        let mut agenda = Agenda::default();
        let ms = Duration::from_millis;
        for (at, name) in [(5_000, 'c'), (10, 'a'), (10, 'b'), (5_000, 'd'), (7_000, 'e')] {
            agenda.add(ms(at), name);
        }
        let mut order = String::new();
        while let Some(name) = agenda.next(ms(6_000)) {
            order.push(name);
        }
        assert_eq!((order.as_str(), agenda.now()), ("abcd", ms(6_000)));
        assert_eq!(agenda.next(ms(8_000)), Some('e'));
    }

    #[test]
    fn what_is_past_happens_next() {
        let mut agenda = Agenda::default();
        agenda.add(Duration::from_secs(1), 1);
        assert_eq!(agenda.next(Duration::from_secs(2)), Some(1));
        agenda.add(Duration::ZERO, 2);
        assert_eq!(agenda.next(Duration::from_secs(2)), Some(2));
    }
}
