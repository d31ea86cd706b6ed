//! The log and its disk, put together.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::Input;
use engine::api::StoreState;
use engine::store::{Batch, Load};
use wasm_bindgen_futures::spawn_local;

use super::disk::{Disk, DiskError, DiskEvent};
use super::log::{Due, Log, LogStats, Write};
use super::segment::SegmentNumber;
use crate::platform;

/// Time in milliseconds that a relaxed batch waits for others, to be committed together. Own posts are strict and do
/// not wait.
const GROUP_COMMIT_MS: f64 = 25.0;
/// Segments read at once at start: at most this many megabytes in flight, twice.
const BOOT_PAGE_SEGMENTS: usize = 16;
/// First pause after a failed write in milliseconds; it doubles up to [`RETRY_MS_MAX`].
const RETRY_MS_MIN: f64 = 250.0;
/// Longest pause between two attempts in milliseconds.
const RETRY_MS_MAX: f64 = 15_000.0;
/// Pause in milliseconds before a merge that found no space is attempted again.
const MERGE_PAUSE_MS: f64 = 60_000.0;
/// More than this waiting in memory counts as a failing disk. Policy: nothing is dropped; the engine takes in nothing
/// new that can wait until it is better.
const BACKLOG_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Tries of a load before it fails for good.
const LOAD_TRIES: u32 = 5;

/// What the store says unasked.
#[derive(Debug)]
pub enum StoreEvent {
    /// For the engine.
    Input(Input),
    /// From the database.
    Disk(DiskEvent),
    /// Another writer uses this store: this tab must stop at once.
    SecondWriter,
}

/// The engine's tables.
#[derive(Clone)]
pub struct Store(Rc<Inner>);

struct Inner {
    log: RefCell<Log>,
    disk: Disk,
    writing: Cell<bool>,
    timer: Cell<bool>,
    stopped: Cell<bool>,
    state: Cell<StoreState>,
    merge_not_before: Cell<protocol::Instant>,
    tell: Rc<dyn Fn(StoreEvent)>,
}

impl Store {
    /// Opens the database and reads the directory from all segments. Damaged ones are skipped, and
    /// [`Self::stats`] counts them; one of a later version of the app makes it fail with [`DiskError::Outdated`].
    pub async fn open(tell: impl Fn(StoreEvent) + 'static) -> Result<Self, DiskError> {
        let tell: Rc<dyn Fn(StoreEvent)> = Rc::new(tell);
        let on_event = Rc::clone(&tell);
        let disk = Disk::open(move |event| on_event(StoreEvent::Disk(event))).await?;
        let mut log = Log::default();
        boot(&disk, &mut log).await?;
        Ok(Self(Rc::new(Inner {
            log: RefCell::new(log),
            disk,
            writing: Cell::new(false),
            timer: Cell::new(false),
            stopped: Cell::new(false),
            state: Cell::new(StoreState::Ok),
            merge_not_before: Cell::default(),
            tell,
        })))
    }

    /// Executes a batch. Reads see it from now on.
    pub fn persist(&self, batch: &Batch) {
        self.0.log.borrow_mut().append(batch);
        if self.0.log.borrow().backlog_bytes() > BACKLOG_BYTES_MAX {
            self.0.set_state(StoreState::Failing);
        }
        self.schedule();
    }

    /// Executes a load; the answer comes as an input, at once if everything is in memory.
    pub fn load(&self, load: Load) {
        let lookup = self.0.log.borrow_mut().lookup(&load.reads);
        let missing = lookup.missing();
        if missing.is_empty() {
            let rows = lookup.into_rows();
            (self.0.tell)(StoreEvent::Input(Input::Loaded { id: load.id, rows }));
            return;
        }
        // Asked for in this very turn, so that no later merge can remove a segment first.
        let reading = self.0.disk.read(&missing);
        let inner = Rc::clone(&self.0);
        spawn_local(async move {
            let segments = match reading {
                Ok(reading) => reading.await,
                Err(error) => Err(error),
            };
            let input = match segments {
                Ok(segments) if segments.iter().all(Option::is_some) => {
                    let mut lookup = lookup;
                    for (number, bytes) in missing.into_iter().zip(segments) {
                        let bytes = bytes.and_then(|bytes| inner.log.borrow_mut().check(number, bytes));
                        if let Some(bytes) = bytes {
                            lookup.provide(number, &bytes);
                        }
                    }
                    Input::Loaded {
                        id: load.id,
                        rows: lookup.into_rows(),
                    }
                }
                _ => inner.load_again(load).await,
            };
            (inner.tell)(StoreEvent::Input(input));
        });
    }

