//! Backup and restore. A backup contains what cannot be derived from other data: the signed entries, one per line as
//! [`crate::commands::export`] writes them, and the registry's rows. Restored entries go through the engine like those
//! of a neighbour, so every signature is verified again and every index is rebuilt.
//!
//! The first line names the version of the file's format. A file without it is from before formats were numbered, and
//! is read as format 1. Since format 2 the last line has the counts of what comes before it, so that a file that was
//! cut off is recognised.
//!
//! The registry's rows hold its secret key: a backup is as private as the data folder.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64;
use engine::api::{NetworkView, Query, QueryResult};
use engine::io::Config;
use protocol::{Entry, codec};
use serde_json::{Value, json};

use crate::commands::export::export;
use crate::config::Settings;
use crate::identity;
use crate::names::{self, Copied, Embedded, Key, Row};
use crate::secrets::random;
use crate::text::counted;
use native::data_dir::DataDir;
use native::driver::{self, DriverHandle};
use native::network::AddressBook;
use native::store::Store;

/// The format that [`backup`] writes, and the latest that can be read.
const FORMAT: u64 = 2;
/// The first format with a last line.
const FORMAT_WITH_END: u64 = 2;
/// Length of the end of a file in which its last line is looked for, in bytes: that line has two numbers of up to 20
/// digits.
const END_LEN_MAX: u64 = 256;
/// Entries given to the engine at once.
const PART: usize = 512;
/// The longest line: an entry of the greatest size, in base64 and said in words beside it, with every character
/// escaped.
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
    /// Lines that the backup had when it was written and that are missing now.
    pub missing: u64,
    /// Why the rows of the registry cannot be used: all of them or none.
    pub registry: Option<String>,
}

impl Report {
    fn refuse(&mut self, line: u64, why: impl std::fmt::Display) {
        self.refused += 1;
        self.first.get_or_insert_with(|| (line, why.to_string()));
    }

    /// Whether every line of the backup is there and can be used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.missing == 0 && self.registry.is_none()
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
        if let Some(why) = &self.registry {
            text += &format!("the registry cannot be used: {why}\n");
        }
        if self.missing > 0 {
            text += &format!(
                "{} missing that the backup had when it was written\n",
                counted(self.missing, "line is", "lines are")
            );
        }
        text
    }
}

/// Writes everything in `data_dir`, which no running relay may use, to a new file. The file appears under its name
/// when it is complete and on disk.
///
/// # Errors
/// If something cannot be read or written; then there is no such file.
pub fn backup(data_dir: &Path, to: &Path) -> Result<()> {
    ensure!(
        !to.exists(),
        "{} exists; name a file that does not exist yet",
        to.display()
    );
    ensure!(
        data_dir.is_dir(),
        "there is no data folder {}; name the relay's folder with --data-dir",
        data_dir.display()
    );
    let folder = match to.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let copied = {
        let _held = DataDir::take(data_dir)?;
        copied_registry(data_dir)?
    };
    // Readable by its owner alone, as all files that are made this way.
    let mut file = tempfile::NamedTempFile::new_in(&folder)
        .with_context(|| format!("cannot write in the folder {}", folder.display()))?;
    let mut out = BufWriter::new(&mut file);
    let write = |out: &mut BufWriter<_>, line: &Value| {
        serde_json::to_writer(&mut *out, line)?;
        out.write_all(b"\n")
    };
    write(&mut out, &json!({"backup": {"format": FORMAT}}))?;
    let names = copied.rows.len();
    let last = (!copied.rows.is_empty()).then_some(Line::Revision(copied.revision));
    let rows = copied.rows.into_iter().map(|(key, row)| Line::Row(key, row));
    for line in last.into_iter().chain(rows) {
        write(&mut out, &line.json())?;
    }
    let entries = export(data_dir, &mut out)?;
    write(&mut out, &json!({"end": {"entries": entries, "rows": names}}))?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist_noclobber(to)
        .with_context(|| format!("cannot make {}", to.display()))?;
    // The name is durable, too.
    File::open(&folder)?.sync_all()?;
    Ok(())
}

