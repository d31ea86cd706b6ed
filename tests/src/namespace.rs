//! A test runs itself once more inside a namespace of its own, where it may do what only an administrator may outside:
//! join networks, mount file systems. Where the kernel refuses that, the test fails and says so.

use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};

/// Set for the inner run: the namespace of the outer one.
const OUTSIDE: &str = "STARLING_TEST_OUTSIDE";

/// What the test has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// Interfaces, addresses, routes.
    Network,
    /// What is mounted where.
    Mounts,
}

impl Namespace {
    fn flag(self) -> &'static str {
        match self {
            Self::Network => "--net",
            Self::Mounts => "--mount",
        }
    }

    /// What must be possible inside.
    fn trial(self) -> &'static [&'static str] {
        match self {
            Self::Network => &["ip", "link", "set", "lo", "up"],
            Self::Mounts => &["mount", "-t", "tmpfs", "tmpfs", "/tmp"],
        }
    }

    fn here(self) -> Result<String> {
        let file = match self {
            Self::Network => "/proc/self/ns/net",
            Self::Mounts => "/proc/self/ns/mnt",
        };
        let link = fs::read_link(file).with_context(|| format!("no {file} on this system"))?;
        Ok(link.to_string_lossy().into_owned())
    }
}

/// Whether this is the inner run.
///
/// # Errors
/// If it should be and is not.
pub fn is_inside(namespace: Namespace) -> Result<bool> {
    match env::var(OUTSIDE) {
        Ok(outside) => {
            ensure!(
                namespace.here()? != outside,
                "{OUTSIDE} is set, and this is outside"
            );
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

/// Runs the test of this name inside, and waits for it. With permission the namespace is created directly; otherwise
/// the test is root within a user namespace of its own first.
///
/// # Errors
/// If the kernel refuses, or the test failed.
pub fn run(test: &str, namespace: Namespace) -> Result<()> {
    let this = env::current_exe()?;
    // A name that is none would be no failure to the runner of the tests inside.
    let listed = Command::new(&this).args([test, "--exact", "--list"]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(
        listed.contains(&format!("{test}: test")),
        "there is no test {test}"
    );
    let mut refused = String::new();
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let flags = [user, &[namespace.flag()]].concat();
        let tried = Command::new("unshare")
            .args(&flags)
            .args(namespace.trial())
            .output()
            .context("unshare cannot be run (Debian has it in util-linux)")?;
        if !tried.status.success() {
            let said = String::from_utf8_lossy(&tried.stderr).into_owned();
            refused += &format!("\nunshare {}: {}", flags.join(" "), said.trim());
            continue;
        }
        let inner = Command::new("unshare")
            .args(&flags)
            .arg(&this)
            .args([test, "--exact", "--nocapture"])
            .env(OUTSIDE, namespace.here()?)
            .status()?;
        ensure!(inner.success(), "the run inside failed: {inner}");
        return Ok(());
    }
    bail!(
        "this test needs a namespace of its own, and the kernel refuses one. Run it as root; or allow user namespaces (sysctl \
         kernel.unprivileged_userns_clone=1, on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0), and install \
         iproute2.{refused}"
    )
}
