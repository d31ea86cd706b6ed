//! Canonical bytes: postcard, exactly consumed.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes are not what they should be. Says nothing about who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes")]
pub struct Malformed;

/// The postcard bytes of `value`.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Serialising into a growing vector fails only for types postcard cannot express (unsized sequences); ours are plain.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// The value whose bytes are exactly `bytes`.
///
/// # Errors
/// [`Malformed`] if the bytes do not decode or some are left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Malformed),
    }
}

/// Like [`decode`], but lets bytes follow: for values that later versions may extend at the end.
///
/// # Errors
/// [`Malformed`] if the bytes do not decode.
pub fn decode_extensible<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    postcard::take_from_bytes(bytes)
        .map(|(value, _)| value)
        .map_err(|_| Malformed)
}
