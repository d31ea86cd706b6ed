use protocol::{DeviceId, EntryId, VerifiedEntry};

use super::*;
use crate::kinds::testing::{Author, Bench};
use crate::kinds::{Kinds, Precedence};

pub(super) fn samples() -> Vec<Reaction> {
    // Author 2 is reacted to; see the tests of all kinds.
    let post = Author::new(2).post("a post").entry_ref();
    let reaction = |post, emoji: &str| Reaction {
        post,
        emoji: emoji.to_owned(),
    };
    let other = Author::new(3).post("another").entry_ref();
    vec![
        reaction(post, "👍"),
        reaction(post, "❤️"),
        reaction(other, "👍"),
        reaction(other, ""),
    ]
}

fn post() -> EntryRef {
    Author::new(9).post("a post").entry_ref()
}

fn react(author: &mut Author, post: EntryRef, emoji: &str) -> VerifiedEntry {
    let emoji = emoji.to_owned();
    author.write(&Body::Reaction(Reaction { post, emoji }))
}

fn counts(bench: &Bench, post: &EntryRef) -> Vec<ReactionCount> {
    let rows = bench.read(Kinds::around(post, bench.viewer));
    let beside = bench.kinds.beside(post, bench.viewer, &mut rows.into_iter());
    beside.reactions
}

/// What a post's view shows: emoji, how many, whether the own one.
fn shown(bench: &Bench, post: &EntryRef) -> Vec<(String, u32, bool)> {
    let counts = counts(bench, post).into_iter();
    counts.map(|it| (it.emoji, it.count, it.mine)).collect()
}

