//! What two peers have differently, told in bytes that grow with the differences and not with what they have.
//!
//! Each feed is a key and a value: a hash of the device, keyed with the link's salt, and how far it is held with what
//! its head is. A cell adds up the feeds that fall into it. The cells of one peer minus those of the other add up the
//! differences alone, since a feed held alike adds nothing; a cell with one difference left in it tells which, that
//! one is taken out of its other cells, and so on until all are zero.
//!
//! The sequence of cells has no end: every feed falls into cell 0, and into cell i by a chance of 1 / (1 + i/2), so
//! that whatever number of differences there is, about 1.4 times as many cells tell them all. That is rateless set
//! reconciliation (Yang, Gilad, Alizadeh: "Practical Rateless Set Reconciliation", SIGCOMM 2024). Unlike there, a cell
//! does not hold the exclusive or of whole items, but sums of values, plain and multiplied by their keys: a feed that
//! merely grew is one difference instead of two, an item gone and one come.
//!
//! Sums are taken modulo the prime 2⁶¹ − 1, where a key is the quotient of the two. Nobody but the two ends of a link
//! knows its salt, so nobody can choose devices whose differences cancel each other.

use protocol::messages::{FEED_KEY_LEN, FeedKey, SKETCH_CELL_LEN};
use protocol::{DeviceId, EntryId};

use crate::log::keys::FeedNumber;

/// The prime all sums are taken by.
const PRIME: u64 = (1 << 61) - 1;
/// Bits of a value that are the head's.
const HEAD_BITS: u32 = 24;
/// Feeds longer than this count as this long: 2³⁷ entries, more than a device writes in a lifetime.
const NEXT_SEQ_MAX: u64 = (1 << 37) - 2;

/// One feed as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    key: u64,
    value: u64,
    pub(crate) number: FeedNumber,
}

impl Item {
    /// A feed held up to `next_seq`, at least 1, with its head, on a link with `salt`.
    pub(crate) fn new(
        salt: &[u8; 32],
        device: &DeviceId,
        next_seq: u64,
        head: &EntryId,
        number: FeedNumber,
    ) -> Self {
        let head = blake3::keyed_hash(salt, &head.0);
        let head = head.as_bytes();
        let head = u64::from(u32::from_le_bytes([head[0], head[1], head[2], 0]));
        Self {
            key: key(salt, device),
            value: (next_seq.min(NEXT_SEQ_MAX) << HEAD_BITS) | head,
            number,
        }
    }

    pub(crate) fn short(&self) -> FeedKey {
        short(self.key)
    }

    /// How far the feed is held.
    pub(crate) fn next_seq(&self) -> u64 {
        self.value >> HEAD_BITS
    }

    /// Adds the feed to those of these cells that it falls into. The first one has the number `from`.
    pub(crate) fn add_to(&self, cells: &mut [Cell], from: usize) {
        let sum = Cell::of(self.key, self.value);
        let to = from + cells.len();
        for at in CellsOfItem::new(self.key).take_while(|at| *at < to) {
            if let Some(cell) = at.checked_sub(from).and_then(|at| cells.get_mut(at)) {
                cell.add(&sum);
            }
        }
    }
}

fn key(salt: &[u8; 32], device: &DeviceId) -> u64 {
    let hash = blake3::keyed_hash(salt, &device.0);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    match u64::from_le_bytes(bytes) & PRIME {
        0 | PRIME => 1,
        key => key,
    }
}

fn short(key: u64) -> FeedKey {
    let mut short = [0; FEED_KEY_LEN];
    short.copy_from_slice(&key.to_le_bytes()[..FEED_KEY_LEN]);
    short
}

/// Some feeds' sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    values: u64,
    /// Of the values times their keys.
    weighted: u64,
    /// Of the values times another hash of their keys, modulo 2³²: tells a lone difference from several.
    check: u32,
}

impl Cell {
    fn of(key: u64, value: u64) -> Self {
        Self {
            values: value,
            weighted: times(key, value),
            check: check(key).wrapping_mul(value as u32),
        }
    }

    fn add(&mut self, other: &Self) {
        self.values = plus(self.values, other.values);
        self.weighted = plus(self.weighted, other.weighted);
        self.check = self.check.wrapping_add(other.check);
    }

    #[cfg(feature = "relay")]
    fn sub(&mut self, other: &Self) {
        self.values = minus(self.values, other.values);
        self.weighted = minus(self.weighted, other.weighted);
        self.check = self.check.wrapping_sub(other.check);
    }
}

/// Cells as they travel.
pub(crate) fn encode(cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * SKETCH_CELL_LEN);
    for cell in cells {
        bytes.extend(cell.values.to_le_bytes());
        bytes.extend(cell.weighted.to_le_bytes());
        bytes.extend(cell.check.to_le_bytes());
    }
    bytes
}

/// All feeds that are compared.
#[derive(Debug, Default)]
pub(crate) struct Items(Vec<Item>);

