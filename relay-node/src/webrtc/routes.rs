//! Which link a datagram belongs to, and how many links there may be.
//!
//! STUN goes by the local half of USERNAME, whatever address it comes from, so a peer may move; everything else
//! goes by its source address (RFC 7983 tells them apart). An address enters the table only after a check from it
//! was verified by the link it names, so nobody can draw another link's traffic without its password.
//!
//! Policies when full, by name:
//! - *newest refused*: with `links_max` links (half-open ones included) an offer gets [`RegisterError::Full`];
//! - *crowd's oldest silent evicted*: with `half_open_max` half-open links, one from which no verified check has come
//!   gives way: of the network (IPv4: /24, IPv6: /48) whose offers have most of those, of its address with most, the
//!   oldest one. So an address that offers without end takes the time to check from its own links alone. If all of them
//!   are talking, and more than a quarter of them from one network, the oldest one of its address with most gives way;
//!   else the offer gets [`RegisterError::Busy`];
//! - *oldest address forgotten*: beyond [`ADDRESSES_MAX`] a link's oldest address loses its route;
//! - *tail drop*: a link whose inbox is full loses the datagram.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use native::driver::wide_network;
use tokio::sync::{Notify, mpsc};

use super::socket::Burst;
use super::stun::{self, Ufrag};

/// Addresses one link may be reached from at a time. A browser checks from each of its interfaces and keeps one.
pub(super) const ADDRESSES_MAX: usize = 4;

/// Bursts one inbox may hold.
const INBOX_BURSTS_MAX: usize = 512;

/// Bytes one inbox may hold: twice the default receive window, so that only a stalled task or a flood fills it.
const INBOX_BYTES_MAX: usize = 1 << 20;

/// The reader's end of one link.
#[derive(Debug)]
pub(super) struct Inlet {
    id: u64,
    inbox: mpsc::Sender<Burst>,
    inbox_bytes: AtomicUsize,
    /// Tells the link's task to end now.
    pub(super) end: Notify,
}

impl Inlet {
    /// To be called for every burst taken out of the inbox.
    pub(super) fn taken(&self, burst: &Burst) {
        self.inbox_bytes.fetch_sub(burst.bytes.len(), Ordering::Relaxed);
    }

    fn deliver(&self, burst: Burst, counters: &Counters) {
        let length = burst.bytes.len();
        let queued = self.inbox_bytes.fetch_add(length, Ordering::Relaxed) + length;
        if queued > INBOX_BYTES_MAX || self.inbox.try_send(burst).is_err() {
            self.inbox_bytes.fetch_sub(length, Ordering::Relaxed);
            counters.inbox_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Why no further link was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegisterError {
    Full,
    Busy,
    Ended,
}

/// What was counted since the endpoint was bound.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) opened: AtomicU64,
    pub(super) unknown_dropped: AtomicU64,
    pub(super) inbox_full: AtomicU64,
    pub(super) half_open_evicted: AtomicU64,
    pub(super) half_open_expired: AtomicU64,
    pub(super) offers_refused: AtomicU64,
    pub(super) send_failed: AtomicU64,
}

#[derive(Debug)]
struct HalfOpen {
    inlet: Arc<Inlet>,
    /// Where its offer came from; `None`: this machine, or unknown.
    offered_from: Option<IpAddr>,
    /// Where its first verified check came from, IPv6 by /64.
    network: Option<IpAddr>,
}

#[derive(Debug, Default)]
struct Tables {
    by_ufrag: HashMap<Ufrag, Arc<Inlet>>,
    by_addr: HashMap<SocketAddr, Arc<Inlet>>,
    /// By age: ids only grow.
    half_open: BTreeMap<u64, HalfOpen>,
    next_id: u64,
    ended: bool,
}

impl Tables {
    /// Of the half-open links that have an address by `address_of`: of the network that has most of them, if those are
    /// more than `most`, and of its address that has most, the oldest one.
    fn oldest_of_crowd(
        &self,
        most: usize,
        address_of: impl Fn(&HalfOpen) -> Option<Option<IpAddr>>,
    ) -> Option<u64> {
        let links: Vec<_> = self
            .half_open
            .iter()
            .filter_map(|(id, link)| Some((*id, address_of(link)?)))
            .collect();
        let mut of_networks: HashMap<Option<IpAddr>, usize> = HashMap::new();
        let mut of_addresses: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for (_, address) in &links {
            *of_networks.entry(address.map(wide_network)).or_default() += 1;
            *of_addresses.entry(*address).or_default() += 1;
        }
        let crowd = |address: &Option<IpAddr>| {
            let of_network = of_networks.get(&address.map(wide_network)).copied();
            (of_network, of_addresses.get(address).copied())
        };
        let largest = links.iter().map(|(_, address)| crowd(address)).max()?;
        let mut of_largest = links.iter().filter(|(_, address)| crowd(address) == largest);
        let (oldest, _) = of_largest.next()?;
        (largest.0 > Some(most)).then_some(*oldest)
    }
}

/// The size of each table, for statistics and for the tests that watch for leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) links: usize,
    pub(super) half_open: usize,
    pub(super) addresses: usize,
}

#[derive(Debug)]
pub(super) struct Routes {
    tables: Mutex<Tables>,
    pub(super) counters: Counters,
    links_max: usize,
    half_open_max: usize,
}

impl Routes {
    pub(super) fn new(links_max: usize, half_open_max: usize) -> Self {
        Self {
            tables: Mutex::default(),
            counters: Counters::default(),
            links_max,
            half_open_max,
        }
    }

