//! The load of an attack on a process that does nothing with it: attackers and honest peers share the machine's
//! processors with the relay, so a part of what honest peers notice is not the relay's doing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep_until;

use super::attacker::Attacker;

/// Interval between two writes.
const EVERY: Duration = Duration::from_millis(10);

/// What an attack did to the relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) bytes: u64,
    pub(super) links: usize,
    pub(super) within: Duration,
}

/// A thread that accepts connections and reads what they send, until the program ends.
pub(super) fn start() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    std::thread::Builder::new()
        .name("sink".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (mut stream, _) = listener.accept().await?;
                    tokio::spawn(async move {
                        let mut read = vec![0; 64 << 10];
                        while stream.read(&mut read).await.is_ok_and(|length| length > 0) {}
                    });
                }
                #[expect(unreachable_code, reason = "it says what the block returns")]
                anyhow::Ok(())
            })
        })?;
    Ok(address)
}

/// Sends as many bytes in the same time, over as many connections one after the other.
pub(super) async fn repeat(attacker: Arc<Attacker>, sink: SocketAddr, load: Load) -> Result<()> {
    let begin = Instant::now();
    let junk = vec![b'x'; 64 << 10];
    let (mut sent, mut opened) = (0_u64, 0);
    let mut stream = None;
    while !attacker.is_over() {
        let share = begin.elapsed().as_secs_f64() / load.within.as_secs_f64();
        while opened < (load.links as f64 * share).ceil() as usize || stream.is_none() {
            stream = Some(TcpStream::connect(sink).await?);
            opened += 1;
        }
        let due = (load.bytes as f64 * share) as u64;
        while sent < due && !attacker.is_over() {
            let stream = stream.as_mut().context("opened above")?;
            let length = junk.len().min(usize::try_from(due - sent)?);
            stream.write_all(&junk[..length]).await?;
            sent += length as u64;
        }
        sleep_until((Instant::now() + EVERY).min(attacker.until).into()).await;
    }
    Ok(())
}
