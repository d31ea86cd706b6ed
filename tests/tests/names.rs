//! Names and slugs, with real relays and a real etcd: one winner each, whichever relay or etcd node dies meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine::api::{Command, Query, QueryResult};
use protocol::entry::{Header, Position};
use protocol::kinds::{Body, Post};
use protocol::messages::{Message, NameAsked};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest, RegistryId};
use protocol::{AccountId, VerifiedEntry, codec};
use rustix::process::Signal;
use starling_tests::certificates::Certificates;
use starling_tests::etcd::Etcd;
use starling_tests::link::{Link, Person, WRITTEN, name_request};
use starling_tests::proxy::Proxy;
use starling_tests::wait::{DEADLINE, eventually};
use starling_tests::{NativePeer, Relay, RelayOptions, http, process};

fn args(args: &[&str]) -> RelayOptions {
    RelayOptions {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        ..RelayOptions::default()
    }
}

/// Relays that keep their names in `etcd`, each told of the first.
async fn index_relays(n: usize, etcd: &Etcd, more: &[&str]) -> Result<Vec<Relay>> {
    let address = etcd.address();
    let mut relays: Vec<Relay> = Vec::new();
    for _ in 0..n {
        let first = relays.first().map(Relay::join).transpose()?;
        // Clients here do no work, so what is asked must not be much of what is allowed.
        let mut all = vec![
            "--registry",
            &address,
            "--names-per-minute",
            "1000000",
            "--claims-per-minute",
            "1000000",
        ];
        all.extend(more);
        if let Some(first) = &first {
            all.extend(first.iter().map(String::as_str));
        }
        let relay = Relay::start_with(args(&all)).await?;
        relay.log().wait(0, "registry opened").await?;
        relays.push(relay);
    }
    Ok(relays)
}

/// Letters that are nobody's double.
fn name(n: usize) -> String {
    let letter = |place: usize| char::from(b"abcdefghjknpqrst"[n >> (4 * place) & 15]);
    (0..3).map(letter).chain("-bird".chars()).collect()
}

/// One question and its answer, as the client saw it.
#[derive(Clone, Debug)]
struct Asked {
    name: usize,
    /// `None`: a lookup.
    by: Option<AccountId>,
    asked: Instant,
    answered: Instant,
    answer: NameAnswer,
}

/// A person with a link to one of several relays.
struct Client {
    ports: Vec<u16>,
    me: Person,
    link: Option<Link>,
    request: u32,
}

impl Client {
    fn new(n: u32, ports: &[u16]) -> Self {
        let mut ports = ports.to_vec();
        let len = ports.len();
        ports.rotate_left(n as usize % len);
        Self {
            ports,
            me: Person::new(900_000 + n),
            link: None,
            request: 0,
        }
    }

    /// Asks until there is an answer that decides, going from relay to relay.
    async fn ask(&mut self, question: NameQuestion) -> NameAnswer {
        loop {
            match self.try_ask(&question).await {
                Ok(NameAnswer::Unavailable | NameAnswer::TooFast) => tokio::time::sleep(PAUSE).await,
                Ok(answer) => return answer,
                Err(_) => {
                    self.link = None;
                    self.ports.rotate_left(1);
                }
            }
        }
    }

    async fn try_ask(&mut self, question: &NameQuestion) -> Result<NameAnswer> {
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(Link::open(self.ports[0], &self.me).await?),
        };
        self.request += 1;
        let request = self.request;
        let question = question.clone();
        link.send(&Message::NameQuestion(NameAsked { request, question }))
            .await?;
        loop {
            if let Message::NameAnswer(answered) = link.next().await?
                && answered.request == request
            {
                return Ok(answered.answer);
            }
        }
    }
}

/// Pause between two attempts of a client that has to try again later.
const PAUSE: Duration = Duration::from_millis(50);

/// Every other one is the slug of a post.
fn is_slug(n: usize) -> bool {
    n % 2 == 1
}

fn lookup(n: usize) -> NameQuestion {
    let (slug, name) = (is_slug(n), name(n));
    NameQuestion::Lookup { slug, name }
}

/// The header of a person's post.
fn post(person: &Person, n: usize) -> Header {
    let at = Position {
        seq: n as u64 + 1,
        ..Position::default()
    };
    let body = Body::Post(Post {
        text: name(n),
        reply: None,
    });
    let entry = VerifiedEntry::create(&person.device, at, person.account, WRITTEN, &body);
    entry.header().clone()
}

