//! What is left of both stores when they are killed, when the power fails, when a last write is torn, and when the
//! disk is full. Held against each: every batch that was reported is there, no batch without all earlier ones, batches
//! whole, values as they were written, and the store opens.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::store::{Op, Read, Table};
use redb::StorageBackend;

use crate::bench::{self, CACHE_BYTES};
use crate::disks::{Disk, Failure, Fjall, Redb};
use crate::workload::{Numbers, SEED};

const OPS: u64 = 5;
const TABLES: [Table; 2] = [Table::Entries, Table::ByTime];
/// Batches of one commit, at most.
const GROUP_MAX: u64 = 40;
/// A store that does not answer for so long hangs.
const STUCK: Duration = Duration::from_secs(60);

fn key(batch: u64, op: u64) -> Vec<u8> {
    [batch.to_be_bytes(), op.to_be_bytes()].concat()
}

/// Mostly short, sometimes as long as the longest post.
fn value(batch: u64, op: u64) -> Vec<u8> {
    let mut numbers = Numbers(SEED ^ (batch << 8) ^ op);
    let length = match numbers.below(8) {
        0 => numbers.below(12_000),
        _ => 20 + numbers.below(500),
    };
    (0..length).map(|_| numbers.next() as u8).collect()
}

fn batch(n: u64) -> Vec<Op> {
    (0..OPS)
        .map(|op| Op::Put {
            table: TABLES[(op % 2) as usize],
            key: key(n, op),
            value: value(n, op),
        })
        .collect()
}

/// Groups of batches from `first` on.
fn groups(first: u64, seed: u64) -> impl Iterator<Item = Vec<u64>> {
    let mut numbers = Numbers(seed);
    let mut next = first;
    std::iter::from_fn(move || {
        let end = next + 1 + numbers.below(GROUP_MAX);
        let group = (next..end).collect();
        next = end;
        Some(group)
    })
}

/// How many batches there are; fails unless they are whole, unchanged and without gaps.
pub(crate) fn check<D: Disk>(folder: &Path) -> Result<(), Failure> {
    let disk = D::open(folder, CACHE_BYTES)?;
    println!("{}", held(&disk)?);
    Ok(())
}

fn held<D: Disk>(disk: &D) -> Result<u64, Failure> {
    let mut rows = BTreeMap::new();
    for table in TABLES {
        rows.extend(disk.read(&Read::prefix(table, &[], usize::MAX))?);
    }
    let count = rows.len() as u64 / OPS;
    if !(rows.len() as u64).is_multiple_of(OPS) {
        return Err("a batch is there in part".into());
    }
    for (at, (found, content)) in rows.iter().enumerate() {
        let (n, op) = (at as u64 / OPS, at as u64 % OPS);
        if *found != key(n, op) {
            return Err("a batch is there without an earlier one".into());
        }
        if *content != value(n, op) {
            return Err("a value is not what was written".into());
        }
    }
    Ok(count)
}

/// Commits without end, printing how many batches are on the disk after each commit. After a failure it reopens the
/// store and commits what was not reported again, as the relay does.
pub(crate) fn flood<D: Disk>(folder: &Path, seed: u64) -> Result<(), Failure> {
    let mut disk = Some(D::open(folder, CACHE_BYTES)?);
    let mut first = disk.as_ref().map_or(Ok(0), held)?;
    let mut groups = groups(first, seed);
    let mut out = io::stdout();
    let mut group = groups.next().unwrap_or_default();
    loop {
        let batches: Vec<_> = group.iter().copied().map(batch).collect();
        let done = match &mut disk {
            Some(disk) => disk.commit(&batches),
            None => Err("closed".into()),
        };
        match done {
            Ok(()) => {
                first = group[group.len() - 1] + 1;
                writeln!(out, "{first}")?;
                group = groups.next().unwrap_or_default();
            }
            Err(error) => {
                writeln!(out, "failed {error}")?;
                drop(disk.take());
                std::thread::sleep(Duration::from_millis(100));
                disk = D::open(folder, CACHE_BYTES)
                    .map_err(|error| writeln!(out, "failed {error}"))
                    .ok();
            }
        }
        out.flush()?;
    }
}

