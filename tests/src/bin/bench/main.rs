//! The measuring half of `scripts/bench`: figures of real processes and real browsers.
//!
//! `bench NAME` prints one JSON object per figure on standard output and nothing else there.

mod authors;
mod beside;
mod client;
mod delivery;
mod durable;
mod fill;
mod gossip;
mod hostile;
mod mesh;
mod nostr;
mod registry;
mod relay;
mod sync;

use anyhow::{Result, bail};

#[tokio::main]
async fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "assign" => beside::run("examples/assign").await,
        // Two parts of `relay`, alone.
        "durable" => durable::rates().await,
        "nostr" => nostr::measure().await,
        "client" => client::measure().await,
        "delivery" => delivery::measure().await,
        "fill" => fill::measure(),
        "hostile" => hostile::measure().await,
        "gossip" => gossip::measure().await,
        "mesh" => mesh::measure().await,
        "registry" => registry::measure().await,
        "relay" => relay::measure().await,
        "storage" => beside::run("examples/storage").await,
        "sync" => sync::measure(),
        other => bail!("nothing measures {other:?} yet"),
    }
}
