//! The page: what is said, and a line to say something.

use gloo_timers::future::TimeoutFuture;
use gossip::node::{Config, Node};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wasm_bindgen::prelude::*;
use web_sys::{Document, HtmlElement, HtmlInputElement, SubmitEvent, Window};

use crate::tabs::{Tab, Tabs};

const LINE_CHARS_MAX: usize = 500;
const NEIGHBOURS_EVERY_MS: u32 = 500;

/// Words, and the colour of who says them.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    hue: u16,
    text: String,
}

gossip::messages! {
    /// What tabs say to each other.
    #[derive(Debug)]
    enum Talk {
        1 => Said(Said),
    }
}

fn element(document: &Document, id: &str) -> Result<HtmlElement, JsValue> {
    let found = document.get_element_by_id(id);
    let found = found.ok_or_else(|| JsValue::from(format!("the page has no #{id}")))?;
    Ok(found.unchecked_into())
}

/// Shows what went wrong.
pub(crate) fn fail(error: &JsValue) {
    let status = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| element(&document, "status").ok());
    if let Some(status) = status {
        let text = error.as_string().unwrap_or_else(|| format!("{error:?}"));
        status.set_text_content(Some(&text));
    }
}

fn random(window: &Window) -> Result<[u8; 40], JsValue> {
    let mut bytes = [0; 40];
    window.crypto()?.get_random_values_with_u8_array(&mut bytes)?;
    Ok(bytes)
}

fn invited_by(window: &Window) -> Result<Option<Tab>, JsValue> {
    let hash = window.location().hash()?;
    hash.strip_prefix("#join=")
        .map(|name| Tab::parse(name).ok_or_else(|| "the link names no tab".into()))
        .transpose()
}

/// Everything, until the node ends.
pub(crate) async fn run() -> Result<(), JsValue> {
    let window = web_sys::window().ok_or("no window")?;
    let document = window.document().ok_or("no document")?;
    let random = random(&window)?;
    let (name, seed) = random.split_first_chunk::<8>().ok_or("no chance")?;
    let me = Tab(u64::from_be_bytes(*name));
    let seed: [u8; 32] = seed.try_into().map_err(|_| "no chance")?;
    let hue = u16::from(name[0]) * 360 / 256;

    let invited = invited_by(&window)?;
    let tabs = Tabs::open(window, me)?;
    let (mut node, driver) = Node::<Talk, Tab>::start(tabs, Config::default(), seed);
    wasm_bindgen_futures::spawn_local(driver);

    let status = element(&document, "status")?;
    element(&document, "invite")?.set_attribute("href", &format!("#join={me}"))?;
    element(&document, "me")?.set_text_content(Some(&me.to_string()));
    if let Some(member) = invited {
        status.set_text_content(Some("Joining …"));
        node.join(member).await.map_err(|error| error.to_string())?;
    }

    let (typed, mut lines) = mpsc::unbounded_channel();
    let input: HtmlInputElement = element(&document, "line")?.unchecked_into();
    input.set_max_length(i32::try_from(LINE_CHARS_MAX).unwrap_or(i32::MAX));
    let on_submit = Closure::<dyn FnMut(SubmitEvent)>::new(move |event: SubmitEvent| {
        event.prevent_default();
        let text = input.value().trim().to_owned();
        if !text.is_empty() {
            input.set_value("");
            // Fails only once the node has ended, and the page says so.
            let _ = typed.send(text);
        }
    });
    element(&document, "say")?
        .add_event_listener_with_callback("submit", on_submit.as_ref().unchecked_ref())?;

    loop {
        tokio::select! {
            heard = node.recv() => {
                let heard = heard.ok_or("the node ended")?;
                if let Talk::Said(said) = heard.message {
                    show(&document, &heard.from.to_string(), &said)?;
                }
            }
            text = lines.recv() => {
                let said = Said { hue, text: text.ok_or("the page ended")? };
                show(&document, "you", &said)?;
                node.broadcast(&Talk::Said(said)).await.map_err(|error| error.to_string())?;
            }
            () = TimeoutFuture::new(NEIGHBOURS_EVERY_MS) => {}
        }
        let neighbours = node.neighbours().await;
        let text = match neighbours.len() {
            0 => "Alone so far: open the invitation in another tab.".to_owned(),
            1 => "Linked with 1 tab".to_owned(),
            many => format!("Linked with {many} tabs"),
        };
        if status.text_content().as_deref() != Some(&text) {
            status.set_text_content(Some(&text));
        }
    }
}

fn show(document: &Document, who: &str, said: &Said) -> Result<(), JsValue> {
    let line = document.create_element("li")?;
    let name = document.create_element("b")?;
    name.set_text_content(Some(who));
    name.set_attribute("style", &format!("--hue: {}", said.hue % 360))?;
    line.append_child(&name)?;
    line.append_child(&document.create_text_node(&said.text))?;
    let lines = element(document, "lines")?;
    lines.append_child(&line)?;
    line.scroll_into_view();
    Ok(())
}
