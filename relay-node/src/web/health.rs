//! Whether the process lives (`/healthz`) and whether people should be sent here (`/readyz`), both judged by what the engine's
//! thread does, not by the listener that answers; and the conditions behind it (`/api/health`).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get};

use super::error::WebError;
use crate::health::{HealthMonitor, HealthReport};

/// The engine's thread finishes no input for this long before the process counts as dead: its supervisor may restart
/// it, which is of no use against a disk that does not answer.
const THREAD_STANDS_MAX: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> [(&'static str, MethodRouter<HealthMonitor>); 3] {
    [
        ("/healthz", get(alive)),
        ("/readyz", get(ready)),
        ("/api/health", get(report)),
    ]
}

async fn alive(State(health): State<HealthMonitor>) -> Result<&'static str, WebError> {
    let standing = health.driver().standstill().thread;
    if standing >= THREAD_STANDS_MAX {
        let reason = format!("the engine's thread has stood still for {} s", standing.as_secs());
        return Err(WebError::Unavailable(reason));
    }
    Ok("ok\n")
}

async fn ready(State(health): State<HealthMonitor>) -> Result<&'static str, WebError> {
    match health.report() {
        report if report.ready => Ok("ready\n"),
        report => Err(WebError::NotReady(report)),
    }
}

async fn report(State(health): State<HealthMonitor>) -> Json<HealthReport> {
    Json(health.report())
}
