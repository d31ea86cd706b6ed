//! The relay that is attacked: filled with feeds, and watched by what the kernel says of its process.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64;
use protocol::codec;
use serde_json::json;
use starling_tests::lan::At;
use starling_tests::relay::program;
use starling_tests::{Relay, RelayOptions, process};

use crate::authors;

/// A relay that computes less than this share of the time is calm.
const CALM: f64 = 0.05;
/// It is not waited for longer.
const CALM_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Victim {
    pub(super) relay: Relay,
    pub(super) feeds: usize,
    pid: u32,
}

impl Victim {
    /// A relay that holds this many feeds with `entries` entries each.
    pub(super) async fn with_feeds(feeds: usize, entries: u64) -> Result<Self> {
        // A folder of its own, with the relay's key in it.
        let mut relay = Relay::start_with(RelayOptions::default()).await?;
        relay.stop().await?;
        let backup = relay.data_dir().join("feeds.jsonl");
        write_backup(&backup, feeds, entries)?;
        let mut restore = std::process::Command::new(program()?);
        restore.arg("restore").arg(&backup).arg("--data-dir");
        restore.arg(relay.data_dir()).stdout(Stdio::null());
        ensure!(restore.status()?.success(), "the feeds were not restored");
        fs::remove_file(&backup)?;
        relay.restart().await?;
        let pid = relay.pid().context("the relay runs")?;
        Ok(Self { relay, feeds, pid })
    }

    pub(super) fn at(&self) -> At {
        self.relay.at()
    }

    /// Processor time it has used.
    pub(super) fn cpu(&self) -> Result<Duration> {
        process::cpu_time(self.pid).context("the relay ended")
    }

    /// How long its threads together were ready to run and had no processor.
    pub(super) fn waited(&self) -> Result<Duration> {
        process::waited_for_cpu(self.pid).context("the relay ended")
    }

    /// Resident memory in MiB.
    pub(super) fn memory_mib(&self) -> Result<f64> {
        let kib = process::resident_kib(self.pid).context("the relay ended")?;
        Ok(kib as f64 / 1024.0)
    }

    /// KiB that it had written to disks.
    pub(super) fn written_kib(&self) -> Result<f64> {
        process::written_kib(self.pid).context("the relay ended")
    }

    /// Waits until it computes almost nothing.
    pub(super) async fn calm(&self) -> Result<()> {
        let began = Instant::now();
        let mut before = self.cpu()?;
        let mut calm = 0;
        while calm < 2 && began.elapsed() < CALM_WITHIN {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.cpu()?;
            let share = now.saturating_sub(before).as_secs_f64() / LOOK_EVERY.as_secs_f64();
            calm = if share < CALM { calm + 1 } else { 0 };
            before = now;
        }
        if calm < 2 {
            eprintln!("after {CALM_WITHIN:?} the relay still computes");
        }
        Ok(())
    }
}

/// Writes feeds as a backup that the relay's own command restores.
fn write_backup(to: &std::path::Path, feeds: usize, entries: u64) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(to)?);
    writeln!(out, "{}", json!({"backup": {"format": 2}}))?;
    for n in 0..feeds {
        for entry in authors::feed(n, entries) {
            let entry = BASE64.encode(&codec::encode(&entry));
            writeln!(out, "{}", json!({ "entry": entry }))?;
        }
    }
    let end = json!({"entries": feeds as u64 * entries, "rows": 0});
    writeln!(out, "{}", json!({ "end": end }))?;
    Ok(out.flush()?)
}
