//! A relay's settings: defaults < TOML file < environment < flags.
//!
//! One name per setting everywhere: `udp_port` in the file, `STARLING_UDP_PORT` in the environment, `--udp-port` as a
//! flag. A misspelt setting in the file is an error rather than silence.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use engine::io::{Admission, Quotas, Routing};
use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::names::Credentials;
use native::network::{JoinTarget, RelayUrl};
use signaling::proxies::ProxyNetwork;

mod check;
mod coordinates;
mod flags;
mod registry;
mod relay_key;
mod role;
mod secret;
mod source;

pub use check::ConfigError;
pub use coordinates::Coordinates;
pub use flags::Flags;
pub use registry::RegistryBackend;
pub use relay_key::RelayKey;
pub use role::RelayRole;
pub use secret::Secret;

use check::LEAD_S_MIN;
use source::{Variable, list};

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people (the default).
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// All settings in effect. The help of the flags explains them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The IP address and port that the HTTP server listens on.
    pub listen: SocketAddr,
    /// Address of the listener for metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,
    /// The folder that all data is stored in.
    pub data_dir: PathBuf,
    /// The UDP port. None: the number of the HTTP port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_port: Option<u16>,
    /// The IP address that the UDP port is bound to. None: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_ip: Option<IpAddr>,
    /// The IP addresses offered to browsers. Empty: those of this machine.
    #[serde(deserialize_with = "list")]
    pub public_ip: Vec<IpAddr>,
    /// The folder of the app's files. None: the files built into this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_dir: Option<PathBuf>,
    /// Further origins whose pages may connect.
    #[serde(deserialize_with = "list")]
    pub allowed_origin: Vec<String>,
    /// Host names of this relay. Empty: any.
    #[serde(deserialize_with = "list")]
    pub host: Vec<String>,
    /// Reverse proxies whose `X-Forwarded-For` is trusted.
    #[serde(deserialize_with = "list")]
    pub trusted_proxy: Vec<ProxyNetwork>,
    /// Relays of the network to join.
    #[serde(deserialize_with = "list")]
    pub join: Vec<JoinTarget>,
    /// The address at which other relays and browsers reach this relay. None: no address, or the listening address if
    /// that is on the loopback interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<RelayUrl>,
    /// The failure domain: relays with the same zone fail together. Empty: a zone of its own.
    pub zone: String,
    /// The geographic position: degrees of latitude (north) and longitude (east).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Coordinates>,
    /// The share of feeds assigned to this relay, relative to the capacity of other relays.
    pub capacity: u32,
    /// Milliseconds between two heartbeats.
    pub heartbeat_ms: u64,
    /// Number of relays that keep each account's feeds.
    pub replicas: usize,
    /// Seconds that a dead relay keeps its share before the next relay takes it over.
    pub repair_grace_s: u64,
    /// Number of accounts that are held beside the assigned ones.
    pub cached_accounts: usize,
    /// KiB of entries fetched from other relays per second while catching up or repairing.
    pub repair_kib_per_s: u32,
    /// Points added to a relay's cost per millisecond until an entry is stored there. Browsers rank relays by cost.
    pub routing_replication: f64,
    /// Points added to a relay's cost per millisecond of response time.
    pub routing_response: f64,
    /// Points added to a relay's cost per kilometre of distance.
    pub routing_distance: f64,
    /// Points added to a relay's cost if all requests to it fail; a share of them if a share fails.
    pub routing_errors: f64,
    /// Every relay that keeps a link with this one and describes itself is a member.
    pub open: bool,
    /// Keys of the members of the network. Empty: those that members invited.
    #[serde(deserialize_with = "list")]
    pub allow_relay: Vec<RelayKey>,
    /// The roles of this relay. Empty: [`Self::roles`] chooses them.
    #[serde(deserialize_with = "list")]
    pub roles: Vec<RelayRole>,
    /// The registry that keeps names.
    pub registry: RegistryBackend,
    /// The user name for etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_user: Option<String>,
    /// The password for etcd. It is never printed.
    #[serde(skip_serializing)]
    pub registry_password: Secret,
    /// A PEM file with the certificate authority of etcd. None: the authorities of the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_ca: Option<PathBuf>,
    /// A PEM file with this relay's client certificate for etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_cert: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_key: Option<PathBuf>,
    /// The lease of the leading index relay in seconds. None: two heartbeats, at least 2 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_lead_s: Option<u64>,
    /// Seconds between two sweeps of the registry for released names whose rest has ended.
    pub registry_sweep_s: u64,
    /// Days that a released name rests before another account can claim it.
    pub name_rest_days: u32,
    /// Bits of proof of work that a claim of a name needs.
    pub name_work_bits: u8,
    /// Questions about names that one neighbour may ask per minute.
    pub names_per_minute: u32,
    /// Requests for names and slugs accepted per minute from all clients together.
    pub claims_per_minute: u32,
    /// Slugs that one account may have, resting ones included.
    pub slugs_per_account: u32,
    /// The name of this relay that people see.
    pub name: String,
    /// Maximum number of links at a time.
    pub links_max: usize,
    /// Maximum number of WebSockets at a time from one address (IPv6: one /64).
    pub sockets_per_address_max: usize,
    /// Entries that one account may add in an hour; 0: any number.
    pub account_entries_per_hour: u64,
    /// MiB of entries that one account may add in an hour; 0: any amount.
    pub account_mib_per_hour: u64,
    /// New accounts that may come from one address (IPv6: one /64) in an hour; 0: any number.
    pub address_accounts_per_hour: u64,
    /// MiB of entries that may come from one address in an hour; 0: any amount.
    pub address_mib_per_hour: u64,
    /// New accounts from all addresses in a minute, a quarter of them without proof of work; 0: any number without.
    pub new_accounts_per_minute: u64,
    /// Percent of the engine's thread that links of one address may use, and of one more core for its requests and the
    /// transport of its links; 0: as much as there is.
    pub address_cpu_percent: u32,
    /// Memory for the store's cache, in MiB.
    pub cache_mib: usize,
    /// The log filter: a level, or levels by module.
    pub log: String,
    /// The format of log lines.
    pub log_format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            metrics_listen: None,
            data_dir: PathBuf::from("data"),
            udp_port: None,
            udp_ip: None,
            public_ip: Vec::new(),
            app_dir: None,
            allowed_origin: Vec::new(),
            host: Vec::new(),
            trusted_proxy: Vec::new(),
            join: Vec::new(),
            advertise: None,
            zone: String::new(),
            location: None,
            capacity: 100,
            heartbeat_ms: 5_000,
            replicas: engine::io::REPLICAS,
            repair_grace_s: engine::io::REPAIR_GRACE.as_secs(),
            cached_accounts: engine::io::CACHED_ACCOUNTS_MAX,
            repair_kib_per_s: engine::io::REPAIR_BYTES_PER_S / 1024,
            routing_replication: 1.0,
            routing_response: 2.0,
            routing_distance: 0.02,
            routing_errors: 10_000.0,
            open: false,
            allow_relay: Vec::new(),
            roles: Vec::new(),
            registry: RegistryBackend::Embedded,
            registry_user: None,
            registry_password: Secret::default(),
            registry_ca: None,
            registry_cert: None,
            registry_key: None,
            registry_lead_s: None,
            registry_sweep_s: 600,
            name_rest_days: 30,
            name_work_bits: 0,
            names_per_minute: engine::io::NAMES_PER_MINUTE,
            claims_per_minute: engine::io::CLAIMS_PER_MINUTE,
            slugs_per_account: crate::names::SLUGS_MAX,
            name: "Starling relay".to_owned(),
            links_max: 1_024,
            sockets_per_address_max: 64,
            account_entries_per_hour: Quotas::USUAL.entries_per_account,
            account_mib_per_hour: Quotas::USUAL.bytes_per_account >> 20,
            address_accounts_per_hour: Quotas::USUAL.accounts_per_address,
            address_mib_per_hour: Quotas::USUAL.bytes_per_address >> 20,
            new_accounts_per_minute: Quotas::USUAL.accounts_per_minute,
            address_cpu_percent: 25,
            cache_mib: 128,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