fn claim(person: &Person, n: usize) -> NameQuestion {
    let (certificate, nonce) = (person.certificate.clone(), [7; 16]);
    let (action, post) = (NameAction::Claim, is_slug(n).then(|| post(person, n)));
    let request = NameRequest::issue(&person.device, certificate, name(n), post, action, nonce, 0);
    NameQuestion::Request(request)
}

/// Whether all answers could have come from one register per name that is written once (Herlihy and Wing,
/// "Linearizability", 1990), and that of one registry: one winner; no answer is "taken" before the winner asked, and
/// none is "free" after the winner got its answer.
fn is_linearizable(history: &[Asked]) -> Result<BTreeMap<usize, AccountId>> {
    let mut winners: BTreeMap<usize, &Asked> = BTreeMap::new();
    let mut registry: Option<RegistryId> = None;
    for asked in history {
        let NameAnswer::Held(receipt) = &asked.answer else {
            continue;
        };
        receipt.verify()?;
        let one = *registry.get_or_insert(receipt.registry);
        ensure!(receipt.registry == one, "two registries give out names");
        ensure!(receipt.name == name(asked.name), "a receipt for another name");
        ensure!(receipt.post.is_some() == is_slug(asked.name), "a name is no slug");
        if Some(receipt.account) == asked.by {
            let before = winners.insert(asked.name, asked);
            ensure!(before.is_none(), "{} has two winners", name(asked.name));
        }
    }
    for asked in history {
        let winner = winners
            .get(&asked.name)
            .with_context(|| format!("nobody has {}", name(asked.name)))?;
        match &asked.answer {
            NameAnswer::Held(receipt) => {
                ensure!(Some(receipt.account) == winner.by, "a receipt is contradicted");
                ensure!(winner.asked <= asked.answered, "known before it was asked for");
            }
            NameAnswer::Taken => ensure!(winner.asked <= asked.answered, "taken before anybody asked"),
            NameAnswer::Free => ensure!(asked.asked <= winner.answered, "free after it was claimed"),
            other => anyhow::bail!("{other:?}"),
        }
    }
    Ok(winners
        .into_iter()
        .filter_map(|(name, asked)| Some((name, asked.by?)))
        .collect())
}

#[tokio::test]
async fn five_hundred_names_and_slugs_have_one_winner_each_while_an_index_relay_and_the_leader_of_etcd_die()
-> Result<()> {
    const NAMES: usize = 500;
    const CLIENTS: u32 = 8;
    let mut etcd = Etcd::start(3).await?;
    let mut relays = index_relays(3, &etcd, &[]).await?;
    let ports: Vec<u16> = relays.iter().map(Relay::port).collect();
    let began = Instant::now();
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (ports, done) = (ports.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut client = Client::new(n, &ports);
                let mut history = Vec::new();
                for at in 0..NAMES {
                    // Half of them come from the other end, and all look before and after.
                    let at = if n % 2 == 0 { at } else { NAMES - 1 - at };
                    let person = Person::new(n * NAMES as u32 + at as u32);
                    let look = || lookup(at);
                    for (by, question) in [
                        (None, look()),
                        (Some(person.account), claim(&person, at)),
                        (None, look()),
                    ] {
                        let asked = Instant::now();
                        let answer = client.ask(question).await;
                        history.push(Asked {
                            name: at,
                            by,
                            asked,
                            answered: Instant::now(),
                            answer,
                        });
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                history
            })
        })
        .collect();
    let all = NAMES * CLIENTS as usize;
    let part = |part: usize| {
        let done = Arc::clone(&done);
        async move {
            let reached = || async { (done.load(Ordering::Relaxed) >= all * part / 10).then_some(()) };
            eventually("claims to go on", Duration::from_secs(120), reached).await
        }
    };
    let says = |what: &str| println!("{:6.2} s  {what}", began.elapsed().as_secs_f64());
    part(3).await?;
    relays[2].kill().await?;
    says("an index relay was killed");
    part(6).await?;
    let leader = etcd.leader().await?;
    etcd.kill(leader).await?;
    says("the leader of etcd was killed");
    let mut history = Vec::new();
    for client in clients {
        history.extend(client.await?);
    }
    says("everybody has an answer");
    ensure!(!relays[2].is_running(), "the relay is dead");
    let next = etcd.leader().await?;
    ensure!(next != leader, "another relay leads");
    let winners = is_linearizable(&history)?;
    assert_eq!(winners.len(), NAMES);
    // The relay that comes back, and the node, say the same.
    etcd.restart(leader)?;
    relays[2].restart().await?;
    let mut late = Client::new(2, &ports[2..]);
    for (at, winner) in &winners {
        match late.ask(lookup(*at)).await {
            NameAnswer::Held(receipt) => assert_eq!(receipt.account, *winner),
            other => panic!("{other:?}"),
        }
    }
    says("the relay that came back says the same");
    Ok(())
}

