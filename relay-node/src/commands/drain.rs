//! Emptying a relay before it is stopped for good: `relay-node drain` tells the running one by a signal, which only
//! its own user and root may send, and follows how far it is.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::config::Settings;
use crate::web::{ListedRelay, Repair};
use native::data_dir;
use native::network::RelayUrl;

/// Interval between two requests for the progress.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells the relay that uses these settings' data folder to drain, and waits until it has.
///
/// # Errors
/// If no relay uses the folder, or it stops meanwhile.
pub fn ask(settings: &Settings, url: &RelayUrl) -> anyhow::Result<()> {
    let folder = &settings.data_dir;
    let holder = data_dir::holder(folder).with_context(|| {
        format!(
            "no relay uses the data folder {}; --data-dir names another",
            folder.display()
        )
    })?;
    let agent = crate::commands::status::agent();
    let relays: Vec<ListedRelay> = get(&agent, url, "/api/network")?;
    let takes = |relay: &&ListedRelay| {
        let worker = relay.roles.iter().any(|role| role == "worker");
        !relay.this && worker && relay.state == "alive" && relay.capacity > 0
    };
    ensure!(
        relays.iter().any(|relay| takes(&relay)),
        "no other member is alive that could take the feeds of this relay; invite one first (`relay-node invite`), or keep a \
         copy (`relay-node backup`) before you stop it for good"
    );
    let pid = i32::try_from(holder)
        .ok()
        .and_then(Pid::from_raw)
        .context("no process has that number")?;
    kill_process(pid, Signal::USR1).with_context(|| format!("cannot send SIGUSR1 to process {holder}"))?;
    let mut last = None;
    loop {
        let repair: Repair = get(&agent, url, "/api/repair")?;
        if repair.to_hand_over != last {
            last = repair.to_hand_over;
            if let Some(left) = last {
                // Nobody may be reading: that is no reason to stop.
                let left = crate::text::counted(left, "feed is", "feeds are");
                let _ = writeln!(std::io::stdout(), "{left} left to hand over");
            }
        }
        if last == Some(0) {
            let _ = writeln!(
                std::io::stdout(),
                "others have everything; the relay can be stopped for good"
            );
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn get<T: DeserializeOwned>(agent: &ureq::Agent, url: &RelayUrl, path: &str) -> anyhow::Result<T> {
    let mut answer = agent
        .get(format!("{url}{path}"))
        .call()
        .with_context(|| format!("the relay does not answer at {url}"))?;
    Ok(answer.body_mut().read_json()?)
}
