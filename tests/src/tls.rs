//! A reverse proxy that terminates TLS in front of a relay.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certificates;

/// A proxy of this machine. Stops when dropped.
#[derive(Debug)]
pub struct TlsProxy {
    port: u16,
    to: watch::Sender<Option<u16>>,
    task: JoinHandle<()>,
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsProxy {
    /// Listens with this certificate. Clients wait until it [leads](Self::lead_to) somewhere.
    ///
    /// # Errors
    /// If the certificate cannot be used, or no port is free.
    pub async fn start(certificates: &Certificates) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(&certificates.certificate)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&certificates.key)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (to, leads) = watch::channel(None);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, leads) = (acceptor.clone(), leads.clone());
                // Who ends, or is refused, is no fault of the proxy's.
                tokio::spawn(async move { carry(acceptor, stream, leads).await.ok() });
            }
        });
        Ok(Self { port, to, task })
    }

    /// Where it is, as relays write it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// What comes is passed on to this port of this machine.
    pub fn lead_to(&self, port: u16) {
        self.to.send_replace(Some(port));
    }
}

async fn carry(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    mut leads: watch::Receiver<Option<u16>>,
) -> Result<()> {
    let mut outside = acceptor.accept(stream).await?;
    let to = leads
        .wait_for(Option::is_some)
        .await?
        .context("it leads somewhere")?;
    let mut inside = TcpStream::connect(("127.0.0.1", to)).await?;
    tokio::io::copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}
