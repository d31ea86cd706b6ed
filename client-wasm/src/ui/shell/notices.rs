//! What a person should know right now, in one line each above the page. At most two stand at once: the gravest.

use engine::api::Connection;
use yew::prelude::*;

use crate::ui::bridge::{HostCommand, TabRole, Trouble};
use crate::ui::kit;
use crate::ui::route::Route;
use crate::ui::state::{Action, Phase, Scene};
use crate::ui::{dom, strings};

/// More would push what one came for off a small screen.
const NOTICES_MAX: usize = 2;

fn notice(kind: &'static str, icon: &'static str, testid: &'static str, text: Html, action: Html) -> Html {
    html! {
        <div key={testid} class={classes!("notice", kind)} data-testid={testid}>
            { crate::ui::kit::icons::icon(icon) }
            <p class="notice__text">{ text }</p>
            { action }
        </div>
    }
}

fn button(label: &'static str, onclick: Callback<MouseEvent>) -> Html {
    kit::button("btn notice__action", "notice-action", "", label, onclick)
}

/// All that apply.
pub fn notices(scene: &Scene) -> Html {
    let (ui, session, route) = (&scene.ui, &scene.session, scene.visit.route);
    let reload = Callback::from(|_: MouseEvent| {
        // A page can always be loaded again.
        let _ = dom::window().location().reload();
    });
    let host = |command: HostCommand| {
        let ui = ui.clone();
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(command))
    };
    let mut list: Vec<Html> = Vec::new();

    match &session.host.trouble {
        None => {}
        Some(Trouble::StoreBlocked) => list.push(notice(
            "notice--warn",
            "tabs",
            "store-blocked",
            html! { strings::STORE_BLOCKED },
            html! {},
        )),
        Some(Trouble::StoreUnavailable(why)) => list.push(notice(
            "notice--bad",
            "disk",
            "store-unavailable",
            html! { <span title={why.clone()}>{ strings::STORE_UNAVAILABLE }</span> },
            button(strings::RELOAD, reload.clone()),
        )),
        Some(Trouble::EngineStopped(why)) => list.push(notice(
            "notice--bad",
            "warn",
            "engine-stopped",
            html! { <span title={why.clone()}>{ strings::ENGINE_STOPPED }</span> },
            button(strings::RELOAD, reload),
        )),
    }
    if let Some(text) = strings::store(session.status.store) {
        list.push(notice(
            "notice--bad",
            "disk",
            "store-trouble",
            html! { text },
            html! {},
        ));
    }
    if let Some(me) = &session.me {
        if me.revoked {
            list.push(notice(
                "notice--bad",
                "device",
                "revoked-note",
                html! { strings::REVOKED },
                html! {},
            ));
        } else if me.forked {
            list.push(notice(
                "notice--bad",
                "warn",
                "forked-note",
                html! { strings::FORKED_SELF },
                html! { <a href={Route::You.path()} class="btn notice__action">{ strings::START_OVER }</a> },
            ));
        } else if !me.phrase_confirmed && session.phase == Phase::Member && route != Route::Phrase {
            list.push(notice(
                "notice--warn",
                "key",
                "phrase-reminder",
                html! { strings::PHRASE_REMIND },
                html! { <a href={Route::Phrase.path()} class="btn notice__action">{ strings::PHRASE_REMIND_OPEN }</a> },
            ));
        }
    }
    if session.host.update_ready {
        list.push(notice(
            "",
            "refresh",
            "update-ready",
            html! { strings::UPDATE_READY },
            button(strings::UPDATE_NOW, host(HostCommand::ApplyUpdate)),
        ));
    }
    if let Some((done, total)) = session.rebuilding {
        list.push(notice(
            "",
            "retry",
            "rebuilding",
            html! { strings::rebuilding(done, total) },
            html! {},
        ));
    }
    let status = &session.status;
    if status.connection == Connection::Online && status.relays == 0 && status.not_durable > 0 {
        list.push(notice(
            "",
            "network",
            "no-relay",
            html! { strings::NO_RELAY },
            button(strings::RETRY, host(HostCommand::Reconnect)),
        ));
    }
    list.truncate(NOTICES_MAX);
    // The note about the other tab takes no place from graver ones, and none once it was read.
    if session.host.tab == TabRole::Following && !session.tab_note_closed {
        let close = {
            let ui = ui.clone();
            Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::CloseTabNote))
        };
        list.push(notice(
            "",
            "tabs",
            "leader-note",
            html! { strings::TAB_FOLLOWS },
            kit::icon_button(
                "btn btn--quiet btn--icon notice__action",
                "close",
                strings::CLOSE,
                close,
            ),
        ));
    }
    html! { <div role="status">{ for list }</div> }
}
