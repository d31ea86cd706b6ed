//! Icons of the sprite in the page, and the mark. Decorative: the button or link around them carries the words.

use yew::prelude::*;

/// One icon of the sprite, named without the leading `i-`.
pub fn icon(name: &'static str) -> Html {
    icon_with(name, "")
}

/// One icon with one more class.
pub fn icon_with(name: &'static str, class: &'static str) -> Html {
    // Pointing icons turn around where people read from the right.
    let flips = if matches!(name, "back" | "reply") {
        "icon--flips"
    } else {
        ""
    };
    html! {
        <svg class={classes!("icon", flips, class)} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            <use href={format!("#i-{name}")} />
        </svg>
    }
}

/// The mark: a small flock, this many pixels high.
pub fn mark(size: &'static str) -> Html {
    html! {
        <svg class="mark" width={size} height={size} viewBox="0 0 64 64" aria-hidden="true" focusable="false">
            <use href="#mark" />
        </svg>
    }
}