fn who(bench: &Bench, post: &EntryRef) -> Vec<(AccountId, String, String)> {
    let query = Query::Reactions { post: *post };
    let Some(Step::Read(reads, reading)) = bench.kinds.query(&query, bench.viewer) else {
        panic!("it reads")
    };
    match bench.kinds.on_rows(reading, bench.read(reads), bench.viewer) {
        Step::Response(Response::Result(result)) => match *result {
            QueryResult::Reactions(views) => {
                let views = views.into_iter();
                views.map(|it| (it.account, it.name, it.emoji)).collect()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn of(expected: &[(&str, u32, bool)]) -> Vec<(String, u32, bool)> {
    let expected = expected.iter();
    expected
        .map(|(emoji, count, mine)| ((*emoji).to_owned(), *count, *mine))
        .collect()
}

#[test]
fn reactions_are_counted_in_an_order_that_counts_do_not_change_and_the_own_one_is_marked() {
    let mut bench = Bench::new(Author::new(1).viewer());
    let post = post();
    for (author, emoji) in [(1, "🎉"), (2, "👍"), (3, "🎉"), (4, "❤️")] {
        bench.index(&react(&mut Author::new(author), post, emoji));
    }
    let expected = [("❤️", 1, false), ("🎉", 2, true), ("👍", 1, false)];
    assert_eq!(shown(&bench, &post), of(&expected));
    assert!(counts(&bench, &post).iter().all(|count| !count.more));
}

#[test]
fn the_last_reaction_of_an_account_counts_whatever_came_first() {
    let (mut laptop, mut phone) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let post = post();
    let write = |author: &mut Author, lamport, emoji: &str| {
        let emoji = emoji.to_owned();
        author.write_at(lamport, &Body::Reaction(Reaction { post, emoji }))
    };
    let mut entries = [
        write(&mut laptop, 10, "👍"),
        write(&mut phone, 20, "❤️"),
        write(&mut laptop, 30, "🎉"),
    ];
    for _ in 0..2 {
        let mut bench = Bench::new(Viewer::default());
        for entry in &entries {
            bench.index(entry);
        }
        assert_eq!(shown(&bench, &post), of(&[("🎉", 1, false)]));
        bench.unindex(if entries[0].header().lamport == 30 {
            &entries[0]
        } else {
            &entries[2]
        });
        assert_eq!(
            shown(&bench, &post),
            of(&[("❤️", 1, false)]),
            "the one before is back"
        );
        entries.reverse();
    }
}

#[test]
fn two_devices_that_react_at_one_time_agree() {
    let (mut laptop, mut phone) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let post = post();
    let of = |emoji: &str| {
        let emoji = emoji.to_owned();
        Body::Reaction(Reaction { post, emoji })
    };
    let entries = [laptop.write_at(7, &of("👍")), phone.write_at(7, &of("❤️"))];
    let (mut one, mut other) = (Bench::new(Viewer::default()), Bench::new(Viewer::default()));
    for entry in &entries {
        one.index(entry);
    }
    for entry in entries.iter().rev() {
        other.index(entry);
    }
    let greater = if laptop.device() > phone.device() {
        "👍"
    } else {
        "❤️"
    };
    assert_eq!(shown(&one, &post), [(greater.to_owned(), 1, false)]);
    assert_eq!(shown(&one, &post), shown(&other, &post));
}

#[test]
fn a_reaction_that_was_taken_back_is_gone() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(ada.viewer());
    let post = post();
    bench.index(&react(&mut ada, post, "👍"));
    bench.index(&react(&mut ada, post, ""));
    assert_eq!((shown(&bench, &post), who(&bench, &post)), (vec![], vec![]));
}

#[test]
fn a_thousand_changes_of_mind_by_one_account_hide_nobody() {
    let mut bench = Bench::new(Viewer::default());
    let post = post();
    // Before and after the account in the order of keys.
    for author in 2..6 {
        bench.index(&react(&mut Author::new(author), post, "👍"));
    }
    let mut fickle = Author::new(1);
    for n in 0..1_000 {
        bench.index(&react(&mut fickle, post, if n % 2 == 0 { "❤️" } else { "" }));
    }
    bench.index(&react(&mut fickle, post, "🎉"));
    assert_eq!(bench.store.len(Table::Reactions), 1_005);
    let expected = [("🎉", 1, false), ("👍", 4, false)];
    assert_eq!(shown(&bench, &post), of(&expected));
    let rows = bench.read(Kinds::around(&post, bench.viewer));
    assert_eq!(
        rows.iter().map(Vec::len).sum::<usize>(),
        5,
        "as many rows as accounts"
    );
    assert_eq!(who(&bench, &post).len(), 5);
}

#[test]
fn accounts_are_read_up_to_a_bound_and_the_own_reaction_always() {
    let post = post();
    let precedence = Precedence {
        lamport: 1,
        device: DeviceId([1; 32]),
        seq: 1,
    };
    for own in [1, 60, 120] {
        let me = Some(AccountId([own; 32]));
        let mut bench = Bench::new(Viewer { me });
        for n in 1..=120 {
            let row = rows::of(&post, &AccountId([n; 32]), &precedence, "👍");
            bench.ctx.write(row.put());
        }
        bench.flush();
        let beyond = u32::from(usize::from(own) > ACCOUNTS_MAX);
        let expected = [("👍", ACCOUNTS_MAX as u32 + beyond, true)];
        assert_eq!(shown(&bench, &post), of(&expected), "account {own}");
        assert!(counts(&bench, &post)[0].more, "there are 120");
    }
}

#[test]
fn reactions_that_were_taken_back_take_no_place_of_others() {
    let post = post();
    let precedence = |lamport| Precedence {
        lamport,
        device: DeviceId([1; 32]),
        seq: lamport,
    };
    // Those with the smallest keys reacted and took it back, in either order of arrival.
    let account = |n: u16| AccountId([[n as u8 + 1; 31].as_slice(), &[0]].concat().try_into().unwrap());
    let index = |bench: &mut Bench, withdrawn: u16, real: u16| {
        for n in 0..withdrawn {
            let account = AccountId([[0, 0], n.to_be_bytes()].concat().repeat(8).try_into().unwrap());
            let mut rows =
                [(2, ""), (1, "👍")].map(|(at, emoji)| rows::of(&post, &account, &precedence(at), emoji));
            if n % 2 == 0 {
                rows.reverse();
            }
            rows.into_iter().for_each(|row| bench.ctx.write(row.put()));
        }
        for n in 0..real {
            let row = rows::of(&post, &account(n), &precedence(1), "🎉");
            bench.ctx.write(row.put());
        }
        bench.flush();
    };
    let mut bench = Bench::new(Viewer::default());
    index(&mut bench, 150, 3);
    assert_eq!(shown(&bench, &post), of(&[("🎉", 3, false)]));
    assert!(!counts(&bench, &post)[0].more, "these are all");
    assert_eq!(who(&bench, &post).len(), 3);

    index(&mut bench, 150, 130);
    let all = counts(&bench, &post);
    assert_eq!((all[0].count, all[0].more), (100, true));

    // The work has a bound; what is beyond it is not counted, and the view says that there may be more.
    let me = Some(account(1));
    let mut bench = Bench::new(Viewer { me });
    index(&mut bench, 2_000, 3);
    let all = counts(&bench, &post);
    assert_eq!((all[0].count, all[0].more, all[0].mine), (1, true, true));
}

#[test]
fn a_withdrawal_that_is_taken_out_of_the_store_gives_its_place_back() {
    let (mut laptop, mut phone) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let post = post();
    let write = |author: &mut Author, lamport, emoji: &str| {
        let emoji = emoji.to_owned();
        author.write_at(lamport, &Body::Reaction(Reaction { post, emoji }))
    };
    let (said, withdrawn) = (write(&mut laptop, 10, "👍"), write(&mut phone, 20, ""));
    for order in [[&said, &withdrawn], [&withdrawn, &said]] {
        let mut bench = Bench::new(Viewer::default());
        for entry in order {
            bench.index(entry);
        }
        assert_eq!(shown(&bench, &post), []);
        bench.unindex(&withdrawn);
        assert_eq!(shown(&bench, &post), of(&[("👍", 1, false)]));
        bench.index(&withdrawn);
        assert_eq!(shown(&bench, &post), []);
    }
}

#[test]
fn reactions_to_other_posts_are_not_counted() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    let (one, two) = (post(), Author::new(8).post("another").entry_ref());
    bench.index(&react(&mut ada, one, "👍"));
    bench.index(&react(&mut ada, two, "❤️"));
    assert_eq!(shown(&bench, &one), of(&[("👍", 1, false)]));
    assert_eq!(shown(&bench, &two), of(&[("❤️", 1, false)]));
}

#[test]
fn who_reacted_is_listed_by_name() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(ada.viewer());
    let post = post();
    bench.index(&ada.call("Ada"));
    for (author, emoji) in [(&mut ada, "👍"), (&mut bob, "❤️")] {
        bench.index(&react(author, post, emoji));
    }
    let listed = who(&bench, &post);
    assert_eq!(listed.len(), 2, "the own one once");
    assert!(listed.contains(&(ada.account(), "Ada".into(), "👍".into())));
    assert!(listed.contains(&(bob.account(), String::new(), "❤️".into())));
}

#[test]
fn a_reaction_gives_an_event() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    let post = post();
    bench.index(&react(&mut ada, post, "👍"));
    let changed: Vec<_> = core::mem::take(&mut bench.ctx.changed.beside)
        .into_iter()
        .collect();
    assert_eq!(changed, [post]);
}

