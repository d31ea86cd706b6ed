//! Figures for Prometheus, on a listener of their own: what a relay does is for its operator to know.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::api::{NetworkView, Query, RelayState, RepairView, Reply, StoreState};

use native::driver::DriverHandle;

/// `/metrics` and nothing else.
pub fn router(driver: DriverHandle) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(driver)
}

async fn metrics(State(driver): State<DriverHandle>) -> Response {
    match driver.ask(Query::Network).await {
        Some(Reply::Network(view)) => {
            let text = text(&view, &driver.repair(), &Health::of(&driver));
            ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store is being read\n").into_response(),
    }
}

/// How the relay is.
#[derive(Default)]
struct Health {
    ready: bool,
    store_ok: bool,
    /// `None`: it keeps no registry.
    registry: Option<bool>,
}

impl Health {
    fn of(driver: &DriverHandle) -> Self {
        Self {
            ready: super::unready(driver).is_none(),
            store_ok: driver.store() == StoreState::Ok,
            registry: driver.registry().map(|registry| registry.problem().is_none()),
        }
    }
}

/// The text exposition format of Prometheus, version 0.0.4.
fn text(view: &NetworkView, repair: &RepairView, health: &Health) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP starling_{name} {help}\n# TYPE starling_{name} {kind}"
        );
        for (labels, value) in samples {
            let _ = writeln!(text, "starling_{name}{labels} {value}");
        }
    };
    let relays = view.links.iter().filter(|link| link.relay).count() as u64;
    let people = view.links.len() as u64 - relays;
    let in_state = |state| view.relays.iter().filter(|relay| relay.state == state).count() as u64;
    family(
        "ready",
        "gauge",
        "Whether the relay serves, as /readyz says.",
        &[("", u64::from(health.ready))],
    );
    family(
        "store_ok",
        "gauge",
        "Whether the store takes what is written.",
        &[("", u64::from(health.store_ok))],
    );
    if let Some(reached) = health.registry {
        family(
            "registry_reachable",
            "gauge",
            "Whether the registry of names answers.",
            &[("", u64::from(reached))],
        );
    }
    family(
        "links",
        "gauge",
        "Links now.",
        &[("{to=\"relays\"}", relays), ("{to=\"people\"}", people)],
    );
    family(
        "received_bytes_total",
        "counter",
        "Bytes of frames received on all links.",
        &[("", view.bytes_in)],
    );
    family(
        "sent_bytes_total",
        "counter",
        "Bytes of frames sent on all links.",
        &[("", view.bytes_out)],
    );
    family("feeds", "gauge", "Feeds held.", &[("", view.feeds)]);
    family("entries", "gauge", "Entries held.", &[("", view.entries)]);
    family(
        "duplicates_total",
        "counter",
        "Entries received that were held already.",
        &[("", view.duplicates)],
    );
    family(
        "refused_total",
        "counter",
        "Frames and messages refused: bad signatures, malformed, over a limit.",
        &[("", view.refused)],
    );
    family(
        "audits_total",
        "counter",
        "Entries other relays were asked to show.",
        &[("", view.audits)],
    );
    family(
        "audits_failed_total",
        "counter",
        "Entries other relays said they had and did not show.",
        &[("", view.audits_failed)],
    );
    family(
        "relays",
        "gauge",
        "Relays of the network, by how they seem to do.",
        &[
            ("{state=\"alive\"}", in_state(RelayState::Alive)),
            ("{state=\"suspect\"}", in_state(RelayState::Suspect)),
            ("{state=\"dead\"}", in_state(RelayState::Dead)),
        ],
    );
    family(
        "doubts",
        "gauge",
        "Whether so many relays fell silent at once that this one is probably cut off.",
        &[("", u64::from(repair.doubts))],
    );
    family(
        "missing_feeds",
        "gauge",
        "Feeds of this relay's share it lacks a part of.",
        &[("", repair.feeds)],
    );
    family(
        "missing_entries",
        "gauge",
        "Entries of this relay's share it lacks.",
        &[("", repair.entries)],
    );
    family(
        "replicas_wanted",
        "gauge",
        "Relays that should keep each feed.",
        &[("", u64::from(repair.wanted))],
    );
    family(
        "replicas_possible",
        "gauge",
        "Relays with a share that live, up to those wanted.",
        &[("", u64::from(repair.living.min(repair.wanted)))],
    );
    let delays = view.delays.iter();
    let delays: Vec<(String, u64)> = delays
        .map(|(relay, ms)| (format!("{{relay=\"{relay}\"}}"), u64::from(*ms)))
        .collect();
    let delays: Vec<(&str, u64)> = delays.iter().map(|(relay, ms)| (relay.as_str(), *ms)).collect();
    family(
        "replication_delay_milliseconds",
        "gauge",
        "From taking an entry in to another relay's receipt for it, smoothed.",
        &delays,
    );
    family(
        "cached_accounts",
        "gauge",
        "Accounts held beside this relay's share.",
        &[("", repair.cached)],
    );
    text
}

#[cfg(test)]
mod tests {
    use super::{Health, NetworkView, RepairView, text};

    #[test]
    fn every_sample_has_a_family() {
        let view = NetworkView {
            bytes_in: 7,
            delays: vec![(protocol::PeerId([1; 32]), 12)],
            ..NetworkView::default()
        };
        let health = Health {
            registry: Some(true),
            ..Health::default()
        };
        let text = text(&view, &RepairView::default(), &health);
        assert!(text.contains("\nstarling_registry_reachable 1\n"), "{text}");
        assert!(text.contains("\nstarling_store_ok 0\n"), "{text}");
        assert!(text.contains("\nstarling_received_bytes_total 7\n"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<u64>().is_ok(), "{line}");
        }
    }
}
