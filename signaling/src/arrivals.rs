//! How fast new sockets of one address are let in: some at once, then at an even rate, in the order in which they came
//! (the generic cell rate algorithm, ITU-T I.371 appendix I: one time for each address).
//!
//! Without it, an address that opens sockets again and again takes the places of its own newcomers before these have
//! proven a key: with [`crate::places`] alone, the oldest unproven socket is soon the one that came a moment ago.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Addresses remembered: those that opened a socket within the last seconds. Policy when full: further ones share one
/// rate.
const ADDRESSES_MAX: usize = 65_536;
/// How long a socket may wait for its turn. One that would wait longer is refused, so the sockets of one address that
/// wait are at most those that may come in this time.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(4);
/// Time in which an address may open as many new sockets as it has places. While none of its sockets is settled, one
/// that is let in keeps its place for at least three quarters of this time, which is longer than a handshake takes.
const PLACES_WITHIN: Duration = Duration::from_secs(4);
/// Addresses in the table at least before it is swept for the next time.
const SWEEP_AT_LEAST: usize = 1_024;
/// Minimum interval between two times: a full table costs a millisecond.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The rates of all addresses. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    /// Time between two sockets in the long run.
    interval: Duration,
    /// A socket is let in at once if no more than this time was used before.
    tolerance: Duration,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    /// When what each address has used will have come back.
    used: HashMap<Option<IpAddr>, Instant>,
    /// At this number those are forgotten that have nothing used, but not before this time.
    sweep_at: usize,
    next_sweep: Instant,
}

impl Arrivals {
    /// For addresses with this number of places: a quarter of them at once, and as many in each second.
    pub(crate) fn new(places: usize) -> Self {
        let burst = u32::try_from((places / 4).max(1)).unwrap_or(u32::MAX);
        let interval = PLACES_WITHIN / (4 * burst);
        Self {
            interval,
            tolerance: interval * (burst - 1),
            table: Arc::new(Mutex::new(Table {
                used: HashMap::new(),
                sweep_at: SWEEP_AT_LEAST,
                next_sweep: Instant::now(),
            })),
        }
    }

    /// Waits until it is the turn of a new socket of this address (IPv6: of any of its /64). `false`: too many wait.
    pub(crate) async fn turn(&self, network: IpAddr) -> bool {
        let now = Instant::now();
        match self.next(network, now) {
            Some(wait) if wait.is_zero() => true,
            Some(wait) => {
                tokio::time::sleep_until(now + wait).await;
                true
            }
            None => false,
        }
    }

    fn next(&self, network: IpAddr, now: Instant) -> Option<Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.sweep(now);
        let is_known = table.used.contains_key(&Some(network));
        let network = Some(network).filter(|_| is_known || table.used.len() < ADDRESSES_MAX);
        let used = table.used.get(&network).map_or(now, |used| (*used).max(now));
        let wait = used.duration_since(now).saturating_sub(self.tolerance);
        if wait > WAIT_MAX {
            return None;
        }
        table.used.insert(network, used + self.interval);
        Some(wait)
    }
}

impl Table {
    fn sweep(&mut self, now: Instant) {
        if self.used.len() >= self.sweep_at && now >= self.next_sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
            self.used.retain(|_, used| *used > now);
            self.used.shrink_to(SWEEP_AT_LEAST);
            self.sweep_at = (2 * self.used.len()).clamp(SWEEP_AT_LEAST, ADDRESSES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(0xcb00_7100 + n).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarter_of_the_places_is_let_in_at_once_and_as_many_each_second() {
        let arrivals = Arrivals::new(64);
        let began = Instant::now();
        for n in 0..80 {
            assert!(arrivals.turn(address(1)).await);
            let due = Duration::from_secs(1) * (n + 1_u32).saturating_sub(16) / 16;
            let took = began.elapsed();
            let late = took.checked_sub(due);
            assert!(
                late.is_some_and(|late| late < Duration::from_millis(5)),
                "{n}: {took:?}"
            );
        }
        let other = Instant::now();
        assert!(arrivals.turn(address(2)).await);
        assert_eq!(other.elapsed(), Duration::ZERO, "another address");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_would_wait_too_long_are_refused_and_cost_the_others_nothing() {
        let arrivals = Arrivals::new(64);
        let now = Instant::now();
        let waits: Vec<_> = (0..1_000).map(|_| arrivals.next(address(1), now)).collect();
        let let_in = waits.iter().flatten().count();
        // 16 at once, and 16 in each second of the time that one may wait.
        assert_eq!(let_in, 16 + 64);
        assert_eq!(waits[let_in - 1], Some(WAIT_MAX));
        let later = now + Duration::from_secs(1);
        assert_eq!(
            arrivals.next(address(1), later),
            Some(WAIT_MAX - Duration::from_secs(1) + arrivals.interval)
        );
    }

    #[test]
    fn addresses_beyond_the_bound_share_a_rate_and_those_that_used_nothing_are_forgotten() {
        let arrivals = Arrivals::new(4);
        let now = Instant::now();
        let all = ADDRESSES_MAX as u32;
        assert!((0..all).all(|n| arrivals.next(address(n), now) == Some(Duration::ZERO)));
        assert_eq!(arrivals.next(address(all), now), Some(Duration::ZERO));
        assert_eq!(arrivals.next(address(all + 1), now), Some(Duration::from_secs(1)));
        let later = now + Duration::from_mins(1);
        assert_eq!(arrivals.next(address(all + 2), later), Some(Duration::ZERO));
        let table = arrivals.table.lock().unwrap();
        assert_eq!(table.used.len(), 1);
        assert!(
            table.used.capacity() < 4 * SWEEP_AT_LEAST,
            "and their memory is given back"
        );
    }
}
