//! `/api/replicas/ACCOUNT`: the relays that keep somebody's feeds, how they do, how far and how soon each has them, and the
//! relays that serve that person the app.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use engine::api::{Ask, Command, Query, ReplicaView, ReplicasView, Reply};
use protocol::AccountId;
use serde::{Deserialize, Serialize};

use crate::web::{Shared, state_name};

/// Another relay answers in milliseconds whether it has an entry.
const CHECK_WITHIN: std::time::Duration = std::time::Duration::from_millis(250);

/// What `/api/replicas/ACCOUNT` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replicas {
    /// The relays that keep the account's feeds. The first one that lives is the primary, and stands first.
    pub replicas: Vec<Replica>,
    /// The relays that serve the account's owner the app, by their keys, as far as the relay that answers was told: those with
    /// the role `index` are.
    pub served_by: Vec<String>,
}

/// A relay that keeps somebody's feeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replica {
    /// Its key, in text form.
    pub peer: String,
    /// `alive`, `suspect` or `dead`.
    pub state: String,
    /// Entries it lacks of those the relay that answers holds; unknown if both are not linked.
    pub lag: Option<u64>,
    /// Milliseconds until it had signed for the last entry written at the relay that answers; without one, for what others
    /// wrote there.
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
            served_by: view.served_by.iter().map(ToString::to_string).collect(),
        }
    }
}

pub(crate) async fn replicas(State(shared): State<Shared>, Path(account): Path<String>) -> Response {
    let Ok(account) = account.parse::<AccountId>() else {
        return (StatusCode::BAD_REQUEST, "that is no account\n").into_response();
    };
    let check = shared
        .driver
        .request(Ask::Command(Command::CheckReplicas { account }));
    // When some do not answer in time, the view says what was known of them before.
    let _ = tokio::time::timeout(CHECK_WITHIN, check).await;
    match shared.driver.ask(Query::Replicas { account }).await {
        Some(Reply::Replicas(view)) => {
            let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-store")];
            (headers, Json(Replicas::from(view))).into_response()
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store is being read\n").into_response(),
    }
}
