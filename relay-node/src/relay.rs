//! A whole relay: data folder, key, store, engine, WebRTC, HTTP, put together and taken apart again.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::io::Config;
use protocol::PeerId;
use protocol::messages::directory::Description;
use protocol::signal::{CloseReason, RoomId};
use signaling::proxies::ProxyHints;
use signaling::sockets::{SocketBudget, listen};
use signaling::{ConnectionGuard, GuardConfig, Limits, SignalingServer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{RegistryBackend, RelayRole, Settings};
use crate::health::HealthMonitor;
use crate::identity::{self, IdentityError};
use crate::invitations;
use crate::names::{self, Embedded, Etcd, TxnError, TxnStore};
use crate::secrets::random;
use crate::web::admin::{self, Admin, Setup};
use crate::web::site::{App, EmbeddedFiles};
use crate::web::{self, About, Control, Web};
use crate::webrtc::{self, RtcConfig, RtcEndpoint, RtcError};
use crate::websocket;
use native::data_dir::{self, DataDir, DataDirError};
use native::descriptors::FileLimits;
use native::driver::{self, DriverHandle, DriverThread, RegistryQueue};
use native::network::{self, AddressBook, RelayUrl};
use native::store::{Store, StoreError};
use native::websocket::dial::Connector;

/// The file in the data folder with the address at which the running relay listens for HTTP, for programs on its
/// machine.
pub(crate) const LISTEN_FILE: &str = "listen";

/// Time that other relays have at a stop to fetch what only this relay holds.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(15);

/// Sockets of the listener for metrics at a time: few programs of the operator read it.
const METRICS_SOCKETS_MAX: usize = 16;

/// The reason that peers and users get when the relay stops in order.
const STOPPING: &str = "the relay is stopping";

/// Why a relay did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Registry(#[from] TxnError),
    /// The HTTP port.
    #[error("cannot listen on {address}: {}", advice(source, "--listen"))]
    Listen { address: SocketAddr, source: io::Error },
    /// The port for metrics.
    #[error("cannot listen on {address}: {}", advice(source, "--metrics-listen"))]
    Metrics { address: SocketAddr, source: io::Error },
    /// The UDP port.
    #[error("cannot use UDP {address} for WebRTC: {}", rtc_advice(source))]
    Rtc { address: SocketAddr, source: RtcError },
    /// The relay's own place in the lobby.
    #[error("the relay could not enter its own lobby")]
    Lobby(#[source] CloseReason),
    /// The admins could not be read or written.
    #[error("the list of admins cannot be read or written in the data folder; give this user access to it")]
    Admin(#[source] io::Error),
    /// The token for commands could not be made.
    #[error("the token for commands could not be made")]
    Control(#[source] io::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(io::Error),
    /// The system gives no thread.
    #[error("the engine's thread could not be started")]
    Thread(#[source] io::Error),
}

/// What `--registry` beside a registry in the data folder means.
pub(crate) fn own_registry(folder: &Path) -> String {
    format!(
        "{} is a registry that this relay ran itself, and --registry names another: names that were given out there would be \
         free to others, and apps that know it show no names of the other. Leave --registry out to keep it; or move the folder \
         away, if no name was given out",
        folder.display()
    )
}

/// The folder of a registry that these settings would leave behind.
pub(crate) fn left_registry(settings: &Settings) -> Option<PathBuf> {
    let folder = settings.data_dir.join(names::EMBEDDED_FOLDER);
    let elsewhere = settings.registry != RegistryBackend::Embedded;
    (elsewhere && folder.is_dir()).then_some(folder)
}

fn advice(error: &io::Error, flag: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program uses this port; stop it, or choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("this user may not use it; choose a port above 1023 with {flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; choose another with {flag} (0.0.0.0 is all of them)")
        }
        _ => format!("{error}"),
    }
}

fn rtc_advice(error: &RtcError) -> String {
    match error {
        RtcError::Socket(error) => advice(error, "--udp-port or --udp-ip"),
        error => error.to_string(),
    }
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    data_dir: DataDir,
    peer: PeerId,
    http: SocketAddr,
    udp: SocketAddr,
    app_built: bool,
    claim: Option<String>,
    signaling: SignalingServer,
    rtc: Arc<RtcEndpoint>,
    driver: DriverHandle,
    thread: DriverThread,
    stop_http: oneshot::Sender<()>,
    served: JoinHandle<()>,
    answering: JoinHandle<()>,
    dialling: JoinHandle<()>,
    welcoming: JoinHandle<()>,
    inviting: JoinHandle<()>,
    watching: JoinHandle<()>,
    guards: [ConnectionGuard; 2],
    naming: Option<JoinHandle<()>>,
    measuring: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts everything. When it returns, connections are accepted; the engine may still be reading its store.
    /// `files`: the embedded app, served unless the settings name a folder.
    ///
    /// # Errors
    /// [`StartError`]; nothing goes on running.
    pub async fn start(settings: &Settings, files: EmbeddedFiles) -> Result<Self, StartError> {
        let written = data_dir::last_write(&settings.data_dir);
        let data_dir = DataDir::take(&settings.data_dir)?;
        if let Some(folder) = left_registry(settings) {
            tracing::warn!("{}", own_registry(&folder));
        }
        let key = identity::load_or_create(data_dir.path())?;
        let peer = PeerId(key.public());
        let listener = listen(settings.listen).map_err(|source| StartError::Listen {
            address: settings.listen,
            source,
        })?;
        let http = listener.local_addr().map_err(|source| StartError::Listen {
            address: settings.listen,
            source,
        })?;
        let metrics = match settings.metrics_listen {
            Some(address) => {
                let bound = listen(address);
                Some(bound.map_err(|source| StartError::Metrics { address, source })?)
            }
            None => None,
        };
        let udp_bind = settings.udp_bind(http.port());
        let rtc = RtcEndpoint::bind(RtcConfig {
            public_ips: settings.public_ip.clone(),
            links_max: settings.links_max,
            ..RtcConfig::new(udp_bind)
        })
        .await
        .map_err(|source| StartError::Rtc {
            address: udp_bind,
            source,
        })?;
        let rtc = Arc::new(rtc);
        let store = open_store(data_dir.path().to_owned(), settings.cache_mib << 20).await?;
        let fresh = seed()?;
        let keeps_names = settings.roles().contains(&RelayRole::Index);
        let config = Config {
            links_max: settings.links_max,
            relays_beat_every: Duration::from_millis(settings.heartbeat_ms),
            admission: settings.admission(),
            routing: settings.routing(),
            replicas: settings.replicas,
            repair_grace: Duration::from_secs(settings.repair_grace_s),
            cached_accounts_max: settings.cached_accounts,
            repair_bytes_per_s: settings.repair_kib_per_s.saturating_mul(1024),
            worker: settings.roles().contains(&RelayRole::Worker),
            joins: !settings.join.is_empty(),
            runs_registry: keeps_names,
            names_per_minute: settings.names_per_minute,
            claims_per_minute: settings.claims_per_minute,
            quotas: settings.quotas(),
            ..Config::relay(key)
        };
        let (registry_queue, questions) = RegistryQueue::new();
        let txn_store = if keeps_names {
            Some(open_txn_store(settings, data_dir.path())?)
        } else {
            None
        };
        let own = Some(describe(settings, peer, http).url).and_then(|url| url.parse().ok());
        let named = settings.join.iter().map(|target| target.url.clone());
        let connector = Connector::careful(own, named.collect());
        let (book, dials) = AddressBook::open(settings.join.clone());
        let (shown, to_redeem) = tokio::sync::mpsc::channel(invitations::WAITING_MAX);
        let options = driver::Options {
            registry_queue: keeps_names.then_some(registry_queue),
            invitations: Some(shown),
            percent_per_address: settings.address_cpu_percent,
            ..driver::Options::new(config, seed()?, store, Arc::clone(&book))
        };
        let (driver, thread) = driver::start(options).map_err(StartError::Thread)?;
        driver.describe(describe(settings, peer, http)).await;
        let folder = data_dir.path().to_owned();
        let inviting = tokio::spawn(invitations::serve(driver.clone(), folder, to_redeem));
        let dialling = tokio::spawn(network::run(driver.clone(), book, dials, connector));
        let naming = txn_store.map(|txn_store| {
            let periods = names::LeaderPeriods {
                ttl: settings.registry_lead(),
                sweep_every: Duration::from_secs(settings.registry_sweep_s),
            };
            let names = names::Settings {
                work_bits: settings.name_work_bits,
                rest: Duration::from_hours(24 * u64::from(settings.name_rest_days)),
                slugs_max: settings.slugs_per_account,
            };
            let (driver, me) = (driver.clone(), peer.to_string());
            tokio::spawn(names::serve(
                driver, txn_store, names, periods, fresh, me, questions,
            ))
        });

        let signaling = SignalingServer::new(Limits::default(), seed()?);
        let (room, calls) = signaling
            .local(peer, RoomId::lobby())
            .map_err(StartError::Lobby)?;
        let answering = tokio::spawn(webrtc::answer_offers(
            Arc::clone(&rtc),
            driver.clone(),
            room,
            calls,
        ));
        let app = Arc::new(match &settings.app_dir {
            Some(folder) => App::in_folder(folder),
            None => App::embedded(files),
        });
        let app_built = app.is_built();
        let about = About {
            peer: peer.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: settings.name.clone(),
            routing: web::Weights::from(&settings.routing()),
        };
        let hints = ProxyHints::default();
        let guard = |sockets_per_address_max| {
            ConnectionGuard::new(GuardConfig {
                allowed_origins: settings.allowed_origin.clone(),
                hosts: settings.host.clone(),
                trusted_proxies: settings.trusted_proxy.clone(),
                hints: hints.clone(),
                sockets_per_address_max,
            })
        };
        let roles = settings.roles();
        let keys = admin::keys::Keys::open(data_dir.path()).map_err(StartError::Admin)?;
        let metrics_at = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Err(error) = data_dir::write_durably(data_dir.path(), LISTEN_FILE, &http.to_string()) {
            // Most likely the disk is full; the relay serves users all the same.
            tracing::error!(%error, "cannot write the relay's address; its commands need --listen until the next start");
        }
        let admin_at = admin::place(settings, http, metrics_at);
        let claim = admin::open(data_dir.path(), admin_at.as_deref(), &keys).unwrap_or_else(|error| {
            // Most likely the disk is full; the relay serves users all the same.
            tracing::error!(%error, "cannot create the admin address; `relay-node admin-url` creates one later");
            None
        });
        let serves_app = roles.contains(&RelayRole::Web);
        let health = HealthMonitor::new(driver.clone(), written, !settings.join.is_empty());
        let watching = tokio::spawn(health.clone().run());
        let administration = Admin::new(
            Arc::new(keys),
            health.clone(),
            about.clone(),
            Setup {
                data_dir: data_dir.path().to_owned(),
                roles: roles.clone(),
                registry: settings.registry.clone(),
                url: url_of(settings, http),
                key: peer,
            },
            GuardConfig {
                // The names are those of the listener that serves the app.
                hosts: if serves_app {
                    settings.host.clone()
                } else {
                    Vec::new()
                },
                trusted_proxies: settings.trusted_proxy.clone(),
                ..GuardConfig::default()
            },
        );
        let control = Control::open(driver.clone(), data_dir.path()).map_err(StartError::Control)?;
        let links = guard(settings.sockets_per_address_max);
        let signals = guard(settings.sockets_per_address_max);
        let sockets = SocketBudget::new(FileLimits::now().sockets_max());
        sockets.register(links.places().clone());
        sockets.register(signals.places().clone());
        let guards = [links.clone(), signals.clone()];
        let welcoming = tokio::spawn(welcome(driver.clone(), links.clone()));
        let signal = match roles.contains(&RelayRole::Signal) {
            true => signaling::router(signaling.clone(), signals),
            false => web::without_signal(),
        };
        // A relay that serves no app has its admin page where its metrics are.
        let (admin_here, admin_there) = match serves_app {
            true => (Some(administration), None),
            false => (None, Some(administration)),
        };
        let web = Web {
            about,
            driver: driver.clone(),
            health: health.clone(),
            app: serves_app.then_some(app),
            admin: admin_here,
            control: Some(control),
            guard: links.clone(),
        };
        let router = web.router(signal.merge(websocket::router(driver.clone(), links)));
        let (stop_http, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(web::server::serve(listener, router, sockets.clone(), stopped));
        let measuring = metrics.map(|listener| {
            let router = web::metrics_router(health, admin_there, sockets);
            let few = SocketBudget::new(METRICS_SOCKETS_MAX);
            tokio::spawn(web::server::serve(listener, router, few, std::future::pending()))
        });
        let udp = rtc.local_addr();
        Ok(Self {
            data_dir,
            peer,
            http,
            udp,
            app_built,
            claim,
            signaling,
            rtc,
            driver,
            thread,
            stop_http,
            served,
            answering,
            dialling,
            welcoming,
            inviting,
            watching,
            guards,
            naming,
            measuring,
        })
    }

    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The address that the HTTP server listens on.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// The address that the UDP port is bound to.
    #[must_use]
    pub fn udp_addr(&self) -> SocketAddr {
        self.udp
    }

    /// The data folder, absolute.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// Whether there is an app to serve.
    #[must_use]
    pub fn app_built(&self) -> bool {
        self.app_built
    }

    /// The one-time address that makes a browser the admin; `None` if there is, or was, an admin, or no page for one.
    #[must_use]
    pub fn claim_url(&self) -> Option<&str> {
        self.claim.as_deref()
    }

    /// The way to the engine.
    #[must_use]
    pub fn driver(&self) -> &DriverHandle {
        &self.driver
    }

    /// Replaces the origins of the settings whose pages may connect.
    pub fn set_allowed_origins(&self, origins: &[String]) {
        for guard in &self.guards {
            guard.configure_origins(origins);
        }
    }

    /// Resolves if the relay cannot go on.
    pub async fn failed(&mut self) {
        self.thread.ended().await;
    }

    /// Stops: hands over what only this relay holds, accepts nothing new, closes links in order, and writes everything
    /// to the disk. Returns whether all of it is there.
    pub async fn stop(self) -> bool {
        if !self.driver.hand_over(false, HAND_OVER_WITHIN).await {
            tracing::warn!("stopping with entries that no other relay holds yet");
        }
        let _ = self.stop_http.send(());
        self.signaling.stop();
        self.answering.abort();
        let written = self.thread.stop(STOPPING).await;
        // Its links have said goodbye by now.
        self.dialling.abort();
        self.welcoming.abort();
        self.inviting.abort();
        self.watching.abort();
        for task in [self.naming, self.measuring].into_iter().flatten() {
            task.abort();
        }
        self.rtc.shutdown().await;
        let _ = self.served.await;
        drop(self.data_dir);
        written
    }
}

/// Lets apps of the network's other relays in: they turn to this one when theirs is gone.
async fn welcome(driver: DriverHandle, guard: ConnectionGuard) {
    let mut relays = driver.watch_relays();
    while relays.changed().await.is_ok() {
        let urls: Vec<String> = relays
            .borrow()
            .iter()
            .map(|relay| relay.description.url.clone())
            .collect();
        // A browser on the relay's own machine calls it by another name.
        let local = urls
            .iter()
            .map(|url| url.replacen("//127.0.0.1:", "//localhost:", 1));
        guard.allow(local.chain(urls.iter().cloned()).filter(|url| !url.is_empty()));
    }
}

/// Where other relays reach a relay with these settings, as far as it knows.
fn url_of(settings: &Settings, http: SocketAddr) -> RelayUrl {
    let here = || format!("http://{}", admin::here(http)).parse();
    // A socket address makes a URL.
    let url = settings.advertise.clone().map_or_else(here, Ok);
    url.expect("a URL of a socket address")
}

/// What a relay with these settings says of itself.
fn describe(settings: &Settings, peer: PeerId, http: SocketAddr) -> Description {
    // Without an address others can dial, the relay is one that dials.
    let here = http.ip().is_loopback().then(|| format!("http://{http}"));
    let url = settings.advertise.as_ref().map(ToString::to_string).or(here);
    Description {
        relay: peer,
        url: url.unwrap_or_default(),
        roles: settings
            .roles()
            .into_iter()
            .fold(0, |roles, role| roles | role.bit()),
        zone: settings.zone.clone(),
        location: settings.location.map(|place| place.0),
        capacity: settings.capacity,
        ..Description::default()
    }
}

fn open_txn_store(settings: &Settings, folder: &Path) -> Result<TxnStore, TxnError> {
    match &settings.registry {
        RegistryBackend::Embedded => Embedded::open(folder).map(TxnStore::Embedded),
        RegistryBackend::Etcd(address) => {
            Ok(TxnStore::Etcd(Etcd::new(address.clone(), settings.credentials())))
        }
    }
}

async fn open_store(
    data_dir: PathBuf,
    cache_bytes: usize,
) -> Result<(Store, tokio::sync::mpsc::Receiver<engine::io::Input>), StartError> {
    let opened = tokio::task::spawn_blocking(move || Store::open(&data_dir, cache_bytes)).await;
    Ok(opened.unwrap_or_else(|panicked| Err(StoreError::Thread(io::Error::other(panicked))))?)
}

fn seed() -> Result<[u8; 32], StartError> {
    random().map_err(StartError::Random)
}
