//! The page that lists the people one follows.

use std::rc::Rc;

use engine::api::{Event, Query, QueryResult};
use yew::prelude::*;

use super::{follow_form, person, strings};
use crate::ui::kit;
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::state::{Live, use_app, use_live};

#[component]
pub fn Following() -> Html {
    let app = use_app();
    let (reply, _) = use_live(
        &app,
        Live {
            query: Query::Following,
            concerns: Rc::new(|event| matches!(event, Event::Profile(_) | Event::Me(_))),
            again_ms: |_| None,
        },
    );
    let list = match reply.as_deref() {
        Some(QueryResult::Profiles(list)) if list.is_empty() => {
            let rest =
                html! { <a href={Route::Explore.path()} class="btn">{ kit::strings::LOOK_AROUND }</a> };
            kit::empty("empty-following", html! {}, "", strings::FOLLOWING_NONE, rest)
        }
        Some(QueryResult::Profiles(list)) => html! {
            <ul>{ for list.iter().map(|profile| person(&app.ui, profile)) }</ul>
        },
        _ => html! {},
    };
    html! {
        <Page title={strings::FOLLOWING_TITLE} back=true>
            <section class="section">{ follow_form(&app, true) }</section>
            { list }
        </Page>
    }
}
