//! Canonical bytes: postcard, exactly consumed, each value in its one form.
//!
//! Invariant: what [`decode`] accepts, [`encode`] gives back byte for byte. Postcard writes an integer or a length in
//! one way but reads several (`05` and `85 00` are both five); members must never disagree about what bytes say, so
//! bytes are accepted only if their value is written that way. Source: the [postcard wire
//! format](https://postcard.jamesmunns.com/wire-format).

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::Deserialize;

/// `start`, followed by the bytes of `value`.
pub(crate) fn encode<T: Serialize>(start: Vec<u8>, value: &T) -> postcard::Result<Vec<u8>> {
    postcard::to_extend(value, start)
}

/// The value whose bytes are exactly `bytes`.
pub(crate) fn decode<'de, T: Serialize + Deserialize<'de>>(bytes: &'de [u8]) -> postcard::Result<T> {
    let value: T = postcard::from_bytes(bytes)?;
    postcard::serialize_with_flavor(&value, Expected { rest: bytes })?;
    Ok(value)
}

/// Takes what is serialised and compares it with the bytes expected, storing nothing.
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

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn a_value_has_one_form() {
        assert_eq!(encode(vec![7], &300_u32), Ok(vec![7, 0xac, 0x02]));
        assert_eq!(decode(&[5]), Ok(5_u32));
        assert!(decode::<u32>(&[0x85, 0]).is_err(), "the same number, longer");
        assert!(decode::<u32>(&[5, 0]).is_err(), "something is left over");
        assert!(decode::<u32>(&[]).is_err());
    }
}
