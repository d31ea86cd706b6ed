//! Half of the relays cut off from the other half, with real processes and real packets: both halves serve, only the
//! one with etcd's majority gives names, and all of it becomes one again. Prints what happened when, and proves that
//! the fault was there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine::api::{Command, Timeline};
use futures_util::future::{join_all, try_join_all};
use protocol::AccountId;
use protocol::messages::{Message, NameAsked};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameReceipt, NameRequest};
use starling_tests::etcd::Etcd;
use starling_tests::lan::{Lan, Site};
use starling_tests::link::{Link, Person};
use starling_tests::network::{Clock, copies, held, key, populate, repair, replicas, restored};
use starling_tests::wait::{DEADLINE, eventually};
use starling_tests::writer::{Backlog, Writer};
use starling_tests::{NativePeer, PeerOptions, Relay, RelayOptions, http};
use tokio::sync::watch;

/// How long the cable is out. `STARLING_CUT_S` shortens it for a look by hand.
const CUT: Duration = Duration::from_secs(120);
/// Relays at each site.
const HALF: usize = 3;
/// Pause between two posts of a user who writes all the time.
const PAUSE: Duration = Duration::from_millis(500);
/// A connection within the network takes less than a millisecond.
const REACHED_WITHIN: Duration = Duration::from_secs(3);
/// A registry that cannot decide says so earlier.
const ANSWERED_WITHIN: Duration = Duration::from_secs(25);
/// A claim that waits is repeated at least every two minutes.
const DECIDED_WITHIN: Duration = Duration::from_secs(150);
/// A relay that was cut off for long is dialled again with some patience.
const JOINED_WITHIN: Duration = Duration::from_secs(90);

fn cut_for() -> Result<Duration> {
    match std::env::var("STARLING_CUT_S") {
        Ok(text) => Ok(Duration::from_secs(text.parse().context("STARLING_CUT_S")?)),
        Err(_) => Ok(CUT),
    }
}

/// Relays of both sites, each told of the first, all with names in etcd.
async fn relays(lan: &Lan, etcd: &Etcd) -> Result<Vec<Relay>> {
    let mut relays: Vec<Relay> = Vec::new();
    for site in lan.sites().iter().flat_map(|site| [site; HALF]) {
        let registry = etcd.address();
        let mut args = vec!["--heartbeat-ms", "1000", "--repair-grace-s", "5"];
        args.extend(["--zone", site.name(), "--registry", &registry]);
        args.extend(["--registry-lead-s", "5", "--names-per-minute", "1000000"]);
        args.extend(["--sockets-per-address-max", "4096"]);
        let first = relays.first().map(Relay::join).transpose()?;
        if let Some(first) = &first {
            args.extend(first.iter().map(String::as_str));
        }
        let options = RelayOptions {
            args: args.into_iter().map(str::to_owned).collect(),
            site: Some(site.clone()),
            ..RelayOptions::default()
        };
        let relay = Relay::start_with(options).await?;
        relay.log().wait(0, "registry opened").await?;
        relays.push(relay);
    }
    Ok(relays)
}

/// How a relay sees all relays, by where they are.
async fn states(relay: &Relay) -> Result<BTreeMap<String, String>> {
    let text = http::get(relay.at(), "/api/network").await?.text();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&text).context(text)?;
    let state = |relay: &serde_json::Value| {
        let host = relay["url"].as_str()?.strip_prefix("http://")?;
        Some((host.to_owned(), relay["state"].as_str()?.to_owned()))
    };
    let states = listed.iter().map(state).collect::<Option<_>>();
    states.context("every relay has an address")
}

/// Which of these relays can be reached from a site: as many as there are, or none.
async fn reached(from: &Site, relays: &[Relay]) -> usize {
    let tries = relays.iter().map(|relay| async {
        let at = from.at(relay.address());
        tokio::time::timeout(REACHED_WITHIN, at.connect()).await
    });
    let tries = join_all(tries).await;
    tries.iter().filter(|tried| matches!(tried, Ok(Ok(_)))).count()
}

