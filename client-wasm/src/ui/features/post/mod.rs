//! One post: in a list, above another one in a thread, or alone on its own page.

mod part;
pub mod pieces;
pub mod strings;
pub mod text;

use std::rc::Rc;

use engine::api::{Event, PostView};
use protocol::EntryRef;
use protocol::kinds::ReplyTo;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent, MouseEvent};
use yew::prelude::*;

use self::part::use_open_parts;
pub use self::part::{Details, PostChange, PostContext, PostDetails, PostPart, post_change};
use self::text::{fold_button, is_long, post_text};
use crate::ui::dom;
use crate::ui::features::{FEATURES, Feature, durability};
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::icons::icon;
use crate::ui::kit::{self, shown_name, time};
use crate::ui::route::{Route, entry_to_text, slug_path};
use crate::ui::state::Ui;

/// The post itself adds the copying of its link, and what other entries say about it.
pub const FEATURE: Feature = Feature {
    post: PostPart {
        action: copy_action,
        on_event: |event| match event {
            Event::Beside {
                post,
                beside,
                slug_claim,
            } => {
                let (beside, slug_claim) = (beside.clone(), slug_claim.clone());
                Some(PostChange {
                    post: *post,
                    apply: Box::new(move |view| {
                        view.beside.clone_from(&beside);
                        view.slug_claim.clone_from(&slug_claim);
                    }),
                })
            }
            _ => None,
        },
        ..PostPart::NONE
    },
    ..Feature::NONE
};

/// How a post is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// In a list.
    #[default]
    Listed,
    /// Above the post that answers it.
    Ancestor,
    /// Alone, in full.
    Focus,
}

#[derive(Properties, PartialEq)]
pub struct PostProps {
    /// What may be done. Not the whole app: posts need not be drawn again whenever anything changes.
    pub ui: Ui,
    /// The wall clock in milliseconds.
    pub now_ms: u64,
    pub post: Rc<PostView>,
    /// How it is shown.
    #[prop_or_default]
    pub shown: Shown,
    /// Its place in the list, from 1; 0 outside of lists.
    #[prop_or_default]
    pub position: usize,
    /// How many the list has; 0 if unknown.
    #[prop_or_default]
    pub of: usize,
    /// It is shown right below this post and need not say that it answers it.
    #[prop_or_default]
    pub below: Option<EntryRef>,
}

#[component]
pub fn Post(props: &PostProps) -> Html {
    let unfolded = use_state_eq(|| false);
    let open = use_open_parts();
    let (ui, post) = (&props.ui, &props.post);
    let to = Route::Post(post.entry);
    let author = Route::User(post.entry.account).path();
    let name = shown_name(&post.name, &post.entry.account);
    let focus = props.shown == Shown::Focus;
    let context = PostContext {
        ui,
        post,
        shown: props.shown,
        name: &name,
        open,
    };
    // A convenience for the mouse: the time is the real link.
    let onclick = (!focus).then(|| {
        let nav = ui.nav.clone();
        Callback::from(move |event: MouseEvent| {
            if !is_on_control(&event) && !is_selecting() {
                nav.go(to);
            }
        })
    });
    let onkeydown = (!focus).then(|| {
        let nav = ui.nav.clone();
        Callback::from(move |event: KeyboardEvent| {
            // Not when a link or button inside the post is meant.
            let on_post = event
                .target()
                .and_then(|target| target.dyn_into::<Element>().ok())
                .is_some_and(|element| element.has_attribute("data-post-id"));
            if on_post && event.key() == "Enter" && !event.ctrl_key() && !event.meta_key() {
                event.prevent_default();
                nav.go(to);
            }
        })
    });

    let durability = post.durability.filter(|_| post.mine);
    let long = !focus && is_long(&post.text);
    html! {
        <article
            class={match props.shown {
                Shown::Listed => "post",
                Shown::Ancestor => "post post--ancestor",
                Shown::Focus => "post post--focus",
            }}
            tabindex="0"
            aria-label={strings::post_by(&name)}
            aria-posinset={(props.position > 0).then(|| props.position.to_string())}
            aria-setsize={(props.position > 0).then(|| if props.of == 0 { "-1".to_owned() } else { props.of.to_string() })}
            data-testid="post"
            data-post-id={entry_to_text(&post.entry)}
            data-durability={durability.as_ref().map(durability::level)}
            data-peers={durability.map(|durability| durability.peers.to_string())}
            data-relays={durability.map(|durability| durability.relays.to_string())}
            data-opens={(!focus).then_some("")}
            {onclick}
            {onkeydown}
        >
            if props.shown == Shown::Ancestor {
                <span class="post__thread" aria-hidden="true" />
            }
            <a href={author.clone()} class="post__face" aria-hidden="true" tabindex="-1">
                { avatar(&post.entry.account, "44") }
            </a>
            <div class="post__body">
                <div class="post__head">
                    <a href={author} class="post__name" data-testid="post-author"><bdi>{ name.clone() }</bdi></a>
                    if name != post.entry.account.short() || !post.handle.is_empty() {
                        { kit::known_as("post__key", &post.handle, &post.entry.account) }
                    }
                    if !focus {
                        <a href={to.path()} class="post__time">{ time::ago(post.timestamp, props.now_ms) }</a>
                    }
                </div>
                <div class="post__rest">
                    if let Some(answered) = post.reply.as_ref().filter(|reply| Some(reply.parent) != props.below) {
                        <p class="post__answers">
                            <a href={Route::Post(answered.parent).path()}>
                                { strings::ANSWERS }{ " " }
                                <bdi>{ shown_name(&answered.parent_name, &answered.parent.account) }</bdi>
                            </a>
                        </p>
                    }
                    { post_text(&post.text, long && !*unfolded) }
                    if long {
                        { fold_button(!*unfolded, toggle(&unfolded)) }
                    }
                    if focus {
                        <a href={to.path()} class="post__when">
                            <time datetime={time::machine(post.timestamp)}>{ time::exact(post.timestamp) }</time>
                        </a>
                    }
                    <div class="post__actions">
                        { for FEATURES.iter().map(|feature| (feature.post.action)(&context)) }
                    </div>
                    { for FEATURES.iter().map(|feature| (feature.post.below)(&context)) }
                </div>
            </div>
        </article>
    }
}

