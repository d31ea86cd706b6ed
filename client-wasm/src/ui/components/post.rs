//! One post, as it stands in a list, above another one in a thread, or alone on its own page.

use std::rc::Rc;

use engine::api::PostView;
use protocol::EntryRef;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent, MouseEvent};
use yew::prelude::*;

use super::avatar::Avatar;
use super::icon::Icon;
use super::post_text::PostText;
use super::safety::{SafetyDetails, SafetyMark, level};
use crate::ui::router::{Link, Route, entry_to_text};
use crate::ui::state::{Action, Dialog, shown_name, time, use_clock, use_ui};
use crate::ui::{dom, strings};

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

/// A post.
#[derive(Properties, PartialEq)]
pub struct PostProps {
    /// The post.
    pub post: Rc<PostView>,
    /// How it is shown.
    #[prop_or_default]
    pub shown: Shown,
    /// Its place in the list, from 1.
    #[prop_or_default]
    pub position: Option<usize>,
    /// How many the list has; 0 if unknown.
    #[prop_or_default]
    pub of: usize,
    /// It stands right below this post and need not say that it answers it.
    #[prop_or_default]
    pub below: Option<EntryRef>,
    /// What "Reply" does instead of opening the reply sheet.
    #[prop_or_default]
    pub on_reply: Option<Callback<()>>,
}

/// See [`PostProps`].
#[component]
pub fn Post(props: &PostProps) -> Html {
    let ui = use_ui();
    let now = use_clock();
    let details = use_state_eq(|| false);
    let post = &props.post;
    let to = Route::Post(post.entry);
    let author = Route::User(post.entry.account);
    let name = shown_name(&post.name, &post.entry.account);
    let focus = props.shown == Shown::Focus;

    let reply = {
        let (ui, post, on_reply) = (ui.clone(), post.clone(), props.on_reply.clone());
        Callback::from(move |_: MouseEvent| match &on_reply {
            Some(on_reply) => on_reply.emit(()),
            None => ui.session.dispatch(Action::Open(Dialog::Reply(post.clone()))),
        })
    };
    let copy = {
        let ui = ui.clone();
        Callback::from(move |_: MouseEvent| ui.copy(to.address(), strings::LINK_COPIED))
    };
    let toggle = {
        let details = details.clone();
        Callback::from(move |_: MouseEvent| details.set(!*details))
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
                .is_some_and(|element| element.class_name().split(' ').any(|class| class == "post"));
            if on_post && event.key() == "Enter" && !event.ctrl_key() && !event.meta_key() {
                event.prevent_default();
                nav.go(to);
            }
        })
    });

    let durability = post.durability.filter(|_| post.mine);
    let when = html! {
        <time datetime={time::machine(post.timestamp)}>
            { if focus { time::exact(post.timestamp) } else { time::relative(post.timestamp, now) } }
        </time>
    };
    html! {
        <article
            class={classes!("post", match props.shown {
                Shown::Listed => None,
                Shown::Ancestor => Some("post--ancestor"),
                Shown::Focus => Some("post--focus"),
            })}
            tabindex="0"
            aria-label={strings::post_by(&name)}
            aria-posinset={props.position.map(|position| position.to_string())}
            aria-setsize={props.position.map(|_| if props.of == 0 { "-1".to_owned() } else { props.of.to_string() })}
            data-testid="post"
            data-post-id={entry_to_text(&post.entry)}
            data-durability={durability.as_ref().map(level)}
            data-peers={durability.map(|durability| durability.peers.to_string())}
            data-relays={durability.map(|durability| durability.relays.to_string())}
            data-opens={(!focus).then_some("")}
            {onclick}
            {onkeydown}
        >
            if props.shown == Shown::Ancestor {
                <span class="post__thread" aria-hidden="true" />
            }
            <Link to={author} class="post__face" quiet=true>
                <Avatar account={post.entry.account} />
            </Link>
            <div class="post__body">
                <div class="post__head">
                    <Link to={author} class="post__name" testid="post-author"><bdi>{ name.clone() }</bdi></Link>
                    if name != post.entry.account.short() {
                        <span class="post__key mono" title={post.entry.account.to_string()}>{ post.entry.account.short() }</span>
                    }
                    if !focus {
                        <Link {to} class="post__time" title={time::exact(post.timestamp)} action="open">{ when.clone() }</Link>
                    }
                </div>
                <div class="post__rest">
                    if let Some(answered) = post.reply.as_ref().filter(|reply| Some(reply.parent) != props.below) {
                        <p class="post__answers">
                            <Link to={Route::Post(answered.parent)}>
                                { strings::ANSWERS }{ " " }
                                <bdi>{ shown_name(&answered.parent_name, &answered.parent.account) }</bdi>
                            </Link>
                        </p>
                    }
                    <PostText text={post.text.clone()} folds={!focus} />
                    if focus {
                        <Link {to} class="post__when">{ when }</Link>
                    }
                    <div class="post__actions">
                        <button
                            type="button"
                            class="action"
                            data-action="reply"
                            aria-label={strings::reply_to(&name, post.replies)}
                            onclick={reply}
                        >
                            <Icon name="reply" />
                            if post.replies > 0 {
                                <span>{ strings::reply_count(post.replies) }</span>
                            }
                        </button>
                        <button
                            type="button"
                            class="action"
                            data-action="copy"
                            aria-label={strings::COPY_LINK}
                            title={strings::COPY_LINK}
                            onclick={copy}
                        >
                            <Icon name="link" />
                        </button>
                        if let Some(durability) = durability {
                            <SafetyMark {durability} open={*details} onclick={toggle} />
                        }
                    </div>
                    if let (Some(durability), true) = (durability, *details) {
                        <SafetyDetails post={post.entry} {durability} />
                    }
                </div>
            </div>
        </article>
    }
}

fn is_on_control(event: &MouseEvent) -> bool {
    event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|element| {
            element
                .closest("a, button, input, textarea, .safety-details")
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
