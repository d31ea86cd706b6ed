//! Measures the WebRTC endpoint against native WebRTC peers and prints one JSON line per figure.
//!
//! The peers run in a child process, so that what is measured here is the endpoint alone. They are full peers of
//! the `webrtc` crate, with a socket and a driver each; where they are the slower end, the figure is a floor.
//!
//! `cargo run --release -p starling-relay-node --example rtc_throughput [-- <cycles>]`
//!
//! With `-- browser` it serves a page instead that receives as fast as it can, prints the page's address and then what
//! the page received.

#[path = "../tests/offerer/mod.rs"]
mod offerer;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offerer::Offerer;
use serde_json::{Value, json};
use starling_relay_node::webrtc::{MESSAGE_BYTES_MAX, RtcConfig, RtcEndpoint, RtcLink};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const IDLE_LINKS: usize = 200;
const CYCLES: usize = 1_000;
/// Links opened at a time.
const AT_ONCE: usize = 10;
const TRANSFER: Duration = Duration::from_secs(5);

/// The commands to the child, one line each: `{"do": …}`. It answers with one line.
const OPEN: &str = "open";
const ANSWER: &str = "answer";
const DRAIN: &str = "drain";
const FILL: &str = "fill";
const CLOSE: &str = "close";

#[tokio::main]
async fn main() {
    if std::env::args().nth(1).as_deref() == Some("peers") {
        return peers().await;
    }
    if std::env::args().nth(1).as_deref() == Some("browser") {
        return browser().await;
    }
    let cycles = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(CYCLES);
    let endpoint = RtcEndpoint::bind(RtcConfig::new(([127, 0, 0, 1], 0).into()))
        .await
        .expect("bind");
    let mut peers = Peers::spawn();

    // Once, so that lazily made things are not counted against the links.
    drop(peers.open(&endpoint).await);
    peers.tell(json!({"do": CLOSE})).await;
    settle(&endpoint).await;

    idle(&endpoint, &mut peers).await;
    transfer(&endpoint, &mut peers).await;
    churn(&endpoint, &mut peers, cycles).await;
    endpoint.shutdown().await;
}

/// A page that asks for a link, counts what arrives over it, and says so.
const PAGE: &str = r#"<!doctype html><title>receiving</title><script type="module">
const link = new RTCPeerConnection();
const channel = link.createDataChannel("starling", { negotiated: true, id: 0 });
channel.binaryType = "arraybuffer";
let bytes = 0, first = 0;
channel.onmessage = ({ data }) => {
  const now = performance.now();
  first ||= now;
  bytes += data.byteLength;
  if (data.byteLength === 1) fetch("/done", { method: "POST", body: JSON.stringify({ bytes, ms: now - first }) });
};
await link.setLocalDescription();
const answer = await fetch("/offer", { method: "POST", body: link.localDescription.sdp });
await link.setRemoteDescription({ type: "answer", sdp: await answer.text() });
</script>"#;

/// Sends to a browser for a while.
async fn browser() {
    use axum::Router;
    use axum::response::Html;
    use axum::routing::{get, post};
    let endpoint = RtcEndpoint::bind(RtcConfig::new(([127, 0, 0, 1], 0).into())).await;
    let endpoint = Arc::new(endpoint.expect("bind"));
    let (done, mut dones) = tokio::sync::mpsc::channel::<Value>(1);
    let sending = Arc::clone(&endpoint);
    let offer = move |offer: String| async move {
        let accepted = sending.accept(&offer, None).await.expect("accept");
        tokio::spawn(async move {
            let link = accepted.pending.open().await.expect("the link opens");
            let message = Bytes::from(vec![0x5A; MESSAGE_BYTES_MAX]);
            let start = Instant::now();
            while start.elapsed() < TRANSFER {
                link.send(message.clone()).await.expect("send");
            }
            link.send(Bytes::from_static(b"!")).await.expect("send");
            // Until the page has all of it.
            let mut link = link;
            while link.recv().await.is_some() {}
        });
        accepted.answer_sdp
    };
    let report = move |body: String| async move {
        let _ = done.send(serde_json::from_str(&body).expect("JSON")).await;
    };
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/offer", post(offer))
        .route("/done", post(report));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("bind");
    println!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let received = dones.recv().await.expect("a report");
    let (bytes, ms) = (received["bytes"].as_f64(), received["ms"].as_f64());
    let rate = bytes.zip(ms).map_or(0.0, |(bytes, ms)| bytes / ms / 1e3);
    figure(
        "rtc_browser_out",
        rate,
        "MB/s",
        json!({"message_bytes": MESSAGE_BYTES_MAX, "target": 30.0, "met": rate >= 30.0}),
    );
}

