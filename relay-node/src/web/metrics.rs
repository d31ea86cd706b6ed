//! Metrics for Prometheus, on a listener of their own: what a relay does is for its operator to know.

use std::fmt::Write as _;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use engine::api::{NetworkView, Query, QueryResult, RelayState, RepairView, Request, Response, StoreState};

use super::error::WebError;
use crate::health::{HealthMonitor, HealthReport, Kind};
use signaling::sockets::SocketBudget;

/// The text exposition format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4";

pub(crate) fn routes() -> [(&'static str, MethodRouter<HealthMonitor>); 1] {
    [("/metrics", get(metrics))]
}

async fn metrics(
    State(health): State<HealthMonitor>,
    Extension(sockets): Extension<SocketBudget>,
) -> Result<impl IntoResponse, WebError> {
    let mut metrics = RelayMetrics::read(&health).await?;
    metrics.sockets = sockets.open() as u64;
    metrics.sockets_max = sockets.max() as u64;
    Ok(([(CONTENT_TYPE, TEXT_FORMAT)], metrics.text()))
}

/// Everything that is measured, at one moment.
#[derive(Default)]
struct RelayMetrics {
    health: HealthReport,
    store_ok: bool,
    /// `None`: this relay keeps no registry.
    registry_reachable: Option<bool>,
    network: NetworkView,
    repair: RepairView,
    /// Sockets accepted and open, and their bound.
    sockets: u64,
    sockets_max: u64,
}

impl RelayMetrics {
    async fn read(health: &HealthMonitor) -> Result<Self, WebError> {
        let driver = health.driver();
        let network = match driver.request(Request::Query(Query::Network)).await {
            Some(Response::Result(reply)) => match *reply {
                QueryResult::Network(network) => network,
                _ => return Err(WebError::Unexpected),
            },
            Some(Response::Error(error)) => return Err(WebError::Refused(error)),
            Some(Response::Done(_)) => return Err(WebError::Unexpected),
            None => return Err(WebError::Stopping),
        };
        Ok(Self {
            health: health.report(),
            store_ok: driver.store() == StoreState::Ok,
            registry_reachable: driver.registry().map(|registry| registry.problem().is_none()),
            network,
            repair: driver.repair(),
            ..Self::default()
        })
    }

    fn text(&self) -> String {
        text(&self.network, &self.repair, self)
    }
}

fn text(view: &NetworkView, repair: &RepairView, metrics: &RelayMetrics) -> String {
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
        "Whether /readyz reports ready.",
        &[("", u64::from(metrics.health.ready))],
    );
    let holds = |kind| {
        let conditions = &metrics.health.conditions;
        u64::from(conditions.iter().any(|condition| condition.condition == kind))
    };
    let kinds = Kind::ALL.map(|kind| (format!("{{condition=\"{}\"}}", kind.name()), holds(kind)));
    let kinds: Vec<(&str, u64)> = kinds
        .iter()
        .map(|(label, holds)| (label.as_str(), *holds))
        .collect();
    family(
        "condition",
        "gauge",
        "Whether a condition holds that an operator may have to act on; /api/health says why.",
        &kinds,
    );
    family(
        "store_ok",
        "gauge",
        "Whether writes to the store succeed.",
        &[("", u64::from(metrics.store_ok))],
    );
    if let Some(reached) = metrics.registry_reachable {
        family(
            "registry_reachable",
            "gauge",
            "Whether the registry of names answers.",
            &[("", u64::from(reached))],
        );
    }
    family(
        "log_lines_lost_total",
        "counter",
        "Log lines that could not be written.",
        &[("", crate::logging::lost())],
    );
    family(
        "links",
        "gauge",
        "Links open.",
        &[("{to=\"relays\"}", relays), ("{to=\"people\"}", people)],
    );
    family(
        "sockets",
        "gauge",
        "Sockets accepted and open: links, signaling, HTTP.",
        &[("", metrics.sockets)],
    );
    family(
        "sockets_max",
        "gauge",
        "Most sockets that the limit of open files allows.",
        &[("", metrics.sockets_max)],
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
        "Frames and messages refused: a bad signature, malformed, or over a limit.",
        &[("", view.refused)],
    );
    let [account_entries, account_bytes, address_accounts, address_bytes] = view.over_quota;
    family(
        "over_quota_total",
        "counter",
        "Entries refused for a time because a quota was used up.",
        &[
            ("{quota=\"account_entries\"}", account_entries),
            ("{quota=\"account_bytes\"}", account_bytes),
            ("{quota=\"address_accounts\"}", address_accounts),
            ("{quota=\"address_bytes\"}", address_bytes),
        ],
    );
    let [asked, proven] = view.work_of_accounts;
    family(
        "new_account_work_total",
        "counter",
        "Proofs of work that were asked of new accounts because many came, and those that were given.",
        &[("{state=\"asked\"}", asked), ("{state=\"proven\"}", proven)],
    );
    family(
        "audits_total",
        "counter",
        "Entries that other relays were asked to prove they hold.",
        &[("", view.audits)],
    );
    family(
        "audits_failed_total",
        "counter",
        "Entries that other relays said they hold and did not prove.",
        &[("", view.audits_failed)],
    );
    family(
        "relays",
        "gauge",
        "Relays of the network by state.",
        &[
            ("{state=\"alive\"}", in_state(RelayState::Alive)),
            ("{state=\"suspect\"}", in_state(RelayState::Suspect)),
            ("{state=\"dead\"}", in_state(RelayState::Dead)),
        ],
    );
    family(
        "partition_suspected",
        "gauge",
        "Whether a network partition is suspected: too many relays fell silent at once.",
        &[("", u64::from(repair.suspects_partition))],
    );
    family(
        "missing_feeds",
        "gauge",
        "Feeds assigned to this relay of which entries are missing.",
        &[("", repair.feeds)],
    );
    family(
        "missing_entries",
        "gauge",
        "Missing entries of feeds assigned to this relay.",
        &[("", repair.entries)],
    );
    family(
        "replicas_wanted",
        "gauge",
        "Replicas that each feed should have.",
        &[("", u64::from(repair.wanted))],
    );
    family(
        "replicas_possible",
        "gauge",
        "Living relays that can keep replicas, up to the number wanted.",
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
        "From accepting an entry to another relay's receipt for it, smoothed.",
        &delays,
    );
    family(
        "cached_accounts",
        "gauge",
        "Accounts held that are not assigned to this relay.",
        &[("", repair.cached)],
    );
    text
}

#[cfg(test)]
mod tests {
    use super::{NetworkView, RelayMetrics};

    #[test]
    fn every_sample_has_a_family() {
        let metrics = RelayMetrics {
            registry_reachable: Some(true),
            network: NetworkView {
                bytes_in: 7,
                delays: vec![(protocol::PeerId([1; 32]), 12)],
                ..NetworkView::default()
            },
            ..RelayMetrics::default()
        };
        let text = metrics.text();
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