impl Items {
    #[cfg(test)]
    pub(crate) fn new(items: Vec<Item>) -> Self {
        Self(items)
    }

    /// With room for this many.
    pub(crate) fn with_room(feeds: usize) -> Self {
        Self(Vec::with_capacity(feeds))
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.0.push(item);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<Item> {
        self.0.get(at).copied()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.0.iter()
    }

    /// The cells from number `from` up to, not including, `to`.
    #[cfg(test)]
    pub(crate) fn cells(&self, from: usize, to: usize) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); to.saturating_sub(from)];
        for item in &self.0 {
            item.add_to(&mut cells, from);
        }
        cells
    }
}

/// The cells a feed falls into, ascending.
struct CellsOfItem {
    random: u64,
    next: usize,
}

impl CellsOfItem {
    fn new(key: u64) -> Self {
        Self { random: key, next: 0 }
    }
}

impl Iterator for CellsOfItem {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.next;
        // The step over cells it does not fall into, drawn from their chances (section 4.2 there). Square roots and
        // divisions are the same on every machine.
        let drawn = ((split_mix(&mut self.random) >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let step = ((place as f64 + 1.5) * (1.0 / drawn.sqrt() - 1.0)).ceil();
        self.next = place.saturating_add((step as usize).max(1));
        Some(place)
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn check(key: u64) -> u32 {
    (split_mix(&mut !key) >> 32) as u32
}

fn plus(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

#[cfg(feature = "relay")]
fn minus(a: u64, b: u64) -> u64 {
    if a >= b { a - b } else { a + PRIME - b }
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    plus((product >> 61) as u64, product as u64 & PRIME)
}

#[cfg(feature = "relay")]
mod solve {
    use protocol::messages::{FeedKey, SKETCH_CELL_LEN};

    #[cfg(test)]
    use super::Items;
    use super::{Cell, CellsOfItem, HEAD_BITS, Item, PRIME, check, short, times};

    /// A feed that both ends have differently.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Difference {
        pub(crate) key: FeedKey,
        /// How far the other end has it; 0: not at all.
        pub(crate) theirs: u64,
        /// This end's.
        pub(crate) ours: Option<Item>,
    }

    /// Cells that do not tell all differences.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct TooFew {
        /// How many cells are probably enough.
        pub(crate) enough: usize,
    }

    /// Cells as they came; `None` if they are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Cell>> {
        let (cells, []) = bytes.as_chunks::<SKETCH_CELL_LEN>() else {
            return None;
        };
        let cell = |bytes: &[u8; SKETCH_CELL_LEN]| {
            let (values, rest) = bytes.split_first_chunk()?;
            let (weighted, rest) = rest.split_first_chunk()?;
            let cell = Cell {
                values: u64::from_le_bytes(*values),
                weighted: u64::from_le_bytes(*weighted),
                check: u32::from_le_bytes(rest.try_into().ok()?),
            };
            (cell.values < PRIME && cell.weighted < PRIME).then_some(cell)
        };
        cells.iter().map(cell).collect()
    }

    /// A difference as the cells tell it.
    #[derive(Clone, Copy, Debug)]
    struct Found {
        key: u64,
        change: i128,
        ours: Option<Item>,
    }

    impl Found {
        fn difference(&self) -> Option<Difference> {
            let value = self.ours.map_or(0, |item| i128::from(item.value)) + self.change;
            let theirs = u64::try_from(value).ok().filter(|value| *value < PRIME)? >> HEAD_BITS;
            // A feed that the other end holds has at least one entry.
            (theirs > 0 || (value == 0 && self.ours.is_some())).then_some(Difference {
                key: short(self.key),
                theirs,
                ours: self.ours,
            })
        }
    }

    /// Finds the differences between two ends in their cells, step by step.
    #[derive(Debug)]
    pub(crate) struct Solving {
        cells: Vec<Cell>,
        open: Vec<u32>,
        found: Vec<Found>,
        guess: TooFew,
    }

    /// The differences the cells tell. Which feeds of this end they concern is looked up.
    #[derive(Debug)]
    pub(crate) struct Solved {
        /// In the order of their keys.
        found: Vec<Found>,
        guess: TooFew,
    }

    impl Solving {
        /// `theirs` and `ours`: as many cells of the feeds of both ends, from the first one on.
        pub(crate) fn new(theirs: &[Cell], ours: &[Cell]) -> Self {
            let mut cells = theirs.to_vec();
            for (cell, own) in cells.iter_mut().zip(ours) {
                cell.sub(own);
            }
            let guess = TooFew {
                enough: enough(&cells),
            };
            let open = (0..cells.len() as u32).rev().collect();
            Self {
                cells,
                open,
                found: Vec::new(),
                guess,
            }
        }

        /// Looks at the next cell. `true`: it was the last one, or the cells tell nothing.
        pub(crate) fn step(&mut self) -> bool {
            let Some(at) = self.open.pop().map(|at| at as usize) else {
                return true;
            };
            let Some((key, change)) = alone(&self.cells[at], at) else {
                return self.open.is_empty();
            };
            // Each difference empties one cell for good; a sender that makes up cells gains no more work than that.
            if self.found.len() > self.cells.len() {
                self.open.clear();
                return true;
            }
            let ours = None;
            self.found.push(Found { key, change, ours });
            let sum = self.cells[at];
            let len = self.cells.len();
            for place in CellsOfItem::new(key).take_while(|place| *place < len) {
                self.cells[place].sub(&sum);
                self.open.push(place as u32);
            }
            false
        }

        /// After the last step.
        pub(crate) fn end(self) -> Result<Solved, TooFew> {
            let Self {
                cells,
                mut found,
                guess,
                ..
            } = self;
            found.sort_unstable_by_key(|found| found.key);
            let twice = found.windows(2).any(|pair| pair[0].key == pair[1].key);
            if twice || cells.iter().any(|cell| *cell != Cell::default()) {
                return Err(guess);
            }
            Ok(Solved { found, guess })
        }
    }

    impl Solved {
        /// Whether a feed of this end differs at the other one.
        pub(crate) fn contains(&self, item: &Item) -> bool {
            self.place_of(item).is_some()
        }

        fn place_of(&self, item: &Item) -> Option<usize> {
            self.found.binary_search_by_key(&item.key, |found| found.key).ok()
        }

        /// Records a feed of this end.
        pub(crate) fn look_up(&mut self, item: &Item) {
            if let Some(at) = self.place_of(item) {
                self.found[at].ours = Some(*item);
            }
        }

        /// What the other end has differently, once all feeds of this end were looked up.
        pub(crate) fn differences(&self) -> Result<Vec<Difference>, TooFew> {
            let differences = self.found.iter().map(Found::difference);
            differences.collect::<Option<_>>().ok_or(self.guess)
        }
    }

    #[cfg(test)]
    impl Items {
        /// What the sender of the first cells of its feeds has differently.
        pub(crate) fn differences(&self, theirs: &[Cell]) -> Result<Vec<Difference>, TooFew> {
            let mut solving = Solving::new(theirs, &self.cells(0, theirs.len()));
            while !solving.step() {}
            let mut solved = solving.end()?;
            self.iter().for_each(|item| solved.look_up(item));
            solved.differences()
        }
    }

    /// The key and the change of the one difference in a cell, if there is but one.
    fn alone(cell: &Cell, at: usize) -> Option<(u64, i128)> {
        if cell.values == 0 {
            return None;
        }
        let key = times(cell.weighted, inverse(cell.values));
        if key == 0 {
            return None;
        }
        // A sum modulo the prime stands for a growth or for a loss.
        let grown = i128::from(cell.values);
        let changes = [grown, grown - i128::from(PRIME)];
        let holds = |change: &i128| check(key).wrapping_mul(*change as u32) == cell.check;
        let change = changes.into_iter().find(holds)?;
        let falls_here = CellsOfItem::new(key).find(|place| *place >= at) == Some(at);
        falls_here.then_some((key, change))
    }

    /// By Fermat's little theorem.
    fn inverse(value: u64) -> u64 {
        let (mut power, mut base, mut exponent) = (1, value, PRIME - 2);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = times(power, base);
            }
            base = times(base, base);
            exponent >>= 1;
        }
        power
    }

    /// Cells by which the number of those that are enough is judged: more make it hardly more exact.
    const SAMPLE: usize = 512;

    /// How many cells should do, judged by how many of the later half hold no difference: with d differences, cell i
    /// holds none by a chance of (1 − 1 / (1 + i/2))^d.
    fn enough(cells: &[Cell]) -> usize {
        let half = cells.len() / 2;
        let sample = || (half..cells.len()).step_by(((cells.len() - half) / SAMPLE).max(1));
        let empty = sample().filter(|at| cells[*at] == Cell::default()).count();
        let most = cells.len().saturating_mul(4);
        if empty == 0 {
            return most;
        }
        let expected = |differences: u32| -> f64 {
            let chance = |at: usize| 1.0 - 2.0 / (at as f64 + 2.0);
            sample().map(|at| power(chance(at), differences)).sum()
        };
        let (mut low, mut high) = (0, 4 * cells.len() as u32);
        while low < high {
            let middle = low.midpoint(high);
            if expected(middle) > empty as f64 {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let wanted = low as usize + low as usize * 45 / 100 + 16;
        wanted.clamp(cells.len() + cells.len() / 4 + 1, most)
    }

    /// With multiplications alone, so that it is the same on every machine.
    fn power(base: f64, exponent: u32) -> f64 {
        let (mut power, mut base, mut exponent) = (1.0, base, exponent);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power *= base;
            }
            base *= base;
            exponent >>= 1;
        }
        power
    }
}

#[cfg(feature = "relay")]
pub(crate) use solve::{Difference, Solved, Solving, TooFew, decode};

#[cfg(all(test, feature = "relay"))]
#[path = "sketch_tests.rs"]
mod tests;
