use protocol::PeerId;

use super::{LISTS_MAX, MemberList, MemberLists};

fn relay(n: u8) -> PeerId {
    PeerId([n; 32])
}

/// A list by each of these relays: whether it is named, and the members.
fn lists(lists: &[(u8, bool, &[u8])]) -> MemberLists {
    let mut all = MemberLists::default();
    for (by, named, members) in lists {
        let list = MemberList {
            named: *named,
            foreign: false,
            members: members.iter().map(|n| relay(*n)).collect(),
        };
        all.set(relay(*by), list);
    }
    all
}

#[test]
fn a_named_relay_decides_about_all_but_itself() {
    let home = lists(&[(1, true, &[1, 2]), (3, false, &[1, 2, 3, 4])]);
    for alive in [true, false] {
        assert_eq!(home.judge(&relay(2), false, alive), Some(true));
        assert_eq!(
            home.judge(&relay(3), false, alive),
            Some(false),
            "by its own list alone"
        );
        assert_eq!(home.judge(&relay(4), false, alive), Some(false));
        assert_eq!(home.judge(&relay(1), true, alive), Some(true));
    }
}

#[test]
fn a_relay_that_says_that_it_is_no_member_is_none() {
    let expelled = lists(&[(1, true, &[2, 3]), (2, false, &[1, 2, 3])]);
    for named in [true, false] {
        assert_eq!(expelled.judge(&relay(1), named, true), Some(false));
    }
}

#[test]
fn without_a_named_relay_two_that_were_chosen_take_away_one_that_is_alive() {
    let one = lists(&[(2, false, &[2, 3])]);
    assert_eq!(one.judge(&relay(4), false, true), None);
    assert_eq!(one.judge(&relay(4), false, false), Some(false), "it is not alive");
    assert_eq!(one.judge(&relay(2), false, true), None, "about itself");
    let two = lists(&[(2, false, &[2, 3]), (3, false, &[2, 3])]);
    assert_eq!(two.judge(&relay(4), false, true), Some(false));
    let differ = lists(&[(2, false, &[2, 3, 4]), (3, false, &[2, 3]), (5, false, &[5])]);
    assert_eq!(
        differ.judge(&relay(4), false, true),
        Some(true),
        "another one lists it"
    );
    assert_eq!(differ.judge(&relay(4), false, false), Some(true));
    assert_eq!(differ.judge(&relay(4), true, false), Some(false), "it was named");
}

#[test]
fn a_list_of_another_network_counts_against_named_relays_alone() {
    let mut all = MemberLists::default();
    let list = MemberList {
        named: true,
        foreign: true,
        members: vec![relay(1)],
    };
    all.set(relay(1), list);
    assert_eq!(all.judge(&relay(2), false, false), None);
    assert_eq!(all.judge(&relay(9), true, false), Some(false));
}

#[test]
fn lists_are_bounded_and_end_with_their_link() {
    let most = LISTS_MAX as u8;
    let mut all = lists(&[]);
    for by in 0..=most {
        let list = MemberList {
            named: false,
            foreign: false,
            members: vec![relay(100 + by)],
        };
        all.set(relay(by), list);
    }
    assert_eq!(all.judge(&relay(100), true, true), Some(false));
    assert_eq!(
        all.judge(&relay(100 + most), false, true),
        Some(false),
        "not taken"
    );
    for by in 0..most {
        all.remove(&relay(by));
    }
    assert_eq!(all.judge(&relay(100), true, false), None);
}
