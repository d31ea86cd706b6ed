//! The link handshake: both peers prove their keys, bound to the channel they prove them on.
//!
//! ```text
//! both:  Hello { versions, features, peer, nonce, … }     at once
//! both:  Proof = sign(tag, side, binding, initiator's hello, responder's hello)
//! ```
//!
//! The signature covers both nonces (against replays), both keys and sides (against reflection), versions and features
//! (against downgrades) and the binding (against a man in the middle): over WebRTC both DTLS fingerprints, as in the
//! identity bindings of RFC 8827 section 5.6, over a WebSocket the host that was dialled. No application frame is
//! accepted before the other side's proof was checked.
//!
//! Early messages of a transferred data channel can be lost, so both sides repeat hello and proof, with identical
//! bytes, until the handshake is complete; repeats are ignored.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{AccountId, PeerId};
use crate::key::{self, Domain, KeyPair, Signature};
use crate::kinds::Certificate;
use crate::limits;
use crate::time::Timestamp;

use super::frame;

/// The newest version of the peer protocol spoken here.
pub const VERSION_MAX: u16 = 1;
/// The oldest version of the peer protocol spoken here.
pub const VERSION_MIN: u16 = 1;
/// The first bytes of every hello.
pub const MAGIC: [u8; 4] = *b"STRL";

/// The versions of the peer protocol that a program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl Versions {
    /// Those spoken here.
    pub const OWN: Self = Self {
        min: VERSION_MIN,
        max: VERSION_MAX,
    };

    /// The newest version that both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let version = self.max.min(other.max);
        (version >= self.min.max(other.min)).then_some(version)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min == self.max {
            true => write!(f, "{}", self.max),
            false => write!(f, "{} to {}", self.min, self.max),
        }
    }
}

/// Two peers without a version in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("no protocol version in common: this program speaks {own}, the neighbour speaks {theirs}; {} program is too old: update it", if own.max < theirs.max { "this" } else { "the neighbour's" })]
pub struct NoCommonVersion {
    /// Spoken here.
    pub own: Versions,
    /// Spoken by the neighbour.
    pub theirs: Versions,
}

/// Feature bits. A feature may be used on the link if both sides set its bit. Unknown bits are ignored.
pub mod feature {
    /// The peer is a relay. Its description says what it does.
    pub const RELAY: u64 = 1;
    /// The peer links only with relays, so that no other person's browser learns its address.
    pub const RELAYS_ONLY: u64 = 1 << 1;
    /// The peer grants credit for the heads of digests it has handled, and accepts no more than it granted.
    pub const PACED_DIGESTS: u64 = 1 << 2;
    /// Accounts named to a relay on this link are salted with the relay's own salt
    /// ([`relay_salt`](super::relay_salt)).
    pub const RELAY_SALT: u64 = 1 << 3;
    /// The peer does the work that a relay asks for before it takes a new account.
    pub const WORK: u64 = 1 << 4;
    /// The peer knows the answer [`LooksLike`](crate::names::NameAnswer::LooksLike).
    pub const LOOK_ALIKES: u64 = 1 << 5;
}

/// The two sides of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This side offered (WebRTC) or connected (WebSocket).
    Initiator,
    /// The other side did.
    Responder,
}

/// Ties the handshake to its channel. It must be the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// SHA-256 fingerprints of both DTLS certificates.
    Dtls {
        /// Of the side that made the offer.
        offerer: [u8; 32],
        /// Of the side that answered.
        answerer: [u8; 32],
    },
    /// The host (and port, if not the default) the client dialled, lower-case: what an HTTP `Host` header says.
    WebSocket {
        /// At most [`limits::HOST_LEN_MAX`] bytes.
        host: String,
    },
    /// Tests and simulations.
    Memory,
}

/// The first frame of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// The oldest version spoken.
    pub version_min: u16,
    /// The newest version spoken.
    pub version_max: u16,
    /// See [`feature`].
    pub features: u64,
    /// The key that will be proven.
    pub peer: PeerId,
    /// Random, new for every link.
    pub nonce: [u8; 32],
    /// The certificate of the device, unless the peer is a relay.
    pub certificate: Option<Certificate>,
    /// The peer's wall clock.
    pub wall: Timestamp,
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Not a hello or proof, or too long.
    #[error("malformed handshake")]
    Malformed,
    /// No version in common.
    #[error(transparent)]
    Version(#[from] NoCommonVersion),
    /// A second hello that differs from the first.
    #[error("a second hello differs from the first")]
    Changed,
    /// The other side has this side's key: a reflection, or one's own device.
    #[error("the other side has this peer's own key")]
    Oneself,
    /// The proof does not hold: another key, another channel, a replay.
    #[error("the handshake's proof is not valid")]
    Proof,
    /// The certificate is not valid or for another device.
    #[error("the handshake's certificate is not valid")]
    Certificate,
    /// Application data before the proof.
    #[error("data before the handshake was done")]
    TooEarly,
}

/// The result of a complete handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// The neighbour's proven key.
    pub peer: PeerId,
    /// The account its valid certificate names.
    pub account: Option<AccountId>,
    /// The version to speak.
    pub version: u16,
    /// The neighbour's feature bits.
    pub features: u64,
    /// The neighbour's wall clock when it said hello.
    pub wall: Timestamp,
    /// Salt of the sketches exchanged on this link; known to both sides and to nobody before the handshake.
    pub salt: [u8; 32],
}

/// Salt of the accounts that are named to a relay, if both ends set [`feature::RELAY_SALT`]. It is the same on all links
/// of the relay, so that it finds accounts in one index.
#[must_use]
pub fn relay_salt(relay: &PeerId) -> [u8; 32] {
    blake3::derive_key("starling relay salt v1", &relay.0)
}