#[test]
fn only_an_emoji_is_a_reaction() {
    let kinds = Kinds::default();
    let post = post();
    let draft = |emoji: &str| {
        let emoji = emoji.to_owned();
        kinds
            .draft(&Command::React { post, emoji }, Viewer::default())
            .expect("it is of this kind")
    };
    let reaction = |emoji: &str| {
        let emoji = emoji.to_owned();
        Ok(Some(Body::Reaction(Reaction { post, emoji })))
    };
    assert_eq!(draft(" 👍 "), reaction("👍"));
    assert_eq!(draft("❤"), reaction("❤\u{fe0f}"), "in the one form");
    assert_eq!(draft(" "), reaction(""));
    assert_eq!(draft("no"), Err(Error::NotAnEmoji));
    assert!(kinds.draft(&Command::DropClaim, Viewer::default()).is_none());
}

#[test]
fn keys_are_those_of_stores_written_before() {
    let post = EntryRef {
        account: AccountId([1; 32]),
        id: EntryId([2; 32]),
    };
    let precedence = Precedence {
        lamport: 1,
        device: DeviceId([4; 32]),
        seq: 2,
    };
    let row = rows::of(&post, &AccountId([3; 32]), &precedence, "👍");
    let inverted = |n: u8| [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, !n];
    let ids = [[1; 32], [2; 32], [3; 32]].concat();
    let thumb = [0xf0, 0x9f, 0x91, 0x8d];
    let key = [&ids[..], &inverted(1), &[0xfb; 32], &inverted(2), &thumb].concat();
    assert_eq!((row.table, &row.key, row.value), (Table::Reactions, &key, vec![]));
    let read = |key: &[u8]| rows::reaction(&(key.to_vec(), vec![]));
    assert_eq!(read(&key), Some((AccountId([3; 32]), "👍".to_owned())));
    assert_eq!(read(&key[..144]), None, "taken back");
    assert_eq!(read(&key[..99]), None, "damaged");
}
