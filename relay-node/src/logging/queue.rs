//! Lines on their way to the reader of the log.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that wait to be written. Policy when full: further ones are dropped and counted.
const LINES_MAX: usize = 4_096;

/// A bounded queue of lines.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// A line is being written.
    busy: bool,
    closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line and waits for nothing. `false`: there is no place.
    pub(super) fn push(&self, line: &[u8]) -> bool {
        let mut state = self.state();
        let has_place = state.lines.len() < LINES_MAX;
        if has_place {
            state.lines.push_back(line.to_owned());
            self.changed.notify_all();
        }
        has_place
    }

    /// Waits until everything is written, or for this time.
    pub(super) fn flush(&self, within: Duration) {
        let waits = |state: &mut State| state.busy || !state.lines.is_empty();
        let _ = self.changed.wait_timeout_while(self.state(), within, waits);
    }

    /// Writes lines until the queue is closed. What cannot be written is counted in `lost`; once lines can be written again,
    /// `notice` says how many were lost.
    pub(super) fn run(&self, out: &mut impl Write, lost: &AtomicU64, notice: impl Fn(u64) -> String) {
        let mut said = 0;
        loop {
            let idle = |state: &mut State| state.lines.is_empty() && !state.closed;
            let waited = self.changed.wait_while(self.state(), idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            let Some(line) = state.lines.pop_front() else {
                return;
            };
            state.busy = true;
            drop(state);
            let before = lost.load(Ordering::Relaxed);
            let written = match before > said {
                true => out.write_all(notice(before - said).as_bytes()),
                false => Ok(()),
            };
            let written = written
                .and_then(|()| out.write_all(&line))
                .and_then(|()| out.flush());
            match written {
                Ok(()) => said = before,
                Err(_) => drop(lost.fetch_add(1, Ordering::Relaxed)),
            }
            self.state().busy = false;
            self.changed.notify_all();
        }
    }

    /// Has the thread end once everything is written.
    #[cfg(test)]
    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{LINES_MAX, Queue};

    /// Fails for as many writes as this says, then works.
    struct Failing {
        failures: usize,
        written: Vec<u8>,
    }

    impl io::Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_one_says_so() {
        let queue = Queue::default();
        for line in ["a\n", "b\n", "c\n", "d\n"] {
            assert!(queue.push(line.as_bytes()));
        }
        queue.close();
        let lost = AtomicU64::new(0);
        let mut out = Failing {
            failures: 2,
            written: Vec::new(),
        };
        queue.run(&mut out, &lost, |lost| format!("lost {lost}\n"));
        assert_eq!(String::from_utf8(out.written).unwrap(), "lost 2\nc\nd\n");
        assert_eq!(lost.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_full_queue_takes_no_further_line_and_waits_for_nothing() {
        let queue = Queue::default();
        let taken = (0..LINES_MAX + 10).filter(|_| queue.push(b"line\n")).count();
        assert_eq!(taken, LINES_MAX);
    }
}