/// Settings that may stand in the environment.
const SETTINGS: [&str; 52] = [
    "listen",
    "metrics_listen",
    "data_dir",
    "udp_port",
    "udp_ip",
    "public_ip",
    "app_dir",
    "allowed_origin",
    "host",
    "trusted_proxy",
    "join",
    "advertise",
    "zone",
    "location",
    "capacity",
    "heartbeat_ms",
    "replicas",
    "repair_grace_s",
    "cached_accounts",
    "repair_kib_per_s",
    "routing_replication",
    "routing_response",
    "routing_distance",
    "routing_errors",
    "open",
    "allow_relay",
    "roles",
    "registry",
    "registry_user",
    "registry_password",
    "registry_ca",
    "registry_cert",
    "registry_key",
    "registry_lead_s",
    "registry_sweep_s",
    "name_rest_days",
    "name_work_bits",
    "names_per_minute",
    "claims_per_minute",
    "slugs_per_account",
    "name",
    "links_max",
    "sockets_per_address_max",
    "account_entries_per_hour",
    "account_mib_per_hour",
    "address_accounts_per_hour",
    "address_mib_per_hour",
    "new_accounts_per_minute",
    "address_cpu_percent",
    "cache_mib",
    "log",
    "log_format",
];

impl Settings {
    /// The settings in effect for these flags.
    ///
    /// # Errors
    /// [`ConfigError`], saying where the mistake stands.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = &flags.config {
            if !file.is_file() {
                return Err(ConfigError::NoFile(file.clone()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let defaults = serde_json::to_value(Self::default()).unwrap_or_default();
        for setting in SETTINGS {
            if let Some(text) = std::env::var_os(Variable::name(setting)) {
                let text = text.to_string_lossy().into_owned();
                figment = figment.merge(Variable::new(setting, text, &defaults));
            }
        }
        let settings: Self = figment
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| ConfigError::Settings(Box::new(error)))?;
        check::check(&settings)?;
        Ok(settings)
    }

    /// The roles of this relay: the configured ones, or all, except that a relay that joins others keeps no embedded
    /// registry.
    #[must_use]
    pub fn roles(&self) -> Vec<RelayRole> {
        if !self.roles.is_empty() {
            return self.roles.clone();
        }
        let mut roles = vec![RelayRole::Worker, RelayRole::Web, RelayRole::Signal];
        if self.join.is_empty() || self.registry != RegistryBackend::Embedded {
            roles.push(RelayRole::Index);
        }
        roles
    }

    fn weights(&self) -> [(&'static str, f64); 4] {
        [
            ("routing_replication", self.routing_replication),
            ("routing_response", self.routing_response),
            ("routing_distance", self.routing_distance),
            ("routing_errors", self.routing_errors),
        ]
    }

    /// How long a leader that is silent still leads: like any relay, until it missed two heartbeats.
    #[must_use]
    pub fn registry_lead(&self) -> Duration {
        let beats = self.heartbeat_ms.saturating_mul(2).div_ceil(1_000);
        Duration::from_secs(self.registry_lead_s.unwrap_or(beats.max(LEAD_S_MIN)))
    }

    /// How much neighbours may add.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        Quotas {
            entries_per_account: self.account_entries_per_hour,
            bytes_per_account: self.account_mib_per_hour.saturating_mul(1 << 20),
            accounts_per_address: self.address_accounts_per_hour,
            bytes_per_address: self.address_mib_per_hour.saturating_mul(1 << 20),
            accounts_per_minute: self.new_accounts_per_minute,
        }
    }

