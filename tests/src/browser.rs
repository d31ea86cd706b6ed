//! Headless Chromium: processes with a profile on disk, and cheap isolated contexts inside one process.
//!
//! A [`Profile`] outlives its browser, so that killing and restarting one is a scenario. A [`Context`] shares the
//! process and nothing else: its cookies, databases and service workers are its own and die with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::cdp::{Cdp, Event};
use crate::console::{Console, Level, Line, render, spoken};
use crate::page::Page;
use crate::process;

/// Chromium on a busy machine with cold caches takes seconds to come up.
const UP_WITHIN: Duration = Duration::from_secs(60);

const CRASHED: &str = "crashed";

/// Quiet on the network, unthrottled in the background, and otherwise the browser people have.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    "--password-store=basic",
    "--mute-audio",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--window-size=1280,900",
    "--remote-debugging-port=0",
    "about:blank",
];

/// A user data directory. It is removed with its last handle.
#[derive(Debug, Clone)]
pub struct Profile(Arc<TempDir>);

impl Profile {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("starling-profile-").tempdir()?;
        Ok(Self(Arc::new(dir)))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

#[derive(Debug, Clone)]
struct Session {
    context: String,
    page: Option<String>,
    speaker: String,
}

#[derive(Debug, Clone, Default)]
struct Conditions {
    cuttable: bool,
    offline: bool,
    init_scripts: Vec<String>,
}

/// What a browser's handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cdp: Cdp,
    pub(crate) console: Console,
    child: Mutex<Option<Child>>,
    pid: u32,
    default_context: String,
    sessions: Mutex<HashMap<String, Session>>,
    conditions: Mutex<HashMap<String, Conditions>>,
    profile: Profile,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running Chromium. It is killed with its last handle (pages and contexts are handles too).
#[derive(Debug, Clone)]
pub struct Browser {
    shared: Arc<Shared>,
}

/// An isolated set of cookies, databases and workers within a browser.
#[derive(Debug, Clone)]
pub struct Context {
    shared: Arc<Shared>,
    id: String,
}

impl Browser {
    /// Starts Chromium with an empty profile of its own.
    pub async fn launch() -> Result<Self> {
        Self::launch_in(&Profile::new()?).await
    }

    /// Starts Chromium with a given profile, which no other running browser may have.
    pub async fn launch_in(profile: &Profile) -> Result<Self> {
        let mut child = Command::new(executable()?)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting Chromium")?;
        let pid = child.id().context("Chromium ended at once")?;
        let url = tokio::time::timeout(UP_WITHIN, devtools_address(&mut child))
            .await
            .context("Chromium did not open its DevTools port")??;
        let (cdp, events) = Cdp::connect(&url).await?;

        let targets = cdp.call(None, "Target.getTargets", json!({})).await?;
        let first = targets["targetInfos"].as_array().and_then(|infos| infos.first());
        let default_context = first
            .and_then(|info| info["browserContextId"].as_str())
            .unwrap_or_default();
        let shared = Arc::new(Shared {
            cdp,
            console: Console::default(),
            child: Mutex::new(Some(child)),
            pid,
            default_context: default_context.to_owned(),
            sessions: Mutex::default(),
            conditions: Mutex::default(),
            profile: profile.clone(),
        });
        // The task must not keep the browser alive: it ends with the connection.
        tokio::spawn(watch(Arc::downgrade(&shared), events));
        let filter = json!([{ "type": "service_worker" }, { "type": "shared_worker" }]);
        shared
            .cdp
            .call(None, "Target.setAutoAttach", auto_attach(filter))
            .await?;
        Ok(Self { shared })
    }

    /// The profile's own context, whose data is on disk.
    #[must_use]
    pub fn context(&self) -> Context {
        Context {
            shared: Arc::clone(&self.shared),
            id: self.shared.default_context.clone(),
        }
    }

    /// A fresh isolated context: another person's browser, for a fraction of the cost.
    pub async fn new_context(&self) -> Result<Context> {
        let made = self
            .shared
            .cdp
            .call(None, "Target.createBrowserContext", json!({}))
            .await?;
        let id = made["browserContextId"]
            .as_str()
            .context("no context id")?
            .to_owned();
        Ok(Context {
            shared: Arc::clone(&self.shared),
            id,
        })
    }

    /// Opens a page in the profile's own context.
    pub async fn open(&self, url: &str) -> Result<Page> {
        self.context().open(url).await
    }

    /// The first of its processes; the others descend from it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.shared.pid
    }

    /// Kills every process of the browser at once, as a power cut would, and waits until they are gone.
    pub async fn kill(&self) -> Result<()> {
        let family = process::family(self.shared.pid);
        process::kill_all(&family);
        let child = locked(&self.shared.child).take();
        if let Some(mut child) = child {
            child.wait().await?;
        }
        process::all_gone(&family).await
    }

