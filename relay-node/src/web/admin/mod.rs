//! The operator's page: the state of the relay and the actions of its operator, for the browser that was made its admin.
//!
//! ```text
//! relay-node prints a one-time address ─► /admin/claim (asks) ─► POST (token burnt, session on the disk) ─► cookie ─► /admin
//! ```
//!
//! Rendered here, without a script: it works when the app does not. `routes` decides what is done, `overview` and
//! `pages` how it looks, [`keys`] who may.

mod disk;
pub mod keys;
mod members;
mod overview;
mod pages;
mod routes;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

pub(super) use routes::router;
#[cfg(test)]
pub(super) use routes::routes;
pub use routes::{Admin, session};

use crate::config::{RegistryBackend, RelayRole, Settings};
use native::data_dir;
use native::network::RelayUrl;
use protocol::PeerId;

/// What the page says about settings.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Everything is kept there.
    pub data_dir: PathBuf,
    /// What the relay does.
    pub roles: Vec<RelayRole>,
    /// The store of the registry, if this relay runs it.
    pub registry: RegistryBackend,
    /// Where other relays reach this one.
    pub url: RelayUrl,
    /// Its key.
    pub key: PeerId,
}

/// A browser or a program can open this machine, not "all addresses".
#[must_use]
pub fn here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::from([127, 0, 0, 1]));
    }
    address
}

/// An address of this machine as people open it: `localhost` counts as secure in browsers.
#[must_use]
pub fn host(address: SocketAddr) -> String {
    let address = here(address);
    if address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// Where a running relay's admin page is, for programs on its machine: whatever flags it was started with.
const PLACE_FILE: &str = "admin.url";

/// The address of the admin page of a relay with these settings: that of the app, else that of the metrics, else none.
#[must_use]
pub fn place(settings: &Settings, http: SocketAddr, metrics: Option<SocketAddr>) -> Option<String> {
    if settings.roles().contains(&RelayRole::Web) {
        // If hosts are configured, there is a TLS proxy in front of the relay, or the host is this machine.
        let here = || match settings.host.first() {
            Some(host) if host.starts_with("localhost") || host.starts_with("127.") => {
                format!("http://{host}")
            }
            Some(host) => format!("https://{host}"),
            None => format!("http://{}", host(http)),
        };
        return Some(settings.advertise.as_ref().map_or_else(here, ToString::to_string));
    }
    metrics.map(|metrics| format!("http://{}", host(metrics)))
}

/// Writes down where the page is, and, if nobody has been the admin yet, makes the address that makes a browser the
/// admin.
///
/// # Errors
/// If the data folder cannot be written.
pub fn open(folder: &Path, place: Option<&str>, keys: &keys::Keys) -> std::io::Result<Option<String>> {
    data_dir::write_durably(folder, PLACE_FILE, place.unwrap_or_default())?;
    match place {
        Some(place) if !keys.is_claimed() => claim_url(folder, place).map(Some),
        _ => Ok(None),
    }
}

fn claim_url(folder: &Path, place: &str) -> std::io::Result<String> {
    let token = keys::issue_claim(folder)?;
    Ok(format!("{place}/admin/claim?token={token}"))
}

/// `relay-node admin-url`: a new one-time address, for the relay that runs with these settings.
///
/// # Errors
/// If there is no such relay, or its folder cannot be written.
pub fn new_url(settings: &Settings) -> anyhow::Result<String> {
    let folder = &settings.data_dir;
    ensure!(
        data_dir::holder(folder).is_some(),
        "no relay runs with the data folder {}; start it first, or name another with --data-dir",
        folder.display()
    );
    let place = fs::read_to_string(folder.join(PLACE_FILE)).with_context(|| {
        format!(
            "the relay in {} does not say where it is; is it starting?",
            folder.display()
        )
    })?;
    ensure!(
        !place.is_empty(),
        "this relay has no admin page: it has not the role web; add it to --roles, or name a --metrics-listen"
    );
    let url = claim_url(folder, &place).with_context(|| {
        let folder = folder.display();
        format!("the data folder {folder} cannot be written; run this as the relay's user")
    })?;
    Ok(format!("{url}\n\n{ONCE}\n"))
}

/// What is said beside an address.
pub const ONCE: &str = "The first browser that opens it and confirms is the admin. It works once and within an hour; `relay-node admin-url` makes \
    another.";
