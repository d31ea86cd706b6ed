//! What stands in a relay's way, and what to do about it: `relay-node doctor`; and a settings file to begin with.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

use rustix::fs::Access;

use crate::config::{RegistryBackend, RelayRole, Settings};
use crate::health::HealthReport;
use crate::identity;
use crate::names::{Etcd, TxnStore};
use crate::relay::{LISTEN_FILE, left_registry, own_registry};
use crate::text::counted;
use crate::web::{About, Problem};
use crate::webrtc::addresses::{advice, in_container, offered};
use native::clock::wall;
use native::data_dir;
use native::descriptors::FileLimits;
use native::network::RelayUrl;
use native::store::store_folder;
use native::websocket::dial::{self, Connector};

/// Clocks of relays may differ by this; HTTP tells whole seconds.
const CLOCK_TOLERATED: Duration = Duration::from_secs(60);
/// A disk with less left than this is full soon.
const FREE_MIN: u64 = 1 << 30;

struct Findings(u32);

impl Findings {
    fn good(&self, what: impl Display) {
        // A reader that has gone misses the list; the exit code says it as well.
        let _ = writeln!(io::stdout(), "  ok    {what}");
    }

    fn bad(&mut self, what: impl Display, advice: impl Display) {
        self.0 += 1;
        let _ = writeln!(io::stdout(), "  WRONG {what}\n        {advice}");
    }
}

/// Looks at everything, and says so line by line.
///
/// # Errors
/// If something is wrong.
pub fn examine(settings: &Settings) -> Result<()> {
    let mut findings = Findings(0);
    findings.good("the settings are sound");
    let running = data_dir::holder(&settings.data_dir);
    match running {
        Some(pid) => {
            findings.good(format_args!("a relay runs with this data folder (process {pid})"));
            health(&settings.data_dir, &mut findings);
            pages(settings, &mut findings)?;
        }
        None => ports(settings, &mut findings),
    }
    proxy(settings, &mut findings);
    addresses(settings, &mut findings);
    folder(&settings.data_dir, &mut findings);
    descriptors(settings, &mut findings);
    network(settings, &mut findings);
    names(settings, &mut findings)?;
    let wrong = counted(u64::from(findings.0), "thing is", "things are");
    ensure!(findings.0 == 0, "{wrong} wrong");
    Ok(())
}

fn ports(settings: &Settings, findings: &mut Findings) {
    match TcpListener::bind(settings.listen) {
        Ok(_) => findings.good(format_args!("{} is free for HTTP", settings.listen)),
        Err(error) => findings.bad(
            format_args!("{} cannot be listened on: {error}", settings.listen),
            "stop what uses it, or choose another with --listen",
        ),
    }
    if let Some(address) = settings.metrics_listen {
        match TcpListener::bind(address) {
            Ok(_) => findings.good(format_args!("{address} is free for metrics")),
            Err(error) => findings.bad(
                format_args!("{address} cannot be listened on: {error}"),
                "stop what uses it, or choose another with --metrics-listen",
            ),
        }
    }
    let udp = settings.udp_bind(settings.listen.port());
    match UdpSocket::bind(udp) {
        Ok(_) => findings.good(format_args!(
            "UDP {udp} is free for WebRTC; it must be open in firewalls"
        )),
        Err(error) => findings.bad(
            format_args!("UDP {udp} cannot be used: {error}"),
            "choose another with --udp-port",
        ),
    }
}

/// Whether pages that the running relay serves at its public address can connect to it there.
fn pages(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let Some(url) = &settings.advertise else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(dial::check_as_page(url, &Connector::system())) {
        Ok(()) => findings.good(format_args!("pages of {url} can connect to the relay")),
        Err(error) => {
            let advice = match error.response() {
                Some((_, body)) => Problem::detail_of(&body),
                None => "is the relay or its proxy reachable from here at that address?".to_owned(),
            };
            findings.bad(
                format_args!("pages of {url} cannot connect to the relay: {error}"),
                advice,
            );
        }
    }
    Ok(())
}

/// Whether the relay is for people of the internet: its address is that of a proxy that ends TLS.
fn behind_tls(settings: &Settings) -> bool {
    let url = settings.advertise.as_ref();
    url.is_some_and(|url| url.to_string().starts_with("https:"))
}

