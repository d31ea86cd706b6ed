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
use data_encoding::HEXLOWER;
use engine::api::{self, Command, CommandResult, Query, QueryResult};
use native::data_dir::write_durably;
use native::driver::DriverHandle;
use protocol::PeerId;
use serde::{Deserialize, Serialize};

use super::api::state_name;
use super::error::WebError;
use super::group;
use super::policy::Policy;

/// The file in the data folder with the token of this start.
const TOKEN_FILE: &str = "control.token";
/// Keeps the hash of the token apart from others (BLAKE3, section 2.3).
const CONTEXT: &str = "starling relay 2026 control";

fn hash(token: &str) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key(CONTEXT, token.as_bytes()))
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
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let token = HEXLOWER.encode(&bytes);
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
        ("/admin/control/members", get(members)),
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

/// The members of a network, as `/admin/control/members` lists them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Members {
    /// Every relay that describes itself is a member.
    pub open: bool,
    /// The settings list the members.
    pub listed: bool,
    pub members: Vec<NetworkMember>,
    /// The keys of linked relays that wait for an invitation by this one.
    pub asking: Vec<String>,
    /// `false`: no member of the network that this relay joined invites it.
    pub invited: bool,
    /// The key of the relay that expelled this one.
    pub expelled_by: Option<String>,
    /// The keys of relays that refused this relay's invitation.
    pub refused: Vec<String>,
}

/// A member of the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkMember {
    /// Its key.
    pub peer: String,
    /// Where it says it is; empty: unknown.
    pub url: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
    /// It is the one that answers.
    pub this: bool,
    /// The key of the member that invited it.
    pub invited_by: Option<String>,
    /// The keys of the members that go with it if it is expelled.
    pub goes: Vec<String>,
    /// Whether all members accept that this relay expels it.
    pub expels_everywhere: bool,
    /// Of the accounts held by the relay that answers, how many it keeps as one of their replicas.
    pub accounts: u64,
}

impl From<api::MembersView> for Members {
    fn from(view: api::MembersView) -> Self {
        let keys = |peers: Vec<PeerId>| peers.iter().map(ToString::to_string).collect();
        let member = |member: api::MemberView| NetworkMember {
            peer: member.relay.to_string(),
            url: member.url,
            state: state_name(member.state).to_owned(),
            this: member.this,
            invited_by: member.invited_by.map(|by| by.to_string()),
            goes: keys(member.goes),
            expels_everywhere: member.expels_everywhere,
            accounts: member.accounts,
        };
        Self {
            open: view.open,
            listed: view.listed,
            members: view.members.into_iter().map(member).collect(),
            asking: keys(view.asking),
            invited: view.invited,
            expelled_by: view.expelled_by.map(|by| by.to_string()),
            refused: keys(view.refused),
        }
    }
}

/// The members of the network of a running relay.
pub(crate) async fn members_of(
    driver: &DriverHandle,
    about: Option<PeerId>,
) -> Result<api::MembersView, WebError> {
    let query = Query::Members { about };
    match driver.request(api::Request::Query(query)).await {
        Some(api::Response::Result(result)) => match *result {
            QueryResult::Members(view) => Ok(view),
            _ => Err(WebError::Unexpected),
        },
        Some(api::Response::Error(error)) => Err(WebError::Refused(error)),
        Some(api::Response::Done(_)) => Err(WebError::Unexpected),
        None => Err(WebError::Stopping),
    }
}

/// Has a running relay invite another.
pub(crate) async fn invite(driver: &DriverHandle, relay: PeerId) -> Result<(), WebError> {
    command(driver, Command::InviteRelay { relay }).await?;
    tracing::info!(%relay, "relay invited by the operator");
    Ok(())
}

/// Has a running relay expel another.
pub(crate) async fn expel(driver: &DriverHandle, relay: PeerId) -> Result<(), WebError> {
    command(driver, Command::ExpelRelay { relay }).await?;
    tracing::warn!(%relay, "relay expelled by the operator");
    Ok(())
}

async fn command(driver: &DriverHandle, command: Command) -> Result<(), WebError> {
    match driver.request(api::Request::Command(command)).await {
        Some(api::Response::Done(CommandResult::Ok)) => Ok(()),
        Some(api::Response::Error(error)) => Err(WebError::Refused(error)),
        Some(_) => Err(WebError::Unexpected),
        None => Err(WebError::Stopping),
    }
}

/// The member of which is said what expelling it would do.
#[derive(Debug, Deserialize)]
struct Asked {
    about: Option<String>,
}

async fn members(
    State(control): State<Control>,
    UrlQuery(asked): UrlQuery<Asked>,
) -> Result<Json<Members>, WebError> {
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
