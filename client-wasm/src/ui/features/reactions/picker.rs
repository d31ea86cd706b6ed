//! Where one chooses a reaction: a few common emoji, and a field for any other.

use engine::api::Error;
use protocol::kinds::emoji;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, MouseEvent};
use yew::prelude::*;

use super::{PART, emoji_button, own, react, strings};
use crate::ui::dom;
use crate::ui::features::post::PostContext;
use crate::ui::kit;
use crate::ui::kit::form::{Field, Form, Kind};

/// The common ones.
pub(super) const EMOJI: [&str; 6] = ["👍", "❤️", "😂", "🎉", "😮", "😢"];
/// The picker; one is open at a time.
const PICKER: &str = "[data-testid=reaction-picker]";
/// Its first button.
const FIRST: &str = "[data-testid=reaction-picker] button";
/// What takes the focus without closing it.
const INSIDE: &str =
    "[data-testid=reaction-picker], article:has([data-testid=reaction-picker]) [data-action=react]";
/// The button that opened it.
const BUTTON: &str = "article:has([data-testid=reaction-picker]) [data-action=react]";

/// Opens the picker, or closes it.
pub(super) fn toggle(context: &PostContext<'_>) -> Callback<MouseEvent> {
    let open = context.open.clone();
    Callback::from(move |_: MouseEvent| {
        let opens = !open.has(PART);
        open.set(PART, opens);
        if opens {
            // Once it is drawn.
            dom::next_frame(|| {
                if let (Some(picker), Some(first)) = (dom::find(PICKER), dom::find(FIRST)) {
                    dom::focus_quietly(&first);
                    dom::reveal(&picker);
                }
            });
        }
    })
}

pub(super) fn picker(context: &PostContext<'_>) -> Html {
    let (post, mine) = (context.post.entry, own(&context.post.beside.reactions));
    let close = {
        let open = context.open.clone();
        Callback::from(move |()| {
            // Before it is gone: the focus goes back to where it came from.
            if let Some(button) = dom::find(BUTTON) {
                dom::focus_quietly(&button);
            }
            open.set(PART, false);
        })
    };
    let make = Callback::from(move |values: Vec<String>| match emoji(&values[0]) {
        Some(emoji) => Ok(react(post, &emoji)),
        None => Err(kit::strings::error_text(&Error::NotAnEmoji)),
    });
    let field = Field {
        id: "reaction-input",
        label: strings::OTHER,
        hint: "",
        kind: Kind::Line,
        chars_max: 0,
        value: String::new(),
    };
    let choice = |emoji: &'static str| {
        let chosen = mine == Some(emoji);
        let (ui, close) = (context.ui.clone(), close.clone());
        let onclick = Callback::from(move |_: MouseEvent| {
            close.emit(());
            ui.command(react(post, if chosen { "" } else { emoji }));
        });
        emoji_button("reaction-picker__emoji", emoji, None, chosen, onclick)
    };
    let onfocusout = {
        let open = context.open.clone();
        Callback::from(move |event: FocusEvent| {
            let to = event
                .related_target()
                .and_then(|to| to.dyn_into::<Element>().ok());
            // A window of the system in front, such as one for emoji, does not close it; and its button closes it by
            // itself.
            let stays = match to {
                None => !dom::document().has_focus().unwrap_or(true),
                Some(to) => to.closest(INSIDE).ok().flatten().is_some(),
            };
            if !stays {
                open.set(PART, false);
            }
        })
    };
    html! {
        <div
            class="reaction-picker"
            // Safari gives the focus to this when a button in it is clicked.
            tabindex="-1"
            role="group"
            aria-label={strings::PICKER}
            data-testid="reaction-picker"
            onclick={|event: MouseEvent| event.stop_propagation()}
            onkeydown={
                let close = close.clone();
                Callback::from(move |event: KeyboardEvent| on_key(&event, &close))
            }
            {onfocusout}
        >
            { for EMOJI.into_iter().map(choice) }
            <Form
                ui={context.ui.clone()}
                fields={vec![field]}
                {make}
                on_done={close.reform(|_| ())}
                submit={strings::REACT}
                button_class="btn"
                submit_testid="reaction-submit"
                inline=true
            />
        </div>
    }
}

/// Arrows move within the picker, Escape closes it.
fn on_key(event: &KeyboardEvent, close: &Callback<()>) {
    let key = event.key();
    let step = match key.as_str() {
        "ArrowRight" | "ArrowDown" => 1,
        "ArrowLeft" | "ArrowUp" => -1,
        "Escape" => {
            event.prevent_default();
            event.stop_propagation();
            return close.emit(());
        }
        _ => return,
    };
    let Some(picker) = dom::find(PICKER) else { return };
    let items = dom::find_all(&picker, "button, input");
    let focused = dom::document().active_element();
    let at = items.iter().position(|item| {
        focused
            .as_ref()
            .is_some_and(|focused| item.is_same_node(Some(focused)))
    });
    let Some(at) = at else { return };
    // In the field, arrows to the sides move the cursor.
    let in_field = items[at].tag_name() == "INPUT";
    if in_field && matches!(key.as_str(), "ArrowLeft" | "ArrowRight") {
        return;
    }
    event.prevent_default();
    let next = (at as isize + step).rem_euclid(items.len() as isize) as usize;
    dom::focus_quietly(&items[next]);
}
