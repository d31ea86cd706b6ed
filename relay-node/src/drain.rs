//! Emptying a relay before it is stopped for good: by a signal that `relay-node drain` sends, or from the admin page.

use std::time::Duration;

use native::driver::DriverHandle;

/// Hands this relay's share over to others. It continues to serve meanwhile and afterwards.
pub(crate) async fn drain(driver: &DriverHandle) {
    tracing::info!("draining: this relay hands its share over to others");
    if driver.hand_over(true, Duration::MAX).await {
        tracing::info!("drained: other relays hold everything this relay holds");
    }
}
