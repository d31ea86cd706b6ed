//! A real etcd of several nodes on this machine. The nodes die with their handle.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::certificates::Certificates;
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
    /// Where it tells how it is, to anybody.
    metrics: u16,
    site: Option<Site>,
}

impl Node {
    fn address(&self, port: u16) -> SocketAddr {
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        let site = self.site.as_ref();
        SocketAddr::new(site.map_or(localhost, |site| site.ip().into()), port)
    }

    /// Where it tells how it is, asked from where it is.
    fn metrics(&self) -> At {
        let address = self.address(self.metrics);
        match &self.site {
            Some(site) => site.at(address),
            None => address.into(),
        }
    }
}

#[derive(Debug)]
pub struct Etcd {
    nodes: Vec<Node>,
    /// Whom it lets in; without them everybody, in plain words.
    certificates: Option<Certificates>,
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

    /// Starts a node that speaks TLS, and to nobody without a certificate of the same authority.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(certificates: Certificates) -> Result<Self> {
        Self::start_all(&[None], Some(certificates)).await
    }

    /// Starts a node at each of these sites.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_at(sites: &[Option<&Site>]) -> Result<Self> {
        Self::start_all(sites, None).await
    }

    async fn start_all(sites: &[Option<&Site>], certificates: Option<Certificates>) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("starling-etcd-").tempdir()?;
        let nodes = sites.iter().map(|site| {
            let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
            Ok(Node {
                child: None,
                client: port()?,
                peer: port()?,
                metrics: port()?,
                site: site.cloned(),
            })
        });
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let mut etcd = Self {
            nodes,
            certificates,
            data,
        };
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
        let scheme = self.certificates.as_ref().map_or("http", |_| "https");
        let client = format!("{scheme}://{}", it.address(it.client));
        let metrics = format!("http://{}", it.address(it.metrics));
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
            .args(["--listen-metrics-urls", &metrics])
            .args(["--logger", "zap", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(certificates) = &self.certificates {
            command
                .arg("--client-cert-auth")
                .arg("--trusted-ca-file")
                .arg(&certificates.authority)
                .arg("--cert-file")
                .arg(&certificates.certificate)
                .arg("--key-file")
                .arg(&certificates.key);
        }
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
        let scheme = self.certificates.as_ref().map_or("etcd", |_| "etcds");
        format!("{scheme}://{}", hosts.join(","))
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
                if node.child.is_some() && leads(node.metrics()).await.is_some() {
                    return Some(n);
                }
            }
            None
        })
        .await
    }

    /// Where the first node answers.
    #[must_use]
    pub fn first(&self) -> SocketAddr {
        self.nodes[0].address(self.nodes[0].client)
    }

    /// Of the only row whose key begins so: the revision that changed it last, and how many changes made it what it is.
    /// `None`: there is none, or there are several.
    ///
    /// # Errors
    /// If the first node does not answer, or with something else.
    pub async fn changes(&self, prefix: &[u8]) -> Result<Option<(u64, u64)>> {
        let mut end = prefix.to_vec();
        *end.last_mut().context("a prefix")? += 1;
        let asked = serde_json::json!({ "key": BASE64.encode(prefix), "range_end": BASE64.encode(&end) });
        let answer = http::post(self.nodes[0].client, "/v3/kv/range", &asked.to_string()).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).context("etcd's answer")?;
        let number = |value: &serde_json::Value| value.as_str()?.parse().ok();
        let rows = answer["kvs"].as_array();
        Ok(match rows.map(Vec::as_slice) {
            Some([row]) => number(&row["mod_revision"]).zip(number(&row["version"])),
            _ => None,
        })
    }

    /// The value of a key, as the first node has it after asking the others.
    ///
    /// # Errors
    /// If it does not answer, or with something else.
    pub async fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let asked = serde_json::json!({ "key": BASE64.encode(key) });
        let answer = http::post(self.nodes[0].client, "/v3/kv/range", &asked.to_string()).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).context("etcd's answer")?;
        let value = answer["kvs"][0]["value"].as_str();
        Ok(value.map(|value| BASE64.decode(value.as_bytes())).transpose()?)
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
