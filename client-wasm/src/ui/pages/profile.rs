//! A person: who they are, and what they wrote.

use engine::api::{Event, ProfileView, Query, Reply, Timeline};
use protocol::AccountId;
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::components::avatar::Avatar;
use crate::ui::components::dialog::Sheet;
use crate::ui::components::feed::Feed;
use crate::ui::components::follow::FollowButton;
use crate::ui::components::frame::Page;
use crate::ui::components::icon::Icon;
use crate::ui::components::post_text::PostText;
use crate::ui::components::profile_form::ProfileForm;
use crate::ui::router::Route;
use crate::ui::state::{shown_name, use_events, use_session, use_ui};
use crate::ui::strings;

/// Whose page.
#[derive(Properties, PartialEq)]
pub struct ProfileProps {
    /// Whose.
    pub account: AccountId,
}

/// See [`ProfileProps`].
#[component]
pub fn Profile(props: &ProfileProps) -> Html {
    let ui = use_ui();
    let session = use_session();
    let account = props.account;
    let profile = use_state(|| None::<ProfileView>);
    let editing = use_state_eq(|| false);
    {
        let (ui, profile) = (ui.clone(), profile.setter());
        use_effect_with(account, move |account| {
            let account = *account;
            spawn_local(async move {
                if let Ok(Reply::Profile(view)) = ui.bridge.query(Query::Profile { account }).await {
                    profile.set(Some(view));
                }
            });
        });
    }
    {
        let profile = profile.setter();
        use_events(move |event| {
            if let Event::Profile(view) = event
                && view.account == account
            {
                profile.set(Some(view.clone()));
            }
        });
    }
    let mine = session.me.as_ref().is_some_and(|me| me.account == account);
    let view = (*profile).clone().unwrap_or_else(|| ProfileView {
        account,
        name: String::new(),
        bio: String::new(),
        mine,
        followed: false,
        entries: 0,
        devices: 0,
        forked: false,
        searching: false,
    });
    let name = shown_name(&view.name, &account);
    let address = Route::User(account).address();
    let copy = {
        let (ui, address) = (ui.clone(), address.clone());
        Callback::from(move |_: MouseEvent| ui.copy(address.clone(), strings::LINK_COPIED))
    };
    let edit = {
        let editing = editing.clone();
        Callback::from(move |_: MouseEvent| editing.set(true))
    };
    let done = {
        let editing = editing.clone();
        Callback::from(move |()| editing.set(false))
    };
    let empty = html! {
        <div class="empty">
            if mine {
                <p class="empty__text">{ strings::EMPTY_MINE }</p>
            } else if !view.searching {
                // While peers are asked, the profile above says so.
                <h2>{ strings::EMPTY_USER_TITLE }</h2>
                <p class="empty__text">{ strings::EMPTY_USER }</p>
            }
        </div>
    };
    html! {
        <Page title={name.clone()} back=true>
            <section class="profile" aria-label={strings::PROFILE} data-testid="profile" data-account={account.to_string()}>
                <div class="profile__top">
                    <Avatar {account} size={72} />
                    <div class="row">
                        <button
                            type="button"
                            class="btn btn--icon"
                            aria-label={strings::COPY_PROFILE_LINK}
                            title={strings::COPY_PROFILE_LINK}
                            data-testid="profile-link"
                            value={address}
                            onclick={copy}
                        >
                            <Icon name="link" />
                        </button>
                        if mine {
                            <button type="button" class="btn" data-testid="profile-edit" onclick={edit}>
                                <Icon name="edit" />{ strings::EDIT_PROFILE }
                            </button>
                        } else {
                            <FollowButton profile={view.clone()} />
                        }
                    </div>
                </div>
                <h2 class="profile__name" data-testid="profile-name"><bdi>{ name.clone() }</bdi></h2>
                if name != account.short() {
                    <p class="profile__key mono" title={account.to_string()}>{ account.short() }</p>
                }
                if !view.bio.is_empty() {
                    <div class="profile__bio" data-testid="profile-bio"><PostText text={view.bio.clone()} folds=false /></div>
                }
                <p class="profile__facts">
                    if view.searching && view.entries == 0 {
                        <span role="status">{ strings::PROFILE_SEARCHING }</span>
                    } else {
                        { strings::profile_facts(view.entries, view.devices) }
                    }
                </p>
            </section>
            if view.forked {
                <div class="notice notice--bad" data-testid="profile-forked">
                    <Icon name="warn" />
                    <p class="notice__text"><strong>{ strings::PROFILE_FORKED_TITLE }</strong>{ " " }{ strings::PROFILE_FORKED }</p>
                </div>
            }
            <Feed key={account.to_string()} timeline={Timeline::User(account)} label={strings::USER_FEED} {empty} />
            if let (true, Some(me)) = (*editing, &session.me) {
                <Sheet title={strings::EDIT_PROFILE} on_close={done.clone()}>
                    <ProfileForm me={me.clone()} on_done={done} />
                </Sheet>
            }
        </Page>
    }
}
