//! Which relays keep whose feeds: everybody computes the same answer from the same directory, and nothing of it is
//! stored.
//!
//! Weighted rendezvous hashing (Thaler, Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN
//! 1998; the weights after Schindler and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): every worker draws
//! a lot for every account, `capacity / -ln(hash)`, and the highest win. A worker wins in proportion to its capacity;
//! when one comes or goes, only the accounts it wins or won move.
//!
//! Replicas go to distinct zones first: the best worker of each zone competes. Where there are fewer zones than
//! replicas, the rest is filled by the next best, whatever their zone. The first is the primary.
//!
//! Invariants: the answer depends on the set of workers alone, not on their order, and is the same on every platform
//! (the logarithm is `libm`'s, not the machine's).

use ordered::Map;
use protocol::{AccountId, PeerId};

/// A relay that keeps feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker<'a> {
    pub peer: PeerId,
    /// Its capacity relative to the other workers. A worker with capacity 0 is assigned no feeds.
    pub capacity: u32,
    /// Its failure domain: workers of one zone fail together. Empty: a zone of its own.
    pub zone: &'a str,
}

#[derive(Clone, Copy, Debug)]
struct Lot {
    seed: u64,
    weight: f64,
    zone: u32,
    peer: PeerId,
}

/// A worker that may win, and its lot.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Drawn {
    score: f64,
    worker: usize,
}

/// The workers, prepared. See the module.
#[derive(Clone, Debug)]
pub struct Assignment {
    workers: Vec<Lot>,
    zones: usize,
}

impl Assignment {
    /// Over these workers, each named once.
    #[must_use]
    pub fn new<'a>(workers: impl IntoIterator<Item = Worker<'a>>) -> Self {
        let mut zones: Map<&str, u32> = Map::new();
        let mut alone = 0;
        let mut lots = Vec::new();
        for worker in workers {
            if worker.capacity == 0 {
                continue;
            }
            let named = u32::try_from(zones.len()).unwrap_or(u32::MAX);
            let zone = if worker.zone.is_empty() {
                // Counted from the other end, so that none meets a named one.
                alone += 1;
                u32::MAX - alone
            } else {
                *zones.or_insert_with(worker.zone, || named)
            };
            lots.push(Lot {
                seed: first_eight(&worker.peer.0),
                weight: f64::from(worker.capacity),
                zone,
                peer: worker.peer,
            });
        }
        Self {
            workers: lots,
            zones: zones.len() + alone as usize,
        }
    }

    /// Over these workers, each named once, none of which counts for more than its fair share.
    #[must_use]
    pub fn fair(workers: &[Worker<'_>]) -> Self {
        let most = fair_share(workers.iter().map(|worker| worker.capacity));
        Self::new(workers.iter().map(|worker| Worker {
            capacity: worker.capacity.min(most),
            ..*worker
        }))
    }

    /// How many workers there are to choose from.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether there is nobody to choose.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Up to `n` workers for an account, the primary first; fewer only where there are fewer workers.
    #[must_use]
    pub fn replicas(&self, account: &AccountId, n: usize) -> Vec<PeerId> {
        let mut won = Winners::new(n, self.zones < n);
        let seed = first_eight(&account.0);
        for (worker, lot) in self.workers.iter().enumerate() {
            let hash = mix(seed ^ lot.seed);
            // -ln(1 - u) is at least u: who loses with u for it loses anyway, and needs no logarithm.
            let u = (hash >> 11) as f64 * UNIT;
            if u * won.least >= lot.weight {
                continue;
            }
            let score = lot.weight / -libm::log1p(-u).min(-f64::MIN_POSITIVE);
            won.offer(Drawn { score, worker }, &self.workers);
        }
        won.into_order(&self.workers)
    }
}

/// The most a worker's capacity counts: four times what half of them do not exceed. Capacities are what relays say of
/// themselves, and none may draw all feeds to itself by a large number.
#[must_use]
pub fn fair_share(capacities: impl IntoIterator<Item = u32>) -> u32 {
    let sorted = ordered::sorted_by_key(capacities, |capacity| *capacity);
    let median = sorted.get(sorted.len() / 2).copied();
    median.map_or(u32::MAX, |median| median.saturating_mul(4))
}

/// A part in 2^53: hashes become numbers from 0 up to, not including, 1.
const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

/// The best so far.
struct Winners {
    n: usize,
    /// The best of distinct zones, best first.
    zones: Vec<Drawn>,
    /// The best of all, best first; needed where there are too few zones.
    all: Option<Vec<Drawn>>,
    /// What has to be beaten to be among them.
    least: f64,
}

impl Winners {
    fn new(n: usize, few_zones: bool) -> Self {
        Self {
            n,
            zones: Vec::with_capacity(n + 1),
            all: few_zones.then(|| Vec::with_capacity(n + 1)),
            least: 0.0,
        }
    }

    fn offer(&mut self, drawn: Drawn, workers: &[Lot]) {
        let zone = workers[drawn.worker].zone;
        let rival = self.zones.iter().position(|won| workers[won.worker].zone == zone);
        match rival {
            Some(at) if better(&self.zones[at], &drawn, workers) => {}
            Some(at) => {
                self.zones.remove(at);
                put(&mut self.zones, drawn, workers, self.n);
            }
            None => put(&mut self.zones, drawn, workers, self.n),
        }
        // With few zones none of them is ever full, so the best relay of each zone must be considered.
        if let Some(all) = &mut self.all {
            put(all, drawn, workers, self.n);
        } else if self.zones.len() == self.n {
            self.least = self.zones.last().map_or(0.0, |last| last.score);
        }
    }

    fn into_order(self, workers: &[Lot]) -> Vec<PeerId> {
        let mut won = self.zones;
        for drawn in self.all.unwrap_or_default() {
            if won.len() >= self.n {
                break;
            }
            if won.iter().all(|other| other.worker != drawn.worker) {
                won.push(drawn);
            }
        }
        won.truncate(self.n);
        won.iter().map(|drawn| workers[drawn.worker].peer).collect()
    }
}

/// Whether `a` wins against `b`; among equals the lower name does.
fn better(a: &Drawn, b: &Drawn, workers: &[Lot]) -> bool {
    let name = |drawn: &Drawn| workers[drawn.worker].peer;
    match a.score.total_cmp(&b.score) {
        core::cmp::Ordering::Equal => name(a) < name(b),
        order => order.is_gt(),
    }
}

fn put(best: &mut Vec<Drawn>, drawn: Drawn, workers: &[Lot], n: usize) {
    let at = best.iter().position(|other| better(&drawn, other, workers));
    let at = at.unwrap_or(best.len());
    if at < n {
        best.insert(at, drawn);
        best.truncate(n);
    }
}

/// Keys are as good as chance.
fn first_eight(key: &[u8; 32]) -> u64 {
    key.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
