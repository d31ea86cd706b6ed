//! Icons of the sprite in the page, and the mark.

use yew::prelude::*;

/// One icon of the sprite. Decorative: its button or link carries the words.
#[derive(Properties, PartialEq)]
pub struct IconProps {
    /// Its name in the sprite, without the leading `i-`.
    pub name: &'static str,
    /// More classes.
    #[prop_or_default]
    pub class: Classes,
}

/// See [`IconProps`].
#[component]
pub fn Icon(props: &IconProps) -> Html {
    // Pointing icons turn around where people read from the right.
    let flips = matches!(props.name, "back" | "reply").then_some("icon--flips");
    html! {
        <svg class={classes!("icon", flips, props.class.clone())} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            <use href={format!("#i-{}", props.name)} />
        </svg>
    }
}

/// The mark: a small flock.
#[derive(Properties, PartialEq)]
pub struct MarkProps {
    /// Its size in pixels.
    pub size: u32,
}

/// See [`MarkProps`].
#[component]
pub fn Mark(props: &MarkProps) -> Html {
    let size = props.size.to_string();
    html! {
        <svg class="mark" width={size.clone()} height={size} viewBox="0 0 64 64" aria-hidden="true" focusable="false">
            <use href="#mark" />
        </svg>
    }
}
