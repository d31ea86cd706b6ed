//! A real etcd of several nodes on this machine. The nodes die with their handle.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::http;
use crate::wait::eventually;

/// An election takes about a second; the rest is a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Node {
    child: Option<Child>,
    client: u16,
    peer: u16,
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
        let data = tempfile::Builder::new().prefix("starling-etcd-").tempdir()?;
        let nodes = (0..n).map(|_| {
            let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
            Ok(Node {
                child: None,
                client: port()?,
                peer: port()?,
            })
        });
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let mut etcd = Self { nodes, data };
        for node in 0..n {
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
            .map(|(n, node)| format!("n{n}=http://127.0.0.1:{}", node.peer))
            .collect();
        let dir = self.data.path().join(format!("n{node}"));
        let it = &mut self.nodes[node];
        let client = format!("http://127.0.0.1:{}", it.client);
        let peer = format!("http://127.0.0.1:{}", it.peer);
        let child = Command::new("etcd")
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
            .kill_on_drop(true)
            .spawn()
            .context("starting etcd (Debian has it in etcd-server)")?;
        it.child = Some(child);
        Ok(())
    }

    /// Where it is, as `--registry` wants it.
    #[must_use]
    pub fn address(&self) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.client))
            .collect();
        format!("etcd://{}", hosts.join(","))
    }

    /// The node that leads.
    ///
    /// # Errors
    /// If none does for long.
    pub async fn leader(&self) -> Result<usize> {
        let leads = |port: u16| async move {
            let metrics = http::get(port, "/metrics").await.ok()?.text();
            metrics.contains("\netcd_server_is_leader 1").then_some(())
        };
        eventually("etcd to have a leader", READY_WITHIN, || async {
            for (n, node) in self.nodes.iter().enumerate() {
                if node.child.is_some() && leads(node.client).await.is_some() {
                    return Some(n);
                }
            }
            None
        })
        .await
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
