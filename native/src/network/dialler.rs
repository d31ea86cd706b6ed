//! Dials relays: those the operator named until one is linked there, and those the engine asks for.

use std::sync::Arc;
use std::time::Duration;

use protocol::PeerId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::address_book::DIALS_MAX;
use super::{AddressBook, JoinTarget, RelayUrl};
use crate::driver::DriverHandle;
use crate::websocket::dial::{self, Connector};

/// Pauses between attempts to join through a named relay: full jitter (Brooker, "Exponential Backoff And Jitter",
/// 2015) below a ceiling that doubles from the first to the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Dials the engine asked for, on their way to [`run`].
#[derive(Debug)]
pub struct Dials(mpsc::Receiver<(PeerId, RelayUrl)>);

impl Dials {
    #[cfg(test)]
    pub(super) fn try_next(&mut self) -> Option<(PeerId, RelayUrl)> {
        self.0.try_recv().ok()
    }
}

impl AddressBook {
    /// A book in which the operator named these addresses, and the dials that follow from it.
    #[must_use]
    pub fn open(named: Vec<JoinTarget>) -> (Arc<Self>, Dials) {
        let (dials, to_dial) = mpsc::channel(DIALS_MAX);
        (Arc::new(Self::new(named, dials)), Dials(to_dial))
    }
}

/// Dials until the driver has stopped.
pub async fn run(
    driver: DriverHandle,
    book: Arc<AddressBook>,
    Dials(mut dials): Dials,
    connector: Connector,
) {
    let mut tasks = JoinSet::new();
    for url in book.named() {
        let (driver, book, connector) = (driver.clone(), Arc::clone(&book), connector.clone());
        tasks.spawn(join_through(driver, book, url.clone(), connector));
    }
    loop {
        tokio::select! {
            wanted = dials.recv() => match wanted {
                Some((peer, url)) => {
                    tasks.spawn(link_with(driver.clone(), peer, url, connector.clone()));
                }
                None => return,
            },
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "dialling task panicked");
                }
            }
        }
    }
}

/// Dials `url` until a relay is proven to be there. From then on the engine keeps the link.
async fn join_through(driver: DriverHandle, book: Arc<AddressBook>, url: RelayUrl, connector: Connector) {
    let mut ceiling = PAUSE_MIN;
    loop {
        match dial::open(&url, &connector).await {
            Ok(dialled) => dialled.run(&driver).await,
            Err(error) => tracing::warn!(%url, %error, "cannot join through this relay; retrying"),
        }
        if book.is_proven(&url) {
            return;
        }
        tokio::time::sleep(jitter(ceiling)).await;
        ceiling = (ceiling * 2).min(PAUSE_MAX);
    }
}

async fn link_with(driver: DriverHandle, peer: PeerId, url: RelayUrl, connector: Connector) {
    match dial::open(&url, &connector).await {
        Ok(dialled) => dialled.run(&driver).await,
        Err(error) => {
            tracing::info!(%url, %peer, %error, "dial failed");
            driver.dial_failed(peer).await;
        }
    }
}

/// A random duration up to `ceiling`.
fn jitter(ceiling: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness the pause is the longest one.
    let share = match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    };
    ceiling.mul_f64(share)
}
