//! The log's disk: an IndexedDB database with one record per segment.
//!
//! Invariants: everything a transaction does is asked for at once, and nothing is awaited inside one but its end; a
//! write counts only at the transaction's `complete`; a segment is added, never put, so that a second writer is
//! noticed instead of overwritten.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use idb::event::Event;
use idb::{Database, DatabaseEvent, Factory, KeyRange, ObjectStoreParams, Query, Request, Transaction};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use web_sys::IdbTransaction;

use super::log::Write;
use super::segment::SegmentNumber;

const DATABASE: &str = "starling";
/// The database's version: that of the rows in it. A database of a later version does not open
/// ([`DiskError::Outdated`]).
const SCHEMA_VERSION: u32 = engine::store::FORMAT;
/// number → segment.
const LOG: &str = "log";
/// name → bytes: the adapter's own small things.
const NOTES: &str = "notes";

/// Why a request to the disk failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// No space.
    Quota,
    /// A segment of this number is there already: it was written before, or by another writer.
    Exists,
    /// A later version of the app wrote the database, or waits for this one to close it.
    Outdated,
    /// Anything else; opening the database again may help.
    Other(String),
}

/// The pending answer of the disk.
type Later<T> = core::pin::Pin<Box<dyn Future<Output = Result<T, DiskError>>>>;

/// What happens to a database from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskEvent {
    /// Another tab still holds an older version open, and this one waits for it.
    Blocked,
    /// A newer version of the app wants the database: it was closed here for good.
    Outdated,
}

#[wasm_bindgen]
extern "C" {
    /// `IDBDatabase` with the options of `transaction()`.
    type DatabaseWithOptions;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn transaction_with_options(
        this: &DatabaseWithOptions,
        stores: &JsValue,
        mode: &str,
        options: &JsValue,
    ) -> Result<IdbTransaction, JsValue>;
}

/// An open database; opened again when the browser closed it.
pub struct Disk {
    database: RefCell<Option<(Database, JsValue)>>,
    outdated: Rc<Cell<bool>>,
    on_event: Rc<dyn Fn(DiskEvent)>,
}

impl Disk {
    /// Opens the database, making or migrating it if need be.
    pub async fn open(on_event: impl Fn(DiskEvent) + 'static) -> Result<Self, DiskError> {
        let disk = Self {
            database: RefCell::new(None),
            outdated: Rc::new(Cell::new(false)),
            on_event: Rc::new(on_event),
        };
        disk.reopen().await?;
        Ok(disk)
    }

    /// Opens the database again.
    pub async fn reopen(&self) -> Result<(), DiskError> {
        if self.outdated.get() {
            return Err(DiskError::Outdated);
        }
        self.close();
        let mut request = Factory::new().and_then(|factory| factory.open(DATABASE, Some(SCHEMA_VERSION)))?;
        let on_event = Rc::clone(&self.on_event);
        request.on_blocked(move |_| on_event(DiskEvent::Blocked));
        request.on_upgrade_needed(|event| {
            if let (Ok(old), Ok(database)) = (event.old_version(), event.database()) {
                migrate(&database, old);
            }
        });
        let raw = settled(&mut request).await?;
        let mut database = Database::try_from(raw.clone())?;
        let (outdated, on_event, closing) =
            (Rc::clone(&self.outdated), Rc::clone(&self.on_event), raw.clone());
        database.on_version_change(move |_| {
            outdated.set(true);
            if let Ok(database) = Database::try_from(closing) {
                database.close();
            }
            on_event(DiskEvent::Outdated);
        });
        *self.database.borrow_mut() = Some((database, raw));
        Ok(())
    }

    /// Closes the database; transactions under way still end.
    pub fn close(&self) {
        if let Some((database, _)) = self.database.take() {
            database.close();
        }
    }

