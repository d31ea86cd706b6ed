//! This device's clock beside those of its relays: each handshake tells what the other side's clock shows. Whether a
//! message is fresh is judged by their time, so that a device whose clock is wrong can still be introduced, and a person
//! is shown that it is.

use core::time::Duration;

use ordered::sorted_by_key;
use protocol::Timestamp;

use crate::ctx::Ctx;
use crate::io::Log;
use crate::net::Net;
use crate::relays::directory::Directory;

/// A smaller difference is that of clocks which nobody set exactly, or of a slow handshake.
const TOLERATED: Duration = Duration::from_mins(2);
const MINUTE_MS: i64 = 60_000;

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// By how much this clock is ahead of the relays', in milliseconds. 0 if no relay is linked.
    ahead_ms: i64,
    /// Whole minutes of that, if it is not tolerated.
    shown: i32,
}

impl Net {
    /// Once a second: compares with the relays that this peer knows or is in a network with. Half of them have to be wrong to
    /// make this clock look wrong.
    pub(super) fn compare_clocks(&mut self, ctx: &mut Ctx, directory: &Directory) {
        let anchors = self
            .sessions()
            .filter(|session| self.is_anchor(directory, &session.peer));
        let ahead: Vec<i64> = sorted_by_key(anchors.map(|session| session.clock_ahead_ms), |ahead| *ahead);
        let ahead_ms = ahead.get(ahead.len() / 2).copied().unwrap_or(0);
        let tolerated = ahead_ms.unsigned_abs() < TOLERATED.as_millis() as u64;
        let minutes = i32::try_from(ahead_ms / MINUTE_MS).unwrap_or(i32::MAX);
        let shown = if tolerated { 0 } else { minutes };
        if (shown == 0) != (self.clock.shown == 0) {
            ctx.log(Log::Clock { ahead_min: shown });
        }
        self.clock = Clock { ahead_ms, shown };
    }

    /// By how many minutes this clock is ahead of the relays'; 0: not by more than is usual.
    pub(crate) fn clock_ahead_min(&self) -> i32 {
        self.clock.shown
    }

    /// The time by the relays' clocks, when this one shows `wall`.
    pub(super) fn common_time(&self, wall: Timestamp) -> Timestamp {
        Timestamp(wall.0.saturating_add_signed(self.clock.ahead_ms.saturating_neg()))
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
