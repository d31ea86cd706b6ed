use core::convert::Infallible;
use std::collections::BTreeMap;

use super::*;

#[test]
fn the_end_of_a_prefix_is_after_all_keys_that_begin_with_it() {
    assert_eq!(prefix_end(b"ab"), b"ac");
    assert_eq!(prefix_end(&[1, 0xff]), [2]);
    assert_eq!(prefix_end(&[1, 0xff, 0xff]), [2]);
    assert!(prefix_end(&[]) > vec![0xff; 255]);
    assert!(prefix_end(&[0xff]) > vec![0xff; 255]);
}

#[test]
fn a_table_has_its_number_and_name_alone() {
    let numbered: Vec<Table> = (0..=u8::MAX).filter_map(Table::from_number).collect();
    assert!(numbered.len() > 10, "{numbered:?}");
    let mut names: Vec<_> = numbered.iter().map(|table| table.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), numbered.len());
    for table in numbered {
        assert_eq!(Table::from_number(table as u8), Some(table));
    }
}

/// The keys found, and how often rows were looked for.
fn firsts(keys: &[&str], prefix: &str, group: usize, limit: usize) -> (Vec<String>, usize) {
    // No key is bare, so that the limit alone ends the read.
    let read = Read::FirstOfEach {
        table: Table::Meta,
        prefix: prefix.as_bytes().to_vec(),
        group,
        bare: usize::MAX,
        enough: usize::MAX,
        limit,
    };
    firsts_of(keys, &read)
}

fn firsts_of(keys: &[&str], read: &Read) -> (Vec<String>, usize) {
    let rows: BTreeMap<Vec<u8>, ()> = keys.iter().map(|key| (key.as_bytes().to_vec(), ())).collect();
    let mut looked = 0;
    let found = first_of_each(read, |start, end| {
        looked += 1;
        let mut range = rows.range(start.to_vec()..end.to_vec());
        Ok::<_, Infallible>(range.next().map(|(key, ())| (key.clone(), ())))
    });
    let Ok(found) = found;
    let text = |(key, ()): (Vec<u8>, ())| String::from_utf8(key).expect("text");
    (found.into_iter().map(text).collect(), looked)
}

#[test]
fn the_first_of_each_group_is_found_without_reading_the_others() {
    let keys = ["a0", "b1x", "b1y", "b1z", "b2x", "b3", "c0"];
    assert_eq!(
        firsts(&keys, "b", 1, 9),
        (vec!["b1x".into(), "b2x".into(), "b3".into()], 4)
    );
    assert_eq!(firsts(&keys, "b", 1, 2), (vec!["b1x".into(), "b2x".into()], 2));
    assert_eq!(firsts(&keys, "b1", 0, 9).0, ["b1x"]);
    assert_eq!(firsts(&keys, "x", 1, 9).0, Vec::<String>::new());
    assert_eq!(
        firsts(&["b"], "b", 1, 9).0,
        ["b"],
        "a key without a group is its own"
    );
}

#[test]
fn bare_keys_are_found_and_do_not_count_as_enough() {
    let read = Read::FirstOfEach {
        table: Table::Meta,
        prefix: b"b".to_vec(),
        group: 1,
        bare: 2,
        enough: 2,
        limit: 9,
    };
    let keys = ["b0", "b1", "b2x", "b3", "b4x", "b5x"];
    assert_eq!(firsts_of(&keys, &read).0, ["b0", "b1", "b2x", "b3", "b4x"]);
}

#[test]
fn a_read_by_prefix_has_no_limit_but_the_one_given() {
    let Read::Range {
        start,
        end,
        limit,
        bytes_max,
        reverse,
        ..
    } = Read::prefix(Table::Meta, b"a", 3)
    else {
        panic!("a range");
    };
    assert_eq!((start, end), (b"a".to_vec(), b"b".to_vec()));
    assert_eq!((limit, bytes_max, reverse), (3, usize::MAX, false));
}