/// Crashes both stores in each way, or in one, and prints how often that was survived.
pub(crate) fn run(rounds: u64, only: Option<&str>) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for peer in ["redb", "fjall"] {
        let mut numbers = Numbers(SEED);
        let mut survives =
            |kind: &str, run: &mut dyn FnMut(&mut Numbers) -> Result<(), Failure>, rounds: u64| {
                if only.is_some_and(|only| only != kind) {
                    return;
                }
                let mut survived = 0;
                let mut why = None;
                for _ in 0..rounds {
                    match run(&mut numbers) {
                        Ok(()) => survived += 1,
                        Err(error) => drop(why.get_or_insert(error.to_string())),
                    }
                }
                bench::print(
                    peer,
                    &format!("survived_{kind}"),
                    survived as f64,
                    "crashes",
                    rounds as usize,
                );
                if let Some(why) = why {
                    eprintln!("{peer}, {kind}: {why}");
                    faults.push(format!("{peer}: {kind}"));
                }
            };
        let place = crate::place()?;
        survives("kill", &mut |numbers| kill(peer, place.path(), numbers), rounds);
        survives("torn_write", &mut |numbers| torn(peer, peer, numbers), 5 * rounds);
        let cut = tempfile::tempdir()?;
        match Device::make(cut.path()) {
            Ok(mut device) => survives("power_cut", &mut |numbers| device.cut(peer, numbers), rounds),
            Err(error) => eprintln!("no power cuts: {error}"),
        }
        survives(
            "full_disk",
            &mut |numbers| full(peer, numbers),
            rounds.div_ceil(10),
        );
    }
    if only.is_some_and(|only| only != "torn_write") {
        return verdict(&faults);
    }
    // Not a fault of the relay, but what it would be without its mending.
    let mut numbers = Numbers(SEED);
    let survived = (0..5 * rounds)
        .filter(|_| torn("fjall", "fjall-alone", &mut numbers).is_ok())
        .count();
    bench::print(
        "fjall-alone",
        "survived_torn_write",
        survived as f64,
        "crashes",
        5 * rounds as usize,
    );
    verdict(&faults)
}

fn verdict(faults: &[String]) -> Result<(), Failure> {
    match faults {
        [] => Ok(()),
        _ => Err(faults.join(", ").into()),
    }
}

fn me(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(args).arg(folder).stdout(Stdio::piped());
    command
}

/// Checks in a process of its own, since a panic ends it.
fn checked(peer: &str, folder: &Path, at_least: u64) -> Result<u64, Failure> {
    let output = me(&["check", peer], folder).stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let there: u64 = said
        .trim()
        .parse()
        .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
    if there < at_least {
        return Err(format!("{at_least} batches were reported, {there} are there").into());
    }
    Ok(there)
}

