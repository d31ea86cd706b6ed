//! Slugs of posts: asked for when publishing or later, with or without a network, and known to all who hold the feed.

use protocol::names::{NameAnswer, RegistryId};
use protocol::{EntryRef, KeyPair};
use starling_engine::api::{
    ClaimView, Command, CommandResult, Error, Event, PostView, Query, QueryResult, Response, Timeline,
};
use starling_engine::store::Table;
use starling_engine::{Config, Input};

use crate::directory::description;
use crate::names::{me, relays, visit};
use crate::network::{Network, open_relay, seed};

fn publish(net: &mut Network, peer: usize, text: &str, slug: &str) -> Response {
    let mut token = [0; 16];
    token[..text.len().min(16)].copy_from_slice(&text.as_bytes()[..text.len().min(16)]);
    let (text, slug) = (text.to_owned(), Some(slug.to_owned()));
    net.command(
        peer,
        Command::Publish {
            token,
            text,
            reply_to: None,
            slug,
        },
    )
}

fn published(net: &mut Network, peer: usize, text: &str, slug: &str) -> PostView {
    match publish(net, peer, text, slug) {
        Response::Done(CommandResult::Published(post)) => *post,
        other => panic!("{other:?} (seed {})", net.seed),
    }
}

fn set(net: &mut Network, peer: usize, post: EntryRef, slug: Option<&str>) -> Response {
    let slug = slug.map(str::to_owned);
    net.command(peer, Command::SetSlug { post, slug })
}

/// The post as its own page shows it.
fn post_at(net: &mut Network, peer: usize, post: EntryRef) -> PostView {
    match net.query(peer, Query::Thread { post }) {
        QueryResult::Thread(thread) => thread.post.expect("it is held"),
        other => panic!("{other:?}"),
    }
}

