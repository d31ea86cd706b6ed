//! What a relay says of itself, signed, so that it can be passed on by anybody.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::PeerId;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;
use crate::name::RegistryId;

/// What a relay does.
pub mod role {
    /// It keeps feeds.
    pub const WORKER: u8 = 1;
    /// It serves the app.
    pub const WEB: u8 = 1 << 1;
    /// It keeps names and assigns feeds to workers.
    pub const INDEX: u8 = 1 << 2;
    /// It introduces browsers to each other.
    pub const SIGNAL: u8 = 1 << 3;
}

/// A place on Earth, in hundredths of degrees: as close as a kilometre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// North is positive; −9000 to 9000.
    pub latitude: i16,
    /// East is positive; −18000 to 18000.
    pub longitude: i16,
}

/// What a relay says of itself. Later ones have higher heartbeats; the highest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Who.
    pub relay: PeerId,
    /// Higher in each description, across restarts too.
    pub heartbeat: u64,
    /// Where it is reached: `https://relay.example`. Empty: nowhere but on the links it has.
    pub url: String,
    /// See [`role`].
    pub roles: u8,
    /// Relays of one zone fall out together: a machine, a rack, a data centre.
    pub zone: String,
    /// Where it stands.
    pub location: Option<Location>,
    /// Its share of the data, in relation to others. 0: it is being emptied.
    pub capacity: u32,
    /// Entries it holds.
    pub revision: u64,
    /// How busy it is, in thousandths.
    pub load: u16,
    /// Mean time it takes to answer, in microseconds.
    pub response_us: u32,
    /// Requests that fail, in millionths.
    pub errors_ppm: u32,
    /// The registry its network takes names from, if it knows one.
    pub registry: Option<RegistryId>,
}

/// A [`Description`] as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDescription {
    /// What is said.
    pub description: Description,
    /// By the relay.
    pub signature: Signature,
}

impl Description {
    /// Signs it. The relay's name is that of `key`, whatever was there.
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

    /// Whether it keeps within the limits.
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
