//! What a person should know right now, in one line each above the page: the gravest first, and few at a time.

use ordered::sorted_by_key;
use yew::prelude::*;

use super::strings;
use crate::ui::bridge::{HostCommand, TabRole, Trouble};
use crate::ui::dom;
use crate::ui::features::FEATURES;
use crate::ui::kit;
use crate::ui::kit::icons::icon;
use crate::ui::state::{Action, AppContext, Ui};

/// Maximum number of notices: more would push the page's own content off a small screen.
const NOTICES_MAX: usize = 2;

/// How grave a notice is; graver ones come first and displace the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// The app does not work.
    Broken,
    /// Nothing new is stored.
    Store,
    /// The account or this device needs its owner.
    Account,
    /// Something can be done when it suits.
    Offer,
    /// Something is slower or less safe than usual.
    Hint,
}

/// One line above the page.
pub struct Notice {
    /// How grave it is.
    pub gravity: Gravity,
    /// How it looks, beyond a plain notice.
    pub class: &'static str,
    pub icon: &'static str,
    /// Its name for tests.
    pub testid: &'static str,
    pub text: Html,
    /// What can be done.
    pub action: Html,
}

/// A button at the end of a notice.
pub fn button(label: &'static str, onclick: Callback<MouseEvent>) -> Html {
    kit::button("btn notice__action", "notice-action", "", label, onclick)
}

/// A button that asks something of the browser.
pub fn host_button(ui: &Ui, label: &'static str, command: HostCommand) -> Html {
    let ui = ui.clone();
    button(
        label,
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(command)),
    )
}

/// All that apply.
pub fn notices(app: &AppContext) -> Html {
    let of_features = FEATURES.iter().filter_map(|feature| (feature.notice)(app));
    let mut list = sorted_by_key(own(app).into_iter().chain(of_features), |notice| notice.gravity);
    list.truncate(NOTICES_MAX);
    // The note about the other tab displaces no graver one, and is gone once it was read.
    list.extend(other_tab(app));
    html! { <div role="status">{ for list.into_iter().map(line) }</div> }
}

fn line(notice: Notice) -> Html {
    html! {
        <div key={notice.testid} class={classes!("notice", notice.class)} data-testid={notice.testid}>
            { icon(notice.icon) }
            <p class="notice__text">{ notice.text }</p>
            { notice.action }
        </div>
    }
}

/// What is about the app itself.
fn own(app: &AppContext) -> Vec<Notice> {
    let (ui, session) = (&app.ui, &app.session);
    let reload = || {
        let onclick = Callback::from(|_: MouseEvent| {
            // A page can always be loaded again.
            let _ = dom::window().location().reload();
        });
        button(strings::RELOAD, onclick)
    };
    let mut list = Vec::new();
    if let Some(trouble) = &session.host.trouble {
        let (class, icon, testid, text, action) = match trouble {
            Trouble::StoreBlocked => (
                "notice--warn",
                "tabs",
                "store-blocked",
                html! { strings::STORE_BLOCKED },
                html! {},
            ),
            Trouble::StoreUnavailable(why) => (
                "notice--bad",
                "disk",
                "store-unavailable",
                html! { <span title={why.clone()}>{ strings::STORE_UNAVAILABLE }</span> },
                reload(),
            ),
            Trouble::Outdated => (
                "notice--bad",
                "disk",
                "store-outdated",
                html! { strings::OUTDATED },
                reload(),
            ),
            Trouble::EngineStopped(why) => (
                "notice--bad",
                "warn",
                "engine-stopped",
                html! { <span title={why.clone()}>{ strings::ENGINE_STOPPED }</span> },
                reload(),
            ),
        };
        list.push(Notice {
            gravity: Gravity::Broken,
            class,
            icon,
            testid,
            text,
            action,
        });
    }
    if let Some(text) = kit::strings::store(session.status.store) {
        list.push(Notice {
            gravity: Gravity::Store,
            class: "notice--bad",
            icon: "disk",
            testid: "store-trouble",
            text: html! { text },
            action: html! {},
        });
    }
    if session.status.clock_ahead_min != 0 {
        list.push(Notice {
            gravity: Gravity::Hint,
            class: "notice--warn",
            icon: "warn",
            testid: "wrong-clock",
            text: html! { strings::wrong_clock(session.status.clock_ahead_min) },
            action: html! {},
        });
    }
    if let Some(quota) = session.status.quota {
        let until = kit::time::exact(quota.until);
        list.push(Notice {
            gravity: Gravity::Hint,
            class: "notice--warn",
            icon: "warn",
            testid: "over-quota",
            text: html! { strings::over_quota(quota.quota, quota.per_hour, &until) },
            action: html! {},
        });
    }
    if session.host.update_ready {
        list.push(Notice {
            gravity: Gravity::Offer,
            class: "",
            icon: "refresh",
            testid: "update-ready",
            text: html! { strings::UPDATE_READY },
            action: host_button(ui, strings::UPDATE_NOW, HostCommand::ApplyUpdate),
        });
    }
    if let Some((done, total)) = session.rebuilding {
        list.push(Notice {
            gravity: Gravity::Hint,
            class: "",
            icon: "retry",
            testid: "rebuilding",
            text: html! { strings::rebuilding(done, total) },
            action: html! {},
        });
    }
    list
}

fn other_tab(app: &AppContext) -> Option<Notice> {
    let due = app.session.host.tab == TabRole::Following && !app.session.tab_note_closed;
    due.then(|| {
        let ui = app.ui.clone();
        let close = Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::CloseTabNote));
        Notice {
            gravity: Gravity::Hint,
            class: "",
            icon: "tabs",
            testid: "leader-note",
            text: html! { strings::TAB_FOLLOWS },
            action: kit::icon_button(
                "btn btn--quiet btn--icon notice__action",
                "close",
                kit::strings::CLOSE,
                close,
            ),
        }
    })
}
