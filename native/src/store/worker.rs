//! The store's thread: takes queued commands, executes them, commits, reports; and reopens the disk after a failure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use engine::api::StoreState;
use engine::io::Input;
use engine::store::{Batch, Load, Op, Rows};
use tokio::sync::mpsc;

use super::disk::{self, Changes, Disk, DiskError};
use super::{Command, Opener};
use crate::driver::Payer;

/// Changes in one commit: it bounds how long the first of them waits, and what is held in memory for it.
const GROUP_OPS_MAX: usize = 32_768;
/// Bytes in one commit, for the same reason.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Batches in a commit from which on the store counts as busy: more are probably on their way.
const BUSY_GROUP: usize = 8;
/// Shortest time between the starts of two commits of a busy store. A commit costs much the same whatever its size,
/// and a relay signs one receipt for each feed in it. 3 ms is measured: with 2 ms or no pause a relay ingests fewer
/// entries per second and responds more slowly at half of that rate; 4 ms and more only add delay.
const COMMIT_EVERY: Duration = Duration::from_millis(3);

/// First pause between two attempts on a failing disk: short, because most temporary failures end quickly.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between two attempts; it doubles up to this.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Attempts at a load before the engine gets [`Input::LoadFailed`].
const LOAD_ATTEMPTS_MAX: u32 = 5;
/// Time between two checks for commands during the pause of a failing disk.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Bytes that may wait for a failing disk; when there are more, no further command is taken, loads included. It is four
/// times what the engine of a relay lets wait before it refuses entries, so only rows of other kinds could reach it.
const UNWRITTEN_BYTES_MAX: usize = 256 << 20;
/// At a stop, how long writing to a failing disk is still attempted.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Longest pause between two attempts at a stop.
const CLOSING_RETRY_MAX: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    opener: Opener,
    disk: Option<Box<dyn Disk + Send>>,
    /// It refuses writes: it is only read until it can be reopened.
    broken: bool,
    commands: mpsc::Receiver<Command>,
    results: mpsc::Sender<Input>,
    /// Taken from the channel and not finished, in order: batches of a failed commit, then what was taken after them.
    queue: VecDeque<Command>,
    state: StoreState,
    /// Batches in the last commit.
    last_group: usize,
    /// The time at which the last commit began.
    last_commit: Instant,
}