    /// Lets the browser end in order, as closing its last window does.
    pub async fn close(&self) -> Result<()> {
        let family = process::family(self.shared.pid);
        // It may be gone before it can answer.
        let _ = self.shared.cdp.call(None, "Browser.close", json!({})).await;
        let child = locked(&self.shared.child).take();
        if let Some(mut child) = child
            && tokio::time::timeout(Duration::from_secs(10), child.wait())
                .await
                .is_err()
        {
            bail!("Chromium did not close");
        }
        process::kill_all(&family);
        process::all_gone(&family).await
    }

    /// The profile, to launch again with.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.shared.profile
    }

    /// Everything any page or worker said.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.shared.console
    }

    /// The browser's version, as it states it.
    pub async fn version(&self) -> Result<String> {
        let version = self
            .shared
            .cdp
            .call(None, "Browser.getVersion", json!({}))
            .await?;
        Ok(version["product"].as_str().unwrap_or_default().to_owned())
    }
}

impl Context {
    /// Opens a page in a window of its own, so that it is visible to itself.
    pub async fn open(&self, url: &str) -> Result<Page> {
        let page = self.blank().await?;
        page.goto(url).await?;
        Ok(page)
    }

    /// Opens an empty page, to set up before it goes anywhere.
    pub async fn blank(&self) -> Result<Page> {
        let cdp = &self.shared.cdp;
        let mut params = json!({ "url": "about:blank", "newWindow": true });
        if self.id != self.shared.default_context {
            params["browserContextId"] = self.id.as_str().into();
        }
        let made = cdp.call(None, "Target.createTarget", params).await?;
        let target = made["targetId"].as_str().context("no target id")?.to_owned();
        let attached = cdp
            .call(
                None,
                "Target.attachToTarget",
                json!({ "targetId": target, "flatten": true }),
            )
            .await?;
        let session = attached["sessionId"]
            .as_str()
            .context("no session id")?
            .to_owned();
        self.shared.adopt(
            &session,
            Session {
                context: self.id.clone(),
                page: Some(target.clone()),
                speaker: "page".to_owned(),
            },
        );
        self.shared.prepare(&session).await?;
        let page = Page::new(Arc::clone(&self.shared), self.id.clone(), target, session);
        page.prepare().await?;
        for script in self.conditions().init_scripts {
            page.init_script(&script).await?;
        }
        Ok(page)
    }

    /// Takes the network from every page and worker of this context, or gives it back.
    ///
    /// Requests fail, `navigator.onLine` says so, open WebSockets and data channels fall silent without an error, as
    /// when a cable is pulled. The context must have been made [`Context::cuttable`] before.
    pub async fn set_offline(&self, offline: bool) -> Result<()> {
        if !self.conditions().cuttable {
            bail!("call `cuttable` before opening pages: else their open connections would not notice");
        }
        locked(&self.shared.conditions)
            .entry(self.id.clone())
            .or_default()
            .offline = offline;
        let sessions: Vec<String> = {
            let sessions = locked(&self.shared.sessions);
            sessions
                .iter()
                .filter(|(_, at)| at.context == self.id)
                .map(|(id, _)| id.clone())
                .collect()
        };
        for answer in join_all(sessions.iter().map(|id| self.shared.set_network(id, offline))).await {
            answer?;
        }
        Ok(())
    }

    /// Puts the network of pages opened from now on under Chromium's emulation, so that [`Context::set_offline`]
    /// reaches their sockets and data channels too. These choose their path when they are made, hence the need to say
    /// it early; measurements of speed do without.
    #[must_use]
    pub fn cuttable(self) -> Self {
        locked(&self.shared.conditions)
            .entry(self.id.clone())
            .or_default()
            .cuttable = true;
        self
    }

    /// A script that runs in every document of pages opened from now on, before the document's own.
    pub fn add_init_script(&self, script: &str) {
        let mut conditions = locked(&self.shared.conditions);
        conditions
            .entry(self.id.clone())
            .or_default()
            .init_scripts
            .push(script.to_owned());
    }

    /// Pages opened from now on are browsers without WebRTC.
    pub fn without_webrtc(&self) {
        self.add_init_script(
            "for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'RTCDataChannel']) delete window[name];",
        );
    }

    /// Ends the context: its pages close, its data is gone. The profile's own context cannot be disposed of.
    pub async fn dispose(self) -> Result<()> {
        let params = json!({ "browserContextId": self.id });
        self.shared
            .cdp
            .call(None, "Target.disposeBrowserContext", params)
            .await?;
        Ok(())
    }

    fn conditions(&self) -> Conditions {
        locked(&self.shared.conditions)
            .get(&self.id)
            .cloned()
            .unwrap_or_default()
    }
}

impl Shared {
    fn adopt(&self, id: &str, session: Session) {
        locked(&self.sessions).insert(id.to_owned(), session);
    }

