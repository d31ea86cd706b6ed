//! What other features add to a post: an action beside *Reply*, something below the text, and how their events change a
//! post that is shown already.

use std::rc::Rc;

use engine::api::{Event, PostView};
use protocol::EntryRef;
use yew::prelude::*;

use crate::ui::features::FEATURES;
use crate::ui::state::Ui;

use super::Shown;

/// What a feature adds to every post.
pub struct PostPart {
    /// A button in the row of actions.
    pub action: fn(&PostContext<'_>) -> Html,
    /// Something below the actions.
    pub below: fn(&PostContext<'_>) -> Html,
    /// How an event changes a post that is shown.
    pub on_event: fn(&Event) -> Option<PostChange>,
}

impl PostPart {
    /// A part that adds nothing.
    pub const NONE: Self = Self {
        action: |_| html! {},
        below: |_| html! {},
        on_event: |_| None,
    };
}

/// A change of one post.
pub struct PostChange {
    /// The post.
    pub post: EntryRef,
    /// Makes the change.
    pub apply: Box<dyn Fn(&mut PostView)>,
}

/// The change that an event makes to a post, if any.
pub fn post_change(event: &Event) -> Option<PostChange> {
    FEATURES.iter().find_map(|feature| (feature.post.on_event)(event))
}

/// The post that something is added to.
pub struct PostContext<'a> {
    /// What may be done.
    pub ui: &'a Ui,
    /// The post.
    pub post: &'a Rc<PostView>,
    /// How it is shown.
    pub shown: Shown,
    /// The author's name as shown.
    pub name: &'a str,
    /// Which parts are open on this post.
    pub open: OpenParts,
}

/// Which parts of one post the reader opened, by name.
#[derive(Clone)]
pub struct OpenParts(UseStateHandle<Vec<&'static str>>);

/// None of them is open at first.
#[hook]
pub fn use_open_parts() -> OpenParts {
    OpenParts(use_state_eq(Vec::new))
}

impl OpenParts {
    /// Whether a part is open.
    pub fn has(&self, part: &'static str) -> bool {
        self.0.contains(&part)
    }

    /// Opens or closes a part.
    pub fn set(&self, part: &'static str, open: bool) {
        let mut parts = (*self.0).clone();
        parts.retain(|known| *known != part);
        if open {
            parts.push(part);
        }
        self.0.set(parts);
    }

    /// Opens a part that is closed, and closes one that is open.
    pub fn toggle<E: 'static>(&self, part: &'static str) -> Callback<E> {
        let parts = self.clone();
        Callback::from(move |_: E| parts.set(part, !parts.has(part)))
    }
}
