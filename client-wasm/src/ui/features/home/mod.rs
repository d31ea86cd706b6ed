//! The home timeline, and the answers to one's own posts.

use engine::api::Timeline;
use yew::prelude::*;

use crate::ui::features::compose::Composer;
use crate::ui::features::compose::outbox::waiting_posts;
use crate::ui::features::feed::Feed;
use crate::ui::features::follow::follow_form;
use crate::ui::kit;
use crate::ui::kit::icons::{icon_with, mark};
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::state::{Dialog, Scene};
use crate::ui::strings;

/// What the people one follows write, and a place to write oneself.
pub fn home(scene: &Scene) -> Html {
    let rest = html! {
        <>
            { follow_form(scene, true) }
            <a href={Route::Explore.path()} class="btn">{ strings::LOOK_AROUND }</a>
        </>
    };
    let empty = kit::empty(
        "empty-home",
        mark("56"),
        strings::EMPTY_HOME_TITLE,
        strings::EMPTY_HOME,
        rest,
    );
    let behind = scene.session.dialog == Dialog::Compose;
    html! {
        <Page title={strings::HOME}>
            // The sheet writes on the same draft: one place to write at a time, and a fresh look at it afterwards.
            <Composer key={if behind { "behind" } else { "front" }} {behind} />
            { waiting_posts(scene, None) }
            <Feed key="home" timeline={Timeline::Home} label={strings::HOME_FEED} {empty} />
        </Page>
    }
}

/// Answers to one's own posts.
pub fn activity() -> Html {
    let picture = icon_with("activity", "empty__icon");
    let empty = kit::empty(
        "empty-activity",
        picture,
        strings::EMPTY_ACTIVITY_TITLE,
        strings::EMPTY_ACTIVITY,
        html! {},
    );
    html! {
        <Page title={strings::ACTIVITY}>
            <Feed key="activity" timeline={Timeline::Activity} label={strings::ACTIVITY_FEED} {empty} />
        </Page>
    }
}
