//! Buttons. Functions with plain arguments, since every element written out costs code.

use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::kit::icons::icon;

/// A button with words, and an icon unless its name is empty.
pub fn button(
    class: &'static str,
    testid: &'static str,
    name: &'static str,
    label: &'static str,
    onclick: Callback<MouseEvent>,
) -> Html {
    html! {
        <button type="button" {class} data-testid={testid} {onclick}>
            if !name.is_empty() {
                { icon(name) }
            }
            { label }
        </button>
    }
}

/// A button that is only an icon; its label is spoken, and shown when it is pointed at.
pub fn icon_button(
    class: &'static str,
    name: &'static str,
    label: &'static str,
    onclick: Callback<MouseEvent>,
) -> Html {
    html! {
        <button type="button" {class} aria-label={label} title={label} {onclick}>{ icon(name) }</button>
    }
}
