//! Ed25519 keys and signatures (RFC 8032), with one acceptance rule everywhere: `verify_strict`.

use core::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// The purpose of a signature. Its tag precedes the message under every signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// An entry of a feed.
    Entry,
    /// A certificate: an account's statement that a device speaks for it.
    Certificate,
    /// A revocation of a device by its account.
    Revocation,
    /// A relay's receipt: a feed is on its disk.
    Receipt,
    /// A relay's withdrawal of its receipts for a feed.
    Withdrawal,
    /// A link handshake.
    Link,
    /// Proof of a key to the signaling server.
    Signal,
    /// An introduction, forwarded by other peers.
    Introduction,
    /// A relay's description of itself.
    Description,
    /// A relay's statement about another relay's membership.
    Vouch,
    /// A request to the registry of names.
    NameRequest,
    /// The registry's statement that a name belongs to an account.
    NameReceipt,
    /// The registry's statement of its revision.
    NameMark,
}

impl Domain {
    /// The bytes under the signature, before the message.
    #[must_use]
    pub const fn tag(self) -> &'static [u8] {
        match self {
            Self::Entry => b"starling entry v1\0",
            Self::Certificate => b"starling certificate v1\0",
            Self::Revocation => b"starling revocation v1\0",
            Self::Receipt => b"starling receipt v1\0",
            Self::Withdrawal => b"starling withdrawal v1\0",
            Self::Link => b"starling link v1\0",
            Self::Signal => b"starling signal v1\0",
            Self::Introduction => b"starling introduction v1\0",
            Self::Description => b"starling description v1\0",
            Self::Vouch => b"starling vouch v1\0",
            Self::NameRequest => b"starling name request v2\0",
            Self::NameReceipt => b"starling name receipt v1\0",
            Self::NameMark => b"starling name mark v1\0",
        }
    }
}

/// A 64-byte Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature([u8; 32], [u8; 32]);

impl Signature {
    /// The signature with these bytes (R then S).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut halves = ([0u8; 32], [0u8; 32]);
        halves.0.copy_from_slice(&bytes[..32]);
        halves.1.copy_from_slice(&bytes[32..]);
        Self(halves.0, halves.1)
    }

    /// R then S.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0u8; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&self.1);
        bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Signature({:02x}{:02x}{:02x}{:02x}…)",
            self.0[0], self.0[1], self.0[2], self.0[3]
        )
    }
}

/// The signature does not belong to this key and message, or the key is not a valid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

/// A secret key with its public half. It is wiped from memory when dropped; `Debug` shows only the public half.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// The pair whose secret is `seed`: 32 bytes from a cryptographic random source, or from a recovery phrase.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The secret seed, for storing the key. Keep it secret.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key's 32 bytes: an account, device or peer id.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs `parts`, joined, under `domain`.
    #[must_use]
    pub fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Signature {
        Signature::from_bytes(&self.0.sign(&join(domain, parts)).to_bytes())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", crate::PeerId(self.public()).short())
    }
}

fn join(domain: Domain, parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::with_capacity(domain.tag().len() + parts.iter().map(|p| p.len()).sum::<usize>());
    message.extend_from_slice(domain.tag());
    for part in parts {
        message.extend_from_slice(part);
    }
    message
}

/// A decoded public key. Decoding is about half of the work of a signature check, and is done once per key.
#[derive(Clone, Debug)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Decodes a key.
    ///
    /// # Errors
    /// [`BadSignature`] if it is not a valid key; then no signature by it is valid.
    pub fn new(public: &[u8; 32]) -> Result<Self, BadSignature> {
        VerifyingKey::from_bytes(public)
            .map(Self)
            .map_err(|_| BadSignature)
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// As [`verify`].
    ///
    /// # Errors
    /// [`BadSignature`] if the signature is not valid.
    pub fn verify(&self, domain: Domain, parts: &[&[u8]], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
        self.0
            .verify_strict(&join(domain, parts), &signature)
            .map_err(|_| BadSignature)
    }
}

/// Checks a signature under `domain` over `parts`, joined. Weak keys and malleable signatures are refused.
///
/// # Errors
/// [`BadSignature`] if the key or the signature is not valid.
pub fn verify(
    public: &[u8; 32],
    domain: Domain,
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<(), BadSignature> {
    PublicKey::new(public)?.verify(domain, parts, signature)
}
