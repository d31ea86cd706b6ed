//! How a relay and its network are, asked over HTTP as anybody can: `relay-node status`.

use std::fmt::Write as _;
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::health::HealthReport;
use crate::text::{plain, table};
use crate::web::{About, ListedRelay, Problem, Repair};
use native::clock::wall;
use native::network::RelayUrl;

/// Timeout of the request. A healthy relay answers within milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Asks relays over HTTP.
pub(crate) fn agent() -> ureq::Agent {
    agent_within(ANSWERS_WITHIN)
}

/// Asks relays that are to answer within this time, and takes the word of the same authorities as links do: those the
/// system trusts, and those browsers trust.
pub(crate) fn agent_within(within: Duration) -> ureq::Agent {
    let of_system = rustls_native_certs::load_native_certs().certs;
    let of_browsers = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let roots: RootCerts = of_system
        .iter()
        .chain(of_browsers)
        .map(|known| Certificate::from_der(known).to_owned())
        .into();
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_global(Some(within))
        .http_status_as_error(false)
        .build()
        .into()
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No program answers, or one that is not this relay.
    #[error("no relay answers at {url}: {reason}; is it running? --at names another address")]
    NoAnswer {
        /// The URL that was asked.
        url: RelayUrl,
        /// What stood in the way.
        reason: String,
    },
}

/// Prints the status of the relay at `url`.
///
/// # Errors
/// If there is no answer, or the relay is not ready.
pub(super) fn print(url: &RelayUrl) -> anyhow::Result<()> {
    let status = Status::ask(url)?;
    super::print(&status.text())?;
    anyhow::ensure!(status.is_ready(), "the relay does not serve yet");
    Ok(())
}

/// How a relay is.
#[derive(Debug)]
enum Health {
    Report(HealthReport),
    /// A relay of an earlier version says only why it is not ready.
    Earlier(Option<String>),
}

/// What a relay says of itself and its network.
#[derive(Debug)]
pub struct Status {
    url: RelayUrl,
    about: About,
    health: Health,
    repair: Repair,
    members: Vec<ListedRelay>,
}

impl Status {
    /// Asks the relay at `url`.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn ask(url: &RelayUrl) -> Result<Self, StatusError> {
        let agent = agent();
        let no_answer = |error: ureq::Error| StatusError::NoAnswer {
            url: url.clone(),
            reason: error.to_string(),
        };
        let get = |path: &str| agent.get(format!("{url}{path}")).call().map_err(no_answer);
        let about = get("/api/relay")?.body_mut().read_json().map_err(no_answer)?;
        let members = get("/api/network")?.body_mut().read_json().map_err(no_answer)?;
        let repair = get("/api/repair")?.body_mut().read_json().map_err(no_answer)?;
        let mut health = get("/api/health")?;
        let health = if health.status().is_success() {
            Health::Report(health.body_mut().read_json().map_err(no_answer)?)
        } else {
            let mut ready = get("/readyz")?;
            Health::Earlier(match ready.status().is_success() {
                true => None,
                false => Some(Problem::detail_of(
                    &ready.body_mut().read_to_string().map_err(no_answer)?,
                )),
            })
        };
        Ok(Self {
            url: url.clone(),
            about,
            health,
            repair,
            members,
        })
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.health {
            Health::Report(report) => report.ready,
            Health::Earlier(why) => why.is_none(),
        }
    }

    /// The state in words, and a line for each condition.
    fn state(&self) -> (String, String) {
        let report = match &self.health {
            Health::Earlier(None) => return ("ready".to_owned(), String::new()),
            Health::Earlier(Some(why)) => return (format!("not ready: {}", plain(why)), String::new()),
            Health::Report(report) => report,
        };
        let mut lines = String::new();
        for condition in &report.conditions {
            let term = if condition.ready { "warning" } else { "not ready" };
            let since = wall().0.saturating_sub(condition.since_ms) / 1_000;
            // Writing to a string cannot fail.
            let _ = writeln!(
                lines,
                "{term}: {}, for {}; what to do: {}",
                plain(&condition.reason),
                duration(since),
                plain(&condition.remedy)
            );
        }
        let ready = if report.ready { "ready" } else { "not ready" };
        (ready.to_owned(), lines)
    }

    /// For people: a line about the relay, then a line for each relay it knows.
    #[must_use]
    pub fn text(&self) -> String {
        let About {
            peer, version, name, ..
        } = &self.about;
        let (ready, conditions) = self.state();
        let mut text = format!(
            "{name} {version} at {}, {ready}\nkey {peer}\n{conditions}",
            self.url
        );
        // Before its store is read it does not know what it holds.
        let starting = matches!(&self.health, Health::Report(report) if report.is_starting());
        if !starting {
            let _ = writeln!(text, "{}", self.repair.text());
        }
        text.push('\n');
        let head = [
            "RELAY", "STATE", "ZONE", "CAPACITY", "ENTRIES", "LOAD", "RESPONSE", "ROLES",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.members.iter().map(|member| {
            let place = if member.url.is_empty() {
                &member.peer
            } else {
                &member.url
            };
            let this = if member.this { " (this)" } else { "" };
            vec![
                format!("{}{this}", plain(place)),
                match member.state.as_str() {
                    "alive" if member.capacity == 0 => "alive, takes no feeds".to_owned(),
                    state => state.to_owned(),
                },
                if member.zone.is_empty() {
                    "–".to_owned()
                } else {
                    plain(&member.zone)
                },
                member.capacity.to_string(),
                member.entries.to_string(),
                format!("{} %", member.load / 10),
                format!("{:.1} ms", f64::from(member.response_us) / 1_000.0),
                member.roles.join(","),
            ]
        }));
        text += &table(&rows);
        text
    }
}

