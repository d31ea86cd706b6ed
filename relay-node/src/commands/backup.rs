//! Backup and restore. A backup contains what cannot be derived from other data: the signed entries, one per line as
//! [`crate::commands::export`] writes them, and the registry's rows. Restored entries go through the engine like those
//! of a neighbour, so every signature is verified again and every index is rebuilt.
//!
//! The first line names the version of the file's format. A file without it is from before formats were numbered, and
//! is read as format 1. Since format 2 the last line has the counts of what comes before it, so that a file that was
//! cut off is recognised. Since format 3 it has the BLAKE3 hash of all bytes before it as well, and the relay's key is in the
//! file. A file may be compressed with zstd as a whole.
//!
//! A file is read twice: nothing is taken in before all of it was verified.
//!
//! The relay's key and that of its registry are in it: a backup is as private as the data folder.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
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
use native::data_dir::{DataDir, write_durably};
use native::driver::{self, DriverHandle};
use native::network::AddressBook;
use native::store::Store;

/// The format that [`backup`] writes, and the latest that can be read.
const FORMAT: u64 = 3;
/// The first format with a last line.
const FORMAT_WITH_END: u64 = 2;
/// The first format with a checksum.
const FORMAT_WITH_CHECKSUM: u64 = 3;
/// How hard zstd tries: its default.
const ZSTD_LEVEL: i32 = 3;
/// The first bytes of a file that zstd compressed.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The file name that stands for standard output.
const STANDARD_OUTPUT: &str = "-";
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
    /// Not all bytes are as they were written.
    pub changed: bool,
    /// The relay's key is in it.
    pub has_key: bool,
}

impl Report {
    fn refuse(&mut self, line: u64, why: impl std::fmt::Display) {
        self.refused += 1;
        self.first.get_or_insert_with(|| (line, why.to_string()));
    }

    /// Whether every line of the backup is there and can be used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.missing == 0 && self.registry.is_none() && !self.changed
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} entries, all signatures hold; {} rows of the registry; {}\n",
            self.entries,
            self.names,
            if self.has_key {
                "the relay's key"
            } else {
                "no key of the relay"
            }
        );
        if self.changed {
            text += "some of it is not as it was written: its checksum differs\n";
        }
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

/// Writes everything in `data_dir`, which no running relay may use, to a new file, or to standard output for the name `-`.
/// The file appears under its name when it is complete and on disk.
///
/// # Errors
/// If something cannot be read or written; then there is no such file.
pub fn backup(data_dir: &Path, to: &Path, compress: bool) -> Result<()> {
    if to == Path::new(STANDARD_OUTPUT) {
        let mut out = BufWriter::new(io::stdout().lock());
        write_all(data_dir, &mut out, compress)?;
        return out.flush().context("the backup cannot be written");
    }
    ensure!(
        !to.exists(),
        "{} exists; name a file that does not exist yet",
        to.display()
    );
    let folder = match to.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    ensure_folder(data_dir)?;
    // Readable by its owner alone, as all files that are made this way.
    let mut file = tempfile::NamedTempFile::new_in(&folder)
        .with_context(|| format!("cannot write in the folder {}", folder.display()))?;
    let mut out = BufWriter::new(&mut file);
    write_all(data_dir, &mut out, compress)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist_noclobber(to)
        .with_context(|| format!("cannot make {}", to.display()))?;
    // The name is durable, too.
    File::open(&folder)?.sync_all()?;
    Ok(())
}

fn ensure_folder(data_dir: &Path) -> Result<()> {
    ensure!(
        data_dir.is_dir(),
        "there is no data folder {}; name the relay's folder with --data-dir",
        data_dir.display()
    );
    Ok(())
}

