//! Nodes as processes, seen from outside: started with flags, asked over HTTP by hand, read by their pages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long anything that is waited for may take. The machine may be busy; the nodes' own times are far below.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(25);

/// Waits until `condition` holds, or panics with what was waited for.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(GLANCE).await;
    }
}

/// The example, which Cargo builds beside the tests when it builds all of them.
fn example() -> PathBuf {
    const BUILD: &str = "run `cargo build --package gossip --example favorite-books` \
                         (a test run that is not limited to some targets does it by itself)";
    let test = std::env::current_exe().expect("the path of this program");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let example = profile.join("examples/favorite-books");
    let modified = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(built) = modified(&example) else {
        panic!("{} is missing: {BUILD}", example.display());
    };
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/favorite-books");
    for entry in std::fs::read_dir(&sources).expect("the example's sources") {
        let source = entry.expect("a source").path();
        let name = source.to_string_lossy();
        let is_built = name.ends_with(".rs") && !name.ends_with("_tests.rs");
        assert!(
            !is_built || modified(&source) <= Some(built),
            "{} is older than {}: {BUILD}",
            example.display(),
            source.display()
        );
    }
    example
}

/// A process that dies with its handle. What it logged is shown when the test fails.
pub(crate) struct Running {
    /// The port it serves.
    pub(crate) port: u16,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().expect("piped"), Arc::clone(&lines));
        collect(child.stderr.take().expect("piped"), Arc::clone(&lines));
        Self {
            port: 0,
            child,
            lines,
        }
    }

    /// What it wrote so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("not poisoned").clone()
    }

    async fn until_listening(&mut self, port: impl Fn(&str) -> Option<u16>) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(port) = self.lines().iter().find_map(|line| port(line)) {
                self.port = port;
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if Instant::now() > deadline {
                return Err("it does not listen".to_owned());
            }
            sleep(GLANCE).await;
        }
    }

    /// Ends it without a warning.
    pub(crate) async fn kill(mut self) -> u16 {
        self.child.kill().await.expect("it was running");
        self.port
    }

    /// Asks it to stop and waits for it to say how it went.
    pub(crate) async fn stop(mut self, signal: &str) -> (std::process::ExitStatus, Vec<String>) {
        let id = self.child.id().expect("it is running").to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.is_ok_and(|sent| sent.success()));
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it stops");
        eventually("the rest of the log", async || {
            self.lines().iter().any(|line| line.contains("stopped"))
        })
        .await;
        (ended.expect("a status"), self.lines())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("── {}:\n{}", self.port, self.lines().join("\n"));
        }
    }
}

fn collect(output: impl AsyncRead + Unpin + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    let mut output = BufReader::new(output).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = output.next_line().await {
            lines.lock().expect("not poisoned").push(line);
        }
    });
}

/// The flags of a node that does everything quickly.
pub(crate) fn quick(seed: Option<u16>) -> Vec<String> {
    let mut flags: Vec<String> = ["--gossip-interval", "0.1", "--fickle-interval", "0.3"]
        .map(str::to_owned)
        .to_vec();
    if let Some(seed) = seed {
        flags.extend(["--seed".to_owned(), seed.to_string()]);
    }
    flags
}

/// Starts a node on a free port.
pub(crate) async fn start(flags: &[String]) -> Running {
    start_on(0, flags).await
}

/// Starts a node on a given port, which something else may be using for the moment.
pub(crate) async fn start_on(port: u16, flags: &[String]) -> Running {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut node = Running::spawn(
            Command::new(example())
                .args(["--port", &port.to_string()])
                .args(flags),
        );
        let listening = |line: &str| {
            let (_, rest) = line.split_once("listening port=")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        match node.until_listening(listening).await {
            Ok(()) => return node,
            Err(_) if port != 0 && Instant::now() < deadline => {}
            Err(why) => panic!("no node on port {port}: {why}"),
        }
    }
}

/// Starts the node written in Python.
pub(crate) async fn start_python(seed: Option<u16>, books: &[&str]) -> Running {
    start_python_with(seed, books, "[]").await
}

/// The same with messages, as a list in JSON, that it sends before all others.
pub(crate) async fn start_python_with(seed: Option<u16>, books: &[&str], odd: &str) -> Running {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/favorite_books_peer.py");
    let mut node = Running::spawn(
        Command::new("python3")
            .arg(script)
            .env("ODD_MESSAGES", odd)
            .arg(seed.unwrap_or(0).to_string())
            .args(books),
    );
    let listening = node.until_listening(|line| line.parse().ok()).await;
    listening.unwrap_or_else(|why| panic!("no node in Python: {why}"));
    node
}