#[tokio::test]
async fn one_persons_slugs_are_counted_right_through_three_relays_at_once() -> Result<()> {
    const EACH: usize = 10;
    let etcd = Etcd::start(1).await?;
    let relays = index_relays(3, &etcd, &[]).await?;
    let ports: Vec<u16> = relays.iter().map(Relay::port).collect();
    let clients: Vec<_> = (0..3)
        .map(|n| {
            let ports = ports.clone();
            tokio::spawn(async move {
                let mut client = Client::new(n, &ports);
                let ada = Person::new(7);
                for at in 0..EACH {
                    let at = 2 * (n as usize * EACH + at) + 1;
                    let answer = client.ask(claim(&ada, at)).await;
                    let NameAnswer::Held(receipt) = answer else {
                        panic!("{answer:?}");
                    };
                    assert_eq!(receipt.post, Some(post(&ada, at).id()));
                }
            })
        })
        .collect();
    for client in clients {
        client.await?;
    }
    let ada = Person::new(7).account;
    let count = etcd
        .value(&[b"starling/c/", ada.as_bytes().as_slice()].concat())
        .await?;
    let count: u32 = codec::decode(&count.context("a count")?)?;
    assert_eq!(count, 3 * EACH as u32);
    Ok(())
}

#[tokio::test]
async fn a_leader_that_was_paused_beyond_its_lease_changes_nothing_when_it_wakes() -> Result<()> {
    let etcd = Etcd::start(1).await?;
    let quick = ["--registry-lead-s", "3", "--registry-sweep-s", "1"];
    let relays = index_relays(2, &etcd, &quick).await?;
    let began = Instant::now();
    let says = |what: &str| println!("{:6.2} s  {what}", began.elapsed().as_secs_f64());
    let leads = |relay: &Relay| !relay.log().find(0, "registry leadership acquired").is_empty();
    let first = eventually("one of them to lead", DEADLINE, || async {
        relays.iter().position(leads)
    })
    .await?;
    let (old, new) = (&relays[first], &relays[1 - first]);
    old.log().wait(0, "expired names swept").await?;
    assert!(!leads(new), "one leads at a time");
    let pid = old.pid().context("it runs")?;
    process::signal(pid, Signal::STOP);
    let paused = Instant::now();
    says("the leader is paused");
    new.log().wait(0, "registry leadership acquired").await?;
    says("the other leads");
    let mark = new.log().mark();
    new.log().wait(mark, "expired names swept").await?;
    // Three times the lease: the pause ends long after the other took over.
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(paused.elapsed())).await;
    let mark = old.log().mark();
    process::signal(pid, Signal::CONT);
    says("the old leader wakes");
    let line = old.log().wait(mark, "registry leadership lost").await?;
    says(&line);
    ensure!(line.contains("the lock is lost"), "{line}");
    let swept = old.log().find(mark, "expired names swept");
    ensure!(swept.is_empty(), "a stale leader wrote: {swept:?}");
    Ok(())
}

/// A person's request for the only name, with this known revision.
fn asks(person: &Person, action: NameAction, nonce: u8, known: u64) -> NameQuestion {
    name_request(person, &name(0), action, nonce, known)
}

