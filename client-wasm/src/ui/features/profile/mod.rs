//! A person: who they are, and what they wrote.

pub mod strings;

use std::rc::Rc;

use engine::api::{Command, Event, MeView, ProfileView, Query, QueryResult, Timeline};
use protocol::limits::{BIO_CHARS_MAX, NAME_CHARS_MAX};
use protocol::{AccountId, EntryId};
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::feed::Feed;
use crate::ui::features::follow::follow_button;
use crate::ui::features::post::text::post_text;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::icon;
use crate::ui::kit::sheet::Sheet;
use crate::ui::kit::{self, shown_name, time};
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::state::{Live, Ui, use_app, use_live};

/// The page of a person.
pub const FEATURE: Feature = Feature {
    page: |app| match app.location.route {
        Route::User(account) => {
            let load = move || profile_page(account);
            Some(lazy_page(account.to_string(), strings::PROFILE, true, load))
        }
        _ => None,
    },
    ..Feature::NONE
};

loaded_later!(
    fn profile_page(account: AccountId) {
        html! { <Profile {account} /> }
    }
);

/// Interval in milliseconds at which the page is read again while something is missing.
const REFRESH_MS: u32 = 3_000;
/// The same interval in milliseconds before any peer was asked, which may never happen.
const UNASKED_MS: u32 = 10_000;

#[derive(Properties, PartialEq)]
struct ProfileProps {
    account: AccountId,
}

#[component]
fn Profile(props: &ProfileProps) -> Html {
    let app = use_app();
    let account = props.account;
    let editing = use_state_eq(|| false);
    let (reply, _) = use_live(
        &app,
        Live {
            query: Query::Profile { account },
            concerns: Rc::new(move |event| match event {
                Event::Profile(view) => view.account == account,
                Event::Posts { posts, more } => {
                    *more || posts.iter().any(|post| post.entry.account == account)
                }
                _ => false,
            }),
            again_ms: |reply| match reply {
                QueryResult::Profile(view) if view.ahead() > 0 => Some(REFRESH_MS),
                QueryResult::Profile(view) if view.compared.is_none() && !view.forked => Some(UNASKED_MS),
                _ => None,
            },
        },
    );
    let me = app.session.me.clone().filter(|me| me.account == account);
    let mine = me.is_some();
    let view = match reply.as_deref() {
        Some(QueryResult::Profile(view)) => view.clone(),
        _ => ProfileView {
            account,
            mine,
            ..ProfileView::default()
        },
    };
    let name = shown_name(&view.name, &account);
    let address = Route::User(account).address();
    let copy = {
        let (ui, address) = (app.ui.clone(), address.clone());
        Callback::from(move |_: MouseEvent| ui.copy(address.clone(), kit::strings::LINK_COPIED))
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
        (true, _) => kit::empty("empty-user", html! {}, "", strings::EMPTY_MINE, html! {}),
        (false, false) => kit::empty(
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
                            aria-label={kit::strings::COPY_PROFILE_LINK}
                            title={kit::strings::COPY_PROFILE_LINK}
                            data-testid="profile-link"
                            value={address}
                            onclick={copy}
                        >
                            { icon("link") }
                        </button>
                        if mine {
                            { kit::button("btn", "profile-edit", "edit", strings::EDIT_PROFILE, edit) }
                        } else {
                            { follow_button(&app.ui, &view) }
                        }
                    </div>
                </div>
                <h2 class="profile__name" data-testid="profile-name"><bdi>{ name.clone() }</bdi></h2>
                if name != account.short() || !view.handle.is_empty() {
                    <p class="profile__key" data-testid="profile-handle">{ kit::known_as("", &view.handle, &account) }</p>
                }
                if !view.bio.is_empty() {
                    <div class="profile__bio" data-testid="profile-bio">{ post_text(&view.bio, false) }</div>
                }
                if view.searching && view.entries == 0 {
                    <p class="profile__facts" role="status">{ strings::PROFILE_SEARCHING }</p>
                } else if !view.feeds.is_empty() {
                    { held(&view, &name) }
                }
            </section>
            if view.forked {
                <div class="notice notice--bad" data-testid="profile-forked">
                    { icon("warn") }
                    <p class="notice__text"><strong>{ strings::PROFILE_FORKED_TITLE }</strong>{ " " }{ strings::PROFILE_FORKED }</p>
                </div>
            }
            <Feed key={account.to_string()} timeline={Timeline::User(account)} label={strings::USER_FEED} {empty} />
            if let (true, Some(me)) = (*editing, &me) {
                { edit_sheet(&app.ui, me, &done) }
            }
        </Page>
    }
}

/// How much of what the person signed is here; opened, feed by feed, and who was asked.
fn held(view: &ProfileView, name: &str) -> Html {
    let day = view.signed_at().map(time::day);
    let compared = strings::compared(view.reported_by, view.ahead(), view.compared.map(time::exact));
    html! {
        <details
            class="profile__facts fold"
            data-testid="profile-held"
            data-complete={if view.is_complete() { "true" } else { "false" }}
        >
            <summary>{ strings::held(view, name, day) }</summary>
            <div class="stack small">
                <p>{ compared }</p>
                <p>{ strings::HELD_PROOF }</p>
                <ul>
                    { for view.feeds.iter().map(|feed| html! {
                        <li key={feed.device.to_string()} title={feed.device.to_string()} data-testid="profile-feed">
                            <bdi>{ shown_name(&feed.name, &AccountId(feed.device.0)) }</bdi>
                            <br />
                            { strings::feed_facts(feed, time::exact(feed.signed_at)) }
                            if feed.head != EntryId::default() {
                                { " " }<span class="mono" title={feed.head.to_string()}>{ feed.head.short() }</span>
                            }
                        </li>
                    }) }
                </ul>
            </div>
        </details>
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
        <Sheet name="profile-edit" title={strings::EDIT_PROFILE} on_close={done.clone()}>
            <Form
                ui={ui.clone()}
                {fields}
                {make}
                {on_done}
                submit={kit::strings::SAVE}
                submit_testid="profile-save"
                on_cancel={done.reform(|_: MouseEvent| ())}
            />
        </Sheet>
    }
}
