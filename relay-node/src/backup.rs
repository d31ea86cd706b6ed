//! Backup and restore. A backup is what a relay holds that nobody else can make again: the signed entries, line by line as
//! [`crate::export`] writes them, and the registry's rows. Restored entries go through the engine like those of a neighbour, so
//! every signature is checked again and every index made anew.
//!
//! The registry's rows hold its secret key: a backup is as private as the data folder.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64;
use engine::api::{NetworkView, Query, Reply};
use engine::io::Config;
use protocol::{Entry, codec};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::driver::{self, DriverHandle};
use crate::export::export;
use crate::identity;
use crate::network::AddressBook;
use crate::registry::{self, Embedded};
use crate::status::counted;
use crate::store::Store;

/// Entries given to the engine at once.
const PART: usize = 512;
/// The longest line: an entry of the greatest size, in base64 and said in words beside it, with every character escaped.
const LINE_LEN_MAX: u64 = 1 << 20;
/// Between two words of how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// What was found in a backup.
#[derive(Debug, Default)]
pub struct Report {
    /// Entries whose signatures hold.
    pub entries: u64,
    /// Lines that are none, or whose signatures do not hold.
    pub refused: u64,
    /// The first of those: its line, and why.
    pub first: Option<(u64, String)>,
    /// Rows of the registry.
    pub names: u64,
}

impl Report {
    fn refuse(&mut self, line: u64, why: impl std::fmt::Display) {
        self.refused += 1;
        self.first.get_or_insert_with(|| (line, why.to_string()));
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} entries, all signatures hold; {} rows of the registry\n",
            self.entries, self.names
        );
        if let Some((line, why)) = &self.first {
            text += &format!(
                "{} left out, the first is line {line}: {why}\n",
                counted(self.refused, "line was", "lines were")
            );
        }
        text
    }
}

/// Writes everything in `data_dir`, which no running relay may use, to a new file.
///
/// # Errors
/// If something cannot be read or written; then the file is not complete.
pub fn backup(data_dir: &Path, to: &Path) -> Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(|| format!("cannot make {}; name a file that is not there yet", to.display()))?;
    let mut out = BufWriter::new(file);
    let rows = {
        let _held = DataDir::take(data_dir)?;
        registry_rows(data_dir)?
    };
    for (key, value) in rows {
        let row = json!({"registry": {"key": BASE64.encode(&key), "value": BASE64.encode(&value)}});
        serde_json::to_writer(&mut out, &row)?;
        out.write_all(b"\n")?;
    }
    export(data_dir, &mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(())
}