    /// Listens to a session, applies its context's conditions and lets it start if it waits for that.
    async fn prepare(&self, session: &str) -> Result<()> {
        let context = locked(&self.sessions)
            .get(session)
            .map(|at| at.context.clone())
            .unwrap_or_default();
        let Conditions {
            cuttable, offline, ..
        } = locked(&self.conditions)
            .get(&context)
            .cloned()
            .unwrap_or_default();
        let call = |method: &'static str, params: Value| self.cdp.call(Some(session), method, params);
        // Sent in this order, awaited together: a paused worker answers some of these only once it runs.
        let (runtime, _log, network, _children, _emulation, _go) = tokio::join!(
            call("Runtime.enable", json!({})),
            call("Log.enable", json!({})),
            call("Network.enable", json!({})),
            call(
                "Target.setAutoAttach",
                auto_attach(json!([{ "type": "worker" }, { "type": "iframe" }]))
            ),
            async {
                if cuttable {
                    self.set_network(session, offline).await
                } else {
                    Ok(())
                }
            },
            call("Runtime.runIfWaitingForDebugger", json!({})),
        );
        runtime?;
        network?;
        Ok(())
    }

    async fn set_network(&self, session: &str, offline: bool) -> Result<()> {
        // As fast as the emulation can be: it counts in packets per microsecond, and hangs when that rounds to none.
        let params = json!({
            "offline": offline, "latency": 0, "downloadThroughput": 1e8, "uploadThroughput": 1e8,
            "packetLoss": if offline { 100 } else { 0 },
        });
        let answer = self
            .cdp
            .call(Some(session), "Network.emulateNetworkConditions", params)
            .await;
        // A dedicated worker shares its page's network and refuses conditions of its own; one that has ended
        // meanwhile needs none.
        let speaker = locked(&self.sessions).get(session).map(|at| at.speaker.clone());
        if speaker.is_none_or(|speaker| speaker == "worker") {
            Ok(())
        } else {
            answer.map(|_| ())
        }
    }

    fn hear(self: &Arc<Self>, event: &Event) {
        match event.method.as_str() {
            "Target.attachedToTarget" => self.attached(event),
            "Target.detachedFromTarget" => {
                let gone = event.params["sessionId"].as_str().unwrap_or_default();
                locked(&self.sessions).remove(gone);
            }
            "Inspector.targetCrashed" => self.say(event, Level::Exception, CRASHED.to_owned()),
            method => {
                if let Some((level, text)) = spoken(method, &event.params) {
                    self.say(event, level, text);
                }
            }
        }
    }

    /// A worker appeared, of a page or of the whole context.
    fn attached(self: &Arc<Self>, event: &Event) {
        let info = &event.params["targetInfo"];
        let kind = info["type"].as_str().unwrap_or_default();
        let Some(id) = event.params["sessionId"].as_str().map(str::to_owned) else {
            return;
        };
        if kind == "page" {
            // Pages are attached to where they are opened.
            return;
        }
        let parent = event
            .session
            .as_ref()
            .and_then(|parent| locked(&self.sessions).get(parent).cloned());
        let context = info["browserContextId"].as_str().map(str::to_owned);
        let session = Session {
            context: context
                .or(parent.as_ref().map(|at| at.context.clone()))
                .unwrap_or_default(),
            page: parent.and_then(|at| at.page),
            speaker: kind.to_owned(),
        };
        self.adopt(&id, session);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            // A short-lived worker may be gone again: nobody's fault.
            let _ = shared.prepare(&id).await;
        });
    }

    fn say(&self, event: &Event, level: Level, text: String) {
        let sessions = locked(&self.sessions);
        let Some(at) = event.session.as_ref().and_then(|id| sessions.get(id)) else {
            return;
        };
        if text == CRASHED && at.speaker == "service_worker" {
            // Chromium stops idle and replaced service workers, and words it like that.
            return;
        }
        self.console.push(Line {
            context: at.context.clone(),
            page: at.page.clone(),
            speaker: at.speaker.clone(),
            level,
            text,
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if locked(&self.child).is_some() {
            process::kill_all(&process::family(self.pid));
        }
        let said = self.console.matching(|_| true);
        if !said.is_empty() {
            eprintln!(
                "--- what the pages of browser {} said\n{}",
                self.pid,
                render(&said)
            );
        }
    }
}

/// Attach to these kinds of targets as they appear, and let each wait until it has been prepared.
fn auto_attach(kinds: Value) -> Value {
    json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true, "filter": kinds })
}

async fn watch(shared: std::sync::Weak<Shared>, mut events: mpsc::UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        let Some(shared) = shared.upgrade() else { break };
        shared.hear(&event);
    }
}

/// Reads the address Chromium announces on standard error, and keeps that pipe drained afterwards.
async fn devtools_address(child: &mut Child) -> Result<String> {
    let stderr = child.stderr.take().context("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix("DevTools listening on ") {
            let url = url.trim().to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(url);
        }
        said.push_str(&line);
        said.push('\n');
    }
    bail!("Chromium ended before it was ready:\n{said}")
}

fn executable() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("STARLING_CHROMIUM") {
        return Ok(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)))
        .find(|candidate| candidate.is_file())
        .context("no Chromium found: `scripts/test` installs it, or name one in STARLING_CHROMIUM")
}