/// A file of titles for `--payloads-file`.
pub(crate) async fn titles(name: &str, titles: &[&str]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("favorite-books-{name}.txt"));
    tokio::fs::write(&path, titles.join("\n"))
        .await
        .expect("a file of titles");
    path.to_str().expect("a path in Unicode").to_owned()
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
}

/// Sends bytes to a node and reads its answer until it hangs up.
pub(crate) async fn send(port: u16, request: &[u8]) -> Option<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        // A node may refuse before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let body = body.to_owned();
        Some(Answer { code, body })
    };
    timeout(PATIENCE, exchange).await.expect("an answer, or none")
}

/// `GET` by hand.
pub(crate) async fn get(port: u16, path: &str) -> Option<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    send(port, request.as_bytes()).await
}

/// `POST` by hand.
pub(crate) async fn post(port: u16, path: &str, body: &str) -> Option<Answer> {
    let len = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    );
    send(port, request.as_bytes()).await
}

/// What a node's page says.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Versions and titles, by node.
    pub(crate) books: BTreeMap<u16, (u64, String)>,
    /// Peers, and whether each was met.
    pub(crate) peers: BTreeMap<u16, bool>,
    /// Dropped peers and why.
    pub(crate) dropped: BTreeMap<u16, String>,
    /// Counters by name.
    pub(crate) counters: BTreeMap<String, u64>,
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn between<'a>(line: &'a str, from: &str, to: &str) -> Option<&'a str> {
    line.split_once(from)?.1.split_once(to).map(|(value, _)| value)
}

/// Reads a node's page.
pub(crate) async fn page(port: u16) -> Page {
    let answer = get(port, "/").await.expect("a page");
    assert_eq!(answer.code, 200);
    let mut page = Page::default();
    for line in answer.body.lines() {
        let number = |name| attribute(line, name).and_then(|value| value.parse::<u64>().ok());
        let id = |name| number(name).and_then(|value| u16::try_from(value).ok());
        if let (Some(node), Some(version)) = (id("data-node"), number("data-version")) {
            let book = between(line, "<cite>", "</cite>").expect("a title");
            page.books.insert(node, (version, book.to_owned()));
        } else if let (Some(peer), Some(met)) = (id("data-peer"), attribute(line, "data-met")) {
            page.peers.insert(peer, met == "true");
        } else if let Some(peer) = id("data-dropped") {
            let why = between(line, &format!(">{peer} "), " <small>").expect("a reason");
            page.dropped.insert(peer, why.to_owned());
        } else if let (Some(name), Some(count)) = (attribute(line, "data-counter"), number("data-count")) {
            page.counters.insert(name.to_owned(), count);
        }
    }
    page
}

/// Reads pages of many nodes and insists that nothing on them ever goes back, and that all mean the same by a version.
#[derive(Default)]
pub(crate) struct Witness {
    versions: BTreeMap<(u16, u16), u64>,
    books: BTreeMap<(u16, u64), String>,
    forgetful: BTreeSet<u16>,
}

impl Witness {
    /// Reads one page.
    pub(crate) async fn page(&mut self, port: u16) -> Page {
        let page = page(port).await;
        for (&origin, (version, book)) in &page.books {
            let before = self.versions.insert((port, origin), *version);
            assert!(
                before <= Some(*version),
                "{port}: {origin} went from {before:?} back to {version}"
            );
            if self.forgetful.contains(&origin) {
                continue;
            }
            let named = self
                .books
                .entry((origin, *version))
                .or_insert_with(|| book.clone());
            assert_eq!(named, book, "version {version} of {origin}");
        }
        page
    }

    /// A node has lost its memory: what it shows may start again, and until it learns its last version, it may use
    /// versions again. What others show of it must still not go back.
    pub(crate) fn forgive(&mut self, port: u16) {
        self.forgetful.insert(port);
        self.versions.retain(|&(reader, _), _| reader != port);
    }

    /// Waits until each of these nodes knows, of each of these nodes, a book it has not even chosen yet.
    pub(crate) async fn all_learn_all(&mut self, ports: &[u16]) {
        let mut wanted = BTreeMap::new();
        for &port in ports {
            wanted.insert(port, self.page(port).await.books[&port].0 + 1);
        }
        eventually(&format!("all of {wanted:?} know all"), async || {
            for &port in ports {
                let page = self.page(port).await;
                let knows = |(origin, version): (&u16, &u64)| {
                    page.books.get(origin).is_some_and(|(known, _)| known >= version)
                };
                if !wanted.iter().all(knows) {
                    return false;
                }
            }
            true
        })
        .await;
    }
}
