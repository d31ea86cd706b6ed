//! A real etcd of several nodes on this machine. The nodes die with their handle.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::lan::{At, Site};
use crate::wait::eventually;
use crate::{http, process};

/// An election takes about a second; the rest is a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Node {
    child: Option<Child>,
    client: u16,
    peer: u16,
    site: Option<Site>,
}

impl Node {
    fn address(&self, port: u16) -> SocketAddr {
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        let site = self.site.as_ref();
        SocketAddr::new(site.map_or(localhost, |site| site.ip().into()), port)
    }

    /// Its clients' port, asked from where it is.
    fn at(&self) -> At {
        let address = self.address(self.client);
        match &self.site {
            Some(site) => site.at(address),
            None => address.into(),
        }
    }
}

/// The nodes.
#[derive(Debug)]
pub struct Etcd {
    nodes: Vec<Node>,
    data: TempDir,
}

impl Etcd {
    /// Starts `n` nodes, and waits until one of them leads.
    ///
    /// # Errors
    /// If there is no etcd on this machine (Debian: `etcd-server`), or it does not come up.
    pub async fn start(n: usize) -> Result<Self> {
        Self::start_at(&vec![None; n]).await
    }

    /// Starts a node at each of these sites.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_at(sites: &[Option<&Site>]) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("starling-etcd-").tempdir()?;
        let nodes = sites.iter().map(|site| {
            let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
            Ok(Node {
                child: None,
                client: port()?,
                peer: port()?,
                site: site.cloned(),
            })
        });
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let mut etcd = Self { nodes, data };
        for node in 0..sites.len() {
            etcd.spawn(node)?;
        }
        etcd.leader().await?;
        Ok(etcd)
    }

    fn spawn(&mut self, node: usize) -> Result<()> {
        let cluster: Vec<String> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(n, node)| format!("n{n}=http://{}", node.address(node.peer)))
            .collect();
        let dir = self.data.path().join(format!("n{node}"));
        let it = &mut self.nodes[node];
        let client = format!("http://{}", it.address(it.client));
        let peer = format!("http://{}", it.address(it.peer));
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("n{node}")])
            .arg("--data-dir")
            .arg(dir)
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args([
                "--initial-cluster",
                &cluster.join(","),
                "--initial-cluster-state",
                "new",
            ])
            .args(["--logger", "zap", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = process::spawn(&mut command, it.site.as_ref());
        it.child = Some(child.context("starting etcd (Debian has it in etcd-server)")?);
        Ok(())
    }

    /// Where it is, as `--registry` wants it.
    #[must_use]
    pub fn address(&self) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| node.address(node.client).to_string())
            .collect();
        format!("etcd://{}", hosts.join(","))
    }

    /// The node that leads.
    ///
    /// # Errors
    /// If none does for long.
    pub async fn leader(&self) -> Result<usize> {
        let leads = |at: At| async move {
            let metrics = http::get(at, "/metrics").await.ok()?.text();
            metrics.contains("\netcd_server_is_leader 1").then_some(())
        };
        eventually("etcd to have a leader", READY_WITHIN, || async {
            for (n, node) in self.nodes.iter().enumerate() {
                if node.child.is_some() && leads(node.at()).await.is_some() {
                    return Some(n);
                }
            }
            None
        })
        .await
    }

    /// Kills a node as `kill -9` does.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill(&mut self, node: usize) -> Result<()> {
        let Some(mut child) = self.nodes[node].child.take() else {
            bail!("node {node} does not run");
        };
        Ok(child.kill().await?)
    }

    /// Starts a killed node again.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn restart(&mut self, node: usize) -> Result<()> {
        self.spawn(node)
    }
}