    /// How this relay authenticates itself to etcd.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        let user = self.registry_user.clone();
        Credentials {
            user: user.map(|user| (user, self.registry_password.reveal().to_owned())),
            ca: self.registry_ca.clone(),
            identity: self.registry_cert.clone().zip(self.registry_key.clone()),
        }
    }

    /// How browsers of this relay are to rank relays.
    #[must_use]
    pub fn routing(&self) -> Routing {
        // Checked when they were read.
        Routing::weighing(self.weights().map(|(_, weight)| weight as f32)).unwrap_or_default()
    }

    /// Where the one UDP socket is bound, when HTTP got `http_port`.
    #[must_use]
    pub fn udp_bind(&self, http_port: u16) -> SocketAddr {
        let all = match self.listen.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        SocketAddr::new(self.udp_ip.unwrap_or(all), self.udp_port.unwrap_or(http_port))
    }

    /// Which relays are members of the network.
    #[must_use]
    pub fn admission(&self) -> Admission {
        match (self.open, self.allow_relay.as_slice()) {
            (true, _) => Admission::Open,
            (false, []) => Admission::Invited,
            (false, listed) => Admission::Listed(listed.iter().map(|key| key.0).collect()),
        }
    }

    /// The settings as a TOML file would say them, for people: without the invitations of `join`, which are secrets.
    #[must_use]
    pub fn to_shown_toml(&self) -> String {
        let without = |target: &JoinTarget| JoinTarget::from(target.url.clone());
        let shown = Self {
            join: self.join.iter().map(without).collect(),
            ..self.clone()
        };
        let mut text = shown.to_toml();
        if self.join.iter().any(|target| target.invitation.is_some()) {
            text += "# An invitation of join is in effect; it is a secret, and not shown.\n";
        }
        if self.registry_password != Secret::default() {
            text += "# registry_password is set, and not shown.\n";
        }
        text
    }

    /// The settings as a TOML file would say them.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(self) else {
            return String::new();
        };
        // Strings, numbers and lists of strings look the same in JSON and TOML.
        settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Flags, RelayRole, Settings};
    use clap::Parser;

    /// A command line of the program.
    #[derive(Debug, Parser)]
    struct CommandLine {
        /// What the program does with the settings.
        command: Option<String>,
        #[command(flatten)]
        flags: Flags,
    }

    fn load(arguments: &[&str]) -> Result<Settings, String> {
        let line =
            CommandLine::try_parse_from([&["relay-node"], arguments].concat()).map_err(|e| e.to_string())?;
        Settings::load(&line.flags).map_err(|error| error.to_string())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_silent_leader_leads_for_two_heartbeats_unless_told_otherwise() {
        let seconds = |arguments: &[&str]| load(arguments).unwrap().registry_lead().as_secs();
        assert_eq!(seconds(&["run"]), 10);
        assert_eq!(seconds(&["run", "--heartbeat-ms", "1600"]), 4);
        assert_eq!(
            seconds(&["run", "--heartbeat-ms", "200"]),
            2,
            "no lease is shorter"
        );
        assert_eq!(seconds(&["run", "--registry-lead-s", "60"]), 60);
        assert!(load(&["run", "--registry-lead-s", "1"]).is_err());
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file(
            "listen = \"0.0.0.0:1\"\nudp_port = 7\npublic_ip = [\"203.0.113.1\"]\nhost = \"a.example, b.example\"\ntrusted_proxy = [\"172.18.0.0/16\", \"::1\"]\n",
        );
        let path = file.path().to_str().unwrap();
        let settings = load(&["run", "--config", path, "--udp-port", "9"]).unwrap();
        assert_eq!(settings.listen.port(), 1);
        assert_eq!(settings.udp_bind(1).to_string(), "0.0.0.0:9");
        assert_eq!(settings.public_ip.len(), 1);
        assert_eq!(settings.host, ["a.example", "b.example"]);
        assert_eq!(settings.trusted_proxy.len(), 2);
        assert_eq!(settings.name, Settings::default().name);
        let again = self::file(&settings.to_toml());
        let path = again.path().to_str().unwrap().to_owned();
        assert_eq!(
            load(&["--config", &path]).unwrap(),
            settings,
            "what check prints can be read"
        );
    }

    #[test]
    fn the_udp_port_is_the_http_port_unless_told_otherwise() {
        let settings = load(&["--listen", "127.0.0.1:4000"]).unwrap();
        assert_eq!(settings.udp_bind(4000).to_string(), "0.0.0.0:4000");
        let settings = load(&["--listen", "[::1]:4000", "--udp-port", "0"]).unwrap();
        assert_eq!(settings.udp_bind(4000).to_string(), "[::]:0");
    }

    fn check_refused(arguments: &[&str], about: &str) {
        let error = load(arguments).unwrap_err();
        assert!(error.contains(about), "{error:?} does not speak of {about:?}");
    }

    #[test]
    fn mistakes_are_named() {
        let misspelt = file("lissten = \"0.0.0.0:1\"\n");
        check_refused(&["--config", misspelt.path().to_str().unwrap()], "lissten");
        let wrong_type = file("udp_port = \"many\"\n");
        check_refused(&["--config", wrong_type.path().to_str().unwrap()], "udp_port");
        check_refused(&["--config", "/nowhere.toml"], "/nowhere.toml");
        check_refused(&["--app-dir", "/nowhere"], "/nowhere");
        check_refused(&["--allowed-origin", "app.example"], "https://app.example");
        check_refused(&["--public-ip", "0.0.0.0"], "0.0.0.0");
        check_refused(&["--trusted-proxy", "10.0.0.0/33"], "172.18.0.0/16");
        check_refused(&["--host", "https://relay.example"], "relay.example");
        check_refused(&["--log", "loud=very"], "log");
        check_refused(&["--listen", "8080"], "--listen");
        check_refused(&["--join", "relay.example"], "https://relay.example");
        check_refused(&["--location", "91,0"], "52.5,13.4");
        check_refused(&["--allow-relay", "no-key"], "/api/relay");
        check_refused(&["--join", "https://relay.example#half"], "relay-node invite");
        let key = protocol::PeerId([3; 32]).to_string();
        check_refused(&["--open", "--allow-relay", &key], "allow_relay");
        check_refused(&["--heartbeat-ms", "1"], "heartbeat_ms");
        check_refused(&["--zone", &"z".repeat(33)], "zone");
        check_refused(&["--roles", "boss"], "worker");
        check_refused(&["--registry", "zookeeper"], "etcd://a:2379");
        check_refused(&["--roles", "index", "--join", "http://a"], "--registry");
        check_refused(&["--registry-ca", "/nowhere"], "/nowhere");
        check_refused(&["--name-work-bits", "25"], "24");
        check_refused(&["--routing-distance", "-1"], "routing_distance");
        check_refused(&["--routing-errors", "2e6"], "1000000");
        check_refused(&["--routing-response", "NaN"], "routing_response");
        check_refused(&["--routing-response", "fast"], "fast");
        let nothing = file(
            "routing_replication = 0\nrouting_response = 0\nrouting_distance = 0.0\nrouting_errors = 0\n",
        );
        check_refused(
            &["--config", nothing.path().to_str().unwrap()],
            "at least one above 0",
        );
    }

    #[test]
    fn a_list_with_one_wrong_element_names_it_and_never_an_invitation() {
        let wrong = file("join = [\"http://a\", \"b c\"]\n");
        check_refused(&["--config", wrong.path().to_str().unwrap()], "`join`");
        check_refused(&["--config", wrong.path().to_str().unwrap()], "element 2, `b c`");
        let role = file("roles = [\"worker\", \"boss\"]\n");
        check_refused(
            &["--config", role.path().to_str().unwrap()],
            "worker, web, index, signal",
        );
        let number = file("host = [\"a\", 5]\n");
        check_refused(&["--config", number.path().to_str().unwrap()], "element 2");
        let secret = file("join = [\"http://a#hush\"]\n");
        let error = load(&["--config", secret.path().to_str().unwrap()]).unwrap_err();
        assert!(error.contains("http://a#…") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn a_secret_is_in_no_error_and_nowhere_that_is_printed() {
        let wrong = file("registry_password = 314159\n");
        let error = load(&["--config", wrong.path().to_str().unwrap()]).unwrap_err();
        assert!(
            error.contains("registry_password") && !error.contains("314159"),
            "{error}"
        );

        let file = file("registry_user = \"u\"\nregistry_password = \"hush\"\n");
        let settings = load(&["--config", file.path().to_str().unwrap()]).unwrap();
        let printed = format!(
            "{settings:?} {} {:?}",
            settings.to_shown_toml(),
            settings.credentials()
        );
        assert!(!printed.contains("hush"), "{printed}");
        assert!(printed.contains("registry_password is set"), "{printed}");

        let invitation = protocol::messages::membership::Invitation {
            by: protocol::PeerId([3; 32]),
            secret: [7; 16],
        };
        let join = format!("http://a#{invitation}");
        let shown = load(&["--join", &join]).unwrap().to_shown_toml();
        assert!(
            shown.contains("\"http://a\"") && !shown.contains(&invitation.to_string()),
            "{shown}"
        );
    }

    #[test]
    fn errors_name_the_setting_that_is_wrong_and_its_range() {
        check_refused(
            &["--repair-kib-per-s", "0"],
            "`repair_kib_per_s` is not right: choose from 1",
        );
        let zero = file("repair_kib_per_s = 0\n");
        check_refused(&["--config", zero.path().to_str().unwrap()], "choose from 1");
        check_refused(
            &["--cache-mib", "1000000"],
            "`cache_mib` is not right: choose from 0 to",
        );
        check_refused(
            &["--registry-cert", "/nope", "--registry-key", "/nope"],
            "`registry_cert` is not right: there is no file /nope",
        );
        check_refused(&["--registry-sweep-s", "0"], "`registry_sweep_s`");
        check_refused(&["--sockets-per-address-max", "0"], "`sockets_per_address_max`");
        check_refused(&["--log", "loud"], "`loud` is no level");
    }

    #[test]
    fn weights_are_settings_and_the_engines_own_by_default() {
        assert_eq!(Settings::default().routing(), engine::io::Routing::default());
        let file = file("routing_response = 3\nrouting_distance = 0.5\n");
        let path = file.path().to_str().unwrap();
        let settings = load(&["--config", path, "--routing-distance", "0.25"]).unwrap();
        assert_eq!(settings.routing().weights(), [1.0, 3.0, 0.25, 10_000.0]);
        assert!(settings.to_toml().contains("routing_distance = 0.25\n"));
        check_refused(&["--registry-lead-s", "18446744073709551615"], "a year");
        check_refused(&["--cache-mib", "9999999"], "cache_mib");
    }

    #[test]
    fn one_relay_of_a_network_keeps_names_unless_they_are_shared() {
        let index = |arguments: &[&str]| load(arguments).unwrap().roles().contains(&RelayRole::Index);
        assert!(index(&[]));
        assert!(!index(&["--join", "http://a"]));
        assert!(index(&["--join", "http://a", "--registry", "etcd://b:2379"]));
        assert!(!index(&["--roles", "worker,web"]));
    }
}
