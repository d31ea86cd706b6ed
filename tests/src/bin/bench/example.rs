//! Programs that measure parts from within: examples of the crates, which `scripts/bench` builds next to this program.

use std::process::Stdio;

use anyhow::{Result, ensure};
use tokio::process::Command;

/// One of them, its standard output to be read.
pub(crate) fn command(name: &str) -> Result<Command> {
    let here = std::env::current_exe()?;
    let path = here.with_file_name("examples").join(name);
    ensure!(
        path.exists(),
        "{} is missing: scripts/bench builds it",
        path.display()
    );
    let mut command = Command::new(path);
    command.stdout(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Lets it measure, and prints what it prints.
pub(crate) async fn run(name: &str) -> Result<()> {
    let mut child = command(name)?.stdout(Stdio::inherit()).spawn()?;
    let status = child.wait().await?;
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}
