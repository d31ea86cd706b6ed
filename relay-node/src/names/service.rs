//! Between the engine, which takes questions from links, and the registry, which answers when its store has.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::io::NameTicket;
use protocol::Timestamp;
use protocol::name::{NameAnswer, NameQuestion};
use tokio::sync::{Semaphore, mpsc, watch};

use super::TxnStore;
use super::leader::{Pace, lead};
use super::registry::{Registry, Settings};
use crate::driver::DriverHandle;

/// Questions on their way to the registry; more are told to come later.
const WAITING_MAX: usize = 1_024;
/// Questions the registry works on at once.
const AT_ONCE_MAX: usize = 256;
/// Between two attempts to open the registry.
const PAUSE: Duration = Duration::from_secs(2);

/// How often whether the registry answers is looked at, for those who want to know.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the driver puts questions.
#[derive(Debug)]
pub struct RegistryQueue {
    inbox: mpsc::Sender<(NameTicket, NameQuestion)>,
    reach: Availability,
}

/// Questions, on their way to [`serve`].
#[derive(Debug)]
pub struct Questions {
    waiting: mpsc::Receiver<(NameTicket, NameQuestion)>,
    reached: watch::Sender<Option<String>>,
}

/// Whether the registry could be reached when that was last looked at.
#[derive(Clone, Debug)]
pub struct Availability(watch::Receiver<Option<String>>);

impl Availability {
    /// Why it cannot be reached; `None`: it can.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

impl RegistryQueue {
    /// A desk, and what is put on it.
    #[must_use]
    pub fn new() -> (Self, Questions) {
        let (inbox, waiting) = mpsc::channel(WAITING_MAX);
        let (reached, reach) = watch::channel(Some("the registry is being opened".to_owned()));
        let reach = Availability(reach);
        (Self { inbox, reach }, Questions { waiting, reached })
    }

    /// Whether its questions can be answered.
    pub(crate) fn reach(&self) -> Availability {
        self.reach.clone()
    }

    /// Puts a question on the desk. If it is full, that is the answer.
    pub(crate) fn put(&self, ticket: NameTicket, question: NameQuestion) -> Option<NameAnswer> {
        self.inbox
            .try_send((ticket, question))
            .err()
            .map(|error| match error {
                mpsc::error::TrySendError::Full(_) => NameAnswer::TooFast,
                mpsc::error::TrySendError::Closed(_) => NameAnswer::Unavailable,
            })
    }
}

/// Opens the registry, however long that takes, and answers questions until the relay stops.
pub async fn serve(
    driver: DriverHandle,
    store: TxnStore,
    settings: Settings,
    pace: Pace,
    fresh: [u8; 32],
    me: String,
    questions: Questions,
) {
    let Questions {
        waiting: mut questions,
        reached,
    } = questions;
    let registry = loop {
        match Registry::open(store.clone(), settings.clone(), fresh).await {
            Ok(registry) => break registry,
            Err(error) => {
                tracing::warn!(%error, "the registry cannot be opened yet; trying again");
                reached.send_replace(Some(error.to_string()));
            }
        }
        // Who asks meanwhile is told so at once.
        let until = tokio::time::Instant::now() + PAUSE;
        while let Ok(Some((ticket, _))) = tokio::time::timeout_at(until, questions.recv()).await {
            driver.named(ticket, NameAnswer::Unavailable).await;
        }
    };
    tracing::info!(registry = %data_encoding::HEXLOWER.encode(&registry.id().0), "the registry of names is open");
    reached.send_replace(None);
    driver.keeps_registry(registry.id()).await;
    let looking = tokio::spawn(look(registry.clone(), reached));
    let leading = tokio::spawn(lead(registry.clone(), me, pace, now));
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    while let Some((ticket, question)) = questions.recv().await {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (registry, driver) = (registry.clone(), driver.clone());
        tokio::spawn(async move {
            let answer = registry.answer(&question, now()).await;
            driver.named(ticket, answer).await;
            drop(place);
        });
    }
    leading.abort();
    looking.abort();
}

/// Looks whether the registry answers, again and again.
async fn look(registry: Registry, reached: watch::Sender<Option<String>>) {
    loop {
        let problem = registry.reach().await.err().map(|error| error.to_string());
        let before = reached.send_replace(problem.clone());
        match (before, problem) {
            (None, Some(error)) => tracing::warn!(error, "the registry does not answer"),
            (Some(_), None) => tracing::info!("the registry answers"),
            _ => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn now() -> Timestamp {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(wall)
}
