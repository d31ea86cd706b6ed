//! Kinds of entries: one file per body, and what an emoji is.
//!
//! A new kind is a file with its body, and one line in the list below. The numbers are append-only. An entry of an
//! unknown kind is stored and forwarded, since its signature holds, and views skip it.

mod certificate;
mod emoji;
mod follow;
mod name;
mod post;
mod profile;
mod reaction;
mod revocation;
mod slug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::EntryId;
use crate::names::NameReceipt;

pub use certificate::Certificate;
pub use emoji::{EMOJI_LEN_MAX, emoji, is_emoji};
pub use follow::Follow;
pub use name::Name;
pub use post::{Post, ReplyTo};
pub use profile::Profile;
pub use reaction::Reaction;
pub use revocation::Revocation;
pub use slug::Slug;

/// The number of a kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kind(pub u16);

/// The body of one kind of entry.
pub trait EntryBody: Serialize + DeserializeOwned {
    const KIND: Kind;

    /// Whether its values keep their limits and the signatures inside hold. Views skip a body for which this is false.
    fn is_valid(&self) -> bool {
        true
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $body:ident;)*) => {
        impl Kind {
            $(
                $(#[$doc])*
                pub const $name: Self = Self($number);
            )*

            /// All kinds that are known here, by name.
            pub const ALL: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }

        /// A decoded body. Serialised it is what its variant holds: the kind is not in it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Body {
            $(
                $(#[$doc])*
                $body($body),
            )*
        }

        impl Body {
            /// The kind of entry that carries it.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$body(_) => <$body as EntryBody>::KIND,)*
                }
            }

            pub(crate) fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$body(body) => codec::encode(body),)*
                }
            }

            /// Decodes the body of an entry of `kind`: `None` for an unknown kind, malformed bytes, or a value that is
            /// not valid. The decision is the same on every peer.
            #[must_use]
            pub fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
                match kind {
                    $(Kind::$name => decode_valid(bytes).map(Self::$body),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// [`Certificate`]: always and only the first entry of a feed.
    CERTIFICATE = 0, Certificate;
    /// [`Profile`].
    PROFILE = 1, Profile;
    /// [`Post`].
    POST = 2, Post;
    /// [`Follow`].
    FOLLOW = 3, Follow;
    /// [`Revocation`].
    REVOCATION = 4, Revocation;
    /// [`Name`].
    NAME = 5, Name;
    /// [`Slug`].
    SLUG = 6, Slug;
    /// [`Reaction`].
    REACTION = 7, Reaction;
}

fn decode_valid<T: EntryBody>(bytes: &[u8]) -> Option<T> {
    codec::decode_open(bytes).ok().filter(T::is_valid)
}

/// Whether a text has at most `chars_max` Unicode scalar values.
fn fits(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max
}

/// Whether a receipt, if there is one, is signed and about this post, or about no post.
fn is_receipt_for(receipt: Option<&NameReceipt>, post: Option<EntryId>) -> bool {
    receipt.is_none_or(|receipt| receipt.post == post && receipt.within_limits() && receipt.verify().is_ok())
}
