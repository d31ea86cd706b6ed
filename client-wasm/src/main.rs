//! Starling in a browser: one wasm, two programs. In a window it is the interface and the broker of peer connections,
//! in a dedicated worker the engine with its store and links. They share types and the messages of [`worker::port`],
//! never memory.
//!
//! Natively only what is pure compiles, for tests.
// A program has no outside: `pub` here means "for the other modules".
#![allow(unreachable_pub)]
#![cfg_attr(
    any(not(target_arch = "wasm32"), feature = "demo"),
    allow(dead_code, unused_imports)
)]

#[cfg(feature = "demo")]
mod demo;
#[cfg(target_arch = "wasm32")]
mod platform;
mod ui;
mod vec_map;
#[cfg(target_arch = "wasm32")]
mod window;
mod worker;

fn main() {
    #[cfg(feature = "demo")]
    demo::run();
    #[cfg(all(target_arch = "wasm32", not(feature = "demo")))]
    {
        platform::report_panics();
        if web_sys::window().is_some() {
            window::run();
        } else {
            worker::run();
        }
    }
}
