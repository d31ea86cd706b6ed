//! As much of an HTTP client as asking a relay for a page needs.
//!
//! HTTP/1.0 on purpose: the body ends where the connection ends, so there are no chunks to undo.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lan::At;

/// A stuck server must not hang a test.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Header names in lower case, with their values, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body as it came over the wire (still compressed when the server compressed it).
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text, wrong bytes replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `GET` of a path with further headers. A port alone is one of this machine.
pub async fn get_with(at: impl Into<At>, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    exchange(at.into(), "GET", path, headers, "").await
}

/// `POST` to a path with this body. A port alone is one of this machine.
pub async fn post(at: impl Into<At>, path: &str, body: &str) -> Result<Response> {
    let len = body.len().to_string();
    exchange(at.into(), "POST", path, &[("Content-Length", &len)], body).await
}

async fn exchange(
    at: At,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response> {
    let address = at.address();
    let exchange = async {
        let mut stream = at.connect().await?;
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        parse(&answer)
    };
    tokio::time::timeout(ANSWER_WITHIN, exchange)
        .await
        .with_context(|| format!("no answer from {address} to {method} {path}"))?
}

/// `GET` of a path. A port alone is one of this machine.
pub async fn get(at: impl Into<At>, path: &str) -> Result<Response> {
    get_with(at, path, &[]).await
}

fn parse(answer: &[u8]) -> Result<Response> {
    let split = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("no end of headers")?;
    let head = std::str::from_utf8(&answer[..split]).context("headers are not text")?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Response {
        status: status.with_context(|| format!("no status in {status_line:?}"))?,
        headers,
        body: answer[split + 4..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            parse(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno\r\n\r\nsuch").unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.body, b"no\r\n\r\nsuch");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse(b"hello").is_err());
        assert!(parse(b"HTTP/1.0\r\n\r\n").is_err());
    }
}
