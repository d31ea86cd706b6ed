//! What an operator types: commands, and settings as flags.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::config::{LogFormat, Place, RegistryPlace, RelayKey, RelayRole};
use native::network::RelayUrl;

/// The relay of a Starling network: keeps people's posts while they are away, and serves the app.
#[derive(Debug, Parser)]
#[command(name = "relay-node", version, after_help = PRECEDENCE)]
pub struct Cli {
    /// What to do; `run` if nothing is named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings.
    #[command(flatten)]
    pub flags: Flags,
}

const PRECEDENCE: &str = "\
Every setting can also stand in a TOML file (--config FILE or STARLING_CONFIG; `udp_port = 3478`) or in the environment \
(STARLING_UDP_PORT=3478; lists with commas). Flags win over the environment, the environment over the file.

Behind a reverse proxy that speaks TLS, forward /signal and /link as WebSockets and keep the Host header. UDP is not \
proxied: open the UDP port, and name the public address with --public-ip if this machine is behind NAT.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay (the default).
    Run,
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running relay how it and its network are. Exits with 1 when it is not ready.
    Status {
        /// Where it is [default: where --listen says].
        #[arg(long, value_name = "URL")]
        at: Option<RelayUrl>,
    },
    /// Show which relays keep an account's feeds, and which relay answers fastest from here.
    Route {
        /// A name of the registry such as `@ada`, an account, or a profile link.
        user: String,
        /// Show what the score is made of.
        #[arg(long)]
        explain: bool,
        /// Any relay of the network [default: where --listen says].
        #[arg(long, value_name = "URL")]
        at: Option<RelayUrl>,
    },
    /// Print a new one-time address that makes a browser the admin of the running relay.
    AdminUrl,
    /// Have a running relay give its share to others, and wait until they have it: before it is stopped for good.
    Drain,
    /// Write everything this relay holds to a new file: entries and names. The relay must not be running.
    Backup {
        /// The file; it holds the registry's secret key.
        file: PathBuf,
    },
    /// Take a backup in, every signature checked, into a fresh data folder or one that lacks some of it.
    Restore {
        /// The file.
        file: PathBuf,
        /// Only check the file.
        #[arg(long)]
        verify: bool,
    },
    /// Look at settings, data folder, ports, clock and network, and say what is wrong and what to do.
    Doctor,
    /// Write a settings file to begin with to standard output.
    Init,
    /// Write all stored entries to standard output, one JSON object per line. The relay must not be running.
    Export,
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the settings as `run` would, say what is wrong with them, and print them.
    Check,
}