/// Asks a relay about names, once.
async fn ask(relay: &Relay, by: &Person, question: &NameQuestion) -> Result<NameAnswer> {
    let asking = async {
        let mut link = Link::open(relay.at(), by).await?;
        let (request, question) = (1, question.clone());
        link.send(&Message::NameQuestion(NameAsked { request, question }))
            .await?;
        loop {
            if let Message::NameAnswer(answered) = link.next().await? {
                return Ok(answered.answer);
            }
        }
    };
    let answer = tokio::time::timeout(ANSWERED_WITHIN, asking).await;
    answer.context("a question about a name is left without an answer")?
}

fn claim(person: &Person, name: &str) -> NameQuestion {
    NameQuestion::Request(NameRequest::issue(
        &person.device,
        person.certificate.clone(),
        name.to_owned(),
        None,
        NameAction::Claim,
        [7; 16],
        0,
    ))
}

fn look_up(name: &str) -> NameQuestion {
    NameQuestion::Lookup {
        slug: false,
        name: name.to_owned(),
    }
}

/// Asks a relay until it decides.
async fn decided(relay: &Relay, by: &Person, question: &NameQuestion) -> Result<NameAnswer> {
    eventually("a decision about a name", DEADLINE, || async {
        match ask(relay, by, question).await {
            Ok(NameAnswer::Unavailable) | Err(_) => None,
            Ok(answer) => Some(answer),
        }
    })
    .await
}

fn receipt(answer: NameAnswer) -> Result<NameReceipt> {
    match answer {
        NameAnswer::Held(receipt) => Ok(receipt),
        other => anyhow::bail!("not held: {other:?}"),
    }
}

/// A user who writes until stopped. Returns the number of posts.
fn writes_on(
    author: NativePeer,
    word: &'static str,
    stop: watch::Receiver<bool>,
) -> tokio::task::JoinHandle<Result<(NativePeer, usize)>> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PAUSE);
        let mut posts = 0;
        while !*stop.borrow() {
            ticks.tick().await;
            author.post(&format!("{word} {posts}")).await?;
            posts += 1;
        }
        author
            .wait("receipts", |seen| seen.status.not_durable == 0)
            .await?;
        Ok((author, posts))
    })
}

