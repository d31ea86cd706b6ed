//! How a relay and its network are, asked over HTTP as anybody can: `relay-node status`.

use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::text::{plain, table};
use crate::web::{About, ListedRelay, Problem, Repair};
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
    print!("{}", status.text());
    anyhow::ensure!(status.is_ready(), "the relay does not serve yet");
    Ok(())
}

/// What a relay says of itself and its network.
#[derive(Debug)]
pub struct Status {
    url: RelayUrl,
    about: About,
    ready: Option<String>,
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
        let mut ready = get("/readyz")?;
        let why_not = if ready.status().is_success() {
            None
        } else {
            Some(ready.body_mut().read_to_string().map_err(no_answer)?)
        };
        Ok(Self {
            url: url.clone(),
            about,
            ready: why_not.map(|body| Problem::detail_of(&body)),
            repair,
            members,
        })
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.is_none()
    }

    /// For people: a line about the relay, then a line for each relay it knows.
    #[must_use]
    pub fn text(&self) -> String {
        let About {
            peer, version, name, ..
        } = &self.about;
        let ready = self
            .ready
            .as_ref()
            .map_or_else(|| "ready".to_owned(), |why| format!("not ready: {why}"));
        let mut text = format!(
            "{name} {version} at {}, {ready}\nkey {peer}\n{}\n\n",
            self.url,
            self.repair.text()
        );
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
                member.state.clone(),
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

#[cfg(test)]
mod tests {
    use super::{About, ListedRelay, Repair, Status};

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
            ready: None,
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
            "Relay 1.0 at http://localhost:8080, ready\nkey abc\n\
             each feed is kept by 3 of 7 relays, only 2 of the wanted 3: 2 relays live; beside its share this one holds 1 account; this one lacks 9 entries of 2 feeds, coming from 1 relay\n\n\
             RELAY                         STATE  ZONE     CAPACITY  ENTRIES  LOAD  RESPONSE  ROLES\n\
             abc                           alive  a [31mb  100       7        12 %  1.5 ms    worker,web\n\
             http://localhost:8080 (this)  alive  –        100       7        12 %  1.5 ms    worker,web\n"
        );
    }
}
