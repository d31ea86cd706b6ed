//! Processes as the kernel shows them: descendants, signals, memory, descriptors.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use crate::lan::Site;
use crate::wait::eventually;

/// Starts a program at a site; on this machine's own network if it is at none.
pub fn spawn(command: &mut Command, site: Option<&Site>) -> anyhow::Result<Child> {
    let Some(site) = site else {
        return Ok(command.spawn()?);
    };
    let runtime = tokio::runtime::Handle::current();
    let spawned = site.run(|| {
        let _within = runtime.enter();
        command.spawn()
    })?;
    Ok(spawned?)
}

/// A process and all that descend from it, parents first.
#[must_use]
pub fn family(root: u32) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(pid)?)))
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&elder) = family.get(next) {
        family.extend(
            pairs
                .iter()
                .filter(|(_, parent)| *parent == elder)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    family
}

fn parent(pid: u32) -> Option<u32> {
    let stat = stat(pid)?;
    let mut fields = stat.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(parent)
}

/// What the kernel says of a process behind its name, which may contain anything, parentheses included.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.to_owned())
}

/// How long a process has had a processor, all threads together; in steps of a hundredth of a second.
#[must_use]
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = stat(pid)?;
    // utime and stime, the 14th and 15th field of all; the ticks of every Linux are a hundredth of a second.
    let ticks = stat.split_whitespace().skip(11).take(2);
    let ticks = ticks
        .map(|ticks| ticks.parse::<u64>().ok())
        .sum::<Option<u64>>()?;
    Some(Duration::from_millis(10 * ticks))
}

/// How long the threads of a process together were ready to run and had no processor.
#[must_use]
pub fn waited_for_cpu(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let waited = threads.flatten().filter_map(|thread| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(waited.sum()))
}

/// Sends a signal; a process that is gone already is no fault.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Kills processes as `kill -9` does, all before any can react.
pub fn kill_all(pids: &[u32]) {
    for pid in pids {
        signal(*pid, Signal::KILL);
    }
}

/// Waits until none of the processes runs any more.
pub async fn all_gone(pids: &[u32]) -> anyhow::Result<()> {
    eventually("killed processes to end", Duration::from_secs(10), || async {
        pids.iter().all(|pid| parent(*pid).is_none()).then_some(())
    })
    .await
}

/// Resident memory in KiB.
#[must_use]
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// KiB that a process has had written to disks.
#[must_use]
pub fn written_kib(pid: u32) -> Option<f64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?;
    Some(line.trim().parse::<u64>().ok()? as f64 / 1024.0)
}

/// How many file descriptors are open.
#[must_use]
pub fn descriptors(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}
