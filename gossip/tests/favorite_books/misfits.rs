//! Peers as they should not be, and one that only listens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What a misfit does with a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Habit {
    /// Answers what is no HTTP.
    Babbles,
    /// Answers well-formed HTTP that means nothing.
    Rambles,
    /// Reads and never answers.
    Hangs,
    /// Answers, one byte at a time.
    Drips,
    /// Closes at once.
    HangsUp,
    /// Answers without end.
    Floods,
    /// Answers `{"status": "ERROR"}`.
    Declines,
    /// Answers with a failure of HTTP.
    Breaks,
}

impl Habit {
    pub(crate) const ALL: [Self; 8] = [
        Self::Babbles,
        Self::Rambles,
        Self::Hangs,
        Self::Drips,
        Self::HangsUp,
        Self::Floods,
        Self::Declines,
        Self::Breaks,
    ];

    /// The reasons for which a node may drop it: sometimes it depends on who is first.
    pub(crate) fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::Babbles | Self::Rambles => &["answered rubbish"],
            Self::Floods => &["answered rubbish", "did not answer in time"],
            Self::Hangs | Self::Drips => &["did not answer in time"],
            Self::HangsUp => &["hung up without an answer"],
            // A status is no list of peers.
            Self::Declines => &["did not say OK", "answered rubbish"],
            Self::Breaks => &["did not say OK"],
        }
    }
}

/// Listens on a free port for as long as it exists.
pub(crate) struct Misfit {
    pub(crate) port: u16,
    accepting: JoinHandle<()>,
}

impl Misfit {
    pub(crate) async fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(habit, stream));
            }
        });
        Self { port, accepting }
    }
}

impl Drop for Misfit {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(habit: Habit, mut stream: TcpStream) {
    if let Habit::HangsUp = habit {
        return;
    }
    let Some(_) = read_request(&mut stream).await else {
        return;
    };
    let answer: &[u8] = match habit {
        Habit::Babbles => b"what a lovely day\r\n\r\n",
        Habit::Rambles => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<html",
        Habit::Declines => b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"status\": \"ERROR\"}",
        Habit::Breaks => b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}",
        Habit::Floods => b"HTTP/1.1 200 OK\r\n\r\n",
        Habit::Drips => b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        Habit::Hangs | Habit::HangsUp => b"",
    };
    if stream.write_all(answer).await.is_err() {
        return;
    }
    match habit {
        Habit::Floods => while stream.write_all(&[b'['; 65_536]).await.is_ok() {},
        Habit::Drips => {
            while stream.write_all(b"[").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        }
        // The other side will hang up.
        Habit::Hangs => while let Ok(1..) = stream.read(&mut [0; 64]).await {},
        _ => {}
    }
}

/// Reads one request, head and body.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut chunk = [0; 4_096];
        match stream.read(&mut chunk).await {
            Ok(len @ 1..) => read.extend_from_slice(&chunk[..len]),
            Ok(0) | Err(_) => return None,
        }
    }
}

/// A request a [`Listener`] has heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A peer that says OK to everything, knows nobody, and remembers what it heard.
pub(crate) struct Listener {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    accepting: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn start(address: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let port = listener.local_addr()?.port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let accepting = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some((head, body)) = read_request(&mut stream).await else {
                    continue;
                };
                let answer = if head.starts_with("GET ") {
                    "[]"
                } else {
                    r#"{"status":"OK"}"#
                };
                hears.lock().expect("not poisoned").push(Heard { head, body });
                // In the old manner, which simple servers still have.
                let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{answer}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(Self {
            port,
            heard,
            accepting,
        })
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Messages that are not as they should be, as a list in JSON.
pub(crate) fn odd_messages() -> String {
    let message = |version: &str, ttl: &str| {
        format!(
            r#"{{"uuid":"odd {version} {ttl}","client_id":"61004","payload":{{"version":{version},"book":"Kim"}},"ttl":{ttl}}}"#
        )
    };
    let odd = [
        message("9223372036854775808", "3"),
        message("3", "3.5"),
        message("3", "1e30"),
        message("null", "3"),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
    ];
    format!("[{}]", odd.join(","))
}
