//! A network of the kernel's own for one test: two sites on one switch, and a cable that can be pulled.
//!
//! The test runs itself once more inside (see [`crate::namespace`]) a fresh network namespace. Each site is a further
//! one with one address; what is to be cut off together runs at one site, people included. While the cable is out
//! every packet between the sites is lost silently, and no interface goes down: as when a switch far away fails.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{fs, io};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpSocket, TcpStream};

use crate::namespace::{self, Namespace};

const SWITCH: &str = "switch";

/// Two sites, joined.
#[derive(Debug)]
pub struct Lan {
    sites: [Site; 2],
}

/// Where processes run and sockets are opened that are cut off together.
#[derive(Clone, Debug)]
pub struct Site {
    name: &'static str,
    ip: Ipv4Addr,
    namespace: Arc<OwnedFd>,
}

/// Where something answers, and the site from which it is asked.
#[derive(Clone, Debug)]
pub struct At {
    address: SocketAddr,
    site: Option<Site>,
}

impl Lan {
    /// Has the test of this name run inside a network of its own. `None`: it has, and passed; there is nothing left to
    /// do.
    ///
    /// # Errors
    /// If the kernel refuses such networks, or the inner run failed.
    pub fn of_own(test: &str, names: [&'static str; 2]) -> Result<Option<Self>> {
        if namespace::is_inside(Namespace::Network)? {
            return Self::new(names).map(Some);
        }
        namespace::run(test, Namespace::Network)?;
        Ok(None)
    }

    fn new(names: [&'static str; 2]) -> Result<Self> {
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", SWITCH, "type", "bridge"])?;
        ip(&["link", "set", SWITCH, "up"])?;
        let [one, other] = names;
        let sites = [Site::new(one, 1)?, Site::new(other, 2)?];
        Ok(Self { sites })
    }

    #[must_use]
    pub fn sites(&self) -> &[Site; 2] {
        &self.sites
    }

    /// Pulls the cable between the sites.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn cut(&self) -> Result<()> {
        ip(&["link", "set", self.sites[1].name, "nomaster"])
    }

    /// Plugs it in again.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn heal(&self) -> Result<()> {
        ip(&["link", "set", self.sites[1].name, "master", SWITCH])
    }
}

impl Site {
    /// A namespace with a cable to the switch. The cable's end at the switch is named like the site.
    fn new(name: &'static str, number: u8) -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo there; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare cannot be run (Debian has it in util-linux)")?;
        let mut there = String::new();
        let said = holder.stdout.take().context("its output is piped")?;
        BufReader::new(said).read_line(&mut there)?;
        ensure!(there == "there\n", "no network namespace for {name}");
        let namespace = fs::File::open(format!("/proc/{}/ns/net", holder.id()))?;
        let (pid, end) = (holder.id().to_string(), ["to-", name].concat());
        let site = Self {
            name,
            ip: Ipv4Addr::new(10, 83, 0, number),
            namespace: Arc::new(namespace.into()),
        };
        ip(&["link", "add", name, "type", "veth", "peer", "name", &end])?;
        ip(&["link", "set", &end, "netns", &pid])?;
        ip(&["link", "set", name, "master", SWITCH])?;
        ip(&["link", "set", name, "up"])?;
        site.run(|| {
            ip(&["link", "set", "lo", "up"])?;
            ip(&["address", "add", &format!("{}/24", site.ip), "dev", &end])?;
            ip(&["link", "set", &end, "up"])
        })??;
        // The namespace lives on with its descriptor.
        holder.kill()?;
        holder.wait()?;
        Ok(site)
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Does something there: sockets it makes and processes it starts stay there.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        // A thread is of one namespace, so this takes one of its own.
        let there = || -> io::Result<T> {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(act())
        };
        let ran = std::thread::scope(|scope| scope.spawn(there).join());
        let ran = ran.map_err(|_| anyhow!("panicked at {}", self.name))?;
        ran.with_context(|| format!("going to {}", self.name))
    }

    /// Something that listens at this port of this machine, asked from here.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> At {
        At {
            address,
            site: Some(self.clone()),
        }
    }
}

impl At {
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If it does not come about. Nobody says so where packets are lost: give it a deadline.
    pub async fn connect(&self) -> Result<TcpStream> {
        let socket = match &self.site {
            Some(site) => site.run(TcpSocket::new_v4)??,
            None => TcpSocket::new_v4()?,
        };
        Ok(socket.connect(self.address).await?)
    }
}

impl From<u16> for At {
    /// A port of this machine.
    fn from(port: u16) -> Self {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
    }
}

impl From<SocketAddr> for At {
    fn from(address: SocketAddr) -> Self {
        Self { address, site: None }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(args)
        .output()
        .context("`ip` cannot be run (Debian has it in iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", args.join(" "), said.trim());
    Ok(())
}
