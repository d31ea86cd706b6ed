//! The golden vectors, built by hand and held against what the code makes of the same values.

pub(crate) mod entries;
pub(crate) mod handshake;
pub(crate) mod identity;
pub(crate) mod keys;
pub(crate) mod messages;
pub(crate) mod signal;

use crate::by_hand::Vector;

/// `by_hand` is what the code writes for `value`, and the code reads it back.
fn same<T>(by_hand: Vector, value: &T) -> Vector
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + core::fmt::Debug,
{
    let name = by_hand.name;
    assert_eq!(
        crate::by_hand::hex(&by_hand.bytes()),
        crate::by_hand::hex(&protocol::codec::encode(value)),
        "{name}: document and code disagree"
    );
    assert_eq!(
        protocol::codec::decode(&by_hand.bytes()).as_ref(),
        Ok(value),
        "{name}: read back"
    );
    by_hand
}