async fn idle(endpoint: &RtcEndpoint, peers: &mut Peers) {
    let (memory, descriptors) = (resident_kb(), open_descriptors());
    let mut links = Vec::new();
    for _ in 0..IDLE_LINKS / AT_ONCE {
        links.extend(peers.open_many(endpoint, AT_ONCE).await);
    }
    let each = resident_kb().saturating_sub(memory) as f64 / IDLE_LINKS as f64;
    figure(
        "rtc_memory_per_idle_link",
        each,
        "kB",
        json!({"n": IDLE_LINKS, "target": 300.0, "met": each <= 300.0}),
    );
    // One UDP port for all of them: not one descriptor more.
    let more = open_descriptors() as f64 - descriptors as f64;
    figure(
        "rtc_descriptors_for_idle_links",
        more,
        "count",
        json!({"n": IDLE_LINKS, "target": 0.0, "met": more <= 0.0}),
    );
    let mut setups: Vec<Duration> = links.iter().map(|(_, setup)| *setup).collect();
    setups.sort();
    // The peer's own ICE agent nominates on a 200 ms tick, twice; browsers do not.
    figure(
        "rtc_native_setup_p50",
        millis(setups[setups.len() / 2]),
        "ms",
        json!({"p90_ms": millis(setups[setups.len() * 9 / 10])}),
    );
    peers.tell(json!({"do": CLOSE})).await;
    drop(links);
    settle(endpoint).await;
}

async fn transfer(endpoint: &RtcEndpoint, peers: &mut Peers) {
    for bytes in [MESSAGE_BYTES_MAX, 1_200] {
        let link = peers.open(endpoint).await;
        let reply = peers.start(json!({"do": DRAIN})).await;
        let message = Bytes::from(vec![0x5A; bytes]);
        let (start, cpu) = (Instant::now(), cpu_seconds());
        while start.elapsed() < TRANSFER {
            link.send(message.clone()).await.expect("send");
        }
        let cpu = cpu_seconds() - cpu;
        link.close().await;
        let arrived = reply.answer(peers).await["bytes"].as_f64().unwrap_or(0.0);
        let seconds = start.elapsed().as_secs_f64();
        let more = json!({"message_bytes": bytes, "endpoint_cpu_s_per_s": round(cpu / seconds)});
        figure("rtc_native_out", arrived / seconds / 1e6, "MB/s", more);
        settle(endpoint).await;
    }
    for bytes in [MESSAGE_BYTES_MAX, 1_200] {
        let mut link = peers.open(endpoint).await;
        let reply = peers
            .start(json!({"do": FILL, "bytes": bytes, "seconds": TRANSFER.as_secs()}))
            .await;
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let (mut received, mut last) = (0, start);
        while let Some(message) = link.recv().await {
            received += message.len();
            last = Instant::now();
        }
        let seconds = last.duration_since(start).as_secs_f64();
        let more =
            json!({"message_bytes": bytes, "endpoint_cpu_s_per_s": round((cpu_seconds() - cpu) / seconds)});
        figure("rtc_native_in", received as f64 / seconds / 1e6, "MB/s", more);
        reply.answer(peers).await;
        settle(endpoint).await;
    }
}

async fn churn(endpoint: &RtcEndpoint, peers: &mut Peers, cycles: usize) {
    let mut after_tenth = 0;
    for batch in 0..cycles / AT_ONCE {
        let mut links = peers.open_many(endpoint, AT_ONCE).await;
        if batch % 2 == 0 {
            peers.tell(json!({"do": CLOSE})).await;
            for (link, _) in &mut links {
                while link.recv().await.is_some() {}
            }
        } else {
            for (link, _) in links {
                link.close().await;
            }
            peers.tell(json!({"do": CLOSE})).await;
        }
        if batch == cycles / AT_ONCE / 10 {
            // The allocator's pools are filled by now.
            after_tenth = resident_kb();
        }
    }
    settle(endpoint).await;
    let grown = resident_kb() as f64 - after_tenth as f64;
    let stats = endpoint.stats();
    let more = json!({
        "n": cycles,
        "counted_from": cycles / 10,
        // A kilobyte for each cycle would be a leak.
        "target": 1_000.0,
        "met": grown <= 1_000.0 && stats.links == 0 && stats.addresses == 0,
        "links_left": stats.links,
        "addresses_left": stats.addresses,
        "descriptors": open_descriptors(),
    });
    figure("rtc_memory_growth", grown, "kB", more);
}

