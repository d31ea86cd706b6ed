//! How many names are given away in a second, in a file and in an etcd of three nodes.

use anyhow::{Result, ensure};
use starling_tests::etcd::Etcd;

use crate::beside;

/// Prints all figures of the registry.
pub(crate) async fn measure() -> Result<()> {
    let etcd = Etcd::start(3).await?;
    let mut measuring = beside::command("examples/registry")?;
    let status = measuring
        .arg(etcd.address())
        .stdout(std::process::Stdio::inherit())
        .spawn()?
        .wait()
        .await?;
    ensure!(status.success(), "examples/registry: {status}");
    Ok(())
}
