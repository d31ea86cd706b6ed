//! Reverse proxies that are set up as people do it at first: the relay, its log and its doctor name the line to add.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use starling_tests::lan::Lan;
use starling_tests::link::{Link, Person};
use starling_tests::{Relay, RelayOptions, http, relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// People behind a proxy: one more than one address may have.
const PEOPLE: u8 = 65;

/// Whether what a relay logged since `mark` names this, once.
fn logged_once(relay: &Relay, mark: usize, needle: &str) -> Result<()> {
    let lines = relay.log().find(mark, needle);
    ensure!(lines.len() == 1, "{needle}: {lines:?}");
    Ok(())
}

/// Everybody's link through the proxy at `site`, or why one of them has none.
async fn people(relay: &Relay, lan: &Lan) -> Result<Vec<Link>> {
    let at = lan.sites()[1].at(relay.address());
    let mut links = Vec::new();
    for n in 0..PEOPLE {
        let person = Person::new(u32::from(n));
        let client = IpAddr::from(Ipv4Addr::new(198, 51, 100, n));
        let opened = Link::open_from(at.clone(), &person, Some(client)).await;
        let mut link = opened.with_context(|| format!("person {n}"))?;
        link.holds(&[person.account]).await?;
        links.push(link);
    }
    Ok(links)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_another_container_is_named_and_trusted_by_its_network() -> Result<()> {
    let test = "a_proxy_in_another_container_is_named_and_trusted_by_its_network";
    let Some(lan) = Lan::of_own(test, ["relay", "proxy"])? else {
        return Ok(());
    };
    let options = RelayOptions {
        site: Some(lan.sites()[0].clone()),
        ..RelayOptions::default()
    };
    let mut relay = Relay::start_with(options).await?;
    let refused = people(&relay, &lan)
        .await
        .err()
        .context("all of them are one address")?;
    ensure!(format!("{refused:#}").contains("429"), "{refused:#}");
    let line = format!("--trusted-proxy {}", lan.sites()[1].ip());
    let forwarded = [("X-Forwarded-For", "198.51.100.200")];
    http::get_with(lan.sites()[1].at(relay.address()), "/api/relay", &forwarded).await?;
    logged_once(&relay, 0, &line)?;

    relay.stop().await?;
    relay.also(["--trusted-proxy", "10.83.0.0/24"].map(str::to_owned));
    let mark = relay.log().mark();
    relay.restart().await?;
    let links = people(&relay, &lan).await?;
    ensure!(links.len() == usize::from(PEOPLE));
    ensure!(relay.log().find(mark, "set up wrongly").is_empty());
    Ok(())
}

/// A proxy as nginx is without `proxy_set_header Host`: it requests what its settings call the server.
async fn without_host(server: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move { carry(client, server, &address.to_string()).await });
        }
    });
    Ok(address)
}

async fn carry(mut client: TcpStream, server: SocketAddr, name: &str) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head)?.replace(&format!("ost: {name}"), &format!("ost: {server}"));
    let mut upstream = TcpStream::connect(server).await?;
    upstream.write_all(head.as_bytes()).await?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// What the doctor says of the relay that runs, at this address of it.
async fn doctor(relay: &Relay, advertised: SocketAddr) -> Result<String> {
    let output = Command::new(relay::program()?)
        .arg("doctor")
        .args(["--listen", &relay.host()])
        .args(["--advertise", &format!("http://{advertised}")])
        .arg("--data-dir")
        .arg(relay.data_dir())
        .stdin(Stdio::null())
        .output()
        .await?;
    Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_forwards_no_host_is_named_with_the_line_to_add() -> Result<()> {
    let relay = Relay::start_with(RelayOptions::default()).await?;
    let line = "proxy_set_header Host $http_host;";
    let well = doctor(&relay, relay.address()).await?;
    ensure!(
        well.contains("can connect to the relay") && !well.contains(line),
        "{well}"
    );
    ensure!(relay.log().find(0, line).is_empty());
    let proxy = without_host(relay.address()).await?;
    for _ in 0..2 {
        let said = doctor(&relay, proxy).await?;
        ensure!(said.contains("WRONG pages of") && said.contains(line), "{said}");
    }
    logged_once(&relay, 0, line)
}
