//! A network between one peer and the endpoint that can lose, delay, and give the peer a new address, as a NAT does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

pub(crate) struct Path {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    /// Where the peer sends to.
    entrance: UdpSocket,
    /// What the endpoint sees as the peer.
    exit: Mutex<Arc<UdpSocket>>,
    peer: Mutex<Option<SocketAddr>>,
    endpoint: SocketAddr,
    loss_percent: AtomicU64,
    delay_ms: AtomicU64,
    lost: AtomicU64,
    seen: AtomicU64,
}

impl Shared {
    /// Whether the next datagram arrives; the same ones are lost in every run.
    fn passes(&self) -> bool {
        let index = self.seen.fetch_add(1, Ordering::Relaxed);
        let draw = (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 100;
        let lost = draw < self.loss_percent.load(Ordering::Relaxed);
        self.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
        !lost
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Relaxed))
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a socket")
}

impl Path {
    pub(crate) async fn to(endpoint: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            entrance: socket().await,
            exit: Mutex::new(Arc::new(socket().await)),
            peer: Mutex::new(None),
            endpoint,
            loss_percent: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        });
        let path = Self {
            tasks: Mutex::default(),
            shared: Arc::clone(&shared),
        };
        let inward = tokio::spawn(async move {
            let mut buffer = vec![0; 2048];
            while let Ok((length, from)) = shared.entrance.recv_from(&mut buffer).await {
                *shared.peer.lock().expect("peer") = Some(from);
                if shared.passes() {
                    let exit = Arc::clone(&shared.exit.lock().expect("exit"));
                    let (delay, endpoint) = (shared.delay(), shared.endpoint);
                    let datagram = buffer[..length].to_vec();
                    // On its own, so that it does not hold up those behind it.
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        let _ = exit.send_to(&datagram, endpoint).await;
                    });
                }
            }
        });
        path.tasks.lock().expect("tasks").push(inward);
        path.listen();
        path
    }

    fn listen(&self) {
        let shared = Arc::clone(&self.shared);
        let exit = Arc::clone(&shared.exit.lock().expect("exit"));
        let outward = tokio::spawn(async move {
            let mut buffer = vec![0; 2048];
            while let Ok((length, _)) = exit.recv_from(&mut buffer).await {
                let peer = *shared.peer.lock().expect("peer");
                if shared.passes()
                    && let Some(peer) = peer
                {
                    let delay = shared.delay();
                    let (shared, datagram) = (Arc::clone(&shared), buffer[..length].to_vec());
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        let _ = shared.entrance.send_to(&datagram, peer).await;
                    });
                }
            }
        });
        self.tasks.lock().expect("tasks").push(outward);
    }

    pub(crate) fn entrance(&self) -> SocketAddr {
        self.shared.entrance.local_addr().expect("an address")
    }

    pub(crate) fn set_loss_percent(&self, percent: u64) {
        self.shared.loss_percent.store(percent, Ordering::Relaxed);
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        self.shared
            .delay_ms
            .store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Sends the endpoint something that seems to come from the peer.
    pub(crate) async fn inject(&self, datagram: &[u8]) {
        let exit = Arc::clone(&self.shared.exit.lock().expect("exit"));
        let _ = exit.send_to(datagram, self.shared.endpoint).await;
    }

    /// The peer has a new address from now on; what is sent to the old one is lost.
    pub(crate) async fn rebind(&self) {
        let last = self.tasks.lock().expect("tasks").pop();
        last.expect("the outward task").abort();
        *self.shared.exit.lock().expect("exit") = Arc::new(socket().await);
        self.listen();
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        for task in self.tasks.lock().expect("tasks").drain(..) {
            task.abort();
        }
    }
}
