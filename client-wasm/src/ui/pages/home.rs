//! The home timeline, and the answers to one's own posts.

use engine::api::Timeline;
use yew::prelude::*;

use crate::ui::components::composer::Composer;
use crate::ui::components::feed::Feed;
use crate::ui::components::follow::FollowForm;
use crate::ui::components::frame::Page;
use crate::ui::components::icon::{Icon, Mark};
use crate::ui::components::waiting::WaitingPosts;
use crate::ui::router::{Link, Route};
use crate::ui::state::{Action, Dialog, use_session, use_ui};
use crate::ui::strings;

/// What the people one follows write, and a place to write oneself.
#[component]
pub fn Home() -> Html {
    let session = use_session();
    let empty = html! {
        <div class="empty">
            <Mark size={56} />
            <h2>{ strings::EMPTY_HOME_TITLE }</h2>
            <p class="empty__text">{ strings::EMPTY_HOME }</p>
            <FollowForm stay=true />
            <Link to={Route::Explore} class="btn">{ strings::LOOK_AROUND }</Link>
        </div>
    };
    let behind = session.dialog == Dialog::Compose;
    html! {
        <Page title={strings::HOME}>
            // The sheet writes on the same draft: one place to write at a time, and a fresh look at it afterwards.
            <Composer key={if behind { "behind" } else { "front" }} {behind} />
            <WaitingPosts />
            <Feed timeline={Timeline::Home} label={strings::HOME_FEED} {empty} />
        </Page>
    }
}

/// Answers to one's own posts.
#[component]
pub fn Activity() -> Html {
    let ui = use_ui();
    let session = use_session();
    // Seen as soon as it is open, and also what comes while it is.
    use_effect_with(session.activity, move |waiting| {
        if *waiting {
            ui.session.dispatch(Action::ActivitySeen);
        }
    });
    let empty = html! {
        <div class="empty">
            <Icon name="activity" class="empty__icon" />
            <h2>{ strings::EMPTY_ACTIVITY_TITLE }</h2>
            <p class="empty__text">{ strings::EMPTY_ACTIVITY }</p>
        </div>
    };
    html! {
        <Page title={strings::ACTIVITY}>
            <Feed timeline={Timeline::Activity} label={strings::ACTIVITY_FEED} {empty} />
        </Page>
    }
}
