//! Starling client.
// A program has no outside: `pub` here means "for the other modules".
#![allow(unreachable_pub)]
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
#[cfg(target_arch = "wasm32")]
mod platform;
mod ui;
mod worker;
fn main() {
    #[cfg(feature = "demo")]
    ui::demo::run();
}
