//! Dialling other relays: those the operator named until somebody is met there, and whom the engine wants from then on.

use std::sync::Arc;
use std::time::Duration;

use protocol::PeerId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::book::DIALS_MAX;
use super::{AddressBook, RelayUrl};
use crate::driver::DriverHandle;
use crate::transport::dial;

/// Pauses between attempts to reach a member to join through: full jitter (Brooker, "Exponential Backoff And Jitter",
/// 2015) below a ceiling that doubles from the first to the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Dials the engine wants, on their way to [`run`].
#[derive(Debug)]
pub struct Dials(mpsc::Receiver<(PeerId, RelayUrl)>);

impl AddressBook {
    /// A book in which the operator named these addresses, and what is to be dialled by it.
    #[must_use]
    pub fn open(named: Vec<RelayUrl>) -> (Arc<Self>, Dials) {
        let (dials, to_dial) = mpsc::channel(DIALS_MAX);
        (Arc::new(Self::new(named, dials)), Dials(to_dial))
    }
}

/// Dials until the relay stops.
pub async fn run(driver: DriverHandle, book: Arc<AddressBook>, Dials(mut dials): Dials) {
    let mut tasks = JoinSet::new();
    for url in book.named() {
        tasks.spawn(meet(driver.clone(), Arc::clone(&book), url.clone()));
    }
    loop {
        tokio::select! {
            wanted = dials.recv() => match wanted {
                Some((peer, url)) => {
                    tasks.spawn(reach(driver.clone(), peer, url));
                }
                None => return,
            },
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a dial ended in an unforeseen way");
                }
            }
        }
    }
}

/// Until somebody is met at `url`. From then on the engine sees to the link.
async fn meet(driver: DriverHandle, book: Arc<AddressBook>, url: RelayUrl) {
    let mut ceiling = PAUSE_MIN;
    loop {
        match dial::open(&url).await {
            Ok(dialled) => dialled.run(&driver).await,
            Err(error) => tracing::warn!(%url, %error, "cannot join through this relay yet; trying again"),
        }
        if book.has(&url) {
            return;
        }
        tokio::time::sleep(jitter(ceiling)).await;
        ceiling = (ceiling * 2).min(PAUSE_MAX);
    }
}

async fn reach(driver: DriverHandle, peer: PeerId, url: RelayUrl) {
    match dial::open(&url).await {
        Ok(dialled) => dialled.run(&driver).await,
        Err(error) => {
            tracing::info!(%url, %peer, %error, "a relay was not reached");
            driver.dial_failed(peer).await;
        }
    }
}

/// Any time up to `ceiling`.
fn jitter(ceiling: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness the pause is the longest one.
    let share = match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    };
    ceiling.mul_f64(share)
}