fn look(net: &mut Network, peer: usize, slug: &str) -> NameAnswer {
    let slug = slug.to_owned();
    match net.query(peer, Query::Slug { slug }) {
        QueryResult::Name(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// The post a slug leads to.
fn found(net: &mut Network, peer: usize, slug: &str) -> Option<EntryRef> {
    match look(net, peer, slug) {
        NameAnswer::Held(receipt) => {
            let id = receipt.post.expect("a slug's receipt names the post");
            let account = receipt.account;
            Some(EntryRef { account, id })
        }
        NameAnswer::Free | NameAnswer::Unavailable => None,
        other => panic!("{other:?}"),
    }
}

fn waiting(name: &str) -> Option<ClaimView> {
    Some(ClaimView {
        name: name.to_owned(),
        release: false,
        refused: None,
    })
}

/// The events of a post's slug, in order.
fn told(net: &Network, peer: usize, post: EntryRef) -> Vec<(String, Option<ClaimView>)> {
    let of_post = net.peers[peer].events.iter().filter_map(|event| match event {
        Event::Beside {
            post: of,
            beside,
            slug_claim,
        } if *of == post => Some((beside.slug.clone(), slug_claim.clone())),
        _ => None,
    });
    of_post.collect()
}

#[test]
fn a_slug_wished_for_with_a_post_is_had_and_known_to_all_who_hold_the_feed() {
    let mut net = Network::new(seed());
    let (index, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, ada, worker);
    visit(&mut net, bob, index);
    net.follow(bob, ada);
    net.run_for_ms(10_000);
    let post = published(&mut net, ada, "they flock", " /Why they flock/ ");
    assert_eq!(post.slug_claim, waiting("why-they-flock"), "seed {}", net.seed);
    net.run_for_ms(5_000);
    // An interface may know the post by its event alone: the event of its claim comes after that.
    let told_of = net.peers[ada].events.iter().filter_map(|event| match event {
        Event::Posts { .. } => Some("post"),
        Event::Beside { .. } => Some("slug"),
        _ => None,
    });
    assert_eq!(told_of.take(2).collect::<Vec<_>>(), ["post", "slug"]);
    let last = told(&net, ada, post.entry).pop();
    assert_eq!(
        last,
        Some(("why-they-flock".to_owned(), None)),
        "seed {}",
        net.seed
    );
    for peer in [ada, bob] {
        let shown = net.page(peer, Timeline::Home).pop().expect("the post");
        assert_eq!(
            (shown.beside.slug.as_str(), shown.slug_claim),
            ("why-they-flock", None)
        );
        assert_eq!(post_at(&mut net, peer, post.entry).beside.slug, "why-they-flock");
    }
    // Nobody needs to be asked.
    net.crash(index);
    net.crash(worker);
    net.run_for_ms(10_000);
    assert_eq!(found(&mut net, bob, "/Why-They-Flock/"), Some(post.entry));
    assert_eq!(found(&mut net, bob, "why"), None);
}

#[test]
fn a_slug_claimed_offline_outlives_a_restart_and_is_lost_to_an_earlier_claim() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    let hers = published(&mut net, ada, "hers", "flocks");
    net.run_for_ms(1_000);
    net.crash(ada);
    net.start(ada);
    net.run_for_ms(1_000);
    let shown = post_at(&mut net, ada, hers.entry);
    assert_eq!(
        (shown.beside.slug.as_str(), shown.slug_claim),
        ("", waiting("flocks")),
        "seed {}",
        net.seed
    );
    visit(&mut net, bob, worker);
    net.run_for_ms(10_000);
    let his = published(&mut net, bob, "his", "flocks");
    net.run_for_ms(5_000);
    assert_eq!(post_at(&mut net, bob, his.entry).beside.slug, "flocks");

    visit(&mut net, ada, worker);
    net.run_for_ms(10_000);
    let refused = ClaimView {
        refused: Some(NameAnswer::Taken),
        ..waiting("flocks").unwrap()
    };
    assert_eq!(
        told(&net, ada, hers.entry).pop(),
        Some((String::new(), Some(refused.clone())))
    );
    let shown = post_at(&mut net, ada, hers.entry);
    assert_eq!(
        (shown.text.as_str(), shown.slug_claim),
        ("hers", Some(refused)),
        "the post is there"
    );
    assert_eq!(found(&mut net, ada, "flocks"), Some(his.entry));
    // Another one works, and the refused one is forgotten.
    assert_eq!(
        set(&mut net, ada, hers.entry, Some("murmurs")),
        Response::Done(CommandResult::Ok)
    );
    net.run_for_ms(5_000);
    let shown = post_at(&mut net, ada, hers.entry);
    assert_eq!((shown.beside.slug.as_str(), shown.slug_claim), ("murmurs", None));
    assert_eq!(found(&mut net, bob, "murmurs"), Some(hers.entry));
}

#[test]
fn a_slug_is_given_back_and_had_by_another_post() {
    let mut net = Network::new(seed());
    let (index, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, ada, worker);
    visit(&mut net, bob, worker);
    net.follow(bob, ada);
    net.run_for_ms(10_000);
    let (one, two) = (net.post(ada, "one"), net.post(ada, "two"));
    set(&mut net, ada, one.entry, Some("flocks"));
    net.run_for_ms(5_000);
    assert_eq!(
        found(&mut net, bob, "flocks"),
        Some(one.entry),
        "seed {}",
        net.seed
    );
    assert_eq!(
        set(&mut net, ada, two.entry, None),
        Response::Error(Error::NotFound),
        "it has none"
    );
    assert_eq!(
        set(&mut net, ada, one.entry, None),
        Response::Done(CommandResult::Ok)
    );
    net.run_for_ms(5_000);
    assert_eq!(post_at(&mut net, bob, one.entry).beside.slug, "");
    assert_eq!(found(&mut net, bob, "flocks"), None);
    set(&mut net, ada, two.entry, Some("flocks"));
    net.run_for_ms(5_000);
    assert_eq!(found(&mut net, bob, "flocks"), Some(two.entry));
    // Rebuilt views say the same.
    net.command(bob, Command::RebuildViews);
    net.run_for_ms(1_000);
    net.crash(index);
    net.crash(worker);
    net.run_for_ms(10_000);
    assert_eq!(found(&mut net, bob, "flocks"), Some(two.entry));
    assert_eq!(post_at(&mut net, bob, one.entry).beside.slug, "");
    assert_eq!(post_at(&mut net, bob, two.entry).beside.slug, "flocks");
}

#[test]
fn nobody_gets_a_slug_for_a_post_that_is_not_theirs() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, ada, worker);
    visit(&mut net, bob, worker);
    net.follow(bob, ada);
    net.run_for_ms(10_000);
    let hers = net.post(ada, "hers");
    net.run_for_ms(1_000);
    let refused = Response::Error(Error::NotFound);
    assert_eq!(set(&mut net, bob, hers.entry, Some("flocks")), refused);
    let account = me(&mut net, bob).account;
    let as_his = EntryRef {
        account,
        ..hers.entry
    };
    set(&mut net, bob, as_his, Some("flocks"));
    net.run_for_ms(5_000);
    assert!(net.registry.held.is_empty(), "the registry knows whose it is");
    assert_eq!(post_at(&mut net, ada, hers.entry).beside.slug, "");
}