/// Whether a proxy that ends TLS can be trusted to name its clients.
fn proxy(settings: &Settings, findings: &mut Findings) {
    if !behind_tls(settings) {
        return;
    }
    // A proxy on this machine is trusted without a setting.
    let from_outside = !settings.listen.ip().is_loopback();
    match settings.trusted_proxy.as_slice() {
        [] if from_outside => findings.bad(
            "the proxy in front of this relay is not trusted, unless it runs on this machine outside containers",
            "name its address or network with --trusted-proxy (172.18.0.0/16); otherwise all people behind it count as one address",
        ),
        [] => findings.good("the proxy on this machine is trusted"),
        networks => {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            findings.good(format_args!("proxies at {} are trusted", networks.join(", ")));
        }
    }
}

/// Which addresses are offered to browsers for WebRTC, and from where those can be reached.
fn addresses(settings: &Settings, findings: &mut Findings) {
    let bound = settings.udp_bind(settings.listen.port()).ip();
    match offered(bound, &settings.public_ip) {
        Ok(ips) => {
            let listed: Vec<String> = ips.iter().map(ToString::to_string).collect();
            let text = format!("browsers are offered {} for WebRTC", listed.join(", "));
            let in_container = in_container() && !settings.listen.ip().is_loopback();
            match advice(&ips, !settings.public_ip.is_empty()) {
                Some(advice) if behind_tls(settings) || in_container => findings.bad(text, advice),
                Some(advice) => findings.good(format_args!("{text}: {advice}")),
                None => findings.good(text),
            }
        }
        Err(error) => findings.bad(
            format_args!("the addresses of this machine cannot be read: {error}"),
            "name the public one with --public-ip",
        ),
    }
}

fn folder(folder: &Path, findings: &mut Findings) {
    // What does not exist yet is made at the first start, in the nearest folder that exists.
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let place = absolute.ancestors().find(|place| place.exists());
    let place = place.unwrap_or(Path::new("/"));
    if let Err(error) = rustix::fs::access(place, Access::WRITE_OK | Access::EXEC_OK) {
        findings.bad(
            format_args!("this user cannot write in {}: {error}", place.display()),
            format_args!(
                "make {} as root and give it to the relay's user (`install -d -m 700 -o USER DIR`), or choose another with --data-dir",
                folder.display()
            ),
        );
    }
    disk(place, findings);
    secrets(folder, findings);
    set_back(folder, findings);
    if !folder.exists() {
        return findings.good(format_args!(
            "{} will be made at the first start",
            folder.display()
        ));
    }
    match data_dir::format(folder) {
        Ok(format) => findings.good(format_args!("{} has format {format}", folder.display())),
        Err(error) => findings.bad("the data folder cannot be used by this version", error),
    }
    match store_folder(folder) {
        Ok(posts) if posts.is_dir() => {
            findings.good(format_args!(
                "{} holds {} MiB",
                posts.display(),
                bytes_in(&posts) >> 20
            ));
        }
        Ok(_) => {}
        Err(error) => findings.bad("posts of an older version are in the folder", error),
    }
}

/// How a running relay says that it is.
fn health(folder: &Path, findings: &mut Findings) {
    let address = std::fs::read_to_string(folder.join(LISTEN_FILE)).ok();
    let address = address.and_then(|address| address.trim().parse().ok());
    let Some(address) = address.map(crate::web::admin::here) else {
        return findings.bad(
            "the running relay does not say where it listens",
            "is it starting? Try again in some seconds",
        );
    };
    let asked = crate::commands::status::agent()
        .get(format!("http://{address}/api/health"))
        .call();
    let report = asked.and_then(|mut answer| answer.body_mut().read_json::<HealthReport>());
    match report {
        Ok(report) if report.conditions.is_empty() => findings.good("the running relay is ready"),
        Ok(report) => {
            for condition in report.conditions {
                findings.bad(condition.reason, condition.remedy);
            }
        }
        Err(error) => findings.bad(
            format_args!("the running relay does not answer at {address}: {error}"),
            "its log may say why; it may be of an earlier version",
        ),
    }
}

