//! What pages repeat: sections, empty places, facts, what went wrong.

use yew::prelude::*;

use super::icons::icon;

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