fn registry_rows(data_dir: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    if !data_dir.join(registry::EMBEDDED_FOLDER).is_dir() {
        return Ok(Vec::new());
    }
    runtime()?.block_on(async {
        let ledger = Embedded::open(data_dir)?;
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        loop {
            let after = rows.last().map(|(key, _)| key.clone());
            let part = ledger.scan(b"", after.as_deref(), 1_000).await?;
            if part.is_empty() {
                return Ok(rows);
            }
            rows.extend(part.into_iter().map(|(key, row)| (key, row.value)));
        }
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Reads a backup and gives each good line to `entries` or `rows`.
fn read(
    from: &Path,
    mut entries: impl FnMut(Vec<Entry>) -> Result<()>,
    mut row: impl FnMut(Vec<u8>, Vec<u8>) -> Result<()>,
) -> Result<Report> {
    let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let size = file.metadata()?.len().max(1);
    let mut report = Report::default();
    let mut part = Vec::with_capacity(PART);
    let (mut bytes, mut said) = (0_u64, Instant::now());
    let mut lines = BufReader::new(file);
    for number in 1.. {
        // Read as bytes: a damaged line is left out, whatever is in it.
        let mut line = Vec::new();
        let len = (&mut lines).take(LINE_LEN_MAX).read_until(b'\n', &mut line)?;
        if len == 0 {
            break;
        }
        bytes += len as u64;
        if line.pop_if(|end| *end == b'\n').is_none() && len as u64 == LINE_LEN_MAX {
            bytes += lines.skip_until(b'\n')? as u64;
            report.refuse(number, "it is longer than any of a backup");
            continue;
        }
        let binary = |value: &Value| BASE64.decode(value.as_str()?.as_bytes()).ok();
        let Ok(value) = serde_json::from_slice::<Value>(&line) else {
            report.refuse(number, "it is not JSON");
            continue;
        };
        if let Some(found) = value.get("registry") {
            match binary(&found["key"]).zip(binary(&found["value"])) {
                Some((key, value)) => {
                    row(key, value)?;
                    report.names += 1;
                }
                None => report.refuse(number, "it is no row of a registry"),
            }
            continue;
        }
        let entry = binary(&value["entry"]).and_then(|bytes| codec::decode::<Entry>(&bytes).ok());
        match entry.map(|entry| entry.clone().verify().map(|_| entry)) {
            Some(Ok(entry)) => {
                part.push(entry);
                report.entries += 1;
            }
            Some(Err(error)) => report.refuse(number, error),
            None => report.refuse(number, "it is no entry"),
        }
        if part.len() >= PART {
            entries(std::mem::take(&mut part))?;
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            eprintln!("{} entries, {} % of the file", report.entries, bytes * 100 / size);
        }
    }
    entries(part)?;
    Ok(report)
}

/// Checks a backup: every line, every signature. Nothing is written.
///
/// # Errors
/// If the file cannot be read.
pub fn verify(from: &Path) -> Result<Report> {
    read(from, |_| Ok(()), |_, _| Ok(()))
}

/// Takes a backup in, into the data folder of these settings: a fresh one, or one that lacks some of it.
///
/// # Errors
/// If something cannot be read or written, or the folder has another registry already.
pub fn restore(settings: &Settings, from: &Path) -> Result<Report> {
    let data_dir = DataDir::take(&settings.data_dir)?;
    let key = identity::load_or_create(data_dir.path())?;
    let (handle, thread) = {
        let (store, answers) = Store::open(data_dir.path(), settings.cache_mib << 20)?;
        let (book, _dials) = AddressBook::open(Vec::new());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
        driver::start(Config::relay(key), seed, store, answers, book, None)?
    };
    runtime()?.block_on(async {
        let before = held(&handle).await?.entries;
        let mut rows = Vec::new();
        let report = tokio::task::block_in_place(|| {
            read(
                from,
                |part| {
                    // The driver takes no more than the store keeps up with.
                    tokio::runtime::Handle::current().block_on(handle.restore(part));
                    Ok(())
                },
                |key, value| {
                    rows.push((key, value));
                    Ok(())
                },
            )
        })?;
        restore_registry(data_dir.path(), rows).await?;
        let after = held(&handle).await?.entries;
        if !thread.stop("restored").await {
            bail!("the disk did not take everything; try again when it does");
        }
        eprintln!("{} entries are here now, {} of them new", after, after - before);
        ensure!(after >= before, "fewer entries than before: the store is damaged");
        Ok(report)
    })
}

async fn held(handle: &DriverHandle) -> Result<NetworkView> {
    match handle.ask(Query::Network).await {
        Some(Reply::Network(view)) => Ok(view),
        _ => bail!("the store cannot be read"),
    }
}

async fn restore_registry(data_dir: &Path, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let there = data_dir.join(registry::EMBEDDED_FOLDER).is_dir();
    let ledger = Embedded::open(data_dir)?;
    if there {
        let own = ledger.scan(b"key", None, 1).await?;
        let same = |(key, row): &(Vec<u8>, registry::Row)| rows.contains(&(key.clone(), row.value.clone()));
        ensure!(
            own.iter().all(same),
            "this folder has a registry of its own, with another key: restore into a fresh one"
        );
    }
    ledger.fill(rows).await?;
    Ok(())
}
