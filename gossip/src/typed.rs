//! Typed messages: what a program says is an `enum` of its own, each of whose variants has a number, its *tag*.
//!
//! [`messages!`](crate::messages) makes the `enum` and its bytes; the program matches on it:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! pub struct Said {
//!     pub text: String,
//! }
//!
//! gossip::messages! {
//!     /// What members of the chat say to each other.
//!     #[derive(Debug, PartialEq)]
//!     pub enum Chat {
//!         /// Words.
//!         1 => Said(Said),
//!         /// A new name.
//!         2 => Renamed(String),
//!     }
//! }
//!
//! use gossip::typed::Messages as _;
//! let bytes = Chat::Renamed("ada".to_owned()).encode()?;
//! match Chat::decode(&bytes)? {
//!     Chat::Said(Said { text }) => println!("{text}"),
//!     Chat::Renamed(name) => assert_eq!(name, "ada"),
//!     Chat::Unknown { tag, .. } => println!("a later version says something under tag {tag}"),
//! }
//! # Ok::<(), gossip::typed::Error>(())
//! ```
//!
//! The bytes are the tag as a postcard `u32` and then the value in postcard. Invariants: a message has one form and is
//! at most [`LEN_MAX`] long; whatever the bytes are, decoding ends with a message or an [`Error`], and a tag this
//! program does not know is a message too (`Unknown`), whole, so that an old member can keep or pass on what newer
//! ones say.
//!
//! A tag belongs to its type for ever: when the type changes in a way postcard cannot read, give it a new tag. Types in
//! messages must write a value in one way only (`BTreeMap`, not `HashMap`), or a receiver takes it for malformed; and
//! must not contain themselves, since received bytes would decide the depth of the stack.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

/// Bytes of one message, tag included.
pub const LEN_MAX: usize = 64 * 1024;
/// Bytes of the longest tag.
const TAG_LEN_MAX: usize = 5;

/// Why a message has no bytes, or bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is longer than [`LEN_MAX`].
    #[error("a message of more than {LEN_MAX} bytes")]
    TooLong,
    /// Its type has no postcard form, such as a sequence whose length is not known beforehand.
    #[error("a type that cannot be written")]
    NotEncodable,
    /// There is no tag.
    #[error("no tag")]
    NoTag,
    /// The bytes under a tag are not the only form of a value of its type.
    #[error("malformed bytes under tag {0}")]
    Malformed(u32),
}

/// Everything a program says. Made by [`messages!`](crate::messages), or [`Raw`].
pub trait Messages: Sized + Send + 'static {
    /// The bytes.
    ///
    /// # Errors
    /// The message is too long, or cannot be written.
    fn encode(&self) -> Result<Vec<u8>, Error>;

    /// The message that `bytes` are.
    ///
    /// # Errors
    /// They are none.
    fn decode(bytes: &[u8]) -> Result<Self, Error>;
}

/// A message as it travels, for programs that sort by tag themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The tag.
    pub tag: u32,
    /// What is under it.
    pub bytes: Vec<u8>,
}

impl Raw {
    /// `value` under `tag`.
    ///
    /// # Errors
    /// It is too long, or cannot be written.
    pub fn new<T: Serialize>(tag: u32, value: &T) -> Result<Self, Error> {
        let bytes = codec::encode(Vec::new(), value).map_err(|_| Error::NotEncodable)?;
        if bytes.len() + TAG_LEN_MAX > LEN_MAX {
            return Err(Error::TooLong);
        }
        Ok(Self { tag, bytes })
    }

    /// The value under the tag.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn read<T: Serialize + DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.tag, &self.bytes)
    }
}

impl Messages for Raw {
    fn encode(&self) -> Result<Vec<u8>, Error> {
        write_raw(self.tag, &self.bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (tag, rest) = split(bytes)?;
        let bytes = rest.to_vec();
        Ok(Self { tag, bytes })
    }
}

/// The bytes of `value` under `tag`. For [`messages!`](crate::messages).
#[doc(hidden)]
pub fn write<T: Serialize>(tag: u32, value: &T) -> Result<Vec<u8>, Error> {
    let start = codec::encode(Vec::new(), &tag).map_err(|_| Error::NotEncodable)?;
    let bytes = codec::encode(start, value).map_err(|_| Error::NotEncodable)?;
    checked(bytes)
}

/// `bytes` under `tag`. For [`messages!`](crate::messages).
#[doc(hidden)]
pub fn write_raw(tag: u32, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut all = codec::encode(Vec::new(), &tag).map_err(|_| Error::NotEncodable)?;
    all.extend_from_slice(bytes);
    checked(all)
}

/// The tag and what is under it. For [`messages!`](crate::messages).
#[doc(hidden)]
pub fn split(bytes: &[u8]) -> Result<(u32, &[u8]), Error> {
    if bytes.len() > LEN_MAX {
        return Err(Error::TooLong);
    }
    let len = bytes
        .iter()
        .take(TAG_LEN_MAX)
        .position(|byte| byte & 0x80 == 0)
        .ok_or(Error::NoTag)?;
    let (tag, rest) = bytes.split_at(len + 1);
    let tag = codec::decode(tag).map_err(|_| Error::NoTag)?;
    Ok((tag, rest))
}

/// The value under a tag. For [`messages!`](crate::messages).
#[doc(hidden)]
pub fn read<T: Serialize + DeserializeOwned>(tag: u32, bytes: &[u8]) -> Result<T, Error> {
    codec::decode(bytes).map_err(|_| Error::Malformed(tag))
}

/// Whether no tag is there twice. For [`messages!`](crate::messages).
#[doc(hidden)]
#[must_use]
pub const fn are_distinct(tags: &[u32]) -> bool {
    let mut at = 0;
    while at < tags.len() {
        let mut other = at + 1;
        while other < tags.len() {
            if tags[at] == tags[other] {
                return false;
            }
            other += 1;
        }
        at += 1;
    }
    true
}

fn checked(bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    if bytes.len() > LEN_MAX {
        return Err(Error::TooLong);
    }
    Ok(bytes)
}

/// Makes the `enum` of everything a program says, a variant for each tag, and its [`Messages`](crate::typed::Messages).
///
/// Beside the variants given it has `Unknown { tag, bytes }`, for tags this program does not know. Two variants with
/// one tag do not compile. See [`typed`](crate::typed).
#[macro_export]
macro_rules! messages {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $( $(#[$variant_meta:meta])* $tag:literal => $variant:ident($type:ty) ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $visibility enum $name {
            $( $(#[$variant_meta])* $variant($type), )+
            /// Something this program has no type for.
            Unknown {
                /// Its tag.
                tag: u32,
                /// What is under the tag.
                bytes: ::std::vec::Vec<u8>,
            },
        }

        const _: () = assert!($crate::typed::are_distinct(&[$($tag),+]), "two variants with one tag");

        impl $crate::typed::Messages for $name {
            fn encode(&self) -> ::core::result::Result<::std::vec::Vec<u8>, $crate::typed::Error> {
                match self {
                    $( Self::$variant(value) => $crate::typed::write($tag, value), )+
                    Self::Unknown { tag, bytes } => $crate::typed::write_raw(*tag, bytes),
                }
            }

            fn decode(bytes: &[u8]) -> ::core::result::Result<Self, $crate::typed::Error> {
                let (tag, bytes) = $crate::typed::split(bytes)?;
                ::core::result::Result::Ok(match tag {
                    $( $tag => Self::$variant($crate::typed::read(tag, bytes)?), )+
                    _ => Self::Unknown { tag, bytes: bytes.to_vec() },
                })
            }
        }
    };
}
