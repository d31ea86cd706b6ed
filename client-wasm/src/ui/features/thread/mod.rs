//! A post on its own page: what it answers above, what answers it below.

pub mod strings;

use std::rc::Rc;

use engine::api::{Event, PostView, Query, QueryResult, ThreadView};
use protocol::EntryRef;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::features::Feature;
use crate::ui::features::compose::Composer;
use crate::ui::features::compose::outbox::pending_posts;
use crate::ui::features::post::strings::post_by;
use crate::ui::features::post::{Post, Shown, answering, post_change};
use crate::ui::kit::icons::mark;
use crate::ui::kit::{self, plain_name};
use crate::ui::route::{Route, entry_to_text};
use crate::ui::shell::layout::Page;
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::state::{AppContext, Live, use_app, use_live};

/// The page of a post.
pub const FEATURE: Feature = Feature {
    page: |app| match app.location.route {
        Route::Post(post) => {
            let load = move || thread_page(post);
            Some(lazy_page(post.id.to_string(), strings::THREAD, true, load))
        }
        _ => None,
    },
    ..Feature::NONE
};

loaded_later!(
    fn thread_page(post: EntryRef) {
        html! { <Thread {post} /> }
    }
);

/// Interval in milliseconds at which the thread is read again while peers are asked.
const SEARCH_PAUSE_MS: u32 = 2_000;

#[derive(Properties, PartialEq)]
pub struct ThreadProps {
    pub post: EntryRef,
}

#[component]
pub fn Thread(props: &ThreadProps) -> Html {
    let app = use_app();
    let entry = props.post;
    let (reply, ask_again) = use_live(
        &app,
        Live {
            query: Query::Thread { post: entry },
            concerns: Rc::new(move |event| concerns(event, entry)),
            again_ms: |reply| match reply {
                QueryResult::Thread(view) if view.post.is_none() && view.searching => Some(SEARCH_PAUSE_MS),
                _ => None,
            },
        },
    );
    let view = match reply.as_deref() {
        Some(QueryResult::Thread(view)) => Some(view),
        _ => None,
    };
    let post = view.and_then(|view| view.post.as_ref());
    // The post itself is at the top of the screen; what it answers is found by scrolling up.
    use_effect_with(
        (entry, post.is_some(), app.location.number),
        move |(_, found, _)| {
            if *found && let Some(post) = dom::find(".post--focus") {
                dom::reveal(&post);
            }
        },
    );
    let body = match (view, post) {
        (None, _) => html! {},
        (Some(view), None) if view.searching => searching(),
        (Some(_), None) => {
            let again = ask_again.reform(|_: MouseEvent| ());
            not_found(&entry, again)
        }
        (Some(view), Some(post)) => found(&app, view, post),
    };
    let title = post.map_or_else(
        || strings::THREAD.to_owned(),
        |post| post_by(&plain_name(&post.name, &post.entry.account)),
    );
    html! { <Page {title} back=true>{ body }</Page> }
}

/// Whether an event changes what the page of a post shows.
fn concerns(event: &Event, entry: EntryRef) -> bool {
    match event {
        Event::Posts { posts, more } => {
            *more
                || posts
                    .iter()
                    .any(|post| post.entry == entry || post.reply.is_some())
        }
        Event::Profile(_) => true,
        // Of a reply or of what is answered as well.
        other => post_change(other).is_some(),
    }
}

/// The post that this one answers, if it is not among those above.
fn missing_parent(view: &ThreadView, post: &PostView) -> Option<EntryRef> {
    let above = view.ancestors.last().map(|ancestor| ancestor.entry);
    let parent = post.reply.as_ref().map(|reply| reply.parent);
    parent.filter(|parent| above != Some(*parent))
}