    /// Executes a write; returns once it is as durable as it asked to be.
    pub async fn write(&self, write: &Write) -> Result<(), DiskError> {
        // Copy first: the transaction should be short.
        let values: Vec<(JsValue, JsValue)> = write
            .add
            .iter()
            .map(|(number, bytes)| (JsValue::from(*number), Uint8Array::from(bytes.as_slice()).into()))
            .collect();
        let transaction = self.transaction(LOG, true, write.strict)?;
        let ask = || -> Result<(), DiskError> {
            let log = Transaction::from(transaction.clone()).object_store(LOG)?;
            for (key, value) in &values {
                log.add(value, Some(key))?;
            }
            for number in &write.remove {
                log.delete(Query::Key(JsValue::from(*number)))?;
            }
            Ok(())
        };
        if let Err(error) = ask() {
            // All or nothing.
            let _ = transaction.abort();
            return Err(error);
        }
        ended(&transaction).await
    }

    /// The numbers of all segments, ascending.
    pub async fn numbers(&self) -> Result<Vec<SegmentNumber>, DiskError> {
        let mut request = Transaction::from(self.transaction(LOG, false, false)?)
            .object_store(LOG)?
            .get_all_keys(None, None)?;
        let keys: js_sys::Array = settled(&mut request).await?.unchecked_into();
        Ok(keys
            .iter()
            .filter_map(|key| key.as_f64())
            .map(|number| number as SegmentNumber)
            .collect())
    }

    /// Asks for all segments from `first` to `last`, in order, at once; the answer comes later.
    pub fn read_range(
        &self,
        first: SegmentNumber,
        last: SegmentNumber,
    ) -> Result<Later<Vec<Vec<u8>>>, DiskError> {
        let range = KeyRange::bound(&JsValue::from(first), &JsValue::from(last), None, None)?;
        let mut request = Transaction::from(self.transaction(LOG, false, false)?)
            .object_store(LOG)?
            .get_all(Some(range.into()), None)?;
        let answer = listen(&mut request);
        Ok(Box::pin(async move {
            let values: js_sys::Array = answer
                .await
                .unwrap_or(Err(closed()))
                .map(JsCast::unchecked_into)?;
            drop(request);
            Ok(values
                .iter()
                .map(|value| bytes_of(&value).unwrap_or_default())
                .collect())
        }))
    }

    /// Segments by number; `None` for those that are not there.
    pub fn read(&self, numbers: &[SegmentNumber]) -> Result<Later<Vec<Option<Vec<u8>>>>, DiskError> {
        let log = Transaction::from(self.transaction(LOG, false, false)?).object_store(LOG)?;
        let requests: Vec<_> = numbers
            .iter()
            .map(|number| {
                let mut request = log.get(Query::Key(JsValue::from(*number)))?;
                let answer = listen(&mut request);
                Ok((request, answer))
            })
            .collect();
        Ok(Box::pin(async move {
            // Every answer is awaited, even after an error: the callback of a dropped request must not run.
            let mut segments = Vec::with_capacity(requests.len());
            for request in requests {
                segments.push(match request {
                    Ok((request, answer)) => {
                        let answer = answer.await.unwrap_or_else(|_| Err(closed()));
                        drop(request);
                        answer.map(|value| bytes_of(&value))
                    }
                    Err(error) => Err(error),
                });
            }
            segments.into_iter().collect()
        }))
    }

    pub async fn note(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let notes = Transaction::from(self.transaction(NOTES, false, false)?).object_store(NOTES)?;
        let mut request = notes.get(Query::Key(JsValue::from(name)))?;
        Ok(bytes_of(&settled(&mut request).await?))
    }

    /// Keeps a note.
    pub async fn put_note(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let value = Uint8Array::from(bytes);
        let transaction = self.transaction(NOTES, true, false)?;
        Transaction::from(transaction.clone())
            .object_store(NOTES)?
            .put(&value, Some(&JsValue::from(name)))?;
        ended(&transaction).await
    }