    /// A small thing of the adapter's own.
    pub async fn note(&self, name: &str) -> Option<Vec<u8>> {
        self.0.disk.note(name).await.ok().flatten()
    }

    /// Keeps a small thing; it is lost if the disk does not want it.
    pub async fn put_note(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.0.disk.put_note(name, bytes).await {
            platform::warn(&format!("store: the note {name} was not kept: {error:?}"));
        }
    }

    pub fn stats(&self) -> LogStats {
        self.0.log.borrow().stats()
    }

    /// Writes nothing any more and closes the database.
    pub fn stop(&self) {
        self.0.stopped.set(true);
        self.0.disk.close();
    }

    fn schedule(&self) {
        let inner = &self.0;
        if inner.writing.get() || inner.stopped.get() {
            return;
        }
        match inner.log.borrow().due() {
            Due::Nothing => {}
            Due::Now => self.start_writing(),
            Due::Soon if inner.timer.get() => {}
            Due::Soon => {
                inner.timer.set(true);
                let store = self.clone();
                spawn_local(async move {
                    platform::sleep(GROUP_COMMIT_MS).await;
                    store.0.timer.set(false);
                    if !store.0.writing.get() && !store.0.stopped.get() {
                        store.start_writing();
                    }
                });
            }
        }
    }

    fn start_writing(&self) {
        self.0.writing.set(true);
        let store = self.clone();
        spawn_local(async move {
            store.0.write_all().await;
            store.0.writing.set(false);
            store.schedule();
        });
    }
}

impl Inner {
    /// Writes until nothing is left that should not wait.
    async fn write_all(&self) {
        loop {
            if self.stopped.get() {
                return;
            }
            let merges = platform::instant() >= self.merge_not_before.get();
            let write = self.log.borrow_mut().next_write(merges);
            match write {
                Some(write) if write.merge => self.write_merge(&write).await,
                Some(write) => {
                    self.write_until_done(&write).await;
                    if self.stopped.get() {
                        return;
                    }
                    let durable = self.log.borrow_mut().written(&write);
                    for id in durable {
                        (self.tell)(StoreEvent::Input(Input::Persisted { id }));
                    }
                }
                None => {}
            }
            // What came meanwhile and may wait for company does.
            let due = self.log.borrow().due();
            if due != Due::Now && !(merges && self.prepare_merge().await) {
                return;
            }
        }
    }

    /// Tries a write until the disk takes it, telling the engine how it goes.
    async fn write_until_done(&self, write: &Write) {
        let mut pause_ms = RETRY_MS_MIN;
        loop {
            let error = match self.disk.write(write).await {
                Ok(()) => {
                    self.set_state(StoreState::Ok);
                    return;
                }
                Err(error) => error,
            };
            if self.stopped.get() {
                return;
            }
            match error {
                DiskError::Exists => match self.is_written(write).await {
                    Some(true) => return,
                    Some(false) => {
                        self.stopped.set(true);
                        (self.tell)(StoreEvent::SecondWriter);
                        return;
                    }
                    None => self.set_state(StoreState::Failing),
                },
                DiskError::Quota => self.set_state(StoreState::Full),
                DiskError::Outdated => {
                    self.stopped.set(true);
                    return;
                }
                DiskError::Other(reason) => {
                    platform::warn(&format!("store: a write failed and is tried again: {reason}"));
                    self.set_state(StoreState::Failing);
                    // The connection may be gone (it happens on iOS); if opening fails too, the next try does it again.
                    let _ = self.disk.reopen().await;
                }
            }
            platform::sleep(pause_ms).await;
            pause_ms = (pause_ms * 2.0).min(RETRY_MS_MAX);
        }
    }

    /// Whether a write that met its own number was made earlier, its end having got lost.
    async fn is_written(&self, write: &Write) -> Option<bool> {
        let numbers: Vec<SegmentNumber> = write.add.iter().map(|(number, _)| *number).collect();
        let there = self.disk.read(&numbers).ok()?.await.ok()?;
        Some(
            write
                .add
                .iter()
                .zip(there)
                .all(|((_, bytes), there)| there.as_ref() == Some(&**bytes)),
        )
    }

