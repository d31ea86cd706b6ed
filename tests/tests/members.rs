//! Who belongs to a network of relays, as its operators see it: invitations, relays that were not invited, expulsion,
//! and what is left of it when relays and their neighbours stop and start again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use engine::api::{Query, QueryResult};
use protocol::EntryRef;
use starling_tests::network::{key, states};
use starling_tests::relay::program;
use starling_tests::wait::eventually;
use starling_tests::{NativePeer, Relay, RelayOptions};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{connect_async, tungstenite};

/// Relays learn of each other within a few heartbeats.
const WITHIN: Duration = Duration::from_secs(20);

fn options(args: &[String]) -> RelayOptions {
    let mut all = vec!["--heartbeat-ms".to_owned(), "500".to_owned()];
    all.extend_from_slice(args);
    RelayOptions {
        args: all,
        ..RelayOptions::default()
    }
}

/// Of a relay that is no member of its network, and so not ready.
fn unready(args: &[String]) -> RelayOptions {
    RelayOptions {
        unready: true,
        ..options(args)
    }
}

async fn invited(by: &Relay) -> Result<Relay> {
    Relay::start_with(options(&by.join()?)).await
}

/// Told of a relay, and not invited.
async fn uninvited(of: &Relay) -> Result<Relay> {
    let join = ["--join".to_owned(), format!("http://{}", of.host())];
    Relay::start_with(unready(&join)).await
}

/// Waits until a relay lists these and no others, in these states.
async fn lists(relay: &Relay, expected: &[(&Relay, &str)]) -> Result<()> {
    let expected = expected
        .iter()
        .map(|(relay, state)| (relay.port(), (*state).to_owned()));
    let expected: BTreeMap<u16, String> = expected.collect();
    let is_so = async || (states(relay).await.ok()? == expected).then_some(());
    let seen = eventually(&format!("a list of {expected:?}"), WITHIN, is_so).await;
    match seen {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(format!("{:?}", states(relay).await))),
    }
}

