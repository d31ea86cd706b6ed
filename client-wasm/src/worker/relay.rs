//! The relay that serves the app: its key, and how its operator wants relays ranked, fetched from the origin and
//! remembered, so that an app opened from the browser's cache knows whom to dial.

use engine::io::Routing;
use protocol::PeerId;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// The note that remembers the key.
pub const NOTE: &str = "relay";
/// The note that remembers the weights: four numbers, little-endian.
pub const WEIGHTS_NOTE: &str = "weights";

/// As [`Routing::weights`] orders them.
const WEIGHTS: [&str; 4] = ["replication", "response", "distance", "errors"];

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str) -> js_sys::Promise;
}

/// Asks the origin. `None`: no answer, or none that names a peer. The weights are missing if they are none to rank by.
pub async fn fetch_identity(origin: &str) -> Option<(PeerId, Option<Routing>)> {
    let response = JsFuture::from(fetch(&format!("{origin}/api/relay"))).await.ok()?;
    let response: web_sys::Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let json = JsFuture::from(response.json().ok()?).await.ok()?;
    let field = |object: &JsValue, name: &str| js_sys::Reflect::get(object, &name.into()).ok();
    let peer = field(&json, "peer")?.as_string()?.parse().ok()?;
    let routing = field(&json, "routing").and_then(|routing| {
        // What is no number is one that nothing is ranked by.
        let weight = |name| field(&routing, name).and_then(|weight| weight.as_f64());
        Routing::weighing(WEIGHTS.map(|name| weight(name).map_or(f32::NAN, |weight| weight as f32)))
    });
    Some((peer, routing))
}

/// The weights as the note has them.
pub fn to_note(routing: &Routing) -> Vec<u8> {
    routing.weights().map(f32::to_le_bytes).concat()
}

/// The weights in a note.
pub fn from_note(note: &[u8]) -> Option<Routing> {
    let (numbers, rest) = note.as_chunks::<4>();
    let weights = numbers.try_into().ok().filter(|_| rest.is_empty());
    Routing::weighing(<[[u8; 4]; 4]>::map(weights?, f32::from_le_bytes))
}