fn found(app: &AppContext, view: &ThreadView, post: &PostView) -> Html {
    let entry = post.entry;
    let above = view.ancestors.last().map(|ancestor| ancestor.entry);
    let shown = |post: &PostView, shown: Shown, below: Option<EntryRef>| {
        html! {
            <Post
                key={entry_to_text(&post.entry)}
                ui={app.ui.clone()}
                now_ms={app.now_ms}
                post={Rc::new(post.clone())}
                {shown}
                {below}
            />
        }
    };
    html! {
        <>
            { for view.ancestors.iter().enumerate().map(|(index, ancestor)| {
                shown(ancestor, Shown::Ancestor, index.checked_sub(1).map(|above| view.ancestors[above].entry))
            }) }
            if let Some(gap) = missing_parent(view, post) {
                <p key="gap" class="thread__missing"><a href={Route::Post(gap).path()}>{ strings::THREAD_PARENT_MISSING }</a></p>
            }
            { shown(post, Shown::Focus, above) }
            if app.session.may_write() {
                <Composer key="composer" reply_to={answering(post)} />
            }
            <h2 key="replies" class="thread__title">{ strings::THREAD_REPLIES }</h2>
            <div key="waiting">{ pending_posts(app, Some(entry)) }</div>
            if view.replies.is_empty() {
                <p key="none" class="thread__end">{ strings::THREAD_NO_REPLIES }</p>
            }
            { for view.replies.iter().map(|reply| shown(reply, Shown::Listed, Some(entry))) }
        </>
    }
}

fn searching() -> Html {
    html! {
        <div role="status" data-testid="thread-searching">
            <div class="post" aria-hidden="true">
                <span class="skeleton skeleton--avatar" />
                <div class="stack stack--wide">
                    <span class="skeleton skeleton--name" />
                    <span class="skeleton skeleton--line" />
                    <span class="skeleton skeleton--short" />
                </div>
            </div>
            { kit::empty("", html! {}, strings::THREAD_SEARCHING, strings::THREAD_SEARCHING_HINT, html! {}) }
        </div>
    }
}

fn not_found(entry: &EntryRef, again: Callback<MouseEvent>) -> Html {
    let rest = html! {
        <div class="row">
            { kit::button("btn", "thread-retry", "retry", kit::strings::RETRY, again) }
            <a href={Route::User(entry.account).path()} class="btn">{ strings::THREAD_TO_AUTHOR }</a>
        </div>
    };
    kit::empty(
        "thread-not-found",
        mark("56"),
        strings::THREAD_NOT_FOUND,
        strings::THREAD_NOT_FOUND_HINT,
        rest,
    )
}

#[cfg(test)]
mod tests {
    use engine::api::ReplyView;
    use protocol::{AccountId, EntryId};

    use super::*;

    fn post(number: u8, parent: Option<u8>) -> PostView {
        let entry = |number| EntryRef {
            account: AccountId([1; 32]),
            id: EntryId([number; 32]),
        };
        PostView {
            entry: entry(number),
            reply: parent.map(|parent| ReplyView {
                root: entry(1),
                parent: entry(parent),
                parent_name: String::new(),
            }),
            ..PostView::default()
        }
    }

    #[test]
    fn a_gap_is_shown_where_the_answered_post_is_not_here() {
        let thread = |ancestors| ThreadView {
            entry: post(3, None).entry,
            post: None,
            ancestors,
            replies: Vec::new(),
            searching: false,
        };
        let reply = post(3, Some(2));
        let complete = thread(vec![post(1, None), post(2, Some(1))]);
        assert_eq!(missing_parent(&complete, &reply), None);
        let parent = Some(post(2, None).entry);
        assert_eq!(missing_parent(&thread(vec![post(1, None)]), &reply), parent);
        assert_eq!(missing_parent(&thread(Vec::new()), &reply), parent);
        assert_eq!(missing_parent(&thread(Vec::new()), &post(1, None)), None);
    }

    #[test]
    fn the_page_is_read_again_for_the_post_and_for_replies_of_any_thread() {
        let entry = post(3, None).entry;
        let posts = |posts, more| concerns(&Event::Posts { posts, more }, entry);
        assert!(posts(vec![post(3, None)], false));
        assert!(posts(vec![post(9, Some(8))], false));
        assert!(!posts(vec![post(9, None)], false));
        assert!(posts(vec![post(9, None)], true), "some are not listed");
    }
}