/// Fails if the file is empty, or of a format whose last line is missing.
fn ensure_not_cut_off(from: &Path) -> Result<()> {
    let mut file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let len = file.metadata()?.len();
    ensure!(len > 0, "{} is empty: it is no backup", from.display());
    let mut first = Vec::new();
    BufReader::new(&file)
        .take(END_LEN_MAX)
        .read_until(b'\n', &mut first)?;
    let header = serde_json::from_slice::<Value>(&first).unwrap_or_default();
    if header["backup"]["format"].as_u64() < Some(FORMAT_WITH_END) {
        return Ok(());
    }
    file.seek(SeekFrom::Start(len.saturating_sub(END_LEN_MAX)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let last = end.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
    let last = last.and_then(|line| serde_json::from_slice::<Value>(line).ok());
    ensure!(
        last.is_some_and(|line| line.get("end").is_some()),
        "{} is cut off: its last line is missing, so some of what it had is, too. Nothing was changed. Take another copy of the \
         backup; what is left of this one can be restored after deleting its first line",
        from.display()
    );
    Ok(())
}

fn copied_registry(data_dir: &Path) -> Result<Copied> {
    if !data_dir.join(names::EMBEDDED_FOLDER).is_dir() {
        return Ok(Copied::default());
    }
    runtime()?.block_on(async { Ok(Embedded::open(data_dir)?.copy().await?) })
}

/// A line of the registry: a row, or how far it was.
enum Line {
    Row(Key, Row),
    Revision(u64),
}

impl Line {
    fn read(found: &Value) -> Option<Self> {
        if let Some(revision) = found.get("last") {
            return revision.as_u64().map(Self::Revision);
        }
        let binary = |value: &Value| BASE64.decode(value.as_str()?.as_bytes()).ok();
        // Older backups say nothing of revisions. What is restored goes on far above them anyway.
        let revision = |of: &str| found.get(of).map_or(Some(1), Value::as_u64);
        let row = Row {
            value: binary(&found["value"])?,
            created: revision("created")?,
            revision: revision("revision")?,
        };
        Some(Self::Row(binary(&found["key"])?, row))
    }

    fn json(&self) -> Value {
        match self {
            Self::Row(key, row) => json!({"registry": {
                "key": BASE64.encode(key),
                "value": BASE64.encode(&row.value),
                "created": row.created,
                "revision": row.revision,
            }}),
            Self::Revision(revision) => json!({"registry": {"last": revision}}),
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Reads a backup and gives its good entries to `entries`. Returns the registry, too: nothing of it if it cannot be
/// used.
fn read(from: &Path, mut entries: impl FnMut(Vec<Entry>) -> Result<()>) -> Result<(Report, Copied)> {
    let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let size = file.metadata()?.len().max(1);
    let mut report = Report::default();
    let mut part = Vec::with_capacity(PART);
    let (mut bytes, mut said) = (0_u64, Instant::now());
    // Entries and rows of the registry that the last line counts.
    let (mut expected, mut rows_expected) = (0_u64, 0_u64);
    let mut copied = Copied::default();
    // Lines that may have been of the registry.
    let mut unreadable = false;
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
            unreadable = true;
            continue;
        }
        let binary = |value: &Value| BASE64.decode(value.as_str()?.as_bytes()).ok();
        let Ok(value) = serde_json::from_slice::<Value>(&line) else {
            report.refuse(number, "it is not JSON");
            unreadable = true;
            continue;
        };
        if let Some(header) = value.get("backup").filter(|_| number == 1) {
            let format = header["format"].as_u64().unwrap_or(u64::MAX);
            ensure!(
                format <= FORMAT,
                "{} was written by a later version of Starling: this one reads backups up to format {FORMAT}. Restore it with the \
                 version that wrote it, or a later one; nothing was changed",
                from.display()
            );
            continue;
        }
        if let Some(end) = value.get("end") {
            let counts = [&end["entries"], &end["rows"]].map(|count| count.as_u64().unwrap_or(0));
            expected = expected.max(counts[0].saturating_add(counts[1]));
            rows_expected = rows_expected.max(counts[1]);
            continue;
        }
        if let Some(found) = value.get("registry") {
            match Line::read(found) {
                Some(Line::Row(key, row)) => {
                    report.names += 1;
                    copied.rows.push((key, row));
                }
                Some(Line::Revision(revision)) => copied.revision = revision,
                None => {
                    report.refuse(number, "it is no row of a registry");
                    unreadable = true;
                }
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
            let share = bytes * 100 / size;
            let _ = writeln!(io::stderr(), "{} entries, {share} % of the file", report.entries);
        }
    }
    entries(part)?;
    report.missing = expected.saturating_sub(report.entries + report.names + report.refused);
    if !copied.rows.is_empty() || rows_expected > 0 {
        report.registry = if unreadable || report.names < rows_expected {
            Some("some of its rows are missing or cannot be read".to_owned())
        } else {
            names::check_rows(&copied.rows).err()
        };
    }
    if report.registry.is_some() {
        copied = Copied::default();
    }
    Ok((report, copied))
}

/// Checks a backup: every line, every signature, every row of the registry. Nothing is written.
///
/// # Errors
/// If the file cannot be read, or was cut off.
pub fn verify(from: &Path) -> Result<Report> {
    ensure_not_cut_off(from)?;
    Ok(read(from, |_| Ok(()))?.0)
}

/// Takes a backup in, into the data folder of these settings: a fresh one, or one that lacks some of it.
///
/// # Errors
/// If the file was cut off, something cannot be read or written, or the folder has a registry already that is another
/// than the backup's.
pub fn restore(settings: &Settings, from: &Path) -> Result<Report> {
    ensure_not_cut_off(from)?;
    let data_dir = DataDir::take(&settings.data_dir)?;
    let key = identity::load_or_create(data_dir.path())?;
    let (handle, thread) = {
        let store = Store::open(data_dir.path(), settings.cache_mib << 20)?;
        let (book, _dials) = AddressBook::open(Vec::new());
        let seed = random().context("the system gives no randomness")?;
        driver::start(driver::Options::new(Config::relay(key), seed, store, book))?
    };
    runtime()?.block_on(async {
        let before = held(&handle).await?.entries;
        let (report, copied) = tokio::task::block_in_place(|| {
            read(from, |part| {
                // The driver takes no more than the store keeps up with.
                tokio::runtime::Handle::current().block_on(handle.restore(part));
                Ok(())
            })
        })?;
        let after = held(&handle).await?.entries;
        if !thread.stop("restored").await {
            bail!("the disk did not take everything; try again when it does");
        }
        let new = after.saturating_sub(before);
        let _ = writeln!(io::stderr(), "{after} entries are here now, {new} of them new");
        ensure!(after >= before, "fewer entries than before: the store is damaged");
        restore_registry(data_dir.path(), copied).await?;
        Ok(report)
    })
}

async fn held(handle: &DriverHandle) -> Result<NetworkView> {
    match handle.ask(Query::Network).await {
        Some(QueryResult::Network(view)) => Ok(view),
        _ => bail!("the store cannot be read"),
    }
}

async fn restore_registry(data_dir: &Path, copied: Copied) -> Result<()> {
    if copied.rows.is_empty() {
        return Ok(());
    }
    let txn_store = Embedded::open(data_dir)?;
    let there = txn_store.copy().await?;
    if there.rows == copied.rows {
        return Ok(());
    }
    // Two registries cannot be made one: a name could have two owners, or an owner two names.
    ensure!(
        there.rows.is_empty(),
        "the posts of the backup are taken in; its names are not, since this folder has a registry already: restore into a \
         fresh folder, or move {} away first",
        data_dir.join(names::EMBEDDED_FOLDER).display()
    );
    txn_store.restore(copied).await?;
    Ok(())
}