/// Whether others than its owner may look into the data folder.
fn secrets(folder: &Path, findings: &mut Findings) {
    match data_dir::open_to_others(folder).as_slice() {
        [] => {}
        open => {
            let open: Vec<String> = open.iter().map(|path| path.display().to_string()).collect();
            findings.bad(
                format_args!("other users of this machine may read {}", open.join(", ")),
                format_args!(
                    "the folder holds secret keys: chmod -R go= {}; a relay does so when it starts",
                    folder.display()
                ),
            );
        }
    }
}

/// Whether the clock is behind what was written here before.
fn set_back(folder: &Path, findings: &mut Findings) {
    let Some(written) = data_dir::last_write(folder) else {
        return;
    };
    let behind = Duration::from_millis(written.0.saturating_sub(wall().0));
    if behind >= CLOCK_TOLERATED {
        findings.bad(
            format_args!(
                "this clock is {} minutes behind the last write to the data folder: it was set back",
                behind.as_secs() / 60
            ),
            "set it, for example by NTP",
        );
    }
}

/// The space left on the disk that holds a folder.
fn disk(folder: &Path, findings: &mut Findings) {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail * disk.f_frsize;
            let text = format!("{} MiB are free where {} is", free >> 20, folder.display());
            match free {
                free if free >= FREE_MIN => findings.good(text),
                _ => findings.bad(text, "make room: with a full disk the relay takes nothing new"),
            }
        }
        Err(error) => findings.bad(
            format_args!("{} cannot be looked at: {error}", folder.display()),
            "give this user the right to, or choose another with --data-dir",
        ),
    }
}

/// Whether the limit of open files allows as many links as configured, with half as many connections beside them.
fn descriptors(settings: &Settings, findings: &mut Findings) {
    let limits = FileLimits::now();
    // The relay raises its own limit to the hard one.
    let raised = FileLimits {
        soft: limits.hard,
        ..limits
    };
    let sockets = raised.sockets_max();
    let text = format!("{} files may be open, {sockets} of them sockets", raised.soft);
    if sockets >= settings.links_max + settings.links_max / 2 {
        findings.good(text);
    } else {
        findings.bad(
            format_args!("{text}; --links-max is {}", settings.links_max),
            "raise the limit (`LimitNOFILE=65536` in the systemd unit, `--ulimit nofile=65536` for a container, `ulimit -Hn` in a shell), or lower --links-max",
        );
    }
}

/// The length of all files in a folder, of those that can be looked at.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn network(settings: &Settings, findings: &mut Findings) {
    let agent = crate::commands::status::agent();
    let own = identity::load(&settings.data_dir).ok().flatten();
    let own = own.map(|key| protocol::PeerId(key.public()).to_string());
    let itself =
        "leave it out: --join names another relay of the network, and a relay that starts one needs none";
    for url in settings.join.iter().map(|target| &target.url) {
        if is_own(settings, url) {
            findings.bad(format_args!("--join {url} is this relay's own address"), itself);
            continue;
        }
        match agent.get(format!("{url}/api/relay")).call() {
            Ok(mut answer) if answer.status().is_success() => {
                let about = answer.body_mut().read_json::<About>().ok();
                if about.is_some_and(|about| Some(about.peer) == own) {
                    findings.bad(format_args!("--join {url} leads to this relay itself"), itself);
                    continue;
                }
                findings.good(format_args!("{url} answers"));
                clock(&answer, url, findings);
            }
            Ok(answer) => findings.bad(
                format_args!("{url} answers {}", answer.status()),
                "is it a relay? --join names any member of the network",
            ),
            Err(error) => findings.bad(
                format_args!("{url} does not answer: {error}"),
                "is it running, and reachable from here? The relay starts all the same and tries again",
            ),
        }
    }
    if settings.join.is_empty() || settings.advertise.is_some() || settings.listen.ip().is_loopback() {
        return;
    }
    findings.bad(
        "this relay cannot tell other relays and browsers its address",
        "name its public address with --advertise https://relay.example",
    );
}

