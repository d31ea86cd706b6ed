//! What people are called on the page.

use protocol::AccountId;
use text::visible;
use yew::prelude::*;

/// A person's name as shown: the short key in place of a name that is not known yet, or of which nothing can be seen. It
/// belongs into an element that isolates it, such as `<bdi>`.
pub fn shown_name(name: &str, account: &AccountId) -> String {
    let shown = visible::name(name);
    if shown.is_empty() { account.short() } else { shown }
}

/// The same, isolated by characters: for titles and sentences that are plain text.
pub fn plain_name(name: &str, account: &AccountId) -> String {
    visible::isolated(&shown_name(name, account))
}

/// What tells people of one display name apart: their handle, or the beginning of their key.
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
