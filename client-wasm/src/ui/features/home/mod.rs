//! What the people one follows write, and a place to write oneself.

pub mod strings;

use engine::api::Timeline;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::compose::Composer;
use crate::ui::features::compose::outbox::pending_posts;
use crate::ui::features::feed::Feed;
use crate::ui::features::follow::follow_form;
use crate::ui::kit;
use crate::ui::kit::icons::mark;
use crate::ui::route::Route;
use crate::ui::shell::layout::{NavItem, Page};
use crate::ui::state::{AppContext, Dialog};

pub const FEATURE: Feature = Feature {
    nav: Some(NavItem::Page {
        to: Route::Home,
        icon: "home",
        label: strings::HOME,
        testid: "nav-home",
        wide_only: false,
        badge: |_| None,
    }),
    page: |app| (app.location.route == Route::Home).then(|| page(app)),
    ..Feature::NONE
};

fn page(app: &AppContext) -> Html {
    let rest = html! {
        <>
            { follow_form(app, true) }
            <a href={Route::Explore.path()} class="btn">{ kit::strings::LOOK_AROUND }</a>
        </>
    };
    let empty = kit::empty(
        "empty-home",
        mark("56"),
        strings::EMPTY_HOME_TITLE,
        strings::EMPTY_HOME,
        rest,
    );
    let behind = app.session.dialog == Dialog::Compose;
    html! {
        <Page title={strings::HOME}>
            // The sheet writes on the same draft: one place to write at a time, and the draft is read again afterwards.
            <Composer key={if behind { "behind" } else { "front" }} {behind} />
            { pending_posts(app, None) }
            <Feed key="home" timeline={Timeline::Home} label={strings::HOME_FEED} {empty} />
        </Page>
    }
}
