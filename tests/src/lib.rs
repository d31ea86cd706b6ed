//! The harness of the whole-system tests: real relay processes and real headless Chromium.
//!
//! A scenario starts what a person would start ([`Relay`], [`Browser`]), acts as a person acts (key events and
//! clicks on a [`Page`]) and waits for conditions, never for time to pass. Whatever was started dies with its
//! handle; consoles and logs are written to standard error then, where the test runner shows them for failed tests.

pub mod axe;
pub mod browser;
pub mod cdp;
pub mod certificates;
pub mod console;
pub mod continuous_poster;
pub mod etcd;
pub mod figures;
pub mod folder;
pub mod http;
pub mod keys;
pub mod lan;
pub mod link;
pub mod namespace;
pub mod native;
pub mod network;
pub mod page;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod tls;
pub mod user_steps;
pub mod wait;
pub mod writer;

pub use browser::{Browser, Context, Profile};
pub use native::{NativePeer, PeerOptions};
pub use page::{Page, Scheme, testid};
pub use relay::{Relay, RelayOptions};

use std::path::PathBuf;

#[must_use]
pub fn workspace_root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.clone(), PathBuf::from)
}

/// Where failing scenarios leave pictures: `target/test-shots`, never the tree.
#[must_use]
pub fn shots_dir() -> PathBuf {
    workspace_root().join("target/test-shots")
}
