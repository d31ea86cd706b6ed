//! `/api/network`: the relays this one knows of. `/api/repair`: how far it is with what it should hold.

use axum::Json;
use axum::extract::State;
use engine::api::{Query, QueryResult, RelayState, RelayView, RepairView};
use protocol::messages::directory::role;
use serde::{Deserialize, Serialize};

use super::Api;
use crate::text::counted;
use crate::web::error::WebError;

/// A relay as `/api/network` lists it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedRelay {
    /// Its key, in text form.
    pub peer: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
    /// It is the one that answers.
    pub this: bool,
    /// Where it says it is.
    pub url: String,
    pub zone: String,
    pub roles: Vec<String>,
    /// Its share of the data.
    pub capacity: u32,
    /// Entries it holds.
    pub entries: u64,
    /// Its geographic position: latitude (north) and longitude (east) in hundredths of degrees.
    pub location: Option<[i16; 2]>,
    /// How busy it is, from 0 to 1,000 thousandths.
    pub load: u16,
    /// Mean time from an entry's arrival to its commit, in microseconds.
    pub response_us: u32,
    /// Share of the links that it refused because it had no room, in millionths.
    pub errors_ppm: u32,
}

impl From<RelayView> for ListedRelay {
    fn from(view: RelayView) -> Self {
        let RelayView {
            description,
            state,
            this,
        } = view;
        let roles = [
            (role::WORKER, "worker"),
            (role::WEB, "web"),
            (role::INDEX, "index"),
            (role::SIGNAL, "signal"),
        ];
        let roles = roles.into_iter().filter(|(bit, _)| description.roles & bit != 0);
        Self {
            peer: description.relay.to_string(),
            state: state_name(state).to_owned(),
            this,
            roles: roles.map(|(_, name)| name.to_owned()).collect(),
            url: description.url,
            zone: description.zone,
            capacity: description.capacity,
            entries: description.revision,
            location: description
                .location
                .map(|place| [place.latitude, place.longitude]),
            load: description.load,
            response_us: description.response_us,
            errors_ppm: description.errors_ppm,
        }
    }
}

pub(in crate::web) fn state_name(state: RelayState) -> &'static str {
    match state {
        RelayState::Alive => "alive",
        RelayState::Suspect => "suspect",
        RelayState::Dead => "dead",
        RelayState::Left => "left",
        RelayState::NoMember => "no member",
    }
}

/// What `/api/repair` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repair {
    /// It has caught up with the others' entries of its share since its start.
    pub caught_up: bool,
    /// Feeds it lacks a part of.
    pub feeds: u64,
    /// Entries it lacks.
    pub entries: u64,
    /// The relays it has them from.
    pub from: Vec<String>,
    /// Relays with a share.
    pub relays: u32,
    /// How many of them keep each account's feeds.
    pub replicas: u32,
    /// How many should keep them, if there are enough relays.
    pub wanted: u32,
    /// How many of the relays with a share live.
    pub living: u32,
    /// Accounts held beside its share.
    pub cached: u64,
    /// This relay suspects a network partition: many relays fell silent at once. It changes no assignment meanwhile.
    pub suspects_partition: bool,
    /// It is to end, and hands over what it has: feeds that others lack a part of.
    pub to_hand_over: Option<u64>,
}

impl Repair {
    /// What the relay does with its share, in words.
    pub(crate) fn text(&self) -> String {
        let Repair {
            feeds,
            entries,
            from,
            relays,
            replicas,
            wanted,
            living,
            cached,
            suspects_partition,
            to_hand_over,
            ..
        } = self;
        if *to_hand_over == Some(0) {
            return "it has handed its share over".to_owned();
        }
        if let Some(left) = to_hand_over {
            return format!(
                "it hands its share over: {} left",
                counted(*left, "feed", "feeds")
            );
        }
        let mut share = format!("each feed is kept by {replicas} of {relays} relays");
        if living < wanted {
            let lives = if *living == 1 { "lives" } else { "live" };
            let living_relays = counted(u64::from(*living), "relay", "relays");
            share += &format!(", only {living} of the wanted {wanted}: {living_relays} {lives}");
        }
        if *cached > 0 {
            let cached = counted(*cached, "account", "accounts");
            share += &format!("; beside its share this one holds {cached}");
        }
        if *suspects_partition {
            return format!(
                "{share}; a partition is suspected: many relays fell silent at once, so assignments stay as they are"
            );
        }
        match entries {
            0 => format!("{share}; this one lacks nothing of its share"),
            _ => format!(
                "{share}; this one lacks {} of {}, coming from {}",
                counted(*entries, "entry", "entries"),
                counted(*feeds, "feed", "feeds"),
                counted(from.len() as u64, "relay", "relays")
            ),
        }
    }
}

impl From<RepairView> for Repair {
    fn from(view: RepairView) -> Self {
        Self {
            caught_up: view.caught_up,
            feeds: view.feeds,
            entries: view.entries,
            from: view.from.iter().map(ToString::to_string).collect(),
            relays: view.relays,
            replicas: view.replicas,
            wanted: view.wanted,
            living: view.living,
            cached: view.cached,
            suspects_partition: view.suspects_partition,
            to_hand_over: view.to_hand_over,
        }
    }
}

pub(super) async fn network(State(api): State<Api>) -> Result<Json<Vec<ListedRelay>>, WebError> {
    // The engine announces the directory when other relays change. What this relay says of itself changes with every
    // heartbeat.
    let relays = match api.driver.is_ready() {
        true => match api.query(Query::Network).await? {
            QueryResult::Network(view) => view.relays,
            _ => return Err(WebError::Unexpected),
        },
        false => api.driver.relays(),
    };
    Ok(Json(relays.into_iter().map(ListedRelay::from).collect()))
}

pub(super) async fn repair(State(api): State<Api>) -> Json<Repair> {
    Json(Repair::from(api.driver.repair()))
}
