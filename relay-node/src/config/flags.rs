//! Settings as flags of the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Coordinates, LogFormat, RegistryBackend, RelayKey, RelayRole};
use native::network::{JoinTarget, RelayUrl};
use signaling::proxies::ProxyNetwork;

impl Flags {
    /// Whether the command line names where the relay listens.
    #[must_use]
    pub fn names_listen(&self) -> bool {
        self.listen.is_some()
    }

    /// Whether the command line names the data folder.
    #[must_use]
    pub fn names_data_dir(&self) -> bool {
        self.data_dir.is_some()
    }
}

/// Settings given on the command line.
#[derive(Debug, Default, Args, Serialize)]
pub struct Flags {
    /// A TOML file with settings.
    #[arg(long, global = true, value_name = "FILE", env = "STARLING_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The IP address and port that the HTTP server listens on [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Address of the listener for Prometheus metrics, at /metrics [default: none].
    #[arg(long, global = true, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<SocketAddr>,
    /// The folder that all data is stored in [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// The UDP port that all browsers connect to; 0 selects any free port [default: the number of the HTTP port].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_port: Option<u16>,
    /// The IP address that the UDP port is bound to [default: all].
    #[arg(long, global = true, value_name = "IP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_ip: Option<IpAddr>,
    /// An IP address at which browsers reach the UDP port, if the machine does not have it itself (NAT); may be
    /// repeated.
    #[arg(long, global = true, value_name = "IP", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_ip: Option<Vec<IpAddr>>,
    /// Serve the app from this folder instead of the built-in one.
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    app_dir: Option<PathBuf>,
    /// A further origin whose pages may connect, such as `https://app.example`; `*` allows any; may be repeated
    /// [default: only the relay's own origin].
    #[arg(long, global = true, value_name = "ORIGIN", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origin: Option<Vec<String>>,
    /// A host name of this relay, with the port if it is not the default one; WebSockets with another Host header are
    /// refused; may be repeated [default: any].
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Vec<String>>,
    /// The IP address of a reverse proxy on another machine or in another container, or a network of such addresses
    /// (172.18.0.0/16); X-Forwarded-For headers from it are trusted; may be repeated.
    #[arg(long, global = true, value_name = "IP|NET", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxy: Option<Vec<ProxyNetwork>>,
    /// A relay of the network to join: the invitation that `relay-node invite` printed there, such as
    /// `https://relay.example#INVITATION`. The address alone is enough once this relay is a member, or if a member
    /// adopts it; may be repeated.
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<Vec<JoinTarget>>,
    /// The URL at which other relays and browsers reach this relay, such as `https://relay.example` [default: none, or
    /// the listening address if that is on the loopback interface].
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<RelayUrl>,
    /// The name of this relay's failure domain: relays with the same zone fail together, because they share a machine,
    /// a rack or a data centre [default: a zone of its own].
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// The geographic position of this relay, as degrees of latitude (north) and longitude (east).
    #[arg(long, global = true, value_name = "LAT,LON", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Coordinates>,
    /// The share of feeds assigned to this relay, relative to the capacity of other relays [default: 100].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u32>,
    /// Milliseconds between two heartbeats; it must be the same for all relays of a network [default: 5000].
    #[arg(long, global = true, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_ms: Option<u64>,
    /// Number of relays that store each account's feeds; it must be the same for all relays of a network [default: 3].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<usize>,
    /// Seconds that a dead relay keeps its share before the next relay takes it over [default: 300].
    #[arg(long, global = true, value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    repair_grace_s: Option<u64>,
    /// Maximum number of cached accounts outside of the relay's share: linked people and those they follow [default:
    /// 100000].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_accounts: Option<usize>,
    /// KiB of entries fetched from other relays per second while catching up or repairing [default: 4096].
    #[arg(long, global = true, value_name = "KIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    repair_kib_per_s: Option<u32>,
    /// Points added to a relay's cost per millisecond until an entry is stored there. Browsers of this relay rank
    /// relays by their cost, the sum of the four --routing terms; the score they show is 1000 divided by it [default:
    /// 1].
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
    /// Points added to a relay's cost if all requests to it fail, and the same share of them if a share of the
    /// requests fails; see --routing-replication [default: 10000].
    #[arg(long, global = true, value_name = "WEIGHT", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_errors: Option<f64>,
    /// Make every relay a member that keeps a link with this one and describes itself, without an invitation: it is
    /// given feeds to keep, its receipts count, and apps turn to it. Only for networks that nobody else can reach.
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<bool>,
    /// The key of a member of the network, as /api/relay prints it; may be repeated. With this the listed relays are
    /// members, and no others [default: the members are those that members invited].
    #[arg(long, global = true, value_name = "KEY", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_relay: Option<Vec<RelayKey>>,
    /// The roles of this relay, separated by commas: worker (stores feeds), web (serves the app), index (runs the
    /// registry), signal (introduces browsers) [default: all; a relay that joins others has the role index only with a
    /// shared --registry].
    #[arg(long, global = true, value_name = "ROLE", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<RelayRole>>,
    /// The store of the registry: `embedded` for a single index relay, or etcd for several, such as
    /// `etcd://a:2379,b:2379,c:2379`; `etcds://` uses TLS [default: embedded].
    #[arg(long, global = true, value_name = "WHERE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<RegistryBackend>,
    /// The user name for etcd; set the password with STARLING_REGISTRY_PASSWORD or `registry_password` in the settings
    /// file.
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_user: Option<String>,
    /// A PEM file with the certificate authority of etcd [default: the authorities of the web].
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_ca: Option<PathBuf>,
    /// A PEM file with this relay's client certificate for etcd.
    #[arg(long, global = true, value_name = "FILE", requires = "registry_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_cert: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    #[arg(long, global = true, value_name = "FILE", requires = "registry_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_key: Option<PathBuf>,
    /// The lease of the leading index relay in seconds: a leader that does not renew it for this long loses the
    /// leadership [default: two heartbeats, at least 2].
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
    /// The name of this relay that people see [default: Starling relay].
    #[arg(long, global = true, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Maximum number of simultaneous links [default: 1024].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    links_max: Option<usize>,
    /// Maximum number of simultaneous WebSockets from one IP address (IPv6: one /64) [default: 64].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sockets_per_address_max: Option<usize>,
    /// Entries that one account may add in an hour; 0: no limit. What is refused stays with its author and is fetched later;
    /// links from this machine and of member relays are not limited [default: 3600].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    account_entries_per_hour: Option<u64>,
    /// MiB of entries that one account may add in an hour; 0: no limit [default: 64].
    #[arg(long, global = true, value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    account_mib_per_hour: Option<u64>,
    /// New accounts that one IP address (IPv6: one /64) may bring in an hour, beyond a quarter of them with proof of work; 0:
    /// no limit [default: 1000].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    address_accounts_per_hour: Option<u64>,
    /// MiB of entries that one IP address may bring in an hour; 0: no limit [default: 1024].
    #[arg(long, global = true, value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    address_mib_per_hour: Option<u64>,
    /// New accounts of all IP addresses in a minute. Beyond a quarter of them each needs proof of work, the more the more
    /// come, and none is refused for good; 0: none needs work for that [default: 600].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    new_accounts_per_minute: Option<u64>,
    /// Percent of the relay's engine (one core) that the links of one IP address may use, and of one more core for its
    /// requests and the transport of its links; 0: no limit [default: 25].
    #[arg(long, global = true, value_name = "PERCENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    address_cpu_percent: Option<u32>,
    /// Size of the store's cache in MiB [default: 128].
    #[arg(long, global = true, value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_mib: Option<usize>,
    /// The log level: error, warn, info, debug or trace; also by module (info,starling_relay_node=debug) [default:
    /// info].
    #[arg(long, global = true, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// The format of log lines [default: text].
    #[arg(long, global = true, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
}
