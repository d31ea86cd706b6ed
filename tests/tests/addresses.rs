//! A relay that starts before its network offers the addresses it gets later, and those it has after a change.

use std::process::Command;

use anyhow::{Result, ensure};
use starling_tests::namespace::{self, Namespace};
use starling_tests::{Relay, RelayOptions};

const OFFERED: &str = "addresses offered to browsers over WebRTC";

fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(args).status()?;
    ensure!(status.success(), "ip {args:?}: {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_offered_as_interfaces_get_and_lose_them() -> Result<()> {
    let test = "addresses_are_offered_as_interfaces_get_and_lose_them";
    if !namespace::is_inside(Namespace::Network)? {
        return namespace::run(test, Namespace::Network);
    }
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", "net", "type", "bridge"])?;
    ip(&["link", "set", "net", "up"])?;
    let relay = Relay::start_with(RelayOptions::default()).await?;
    let offers = async |mark: usize, address: &str, absent: &str| {
        let line = relay.log().wait(mark, OFFERED).await?;
        ensure!(line.contains(address) && !line.contains(absent), "{line}");
        Ok(relay.log().mark())
    };
    let mark = offers(0, "127.0.0.1", "203.0.113.7").await?;
    ip(&["address", "add", "203.0.113.7/24", "dev", "net"])?;
    let mark = offers(mark, "203.0.113.7", "127.0.0.1").await?;
    ip(&["address", "del", "203.0.113.7/24", "dev", "net"])?;
    ip(&["address", "add", "10.1.2.3/24", "dev", "net"])?;
    let line = relay.log().wait(mark, "10.1.2.3").await?;
    ensure!(line.contains("--public-ip"), "{line}");
    Ok(())
}
