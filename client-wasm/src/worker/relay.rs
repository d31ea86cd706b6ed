//! The relay that serves the app: its key, fetched from the origin and remembered, so that an app opened from the
//! browser's cache knows whom to dial.

use protocol::PeerId;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// The note that remembers it.
pub const NOTE: &str = "relay";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str) -> js_sys::Promise;
}

/// Asks the origin. `None`: no answer, or none that names a peer.
pub async fn fetch_identity(origin: &str) -> Option<PeerId> {
    let response = JsFuture::from(fetch(&format!("{origin}/api/relay"))).await.ok()?;
    let response: web_sys::Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let json = JsFuture::from(response.json().ok()?).await.ok()?;
    js_sys::Reflect::get(&json, &"peer".into())
        .ok()?
        .as_string()?
        .parse()
        .ok()
}
