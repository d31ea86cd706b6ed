//! Waiting for a condition with a deadline, for conditions outside a page.
//!
//! Inside a page, [`crate::Page::wait_for`] is the better tool: it watches from within the document.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take when the caller names no deadline. Generous: it is spent only by failures.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// How often a condition is looked at: short against what people notice, long against one look.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Looks until `look` yields a value, or fails naming `what` was awaited.
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if started.elapsed() > deadline {
            bail!("waited {:.1} s in vain for {what}", deadline.as_secs_f32());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
