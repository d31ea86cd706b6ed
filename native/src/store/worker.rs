//! The store's thread: takes what waits, executes it, commits, reports; and starts over when the disk fails it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use engine::api::StoreState;
use engine::io::Input;
use engine::store::{Batch, Load, Op};
use tokio::sync::mpsc;

use super::disk::{self, Changes, Disk, DiskError};
use super::{Command, Opener};

/// Changes in one commit: it bounds how long the first of them waits, and what is held in memory for it.
const GROUP_OPS_MAX: usize = 32_768;
/// Bytes in one commit, for the same reason.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// After a commit of so many batches more are on their way,
const BUSY_GROUP: usize = 8;
/// and the next begins this long after it at the earliest: a commit costs much the same however little is in it, and a relay
/// signs a receipt for each feed of one. With 2 ms, or as soon as possible, a relay takes less in a second, and what is asked
/// of it at half of that takes longer; with 4 ms and more, people wait for nothing.
const COMMIT_EVERY: Duration = Duration::from_millis(3);

/// Between two attempts on a failing disk: short at first, since most failures that pass do so quickly.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// The longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Attempts at a load before the engine is told that it cannot be read.
const LOAD_ATTEMPTS_MAX: u32 = 5;
/// How often is looked for commands while a failing disk has its pause.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Bytes that may wait for a failing disk; then nothing more is taken, not even loads. What neighbours may send before it is
/// on the disk is bounded for each of them, so this is reached by very many alone.
const UNWRITTEN_BYTES_MAX: usize = 256 << 20;
/// At a stop, how long a failing disk is still tried.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Worker {
    opener: Opener,
    disk: Option<Box<dyn Disk + Send>>,
    /// It takes nothing any more: it is read until it can be opened anew.
    broken: bool,
    commands: mpsc::Receiver<Command>,
    results: mpsc::Sender<Input>,
    /// Taken from the channel and not finished, in order: batches of a failed commit, then what was taken after them.
    queue: VecDeque<Command>,
    state: StoreState,
    /// Batches in the last commit,
    last_group: usize,
    /// which began then.
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

    /// Until the driver is gone; whether everything given is on disk then.
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
                        tracing::error!(%error, ?state, "the store cannot be used; it is tried again");
                    }
                    self.report_state(state);
                    if self.commands.is_closed() {
                        let give_up = *give_up.get_or_insert(Instant::now() + CLOSE_WITHIN);
                        if Instant::now() > give_up {
                            tracing::error!(
                                unwritten = self.queue.len(),
                                "stopped without everything being on disk"
                            );
                            return false;
                        }
                    }
                    self.read_on(retry);
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// Executes what is queued and whatever arrives meanwhile, up to the size of a group.
    fn round(&mut self) -> Result<(), DiskError> {
        let disk = match self.disk.take() {
            Some(disk) if !self.broken => disk,
            Some(disk) if !disk.has_room() => {
                // Opening it needs some; until then it can at least be read.
                self.disk = Some(disk);
                return Err(DiskError::Full("it still is".into()));
            }
            // Only one can have it open.
            before => {
                drop(before);
                (self.opener)()?
            }
        };
        self.broken = false;
        let outcome = self.round_with(disk.as_ref());
        self.disk = Some(disk);
        outcome
    }

    fn round_with(&mut self, disk: &dyn Disk) -> Result<(), DiskError> {
        // Loads with no batch before them wait for no company.
        let none = Changes::new();
        while let Some(Command::Load(load)) = self.queue.front() {
            let rows = answer(disk, &none, load)?;
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
                    bytes += batch.ops.iter().map(op_bytes).sum::<usize>();
                    for op in &batch.ops {
                        disk::add_change(&mut changes, op);
                    }
                    applied.push(batch);
                }
                Some(Command::Load(load)) => match answer(disk, &changes, &load) {
                    Ok(rows) => report(&self.results, Input::Loaded { id: load.id, rows }),
                    Err(error) => {
                        self.queue.push_front(Command::Load(load));
                        return Err(error);
                    }
                },
                None => break,
            }
        }
        disk.commit(&changes)
    }

    /// One more command into an empty queue, if one waits. The channel is the queue: what is not needed yet stays there,
    /// where it is bounded.
    fn take_waiting(&mut self) {
        if self.queue.is_empty() {
            self.queue.extend(self.commands.try_recv().ok());
        }
    }

    /// While the disk has its pause: takes what comes, and answers loads from what is on it and all that waits to be.
    fn read_on(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut unwritten = Unwritten::default();
        for command in std::mem::take(&mut self.queue) {
            self.keep(&mut unwritten, command);
        }
        while Instant::now() < until {
            let room = unwritten.bytes < UNWRITTEN_BYTES_MAX;
            match room.then(|| self.commands.try_recv().ok()).flatten() {
                Some(command) => self.keep(&mut unwritten, command),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// A load that failed again and again is given up, so that the engine does not wait for ever. A batch never is.
    fn keep(&mut self, unwritten: &mut Unwritten, command: Command) {
        match command {
            Command::Persist(batch) => {
                unwritten.bytes += batch.ops.iter().map(op_bytes).sum::<usize>();
                for op in &batch.ops {
                    disk::add_change(&mut unwritten.changes, op);
                }
                self.queue.push_back(Command::Persist(batch));
            }
            Command::Load(load) => {
                let id = load.id;
                for attempt in 0..LOAD_ATTEMPTS_MAX {
                    if attempt > 0 {
                        std::thread::sleep(RETRY_FIRST);
                    }
                    if let Ok(rows) = self.look(&unwritten.changes, &load) {
                        return report(&self.results, Input::Loaded { id, rows });
                    }
                }
                report(&self.results, Input::LoadFailed { id });
            }
        }
    }

    fn look(&mut self, changes: &Changes, load: &Load) -> Result<engine::store::Rows, DiskError> {
        let disk = match self.disk.take() {
            Some(disk) => disk,
            None => (self.opener)()?,
        };
        answer(self.disk.insert(disk).as_ref(), changes, load)
    }

    fn report_state(&mut self, state: StoreState) {
        if self.state != state {
            self.state = state;
            if state == StoreState::Ok {
                tracing::info!("the store takes writes again");
            }
            report(&self.results, Input::Store(state));
        }
    }
}

/// What waits for a failing disk.
#[derive(Default)]
struct Unwritten {
    changes: Changes,
    bytes: usize,
}

fn answer(disk: &dyn Disk, changes: &Changes, load: &Load) -> Result<engine::store::Rows, DiskError> {
    load.reads
        .iter()
        .map(|read| disk::rows(disk, changes, read))
        .collect()
}

/// When nobody listens any more, batches are written all the same.
fn report(results: &mpsc::Sender<Input>, input: Input) {
    let _ = results.blocking_send(input);
}

fn op_bytes(op: &Op) -> usize {
    match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete { key, .. } => key.len(),
    }
}

fn state_of(error: &DiskError) -> StoreState {
    match error {
        DiskError::Full(_) => StoreState::Full,
        _ => StoreState::Failing,
    }
}
