//! A thin client of the DevTools protocol: numbered calls, sessions, events.
//!
//! Values stay JSON. A typed client would know sixty thousand lines of protocol, reject events newer than itself and
//! hide the sessions of workers, which are the half of the app these tests care about most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A call that takes longer has met a browser that is gone or stuck.
pub const CALL_WITHIN: Duration = Duration::from_secs(30);

/// Something the browser told unasked.
#[derive(Debug)]
pub struct Event {
    /// The session it came from; none for the browser itself.
    pub session: Option<String>,
    /// Its name, `Domain.event`.
    pub method: String,
    /// What it carries.
    pub params: Value,
}

type PendingCalls = HashMap<u64, oneshot::Sender<Result<Value>>>;

#[derive(Debug, Default)]
struct Shared {
    next_id: AtomicU64,
    /// `None` once the connection has ended: later calls fail at once instead of waiting.
    waiting: Mutex<Option<PendingCalls>>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<PendingCalls>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to one browser. Clones share it.
#[derive(Debug, Clone)]
pub struct Cdp {
    shared: Arc<Shared>,
    outgoing: mpsc::UnboundedSender<Message>,
}

impl Cdp {
    /// Connects to a browser's DevTools address; events arrive at the returned receiver in order.
    pub async fn connect(url: &str) -> Result<(Self, mpsc::UnboundedReceiver<Event>)> {
        // Screenshots of tall pages are one message of many megabytes.
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(url, Some(config), true)
            .await
            .with_context(|| format!("connecting to {url}"))?;
        let (mut sink, mut stream) = socket.split();
        let (outgoing, mut to_send) = mpsc::unbounded_channel::<Message>();
        let (events, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            next_id: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
        });

        tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
        });
        let reader = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message
                    && let Ok(value) = serde_json::from_str::<Value>(&text)
                {
                    reader.receive(value, &events);
                }
            }
            // Dropping the senders wakes every caller with an error.
            reader.waiting().take();
        });
        Ok((Self { shared, outgoing }, received))
    }

    /// Calls `method` on a session (or the browser) and waits for its result.
    pub async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value> {
        self.call_within(session, method, params, CALL_WITHIN).await
    }

    /// Like [`Cdp::call`] with a deadline of the caller's choice.
    pub async fn call_within(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<Value> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        match self.shared.waiting().as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => bail!("{method}: the browser is gone"),
        };
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let gone = || anyhow!("{method}: the browser is gone");
        self.outgoing
            .send(Message::text(message.to_string()))
            .map_err(|_| gone())?;
        match tokio::time::timeout(within, receiver).await {
            Ok(answer) => answer.map_err(|_| gone())?.with_context(|| method.to_owned()),
            Err(_) => {
                if let Some(waiting) = self.shared.waiting().as_mut() {
                    waiting.remove(&id);
                }
                bail!("{method}: no answer within {:.0} s", within.as_secs_f32())
            }
        }
    }
}

impl Shared {
    fn receive(&self, mut value: Value, events: &mpsc::UnboundedSender<Event>) {
        if let Some(id) = value["id"].as_u64() {
            let waiting = self.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
            let answer = match &value["error"] {
                Value::Null => Ok(value["result"].take()),
                error => Err(anyhow!(
                    "{}",
                    error["message"].as_str().unwrap_or("error without words")
                )),
            };
            if let Some(waiting) = waiting {
                // A caller that gave up is no fault.
                let _ = waiting.send(answer);
            }
        } else if let Some(method) = value["method"].as_str().map(str::to_owned) {
            let session = value["sessionId"].as_str().map(str::to_owned);
            let _ = events.send(Event {
                session,
                method,
                params: value["params"].take(),
            });
        }
    }
}
