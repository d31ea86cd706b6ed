//! `window.starling`: a few things to look at from a console or a test. It shows what the interface shows and changes
//! nothing.

use engine::api::{LinkView, NetworkView, Query, QueryResult, Transport};
use protocol::key::{Domain, KeyPair, verify};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::platform;
use crate::ui::bridge::Bridge;

/// Signatures checked for `starling.checks()`: a second or less on a slow phone.
const CHECKS: u32 = 2_000;

/// Puts the object in place: `starling.leader` is a boolean, `starling.links()` a promise of JSON, `starling.stored()`
/// a promise of how many entries are stored here, `starling.checks()` how many signatures this device checks in a
/// second.
pub fn expose(bridge: &Bridge, leading: impl Fn() -> bool + 'static) {
    let object = js_sys::Object::new();
    let leader = Closure::<dyn Fn() -> JsValue>::new(move || leading().into());
    let getter = js_sys::Object::new();
    // Setting properties of a fresh object does not fail.
    let _ = js_sys::Reflect::set(&getter, &"get".into(), leader.as_ref());
    js_sys::Object::define_property(&object, &"leader".into(), &getter);
    let (links_of, stored_of) = (bridge.clone(), bridge.clone());
    let functions = [
        (
            "links",
            Closure::<dyn Fn() -> JsValue>::new(move || asked(&links_of, links)),
        ),
        ("stored", Closure::new(move || asked(&stored_of, stored))),
        ("checks", Closure::new(checks)),
    ];
    for (name, function) in functions {
        let _ = js_sys::Reflect::set(&object, &name.into(), &function.into_js_value());
    }
    let _ = js_sys::Reflect::set(
        &js_sys::global(),
        &"starling".into(),
        &js_sys::Object::freeze(&object),
    );
    // As long as the page lives.
    leader.forget();
}

/// A promise of what is `shown` of the network.
fn asked(bridge: &Bridge, shown: fn(&NetworkView) -> JsValue) -> JsValue {
    let bridge = bridge.clone();
    let asking = async move {
        match bridge.query(Query::Network).await {
            Ok(QueryResult::Network(network)) => Ok(shown(&network)),
            _ => Err("no answer".into()),
        }
    };
    future_to_promise(asking).into()
}

fn links(network: &NetworkView) -> JsValue {
    let links: js_sys::Array = network.links.iter().map(link).collect();
    js_sys::JSON::stringify(&links).map_or(JsValue::NULL, JsValue::from)
}

fn stored(network: &NetworkView) -> JsValue {
    (network.entries as f64).into()
}

/// The same check that every entry goes through, and nothing else.
fn checks() -> JsValue {
    let key = KeyPair::from_seed(&[1; 32]);
    let (public, message) = (key.public(), [7; 32]);
    let signature = key.sign(Domain::Entry, &[&message]);
    let began = platform::instant();
    let good = (0..CHECKS)
        .filter(|_| verify(&public, Domain::Entry, &[&message], &signature).is_ok())
        .count();
    let took = platform::instant().since(began).as_secs_f64();
    (good as f64 / took.max(1e-3)).into()
}

fn link(link: &LinkView) -> JsValue {
    let transport = match link.transport {
        Transport::WebRtc => "webrtc",
        Transport::WebSocket => "websocket",
        Transport::Memory => "memory",
    };
    let fields: [(&str, JsValue); 8] = [
        ("peer", link.peer.to_string().into()),
        ("account", link.account.map(|account| account.to_string()).into()),
        ("relay", link.relay.into()),
        ("transport", transport.into()),
        ("rtt_ms", link.rtt_ms.into()),
        ("bytes_in", (link.bytes_in as f64).into()),
        ("bytes_out", (link.bytes_out as f64).into()),
        ("since_ms", (link.since.0 as f64).into()),
    ];
    let object = js_sys::Object::new();
    for (name, value) in fields {
        let _ = js_sys::Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}
