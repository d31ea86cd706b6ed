//! Keyboard shortcuts.

use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::strings;
use crate::ui::dom;
use crate::ui::features::post::move_focus;
use crate::ui::route::Route;
use crate::ui::state::{Action, Dialog, Ui};

/// A page that is not drawn after this many frames does not come.
const FRAMES_WAITED: u32 = 30;

/// What a key does outside of fields and dialogs.
pub fn on_key(ui: &Ui, event: &KeyboardEvent) {
    let modified = event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing();
    let writing = event
        .target()
        .and_then(|target| target.dyn_into::<HtmlElement>().ok())
        .is_some_and(|element| {
            matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
                || element.is_content_editable()
        });
    if modified || writing || dom::find("dialog[open]").is_some() || dom::find(".frame").is_none() {
        return;
    }
    match event.key().as_str() {
        "j" => move_focus(true),
        "k" => move_focus(false),
        "r" => click(
            "[data-testid=post]:focus [data-action=reply], [data-testid=post]:focus-within [data-action=reply]",
        ),
        "n" => ui.session.dispatch(Action::Open(Dialog::Compose)),
        "." => click("[data-testid=new-posts-pill]"),
        "?" => ui.session.dispatch(Action::Open(Dialog::Keys)),
        "/" => {
            if dom::by_id("follow-input").is_none() {
                ui.nav.go(Route::Explore);
            }
            dom::focus_soon("follow-input", FRAMES_WAITED);
        }
        _ => return,
    }
    event.prevent_default();
}

fn click(selector: &str) {
    if let Some(element) = dom::find(selector) {
        element.click();
    }
}

/// All shortcuts, as they are shown.
pub fn list() -> Html {
    html! {
        <dl class="keys">
            { for strings::KEY_LIST.iter().map(|(key, what)| html! {
                <>
                    <dt><kbd class="kbd">{ *key }</kbd></dt>
                    <dd>{ *what }</dd>
                </>
            }) }
        </dl>
    }
}
