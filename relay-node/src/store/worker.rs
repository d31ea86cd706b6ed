//! The store's thread: takes what waits, executes it, commits, reports; and starts over when the disk fails it.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use engine::api::StoreState;
use engine::io::Input;
use engine::store::{Batch, Load, Op};
use redb::{Database, Durability, ReadableDatabase as _};
use tokio::sync::mpsc;

use super::overlay::Overlay;
use super::tables::{Tables, WriteTables};
use super::{Command, Opener};

/// Changes in one commit: it bounds how long the first of them waits, and what the transaction holds in memory.
const GROUP_OPS_MAX: usize = 32_768;
/// Bytes in one commit, for the same reason.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// After a commit of so many batches more are on their way:
const BUSY_GROUP: usize = 96;
/// they are given this long to come together, since a commit costs the same for few as for many.
const GATHER: Duration = Duration::from_millis(3);

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
const UNWRITTEN_BYTES_MAX: usize = 128 << 20;
/// At a stop, how long a failing disk is still tried.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Worker {
    opener: Opener,
    database: Option<Database>,
    commands: mpsc::Receiver<Command>,
    results: mpsc::Sender<Input>,
    /// Taken from the channel and not finished, in order: batches of a failed commit, then what was taken after them.
    queue: VecDeque<Command>,
    state: StoreState,
    /// Batches in the last commit.
    last_group: usize,
}

impl Worker {
    pub(super) fn new(
        opener: Opener,
        database: Database,
        commands: mpsc::Receiver<Command>,
        results: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            opener,
            database: Some(database),
            commands,
            results,
            queue: VecDeque::new(),
            state: StoreState::Ok,
            last_group: 0,
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
                    self.database = None;
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
    fn round(&mut self) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => super::open_database(&mut self.opener)?,
        };
        let outcome = self.round_with(&database);
        self.database = Some(database);
        outcome
    }

    fn round_with(&mut self, database: &Database) -> Result<(), redb::Error> {
        // Loads with no batch before them need no write transaction.
        let mut tables = None;
        while let Some(Command::Load(load)) = self.queue.front() {
            let tables = match &tables {
                Some(tables) => tables,
                None => tables.insert(Tables::new(database.begin_read()?)),
            };
            let rows = load
                .reads
                .iter()
                .map(|read| tables.read(read))
                .collect::<Result<_, _>>()?;
            let id = load.id;
            self.queue.pop_front();
            report(&self.results, Input::Loaded { id, rows });
            self.take_waiting();
        }
        drop(tables);
        if self.queue.is_empty() {
            return Ok(());
        }
        if self.last_group >= BUSY_GROUP {
            std::thread::sleep(GATHER);
        }
        let mut applied = Vec::new();
        let committed = self.commit_group(database, &mut applied);
        match committed {
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

    /// Moves batches from the queue to `applied`, and answers loads between them, in one transaction.
    fn commit_group(&mut self, database: &Database, applied: &mut Vec<Batch>) -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        let mut tables = WriteTables::new(&transaction);
        let (mut ops, mut bytes) = (0, 0);
        while ops < GROUP_OPS_MAX && bytes < GROUP_BYTES_MAX {
            self.take_waiting();
            match self.queue.pop_front() {
                Some(Command::Persist(batch)) => {
                    ops += batch.ops.len().max(1);
                    bytes += batch.ops.iter().map(op_bytes).sum::<usize>();
                    applied.push(batch);
                    for op in applied.last().into_iter().flat_map(|batch| &batch.ops) {
                        tables.apply(op)?;
                    }
                }
                Some(Command::Load(load)) => match answer(&mut tables, &load) {
                    Ok(rows) => {
                        report(&self.results, Input::Loaded { id: load.id, rows });
                    }
                    Err(error) => {
                        self.queue.push_front(Command::Load(load));
                        return Err(error);
                    }
                },
                None => break,
            }
        }
        drop(tables);
        transaction.commit()?;
        Ok(())
    }

    /// One more command into an empty queue, if one waits. The channel is the queue: what is not needed yet stays there,
    /// where it is bounded.
    fn take_waiting(&mut self) {
        if self.queue.is_empty() {
            self.queue.extend(self.commands.try_recv().ok());
        }
    }

    /// While the disk has its pause: takes what comes, and answers loads from what was last committed and all that waits to
    /// be.
    fn read_on(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut overlay = Overlay::default();
        let waiting = std::mem::take(&mut self.queue);
        for command in waiting {
            self.keep(&mut overlay, command);
        }
        while Instant::now() < until {
            let room = overlay.bytes() < UNWRITTEN_BYTES_MAX;
            match room.then(|| self.commands.try_recv().ok()).flatten() {
                Some(command) => self.keep(&mut overlay, command),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// A load that failed again and again is given up, so that the engine does not wait for ever. A batch never is.
    fn keep(&mut self, overlay: &mut Overlay, command: Command) {
        match command {
            Command::Persist(batch) => {
                batch.ops.iter().for_each(|op| overlay.apply(op));
                self.queue.push_back(Command::Persist(batch));
            }
            Command::Load(load) => {
                let id = load.id;
                for attempt in 0..LOAD_ATTEMPTS_MAX {
                    if attempt > 0 {
                        std::thread::sleep(RETRY_FIRST);
                    }
                    if let Ok(rows) = self.look(overlay, &load) {
                        return report(&self.results, Input::Loaded { id, rows });
                    }
                    self.database = None;
                }
                report(&self.results, Input::LoadFailed { id });
            }
        }
    }

    fn look(&mut self, overlay: &Overlay, load: &Load) -> Result<engine::store::Rows, redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.opener)()?,
        };
        let tables = Tables::new(self.database.insert(database).begin_read()?);
        load.reads
            .iter()
            .map(|read| tables.read_under(overlay, read))
            .collect()
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

fn answer(tables: &mut WriteTables<'_>, load: &Load) -> Result<engine::store::Rows, redb::Error> {
    load.reads.iter().map(|read| tables.read(read)).collect()
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

fn state_of(error: &redb::Error) -> StoreState {
    match error {
        redb::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ) =>
        {
            StoreState::Full
        }
        _ => StoreState::Failing,
    }
}