/// Salt of the accounts that are named to a peer that is no relay, and on links without [`feature::RELAY_SALT`]. It is
/// the same on each link of the two peers, so that a relay can remember what a device wants.
#[must_use]
pub fn pair_salt(one: &PeerId, other: &PeerId) -> [u8; 32] {
    let mut salt = blake3::Hasher::new_derive_key("starling pair salt v1");
    salt.update(&one.min(other).0);
    salt.update(&one.max(other).0);
    *salt.finalize().as_bytes()
}

/// What follows from a handshake frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait for more frames.
    Wait,
    /// Send this frame, then go on.
    Send(Vec<u8>),
    /// Complete: application frames may be sent and accepted.
    Done(Box<Established>),
}

/// One side of a handshake, driven by the frames that arrive.
#[derive(Debug)]
pub struct Handshake {
    side: Side,
    binding: Binding,
    key: KeyPair,
    local: Vec<u8>,
    versions: Versions,
    remote: Option<(Box<Hello>, Vec<u8>)>,
    /// The common version, once there is a remote hello.
    version: u16,
    proof: Option<Vec<u8>>,
}

impl Handshake {
    /// Starts a handshake; send [`Self::frames`] at once. `hello.peer` must be the public half of `key`.
    #[must_use]
    pub fn new(side: Side, binding: Binding, key: KeyPair, hello: &Hello) -> Self {
        debug_assert_eq!(hello.peer.0, key.public(), "one proves one's own key");
        Self {
            side,
            binding,
            key,
            local: codec::encode(hello),
            versions: Versions {
                min: hello.version_min,
                max: hello.version_max,
            },
            remote: None,
            version: hello.version_max,
            proof: None,
        }
    }

    /// The frames of this side so far. Send them at the start, and again about once a second until the handshake is
    /// complete.
    #[must_use]
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let mut frames = vec![frame::join(frame::HELLO, &self.local)];
        frames.extend(self.proof.clone());
        frames
    }

    /// Handles a frame, given by type and payload.
    ///
    /// # Errors
    /// [`HandshakeError`]: close the channel with it as the reason.
    pub fn on_frame(&mut self, kind: u8, payload: &[u8]) -> Result<Step, HandshakeError> {
        match kind {
            frame::HELLO => self.on_hello(payload),
            frame::PROOF => self.on_proof(payload),
            _ => Err(HandshakeError::TooEarly),
        }
    }

    fn on_hello(&mut self, payload: &[u8]) -> Result<Step, HandshakeError> {
        if let Some((_, seen)) = &self.remote {
            return if seen == payload {
                Ok(Step::Wait)
            } else {
                Err(HandshakeError::Changed)
            };
        }
        let version = negotiate(self.versions, payload)?;
        let hello: Hello = codec::decode_open(payload).map_err(|_| HandshakeError::Malformed)?;
        if hello.peer.0 == self.key.public() {
            return Err(HandshakeError::Oneself);
        }
        if let Some(certificate) = &hello.certificate {
            let named = certificate.name.chars().count() <= limits::DEVICE_NAME_CHARS_MAX;
            if certificate.device != hello.peer.as_device() || !named || certificate.verify().is_err() {
                return Err(HandshakeError::Certificate);
            }
        }
        let signature = self
            .key
            .sign(Domain::Link, &[&self.transcript(self.side, payload)]);
        let proof = frame::join(frame::PROOF, &codec::encode(&signature));
        self.proof = Some(proof.clone());
        self.remote = Some((Box::new(hello), payload.to_vec()));
        self.version = version;
        Ok(Step::Send(proof))
    }

    fn on_proof(&mut self, payload: &[u8]) -> Result<Step, HandshakeError> {
        let Some((hello, remote)) = &self.remote else {
            // The hello before it was lost with the channel's early messages; both will be repeated.
            return Ok(Step::Wait);
        };
        let signature: Signature = codec::decode(payload).map_err(|_| HandshakeError::Malformed)?;
        let their_side = match self.side {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        };
        key::verify(
            &hello.peer.0,
            Domain::Link,
            &[&self.transcript(their_side, remote)],
            &signature,
        )
        .map_err(|_| HandshakeError::Proof)?;
        let mut salt = blake3::Hasher::new_derive_key("starling link salt v1");
        salt.update(&self.transcript(Side::Initiator, remote));
        Ok(Step::Done(Box::new(Established {
            peer: hello.peer,
            account: hello.certificate.as_ref().map(|certificate| certificate.account),
            version: self.version,
            features: hello.features,
            wall: hello.wall,
            salt: *salt.finalize().as_bytes(),
        })))
    }

    /// The bytes that `signer` signs. Both peers compute the same.
    fn transcript(&self, signer: Side, remote: &[u8]) -> Vec<u8> {
        let (initiator, responder) = match self.side {
            Side::Initiator => (self.local.as_slice(), remote),
            Side::Responder => (remote, self.local.as_slice()),
        };
        codec::encode(&(
            u8::from(signer == Side::Responder),
            &self.binding,
            initiator,
            responder,
        ))
    }
}

/// The version to speak with the sender of a hello. Magic and versions are read before the rest: their place is the
/// same in all versions of the protocol, the fields after them may change.
fn negotiate(own: Versions, hello: &[u8]) -> Result<u16, HandshakeError> {
    let (magic, theirs): ([u8; 4], Versions) =
        codec::decode_open(hello).map_err(|_| HandshakeError::Malformed)?;
    if magic != MAGIC || theirs.min > theirs.max {
        return Err(HandshakeError::Malformed);
    }
    let version = own.common(theirs);
    version.ok_or(HandshakeError::Version(NoCommonVersion { own, theirs }))
}
