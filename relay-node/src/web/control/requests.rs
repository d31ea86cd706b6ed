//! What the running relay's engine is asked about members, for commands and for the admin page.

use engine::api::{self, Command, CommandResult, Query, QueryResult};
use native::driver::DriverHandle;
use protocol::PeerId;

use crate::web::error::WebError;

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
