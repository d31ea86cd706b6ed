//! Which lines of the log are left out because they repeat.
//!
//! A line is admitted a few times as it comes; after that once in a while, with pauses that double, and it says how many
//! like it were left out. Beside that each text has a rate of its own, whatever peer it is about: many peers cause as many lines
//! as one.

use std::collections::HashMap;
use std::time::Duration;

/// Lines of one key that are admitted as they come.
const AT_ONCE: u32 = 10;
/// The first pause between two lines of one key after that.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// The longest one. A key that was silent for as long begins from the start.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Lines of one text that are admitted at once, about any peers.
const TEXT_AT_ONCE: f64 = 200.0;
/// And then in a second.
const TEXT_PER_S: f64 = 1.0;
/// Keys and texts that are remembered. Policy when full: all are forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// What makes two lines the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The text.
    pub(super) says: String,
    /// Who or what it is about.
    pub(super) about: String,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    at_once: u32,
    pause: Duration,
    next: Duration,
    seen: Duration,
    left_out: u64,
}

#[derive(Clone, Copy, Debug)]
struct Text {
    allowed: f64,
    at: Duration,
    left_out: u64,
}

/// What was admitted and left out so far.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    lines: HashMap<Key, Line>,
    texts: HashMap<String, Text>,
}

impl Repeats {
    /// Whether a line is admitted at this time since the start, and how many like it were left out before it.
    pub(super) fn admit(&mut self, now: Duration, key: Key) -> Option<u64> {
        if self.lines.len() >= REMEMBERED_MAX || self.texts.len() >= REMEMBERED_MAX {
            self.lines.clear();
            self.texts.clear();
        }
        let new = Line {
            at_once: AT_ONCE,
            pause: PAUSE_MIN,
            next: Duration::ZERO,
            seen: now,
            left_out: 0,
        };
        let says = key.says.clone();
        let line = self.lines.entry(key).or_insert(new);
        if now.saturating_sub(line.seen) >= PAUSE_MAX {
            *line = Line {
                left_out: line.left_out,
                ..new
            };
        }
        line.seen = now;
        if line.at_once > 0 {
            line.at_once -= 1;
            line.next = now + line.pause;
        } else if now >= line.next {
            line.pause = (line.pause * 2).min(PAUSE_MAX);
            line.next = now + line.pause;
        } else {
            line.left_out += 1;
            return None;
        }
        let text = self.texts.entry(says).or_insert(Text {
            allowed: TEXT_AT_ONCE,
            at: now,
            left_out: 0,
        });
        let passed = now.saturating_sub(text.at).as_secs_f64();
        text.allowed = (text.allowed + passed * TEXT_PER_S).min(TEXT_AT_ONCE);
        text.at = now;
        if text.allowed < 1.0 {
            text.left_out += 1;
            return None;
        }
        text.allowed -= 1.0;
        Some(std::mem::take(&mut line.left_out) + std::mem::take(&mut text.left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AT_ONCE, Key, PAUSE_MAX, Repeats, TEXT_AT_ONCE};

    fn key(about: &str) -> Key {
        Key {
            says: "dial failed".to_owned(),
            about: about.to_owned(),
        }
    }

    #[test]
    fn a_line_that_repeats_for_an_hour_is_written_a_few_times_and_counts_the_others() {
        let mut repeats = Repeats::default();
        let (mut written, mut counted) = (0, 0);
        for s in 0..3_600 {
            if let Some(left_out) = repeats.admit(Duration::from_secs(s), key("a")) {
                written += 1;
                counted += left_out;
            }
        }
        assert!((15..=25).contains(&written), "{written}");
        assert!(
            counted + written > 2_400,
            "what is left out is counted: {counted}"
        );
    }

    #[test]
    fn lines_about_others_and_after_a_silence_are_written() {
        let mut repeats = Repeats::default();
        let at = Duration::from_secs(1);
        for _ in 0..AT_ONCE {
            assert_eq!(repeats.admit(at, key("a")), Some(0));
        }
        assert_eq!(repeats.admit(at, key("a")), None);
        assert_eq!(repeats.admit(at, key("b")), Some(0));
        let later = at + PAUSE_MAX;
        assert_eq!(repeats.admit(later, key("a")), Some(1), "says what was left out");
        assert_eq!(repeats.admit(later, key("a")), Some(0));
    }

    #[test]
    fn many_peers_cause_no_more_lines_than_one_text_has() {
        let mut repeats = Repeats::default();
        let at = Duration::from_secs(1);
        let written = (0..2_000).filter(|n| repeats.admit(at, key(&n.to_string())).is_some());
        assert_eq!(written.count(), TEXT_AT_ONCE as usize);
        let next = repeats.admit(at + Duration::from_secs(1), key("next"));
        assert_eq!(next, Some(1_800));
    }
}
