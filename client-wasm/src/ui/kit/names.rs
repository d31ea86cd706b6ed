//! What people are called on the page.

use protocol::AccountId;
use yew::prelude::*;

/// A person's name as shown: the short key in place of a name not known yet.
pub fn shown_name(name: &str, account: &AccountId) -> String {
    let name = name.trim();
    if name.is_empty() {
        account.short()
    } else {
        name.to_owned()
    }
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
