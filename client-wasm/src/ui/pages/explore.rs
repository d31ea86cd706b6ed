//! Looking around: everything public that reached this device, following by link, and whom one follows.

use engine::api::{Event, ProfileView, Query, Reply, Timeline};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::ui::components::feed::Feed;
use crate::ui::components::follow::{FollowForm, Person};
use crate::ui::components::frame::{Page, merge_profile};
use crate::ui::components::icon::Icon;
use crate::ui::router::{Link, Route};
use crate::ui::state::{use_events, use_session, use_ui};
use crate::ui::strings;

/// Public posts, and following by link.
#[component]
pub fn Explore() -> Html {
    let empty = html! {
        <div class="empty">
            <Icon name="explore" class="empty__icon" />
            <h2>{ strings::EMPTY_PUBLIC_TITLE }</h2>
            <p class="empty__text">{ strings::EMPTY_PUBLIC }</p>
        </div>
    };
    html! {
        <Page title={strings::EXPLORE}>
            <section class="section"><FollowForm /></section>
            <Feed timeline={Timeline::Public} label={strings::PUBLIC_FEED} {empty} />
        </Page>
    }
}

/// Whom one follows.
#[component]
pub fn Following() -> Html {
    let ui = use_ui();
    let session = use_session();
    let list = use_state(|| None::<Vec<ProfileView>>);
    let count = session.me.as_ref().map(|me| me.following);
    {
        let list = list.setter();
        use_effect_with(count, move |_| {
            spawn_local(async move {
                if let Ok(Reply::Profiles(profiles)) = ui.bridge.query(Query::Following).await {
                    list.set(Some(profiles));
                }
            });
        });
    }
    {
        let list = list.clone();
        use_events(move |event| {
            if let (Event::Profile(profile), Some(known)) = (event, &*list) {
                let mut known = known.clone();
                if merge_profile(&mut known, profile) {
                    list.set(Some(known));
                }
            }
        });
    }
    html! {
        <Page title={strings::FOLLOWING_TITLE} back=true>
            <section class="section"><FollowForm stay=true /></section>
            if let Some(list) = &*list {
                if list.is_empty() {
                    <div class="empty">
                        <p class="empty__text">{ strings::FOLLOWING_NONE }</p>
                        <Link to={Route::Explore} class="btn">{ strings::LOOK_AROUND }</Link>
                    </div>
                } else {
                    <ul>
                        { for list.iter().map(|profile| html! {
                            <Person key={profile.account.to_string()} profile={profile.clone()} />
                        }) }
                    </ul>
                }
            }
        </Page>
    }
}