fn toggle(state: &UseStateHandle<bool>) -> Callback<MouseEvent> {
    let state = state.clone();
    Callback::from(move |_: MouseEvent| state.set(!*state))
}

fn copy_action(context: &PostContext<'_>) -> Html {
    let onclick = {
        let ui = context.ui.clone();
        // The short link, if there is one.
        let address = match context.post.beside.slug.as_str() {
            "" => Route::Post(context.post.entry).address(),
            slug => dom::origin() + &slug_path(slug),
        };
        Callback::from(move |_: MouseEvent| ui.copy(address.clone(), kit::strings::LINK_COPIED))
    };
    html! {
        <button
            type="button"
            class="action"
            data-action="copy"
            aria-label={strings::COPY_LINK}
            title={strings::COPY_LINK}
            {onclick}
        >
            { icon("link") }
        </button>
    }
}

fn is_on_control(event: &MouseEvent) -> bool {
    event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|element| {
            element
                .closest("a, button, input, textarea, .post-details")
                .ok()
                .flatten()
        })
        .is_some()
}

fn is_selecting() -> bool {
    dom::window()
        .get_selection()
        .ok()
        .flatten()
        .is_some_and(|selection| !selection.is_collapsed())
}

/// Presses the button with this `data-action` on the post that has the focus.
pub fn act_on_focused(action: &str) {
    dom::click(&format!(
        "[data-testid=post]:focus [data-action={action}], [data-testid=post]:focus-within [data-action={action}]"
    ));
}

/// Moves the focus to the next (or previous) post on the page, as `j` and `k` do.
pub fn move_focus(forward: bool) {
    let Some(main) = dom::find("main") else { return };
    let posts = dom::find_all(&main, "[data-testid=post]");
    let focused = dom::document()
        .active_element()
        .and_then(|element| element.closest("[data-testid=post]").ok().flatten());
    let target: Option<&HtmlElement> = match focused {
        Some(focused) => {
            let at = posts.iter().position(|post| focused.is_same_node(Some(post)));
            match (at, forward) {
                (Some(at), true) => posts.get(at + 1),
                (Some(at), false) => at.checked_sub(1).and_then(|before| posts.get(before)),
                (None, _) => posts.first(),
            }
        }
        // Nothing is focused: the first post that is whole on the screen.
        None => posts
            .iter()
            .find(|post| post.get_bounding_client_rect().top() >= 56.0)
            .or_else(|| posts.last()),
    };
    if let Some(target) = target {
        dom::focus_quietly(target);
        dom::reveal(target);
    }
}

/// What a reply to this post says it answers.
pub fn answering(post: &PostView) -> ReplyTo {
    ReplyTo {
        root: post.reply.as_ref().map_or(post.entry, |reply| reply.root),
        parent: post.entry,
    }
}