#[test]
fn many_slugs_wait_and_all_are_decided_in_the_end() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let ada = net.person("Ada");
    let posts: Vec<_> = (0..100)
        .map(|n| published(&mut net, ada, &format!("{n}"), &format!("flock-{n}")))
        .collect();
    assert_eq!(
        publish(&mut net, ada, "more", "more"),
        Response::Error(Error::Busy)
    );
    assert_eq!(net.texts(ada, Timeline::Home).len(), 100, "nothing was published");
    net.run_for_ms(1_000);
    net.crash(ada);
    net.start(ada);
    net.run_for_ms(1_000);
    visit(&mut net, ada, worker);
    // The relay answers thirty questions a minute.
    net.run_for_ms(20 * 60_000);
    assert_eq!(net.registry.held.len(), 100, "seed {}", net.seed);
    for post in &posts {
        assert!(
            post_at(&mut net, ada, post.entry)
                .beside
                .slug
                .starts_with("flock-")
        );
    }
    // Refused claims make room for new ones.
    let bob = net.person("Bob");
    visit(&mut net, bob, worker);
    net.run_for_ms(10_000);
    for n in 0..101 {
        published(&mut net, bob, &format!("mine {n}"), &format!("flock-{}", n % 100));
        net.run_for_ms(3_000);
    }
}

#[test]
fn a_wish_that_is_not_wanted_any_more_leaves_nothing_behind() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let ada = net.person("Ada");
    let post = published(&mut net, ada, "post", "flocks");
    assert_eq!(
        set(&mut net, ada, post.entry, None),
        Response::Done(CommandResult::Ok)
    );
    assert_eq!(
        post_at(&mut net, ada, post.entry).slug_claim,
        None,
        "nobody had heard of it"
    );
    let claims = |net: &Network| {
        let rows = net.peers[ada].disk.view.rows(Table::Meta);
        rows.iter().filter(|(key, _)| key.starts_with(b"claim")).count()
    };
    assert_eq!(claims(&net), 0);
    // The registry decides, and its answer does not come back in time.
    visit(&mut net, ada, worker);
    net.run_for_ms(10_000);
    set(&mut net, ada, post.entry, Some("flocks"));
    set(&mut net, ada, post.entry, None);
    net.run_for_ms(10_000);
    assert!(
        net.registry.held.is_empty(),
        "it was taken back (seed {})",
        net.seed
    );
    assert_eq!(claims(&net), 0);
    let shown = post_at(&mut net, ada, post.entry);
    assert_eq!((shown.beside.slug.as_str(), shown.slug_claim), ("", None));
}

#[test]
fn slugs_of_another_registry_are_shown_to_nobody() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, bob, worker);
    net.run_for_ms(10_000);
    // Ada's relay keeps a registry of its own.
    net.registry.key = KeyPair::from_seed(&[0x66; 32]);
    let config = Config {
        runs_registry: true,
        ..open_relay(KeyPair::from_seed(&[0x67; 32]))
    };
    let other = net.add(config);
    net.input(other, Input::Registry(RegistryId(net.registry.key.public())));
    net.input(other, Input::Describe(Box::new(description("street", 2))));
    visit(&mut net, ada, other);
    net.run_for_ms(10_000);
    let post = published(&mut net, ada, "post", "flocks");
    net.run_for_ms(5_000);
    assert_eq!(
        post_at(&mut net, ada, post.entry).beside.slug,
        "flocks",
        "seed {}",
        net.seed
    );
    net.follow(bob, ada);
    net.connect(bob, ada);
    net.run_for_ms(10_000);
    let shown = post_at(&mut net, bob, post.entry);
    assert_eq!((shown.text.as_str(), shown.beside.slug.as_str()), ("post", ""));
}
