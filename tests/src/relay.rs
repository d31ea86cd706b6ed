//! The real relay program as a process: start, kill, stop, restart, read its log.
//!
//! It is never built here. `STARLING_RELAY_BIN` names the program; without it the most recently built one of
//! `target/debug` and `target/release` is taken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::lan::{At, Site};
use crate::wait::{DEADLINE, eventually};
use crate::{http, process, workspace_root};

/// A relay opens its database and sockets in far less; the rest is a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What SIGTERM promises.
const DRAINED_WITHIN: Duration = Duration::from_secs(30);

/// Lines of a log shown when a relay's handle is dropped.
const TAIL_LINES: usize = 200;

/// How to start a relay.
#[derive(Debug, Clone, Default)]
pub struct RelayOptions {
    /// A folder to serve the app from instead of the embedded one.
    pub app_dir: Option<PathBuf>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
    /// In which folder its data folder is made; in the system's for temporary things if in no other.
    pub data_in: Option<PathBuf>,
    /// A gzipped tar archive of what its data folder begins with.
    pub data_from: Option<PathBuf>,
    /// It is enough that it lives: it cannot reach what it needs to be ready.
    pub unready: bool,
    /// How many files it may have open, soft and hard limit; as many as the tests may if nothing else.
    pub open_files: Option<u32>,
    /// Where it runs; on this machine's own network if nowhere else.
    pub site: Option<Site>,
}

impl RelayOptions {
    /// Serves the app as built in `dist`; fails clearly when it is not.
    pub fn with_built_app() -> Result<Self> {
        let dist = workspace_root().join("dist");
        if !dist.join("index.html").is_file() {
            bail!(
                "no app in {}: `scripts/test` builds it (trunk build)",
                dist.display()
            );
        }
        Ok(Self {
            app_dir: Some(dist),
            ..Self::default()
        })
    }
}

/// What a relay wrote, across restarts.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place to search from later: the number of lines so far.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.lines().len()
    }

    /// The lines since `mark` that contain `needle`.
    #[must_use]
    pub fn find(&self, mark: usize, needle: &str) -> Vec<String> {
        self.lines()
            .iter()
            .skip(mark)
            .filter(|line| line.contains(needle))
            .cloned()
            .collect()
    }

    /// Waits for a line since `mark` that contains `needle`.
    pub async fn wait(&self, mark: usize, needle: &str) -> Result<String> {
        eventually(&format!("the relay to log {needle:?}"), DEADLINE, || async {
            self.find(mark, needle).into_iter().next()
        })
        .await
    }

    fn follow(&self, stream: impl AsyncRead + Unpin + Send + 'static) {
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lines().push(line);
            }
        });
    }

    fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// A relay with a data folder of its own. It is killed with its handle.
#[derive(Debug)]
pub struct Relay {
    child: Option<Child>,
    options: RelayOptions,
    port: u16,
    udp_port: u16,
    data: TempDir,
    log: Log,
}

