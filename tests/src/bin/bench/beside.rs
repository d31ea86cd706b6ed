//! Programs that `scripts/bench` builds next to this one: simulators, and examples that measure parts from within.

use std::process::Stdio;

use anyhow::{Result, ensure};
use tokio::process::Command;

/// One of them, by its path from here; its standard output is to be read.
pub(crate) fn command(path: &str) -> Result<Command> {
    let path = std::env::current_exe()?.with_file_name(path);
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
pub(crate) async fn run(path: &str) -> Result<()> {
    let mut child = command(path)?.stdout(Stdio::inherit()).spawn()?;
    let status = child.wait().await?;
    ensure!(status.success(), "{path}: {status}");
    Ok(())
}
