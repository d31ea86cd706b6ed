//! Looking around: everything public that reached this device, following by link, and whom one follows.

use std::rc::Rc;

use engine::api::{Event, Query, Reply, Timeline};
use yew::prelude::*;

use crate::ui::features::feed::Feed;
use crate::ui::features::follow::{follow_form, person};
use crate::ui::kit;
use crate::ui::kit::icons::icon_with;
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::state::{Live, Scene, use_live, use_scene};
use crate::ui::strings;

/// Public posts, and following by link.
pub fn explore(scene: &Scene) -> Html {
    let picture = icon_with("explore", "empty__icon");
    let empty = kit::empty(
        "empty-public",
        picture,
        strings::EMPTY_PUBLIC_TITLE,
        strings::EMPTY_PUBLIC,
        html! {},
    );
    html! {
        <Page title={strings::EXPLORE}>
            <section class="section">{ follow_form(scene, false) }</section>
            <Feed key="public" timeline={Timeline::Public} label={strings::PUBLIC_FEED} {empty} />
        </Page>
    }
}

/// Whom one follows.
#[component]
pub fn Following() -> Html {
    let scene = use_scene();
    let (reply, _) = use_live(
        &scene,
        Live {
            query: Query::Following,
            concerns: Rc::new(|event| matches!(event, Event::Profile(_) | Event::Me(_))),
            again_ms: |_| None,
        },
    );
    let list = match reply.as_deref() {
        Some(Reply::Profiles(list)) if list.is_empty() => {
            let rest = html! { <a href={Route::Explore.path()} class="btn">{ strings::LOOK_AROUND }</a> };
            kit::empty("empty-following", html! {}, "", strings::FOLLOWING_NONE, rest)
        }
        Some(Reply::Profiles(list)) => html! {
            <ul>{ for list.iter().map(|profile| person(&scene.ui, profile)) }</ul>
        },
        _ => html! {},
    };
    html! {
        <Page title={strings::FOLLOWING_TITLE} back=true>
            <section class="section">{ follow_form(&scene, true) }</section>
            { list }
        </Page>
    }
}
