//! `window.starling`: a few things to look at from a console or a test. It shows what the interface shows and changes nothing.

use engine::api::{LinkView, Query, Reply, Transport};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::ui::bridge::Bridge;

/// Puts the object in place: `starling.leader` is a boolean, `starling.links()` a promise of JSON.
pub fn expose(bridge: &Bridge, leading: impl Fn() -> bool + 'static) {
    let object = js_sys::Object::new();
    let leader = Closure::<dyn Fn() -> bool>::new(leading);
    let asking = bridge.clone();
    let links = Closure::<dyn Fn() -> js_sys::Promise>::new(move || {
        let bridge = asking.clone();
        future_to_promise(async move { links(&bridge).await })
    });
    let getter = js_sys::Object::new();
    // Setting properties of a fresh object does not fail.
    let _ = js_sys::Reflect::set(&getter, &"get".into(), leader.as_ref());
    js_sys::Object::define_property(&object, &"leader".into(), &getter);
    let _ = js_sys::Reflect::set(&object, &"links".into(), links.as_ref());
    let _ = js_sys::Reflect::set(
        &js_sys::global(),
        &"starling".into(),
        &js_sys::Object::freeze(&object),
    );
    // As long as the page lives.
    leader.forget();
    links.forget();
}

async fn links(bridge: &Bridge) -> Result<JsValue, JsValue> {
    let Ok(Reply::Network(network)) = bridge.query(Query::Network).await else {
        return Err("no answer".into());
    };
    let links: js_sys::Array = network.links.iter().map(link).collect();
    js_sys::JSON::stringify(&links).map(JsValue::from)
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
