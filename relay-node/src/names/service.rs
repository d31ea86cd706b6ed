//! Answers the engine's questions about names from the registry.
//!
//! The engine takes the questions from links and the driver queues them ([`native::driver::RegistryQueue`]). Each is
//! answered once the registry's store has decided.

use std::sync::Arc;
use std::time::Duration;

use native::clock::{Monotonic, wall};
use native::driver::{DriverHandle, Questions};
use protocol::names::NameAnswer;
use tokio::sync::{Semaphore, watch};

use super::TxnStore;
use super::leader::{LeaderPeriods, lead};
use super::registry::{Registry, Settings};

/// Questions the registry works on at once.
const AT_ONCE_MAX: usize = 256;
/// Pause between two attempts to open the registry.
const PAUSE: Duration = Duration::from_secs(2);
/// Pause between two checks whether the registry answers.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Opens the registry, trying until it succeeds, and answers questions until the relay stops.
pub async fn serve(
    driver: DriverHandle,
    store: TxnStore,
    settings: Settings,
    periods: LeaderPeriods,
    fresh: [u8; 32],
    me: String,
    questions: Questions,
) {
    let Questions {
        waiting: mut questions,
        problem,
    } = questions;
    let registry = loop {
        match Registry::open(store.clone(), settings.clone(), fresh).await {
            Ok(registry) => break registry,
            Err(error) => {
                tracing::warn!(%error, "registry cannot be opened; retrying");
                problem.send_replace(Some(error.to_string()));
            }
        }
        // Questions that arrive meanwhile are answered as unavailable.
        let until = tokio::time::Instant::now() + PAUSE;
        while let Ok(question) = tokio::time::timeout_at(until, questions.recv()).await {
            // Nobody asks any more: the relay stops.
            let Some((ticket, _)) = question else { return };
            driver.answer_name(ticket, NameAnswer::Unavailable).await;
        }
    };
    tracing::info!(registry = %data_encoding::HEXLOWER.encode(&registry.id().0), "registry opened");
    problem.send_replace(None);
    driver.set_registry(registry.id()).await;
    let checking = tokio::spawn(check(registry.clone(), problem));
    let leading = tokio::spawn(lead(registry.clone(), me, periods, Monotonic::System, wall));
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    while let Some((ticket, question)) = questions.recv().await {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (registry, driver) = (registry.clone(), driver.clone());
        tokio::spawn(async move {
            let answer = registry.answer(&question, wall()).await;
            driver.answer_name(ticket, answer).await;
            drop(place);
        });
    }
    leading.abort();
    checking.abort();
}

/// Checks periodically whether the registry answers.
async fn check(registry: Registry, state: watch::Sender<Option<String>>) {
    loop {
        let problem = registry.reach().await.err().map(|error| error.to_string());
        let before = state.send_replace(problem.clone());
        match (before, problem) {
            (None, Some(error)) => tracing::warn!(error, "registry unavailable"),
            (Some(_), None) => tracing::info!("registry available"),
            _ => {}
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}