#[tokio::test]
async fn what_etcd_did_and_could_not_say_is_done_once_and_answered_as_it_was_done() -> Result<()> {
    let etcd = Arc::new(Etcd::start(1).await?);
    let proxy = Proxy::before(etcd.first()).await?;
    let registry = format!("etcd://127.0.0.1:{}", proxy.port());
    let relay = Relay::start_with(args(&["--registry", &registry])).await?;
    let (ada, bob) = (Person::new(1), Person::new(2));
    let offer = NameAction::Offer {
        to: Some(bob.account),
    };
    let (mut client, mut known) = (Client::new(1, &[relay.port()]), 0);
    let steps = [
        (&ada, NameAction::Claim),
        (&ada, NameAction::Release),
        (&ada, NameAction::Claim),
        (&ada, offer),
        (&bob, NameAction::Claim),
    ];
    for (changes, (person, action)) in (1..).zip(steps) {
        let question = asks(person, action.clone(), changes, known);
        let (owner, released) = (person.account, action == NameAction::Release);
        let made = u64::from(changes);
        let witness = Arc::clone(&etcd);
        proxy.lose_answers_if(move || {
            let etcd = Arc::clone(&witness);
            Box::pin(async move {
                let changes = etcd.changes(b"starling/n/").await.ok().flatten();
                changes.is_some_and(|(_, version)| version == made)
            })
        });
        let answering = tokio::spawn(async move {
            let answer = client.ask(question.clone()).await;
            (client, question, answer)
        });
        let done = || async {
            let (revision, version) = etcd.changes(b"starling/n/").await.ok()??;
            (version == made).then_some(revision)
        };
        let revision = eventually("etcd to do it", DEADLINE, done).await?;
        ensure!(!answering.is_finished(), "the answer was lost: {action:?}");
        proxy.cut();
        let (question, answer);
        (client, question, answer) = answering.await?;
        let again = client.ask(question).await;
        ensure!(again == answer, "asked again: {again:?} instead of {answer:?}");
        match answer {
            NameAnswer::Held(receipt) if !released => {
                assert_eq!(
                    (receipt.account, receipt.revision),
                    (owner, revision),
                    "{action:?}"
                );
            }
            NameAnswer::Free if released => {}
            other => anyhow::bail!("{action:?}: {other:?}"),
        }
        let now = etcd.changes(b"starling/n/").await?;
        assert_eq!(now, Some((revision, made)), "{action:?} was done once");
        known = revision;
        println!("{action:?} was done at {revision}, and answered so");
    }
    Ok(())
}

#[tokio::test]
async fn a_replayed_request_does_nothing_with_names_in_etcd_either() -> Result<()> {
    let etcd = Etcd::start(1).await?;
    let quick = ["--name-rest-days", "0", "--registry-sweep-s", "1"];
    let relays = index_relays(1, &etcd, &quick).await?;
    let mut client = Client::new(1, &[relays[0].port()]);
    let (ada, bob) = (Person::new(1), Person::new(2));
    let held = |answer: NameAnswer| match answer {
        NameAnswer::Held(receipt) => Ok(receipt),
        other => anyhow::bail!("{other:?}"),
    };
    let offer = |to| NameAction::Offer { to };
    let claimed = asks(&ada, NameAction::Claim, 1, 0);
    let first = held(client.ask(claimed.clone()).await)?;
    let offered = asks(&ada, offer(Some(bob.account)), 2, first.revision);
    let known = held(client.ask(offered.clone()).await)?.revision;
    let known = held(client.ask(asks(&ada, offer(None), 3, known)).await)?.revision;
    let repeated = client.ask(offered.clone()).await;
    ensure!(matches!(repeated, NameAnswer::Outdated(_)), "{repeated:?}");
    let his = client.ask(asks(&bob, NameAction::Claim, 4, known)).await;
    ensure!(his == NameAnswer::Taken, "the offer was withdrawn: {his:?}");
    let released = asks(&ada, NameAction::Release, 5, known);
    ensure!(client.ask(released).await == NameAnswer::Free);
    let forgotten = || async { etcd.changes(b"starling/n/").await.ok()?.is_none().then_some(()) };
    eventually("the name to be forgotten", DEADLINE, forgotten).await?;
    let NameAnswer::Outdated(mark) = client.ask(claimed).await else {
        anyhow::bail!("a name that was given back is had again");
    };
    ensure!(etcd.changes(b"starling/n/").await?.is_none(), "nothing was done");
    mark.verify()?;
    assert_eq!(mark.registry, first.registry);
    let today = held(client.ask(asks(&bob, NameAction::Claim, 6, mark.revision)).await)?;
    assert_eq!(today.account, bob.account);
    Ok(())
}

