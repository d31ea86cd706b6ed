//! `cost`: what one member pays for each message it receives, in nanoseconds, on this machine or in this browser.
//!
//! ```text
//! cargo run --release -p gossip --example cost
//! ```
//!
//! In a browser the figures are the page's `figures` once it has run; `scripts/bench gossip` does both.

mod feed;

#[cfg(not(target_arch = "wasm32"))]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a clock is what it is about"
)]
fn main() {
    let began = std::time::Instant::now();
    for (what, ns) in feed::run(|| began.elapsed().as_secs_f64() * 1e3) {
        println!(
            r#"{{"figure":"{what}","value":{ns:.1},"unit":"ns","n":{}}}"#,
            feed::MESSAGES
        );
    }
}

#[cfg(target_arch = "wasm32")]
fn main() {
    let clock = web_sys::window().and_then(|window| window.performance());
    let figures = js_sys::Object::new();
    if let Some(clock) = clock {
        for (what, ns) in feed::run(|| clock.now()) {
            // An object of this page takes any property.
            let _ = js_sys::Reflect::set(&figures, &what.into(), &ns.into());
        }
    }
    let _ = js_sys::Reflect::set(&js_sys::global(), &"figures".into(), &figures);
}
