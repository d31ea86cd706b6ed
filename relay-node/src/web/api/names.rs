//! `/api/names/NAME`: the account that has a name of the registry.

use axum::Json;
use axum::extract::{Path, State};
use engine::api::{Query, QueryResult};
use protocol::limits;
use protocol::names::NameAnswer;
use serde::{Deserialize, Serialize};

use super::Api;
use crate::web::error::WebError;

/// What `/api/names/NAME` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameOwner {
    /// The name, as the registry writes it.
    pub name: String,
    /// The account that has it, in text form.
    pub account: String,
}

pub(super) async fn named(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<NameOwner>, WebError> {
    if name.len() > limits::UNIQUE_NAME_LEN_MAX {
        return Err(WebError::BadRequest("that is too long for a name"));
    }
    if !api.names.take() {
        return Err(WebError::TooMany {
            what: "this relay is asked about too many names",
            retry_after_s: super::RETRY_AFTER_S,
        });
    }
    match api.query(Query::Name { name }).await? {
        QueryResult::Name(NameAnswer::Held(receipt)) => Ok(Json(NameOwner {
            name: receipt.name,
            account: receipt.account.to_string(),
        })),
        QueryResult::Name(NameAnswer::Fault(_)) => Err(WebError::NotFound("that cannot be a name")),
        QueryResult::Name(NameAnswer::Unavailable | NameAnswer::TooFast) => Err(WebError::Unavailable(
            "the registry of names does not answer this relay now; try again later".to_owned(),
        )),
        QueryResult::Name(_) => Err(WebError::NotFound("nobody has that name")),
        _ => Err(WebError::Unexpected),
    }
}
