//! `/api/relay`: which relay this is, and how its browsers are to rank relays.

use axum::Json;
use axum::extract::State;
use engine::io::Routing;
use serde::{Deserialize, Serialize};

use super::Api;
use crate::web::policy::Caching;

/// What `/api/relay` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// The relay's key, in text form.
    pub peer: String,
    /// The program's version.
    pub version: String,
    /// What its operator calls it.
    pub name: String,
    /// How its browsers rank relays.
    #[serde(default)]
    pub routing: Weights,
}

/// What the terms of a relay's score count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// A millisecond until an entry is there.
    pub replication: f32,
    /// A millisecond of response time.
    pub response: f32,
    /// A kilometre.
    pub distance: f32,
    /// All requests failing.
    pub errors: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self::from(&Routing::default())
    }
}

impl From<&Routing> for Weights {
    fn from(routing: &Routing) -> Self {
        let [replication, response, distance, errors] = routing.weights();
        Self {
            replication,
            response,
            distance,
            errors,
        }
    }
}

impl Weights {
    /// The weights for ranking relays; `None` if relays cannot be ranked by them.
    #[must_use]
    pub fn routing(&self) -> Option<Routing> {
        Routing::weighing([self.replication, self.response, self.distance, self.errors])
    }
}

pub(super) async fn relay(State(api): State<Api>) -> (Caching, Json<About>) {
    (Caching::Revalidate, Json(api.about))
}