impl Relay {
    /// Starts a relay serving the built app, and waits until it is ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(RelayOptions::with_built_app()?).await
    }

    /// Starts a relay, and waits until it is ready, or lives if it cannot be.
    pub async fn start_with(options: RelayOptions) -> Result<Self> {
        let data_in = options.data_in.clone().unwrap_or_else(std::env::temp_dir);
        let data = tempfile::Builder::new()
            .prefix("starling-relay-")
            .tempdir_in(data_in)?;
        if let Some(archive) = &options.data_from {
            let mut tar = Command::new("tar");
            tar.args(["--extract", "--gzip", "--file"]).arg(archive);
            let unpacked = tar.arg("--directory").arg(data.path()).status().await?;
            if !unpacked.success() {
                bail!("{} cannot be unpacked: {unpacked}", archive.display());
            }
        }
        let (port, udp_port) = free_ports()?;
        let mut relay = Self {
            child: None,
            options,
            port,
            udp_port,
            data,
            log: Log::default(),
        };
        relay.spawn().await?;
        Ok(relay)
    }

    /// Starts the process and waits for nothing, after [`Relay::kill`] or [`Relay::stop`].
    ///
    /// # Errors
    /// If it runs, or cannot be started.
    pub fn begin(&mut self) -> Result<()> {
        if self.child.is_some() {
            bail!("the relay still runs");
        }
        let program = program()?;
        let mut command = match self.options.open_files {
            None => Command::new(&program),
            Some(limit) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={limit}:{limit}")).arg(&program);
                command
            }
        };
        command
            .arg("run")
            .args(["--listen", &self.host()])
            .args(["--udp-port", &self.udp_port.to_string()])
            .args(["--log-format", "json"])
            .arg("--data-dir")
            .arg(self.data.path());
        if self.options.site.is_some() {
            command.args(["--advertise", &format!("http://{}", self.host())]);
        }
        if let Some(dir) = &self.options.app_dir {
            command.arg("--app-dir").arg(dir);
        }
        command
            .args(&self.options.args)
            .envs(self.options.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = process::spawn(&mut command, self.options.site.as_ref())
            .with_context(|| format!("starting {}", program.display()))?;
        if let Some(stdout) = child.stdout.take() {
            self.log.follow(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            self.log.follow(stderr);
        }
        self.child = Some(child);
        Ok(())
    }

    async fn spawn(&mut self) -> Result<()> {
        self.begin()?;
        let at = self.at();
        let child = self.child.as_mut().context("it was started")?;
        let started = std::time::Instant::now();
        let serves = if self.options.unready {
            "/healthz"
        } else {
            "/readyz"
        };
        loop {
            if http::get(at.clone(), serves)
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            if let Some(status) = child.try_wait()? {
                bail!(
                    "the relay ended with {status} before it was ready:\n{}",
                    self.log.tail()
                );
            }
            if started.elapsed() > READY_WITHIN {
                bail!(
                    "the relay was not ready in {READY_WITHIN:?}:\n{}",
                    self.log.tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the relay does not run")?;
        child.kill().await.context("killing the relay")
    }

    /// Asks it to end with SIGTERM and waits until it has; an exit status other than 0 is a failure.
    pub async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the relay does not run")?;
        process::signal(child.id().context("the relay ended by itself")?, Signal::TERM);
        let status = tokio::time::timeout(DRAINED_WITHIN, child.wait())
            .await
            .with_context(|| format!("SIGTERM did not end the relay in {DRAINED_WITHIN:?}"))??;
        if !status.success() {
            bail!("SIGTERM ended the relay with {status}:\n{}", self.log.tail());
        }
        Ok(())
    }

    /// Starts it again on the same ports and data folder, after [`Relay::kill`] or [`Relay::stop`].
    pub async fn restart(&mut self) -> Result<()> {
        self.spawn().await
    }

    /// The same for a relay that is not ready then, because it is no member: waits until it answers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart_unready(&mut self) -> Result<()> {
        let unready = std::mem::replace(&mut self.options.unready, true);
        let done = self.spawn().await;
        self.options.unready = unready;
        done
    }

    /// Arguments with which another relay becomes a member of its network.
    ///
    /// # Errors
    /// If it issues no invitation.
    pub fn join(&self) -> Result<[String; 2]> {
        Ok([
            "--join".to_owned(),
            self.invitation(&format!("http://{}", self.host()))?,
        ])
    }

    /// An invitation to its network, for a relay that reaches this one at `url`.
    ///
    /// # Errors
    /// If it issues none.
    pub fn invitation(&self, url: &str) -> Result<String> {
        let mut command = std::process::Command::new(program()?);
        command.args(["invite", "--short", "--data-dir"]);
        let invited = command.arg(self.data.path()).output()?;
        let text = String::from_utf8(invited.stdout)?;
        let secret = text.trim().split_once('#');
        let (_, secret) = secret.with_context(|| String::from_utf8_lossy(&invited.stderr).into_owned())?;
        Ok(format!("{url}#{secret}"))
    }

    /// Arguments for its next start.
    pub fn also(&mut self, args: impl IntoIterator<Item = String>) {
        self.options.args.extend(args);
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The address of a path on it, for browsers. `localhost` counts as a secure context.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Where HTTP and WebSocket listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        let site = self.options.site.as_ref();
        SocketAddr::new(site.map_or(localhost, |site| site.ip().into()), self.port)
    }

    /// The same, as people write it.
    #[must_use]
    pub fn host(&self) -> String {
        self.address().to_string()
    }

    /// It, asked from where it is.
    #[must_use]
    pub fn at(&self) -> At {
        match &self.options.site {
            Some(site) => site.at(self.address()),
            None => self.address().into(),
        }
    }

    /// The TCP port of HTTP and WebSocket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The one UDP port of all browsers.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.udp_port
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let tail = self.log.tail();
        if !tail.is_empty() {
            eprintln!(
                "--- the end of the log of the relay on port {}\n{tail}",
                self.port
            );
        }
    }
}

/// A TCP and a UDP port nobody has right now.
fn free_ports() -> Result<(u16, u16)> {
    let tcp = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let udp = UdpSocket::bind("0.0.0.0:0")?.local_addr()?.port();
    Ok((tcp, udp))
}

/// The relay program to test.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("STARLING_RELAY_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("STARLING_RELAY_BIN names {}, which is not there", path.display());
        }
        return Ok(path);
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from);
    ["debug", "release"]
        .iter()
        .map(|profile| target.join(profile).join("relay-node"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .with_context(|| {
            format!(
                "no relay-node in {}: build it with `cargo build -p starling-relay-node`",
                target.display()
            )
        })
}
