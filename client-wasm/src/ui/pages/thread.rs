//! A post on its own page: what it answers above, what answers it below.

use std::rc::Rc;

use engine::api::{Event, Query, Reply, ThreadView};
use gloo_timers::callback::Timeout;
use protocol::EntryRef;
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::components::composer::Composer;
use crate::ui::components::frame::Page;
use crate::ui::components::icon::Mark;
use crate::ui::components::post::{Post, Shown};
use crate::ui::components::waiting::WaitingPosts;
use crate::ui::router::{Link, Route, Visit, entry_to_text};
use crate::ui::state::{answering, shown_name, use_events, use_session, use_ui};
use crate::ui::{dom, strings};

/// While peers are asked, the thread is read again this often.
const SEARCH_PAUSE_MS: u32 = 2_000;

/// Which post.
#[derive(Properties, PartialEq)]
pub struct ThreadProps {
    /// The post.
    pub post: EntryRef,
}

/// See [`ThreadProps`].
#[component]
pub fn Thread(props: &ThreadProps) -> Html {
    let ui = use_ui();
    let session = use_session();
    let entry = props.post;
    let thread = use_state(|| None::<ThreadView>);
    // Asked again when this number changes.
    let round = use_state(|| 0_u32);
    let ask_again = {
        let round = round.clone();
        Callback::from(move |()| round.set(*round + 1))
    };
    {
        let (ui, thread) = (ui.clone(), thread.setter());
        use_effect_with((entry, *round), move |(entry, _)| {
            let post = *entry;
            spawn_local(async move {
                if let Ok(Reply::Thread(view)) = ui.bridge.query(Query::Thread { post }).await {
                    thread.set(Some(view));
                }
            });
        });
    }
    {
        let (thread, ask_again) = (thread.clone(), ask_again.clone());
        use_events(move |event| match event {
            Event::Posts { posts, more } => {
                let concerned = *more
                    || posts.iter().any(|post| {
                        post.entry == entry
                            || post.reply.is_some()
                            || thread.as_ref().is_none_or(|t| t.post.is_none())
                    });
                if concerned {
                    ask_again.emit(());
                }
            }
            Event::Durability { post, durability } => {
                let Some(mut view) = (*thread).clone() else { return };
                let shown = view
                    .post
                    .iter_mut()
                    .chain(&mut view.ancestors)
                    .chain(&mut view.replies)
                    .find(|shown| shown.entry == *post);
                if let Some(shown) = shown {
                    shown.durability = Some(*durability);
                    thread.set(Some(view));
                }
            }
            Event::Profile(_) | Event::Ready { .. } => ask_again.emit(()),
            _ => {}
        });
    }
    let searching = thread
        .as_ref()
        .is_some_and(|view| view.searching && view.post.is_none());
    {
        let ask_again = ask_again.clone();
        use_effect_with((searching, *round), move |(searching, _)| {
            let timer = searching.then(|| Timeout::new(SEARCH_PAUSE_MS, move || ask_again.emit(())));
            move || drop(timer)
        });
    }
    // What is asked for stands at the top, with what it answers to be found by scrolling up.
    let found = thread
        .as_ref()
        .is_some_and(|view| view.post.is_some() && view.entry == entry);
    let visit = use_context::<Visit>().map_or(0, |visit| visit.number);
    use_effect_with((entry, found, visit), move |(_, found, _)| {
        if *found && let Some(post) = dom::find(".post--focus") {
            dom::reveal(&post);
        }
    });

    let again = {
        let ask_again = ask_again.clone();
        Callback::from(move |_: MouseEvent| ask_again.emit(()))
    };
    let view = (*thread).clone().filter(|view| view.entry == entry);
    let body = match view {
        None => html! {},
        Some(ThreadView {
            post: None,
            searching: true,
            ..
        }) => html! {
            <div role="status" data-testid="thread-searching">
                <div class="post" aria-hidden="true">
                    <span class="skeleton skeleton--avatar" />
                    <div class="stack stack--wide">
                        <span class="skeleton skeleton--name" />
                        <span class="skeleton skeleton--line" />
                        <span class="skeleton skeleton--short" />
                    </div>
                </div>
                <div class="empty">
                    <h2>{ strings::THREAD_SEARCHING }</h2>
                    <p class="empty__text">{ strings::THREAD_SEARCHING_HINT }</p>
                </div>
            </div>
        },
        Some(ThreadView { post: None, .. }) => html! {
            <div class="empty" data-testid="thread-not-found">
                <Mark size={56} />
                <h2>{ strings::THREAD_NOT_FOUND }</h2>
                <p class="empty__text">{ strings::THREAD_NOT_FOUND_HINT }</p>
                <div class="row">
                    <button type="button" class="btn" onclick={again}>{ strings::RETRY }</button>
                    <Link to={Route::User(entry.account)} class="btn">{ strings::THREAD_TO_AUTHOR }</Link>
                </div>
            </div>
        },
        Some(ThreadView {
            post: Some(post),
            ancestors,
            replies,
            ..
        }) => {
            let post = Rc::new(post);
            let parent = post.reply.as_ref().map(|reply| reply.parent);
            let above = ancestors.last().map(|ancestor| ancestor.entry);
            let gap = parent.filter(|parent| ancestors.last().is_none_or(|last| last.entry != *parent));
            let reply = Callback::from(|()| {
                if let Some(area) = dom::find("main [data-testid=composer-input]") {
                    dom::focus_quietly(&area);
                    dom::reveal(&area);
                }
            });
            html! {
                <>
                    { for ancestors.iter().enumerate().map(|(index, ancestor)| html! {
                        <Post
                            key={entry_to_text(&ancestor.entry)}
                            post={Rc::new(ancestor.clone())}
                            shown={Shown::Ancestor}
                            below={index.checked_sub(1).map(|above| ancestors[above].entry)}
                        />
                    }) }
                    if let Some(gap) = gap {
                        <p class="thread__missing">
                            <Link to={Route::Post(gap)}>{ strings::THREAD_PARENT_MISSING }</Link>
                        </p>
                    }
                    <Post key={entry_to_text(&post.entry)} post={post.clone()} shown={Shown::Focus} below={above} on_reply={reply} />
                    if session.may_write() {
                        <Composer key={format!("reply-{}", entry.id)} reply_to={answering(&post)} />
                    }
                    <h2 class="thread__title">{ strings::THREAD_REPLIES }</h2>
                    <WaitingPosts reply_to={entry} />
                    if replies.is_empty() {
                        <p class="thread__end">{ strings::THREAD_NO_REPLIES }</p>
                    } else {
                        { for replies.iter().map(|reply| html! {
                            <Post key={entry_to_text(&reply.entry)} post={Rc::new(reply.clone())} below={entry} />
                        }) }
                    }
                </>
            }
        }
    };
    let title = thread.as_ref().and_then(|view| view.post.as_ref()).map_or_else(
        || strings::THREAD.to_owned(),
        |post| strings::post_by(&shown_name(&post.name, &post.entry.account)),
    );
    html! { <Page {title} back=true>{ body }</Page> }
}