impl Worker {
    pub(super) fn new(
        opener: Opener,
        disk: Box<dyn Disk + Send>,
        commands: mpsc::Receiver<Command>,
        results: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            opener,
            disk: Some(disk),
            broken: false,
            commands,
            results,
            queue: VecDeque::new(),
            state: StoreState::Ok,
            last_group: 0,
            last_commit: Instant::now(),
        }
    }

    /// Runs until the driver is gone. Returns whether everything it gave is on disk.
    pub(super) fn run(mut self) -> bool {
        let mut retry = RETRY_FIRST;
        let mut give_up = None;
        loop {
            if self.queue.is_empty() {
                match self.commands.blocking_recv() {
                    Some(command) => self.queue.push_back(command),
                    None => return true,
                }
            }
            match self.round() {
                Ok(()) => {
                    retry = RETRY_FIRST;
                    give_up = None;
                    self.report_state(StoreState::Ok);
                }
                Err(error) => {
                    self.broken = true;
                    let state = state_of(&error);
                    if self.state != state {
                        tracing::error!(%error, ?state, "store not writable; retrying");
                    }
                    self.report_state(state);
                    if self.commands.is_closed() {
                        let give_up = *give_up.get_or_insert(Instant::now() + CLOSE_WITHIN);
                        if Instant::now() > give_up {
                            tracing::error!(unwritten = self.queue.len(), "stopped with unwritten batches");
                            return false;
                        }
                    }
                    let longest = match self.commands.is_closed() {
                        true => CLOSING_RETRY_MAX,
                        false => RETRY_MAX,
                    };
                    self.read_on(retry.min(longest));
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// Executes queued commands and those that arrive meanwhile, up to the size of a group.
    fn round(&mut self) -> Result<(), DiskError> {
        let disk = match self.disk.take() {
            Some(disk) if !self.broken => disk,
            Some(disk) if !disk.has_room() => {
                // Reopening needs free space; until then the disk can at least be read.
                self.disk = Some(disk);
                return Err(DiskError::Full("it still is".into()));
            }
            // It can be open only once.
            before => {
                drop(before);
                (self.opener)()?
            }
        };
        self.broken = false;
        let result = self.round_with(disk.as_ref());
        self.disk = Some(disk);
        result
    }

    fn round_with(&mut self, disk: &dyn Disk) -> Result<(), DiskError> {
        // Loads with no batch before them are answered at once.
        let none = Changes::new();
        while let Some(Command::Load(load, payer)) = self.queue.front() {
            let rows = answer(disk, &none, load, payer.as_ref())?;
            let id = load.id;
            self.queue.pop_front();
            report(&self.results, Input::Loaded { id, rows });
            self.take_waiting();
        }
        if self.queue.is_empty() {
            return Ok(());
        }
        if self.last_group >= BUSY_GROUP {
            std::thread::sleep(COMMIT_EVERY.saturating_sub(self.last_commit.elapsed()));
        }
        self.last_commit = Instant::now();
        let mut applied = Vec::new();
        match self.commit_group(disk, &mut applied) {
            Ok(()) => {
                self.last_group = applied.len();
                if let Some(last) = applied.last() {
                    report(&self.results, Input::Persisted { id: last.id });
                }
                Ok(())
            }
            Err(error) => {
                for batch in applied.into_iter().rev() {
                    self.queue.push_front(Command::Persist(batch));
                }
                Err(error)
            }
        }
    }

    /// Moves batches from the queue to `applied`, answers loads between them, and commits all batches at once.
    fn commit_group(&mut self, disk: &dyn Disk, applied: &mut Vec<Batch>) -> Result<(), DiskError> {
        let mut changes = Changes::new();
        let (mut ops, mut bytes) = (0, 0);
        while ops < GROUP_OPS_MAX && bytes < GROUP_BYTES_MAX {
            self.take_waiting();
            match self.queue.pop_front() {
                Some(Command::Persist(batch)) => {
                    ops += batch.ops.len().max(1);
                    bytes += batch.ops.iter().map(Op::bytes).sum::<usize>();
                    for op in &batch.ops {
                        disk::add_change(&mut changes, op);
                    }
                    applied.push(batch);
                }
                Some(Command::Load(load, payer)) => match answer(disk, &changes, &load, payer.as_ref()) {
                    Ok(rows) => report(&self.results, Input::Loaded { id: load.id, rows }),
                    Err(error) => {
                        self.queue.push_front(Command::Load(load, payer));
                        return Err(error);
                    }
                },
                None => break,
            }
        }
        disk.commit(&changes)
    }

    /// Moves one command from the channel into an empty queue, if there is one. Other commands stay in the channel,
    /// which is bounded.
    fn take_waiting(&mut self) {
        if self.queue.is_empty() {
            self.queue.extend(self.commands.try_recv().ok());
        }
    }

    /// During the pause of a failing disk: takes commands, and answers loads from the disk and the changes that wait
    /// for it.
    fn read_on(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut unwritten = Unwritten::default();
        for command in std::mem::take(&mut self.queue) {
            self.hold(&mut unwritten, command);
        }
        let closed = self.commands.is_closed();
        while Instant::now() < until {
            if self.commands.is_closed() && !closed {
                // The peer stops: what waits is attempted at once.
                return;
            }
            let room = unwritten.bytes < UNWRITTEN_BYTES_MAX;
            match room.then(|| self.commands.try_recv().ok()).flatten() {
                Some(command) => self.hold(&mut unwritten, command),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Holds back a batch, however long; answers a load, or gives it up after some attempts so that the engine does
    /// not wait for ever.
    fn hold(&mut self, unwritten: &mut Unwritten, command: Command) {
        match command {
            Command::Persist(batch) => {
                unwritten.bytes += batch.ops.iter().map(Op::bytes).sum::<usize>();
                for op in &batch.ops {
                    disk::add_change(&mut unwritten.changes, op);
                }
                self.queue.push_back(Command::Persist(batch));
            }
            Command::Load(load, payer) => {
                let id = load.id;
                for attempt in 0..LOAD_ATTEMPTS_MAX {
                    if attempt > 0 {
                        std::thread::sleep(RETRY_FIRST);
                    }
                    if let Ok(rows) = self.read(&unwritten.changes, &load, payer.as_ref()) {
                        return report(&self.results, Input::Loaded { id, rows });
                    }
                }
                report(&self.results, Input::LoadFailed { id });
            }
        }
    }

    fn read(&mut self, changes: &Changes, load: &Load, payer: Option<&Payer>) -> Result<Rows, DiskError> {
        let disk = match self.disk.take() {
            Some(disk) => disk,
            None => (self.opener)()?,
        };
        answer(self.disk.insert(disk).as_ref(), changes, load, payer)
    }

    fn report_state(&mut self, state: StoreState) {
        if self.state != state {
            self.state = state;
            if state == StoreState::Ok {
                tracing::info!("store writable again");
            }
            report(&self.results, Input::Store(state));
        }
    }
}

/// Changes that wait for a failing disk.
#[derive(Default)]
struct Unwritten {
    changes: Changes,
    bytes: usize,
}

/// Reads rows, which the address pays for that they are read for.
fn answer(disk: &dyn Disk, changes: &Changes, load: &Load, payer: Option<&Payer>) -> Result<Rows, DiskError> {
    let began = Instant::now();
    let rows = load.reads.iter().map(|read| disk::rows(disk, changes, read));
    let rows = rows.collect();
    if let Some(payer) = payer {
        payer.spend_beside(began.elapsed());
    }
    rows
}

/// After the driver has gone, batches are still written, and reports are dropped.
fn report(results: &mpsc::Sender<Input>, input: Input) {
    let _ = results.blocking_send(input);
}

fn state_of(error: &DiskError) -> StoreState {
    match error {
        DiskError::Full(_) => StoreState::Full,
        _ => StoreState::Failing,
    }
}
