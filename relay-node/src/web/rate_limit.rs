//! Token buckets that refill evenly over a minute: one for all clients together, or one for each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an empty bucket takes to refill.
const MINUTE: Duration = Duration::from_mins(1);
/// Addresses remembered. Policy when full: addresses with a full bucket are forgotten; if there is none, all new
/// addresses share one bucket.
const ADDRESSES_MAX: usize = 1_024;

/// A bucket of tokens.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    since: Instant,
}

impl Bucket {
    fn full(per_minute: f64, now: Instant) -> Self {
        Self {
            left: per_minute,
            since: now,
        }
    }

    fn refill(&mut self, per_minute: f64, now: Instant) {
        let minutes = now.saturating_duration_since(self.since).as_secs_f64() / MINUTE.as_secs_f64();
        self.left = (self.left + minutes * per_minute).min(per_minute);
        self.since = now;
    }

    fn take(&mut self, per_minute: f64, now: Instant) -> bool {
        self.refill(per_minute, now);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

/// A limit for all clients together.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_minute: f64,
    bucket: Mutex<Bucket>,
}

impl RateLimiter {
    /// A full bucket.
    pub(crate) fn new(per_minute: u32) -> Self {
        let per_minute = f64::from(per_minute);
        Self {
            per_minute,
            bucket: Mutex::new(Bucket::full(per_minute, Instant::now())),
        }
    }

    /// Takes a token; false if there is none.
    pub(crate) fn take(&self) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(self.per_minute, Instant::now())
    }
}

/// A limit for each address (IPv6: each /64).
#[derive(Debug)]
pub(crate) struct AddressRateLimiter {
    per_minute: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl AddressRateLimiter {
    /// Full buckets.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            per_minute: f64::from(per_minute),
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of this address; false if there is none. `None` is this machine.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> bool {
        self.take_at(address, Instant::now())
    }

    fn take_at(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let mut address = match address {
            Some(IpAddr::V6(address)) => {
                let bits = u128::from(address) & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from(bits))
            }
            Some(address) => address,
            None => Ipv6Addr::LOCALHOST.into(),
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| {
                bucket.refill(self.per_minute, now);
                bucket.left < self.per_minute
            });
            if buckets.len() >= ADDRESSES_MAX {
                address = Ipv6Addr::UNSPECIFIED.into();
            }
        }
        let bucket = buckets.entry(address);
        bucket
            .or_insert_with(|| Bucket::full(self.per_minute, now))
            .take(self.per_minute, now)
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES_MAX, AddressRateLimiter, Duration, Instant, IpAddr};
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_spent_comes_back_with_time_and_never_more() {
        let limiter = AddressRateLimiter::new(6);
        let start = Instant::now();
        let taken = |address: Option<IpAddr>, at| (0..20).filter(|_| limiter.take_at(address, at)).count();
        assert_eq!(taken(None, start), 6);
        assert_eq!(taken(None, start + Duration::from_secs(11)), 1);
        assert_eq!(taken(None, start + Duration::from_hours(1)), 6);
        // Neighbours have their own, one household has one.
        assert_eq!(taken(Some([10, 0, 0, 1].into()), start), 6);
        assert_eq!(taken(Some("2001:db8::1".parse().unwrap()), start), 6);
        assert_eq!(taken(Some("2001:db8::2".parse().unwrap()), start), 0);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_room() {
        let limiter = AddressRateLimiter::new(2);
        let start = Instant::now();
        let flood = (0..10 * ADDRESSES_MAX as u32).map(|n| IpAddr::from(Ipv4Addr::from(n)));
        let let_in = flood
            .filter(|address| limiter.take_at(Some(*address), start))
            .count();
        assert_eq!(let_in, ADDRESSES_MAX + 2);
        assert_eq!(limiter.buckets.lock().unwrap().len(), ADDRESSES_MAX + 1);
        let later = start + Duration::from_mins(2);
        assert!(limiter.take_at(Some(Ipv4Addr::from(u32::MAX).into()), later));
        assert_eq!(limiter.buckets.lock().unwrap().len(), 1);
    }
}