/// A child that floods, its last word, and how often it failed.
struct Flood {
    child: Child,
    said: Arc<Mutex<(u64, u64)>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn start(peer: &str, folder: &Path, seed: u64) -> Result<Self, Failure> {
        let mut child = me(&["flood", peer, &seed.to_string()], folder).spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let said = Arc::new(Mutex::new((0, 0)));
        let shared = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = shared.lock().expect("unpoisoned");
                match line.parse() {
                    Ok(count) => said.0 = count,
                    Err(_) => said.1 += 1,
                }
            }
        });
        Ok(Self {
            child,
            said,
            reader: Some(reader),
        })
    }

    fn said(&self) -> (u64, u64) {
        *self.said.lock().expect("unpoisoned")
    }

    fn wait(&self, what: &str, done: impl Fn((u64, u64)) -> bool) -> Result<(), Failure> {
        let began = std::time::Instant::now();
        while !done(self.said()) {
            if began.elapsed() > STUCK {
                return Err(format!("it hangs: {what}").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Ends it as `kill -9` does; what it had reported.
    fn kill(mut self) -> Result<u64, Failure> {
        self.child.kill()?;
        self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        Ok(self.said().0)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(peer: &str, folder: &Path, numbers: &mut Numbers) -> Result<(), Failure> {
    let flood = Flood::start(peer, folder, numbers.next())?;
    flood.wait("the first commit", |said| said.0 > 0)?;
    std::thread::sleep(Duration::from_micros(numbers.below(150_000)));
    let reported = flood.kill()?;
    checked(peer, folder, reported).map(drop)
}

/// The power fails in the middle of a commit: of what was written and not synced, any part is on the disk, by sectors
/// of 512 bytes or pages of 4,096.
fn torn(peer: &str, checker: &str, numbers: &mut Numbers) -> Result<(), Failure> {
    let dir = crate::place()?;
    let commits = 1 + numbers.below(20) as usize;
    let unit = if numbers.below(2) == 0 { 512 } else { 4_096 };
    let seed = numbers.next();
    let reported = if peer == "redb" {
        torn_redb(dir.path(), commits, unit, seed, numbers)?
    } else {
        torn_fjall(dir.path(), commits, unit, seed, numbers)?
    };
    checked(checker, dir.path(), reported).map(drop)
}

/// `after`, of which some parts did not arrive: about half of those that changed, or one.
fn mix(before: &[u8], after: &[u8], unit: usize, numbers: &mut Numbers) -> Vec<u8> {
    let part = |at: usize| at..(at + unit).min(after.len());
    let mut lost: Vec<usize> = (0..after.len())
        .step_by(unit)
        .filter(|at| before.get(part(*at)) != Some(&after[part(*at)]))
        .collect();
    if numbers.below(2) == 0 {
        lost.retain(|_| numbers.below(2) == 0);
    } else if !lost.is_empty() {
        lost = vec![lost[numbers.below(lost.len() as u64) as usize]];
    }
    let mut mixed = after.to_vec();
    for at in lost.into_iter().flat_map(part) {
        mixed[at] = before.get(at).copied().unwrap_or_default();
    }
    mixed
}

fn torn_fjall(
    folder: &Path,
    commits: usize,
    unit: usize,
    seed: u64,
    numbers: &mut Numbers,
) -> Result<u64, Failure> {
    let whole = folder.join("whole");
    std::fs::create_dir(&whole)?;
    let mut disk = Fjall::open(&whole, CACHE_BYTES)?;
    let mut groups = groups(0, seed);
    let mut reported = 0;
    for group in groups.by_ref().take(commits) {
        disk.commit(&group.iter().copied().map(batch).collect::<Vec<_>>())?;
        reported = group[group.len() - 1] + 1;
    }
    // So little fits into memory: the journal is the only file that the last commit writes to.
    let journal = whole.join("posts/0.jnl");
    let before = std::fs::read(&journal)?;
    let group = groups.next().unwrap_or_default();
    disk.commit(&group.into_iter().map(batch).collect::<Vec<_>>())?;
    let after = std::fs::read(&journal)?;
    copy(&whole, folder)?;
    let mixed = mix(&before, &after, unit, numbers);
    std::fs::write(folder.join("posts/0.jnl"), mixed)?;
    drop(disk);
    std::fs::remove_dir_all(&whole)?;
    Ok(reported)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// A disk that remembers what was on it at the last sync, and what was written since.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    now: Vec<u8>,
    /// What was synced, each time it was, since it was last asked.
    synced: Vec<Vec<u8>>,
    recording: bool,
}

impl Recorder {
    fn state(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.0.lock().expect("unpoisoned")
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.state().now[offset as usize..][..out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().now.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.recording {
            let now = state.now.clone();
            state.synced.push(now);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().now[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}

fn torn_redb(
    folder: &Path,
    commits: usize,
    unit: usize,
    seed: u64,
    numbers: &mut Numbers,
) -> Result<u64, Failure> {
    let recorder = Recorder::default();
    let mut disk = Redb::with_backend(recorder.clone(), CACHE_BYTES)?;
    let mut groups = groups(0, seed);
    let mut reported = 0;
    for group in groups.by_ref().take(commits) {
        disk.commit(&group.iter().copied().map(batch).collect::<Vec<_>>())?;
        reported = group[group.len() - 1] + 1;
    }
    {
        let mut state = recorder.state();
        state.recording = true;
        let now = state.now.clone();
        state.synced = vec![now];
    }
    let group = groups.next().unwrap_or_default();
    disk.commit(&group.into_iter().map(batch).collect::<Vec<_>>())?;
    // A commit syncs several times; the power fails before one of them.
    let synced = std::mem::take(&mut recorder.state().synced);
    let at = 1 + numbers.below(synced.len() as u64 - 1) as usize;
    let (before, after) = (&synced[at - 1], &synced[at]);
    let mixed = mix(before, after, unit, numbers);
    std::fs::write(folder.join("starling.redb"), mixed)?;
    Ok(reported)
}

/// A file system of its own, whose power can be cut: what it had not written then is gone. Needs root and loop devices.
struct Device {
    mounted: std::path::PathBuf,
    device: String,
}

fn sh(script: &str) -> Result<String, Failure> {
    let output = Command::new("sh").args(["-ec", script]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Device {
    fn make(place: &Path) -> Result<Self, Failure> {
        let image = place.join("image");
        let mounted = place.join("mounted");
        std::fs::create_dir(&mounted)?;
        let image = image.display();
        let device = sh(&format!(
            "truncate -s 1G {image}; mkfs.ext4 -q -E lazy_itable_init=0 {image}; losetup --find --show {image}"
        ))?;
        let device = Self { mounted, device };
        device.mount()?;
        Ok(device)
    }

    fn mount(&self) -> Result<(), Failure> {
        sh(&format!("mount {} {}", self.device, self.mounted.display())).map(drop)
    }

    /// Kills a flood by cutting its power.
    fn cut(&mut self, peer: &str, numbers: &mut Numbers) -> Result<(), Failure> {
        let folder = self.mounted.join("store");
        std::fs::create_dir_all(&folder)?;
        let flood = Flood::start(peer, &folder, numbers.next())?;
        flood.wait("the first commit", |said| said.0 > 0)?;
        std::thread::sleep(Duration::from_micros(numbers.below(150_000)));
        // ext4's own way to stop at once, its journal not written: FS_IOC_SHUTDOWN with NOLOGFLUSH.
        let shut = format!(
            "import fcntl,os,struct; fcntl.ioctl(os.open('{}', os.O_RDONLY), 0x8004587d, struct.pack('I', 2))",
            self.mounted.display()
        );
        // A sync that is under way during the cut may be answered well by the kernel; without power nobody would hear
        // of it. So what counts was reported before.
        let mut cut = Command::new("python3")
            .args(["-c", &format!("import sys; sys.stdin.readline(); {shut}")])
            .stdin(Stdio::piped())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(100) + Duration::from_micros(numbers.below(100_000)));
        let reported = flood.said().0;
        drop(cut.stdin.take());
        if !cut.wait()?.success() {
            return Err("the power cannot be cut".into());
        }
        flood.kill()?;
        // Something else on the machine may look at it this very moment.
        let mounted = self.mounted.display();
        sh(&format!(
            "for n in 1 2 3 4 5 6 7 8 9; do umount {mounted} && break; sleep 0.2; done"
        ))?;
        self.mount()?;
        let result = checked(peer, &folder, reported).map(drop);
        // Not for ever: the device is small, and a store that is broken stays so.
        if result.is_err() || numbers.below(8) == 0 {
            std::fs::remove_dir_all(&folder)?;
        }
        result
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = sh(&format!(
            "umount {}; losetup -d {}",
            self.mounted.display(),
            self.device
        ));
    }
}

/// The disk fills up under a flood, and is given space again.
fn full(peer: &str, numbers: &mut Numbers) -> Result<(), Failure> {
    let place = tempfile::tempdir()?;
    let mounted = place.path().display().to_string();
    sh(&format!("mount -t tmpfs -o size=400m none {mounted}"))?;
    let result = (|| {
        let ballast = place.path().join("ballast");
        std::fs::write(&ballast, vec![1; (100 + numbers.below(200) as usize) << 20])?;
        let folder = place.path().join("store");
        std::fs::create_dir(&folder)?;
        let flood = Flood::start(peer, &folder, numbers.next())?;
        flood.wait("a failure", |said| said.1 > 2)?;
        std::fs::remove_file(ballast)?;
        let before = flood.said().0;
        flood.wait("a commit after there is space again", |said| said.0 > before)?;
        let reported = flood.kill()?;
        checked(peer, &folder, reported).map(drop)
    })();
    sh(&format!("umount {mounted}"))?;
    result
}
