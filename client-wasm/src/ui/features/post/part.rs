//! What other features add to a post: an action beside *Reply*, something below the text, and how their events change a
//! post that is shown already.

use std::rc::Rc;

use engine::api::{Event, PostView, Query, QueryResult};
use protocol::EntryRef;
use yew::prelude::*;

use crate::ui::features::FEATURES;
use crate::ui::state::{AppContext, Live, Ui, use_app, use_live};

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

pub struct PostChange {
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
    pub post: &'a Rc<PostView>,
    /// How it is shown.
    pub shown: Shown,
    /// The author's name as shown.
    pub name: &'a str,
    /// The parts that are open on this post.
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

/// What a query answers about a post: below the post, kept up to date.
#[derive(Properties, PartialEq)]
pub struct DetailsProps {
    pub post: Rc<PostView>,
    pub query: Query,
    /// Its name for tests.
    pub testid: &'static str,
    /// Draws the answer; there is none yet at first.
    pub show: Callback<Details, Html>,
}

/// What there is to draw.
pub struct Details {
    pub app: Rc<AppContext>,
    pub post: Rc<PostView>,
    pub answer: Option<Rc<QueryResult>>,
}

#[component]
pub fn PostDetails(props: &DetailsProps) -> Html {
    let (app, entry) = (use_app(), props.post.entry);
    let (answer, _) = use_live(
        &app,
        Live {
            query: props.query.clone(),
            concerns: Rc::new(move |event| post_change(event).is_some_and(|change| change.post == entry)),
            again_ms: |_| None,
        },
    );
    let post = props.post.clone();
    html! {
        <div class="post-details" data-testid={props.testid}>
            { props.show.emit(Details { app, post, answer }) }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use engine::api::{Beside, ClaimView, Durability};
    use protocol::{AccountId, EntryId};

    use super::*;

    fn post() -> PostView {
        PostView {
            entry: EntryRef {
                account: AccountId([1; 32]),
                id: EntryId([2; 32]),
            },
            name: "Ada".to_owned(),
            text: "Seven neighbours each".to_owned(),
            mine: true,
            in_home: true,
            beside: Beside {
                slug: "flocks".to_owned(),
                ..Beside::default()
            },
            ..PostView::default()
        }
    }

    #[track_caller]
    fn check(event: &Event, changed: impl FnOnce(&mut PostView)) {
        let mut shown = post();
        let change = post_change(event).expect("a feature knows this event");
        assert_eq!(change.post, shown.entry);
        (change.apply)(&mut shown);
        let mut expected = post();
        changed(&mut expected);
        assert_eq!(shown, expected);
    }

    #[test]
    fn events_of_features_change_a_shown_post_and_nothing_else_of_it() {
        let entry = post().entry;
        let durability = Durability {
            saved: true,
            relays: 2,
            ..Durability::default()
        };
        check(
            &Event::Durability {
                post: entry,
                durability,
            },
            |post| post.durability = Some(durability),
        );
        let claim = ClaimView {
            name: "murmurs".to_owned(),
            release: false,
            refused: None,
        };
        let beside = Beside {
            replies: 3,
            ..Beside::default()
        };
        check(
            &Event::Beside {
                post: entry,
                beside: beside.clone(),
                slug_claim: Some(claim.clone()),
            },
            |post| {
                post.beside = beside;
                post.slug_claim = Some(claim);
            },
        );
    }

    #[test]
    fn other_events_change_no_post() {
        assert!(post_change(&Event::Ready { account: true }).is_none());
    }
}