/// A command with a relay's data folder: whether it succeeded, and what it printed.
fn command(relay: &Relay, args: &[&str]) -> Result<(bool, String)> {
    let mut command = std::process::Command::new(program()?);
    command.args(args).arg("--data-dir").arg(relay.data_dir());
    let output = command.stdin(std::process::Stdio::null()).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

#[tokio::test]
async fn an_invitation_makes_one_relay_a_member_and_those_without_one_are_guests_until_they_are_adopted()
-> Result<()> {
    let first = Relay::start_with(options(&[])).await?;
    let join = first.join()?;
    let second = Relay::start_with(options(&join)).await?;
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await?;

    // The same invitation once more, and none at all.
    let third = Relay::start_with(unready(&join)).await?;
    third.log().wait(0, "invitation refused").await?;
    let fourth = uninvited(&first).await?;
    fourth.log().wait(0, "link established").await?;
    let waits = async || {
        let (_, said) = command(&first, &["members"]).ok()?;
        let (third, fourth) = (key(&third).await.ok()?, key(&fourth).await.ok()?);
        (said.contains("adopt") && said.contains(&third) && said.contains(&fourth)).then_some(())
    };
    eventually("both to wait", WITHIN, waits).await?;
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await?;
    let (_, said) = command(&fourth, &["members"])?;
    ensure!(
        said.contains("No member of the network invites this relay"),
        "{said}"
    );
    let (_, said) = command(&third, &["members"])?;
    ensure!(said.contains("refused this relay's invitation"), "{said}");

    let (done, said) = command(&first, &["adopt", "--yes"])?;
    ensure!(
        !done && said.contains("name the keys"),
        "which of the two? {said}"
    );
    let (done, said) = command(&first, &["adopt", &key(&fourth).await?])?;
    ensure!(
        !done && said.contains("--yes"),
        "nobody is adopted unasked: {said}"
    );
    let (done, said) = command(&first, &["adopt", &key(&fourth).await?, "--yes"])?;
    ensure!(done, "{said}");
    for relay in [&first, &second, &fourth] {
        lists(
            relay,
            &[(&first, "alive"), (&second, "alive"), (&fourth, "alive")],
        )
        .await?;
    }
    let (_, said) = command(&second, &["members"])?;
    ensure!(said.contains(&key(&fourth).await?), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_expelled_relay_is_a_guest_whose_receipts_do_not_count() -> Result<()> {
    let first = Relay::start_with(options(&[])).await?;
    let second = invited(&first).await?;
    let third = invited(&second).await?;
    lists(
        &first,
        &[(&first, "alive"), (&second, "alive"), (&third, "alive")],
    )
    .await?;
    let name = key(&second).await?;
    let (done, said) = command(&first, &["expel", &name])?;
    ensure!(!done && said.contains("nothing was changed"), "{said}");
    ensure!(said.contains("No other member vouches for"), "{said}");
    let (done, said) = command(&first, &["expel", &name, "--yes"])?;
    ensure!(done, "{said}");
    lists(&first, &[(&first, "alive")]).await?;
    let knows = async || {
        let (_, said) = command(&second, &["members"]).ok()?;
        said.contains("expelled this one").then_some(())
    };
    eventually("the expelled one to know", WITHIN, knows).await?;

    // It stays without membership after a restart of the one that expelled it.
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&first).await?;
    ada.post("kept by whom?").await?;
    ada.wait("a receipt", |seen| seen.status.not_durable == 0).await?;
    let seen = ada.watch().borrow().status;
    ensure!(seen.relays == 1, "{seen:?}");
    Ok(())
}

/// A receipt that was lost on its way comes again with anti-entropy, every half minute.
const HEALED_WITHIN: Duration = Duration::from_secs(90);

/// How many relays a device counts as holders of a post.
async fn counted(peer: &NativePeer, post: EntryRef) -> Result<usize> {
    match peer.query(Query::Holders { post }).await? {
        QueryResult::Holders(holders) => {
            let kept = holders.iter().filter(|it| it.relay && it.withdrawn.is_none());
            Ok(kept.count())
        }
        other => bail!("{other:?}"),
    }
}

#[tokio::test]
async fn an_authors_posts_are_on_fewer_relays_when_one_is_expelled_and_on_as_many_with_another() -> Result<()>
{
    let first = Relay::start_with(options(&[])).await?;
    let second = invited(&first).await?;
    let third = invited(&first).await?;
    lists(
        &first,
        &[(&first, "alive"), (&second, "alive"), (&third, "alive")],
    )
    .await?;
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&first).await?;
    let post = ada.post("kept by whom?").await?.entry;
    let on = async |n: usize| {
        let is_so = async || (counted(&ada, post).await.ok()? == n).then_some(());
        eventually(&format!("the post on {n} relays"), HEALED_WITHIN, is_so).await
    };
    on(3).await?;
    let (done, said) = command(&first, &["expel", &key(&third).await?, "--yes"])?;
    ensure!(done, "{said}");
    on(2).await?;
    // The expelled one is linked, and signs for what is new: that does not count.
    let later = ada.post("and this one?").await?.entry;
    let is_there = async || (counted(&ada, later).await.ok()? == 2).then_some(());
    eventually("the next post on both", HEALED_WITHIN, is_there).await?;
    let fourth = invited(&first).await?;
    lists(
        &first,
        &[(&first, "alive"), (&second, "alive"), (&fourth, "alive")],
    )
    .await?;
    on(3).await?;
    ensure!(counted(&ada, later).await? == 3);
    Ok(())
}

/// A relay of the network has died, and an hour later nobody has heard of it: apps that it served are still admitted by
/// another one, which was started again meanwhile and was not told whom to join.
#[tokio::test]
async fn members_their_addresses_and_their_origins_survive_a_restart_alone() -> Result<()> {
    let mut first = Relay::start_with(options(&[])).await?;
    let mut second = invited(&first).await?;
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await?;
    let origin = format!("http://{}", second.host());
    second.kill().await?;
    first.stop().await?;
    first.restart().await?;
    lists(&first, &[(&first, "alive"), (&second, "dead")]).await?;
    let asked = async |origin: &str| {
        let mut request = format!("ws://{}/link", first.host()).into_client_request()?;
        request.headers_mut().insert("origin", origin.parse()?);
        match connect_async(request).await {
            Ok((_, answer)) => Ok::<u16, anyhow::Error>(answer.status().as_u16()),
            Err(tungstenite::Error::Http(answer)) => Ok(answer.status().as_u16()),
            Err(error) => Err(error.into()),
        }
    };
    ensure!(asked(&origin).await? == 101, "the app of a member");
    ensure!(asked("http://stranger.example").await? == 403, "another app");
    // It dials the member by itself, although its settings name nobody.
    second.restart().await?;
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await?;
    Ok(())
}

#[tokio::test]
async fn an_expelled_relay_does_not_come_back_with_an_earlier_invitation_and_another_one_may_use_it()
-> Result<()> {
    let first = Relay::start_with(options(&[])).await?;
    let mut second = uninvited(&first).await?;
    let (done, said) = command(&first, &["adopt", &key(&second).await?, "--yes"])?;
    ensure!(done, "{said}");
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await?;
    let unused = first.join()?;
    let (done, said) = command(&first, &["expel", &key(&second).await?, "--yes"])?;
    ensure!(done, "{said}");
    second.stop().await?;
    second.also(unused.clone());
    second.restart().await?;
    second.log().wait(0, "invitation refused").await?;
    lists(&first, &[(&first, "alive")]).await?;
    let third = Relay::start_with(options(&unused)).await?;
    lists(&first, &[(&first, "alive"), (&third, "alive")]).await
}

#[tokio::test]
async fn a_member_that_is_drained_and_stopped_has_left() -> Result<()> {
    let first = Relay::start_with(options(&[])).await?;
    let mut second = invited(&first).await?;
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await?;
    let (done, said) = command(&second, &["drain"])?;
    ensure!(done, "{said}");
    second.stop().await?;
    lists(&first, &[(&first, "alive"), (&second, "left")]).await?;
    second.restart().await?;
    lists(&first, &[(&first, "alive"), (&second, "alive")]).await
}
