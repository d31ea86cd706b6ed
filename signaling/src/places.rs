//! Places for connections, counted per client address.
//!
//! A connection is *unproven* until its peer has proven its key. When the places of an address are full, its oldest
//! unproven connection gives way to the newcomer, so sockets that are only held open keep nobody out. A *settled*
//! connection keeps its place until it ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Whose places are counted together: an IPv4 address or an IPv6 /64, which is what one customer of a provider usually
/// gets; `None`: this machine, whose number of places is not limited.
type Network = Option<IpAddr>;

/// The places of a server. Clones share them.
#[derive(Clone, Debug)]
pub struct Places {
    max: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// All unproven connections by the order in which they came or were used last.
    unproven: BTreeMap<u64, (Network, Arc<Notify>)>,
    networks: HashMap<Network, Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    unproven: BTreeSet<u64>,
    settled: usize,
}

/// A connection's place. Dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    network: Network,
    /// The number it has in the tables; [`Place::refresh`] changes it.
    number: AtomicU64,
    evicted: Arc<Notify>,
    state: Arc<Mutex<State>>,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unproven,
    Settled,
}

impl Places {
    /// `max` places for each address.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            state: Arc::default(),
        }
    }

    /// A place for a connection from this address (`None`: this machine). If all are taken, the address's oldest unproven connection
    /// gives way; `None` if all are settled.
    #[must_use]
    pub fn acquire(&self, address: Option<IpAddr>) -> Option<Place> {
        let network = address.map(network);
        let mut state = lock(&self.state);
        let taken = state.networks.entry(network).or_default();
        if network.is_some() && taken.unproven.len() + taken.settled >= self.max {
            let oldest = taken.unproven.first().copied()?;
            state.evict(oldest);
        }
        let evicted = Arc::new(Notify::new());
        let number = state.add_unproven(network, Arc::clone(&evicted));
        Some(Place {
            network,
            number: AtomicU64::new(number),
            evicted,
            state: Arc::clone(&self.state),
            stage: Mutex::new(Stage::Unproven),
        })
    }

    /// Has the oldest unproven connection of all give way. `false`: there is none.
    #[must_use]
    pub fn evict_oldest(&self) -> bool {
        let mut state = lock(&self.state);
        let oldest = state.unproven.keys().next().copied();
        oldest.is_some_and(|oldest| {
            state.evict(oldest);
            true
        })
    }

    /// Connections of one address that hold a place now.
    #[cfg(test)]
    pub(crate) fn taken(&self, address: IpAddr) -> usize {
        let state = lock(&self.state);
        let taken = state.networks.get(&Some(network(address)));
        taken.map_or(0, |taken| taken.unproven.len() + taken.settled)
    }
}

impl Place {
    /// The connection keeps its place from now on, unless it has lost it already.
    pub fn settle(&self) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock(&self.state);
        if *stage == Stage::Unproven && state.remove_unproven(self.number.load(Ordering::Relaxed)) {
            state.networks.entry(self.network).or_default().settled += 1;
            *stage = Stage::Settled;
        }
    }

    /// The connection was used: of the unproven ones it is now the last to give way.
    pub fn refresh(&self) {
        let mut state = lock(&self.state);
        if state.remove_unproven(self.number.load(Ordering::Relaxed)) {
            let number = state.add_unproven(self.network, Arc::clone(&self.evicted));
            self.number.store(number, Ordering::Relaxed);
        }
    }

    /// Resolves when the connection has lost its place and has to end. Only one such future may be awaited at a time.
    pub fn evicted(&self) -> impl Future<Output = ()> + Send + use<> {
        let evicted = Arc::clone(&self.evicted);
        async move { evicted.notified().await }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stage = *self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock(&self.state);
        match stage {
            // One that was evicted is in no table any more.
            Stage::Unproven => drop(state.remove_unproven(self.number.load(Ordering::Relaxed))),
            Stage::Settled => {
                if let Some(taken) = state.networks.get_mut(&self.network) {
                    taken.settled -= 1;
                }
            }
        }
        state.forget_if_empty(self.network);
    }
}

impl State {
    fn add_unproven(&mut self, network: Network, evicted: Arc<Notify>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.unproven.insert(number, (network, evicted));
        self.networks.entry(network).or_default().unproven.insert(number);
        number
    }

    fn remove_unproven(&mut self, number: u64) -> bool {
        let Some((network, _)) = self.unproven.remove(&number) else {
            return false;
        };
        if let Some(taken) = self.networks.get_mut(&network) {
            taken.unproven.remove(&number);
        }
        true
    }

    fn evict(&mut self, number: u64) {
        if let Some((network, evicted)) = self.unproven.get(&number).cloned() {
            self.remove_unproven(number);
            self.forget_if_empty(network);
            evicted.notify_one();
        }
    }

    fn forget_if_empty(&mut self, network: Network) {
        let empty = |taken: &Taken| taken.unproven.is_empty() && taken.settled == 0;
        if self.networks.get(&network).is_some_and(empty) {
            self.networks.remove(&network);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address whose places are counted together with those of `address`.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let bits = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::{Place, Places};

    const ADDRESS: &str = "203.0.113.1";

    fn address() -> IpAddr {
        ADDRESS.parse().unwrap()
    }

    fn is_evicted(place: &Place) -> bool {
        place.evicted().now_or_never().is_some()
    }

    #[test]
    fn silent_guests_give_way_to_newcomers_of_their_address_and_settled_ones_stay() {
        let places = Places::new(3);
        let settled = places.acquire(Some(address())).unwrap();
        settled.settle();
        let silent: Vec<_> = (0..2).map(|_| places.acquire(Some(address())).unwrap()).collect();
        let other = places.acquire(Some("203.0.113.2".parse().unwrap())).unwrap();
        let newcomers: Vec<_> = (0..2)
            .map(|_| {
                let newcomer = places.acquire(Some(address())).unwrap();
                newcomer.settle();
                newcomer
            })
            .collect();
        assert!(silent.iter().all(is_evicted), "the oldest unproven ones gave way");
        assert!(!is_evicted(&other) && !newcomers.iter().any(is_evicted) && !is_evicted(&settled));
        assert!(places.acquire(Some(address())).is_none(), "all are settled");
        silent[0].settle();
        assert_eq!(places.taken(address()), 3, "an evicted one cannot settle");
        drop((silent, newcomers, settled));
        assert_eq!(places.taken(address()), 0);
    }

    #[test]
    fn a_guest_that_was_used_gives_way_last() {
        let places = Places::new(2);
        let first = places.acquire(Some(address())).unwrap();
        let second = places.acquire(Some(address())).unwrap();
        first.refresh();
        let _third = places.acquire(Some(address())).unwrap();
        assert!(is_evicted(&second) && !is_evicted(&first));
        assert!(places.evict_oldest());
        assert!(is_evicted(&first));
    }

    #[test]
    fn this_machine_has_as_many_places_as_it_wants_and_its_guests_can_be_evicted() {
        let places = Places::new(1);
        let local: Vec<_> = (0..5).map(|_| places.acquire(None).unwrap()).collect();
        assert!(!local.iter().any(is_evicted));
        assert!(places.evict_oldest());
        assert!(is_evicted(&local[0]));
        drop(local);
        assert!(!places.evict_oldest());
    }
}
