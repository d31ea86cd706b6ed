//! The relays of the network: the directory that lists them, and the assignment of feeds to them. For every kind of
//! peer.

pub mod assignment;
pub(crate) mod directory;
pub(crate) mod member_lists;

use std::time::Duration;

use ordered::Map;
use protocol::PeerId;

/// A copy that took longer than this was not on its way: the relay was away, and made up for it.
pub(crate) const REPAIR: Duration = Duration::from_secs(60);

/// Smooths a delay (as [RFC 6298] does a round trip) in a table of milliseconds by relay. Policy when the table holds
/// `most` relays: all are forgotten.
///
/// [RFC 6298]: https://www.rfc-editor.org/rfc/rfc6298
pub(crate) fn smooth(of: &mut Map<PeerId, f32>, most: usize, relay: PeerId, sample: Duration) {
    let sample = sample.as_micros() as f32 / 1_000.0;
    if of.len() >= most && !of.contains_key(&relay) {
        *of = Map::new();
    }
    let smoothed = of.or_insert_with(relay, || sample);
    *smoothed += (sample - *smoothed) / 8.0;
}
