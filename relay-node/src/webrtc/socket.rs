//! The one UDP socket under all links: batched receive (`recvmmsg`, GRO) and segmented send (GSO).
//!
//! Invariant: a failed send loses that datagram and nothing else. UDP may always lose; the layers above repeat.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Largest datagram read, in bytes. Links send at most 1,228; DTLS handshakes of browsers stay below 1,500.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Asked of the kernel for each direction, in bytes; it may grant less. A burst of many links must fit while the
/// reader sleeps: 4 MiB is 3,400 full datagrams.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Largest buffer one segmented send may carry: the length field of UDP, less the headers of IPv6.
const SEGMENTED_BYTES_MAX: usize = 65_000;

/// One way to reach a peer: its address, and which of our own addresses it knows us by. Answering from another
/// one would not pass a NAT or the peer's own check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) peer: SocketAddr,
    pub(super) local_ip: Option<IpAddr>,
}

/// One or more datagrams of equal length from one peer; the last may be shorter.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) path: Path,
    pub(super) bytes: Bytes,
    stride: usize,
}

impl Burst {
    #[cfg(test)]
    pub(super) fn one(path: Path, bytes: Bytes) -> Self {
        Self {
            path,
            stride: bytes.len().max(1),
            bytes,
        }
    }

    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.stride)
    }
}

pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local_addr: SocketAddr,
}

/// The memory a reader keeps between receives.
pub(super) struct ReceiveBuffers {
    slab: Vec<u8>,
    each: usize,
}

impl Socket {
    pub(super) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        let local_addr = socket.local_addr()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Refusal is not an error: the kernel's own size works, only worse.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES);
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            local_addr,
        })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// How many datagrams of `each` bytes [`Self::send`] may be given at once.
    pub(super) fn segments_max(&self, each: usize) -> usize {
        self.state
            .max_gso_segments()
            .min(SEGMENTED_BYTES_MAX / each.max(1))
            .max(1)
    }

    /// Sends `contents` as datagrams of `segment` bytes (the last may be shorter), waiting while the kernel's
    /// buffer is full.
    pub(super) async fn send(&self, path: Path, contents: &[u8], segment: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: path.peer,
            ecn: None,
            contents,
            segment_size: (segment < contents.len()).then_some(segment),
            src_ip: path.local_ip,
        };
        self.io
            .async_io(Interest::WRITABLE, || {
                self.state.try_send(UdpSockRef::from(&self.io), &transmit)
            })
            .await
    }

    pub(super) fn receive_buffers(&self) -> ReceiveBuffers {
        let each = DATAGRAM_BYTES_MAX * self.state.gro_segments().max(1);
        let each = each.min(64 << 10);
        ReceiveBuffers {
            slab: vec![0; each * BATCH_SIZE],
            each,
        }
    }

    /// Waits for datagrams and hands each burst to `deliver`.
    pub(super) async fn receive(
        &self,
        buffers: &mut ReceiveBuffers,
        mut deliver: impl FnMut(Burst),
    ) -> io::Result<()> {
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let each = buffers.each;
        let count = self
            .io
            .async_io(Interest::READABLE, || {
                let mut chunks = buffers.slab.chunks_mut(each);
                let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                    std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
                self.state
                    .recv(UdpSockRef::from(&self.io), &mut slices, &mut meta)
            })
            .await?;
        for (meta, chunk) in meta.iter().zip(buffers.slab.chunks(each)).take(count) {
            let Some(bytes) = chunk.get(..meta.len).filter(|bytes| !bytes.is_empty()) else {
                continue;
            };
            deliver(Burst {
                path: Path {
                    peer: meta.addr,
                    local_ip: meta.dst_ip,
                },
                bytes: Bytes::copy_from_slice(bytes),
                stride: meta.stride.max(1),
            });
        }
        Ok(())
    }
}