/// Whether an address is that of a relay with these settings.
fn is_own(settings: &Settings, url: &RelayUrl) -> bool {
    let here = crate::web::admin::here(settings.listen);
    let by_name = format!("http://localhost:{}", here.port());
    let own = [format!("http://{here}"), by_name];
    let url = url.to_string();
    own.contains(&url)
        || settings
            .advertise
            .as_ref()
            .is_some_and(|own| own.to_string() == url)
}

/// Whether this machine's clock agrees with that of another relay.
fn clock<T>(answer: &ureq::http::Response<T>, url: &RelayUrl, findings: &mut Findings) {
    let date = answer.headers().get(ureq::http::header::DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let Some(date) = date else { return };
    let now = SystemTime::now();
    let differs = now.duration_since(date).unwrap_or_else(|error| error.duration());
    match differs < CLOCK_TOLERATED {
        true => findings.good(format_args!("this clock agrees with that of {url}")),
        false => findings.bad(
            format_args!("this clock differs from that of {url} by {} minutes", differs.as_secs() / 60),
            "set it, for example by NTP: posts carry the time of the clocks where they are written, and relays sign with theirs",
        ),
    }
}

fn names(settings: &Settings, findings: &mut Findings) -> Result<()> {
    if let Some(folder) = left_registry(settings) {
        findings.bad("this relay has a registry of its own", own_registry(&folder));
    }
    let RegistryBackend::Etcd(address) = &settings.registry else {
        return Ok(());
    };
    if !settings.roles().contains(&RelayRole::Index) {
        findings.bad(
            "a registry is named, but this relay has not the role index",
            "add it to --roles, or leave --registry out",
        );
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let read = runtime.block_on(async {
        let txn_store = TxnStore::Etcd(Etcd::new(address.clone(), settings.credentials()));
        txn_store.read(vec![b"key".to_vec()]).await
    });
    match read {
        Ok(rows) if rows.iter().flatten().next().is_some() => {
            findings.good(format_args!("the registry at {address} answers"));
        }
        Ok(_) => findings.good(format_args!("the registry at {address} answers, and is empty")),
        Err(error) => findings.bad(
            format_args!("the registry at {address}: {error}"),
            "is etcd running, and do --registry-user and --registry-ca fit? Claims wait until it answers",
        ),
    }
    Ok(())
}

/// A settings file with what most relays need.
#[must_use]
pub fn first_settings() -> &'static str {
    "\
# Settings of a Starling relay: relay-node --config FILE. Every setting has a default. `relay-node --help` lists all settings,
# `relay-node config check` prints those in effect, and `relay-node doctor` prints problems and their remedies.

# The address that the HTTP server listens on. Behind a proxy that terminates TLS, keep it on the loopback interface.
listen = \"127.0.0.1:8080\"
data_dir = \"/var/lib/starling\"

# The URL at which browsers and other relays reach this relay.
# advertise = \"https://relay.example\"
# The public IP address of the UDP port, if this machine is behind NAT.
# public_ip = [\"203.0.113.7\"]

# The relay of the network to join, as `relay-node invite` printed it there: with the invitation after a #. Keep it here
# afterwards.
# join = [\"https://other.example\"]
# The failure domain: relays with the same zone fail together.
# zone = \"cellar\"

# Several index relays share an etcd as the store of their registry.
# registry = \"etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379\"

# Metrics for Prometheus.
# metrics_listen = \"127.0.0.1:9090\"
"
}

#[cfg(test)]
mod tests {
    use super::first_settings;
    use crate::config::Settings;

    #[test]
    fn the_first_settings_are_sound_with_and_without_what_is_commented_out() {
        use figment::providers::Format as _;
        let read = |text: &str| {
            let defaults = figment::providers::Serialized::defaults(Settings::default());
            let figment = figment::Figment::from(defaults);
            figment
                .merge(figment::providers::Toml::string(text))
                .extract::<Settings>()
                .map_err(|error| error.to_string())
        };
        assert!(read(first_settings()).is_ok());
        let all: Vec<String> = first_settings()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") => setting.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let settings = read(&all.join("\n")).unwrap();
        assert_eq!(settings.zone, "cellar");
        assert!(settings.metrics_listen.is_some());
    }
}