    /// A panic while the lock was held leaves tables that are at worst short of one entry.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a half-open link under `ufrag`.
    pub(super) fn register(
        self: &Arc<Self>,
        ufrag: Ufrag,
        offered_from: Option<IpAddr>,
    ) -> Result<(Registration, mpsc::Receiver<Burst>), RegisterError> {
        let mut tables = self.tables();
        if tables.ended {
            return Err(RegisterError::Ended);
        }
        if tables.by_ufrag.len() >= self.links_max {
            return Err(RegisterError::Full);
        }
        if tables.half_open.len() >= self.half_open_max {
            let silent =
                tables.oldest_of_crowd(0, |link| link.network.is_none().then_some(link.offered_from));
            let evicted = silent.or_else(|| {
                let most = (self.half_open_max / 4).max(1);
                tables.oldest_of_crowd(most, |link| link.network.map(Some))
            });
            self.evict(&mut tables, evicted.ok_or(RegisterError::Busy)?);
        }
        let id = tables.next_id;
        tables.next_id += 1;
        let (inbox, bursts) = mpsc::channel(INBOX_BURSTS_MAX);
        let inlet = Arc::new(Inlet {
            id,
            inbox,
            inbox_bytes: AtomicUsize::new(0),
            end: Notify::new(),
        });
        // 72 random bits do not collide, but a link silently taken over would be worse than a refusal.
        if tables.by_ufrag.contains_key(&ufrag) {
            return Err(RegisterError::Busy);
        }
        tables.by_ufrag.insert(ufrag, Arc::clone(&inlet));
        let half_open = HalfOpen {
            inlet: Arc::clone(&inlet),
            offered_from,
            network: None,
        };
        tables.half_open.insert(id, half_open);
        drop(tables);
        Ok((
            Registration {
                routes: Arc::clone(self),
                inlet,
                ufrag,
                addresses: Vec::new(),
            },
            bursts,
        ))
    }

    /// Ends a half-open link. Its task removes the rest of it when it runs; the place is free at once.
    fn evict(&self, tables: &mut Tables, id: u64) {
        if let Some(evicted) = tables.half_open.remove(&id) {
            evicted.inlet.end.notify_one();
            self.counters.half_open_evicted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands each burst to its link, or drops it.
    pub(super) fn deliver(&self, bursts: &mut Vec<Burst>) {
        let tables = self.tables();
        for burst in bursts.drain(..) {
            let first = burst.datagrams().next().unwrap_or_default();
            let inlet = match first.first() {
                // The kernel joins datagrams by length alone, so a burst may mix both kinds: the first decides
                // and the link sorts out the rest. A misrouted one is lost, never misread.
                Some(0..=3) => stun::local_ufrag(first).and_then(|ufrag| tables.by_ufrag.get(&ufrag)),
                Some(20..=63) => tables.by_addr.get(&burst.path.peer),
                _ => None,
            };
            match inlet {
                Some(inlet) => inlet.deliver(burst, &self.counters),
                None => {
                    self.counters.unknown_dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        let tables = self.tables();
        Sizes {
            links: tables.by_ufrag.len(),
            half_open: tables.half_open.len(),
            addresses: tables.by_addr.len(),
        }
    }

    /// Ends every link and admits no more.
    pub(super) fn end(&self) {
        let mut tables = self.tables();
        tables.ended = true;
        for inlet in tables.by_ufrag.values() {
            inlet.end.notify_one();
        }
    }
}

/// One link's place in the tables; dropping it leaves none of it behind.
#[derive(Debug)]
pub(super) struct Registration {
    routes: Arc<Routes>,
    inlet: Arc<Inlet>,
    ufrag: Ufrag,
    /// Oldest first, at most [`ADDRESSES_MAX`].
    addresses: Vec<SocketAddr>,
}

impl Registration {
    pub(super) fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    pub(super) fn inlet(&self) -> &Arc<Inlet> {
        &self.inlet
    }

    /// Routes `address` here, after a verified check came from it. `keep` is the address in use, never forgotten.
    pub(super) fn learn(&mut self, address: SocketAddr, keep: Option<SocketAddr>) {
        let mut tables = self.routes.tables();
        if let Some(link) = tables.half_open.get_mut(&self.inlet.id) {
            let network = signaling::places::network(address.ip().to_canonical());
            link.network.get_or_insert(network);
        }
        // Also when it is known: another link may have taken the route since.
        tables.by_addr.insert(address, Arc::clone(&self.inlet));
        if self.addresses.contains(&address) {
            return;
        }
        if self.addresses.len() >= ADDRESSES_MAX
            && let Some(oldest) = self.addresses.iter().position(|known| Some(*known) != keep)
        {
            let forgotten = self.addresses.remove(oldest);
            remove_if_ours(&mut tables, &forgotten, &self.inlet);
        }
        self.addresses.push(address);
    }

    /// The link is no longer half-open.
    pub(super) fn opened(&self) {
        self.routes.tables().half_open.remove(&self.inlet.id);
        self.routes.counters.opened.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut tables = self.routes.tables();
        tables.by_ufrag.remove(&self.ufrag);
        tables.half_open.remove(&self.inlet.id);
        for address in &self.addresses {
            remove_if_ours(&mut tables, address, &self.inlet);
        }
    }
}

/// Another link may have proven the same address since.
fn remove_if_ours(tables: &mut Tables, address: &SocketAddr, inlet: &Arc<Inlet>) {
    if tables
        .by_addr
        .get(address)
        .is_some_and(|holder| Arc::ptr_eq(holder, inlet))
    {
        tables.by_addr.remove(address);
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
