//! Makes a relay's data folder with a little of everything, as a fixture for tests of later versions:
//!
//! ```text
//! STARLING_RELAY_BIN=path/to/relay-node cargo run -p starling-tests --bin relay-folder -- tests/tests/fixtures/relay-N
//! ```

use std::path::PathBuf;

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let out = std::env::args()
        .nth(1)
        .context("name the folder of the fixture")?;
    starling_tests::folder::make(&PathBuf::from(out)).await
}
