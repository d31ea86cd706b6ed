//! Everything public that reached this device, and following by link.

pub mod strings;

use engine::api::Timeline;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::feed::Feed;
use crate::ui::features::follow::follow_form;
use crate::ui::kit;
use crate::ui::kit::icons::icon_with;
use crate::ui::route::Route;
use crate::ui::shell::layout::{NavItem, Page};
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::state::use_app;

pub const FEATURE: Feature = Feature {
    nav: Some(NavItem::Page {
        to: Route::Explore,
        icon: "explore",
        label: strings::EXPLORE,
        testid: "nav-explore",
        wide_only: false,
        badge: |_| None,
    }),
    page: |app| {
        (app.location.route == Route::Explore)
            .then(|| lazy_page("explore", strings::EXPLORE, false, explore_page))
    },
    ..Feature::NONE
};

loaded_later!(
    fn explore_page() {
        html! { <Explore /> }
    }
);

#[component]
fn Explore() -> Html {
    let app = use_app();
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
            <section class="section">{ follow_form(&app, false) }</section>
            <Feed key="public" timeline={Timeline::Public} label={strings::PUBLIC_FEED} {empty} />
        </Page>
    }
}
