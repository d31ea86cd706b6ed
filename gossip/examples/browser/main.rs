//! `browser`: tabs that talk to each other and to nobody else, each a member of one swarm. No server has a part in it:
//! the tabs' connections are the browser's own channels between tabs.
//!
//! ```text
//! gossip/examples/browser/run
//! ```

#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod tabs;

#[cfg(target_arch = "wasm32")]
fn main() {
    wasm_bindgen_futures::spawn_local(async {
        if let Err(error) = page::run().await {
            page::fail(&error);
        }
    });
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::print_stderr, reason = "all it does")]
fn main() {
    eprintln!("This example runs in a browser: start it with gossip/examples/browser/run.");
}
