//! One's own account and this device: what is safe, the recovery words, devices, storage, privacy, looks.

mod devices;
mod erase;
pub mod storage;
pub mod strings;
pub mod theme;

use engine::api::DeviceView;
use web_sys::{Event, MouseEvent};
use yew::prelude::*;

use self::devices::{devices, withdraw_sheet};
use self::erase::erase_sheet;
use self::storage::{privacy, storage};
use self::theme::Theme;
use crate::ui::bridge::HostCommand;
use crate::ui::features::handles::handle;
use crate::ui::features::{Feature, durability, follow, recovery_phrase};
use crate::ui::kit;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::icons::icon;
use crate::ui::route::Route;
use crate::ui::shell;
use crate::ui::shell::layout::{NavItem, Page};
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::shell::notices::{Gravity, Notice};
use crate::ui::state::{Action, AppContext, Dialog, use_app};

/// The page, and the notice of a device that was withdrawn.
pub const FEATURE: Feature = Feature {
    nav: Some(NavItem::Page {
        to: Route::You,
        icon: "you",
        label: strings::YOU,
        testid: "nav-you",
        wide_only: false,
        badge: |_| None,
    }),
    page: |app| {
        (app.location.route == Route::You).then(|| lazy_page("account", strings::YOU, false, account_page))
    },
    // What the page shows of the storage is measured when it is opened.
    on_visit: |app| {
        if app.location.route == Route::You {
            app.ui.bridge.host_command(HostCommand::MeasureStorage);
        }
    },
    notice,
    ..Feature::NONE
};

loaded_later!(
    fn account_page() {
        html! { <You /> }
    }
);

/// What is open above the page.
#[derive(Clone, PartialEq)]
pub(super) enum Over {
    Nothing,
    Withdraw(DeviceView),
    Erase,
}

#[component]
fn You() -> Html {
    let app = use_app();
    let over = use_state_eq(|| Over::Nothing);
    let Some(me) = app.session.me.clone() else {
        return html! {};
    };
    let ui = &app.ui;
    let open = {
        let over = over.clone();
        Callback::from(move |what: Over| over.set(what))
    };
    let keys = {
        let ui = ui.clone();
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Keys)))
    };
    let own = Route::User(me.account).path();
    html! {
        <Page title={strings::YOU}>
            <section class="section you__me">
                <a href={own.clone()} aria-hidden="true" tabindex="-1">{ avatar(&me.account, "56") }</a>
                <div class="person__text">
                    <a href={own} class="person__name"><bdi>{ kit::shown_name(&me.name, &me.account) }</bdi></a>
                    <p class="small soft">{ kit::known_as("", &me.handle, &me.account) }</p>
                </div>
                <a href={Route::Following.path()} class="btn" data-testid="open-following">{ follow::strings::following_count(me.following) }</a>
            </section>
            { durability::summary(&app.session) }
            { handle(ui, &me) }
            { recovery_phrase::section(&me) }
            { devices(&me, &open) }
            { storage(&app) }
            { privacy(&app) }
            { appearance(&app) }
            <section class="section">
                <h2>{ strings::THIS_BROWSER }</h2>
                <div class="stack">
                    <a href={Route::Network.path()} class="btn">{ icon("network") }{ strings::OPEN_NETWORK }</a>
                    { kit::button("btn", "open-keys", "", shell::strings::KEYS, keys) }
                    <p class="soft">{ strings::ERASE_HINT }</p>
                    { kit::button("btn btn--bad", "erase-open", "", strings::ERASE, open.reform(|_: MouseEvent| Over::Erase)) }
                </div>
            </section>
            { match &*over {
                Over::Nothing => html! {},
                Over::Withdraw(device) => withdraw_sheet(ui, device, &open),
                Over::Erase => erase_sheet(&app, &open),
            } }
        </Page>
    }
}

fn appearance(app: &AppContext) -> Html {
    html! {
        <section class="section">
            <h2 id="appearance-title">{ strings::APPEARANCE }</h2>
            <div class="segmented" role="radiogroup" aria-labelledby="appearance-title">
                { for Theme::ALL.into_iter().map(|theme| {
                    let ui = app.ui.clone();
                    let (label, key) = match theme {
                        Theme::System => (strings::THEME_SYSTEM, "theme-system"),
                        Theme::Light => (strings::THEME_LIGHT, "theme-light"),
                        Theme::Dark => (strings::THEME_DARK, "theme-dark"),
                    };
                    html! {
                        <label {key}>
                            <input
                                type="radio"
                                name="theme"
                                data-testid={key}
                                checked={app.session.theme == theme}
                                onchange={Callback::from(move |_: Event| ui.session.dispatch(Action::Theme(theme)))}
                            />
                            { label }
                        </label>
                    }
                }) }
            </div>
        </section>
    }
}

fn notice(app: &AppContext) -> Option<Notice> {
    let revoked = app.session.me.as_ref().is_some_and(|me| me.revoked);
    revoked.then(|| Notice {
        gravity: Gravity::Account,
        class: "notice--bad",
        icon: "device",
        testid: "revoked-note",
        text: html! { kit::strings::REVOKED },
        action: html! {},
    })
}
