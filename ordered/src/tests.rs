use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{CHUNK_MAX, Map, Set, sorted_by_key};

/// Enough different keys for a good number of chunks.
const KEYS: u16 = 20 * CHUNK_MAX as u16;

#[derive(Clone, Debug)]
enum Op {
    Insert(u16, u32),
    Add(u16, u32),
    Change(u16, u32),
    Remove(u16),
    PopFirst,
    /// Inserts a run of neighbouring keys.
    Run(u16, u16),
    /// Removes a run of neighbouring keys.
    Cut(u16, u16),
    RetainMultiples(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = 0..KEYS;
    let op = prop_oneof![
        8 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Op::Insert(key, value)),
        4 => (key.clone(), 0..9_u32).prop_map(|(key, value)| Op::Add(key, value)),
        4 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Op::Change(key, value)),
        4 => key.clone().prop_map(Op::Remove),
        2 => Just(Op::PopFirst),
        4 => (key.clone(), 0..600_u16).prop_map(|(from, len)| Op::Run(from, len)),
        2 => (key, 0..400_u16).prop_map(|(from, len)| Op::Cut(from, len)),
        1 => (1..4_u32).prop_map(Op::RetainMultiples),
    ];
    proptest::collection::vec(op, 1..80)
}

fn apply(map: &mut Map<u16, u32>, model: &mut BTreeMap<u16, u32>, op: &Op) {
    match *op {
        Op::Insert(key, value) => assert_eq!(map.insert(key, value), model.insert(key, value)),
        Op::Add(key, value) => {
            for sum in [map.or_default(key), model.entry(key).or_default()] {
                *sum = sum.wrapping_add(value);
            }
        }
        Op::Change(key, value) => {
            assert_eq!(map.get(&key), model.get(&key));
            if let (Some(here), Some(there)) = (map.get_mut(&key), model.get_mut(&key)) {
                (*here, *there) = (value, value);
            }
        }
        Op::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key)),
        Op::PopFirst => assert_eq!(map.pop_first(), model.pop_first()),
        Op::Run(from, len) => {
            let run = || (from..(from + len).min(KEYS)).map(|key| (key, u32::from(key)));
            map.extend(run());
            model.extend(run());
        }
        Op::Cut(from, len) => {
            for key in from..from + len {
                assert_eq!(map.remove(&key), model.remove(&key));
            }
        }
        Op::RetainMultiples(of) => {
            map.retain(|_, value| value.is_multiple_of(of));
            model.retain(|_, value| value.is_multiple_of(of));
        }
    }
}

fn check(map: &Map<u16, u32>) {
    assert!(
        map.chunks
            .iter()
            .all(|chunk| (1..=CHUNK_MAX).contains(&chunk.len()))
    );
    assert_eq!(map.len(), map.iter().count());
    assert!(map.keys().is_sorted_by(|a, b| a < b));
}

proptest! {
    #[test]
    fn sorting_is_stable(items in proptest::collection::vec((0..9_u8, any::<u8>()), 0..40)) {
        let mut expected = items.clone();
        expected.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(sorted_by_key(items, |(key, _)| *key), expected);
    }

    #[test]
    fn it_does_what_a_btree_does(ops in ops(), bounds in (0..KEYS, 0..KEYS)) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        for op in &ops {
            apply(&mut map, &mut model, op);
            check(&map);
        }
        prop_assert!(map.iter().eq(&model));
        prop_assert!(map.iter().rev().eq(model.iter().rev()));
        prop_assert!(map.iter_mut().map(|(key, value)| (*key, *value)).eq(model.clone()));
        prop_assert_eq!(map.first_key_value(), model.first_key_value());
        prop_assert_eq!(map.last_key_value(), model.last_key_value());
        prop_assert_eq!(map.is_empty(), model.is_empty());

        let (low, high) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
        prop_assert!(map.range(low..high).eq(model.range(low..high)));
        prop_assert!(map.range(low..=high).rev().eq(model.range(low..=high).rev()));
        prop_assert!(map.range(..high).eq(model.range(..high)));
        prop_assert!(map.range(low..).eq(model.range(low..)));
        prop_assert_eq!(map.range(high + 1..low).count(), 0);

        prop_assert!(map.into_iter().eq(model));
    }
}

#[test]
fn a_set_holds_each_value_once() {
    let values = [5, 3, 9, 3, 5, 1];
    let mut set: Set<i32> = values.into_iter().collect();
    let model: BTreeSet<i32> = values.into_iter().collect();
    assert!(set.iter().eq(&model));
    assert_eq!(set.first(), Some(&1));
    assert!(!set.insert(9) && set.insert(7) && set.contains(&7));
    assert!(set.remove(&7) && !set.remove(&7));
    set.retain(|value| *value > 3);
    assert_eq!(set.into_iter().collect::<Vec<_>>(), [5, 9]);
}