/// Settings given on the command line.
#[derive(Debug, Default, Args, Serialize)]
pub struct Flags {
    /// A TOML file with settings.
    #[arg(long, global = true, value_name = "FILE", env = "STARLING_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Where HTTP listens [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Address of the listener for Prometheus metrics, at /metrics [default: none].
    #[arg(long, global = true, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<SocketAddr>,
    /// The folder everything is kept in [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// The one UDP port all browsers connect to; 0 takes any free one [default: the number of the HTTP port].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_port: Option<u16>,
    /// The address that UDP port is bound to [default: all].
    #[arg(long, global = true, value_name = "IP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_ip: Option<IpAddr>,
    /// An address browsers reach the UDP port at, if it is not one of this machine's own (NAT); may be repeated.
    #[arg(long, global = true, value_name = "IP", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_ip: Option<Vec<IpAddr>>,
    /// Serve the app from this folder instead of the built-in one.
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    app_dir: Option<PathBuf>,
    /// An origin besides the relay's own whose pages may connect (such as `https://app.example`); may be repeated; `*` is any.
    #[arg(long, global = true, value_name = "ORIGIN", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origin: Option<Vec<String>>,
    /// A name (with the port, if not the default one) this relay is reached by; may be repeated; WebSockets that ask
    /// for another are refused [default: any].
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Vec<String>>,
    /// A reverse proxy on another machine, whose X-Forwarded-For is believed; may be repeated.
    #[arg(long, global = true, value_name = "IP", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxy: Option<Vec<IpAddr>>,
    /// Another relay to form a network with, such as `https://relay.example`: any one member; may be repeated.
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<Vec<RelayUrl>>,
    /// Where other relays and browsers reach this one, such as `https://relay.example` [default: none, unless it listens on
    /// this machine alone].
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<RelayUrl>,
    /// The name of this relay's failure domain: relays with the same zone fail together, because they share a machine, a rack or a
    /// data centre [default: a zone of its own].
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// The geographic position of this relay, as degrees of latitude (north) and longitude (east).
    #[arg(long, global = true, value_name = "LAT,LON", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place>,
    /// The share of feeds assigned to this relay, relative to the capacity of other relays [default: 100].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u32>,
    /// Milliseconds between two heartbeats; all relays of a network need the same [default: 5000].
    #[arg(long, global = true, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_ms: Option<u64>,
    /// Relays that keep each account's feeds; all relays of a network need the same [default: 3].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<usize>,
    /// Seconds a dead relay keeps its share before the next in line takes it over [default: 300].
    #[arg(long, global = true, value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    repair_grace_s: Option<u64>,
    /// Accounts held beside its share, of people linked with it and of whom they follow [default: 100000].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_accounts: Option<usize>,
    /// KiB of posts fetched from other relays per second while catching up or repairing [default: 4096].
    #[arg(long, global = true, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    repair_kib_per_s: Option<u32>,
    /// Points added to a relay's cost per millisecond until an entry is stored there. Browsers of this relay rank relays by their
    /// cost, the sum of the four --routing terms; the score they show is 1000 divided by it [default: 1].
    #[arg(long, global = true, value_name = "WEIGHT", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_replication: Option<f64>,
    /// Points added to a relay's cost per millisecond of response time; see --routing-replication [default: 2].
    #[arg(long, global = true, value_name = "WEIGHT", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_response: Option<f64>,
    /// Points added to a relay's cost per kilometre of distance; see --routing-replication [default: 0.02].
    #[arg(long, global = true, value_name = "WEIGHT", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_distance: Option<f64>,
    /// Points added to a relay's cost if all requests to it fail, and the same share of them if a share of the requests fails; see
    /// --routing-replication [default: 10000].
    #[arg(long, global = true, value_name = "WEIGHT", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_errors: Option<f64>,
    /// The key of a relay that may belong to the network, as /api/relay names it; may be repeated [default: any].
    #[arg(long, global = true, value_name = "KEY", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_relay: Option<Vec<RelayKey>>,
    /// What this relay does: worker (keeps feeds), web (serves the app), index (keeps names), signal (introduces browsers);
    /// with commas [default: everything; but a relay that joins others keeps names only in a shared --registry].
    #[arg(long, global = true, value_name = "ROLE", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<RelayRole>>,
    /// Where names are kept: `embedded` (one index relay), or etcd for several of them, such as
    /// `etcd://a:2379,b:2379,c:2379`; `etcds://` speaks TLS [default: embedded].
    #[arg(long, global = true, value_name = "WHERE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<RegistryPlace>,
    /// A user of etcd; the password is STARLING_REGISTRY_PASSWORD, or `registry_password` in the settings file.
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_user: Option<String>,
    /// The authority etcd's certificate is from, as PEM [default: those of the web].
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_ca: Option<PathBuf>,
    /// This relay's certificate for etcd, as PEM.
    #[arg(long, global = true, value_name = "FILE", requires = "registry_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM.
    #[arg(long, global = true, value_name = "FILE", requires = "registry_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_key: Option<PathBuf>,
    /// The lease of the leading index relay in seconds: a leader that does not renew it for this long loses the leadership
    /// [default: two heartbeats, at least 2].
    #[arg(long, global = true, value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_lead_s: Option<u64>,
    /// Seconds between two sweeps of the registry, which delete released names whose rest has ended [default: 600].
    #[arg(long, global = true, value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_sweep_s: Option<u64>,
    /// Days that a released name rests before another account can claim it [default: 30].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name_rest_days: Option<u32>,
    /// Bits of proof of work that a claim of a name needs, at most 24; each bit doubles the work [default: 0].
    #[arg(long, global = true, value_name = "BITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name_work_bits: Option<u8>,
    /// Questions about names that one neighbour may ask per minute [default: 30].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    names_per_minute: Option<u32>,
    /// Requests for names and slugs that this relay accepts per minute from all clients together [default: 6000].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_per_minute: Option<u32>,
    /// Slugs that one account may have, resting ones included [default: 1000].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    slugs_per_account: Option<u32>,
    /// What people see this relay as [default: Starling relay].
    #[arg(long, global = true, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Links at a time [default: 1024].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    links_max: Option<usize>,
    /// WebSockets at a time from one address (IPv6: one /64) [default: 64].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sockets_per_address_max: Option<usize>,
    /// Memory for the store's cache, in MiB [default: 128].
    #[arg(long, global = true, value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_mib: Option<usize>,
    /// What to log: error, warn, info, debug, trace, or by module (info,starling_relay_node=debug) [default: info].
    #[arg(long, global = true, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// How to log.
    #[arg(long, global = true, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        super::Cli::command().debug_assert();
    }
}
