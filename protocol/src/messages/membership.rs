//! Which relays belong to a network: signed statements of relays about each other, and how a relay becomes a member.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::Fields;
use crate::codec;
use crate::id::PeerId;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;
use crate::time::Timestamp;

/// What a relay states about another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stance {
    /// The other relay is a member of the signer's network.
    Invites,
    /// The signer joined the network of the other relay.
    Joins,
    /// The other relay is a member no more.
    Expels,
}

/// A relay's signed statement about another one. Of two by one relay about the same other relay, the later one counts;
/// of two with the same time, the one whose [`Stance`] stands later in the list above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouch {
    /// The relay that signs.
    pub by: PeerId,
    /// The relay it is about.
    pub relay: PeerId,
    pub stance: Stance,
    /// Time of signing, by the signer's clock.
    pub at: Timestamp,
    /// The signature of `by` over the fields above.
    pub signature: Signature,
}

impl Vouch {
    /// A statement by the relay with `key`.
    #[must_use]
    pub fn issue(key: &KeyPair, relay: PeerId, stance: Stance, at: Timestamp) -> Self {
        let by = PeerId(key.public());
        let signed = codec::encode(&(by, relay, stance, at));
        Self {
            by,
            relay,
            stance,
            at,
            signature: key.sign(Domain::Vouch, &[&signed]),
        }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.by, self.relay, self.stance, self.at));
        key::verify(&self.by.0, Domain::Vouch, &[&signed], &self.signature)
    }

    /// Whether it counts in place of `other`, which is by the same relay and about the same one.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        (self.at, self.stance as u8) > (other.at, other.stance as u8)
    }
}

/// See [`Message::Vouches`](super::Message::Vouches).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouches {
    /// The fingerprint of all statements that the sender holds: see [`fingerprint`].
    pub fingerprint: [u8; 16],
    /// New ones; or all, in several messages, for a receiver whose fingerprint differs; or none, to compare.
    pub vouches: Vec<Vouch>,
}

impl Fields for Vouches {
    fn within_limits(&self) -> bool {
        self.vouches.len() <= limits::VOUCHES_PER_MESSAGE_MAX
    }
}

/// See [`Message::Members`](super::Message::Members).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberList {
    /// All members of the sender's network, as it computes them; itself among them, unless it knows that it was
    /// expelled.
    pub relays: Vec<PeerId>,
}

impl Fields for MemberList {
    fn within_limits(&self) -> bool {
        self.relays.len() <= limits::MEMBERS_PER_MESSAGE_MAX
    }
}

/// The fingerprint of statements, in ascending order of signer and subject: the first 16 bytes of the BLAKE3 hash of
/// their signed fields.
#[must_use]
pub fn fingerprint<'a>(vouches: impl IntoIterator<Item = &'a Vouch>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for vouch in vouches {
        hasher.update(&codec::encode(&(vouch.by, vouch.relay, vouch.stance, vouch.at)));
    }
    let hash = hasher.finalize();
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The secret of an invitation: the first relay that shows it becomes a member.
pub type InvitationSecret = [u8; 16];

/// An invitation to a network, as an operator passes it on: the key of the relay that invites, so that the secret is
/// shown to no other one, and the secret. In text form the 48 bytes in unpadded URL-safe Base64 (RFC 4648, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The relay that invites.
    pub by: PeerId,
    pub secret: InvitationSecret,
}

/// A text that is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no invitation; `relay-node invite`, run at a member of the network, prints one")]
pub struct NoInvitation;

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 48];
        bytes[..32].copy_from_slice(&self.by.0);
        bytes[32..].copy_from_slice(&self.secret);
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Invitation {
    type Err = NoInvitation;

    fn from_str(text: &str) -> Result<Self, NoInvitation> {
        let bytes = BASE64URL_NOPAD.decode(text.trim().as_bytes());
        let bytes: [u8; 48] = bytes
            .map_err(|_| NoInvitation)?
            .try_into()
            .map_err(|_| NoInvitation)?;
        let (by, secret) = bytes.split_first_chunk::<32>().ok_or(NoInvitation)?;
        Ok(Self {
            by: PeerId(*by),
            secret: secret.try_into().map_err(|_| NoInvitation)?,
        })
    }
}

/// See [`Message::JoinRequest`](super::Message::JoinRequest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    pub secret: InvitationSecret,
}

impl Fields for JoinRequest {}

/// See [`Message::JoinAnswer`](super::Message::JoinAnswer). The statement that makes the sender of the request a member
/// is in a `Vouches` message before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// `false`: the invitation was used, has expired, or never was.
    pub accepted: bool,
}

impl Fields for JoinAnswer {}
