use super::*;
use crate::api::Error;
use crate::kinds::testing::{Author, Bench, profile};

pub(super) fn samples() -> Vec<Profile> {
    vec![profile("Ada"), profile("Ada the second")]
}

fn edit(name: &str, bio: &str) -> Draft {
    let (name, bio) = (name.to_owned(), bio.to_owned());
    let command = Command::EditProfile { name, bio };
    let draft = Profiles::default().draft(&command, Viewer::default());
    draft.expect("a matter of profiles")
}

#[test]
fn the_profile_with_the_greatest_lamport_time_counts_in_whatever_order_they_come() {
    let mut ada = Author::new(1);
    let later = ada.write_at(9, &Body::Profile(profile("later")));
    let earlier = ada.write_at(4, &Body::Profile(profile("earlier")));
    for entries in [[&later, &earlier], [&earlier, &later]] {
        let mut bench = Bench::new(Viewer::default());
        for entry in entries {
            bench.index(entry);
        }
        assert_eq!(bench.kinds.name_of(&ada.account()), "later");
    }
}

#[test]
fn of_two_devices_at_one_lamport_time_the_greater_key_counts() {
    let (mut one, mut two) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let mut bench = Bench::new(Viewer::default());
    bench.index(&one.write_at(5, &Body::Profile(profile("one"))));
    bench.index(&two.write_at(5, &Body::Profile(profile("two"))));
    let winner = if one.device() > two.device() { "one" } else { "two" };
    assert_eq!(bench.kinds.name_of(&one.account()), winner);
}

#[test]
fn a_profile_that_is_outdated_is_no_news() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(ada.viewer());
    bench.index(&ada.write_at(9, &Body::Profile(profile("later"))));
    assert!(bench.ctx.changed.me);
    assert_eq!(bench.changed(), [ada.account()]);
    bench.index(&ada.write_at(4, &Body::Profile(profile("earlier"))));
    assert!(!bench.ctx.changed.me);
    assert_eq!(bench.changed(), []);
}

#[test]
fn posts_bear_the_names_of_their_author_and_of_whom_they_answer() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    bench.index(&ada.call("Ada"));
    bench.index(&bob.call("Bob"));
    let question = ada.post("a question").entry_ref();
    let answer = bob.answer("an answer", question, question);
    let post = bench.index(&answer).post.expect("a post");
    let view = bench.kinds.post_view(&post, bench.viewer);
    let parent = view.reply.map(|reply| reply.parent_name);
    assert_eq!((view.name.as_str(), parent.as_deref()), ("Bob", Some("Ada")));
}

#[test]
fn a_profile_is_written_trimmed_and_within_its_limits() {
    let written = edit("  Ada ", " mathematics\n").expect("it fits");
    let Some(Body::Profile(profile)) = written else {
        panic!("{written:?}");
    };
    assert_eq!(
        (profile.name.as_str(), profile.bio.as_str()),
        ("Ada", "mathematics")
    );
    assert_eq!(edit(" ", ""), Err(Error::Empty));
    let max = u32::try_from(limits::NAME_CHARS_MAX).expect("small");
    let long = "ü".repeat(limits::NAME_CHARS_MAX + 1);
    assert_eq!(edit(&long, ""), Err(Error::TooLong { max }));
    let max = u32::try_from(limits::BIO_CHARS_MAX).expect("small");
    let long = "ü".repeat(limits::BIO_CHARS_MAX + 1);
    assert_eq!(edit("Ada", &long), Err(Error::TooLong { max }));
    assert!(edit("Ada", &long[2..]).is_ok(), "characters count, not bytes");
}

#[test]
fn rows_are_those_of_stores_written_before() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    bench.index(&ada.write_at(9, &Body::Profile(profile("Ada"))));
    let value = codec::encode(&("Ada", "Ada was here", (9_u64, ada.device(), 1_u64)));
    let rows = [(ada.account().0.to_vec(), value)];
    assert_eq!(bench.store.rows(Table::Profiles), rows.into());
}