#[tokio::test]
async fn an_index_relay_is_ready_while_it_reaches_its_registry_and_serves_people_all_the_time() -> Result<()>
{
    let mut etcd = Etcd::start(1).await?;
    let relay = Relay::start_with(args(&["--registry", &etcd.address()])).await?;
    let ready = |ready: bool| {
        let at = relay.at();
        async move {
            let answer = http::get(at, "/readyz").await.ok()?;
            ((answer.status == 200) == ready).then(|| answer.text())
        }
    };
    etcd.kill(0).await?;
    let said = eventually("the relay to be unready", DEADLINE, || ready(false)).await?;
    ensure!(said.contains("the registry cannot be reached"), "{said}");
    ensure!(http::get(relay.at(), "/healthz").await?.status == 200, "it lives");
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&relay).await?;
    ada.post("without a registry").await?;
    ada.wait("its receipt", |seen| seen.status.not_durable == 0)
        .await?;
    etcd.restart(0)?;
    eventually("the relay to be ready again", DEADLINE, || ready(true)).await?;
    Ok(())
}

/// Once the peer has this name.
async fn has(peer: &NativePeer, name: &str) -> Option<()> {
    let me = peer.me().await.ok()?;
    (me.handle == name).then_some(())
}

#[tokio::test]
async fn without_any_index_relay_everything_but_claims_goes_on_and_claims_wait() -> Result<()> {
    let mut index = Relay::start_with(args(&["--roles", "index,signal", "--heartbeat-ms", "1000"])).await?;
    let join = index.join()?[1].clone();
    let worker = Relay::start_with(args(&["--join", &join, "--heartbeat-ms", "1000"])).await?;
    worker.log().wait(0, "link established").await?;
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    ada.link_with(&worker).await?;
    bob.link_with(&worker).await?;
    bob.follow(ada.me().await?.account).await?;
    let claim = |name: &str| Command::ClaimName {
        name: name.to_owned(),
    };
    ada.command(claim("ada")).await?;
    eventually("Ada's name", DEADLINE, || has(&ada, "ada")).await?;

    index.kill().await?;
    bob.command(claim("bob")).await?;
    ada.post("while nobody keeps names").await?;
    bob.wait("the post", |seen| seen.posts == ["while nobody keeps names"])
        .await?;
    ada.wait("its receipt", |seen| seen.status.not_durable == 0)
        .await?;
    let account = ada.me().await?.account;
    let known = || async {
        match bob.query(Query::Profile { account }).await {
            Ok(QueryResult::Profile(profile)) => (profile.handle == "ada").then_some(()),
            _ => None,
        }
    };
    eventually("her name, from her feed", DEADLINE, known).await?;
    let waits = bob.me().await?.claim.context("the claim waits")?;
    assert_eq!((waits.name.as_str(), waits.refused), ("bob", None));

    index.restart().await?;
    // It may have been tried just before.
    eventually("Bob's name", Duration::from_secs(180), || has(&bob, "bob")).await?;
    assert_eq!(bob.me().await?.claim, None);
    Ok(())
}

/// The output of `relay-node route` about an account.
async fn route(user: &str, at: &Relay) -> Result<(bool, String)> {
    let output = tokio::process::Command::new(starling_tests::relay::program()?)
        .args(["route", user, "--explain", "--at"])
        .arg(format!("http://127.0.0.1:{}", at.port()))
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

#[tokio::test]
async fn people_are_routed_to_by_their_names_and_dead_relays_delay_nobody() -> Result<()> {
    let weights = ["--heartbeat-ms", "1000", "--routing-distance", "0.5"];
    let index = Relay::start_with(args(&weights)).await?;
    let join = index.join()?[1].clone();
    let worker = Relay::start_with(args(&["--join", &join, "--heartbeat-ms", "1000"])).await?;
    worker.log().wait(0, "link established").await?;
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&worker).await?;
    ada.command(Command::ClaimName {
        name: "ada".to_owned(),
    })
    .await?;
    eventually("Ada's name", DEADLINE, || has(&ada, "ada")).await?;
    let account = ada.me().await?.account.to_string();
    let (_, by_account) = route(&account, &index).await?;
    // Both relays are asked the same: the one that keeps names, and the one that asks it.
    for relay in [&index, &worker] {
        for user in ["ada", "@ada", "http://localhost:1/@ada"] {
            let (found, said) = route(user, relay).await?;
            ensure!(found && said.contains("first"), "{user}: {said}");
        }
    }
    ensure!(by_account.contains("0.5 × "), "the relay's weights: {by_account}");
    ensure!(by_account.contains("its browsers rank by them"), "{by_account}");
    let (found, said) = route("@nobody-at-all", &worker).await?;
    ensure!(!found && said.contains("nobody has that name"), "{said}");
    // One that hangs is still taken for alive by the others.
    let pid = worker.pid().context("it runs")?;
    process::signal(pid, Signal::STOP);
    let (found, said) = route("@ada", &index).await?;
    process::signal(pid, Signal::CONT);
    ensure!(found && said.matches("not reached").count() == 1, "{said}");
    Ok(())
}

