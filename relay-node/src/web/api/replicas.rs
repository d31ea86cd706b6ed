//! `/api/replicas/ACCOUNT`: the relays that keep an account's feeds, their state, and how far and how soon each has them.
//! Who serves the account's owner is not told: it would say when a person is online.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use engine::api::{Command, Query, QueryResult, ReplicaView, ReplicasView, Request};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::Api;
use super::network::state_name;
use crate::web::error::WebError;

/// Another relay answers in milliseconds whether it has an entry.
const CHECK_WITHIN: Duration = Duration::from_millis(250);

/// What `/api/replicas/ACCOUNT` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replicas {
    /// The relays that keep the account's feeds, living ones first. The first of those is the primary.
    pub replicas: Vec<Replica>,
}

/// A relay that keeps an account's feeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replica {
    /// Its key, in text form.
    pub peer: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
    /// Entries it lacks of those the relay that answers holds; unknown if the two are not linked.
    pub lag: Option<u64>,
    /// Milliseconds until it had signed for the last entry written at the relay that answers; without one, for what
    /// others wrote there.
    pub delay_ms: Option<u32>,
}

impl From<ReplicasView> for Replicas {
    fn from(view: ReplicasView) -> Self {
        let replica = |replica: &ReplicaView| Replica {
            peer: replica.relay.to_string(),
            state: state_name(replica.state).to_owned(),
            lag: replica.lag,
            delay_ms: replica.delay_ms,
        };
        Self {
            replicas: view.replicas.iter().map(replica).collect(),
        }
    }
}

pub(super) async fn replicas(
    State(api): State<Api>,
    Path(account): Path<String>,
) -> Result<Json<Replicas>, WebError> {
    let account = super::account(&account)?;
    let check = api
        .driver
        .request(Request::Command(Command::CheckReplicas { account }));
    // Of relays that do not answer in time, the view says what was known before.
    let _ = timeout(CHECK_WITHIN, check).await;
    match api.query(Query::Replicas { account }).await? {
        QueryResult::Replicas(view) => Ok(Json(view.into())),
        _ => Err(WebError::Unexpected),
    }
}
