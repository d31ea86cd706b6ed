//! Keyboard shortcuts.

use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::strings;
use crate::ui::dom;
use crate::ui::features::FEATURES;
use crate::ui::features::post::move_focus;
use crate::ui::route::Route;
use crate::ui::state::{Action, Dialog, Ui};

/// A page that is not drawn after this many frames does not come.
const FRAMES_WAITED: u32 = 30;

/// A shortcut of a feature.
pub struct Shortcut {
    /// The key, as the browser names it.
    pub key: &'static str,
    /// What it does, in the list of shortcuts.
    pub what: &'static str,
    /// Does it.
    pub run: fn(&Ui),
}

fn of_features() -> impl Iterator<Item = &'static Shortcut> {
    FEATURES.iter().flat_map(|feature| feature.shortcuts)
}

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
        "." => dom::click("[data-testid=new-posts-pill]"),
        "?" => ui.session.dispatch(Action::Open(Dialog::Keys)),
        "/" => {
            if dom::by_id("follow-input").is_none() {
                ui.nav.go(Route::Explore);
            }
            dom::focus_soon("follow-input", FRAMES_WAITED);
        }
        key => match of_features().find(|shortcut| shortcut.key == key) {
            Some(shortcut) => (shortcut.run)(ui),
            None => return,
        },
    }
    event.prevent_default();
}

/// All shortcuts, as they are shown: those of posts, those of features, the others.
pub fn list() -> Html {
    let features = of_features().map(|shortcut| (shortcut.key, shortcut.what));
    let all = strings::KEYS_OF_POSTS
        .into_iter()
        .chain(features)
        .chain(strings::KEYS_OF_APP);
    html! {
        <dl class="keys">
            { for all.map(|(key, what)| html! {
                <>
                    <dt><kbd class="kbd">{ key }</kbd></dt>
                    <dd>{ what }</dd>
                </>
            }) }
        </dl>
    }
}