/// etcd's own tool, as an operator uses it.
async fn etcdctl(etcd: &Etcd, certificates: &Certificates, words: &[&str]) -> Result<()> {
    let output = tokio::process::Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &etcd.address().replace("etcds://", "https://")])
        .arg("--cacert")
        .arg(&certificates.authority)
        .arg("--cert")
        .arg(&certificates.certificate)
        .arg("--key")
        .arg(&certificates.key)
        .args(words)
        .output()
        .await
        .context("etcdctl cannot be run (Debian has it in etcd-client)")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "etcdctl {words:?}: {said}");
    Ok(())
}

#[tokio::test]
async fn names_are_kept_in_an_etcd_that_wants_tls_a_certificate_and_a_password_and_no_other_relay_gets_in()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::make(folder.path())?;
    let etcd = Etcd::start_with(certificates.clone()).await?;
    // A user that may do what operations.md says is needed, and nothing else.
    for words in [
        &["user", "add", "root:of all"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "names"],
        &[
            "role",
            "grant-permission",
            "names",
            "--prefix=true",
            "readwrite",
            "starling/",
        ],
        &["user", "add", "starling:a secret"],
        &["user", "grant-role", "starling", "names"],
        &["auth", "enable"],
    ] {
        etcdctl(&etcd, &certificates, words).await?;
    }
    let address = etcd.address();
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let tls = [
        "--registry-ca".to_owned(),
        path(&certificates.authority),
        "--registry-cert".to_owned(),
        path(&certificates.certificate),
        "--registry-key".to_owned(),
        path(&certificates.key),
    ];
    let start = |registry: &str, more: &[String], password: &str, unready| {
        let mut args = vec!["--registry".to_owned(), registry.to_owned()];
        args.extend(["--registry-user", "starling", "--registry-lead-s", "3"].map(str::to_owned));
        args.extend(more.iter().cloned());
        Relay::start_with(RelayOptions {
            args,
            env: vec![("STARLING_REGISTRY_PASSWORD".to_owned(), password.to_owned())],
            unready,
            ..RelayOptions::default()
        })
    };
    let relay = start(&address, &tls, "a secret", false).await?;
    relay.log().wait(0, "registry opened").await?;
    relay.log().wait(0, "expired names swept").await?;
    let ada = Person::new(1);
    let port = relay.port();
    let NameAnswer::Held(receipt) = Client::new(1, &[port]).ask(claim(&ada, 0)).await else {
        anyhow::bail!("it is not given");
    };
    assert_eq!(receipt.account, ada.account);

    // A relay that lacks one of the three logs what is wrong, and its claims wait.
    let plain = address.replace("etcds://", "etcd://");
    for (what, registry, more, password, says) in [
        (
            "the password",
            &address,
            &tls[..],
            "a guess",
            "authentication failed",
        ),
        ("the authority", &address, &tls[2..], "a secret", "UnknownIssuer"),
        (
            "the certificate",
            &address,
            &tls[..2],
            "a secret",
            "--registry-cert",
        ),
        ("TLS", &plain, &[][..], "a secret", "etcds://"),
    ] {
        let relay = start(registry, more, password, true).await?;
        let line = relay.log().wait(0, "registry cannot be opened").await?;
        println!("without {what}: {line}");
        ensure!(line.contains(says), "without {what}: {line}");
        // Before that it says what else it waits for.
        let refuses = || async {
            let ready = http::get(relay.at(), "/readyz").await.ok()?;
            let said = ready.status == 503 && ready.text().contains("the registry cannot be reached");
            said.then_some(())
        };
        eventually(
            &format!("without {what}: readyz to name the registry"),
            Duration::from_secs(30),
            refuses,
        )
        .await?;
        let mut client = Client::new(2, &[relay.port()]);
        let bob = claim(&Person::new(2), 2);
        assert_eq!(
            client.try_ask(&bob).await?,
            NameAnswer::Unavailable,
            "without {what}"
        );
        let opened = relay.log().find(0, "registry opened");
        assert!(opened.is_empty(), "without {what}");
    }
    let answer = Client::new(3, &[port]).ask(lookup(0)).await;
    assert_eq!(answer, NameAnswer::Held(receipt));
    Ok(())
}