/// Computes the hash of what is written through it.
struct Hashed<W> {
    inner: W,
    hash: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write_all(data_dir: &Path, out: &mut impl Write, compress: bool) -> Result<()> {
    if !compress {
        return write_lines(data_dir, out);
    }
    let mut compressed = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    write_lines(data_dir, &mut compressed)?;
    compressed.finish()?;
    Ok(())
}

fn write_lines(data_dir: &Path, out: &mut impl Write) -> Result<()> {
    ensure_folder(data_dir)?;
    let (copied, key) = {
        let _held = DataDir::take(data_dir)?;
        (copied_registry(data_dir)?, identity::load(data_dir)?)
    };
    let mut out = Hashed {
        inner: out,
        hash: blake3::Hasher::new(),
    };
    let write = |out: &mut Hashed<_>, line: &Value| {
        serde_json::to_writer(&mut *out, line)?;
        out.write_all(b"\n")
    };
    write(&mut out, &json!({"backup": {"format": FORMAT}}))?;
    if key.is_some() {
        let text = std::fs::read_to_string(data_dir.join(identity::KEY_FILE))?;
        write(&mut out, &json!({"relay": {"key": text.trim()}}))?;
    }
    let names = copied.rows.len();
    let last = (!copied.rows.is_empty()).then_some(Line::Revision(copied.revision));
    let rows = copied.rows.into_iter().map(|(key, row)| Line::Row(key, row));
    for line in last.into_iter().chain(rows) {
        write(&mut out, &line.json())?;
    }
    let entries = export(data_dir, &mut out)?;
    let checksum = out.hash.finalize().to_hex().to_string();
    let end = json!({"end": {"entries": entries, "rows": names, "checksum": checksum}});
    write(&mut out, &end)?;
    Ok(())
}

/// The lines of a backup, whether it is compressed or not.
fn lines_of(from: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut file = BufReader::new(file);
    if file.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        return Ok(Box::new(BufReader::new(zstd::Decoder::with_buffer(file)?)));
    }
    Ok(Box::new(file))
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

/// What is in a backup beside its entries.
#[derive(Default)]
struct Contents {
    /// Nothing of it if it cannot be used.
    registry: Copied,
    /// The seed of the relay's key.
    key: Option<[u8; 32]>,
}

/// Reads a backup and gives its good entries to `entries`.
fn read(from: &Path, mut entries: impl FnMut(Vec<Entry>) -> Result<()>) -> Result<(Report, Contents)> {
    let cut_off = || {
        format!(
            "{} is cut off: its end is missing, so some of what it had is, too. Nothing was changed. Take another copy of the backup",
            from.display()
        )
    };
    let mut report = Report::default();
    let mut part = Vec::with_capacity(PART);
    let mut said = Instant::now();
    // Entries and rows of the registry that the last line counts.
    let (mut expected, mut rows_expected) = (0_u64, 0_u64);
    let (mut copied, mut key) = (Copied::default(), None);
    // Lines that may have been of the registry.
    let mut unreadable = false;
    let (mut format, mut ended) = (1, false);
    let mut hash = blake3::Hasher::new();
    let mut lines = lines_of(from)?;
    for number in 1.. {
        // Read as bytes: a damaged line is left out, whatever is in it.
        let mut line = Vec::new();
        let read = (&mut lines).take(LINE_LEN_MAX).read_until(b'\n', &mut line);
        let len = match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => bail!(cut_off()),
            read => read.with_context(|| format!("{} cannot be read", from.display()))?,
        };
        if len == 0 {
            ensure!(number > 1, "{} is empty: it is no backup", from.display());
            break;
        }
        ended = false;
        let is_end = line.starts_with(b"{\"end\"");
        let before = is_end.then(|| hash.finalize().to_hex());
        hash.update(&line);
        if line.pop_if(|end| *end == b'\n').is_none() && len as u64 == LINE_LEN_MAX {
            lines.skip_until(b'\n')?;
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
            format = header["format"].as_u64().unwrap_or(u64::MAX);
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
            let checksum = before.as_deref();
            report.changed |= format >= FORMAT_WITH_CHECKSUM && end["checksum"].as_str() != checksum;
            ended = true;
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
        if let Some(found) = value.get("relay") {
            let text = found["key"].as_str().unwrap_or_default();
            let seed = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
            match seed.and_then(|seed| <[u8; 32]>::try_from(seed).ok()) {
                Some(seed) => key = Some(seed),
                None => report.refuse(number, "it is no key of a relay"),
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
            let _ = writeln!(io::stderr(), "{} entries", report.entries);
        }
    }
    ensure!(ended || format < FORMAT_WITH_END, cut_off());
    entries(part)?;
    report.has_key = key.is_some();
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
    let registry = copied;
    Ok((report, Contents { registry, key }))
}

/// Checks a backup: every line, every signature, every row of the registry. Nothing is written.
///
/// # Errors
/// If the file cannot be read, or was cut off.
pub fn verify(from: &Path) -> Result<Report> {
    Ok(read(from, |_| Ok(()))?.0)
}

/// What [`restore`] does beside the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Take in what can be used of a damaged backup.
    pub partial: bool,
    /// Leave the relay's key of the backup out.
    pub new_key: bool,
}

/// Takes a backup in, into the data folder of these settings: a fresh one, or one that lacks some of it.
///
/// # Errors
/// If the file was cut off or is damaged, something cannot be read or written, or the folder has a registry already that is
/// another than the backup's. All but failures of the disk change nothing.
pub fn restore(settings: &Settings, from: &Path, options: RestoreOptions) -> Result<Report> {
    let (report, contents) = read(from, |_| Ok(()))?;
    ensure!(
        options.partial || report.is_complete(),
        "{}not all of {} can be used, so nothing was changed; --partial takes in what can",
        report.text(),
        from.display()
    );
    let copied = contents.registry;
    let data_dir = DataDir::take(&settings.data_dir)?;
    ensure_no_other_registry(data_dir.path(), &copied)?;
    if let Some(seed) = contents.key.filter(|_| !options.new_key) {
        take_key(data_dir.path(), &seed)?;
    }
    let key = identity::load_or_create(data_dir.path())?;
    let (handle, thread) = {
        let store = Store::open(data_dir.path(), settings.cache_mib << 20)?;
        let (book, _dials) = AddressBook::open(Vec::new());
        let seed = random().context("the system gives no randomness")?;
        driver::start(driver::Options::new(Config::relay(key), seed, store, book))?
    };
    runtime()?.block_on(async {
        let before = held(&handle).await?.entries;
        let (report, _) = tokio::task::block_in_place(|| {
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

pub(super) async fn held(handle: &DriverHandle) -> Result<NetworkView> {
    match handle.ask(Query::Network).await {
        Some(QueryResult::Network(view)) => Ok(view),
        _ => bail!("the store cannot be read"),
    }
}

/// Two registries cannot be made one: a name could have two owners, or an owner two names.
fn ensure_no_other_registry(data_dir: &Path, copied: &Copied) -> Result<()> {
    if copied.rows.is_empty() {
        return Ok(());
    }
    let there = copied_registry(data_dir)?;
    ensure!(
        there.rows.is_empty() || there.rows == copied.rows,
        "nothing was changed, since this folder has a registry already: restore into a fresh folder, or move {} away first",
        data_dir.join(names::EMBEDDED_FOLDER).display()
    );
    Ok(())
}

/// Makes the relay of this folder the one that was backed up, if no other relay was started there.
fn take_key(data_dir: &Path, seed: &[u8; 32]) -> Result<()> {
    let backed_up = protocol::KeyPair::from_seed(seed).public();
    match identity::load(data_dir)? {
        None => {
            let text = format!("{}\n", HEXLOWER_PERMISSIVE.encode(seed));
            write_durably(data_dir, identity::KEY_FILE, &text)?;
            let _ = writeln!(
                io::stderr(),
                "the relay of this folder is the one that was backed up: never run both; --new-key makes another one"
            );
        }
        Some(own) if own.public() == backed_up => {}
        Some(_) => {
            let _ = writeln!(
                io::stderr(),
                "this folder has the key of another relay already, which it keeps"
            );
        }
    }
    Ok(())
}

async fn restore_registry(data_dir: &Path, copied: Copied) -> Result<()> {
    if copied.rows.is_empty() {
        return Ok(());
    }
    let txn_store = Embedded::open(data_dir)?;
    if txn_store.copy().await?.rows != copied.rows {
        txn_store.restore(copied).await?;
    }
    Ok(())
}
