//! A person: who they are, and what they wrote.

use std::rc::Rc;

use engine::api::{Command, Event, MeView, ProfileView, Query, Reply, Timeline};
use protocol::AccountId;
use protocol::limits::{BIO_CHARS_MAX, NAME_CHARS_MAX};
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::components::avatar::avatar;
use crate::ui::components::dialog::Sheet;
use crate::ui::components::feed::Feed;
use crate::ui::components::follow::follow_button;
use crate::ui::components::form::{Field, Form, Kind};
use crate::ui::components::frame::Page;
use crate::ui::components::icon::icon;
use crate::ui::components::part;
use crate::ui::components::post_text::post_text;
use crate::ui::router::Route;
use crate::ui::state::{Live, Ui, shown_name, use_live, use_scene};
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
    let scene = use_scene();
    let account = props.account;
    let editing = use_state_eq(|| false);
    let (reply, _) = use_live(
        &scene,
        Live {
            query: Query::Profile { account },
            concerns: Rc::new(move |event| match event {
                Event::Profile(view) => view.account == account,
                Event::Posts { posts, more } => {
                    *more || posts.iter().any(|post| post.entry.account == account)
                }
                _ => false,
            }),
            again_ms: |_| None,
        },
    );
    let me = scene.session.me.clone().filter(|me| me.account == account);
    let mine = me.is_some();
    let view = match reply.as_deref() {
        Some(Reply::Profile(view)) => view.clone(),
        _ => unknown(account, mine),
    };
    let name = shown_name(&view.name, &account);
    let address = Route::User(account).address();
    let copy = {
        let (ui, address) = (scene.ui.clone(), address.clone());
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
    let empty = match (mine, view.searching) {
        (true, _) => part::empty("empty-user", html! {}, "", strings::EMPTY_MINE, html! {}),
        (false, false) => part::empty(
            "empty-user",
            html! {},
            strings::EMPTY_USER_TITLE,
            strings::EMPTY_USER,
            html! {},
        ),
        // While peers are asked, the profile above says so.
        (false, true) => html! {},
    };
    html! {
        <Page title={name.clone()} back=true>
            <section class="profile" aria-label={strings::PROFILE} data-testid="profile" data-account={account.to_string()}>
                <div class="profile__top">
                    { avatar(&account, "72") }
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
                            { icon("link") }
                        </button>
                        if mine {
                            { part::button("btn", "profile-edit", "edit", strings::EDIT_PROFILE, edit) }
                        } else {
                            { follow_button(&scene.ui, &view) }
                        }
                    </div>
                </div>
                <h2 class="profile__name" data-testid="profile-name"><bdi>{ name.clone() }</bdi></h2>
                if name != account.short() || !view.handle.is_empty() {
                    <p class="profile__key" data-testid="profile-handle">{ part::known_as("", &view.handle, &account) }</p>
                }
                if !view.bio.is_empty() {
                    <div class="profile__bio" data-testid="profile-bio">{ post_text(&view.bio, false) }</div>
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
                    { icon("warn") }
                    <p class="notice__text"><strong>{ strings::PROFILE_FORKED_TITLE }</strong>{ " " }{ strings::PROFILE_FORKED }</p>
                </div>
            }
            <Feed key={account.to_string()} timeline={Timeline::User(account)} label={strings::USER_FEED} {empty} />
            if let (true, Some(me)) = (*editing, &me) {
                { edit_sheet(&scene.ui, me, &done) }
            }
        </Page>
    }
}

fn unknown(account: AccountId, mine: bool) -> ProfileView {
    ProfileView {
        account,
        name: String::new(),
        bio: String::new(),
        handle: String::new(),
        mine,
        followed: false,
        entries: 0,
        devices: 0,
        forked: false,
        searching: false,
    }
}

fn edit_sheet(ui: &Ui, me: &MeView, done: &Callback<()>) -> Html {
    let fields = vec![
        Field {
            id: "profile-name-input",
            label: strings::PROFILE_NAME,
            hint: "",
            kind: Kind::Line,
            chars_max: NAME_CHARS_MAX,
            value: me.name.clone(),
        },
        Field {
            id: "profile-bio-input",
            label: strings::PROFILE_BIO,
            hint: "",
            kind: Kind::Lines,
            chars_max: BIO_CHARS_MAX,
            value: me.bio.clone(),
        },
    ];
    let make = Callback::from(|values: Vec<String>| {
        Ok(Command::EditProfile {
            name: values[0].clone(),
            bio: values[1].clone(),
        })
    });
    let on_done = {
        let (ui, done) = (ui.clone(), done.clone());
        Callback::from(move |_: Vec<String>| {
            ui.say(strings::PROFILE_SAVED);
            done.emit(());
        })
    };
    html! {
        <Sheet title={strings::EDIT_PROFILE} on_close={done.clone()}>
            <Form
                ui={ui.clone()}
                {fields}
                {make}
                {on_done}
                submit={strings::SAVE}
                submit_testid="profile-save"
                on_cancel={done.reform(|_: MouseEvent| ())}
            />
        </Sheet>
    }
}
