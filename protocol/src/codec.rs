//! Canonical encoding: postcard, with exactly one encoding per value and no bytes left over.
//!
//! Postcard writes an integer or a length in one way but reads several: `05` and `85 00` are both five, and a length
//! written with more than five bytes is read on 64-bit machines and refused on 32-bit ones. Two peers must never
//! disagree about the meaning of bytes, so bytes from a wire are accepted only if encoding the value gives the same
//! bytes again.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes are not the canonical encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes")]
pub struct Malformed;

/// The postcard bytes of `value`.
///
/// # Panics
/// If postcard cannot express `T`, such as a sequence of unknown length: a bug that must not go unnoticed under a
/// signature.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_after(Vec::new(), value)
}

/// `start`, followed by the postcard bytes of `value`.
///
/// # Panics
/// As [`encode`].
pub(crate) fn encode_after<T: Serialize>(start: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, start).expect("a plain type, and a vector that grows")
}

/// The value whose canonical bytes are exactly `bytes`.
///
/// # Errors
/// [`Malformed`] if the bytes do not decode, some are left over, or the value has other canonical bytes.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) if is_canonical(&value, bytes) => Ok(value),
        _ => Err(Malformed),
    }
}

/// Like [`decode`], but allows bytes to follow: for values from other peers that later versions may extend at the end.
///
/// # Errors
/// [`Malformed`] if the bytes do not begin with the canonical bytes of a value.
pub fn decode_open<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| Malformed)?;
    let read = bytes.len().saturating_sub(rest.len());
    if is_canonical(&value, &bytes[..read]) {
        Ok(value)
    } else {
        Err(Malformed)
    }
}

/// Allows bytes to follow and other than canonical encodings: for records from the local disk, never for bytes from
/// other peers (use [`decode_open`]).
///
/// # Errors
/// [`Malformed`] if the bytes do not decode.
pub fn decode_extensible<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    postcard::take_from_bytes(bytes)
        .map(|(value, _)| value)
        .map_err(|_| Malformed)
}

fn is_canonical<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    postcard::serialize_with_flavor(value, Expected { rest: bytes }).is_ok()
}

/// Compares serialised bytes with the expected ones, without storing them.
struct Expected<'a> {
    rest: &'a [u8],
}

impl Flavor for Expected<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.rest = self
            .rest
            .strip_prefix(bytes)
            .ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(postcard::Error::SerializeBufferFull)
        }
    }
}