/// Waits until the endpoint holds nothing.
async fn settle(endpoint: &RtcEndpoint) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while endpoint.stats().links > 0 && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn figure(name: &str, value: f64, unit: &str, more: Value) {
    let mut line = json!({"bench": "relay", "figure": name, "value": round(value), "unit": unit, "seed": 1});
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    println!("{line}");
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The child, from here.
struct Peers {
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

/// An answer that is still to come.
struct Reply;

impl Reply {
    async fn answer(self, peers: &mut Peers) -> Value {
        let line = peers
            .stdout
            .next_line()
            .await
            .expect("the peers live")
            .expect("the peers answer");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Peers {
    fn spawn() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("peers")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the peers start");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self {
            stdin,
            stdout,
            _child: child,
        }
    }

    async fn start(&mut self, command: Value) -> Reply {
        self.stdin
            .write_all(format!("{command}\n").as_bytes())
            .await
            .expect("the peers listen");
        Reply
    }

    async fn tell(&mut self, command: Value) -> Value {
        self.start(command).await.answer(self).await
    }

    /// One more link.
    async fn open(&mut self, endpoint: &RtcEndpoint) -> RtcLink {
        self.open_many(endpoint, 1).await.remove(0).0
    }

    /// More links, opened at once, each with the time from its offer to its opening.
    async fn open_many(&mut self, endpoint: &RtcEndpoint, count: usize) -> Vec<(RtcLink, Duration)> {
        let offers = self.tell(json!({"do": OPEN, "count": count})).await;
        let start = Instant::now();
        let (mut answers, mut opening) = (Vec::new(), Vec::new());
        for offer in offers.as_array().expect("offers") {
            let accepted = endpoint
                .accept(offer.as_str().expect("an offer"), None)
                .await
                .expect("accept");
            answers.push(accepted.answer_sdp);
            opening.push(tokio::spawn(async move {
                let link = accepted.pending.open().await.expect("the link opens");
                (link, start.elapsed())
            }));
        }
        self.tell(json!({"do": ANSWER, "answers": answers})).await;
        let mut links = Vec::new();
        for link in opening {
            links.push(link.await.expect("the link opens"));
        }
        links
    }
}

/// The child.
async fn peers() {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let mut open: Vec<Offerer> = Vec::new();
    while let Ok(Some(line)) = commands.next_line().await {
        let command: Value = serde_json::from_str(&line).expect("JSON");
        let answer = match command["do"].as_str().unwrap_or_default() {
            OPEN => {
                let mut offers = Vec::new();
                for _ in 0..command["count"].as_u64().unwrap_or(1) {
                    let offerer = Offerer::new().await;
                    offers.push(offerer.offer_sdp.clone());
                    open.push(offerer);
                }
                json!(offers)
            }
            ANSWER => {
                let answers = command["answers"].as_array().expect("answers");
                let first = open.len() - answers.len();
                for (peer, answer) in open[first..].iter().zip(answers) {
                    peer.take_answer(answer.as_str().expect("an answer").to_owned())
                        .await;
                }
                for peer in &open[first..] {
                    peer.opened().await;
                }
                json!({})
            }
            DRAIN => {
                let peer = open.pop().expect("an open peer");
                let mut bytes = 0;
                while let Some(message) = peer.recv().await {
                    bytes += message.len();
                }
                json!({"bytes": bytes})
            }
            FILL => {
                let peer = open.pop().expect("an open peer");
                let message = vec![0x5A; command["bytes"].as_u64().unwrap_or(1) as usize];
                let end = Instant::now() + Duration::from_secs(command["seconds"].as_u64().unwrap_or(1));
                while Instant::now() < end {
                    peer.send(&message).await;
                }
                // What is queued still leaves.
                tokio::time::sleep(Duration::from_millis(500)).await;
                peer.close().await;
                json!({})
            }
            CLOSE => {
                for peer in open.drain(..) {
                    peer.close().await;
                }
                json!({})
            }
            unknown => panic!("the peers do not know {unknown:?}"),
        };
        println!("{answer}");
    }
}

/// This process's resident memory.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.split_ascii_whitespace()
        .next()
        .and_then(|kb| kb.parse().ok())
        .unwrap_or(0)
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .map(Iterator::count)
        .unwrap_or(0)
}

/// Processor time of this process; the kernel counts it in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_ascii_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
