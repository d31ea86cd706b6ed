//! `relay-node`: the native Starling peer.

use std::io::Write as _;
use std::process::ExitCode;

use rust_embed::RustEmbed;
use starling_relay_node::commands::{self, cli};
use starling_relay_node::web::site::EmbeddedFiles;

/// The app as it was when this program was built. `dist/build.json` is always there (see `build.rs`) and differs from
/// build to build of the app, so that Cargo compiles this file again.
#[derive(RustEmbed)]
#[folder = "../dist"]
#[exclude = ".*"]
#[allow_missing = true]
struct App;

fn main() -> ExitCode {
    match commands::execute(cli::read(), EmbeddedFiles::of::<App>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading: the exit code says it as well.
            let _ = writeln!(std::io::stderr(), "relay-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}
