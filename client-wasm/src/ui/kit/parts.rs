//! The small parts pages repeat: buttons, sections, empty places, facts. Functions with plain arguments, since every
//! element written out costs code.

use protocol::AccountId;
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

/// What tells people of one display name apart: the name the network gave them, or the beginning of their key.
pub fn known_as(class: &'static str, handle: &str, account: &AccountId) -> Html {
    html! {
        <span class={classes!(class, handle.is_empty().then_some("mono"))} title={account.to_string()}>
            if handle.is_empty() {
                { account.short() }
            } else {
                <bdi>{ "@" }{ handle.to_owned() }</bdi>
            }
        </span>
    }
}

/// A part of a page under its own heading.
pub fn section(title: &'static str, content: Html) -> Html {
    html! { <section class="section"><h2>{ title }</h2>{ content }</section> }
}

/// A place where nothing is yet: a picture, what it means, what to do.
pub fn empty(
    testid: &'static str,
    picture: Html,
    title: &'static str,
    text: &'static str,
    rest: Html,
) -> Html {
    html! {
        <div class="empty" data-testid={testid}>
            { picture }
            if !title.is_empty() {
                <h2>{ title }</h2>
            }
            <p class="empty__text">{ text }</p>
            { rest }
        </div>
    }
}

/// Terms and their values.
pub fn facts(list: &[(&'static str, String)]) -> Html {
    html! {
        <dl class="facts">
            { for list.iter().map(|(term, value)| html! { <><dt>{ *term }</dt><dd>{ value.clone() }</dd></> }) }
        </dl>
    }
}

/// What went wrong, for as long as it is wrong; announced when it appears.
pub fn trouble(testid: &'static str, text: Option<String>) -> Html {
    html! {
        <div role="alert">
            if let Some(text) = text {
                <p class="field__error" data-testid={testid}>{ icon("warn") }{ text }</p>
            }
        </div>
    }
}