    fn transaction(&self, store: &str, write: bool, strict: bool) -> Result<IdbTransaction, DiskError> {
        if self.outdated.get() {
            return Err(DiskError::Outdated);
        }
        let database = self.database.borrow();
        let (_, raw) = database.as_ref().ok_or_else(closed)?;
        let options = js_sys::Object::new();
        let durability = if strict { "strict" } else { "relaxed" };
        js_sys::Reflect::set(&options, &"durability".into(), &durability.into())
            .map_err(|error| failure(&error))?;
        let mode = if write { "readwrite" } else { "readonly" };
        raw.unchecked_ref::<DatabaseWithOptions>()
            .transaction_with_options(&store.into(), mode, &options)
            .map_err(|error| failure(&error))
    }
}

/// Deletes the database with everything in it. It must be closed here.
pub async fn erase() -> Result<(), DiskError> {
    let mut request = Factory::new().and_then(|factory| factory.delete(DATABASE))?;
    settled(&mut request).await.map(|_| ())
}

/// Brings a database of an older schema to the present one, step by step. Runs inside the upgrade transaction: if it
/// fails, the old database is untouched.
fn migrate(database: &Database, old_version: u32) {
    if old_version < 1 {
        for store in [LOG, NOTES] {
            // A failure aborts the upgrade, and opening reports it.
            let _ = database.create_object_store(store, ObjectStoreParams::new());
        }
    }
}

fn bytes_of(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}

/// The end of a transaction.
async fn ended(raw: &IdbTransaction) -> Result<(), DiskError> {
    let mut transaction = Transaction::from(raw.clone());
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let completed = Rc::clone(&sender);
    transaction.on_complete(move |_| {
        let _ = completed.take().map(|sender| sender.send(Ok(())));
    });
    transaction.on_abort(move |event| {
        let error = event
            .target()
            .and_then(|target| target.dyn_into::<IdbTransaction>().ok())
            .and_then(|transaction| transaction.error());
        let error = error.map_or_else(closed, |error| failure(&error));
        let _ = sender.take().map(|sender| sender.send(Err(error)));
    });
    // Everything was asked for: no need to wait for the requests' own events. If it cannot be, its end comes all the
    // same.
    #[allow(
        deprecated,
        reason = "deprecated only in the second edition of the standard, not in the third"
    )]
    let _ = raw.commit();
    let result = receiver.await.unwrap_or_else(|_| Err(closed()));
    drop(transaction);
    result
}

/// Listens to a request; must be called in the turn that made it, and the request kept until the answer is there.
fn listen<R>(request: &mut R) -> oneshot::Receiver<Result<JsValue, DiskError>>
where
    R: Request,
    R::Event: Event<Target = R>,
{
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let failed = Rc::clone(&sender);
    request.on_success(move |event| {
        let result = event
            .target()
            .and_then(|request| request.result())
            .map_err(DiskError::from);
        let _ = sender.take().map(|sender| sender.send(result));
    });
    request.on_error(move |event| {
        let error = match event.target().and_then(|request| request.error()) {
            Ok(Some(exception)) => failure(&exception),
            Ok(None) => closed(),
            Err(error) => error.into(),
        };
        let _ = failed.take().map(|sender| sender.send(Err(error)));
    });
    receiver
}

async fn settled<R>(request: &mut R) -> Result<JsValue, DiskError>
where
    R: Request,
    R::Event: Event<Target = R>,
{
    listen(request).await.unwrap_or_else(|_| Err(closed()))
}

fn closed() -> DiskError {
    DiskError::Other("the database is closed".into())
}

fn failure(error: &JsValue) -> DiskError {
    match error.dyn_ref::<web_sys::DomException>() {
        Some(exception) => match exception.name().as_str() {
            "QuotaExceededError" => DiskError::Quota,
            "ConstraintError" => DiskError::Exists,
            "VersionError" => DiskError::Outdated,
            name => DiskError::Other(format!("{name}: {}", exception.message())),
        },
        None => DiskError::Other(format!("{error:?}")),
    }
}

impl From<idb::Error> for DiskError {
    fn from(error: idb::Error) -> Self {
        match error {
            idb::Error::AddFailed(thrown) | idb::Error::IndexedDbOpenFailed(thrown) => failure(&thrown),
            idb::Error::DomException(exception) => failure(&exception),
            _ => Self::Other("the browser refused".to_owned()),
        }
    }
}