/// Asks all relays of a half for a name for as long as that; what they answered, counted.
async fn asks_in_vain(
    relays: &[Relay],
    person: &Person,
    question: &NameQuestion,
    stop: watch::Receiver<bool>,
) -> Result<BTreeMap<String, usize>> {
    let asking = relays.iter().map(|relay| {
        let stop = stop.clone();
        async move {
            let mut answers = Vec::new();
            while !*stop.borrow() {
                answers.push(match ask(relay, person, question).await? {
                    NameAnswer::Unavailable => "unavailable".to_owned(),
                    other => format!("{other:?}"),
                });
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(answers)
        }
    });
    let mut counted = BTreeMap::new();
    for answer in try_join_all(asking).await?.into_iter().flatten() {
        *counted.entry(answer).or_default() += 1;
    }
    Ok(counted)
}

/// The posts of an account that a peer holds.
async fn posts_of(reader: &NativePeer, author: AccountId) -> Result<Vec<String>> {
    let posts = reader.timeline(Timeline::User(author)).await?;
    Ok(posts.into_iter().rev().map(|post| post.text).collect())
}

/// What is not as it should be: accounts without the same three replicas everywhere, and those of which a replica
/// lacks entries.
async fn unlike(
    relays: &[Relay],
    keys: &[String],
    entries: &BTreeMap<AccountId, u64>,
) -> Result<BTreeMap<AccountId, String>> {
    let accounts: Vec<AccountId> = entries.keys().copied().collect();
    let holdings = try_join_all(relays.iter().map(|relay| held(relay, &accounts))).await?;
    let holdings: BTreeMap<&String, _> = keys.iter().zip(holdings).collect();
    let mut unlike = BTreeMap::new();
    for (account, entries) in entries {
        let kept = try_join_all(relays.iter().map(|relay| replicas(relay, *account))).await?;
        let holds = |replica| holdings.get(replica).and_then(|held| held.get(account));
        let holds: BTreeMap<_, _> = kept[0].iter().map(|replica| (replica, holds(replica))).collect();
        if kept[0].len() != 3 || kept.iter().any(|other| *other != kept[0]) {
            unlike.insert(*account, format!("is kept by {kept:?}"));
        } else if holds.values().any(|held| *held != Some(entries)) {
            unlike.insert(
                *account,
                format!("has {entries} entries, its replicas hold {holds:?}"),
            );
        }
    }
    Ok(unlike)
}

/// Waits until every account has the same three replicas everywhere, which hold all of it.
async fn become_alike(relays: &[Relay], entries: &BTreeMap<AccountId, u64>) -> Result<()> {
    let began = Instant::now();
    let keys = try_join_all(relays.iter().map(key)).await?;
    let mut left = entries.clone();
    loop {
        let unlike = unlike(relays, &keys, &left).await?;
        left.retain(|account, _| unlike.contains_key(account));
        if left.is_empty() {
            return Ok(());
        }
        ensure!(
            began.elapsed() < JOINED_WITHIN,
            "of {} accounts the replicas differ or lack entries: {:?}",
            unlike.len(),
            unlike.first_key_value()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halves_serve_apart_only_the_majority_gives_names_and_they_become_one_again() -> Result<()> {
    let test = "two_halves_serve_apart_only_the_majority_gives_names_and_they_become_one_again";
    let Some(lan) = Lan::of_own(test, ["east", "west"])? else {
        return Ok(());
    };
    let cut_for = cut_for()?;
    let time = Clock::new();
    let [east, west] = lan.sites();
    let etcd = Etcd::start_at(&[Some(east), Some(east), Some(west)]).await?;
    let relays = relays(&lan, &etcd).await?;
    let all: Vec<&Relay> = relays.iter().collect();
    let (at_east, at_west) = relays.split_at(HALF);
    let halves = [at_east, at_west];
    let hosts: BTreeSet<String> = relays.iter().map(Relay::host).collect();
    let alive: BTreeMap<String, String> = hosts
        .iter()
        .map(|host| (host.clone(), "alive".to_owned()))
        .collect();
    let united = || async {
        for relay in &relays {
            let repair = repair(relay).await.ok()?;
            let whole = repair["relays"] == relays.len() && repair["suspects_partition"] == false;
            (whole && repair["entries"] == 0 && states(relay).await.ok()? == alive).then_some(())?;
        }
        Some(())
    };
    eventually("all to know all", DEADLINE, united).await?;
    let leader = etcd.leader().await?;
    time.say(format!(
        "{HALF} relays in the east and {HALF} in the west know each other; etcd has two nodes in the east, one in the west, node {leader} leads"
    ));

    // People of before, and one person at each relay who reads through that relay alone.
    let mut entries = populate(&all, 0..120, 5).await?;
    for half in halves {
        restored(&half.iter().collect::<Vec<_>>(), &entries, 1).await?;
    }
    let person = |name: &'static str, site: &Site, stays| {
        let site = Some(site.clone());
        NativePeer::person_with(name, PeerOptions { site, stays })
    };
    let ada = person("Ada", east, false).await?;
    let bob = person("Bob", west, false).await?;
    let cleo = person("Cleo", west, false).await?;
    ada.link_with(&at_east[0]).await?;
    bob.link_with(&at_west[0]).await?;
    cleo.link_with(&at_west[1]).await?;
    let authors = [ada.me().await?.account, bob.me().await?.account];
    let mut readers = Vec::new();
    for relay in &relays {
        let site = if readers.len() < HALF { east } else { west };
        let reader = person("Reader", site, true).await?;
        for author in authors {
            reader.follow(author).await?;
        }
        reader.link_with(relay).await?;
        readers.push(reader);
    }
    for (author, text) in [(&ada, "from the east"), (&bob, "from the west")] {
        author.post(text).await?;
        for reader in &readers {
            let text = text.to_owned();
            reader
                .wait("a post of before", |seen| seen.posts.contains(&text))
                .await?;
        }
    }
    let early = Person::new(500);
    let first = receipt(decided(&at_west[0], &early, &claim(&early, "starling-one")).await?)?;
    ensure!(first.account == early.account);
    for site in [east, west] {
        ensure!(
            reached(site, &relays).await == relays.len(),
            "all are reached before the cut"
        );
    }
    time.say("120 people wrote; a name was given in the west; each relay is reached from both sites");

    lan.cut()?;
    let began = Instant::now();
    let marks: Vec<usize> = relays.iter().map(|relay| relay.log().mark()).collect();
    time.say("the cable is out");
    for (site, own, other) in [(east, at_east, at_west), (west, at_west, at_east)] {
        ensure!(reached(site, own).await == HALF, "its own half is reached");
        ensure!(reached(site, other).await == 0, "the fault took effect");
    }
    time.say("no relay of the other half is reached from either site, all of the own half are");
    let (stop, stopped) = watch::channel(false);
    let writing = [
        writes_on(ada, "east", stopped.clone()),
        writes_on(bob, "west", stopped.clone()),
    ];
    let cut_off = |own: &Relay| {
        let own = own.address().ip().to_string();
        let state = move |host: &String| match host.starts_with(&own) {
            true => "alive".to_owned(),
            false => "dead".to_owned(),
        };
        hosts
            .iter()
            .map(|host| (host.clone(), state(host)))
            .collect::<BTreeMap<_, _>>()
    };
    for relay in &relays {
        let noticed = || async {
            let suspects = repair(relay).await.ok()?["suspects_partition"] == true;
            (suspects && states(relay).await.ok()? == cut_off(relay)).then_some(())
        };
        eventually("a half to see the other as dead", DEADLINE, noticed).await?;
    }
    time.say("every relay sees the other half as dead and suspects a partition");

    // The minority is asked for names all the time; it must not answer.
    let (hopeful, rival) = (Person::new(501), Person::new(502));
    let (for_hopeful, for_rival) = (claim(&hopeful, "starling-two"), claim(&rival, "starling-six"));
    let (of_before, winner) = (look_up("starling-one"), Person::new(503));
    let minority = async {
        try_join_all([
            asks_in_vain(at_west, &hopeful, &for_hopeful, stopped.clone()),
            asks_in_vain(at_west, &rival, &for_rival, stopped.clone()),
            asks_in_vain(at_west, &early, &of_before, stopped.clone()),
        ])
        .await
    };
    let rest = async {
        cleo.command(Command::ClaimName {
            name: "wren".to_owned(),
        })
        .await?;
        let six = receipt(decided(&at_east[0], &winner, &claim(&winner, "starling-six")).await?)?;
        ensure!(six.account == winner.account);
        time.say(format!(
            "the east gives a name, {:.1} s after the cut",
            began.elapsed().as_secs_f64()
        ));
        for relay in at_east {
            let seen = receipt(decided(relay, &winner, &look_up("starling-one")).await?)?;
            ensure!(seen == first, "the east says another thing than before");
        }
        // New people in both halves, and those of before write on where they are.
        for (half, new) in halves.iter().zip([1_000..1_020, 2_000..2_020]) {
            let half: Vec<&Relay> = half.iter().collect();
            entries.extend(populate(&half, new, 5).await?);
        }
        let writing = (0..120).map(|n: u32| {
            let relay = &relays[n as usize % relays.len()];
            async move {
                let backlog = Backlog::new(n, 8, "hello");
                let account = backlog.account();
                Writer::link(relay, backlog).await?.write_all(16).await?;
                anyhow::Ok((account, 9))
            }
        });
        entries.extend(try_join_all(writing).await?);
        time.say("160 people wrote on, in both halves, and everything is signed for");
        tokio::time::sleep(cut_for.saturating_sub(began.elapsed())).await;
        for relay in &relays {
            let repair = repair(relay).await?;
            ensure!(
                repair["suspects_partition"] == true,
                "it still suspects a partition: {repair}"
            );
            ensure!(repair["relays"] == relays.len(), "nobody lost a share: {repair}");
            ensure!(states(relay).await? == cut_off(relay), "the cut lasts");
        }
        let _ = stop.send(true);
        Ok(())
    };
    let (asked, ()) = tokio::try_join!(minority, rest)?;
    for answers in &asked {
        let answers: Vec<&String> = answers.keys().collect();
        ensure!(answers == ["unavailable"], "the minority decided: {answers:?}");
    }
    let waits = cleo.me().await?.claim.context("the claim waits")?;
    ensure!((waits.name.as_str(), &waits.refused) == ("wren", &None));
    let mut written = Vec::new();
    let mut people = Vec::new();
    for author in writing {
        let (author, posts) = author.await??;
        people.push(author);
        written.push(posts);
    }
    let expected: Vec<Vec<String>> = ["east", "west"]
        .iter()
        .zip(&written)
        .map(|(word, posts)| {
            let before = format!("from the {word}");
            let posts = (0..*posts).map(|n| format!("{word} {n}"));
            [before].into_iter().chain(posts).collect()
        })
        .collect();
    for (n, reader) in readers.iter().enumerate() {
        let (own, other) = (n / HALF, 1 - n / HALF);
        let read = || async {
            let posts = posts_of(reader, authors[own]).await.ok()?;
            (posts == expected[own]).then_some(())
        };
        eventually("a reader to have the posts of its half", DEADLINE, read).await?;
        let posts = posts_of(reader, authors[other]).await?;
        ensure!(
            posts == expected[other][..1],
            "nothing of the other half came through: {posts:?}"
        );
    }
    ensure!(reached(east, at_west).await == 0 && reached(west, at_east).await == 0);
    time.say(format!(
        "{written:?} posts were written meanwhile, read at every relay of their own half and at none of the other; \
         the minority was asked {} times for names and always said that it cannot decide",
        asked.iter().flat_map(BTreeMap::values).sum::<usize>()
    ));
    let lasted = began.elapsed();
    ensure!(lasted >= cut_for);

    lan.heal()?;
    let healed = Instant::now();
    time.say(format!("the cable is in again, after {lasted:.1?}"));
    for site in [east, west] {
        let whole = || async { (reached(site, &relays).await == relays.len()).then_some(()) };
        eventually("all to be reached", DEADLINE, whole).await?;
    }
    eventually("the halves to become one", JOINED_WITHIN, united).await?;
    for (relay, mark) in relays.iter().zip(marks) {
        let trusts = relay.log().find(mark, "partition no longer suspected");
        ensure!(
            !trusts.is_empty(),
            "it says that it suspects no partition any more"
        );
    }
    time.say(format!(
        "every relay sees all others alive, {:.1} s after",
        healed.elapsed().as_secs_f64()
    ));
    for reader in &readers {
        for (author, expected) in authors.iter().zip(&expected) {
            let read = || async { (posts_of(reader, *author).await.ok()? == *expected).then_some(()) };
            eventually("every reader to have every post", DEADLINE, read).await?;
        }
    }
    time.say("every reader has all posts of both halves, in order");

    // Everybody's replicas are the same everywhere, and hold everything that was signed for.
    for author in authors {
        let most = try_join_all(relays.iter().map(|relay| held(relay, &authors))).await?;
        let most = most.iter().filter_map(|held| held.get(&author)).max();
        entries.insert(author, *most.context("a relay holds it")?);
    }
    become_alike(&relays, &entries).await?;
    let copies: usize = copies(&all, &entries).await?.values().sum();
    time.say(format!(
        "{} accounts have the same three replicas everywhere, which hold all of it ({copies} whole copies in all)",
        entries.len()
    ));

    // Names: what waited is decided, what was decided stays.
    let two = receipt(decided(&at_west[0], &hopeful, &for_hopeful).await?)?;
    ensure!(two.account == hopeful.account);
    let late = decided(&at_west[0], &rival, &for_rival).await?;
    ensure!(late == NameAnswer::Taken, "the rival is refused: {late:?}");
    for relay in &relays {
        for (name, holder) in [
            ("starling-one", &early),
            ("starling-two", &hopeful),
            ("starling-six", &winner),
        ] {
            let seen = receipt(decided(relay, &early, &look_up(name)).await?)?;
            ensure!(seen.account == holder.account, "{name} has two holders");
        }
    }
    let named = || async { (cleo.me().await.ok()?.handle == "wren").then_some(()) };
    eventually("the claim that waited", DECIDED_WITHIN, named).await?;
    time.say(format!(
        "names are the same everywhere; the claim that waited in the west was decided {:.1} s after healing",
        healed.elapsed().as_secs_f64()
    ));
    Ok(())
}
