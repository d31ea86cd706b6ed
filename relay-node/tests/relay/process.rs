//! A relay process with a data folder of its own, on free ports.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A stuck relay must not hang a test.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct Relay {
    child: Child,
    /// Reads standard output to its end.
    reader: Option<JoinHandle<()>>,
    pub dir: TempDir,
    pub address: SocketAddr,
    /// Its standard output, across restarts.
    pub said: Said,
    /// Its log, across restarts.
    log: Said,
    arguments: Vec<String>,
}

/// Lines of standard output.
pub type Said = Arc<Mutex<Vec<String>>>;

pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn spawn(
    dir: &TempDir,
    arguments: &[String],
    said: &Said,
    kept: &Said,
) -> (Child, JoinHandle<()>, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--udp-port",
            "0",
            "--log-format",
            "json",
            "--data-dir",
        ])
        .arg(dir.path().join("data"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (out, said) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(said));
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            said.lock().unwrap().push(line);
        }
    });
    // The log is read to its end, so that the relay never waits for it; the line that says where it listens is awaited.
    let (told, address) = mpsc::channel();
    let log = BufReader::new(child.stderr.take().unwrap());
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            eprintln!("{line}");
            kept.lock().unwrap().push(line.clone());
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if line["message"] == "started" {
                let _ = told.send(line["http"].as_str().unwrap().parse().unwrap());
            }
        }
    });
    let address = address.recv_timeout(DEADLINE).expect("the relay did not start");
    (child, reader, address)
}

impl Relay {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(arguments: &[&str]) -> Self {
        let relay = Self::start_unready(arguments).await;
        relay.ready().await;
        relay
    }

    /// As [`Self::start_with`], and it is enough that it lives.
    pub async fn start_unready(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (said, log) = (Said::default(), Said::default());
        let (child, reader, address) = spawn(&dir, &arguments, &said, &log);
        Self {
            child,
            reader: Some(reader),
            dir,
            address,
            said,
            log,
            arguments,
        }
    }

    async fn ready(&self) {
        let started = Instant::now();
        while self.get("/readyz", &[]).await.status != 200 {
            assert!(started.elapsed() < DEADLINE, "the relay did not become ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a line of the log with both of these.
    pub fn logged(&self, one: &str, other: &str) {
        let started = Instant::now();
        let has = |line: &String| line.contains(one) && line.contains(other);
        while !self.log.lock().unwrap().iter().any(has) {
            assert!(started.elapsed() < DEADLINE, "no line has {one:?} and {other:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    pub async fn restart(&mut self) {
        let reader;
        (self.child, reader, self.address) = spawn(&self.dir, &self.arguments, &self.said, &self.log);
        self.reader = Some(reader);
        self.ready().await;
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the relay does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.ask(self.address, "GET", path, headers, "").await
    }

    /// Sends a form, as a page of this relay would.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Response {
        let own = format!("http://{}", self.address);
        let mut all = vec![
            ("Origin", own.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        all.retain(|(name, _)| headers.iter().all(|(other, _)| other != name));
        all.extend(headers);
        self.ask(self.address, "POST", path, &all, form).await
    }

    /// Asks one of its listeners.
    pub async fn ask(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let answer = self.exchange(address, request.as_bytes()).await;
        let end = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer[end + 4..].to_vec();
        Response { status, head, body }
    }

    /// Sends these bytes to one of its listeners, and reads until it closes the connection.
    pub async fn exchange(&self, address: SocketAddr, request: &[u8]) -> Vec<u8> {
        let exchange = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap()
    }

    pub fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
