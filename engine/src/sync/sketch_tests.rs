//! Sketches tell all differences, and cost what the paper says.

use protocol::messages::SKETCH_CELL_LEN;
use protocol::{DeviceId, EntryId};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::solve::TooFew;
use super::{Cell, Item, Items, decode, encode};

const SALT: [u8; 32] = [7; 32];

fn id(random: &mut ChaCha20Rng) -> [u8; 32] {
    let mut id = [0; 32];
    random.fill_bytes(&mut id);
    id
}

/// The feeds of two peers: `same` equal ones, and a number of each kind of difference.
struct Both {
    theirs: Items,
    ours: Items,
    differences: usize,
}

fn both(random: &mut ChaCha20Rng, same: usize, grown: usize, missing: usize) -> Both {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for n in 0..same + 4 * grown + 2 * missing {
        let device = DeviceId(id(random));
        let next_seq = 1 + random.next_u64() % 1_000;
        let feed =
            |more: u64, head: [u8; 32]| Item::new(&SALT, &device, next_seq + more, &EntryId(head), n as u32);
        let (head, other) = (id(random), id(random));
        match n.checked_sub(same) {
            None => {
                theirs.push(feed(0, head));
                ours.push(feed(0, head));
            }
            // Longer here or there, by one or by many, or the same length with another head.
            Some(n) if n < 4 * grown => {
                let (more, less) = [(1, 0), (0, 1), (3_000_000, 0), (0, 0)][n % 4];
                theirs.push(feed(more, head));
                ours.push(feed(less, other));
            }
            Some(n) if n % 2 == 0 => theirs.push(feed(0, head)),
            Some(_) => ours.push(feed(0, head)),
        }
    }
    Both {
        theirs: Items::new(theirs),
        ours: Items::new(ours),
        differences: 4 * grown + 2 * missing,
    }
}

/// Asks for more cells until they do. How many did, and how often they were asked for.
fn reconcile(both: &Both, first: usize) -> (usize, usize) {
    let (mut cells, mut rounds) = (both.theirs.cells(0, first), 1);
    loop {
        match both.ours.differences(&cells) {
            Ok(found) => {
                assert_eq!(found.len(), both.differences);
                for difference in found {
                    let same = |item: &&Item| item.short() == difference.key;
                    let theirs = both.theirs.iter().find(same);
                    assert_eq!(difference.theirs, theirs.map_or(0, Item::next_seq));
                    assert_eq!(difference.ours, both.ours.iter().find(same).copied());
                }
                return (cells.len(), rounds);
            }
            Err(TooFew { enough }) => {
                assert!(enough > cells.len());
                cells.extend(both.theirs.cells(cells.len(), enough));
                rounds += 1;
            }
        }
    }
}

#[test]
fn all_differences_are_told_whatever_they_are() {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    for (same, grown, missing) in [
        (0, 0, 0),
        (3, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (50, 3, 2),
        (500, 30, 20),
        (2_000, 0, 300),
    ] {
        let both = both(&mut random, same, grown, missing);
        reconcile(&both, 64);
    }
}

#[test]
fn cells_are_few_per_difference_and_asked_for_seldom() {
    let mut random = ChaCha20Rng::seed_from_u64(2);
    for (differences, rounds_max) in [(10, 1), (1_000, 4), (4_000, 5)] {
        let both = both(&mut random, 5_000, differences / 4, 0);
        let (cells, rounds) = reconcile(&both, 64);
        assert!(rounds <= rounds_max, "{differences}: {rounds} rounds");
        if rounds > 1 {
            let each = cells as f64 / both.differences as f64;
            assert!(each < 1.75, "{differences}: {each} cells each");
        }
    }
}

#[test]
fn cells_travel_as_they_are_and_what_are_none_are_refused() {
    let mut random = ChaCha20Rng::seed_from_u64(3);
    let cells = both(&mut random, 20, 0, 0).theirs.cells(0, 30);
    let mut bytes = encode(&cells);
    assert_eq!(bytes.len(), 30 * SKETCH_CELL_LEN);
    assert_eq!(decode(&bytes), Some(cells));
    assert_eq!(decode(&bytes[1..]), None);
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(decode(&bytes), None);
}

#[test]
fn later_cells_are_the_same_alone() {
    let mut random = ChaCha20Rng::seed_from_u64(4);
    let items = both(&mut random, 300, 0, 0).theirs;
    assert_eq!(items.cells(0, 100)[40..], items.cells(40, 100));
}

#[test]
fn made_up_cells_end() {
    let mut random = ChaCha20Rng::seed_from_u64(5);
    let own = both(&mut random, 100, 0, 0).ours;
    for n in [1, 64, 500] {
        let cell = |random: &mut ChaCha20Rng| Cell {
            values: random.next_u64() >> 4,
            weighted: random.next_u64() >> 4,
            check: random.next_u32(),
        };
        let cells: Vec<Cell> = (0..n).map(|_| cell(&mut random)).collect();
        assert!(own.differences(&cells).is_err());
        // A cell that looks as if it held one difference, in place of all.
        let lone = vec![Cell::of(5, 3 << super::HEAD_BITS); n];
        let _ = own.differences(&lone);
    }
}
