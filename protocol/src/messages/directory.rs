//! Descriptions of relays. A relay signs its own, so any peer can forward it.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::PeerId;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;
use crate::names::RegistryId;

/// Bits of [`Description::roles`].
pub mod role {
    /// Stores feeds.
    pub const WORKER: u8 = 1;
    /// Serves the app.
    pub const WEB: u8 = 1 << 1;
    /// Runs the registry of names, and assigns feeds to workers.
    pub const INDEX: u8 = 1 << 2;
    /// Runs the signaling server.
    pub const SIGNAL: u8 = 1 << 3;
    /// Has left its network in order: it holds no share and will not be heard of again.
    pub const LEFT: u8 = 1 << 7;
}

/// A place on Earth, in hundredths of degrees: as close as a kilometre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// North is positive; −9000 to 9000.
    pub latitude: i16,
    /// East is positive; −18000 to 18000.
    pub longitude: i16,
}

/// A relay's description of itself. Of two, the one with the higher heartbeat replaces the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub relay: PeerId,
    /// Higher in each description, also after a restart.
    pub heartbeat: u64,
    /// Its address, such as `https://relay.example`. Empty: it cannot be dialled.
    pub url: String,
    /// See [`role`].
    pub roles: u8,
    /// Failure domain: a machine, a rack, a data centre. Relays of one zone fail together.
    pub zone: String,
    /// Its place.
    pub location: Option<Location>,
    /// Its share of the feeds, relative to other relays. 0: it is being drained.
    pub capacity: u32,
    /// Number of entries it holds.
    pub revision: u64,
    /// Load, in thousandths.
    pub load: u16,
    /// Mean response time, in microseconds.
    pub response_us: u32,
    /// Share of failed requests, in millionths.
    pub errors_ppm: u32,
    /// The registry its network uses, if it knows one.
    pub registry: Option<RegistryId>,
}

/// A [`Description`] with its relay's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDescription {
    pub description: Description,
    /// The relay's signature over the description.
    pub signature: Signature,
}

impl Description {
    /// Signs it. [`Self::relay`] becomes the public half of `key`.
    #[must_use]
    pub fn sign(self, key: &KeyPair) -> SignedDescription {
        let description = Self {
            relay: PeerId(key.public()),
            ..self
        };
        let signature = key.sign(Domain::Description, &[&codec::encode(&description)]);
        SignedDescription {
            description,
            signature,
        }
    }

    /// Whether its values keep their limits.
    #[must_use]
    pub fn within_limits(&self) -> bool {
        let place = |location: Location| {
            (-9_000..=9_000).contains(&location.latitude) && (-18_000..=18_000).contains(&location.longitude)
        };
        self.url.len() <= limits::RELAY_URL_LEN_MAX
            && self.zone.len() <= limits::ZONE_LEN_MAX
            && self.location.is_none_or(place)
    }
}

impl SignedDescription {
    /// Checks the relay's signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&self.description);
        key::verify(
            &self.description.relay.0,
            Domain::Description,
            &[&signed],
            &self.signature,
        )
    }
}
