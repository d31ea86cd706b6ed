//! A proxy in front of a server on which answers can be lost, for clients that use the proxy's port instead of the
//! server's.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whether what the server says now is lost.
type Lost = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

#[derive(Clone, Default)]
struct Wire {
    /// `None`: nothing is.
    lost: Option<Lost>,
    /// How often all connections were cut.
    cuts: u32,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire(loses: {}, cuts: {})", self.lost.is_some(), self.cuts)
    }
}

/// It ends with its handle.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// One in front of the server at this address.
    ///
    /// # Errors
    /// If there is no port for it.
    pub async fn before(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (wire, how) = watch::channel(Wire::default());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, how.clone()));
            }
        });
        Ok(Self { port, wire, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on this is asked of each piece of what the server says, and if it is so, that piece and all after it
    /// are lost. Requests arrive at the server.
    pub fn lose_answers_if(&self, lost: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static) {
        self.wire.send_modify(|wire| wire.lost = Some(Arc::new(lost)));
    }

    /// Cuts all connections. New ones are well.
    pub fn cut(&self) {
        self.wire.send_modify(|wire| {
            wire.lost = None;
            wire.cuts += 1;
        });
    }
}

/// One connection, until either end closes it or it is cut.
async fn carry(client: TcpStream, server: SocketAddr, how: watch::Receiver<Wire>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let cuts = how.borrow().cuts;
    let mut until = how.clone();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let answering = async move {
        let mut bytes = vec![0; 16 << 10];
        let mut silent = false;
        while let Ok(len @ 1..) = from_server.read(&mut bytes).await {
            let lost = how.borrow().lost.clone();
            if let Some(lost) = lost {
                silent = silent || lost().await;
            }
            if !silent && to_client.write_all(&bytes[..len]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
        _ = until.wait_for(|wire| wire.cuts > cuts) => {}
    }
}
