//! Answers of the registry.

use serde::{Deserialize, Serialize};

use super::{NameMark, NameReceipt, name_fits};
use crate::time::Timestamp;

/// The registry's answer to a [`super::NameRequest`] or a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameAnswer {
    /// It belongs to the account or post in the receipt.
    Held(NameReceipt),
    /// It has no owner, or was released by this request.
    Free,
    /// It belongs to another account or post; to neighbours without
    /// [`LOOK_ALIKES`](crate::link::handshake::feature::LOOK_ALIKES): it, or a name that looks like it.
    Taken,
    /// It was released a short time ago. Nobody else can claim it yet, so that nobody is taken for its previous owner.
    Resting {
        /// It can be claimed from this time on.
        until: Timestamp,
    },
    /// The account already has a name, or the post a slug.
    HasOther {
        /// That name or slug.
        name: String,
    },
    /// It cannot be a name or slug.
    Fault(NameFault),
    /// It does not belong to the requesting account, or not to this post.
    NotYours,
    /// Too many requests; the request can be repeated later.
    TooFast,
    /// The request must be repeated with this much [work](super::NameRequest::work_bits).
    Work {
        /// Number of bits.
        bits: u8,
    },
    /// The registry cannot be reached, or does not know whether the request took effect. Repeating it is safe.
    Unavailable,
    /// The account has the most slugs allowed, recently released ones included.
    TooMany {
        /// Most slugs allowed.
        max: u32,
    },
    /// It changed after [`super::NameRequest::known`], and the request had no effect. If it is still wanted, repeat it
    /// with this revision.
    Outdated(NameMark),
    /// A name that looks like it belongs to another account or post. Only for neighbours with
    /// [`LOOK_ALIKES`](crate::link::handshake::feature::LOOK_ALIKES).
    LooksLike {
        /// That name or slug.
        name: String,
    },
}

impl NameAnswer {
    pub(crate) fn within_limits(&self) -> bool {
        match self {
            Self::Held(receipt) => receipt.within_limits(),
            Self::HasOther { name }
            | Self::LooksLike { name }
            | Self::Fault(NameFault::NotCanonical { canonical: name }) => name_fits(name),
            _ => true,
        }
    }
}

/// Why a text cannot be a name or slug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameFault {
    /// Shorter than the registry allows.
    TooShort {
        /// Fewest characters allowed.
        min: u8,
    },
    /// Longer than the registry allows.
    TooLong {
        /// Most characters allowed.
        max: u8,
    },
    /// A character that is not allowed, or not at this place.
    Character { character: char },
    /// Not in canonical form.
    NotCanonical {
        /// The canonical form: ask for this instead.
        canonical: String,
    },
    /// Letters of several scripts, which could imitate another name.
    MixedScripts,
    /// Letters of another script that read like Latin ones.
    Confusable,
    /// Reserved for the network or for a page of the app ([`crate::pages`]).
    Reserved,
}