/// Seconds in words.
fn duration(s: u64) -> String {
    match s {
        0..=119 => format!("{s} s"),
        120..=7_199 => format!("{} min", s / 60),
        7_200..=172_799 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Health, HealthReport, ListedRelay, Repair, Status, duration};
    use crate::health::{Condition, Kind};

    #[test]
    fn a_duration_has_one_unit() {
        let all = [5, 120, 7_200, 172_800].map(duration);
        assert_eq!(all, ["5 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn the_table_lines_up_and_strangers_write_no_control_characters() {
        let member = |url: &str, zone: &str, this| ListedRelay {
            peer: "abc".to_owned(),
            state: "alive".to_owned(),
            this,
            url: url.to_owned(),
            zone: zone.to_owned(),
            roles: vec!["worker".to_owned(), "web".to_owned()],
            capacity: 100,
            entries: 7,
            location: None,
            load: 125,
            response_us: 1_500,
            errors_ppm: 0,
        };
        let status = Status {
            url: "http://localhost:8080".parse().unwrap(),
            about: About {
                peer: "abc".to_owned(),
                version: "1.0".to_owned(),
                name: "Relay".to_owned(),
                routing: crate::web::Weights::default(),
            },
            health: Health::Report(HealthReport {
                ready: true,
                conditions: vec![Condition {
                    condition: Kind::StoreFull,
                    ready: true,
                    since_ms: u64::MAX,
                    reason: "the disk is full".to_owned(),
                    remedy: "make room".to_owned(),
                }],
            }),
            repair: Repair {
                caught_up: true,
                feeds: 2,
                entries: 9,
                from: vec!["abc".to_owned()],
                relays: 7,
                replicas: 3,
                wanted: 3,
                living: 2,
                cached: 1,
                suspects_partition: false,
                to_hand_over: None,
            },
            members: vec![
                member("", "a\u{1b}[31mb", false),
                member("http://localhost:8080", "", true),
            ],
        };
        assert_eq!(
            status.text(),
            "Relay 1.0 at http://localhost:8080, ready\nkey abc\nwarning: the disk is full, for 0 s; what to do: make room\n\
             each feed is kept by 3 of 7 relays, only 2 of the wanted 3: 2 relays live; beside its share this one holds 1 account; this one lacks 9 entries of 2 feeds, coming from 1 relay\n\n\
             RELAY                         STATE  ZONE     CAPACITY  ENTRIES  LOAD  RESPONSE  ROLES\n\
             abc                           alive  a [31mb  100       7        12 %  1.5 ms    worker,web\n\
             http://localhost:8080 (this)  alive  –        100       7        12 %  1.5 ms    worker,web\n"
        );
    }
}
