//! What the commands on the relay's own machine have the running relay do: `relay-node members`, `adopt`, `expel`.
//!
//! - `GET /admin/control/members`: the members of the network, as JSON; with `?about=KEY` also what expelling that one
//!   would do;
//! - `POST /admin/control/invite`, `POST /admin/control/expel`: with the key of a relay as the body.
//!
//! Each request carries a token that the relay writes into its data folder at every start, so only programs that may
//! read the folder can make one. Tokens are compared by their hashes, in constant time.

use std::fs;
use std::io;
use std::path::Path;

use axum::Json;
use axum::Router;
use axum::extract::{Query as UrlQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use native::data_dir::write_durably;
use native::driver::DriverHandle;
use protocol::PeerId;
use serde::Deserialize;

use self::members::MemberList;
use self::requests::{expel, invite, members_of};
use super::error::WebError;
use super::group;
use super::policy::Policy;
use crate::secrets;

pub(crate) mod members;
pub(crate) mod requests;

/// The file in the data folder with the token of this start.
const TOKEN_FILE: &str = "control.token";
/// The use of the token's hash.
const CONTEXT: &str = "starling relay 2026 control";

fn hash(token: &str) -> blake3::Hash {
    secrets::hash(CONTEXT, token.as_bytes())
}

/// What the routes share.
#[derive(Clone, Debug)]
pub struct Control {
    driver: DriverHandle,
    token: blake3::Hash,
}

impl Control {
    /// With a new token, which is written into the data folder. If that fails, no request is accepted.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn open(driver: DriverHandle, data_dir: &Path) -> io::Result<Self> {
        let token = secrets::token()?;
        if let Err(error) = write_durably(data_dir, TOKEN_FILE, &token) {
            // Most likely the disk is full; the relay serves users all the same.
            tracing::error!(%error, "cannot write the token for commands; members, adopt and expel do not work until the next start");
        }
        let token = hash(&token);
        Ok(Self { driver, token })
    }
}

/// The token of the relay that runs on a data folder.
///
/// # Errors
/// If it cannot be read.
pub fn token(data_dir: &Path) -> io::Result<String> {
    fs::read_to_string(data_dir.join(TOKEN_FILE))
}

/// `/admin/control` and everything below it.
pub(super) fn router(control: Control) -> Router {
    group(routes(), control.clone(), Policy::Plain).layer(from_fn_with_state(control, check))
}

pub(super) fn routes() -> [(&'static str, MethodRouter<Control>); 3] {
    [
        ("/admin/control/members", get(on_members)),
        ("/admin/control/invite", post(on_invite)),
        ("/admin/control/expel", post(on_expel)),
    ]
}

async fn check(State(control): State<Control>, request: Request, next: Next) -> Response {
    let sent = request.headers().get(AUTHORIZATION);
    let sent = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if sent.is_some_and(|sent| hash(sent) == control.token) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// The member of which is said what expelling it would do.
#[derive(Debug, Deserialize)]
struct Asked {
    about: Option<String>,
}

async fn on_members(
    State(control): State<Control>,
    UrlQuery(asked): UrlQuery<Asked>,
) -> Result<Json<MemberList>, WebError> {
    let about = asked.about.as_deref().map(key).transpose()?;
    let view = members_of(&control.driver, about).await?;
    Ok(Json(view.into()))
}

fn key(body: &str) -> Result<PeerId, WebError> {
    let wrong = |_| WebError::BadRequest("that is no key of a relay");
    body.trim().parse().map_err(wrong)
}

async fn on_invite(State(control): State<Control>, body: String) -> Result<StatusCode, WebError> {
    invite(&control.driver, key(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn on_expel(State(control): State<Control>, body: String) -> Result<StatusCode, WebError> {
    expel(&control.driver, key(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