    /// A merge is only worth one try: without it nothing is lost but space.
    async fn write_merge(&self, write: &Write) {
        let done = match self.disk.write(write).await {
            Ok(()) => true,
            Err(DiskError::Exists) => self.is_written(write).await == Some(true),
            Err(_) => false,
        };
        if done {
            self.log.borrow_mut().written(write);
        } else {
            let pause = core::time::Duration::from_millis(MERGE_PAUSE_MS as u64);
            self.merge_not_before.set(platform::instant() + pause);
        }
    }

    /// Merges one step's worth of segments in memory, if that is due. `false`: there is nothing to write.
    async fn prepare_merge(&self) -> bool {
        if self.log.borrow().merge_waits() {
            return true;
        }
        let plan = self.log.borrow().merge_plan();
        let Some(plan) = plan else { return false };
        let mut sources = self.log.borrow_mut().merge_sources(&plan);
        let missing = sources.missing().to_vec();
        if !missing.is_empty() {
            let read = match self.disk.read(&missing) {
                Ok(reading) => reading.await,
                Err(error) => Err(error),
            };
            let Ok(segments) = read else { return false };
            for (number, bytes) in missing.into_iter().zip(segments) {
                let bytes = bytes.and_then(|bytes| self.log.borrow_mut().check(number, bytes));
                if let Some(bytes) = bytes {
                    sources.add(number, bytes);
                }
            }
        }
        self.log.borrow_mut().merge(&sources)
    }

    async fn load_again(&self, load: Load) -> Input {
        let mut pause_ms = RETRY_MS_MIN;
        for _ in 0..LOAD_TRIES {
            let mut lookup = self.log.borrow_mut().lookup(&load.reads);
            let missing = lookup.missing();
            let segments = match self.disk.read(&missing) {
                Ok(reading) => reading.await,
                Err(error) => Err(error),
            };
            match segments {
                Ok(segments) => {
                    for (number, bytes) in missing.into_iter().zip(segments) {
                        let bytes = bytes.and_then(|bytes| self.log.borrow_mut().check(number, bytes));
                        if let Some(bytes) = bytes {
                            lookup.provide(number, &bytes);
                        }
                    }
                    return Input::Loaded {
                        id: load.id,
                        rows: lookup.into_rows(),
                    };
                }
                Err(DiskError::Outdated) => break,
                Err(error) => {
                    platform::warn(&format!("store: a read failed and is tried again: {error:?}"));
                    platform::sleep(pause_ms).await;
                    pause_ms *= 2.0;
                    let _ = self.disk.reopen().await;
                }
            }
        }
        Input::LoadFailed { id: load.id }
    }

    fn set_state(&self, state: StoreState) {
        if self.state.replace(state) != state {
            (self.tell)(StoreEvent::Input(Input::Store(state)));
        }
    }
}

/// Reads all segments in pages; while one is checked and taken in, the browser fetches the next.
async fn boot(disk: &Disk, log: &mut Log) -> Result<(), DiskError> {
    let numbers = disk.numbers().await?;
    let pages: Vec<&[SegmentNumber]> = numbers.chunks(BOOT_PAGE_SEGMENTS).collect();
    let ask = |page: &[SegmentNumber]| match page {
        [] => Ok(None),
        [first, .., last] => disk.read_range(*first, *last).map(Some),
        [only] => disk.read_range(*only, *only).map(Some),
    };
    let mut coming = ask(pages.first().copied().unwrap_or_default())?;
    for (at, page) in pages.iter().enumerate() {
        let Some(reading) = coming else { break };
        let segments = reading.await?;
        coming = ask(pages.get(at + 1).copied().unwrap_or_default())?;
        for (number, bytes) in page.iter().zip(segments) {
            if let Err(broken) = log.replay(*number, &Rc::new(bytes)) {
                if broken.is_of_later_version() {
                    return Err(DiskError::Outdated);
                }
                platform::warn(&format!(
                    "store: segment {number} is broken ({broken:?}) and was skipped"
                ));
            }
        }
    }
    Ok(())
}
