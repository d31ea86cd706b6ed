//! The HTTP server under connections that do not finish: each has its bound, and others are served meanwhile.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use starling_signaling::serve::{ServeLimits, serve};
use starling_signaling::sockets::{SocketBudget, listen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// A stuck server must not hang a test.
const DEADLINE: Duration = Duration::from_secs(20);
/// Far below the times that connections may take, far above what a served request takes.
const SOON: Duration = Duration::from_secs(2);
/// More than the kernel buffers on both sides.
const LARGE: usize = 32 << 20;
/// A head that goes on.
const HALF_HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ";

struct Server {
    address: SocketAddr,
    /// Each permit lets one request to `/held` be answered.
    held: Arc<Semaphore>,
}

fn limits(connections_max: usize) -> ServeLimits {
    ServeLimits {
        connections_max,
        finish_within: DEADLINE,
        ..ServeLimits::default()
    }
}

fn server(limits: ServeLimits) -> Server {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let held = Arc::new(Semaphore::new(0));
    let released = Arc::clone(&held);
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/large", get(async || vec![7; LARGE]))
        .route("/post", post(async |body: String| body))
        .route(
            "/held",
            get(async move || {
                released.acquire().await.unwrap().forget();
                vec![7; 1 << 20]
            }),
        );
    tokio::spawn(serve(
        listener,
        router,
        limits,
        SocketBudget::default(),
        std::future::pending(),
    ));
    Server { address, held }
}

impl Server {
    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    async fn request(&self, path: &str) -> TcpStream {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await
    }

    /// These many people are served one after the other; the longest time that one waited.
    async fn newcomers(&self, count: usize) -> Duration {
        let mut longest = Duration::ZERO;
        for _ in 0..count {
            let began = Instant::now();
            let mut stream = self.request("/healthz").await;
            let mut answer = [0; 12];
            let read = timeout(DEADLINE, stream.read_exact(&mut answer)).await;
            read.expect("an answer in time").unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            longest = longest.max(began.elapsed());
        }
        longest
    }
}

/// All that the server sends until it closes the connection, or resets it.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut bytes))
        .await
        .expect("the connection ends");
    bytes
}

#[tokio::test]
async fn heads_that_do_not_end_give_way_at_once() {
    let server = server(limits(8));
    let mut half = Vec::new();
    for _ in 0..100 {
        half.push(server.send(HALF_HEAD).await);
    }
    let longest = server.newcomers(50).await;
    assert!(longest < SOON, "{longest:?}");
}

#[tokio::test]
async fn clients_that_read_nothing_give_way_and_those_that_read_do_not() {
    let server = server(limits(16));
    let reader = server.request("/large").await;
    let reader = tokio::spawn(async move {
        let (mut reader, mut read, mut buffer) = (reader, 0, vec![0; 64 << 10]);
        while read < LARGE {
            read += reader.read(&mut buffer).await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
    });
    let mut idle = Vec::new();
    let mut longest = Duration::ZERO;
    for _ in 0..60 {
        idle.push(server.request("/large").await);
        longest = longest.max(server.newcomers(1).await);
    }
    assert!(longest < SOON, "{longest:?}");
    timeout(DEADLINE, reader).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_response_under_way_is_finished_after_its_connection_gave_way() {
    let server = server(limits(8));
    // Heads that gave way before it leave it the time to finish.
    let mut half = Vec::new();
    for _ in 0..20 {
        half.push(server.send(HALF_HEAD).await);
    }
    let mut held = server.request("/held").await;
    for _ in 0..20 {
        half.push(server.send(HALF_HEAD).await);
    }
    let longest = server.newcomers(50).await;
    assert!(longest < SOON, "{longest:?}");
    server.held.add_permits(1);
    let response = rest(&mut held).await;
    assert!(response.starts_with(b"HTTP/1.1 200"));
    assert!(response.len() > 1 << 20, "{} bytes", response.len());
}

#[tokio::test]
async fn a_response_is_cut_when_its_client_takes_nothing_of_it_and_not_when_it_is_slow() {
    let take_within = Duration::from_millis(400);
    let server = server(ServeLimits {
        take_within,
        ..limits(8)
    });
    let mut silent = server.request("/large").await;
    let mut slow = server.request("/large").await;
    let (began, mut read, mut buffer) = (Instant::now(), 0, vec![0; 1 << 20]);
    while read < LARGE {
        let bytes = timeout(DEADLINE, slow.read(&mut buffer)).await.unwrap().unwrap();
        assert!(bytes > 0, "cut after {read} bytes");
        read += bytes;
        sleep(Duration::from_millis(20)).await;
    }
    sleep((3 * take_within).saturating_sub(began.elapsed())).await;
    assert!(rest(&mut silent).await.len() < LARGE);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused() {
    let server = server(ServeLimits {
        body_within: Duration::from_millis(100),
        ..limits(8)
    });
    let request = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
    let mut half = server.send(request).await;
    assert!(rest(&mut half).await.starts_with(b"HTTP/1.1 400"));
    let mut whole = server.send(&format!("{request} more")).await;
    let mut answer = [0; 12];
    whole.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
