//! One's own account and this device: what is safe, the recovery words, devices, storage, privacy, looks.

pub mod recovery_phrase;

use engine::api::{Command, DeviceView, MeView};
use web_sys::{Event, HtmlInputElement, MouseEvent};
use yew::prelude::*;

use crate::ui::bridge::HostCommand;
use crate::ui::features::account::recovery_phrase::Words;
use crate::ui::features::handles::handle;
use crate::ui::kit;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::icon;
use crate::ui::kit::time;
use crate::ui::route::Route;
use crate::ui::shell::dialogs::Sheet;
use crate::ui::shell::layout::Page;
use crate::ui::state::prefs::Theme;
use crate::ui::state::{Action, Dialog, Scene, Session, Ui, use_scene};
use crate::ui::strings;

/// What lies over the page.
#[derive(Clone, PartialEq)]
enum Over {
    Nothing,
    Withdraw(DeviceView),
    Erase,
}

/// The page.
#[component]
pub fn You() -> Html {
    let scene = use_scene();
    let over = use_state_eq(|| Over::Nothing);
    let Some(me) = scene.session.me.clone() else {
        return html! {};
    };
    let ui = &scene.ui;
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
                    <a href={own} class="person__name"><bdi>{ me.name.clone() }</bdi></a>
                    <p class="small soft">{ kit::known_as("", &me.handle, &me.account) }</p>
                </div>
                <a href={Route::Following.path()} class="btn" data-testid="open-following">{ strings::following_count(me.following) }</a>
            </section>
            { safety(&scene.session) }
            { handle(ui, &me) }
            <section class="section">
                <h2>{ strings::PHRASE_SECTION }</h2>
                <div class="stack">
                    if me.phrase_confirmed {
                        <p class="soft">{ strings::PHRASE_GONE }</p>
                    } else {
                        <p class="soft">{ strings::PHRASE_REMIND }</p>
                        <a href={Route::Phrase.path()} class="btn btn--primary">{ strings::PHRASE_REMIND_OPEN }</a>
                    }
                </div>
            </section>
            { devices(&me, &open) }
            { storage(&scene) }
            { privacy(&scene) }
            { appearance(&scene) }
            <section class="section">
                <h2>{ strings::THIS_BROWSER }</h2>
                <div class="stack">
                    <a href={Route::Network.path()} class="btn">{ icon("network") }{ strings::OPEN_NETWORK }</a>
                    { kit::button("btn", "open-keys", "", strings::KEYS, keys) }
                    <p class="soft">{ strings::ERASE_HINT }</p>
                    { kit::button("btn btn--bad", "erase-open", "", strings::ERASE, open.reform(|_: MouseEvent| Over::Erase)) }
                </div>
            </section>
            { match &*over {
                Over::Nothing => html! {},
                Over::Withdraw(device) => withdraw_sheet(ui, device, &open),
                Over::Erase => erase_sheet(&scene, &open),
            } }
        </Page>
    }
}

/// What is not yet safe anywhere else.
fn safety(session: &Session) -> Html {
    let (waiting, not_durable) = (session.status.waiting, session.status.not_durable);
    let level = match (waiting, not_durable) {
        (0, 0) => "safe",
        (0, _) => "peers",
        _ => "here",
    };
    // What nobody holds is on no relay either: said once.
    let at_peers_only = not_durable.saturating_sub(waiting);
    html! {
        <section
            class="section"
            data-testid="unsafe-summary"
            data-level={level}
            data-waiting={waiting.to_string()}
            data-not-durable={not_durable.to_string()}
        >
            <h2>{ strings::SAFETY }</h2>
            <div class="stack">
                if waiting > 0 {
                    <p>{ strings::only_here(waiting) }</p>
                }
                if at_peers_only > 0 {
                    <p>{ strings::not_on_relays(at_peers_only, waiting > 0) }</p>
                }
                if level == "safe" {
                    <p>{ strings::SAFETY_ALL }</p>
                }
            </div>
        </section>
    }
}

fn devices(me: &MeView, open: &Callback<Over>) -> Html {
    html! {
        <section class="section">
            <h2>{ strings::DEVICES }</h2>
            <ul>
                { for me.devices.iter().map(|device| {
                    let chosen = device.clone();
                    html! {
                        <li key={device.device.to_string()} class="device" data-testid="device">
                            { icon("device") }
                            <div class="device__text">
                                <p><bdi>{ device.name.clone() }</bdi>{ " " }
                                    if device.this {
                                        <span class="tag">{ strings::THIS_DEVICE }</span>
                                    }
                                    if device.revoked {
                                        <span class="tag tag--bad">{ strings::WITHDRAWN }</span>
                                    }
                                </p>
                                <p class="small soft">{ strings::device_facts(&time::day(device.since), device.entries) }</p>
                            </div>
                            if !device.this && !device.revoked {
                                <button
                                    type="button"
                                    class="btn"
                                    aria-label={strings::withdraw_title(&device.name)}
                                    onclick={open.reform(move |_: MouseEvent| Over::Withdraw(chosen.clone()))}
                                >{ strings::WITHDRAW }</button>
                            }
                        </li>
                    }
                }) }
            </ul>
            <p class="small soft">{ strings::DEVICES_HINT }</p>
        </section>
    }
}

fn withdraw_sheet(ui: &Ui, device: &DeviceView, open: &Callback<Over>) -> Html {
    let make = {
        let device = device.device;
        Callback::from(move |values: Vec<String>| {
            Ok(Command::RevokeDevice {
                phrase: values[0].clone(),
                device,
            })
        })
    };
    let on_done = {
        let (ui, open) = (ui.clone(), open.clone());
        Callback::from(move |_: Vec<String>| {
            ui.say(strings::WITHDRAWN_NOW);
            open.emit(Over::Nothing);
        })
    };
    let field = Field {
        id: "withdraw-phrase",
        label: strings::RESTORE_LABEL,
        hint: strings::RESTORE_HINT,
        kind: Kind::Phrase,
        chars_max: 0,
        value: String::new(),
    };
    html! {
        <Sheet title={strings::withdraw_title(&device.name)} on_close={open.reform(|()| Over::Nothing)}>
            <div class="stack stack--wide">
                <p>{ strings::WITHDRAW_LEAD }</p>
                <Form
                    ui={ui.clone()}
                    fields={vec![field]}
                    {make}
                    {on_done}
                    submit={strings::WITHDRAW}
                    button_class="btn btn--bad"
                    submit_testid="withdraw-submit"
                />
            </div>
        </Sheet>
    }
}

/// Storage used and left, and whether the browser keeps it.
pub fn storage(scene: &Scene) -> Html {
    let keep = {
        let ui = scene.ui.clone();
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::KeepStorage))
    };
    let Some(storage) = scene.session.host.storage else {
        return kit::section(
            strings::STORAGE,
            html! { <p class="soft">{ strings::STORAGE_UNKNOWN }</p> },
        );
    };
    // In thousandths; a sliver is shown even for next to nothing.
    let share = storage.used_bytes.saturating_mul(1_000) / storage.quota_bytes.max(1);
    html! {
        <section class="section" data-testid="storage" data-persistent={if storage.persistent { "true" } else { "false" }}>
            <h2>{ strings::STORAGE }</h2>
            <div class="stack stack--wide">
                <svg class="meter" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                    <rect class="meter__fill" width={share.clamp(4, 1_000).to_string()} height="8" />
                </svg>
                { kit::facts(&[
                    (strings::STORAGE_USED, strings::bytes(storage.used_bytes)),
                    (strings::STORAGE_LEFT, strings::bytes(storage.quota_bytes.saturating_sub(storage.used_bytes))),
                    (
                        strings::STORAGE_KEPT,
                        (if storage.persistent { strings::STORAGE_KEPT_YES } else { strings::STORAGE_KEPT_NO }).to_owned(),
                    ),
                ]) }
                if !storage.persistent {
                    <p class="small soft">{ strings::STORAGE_KEPT_HINT }</p>
                    <div>{ kit::button("btn", "storage-keep", "", strings::STORAGE_KEEP, keep) }</div>
                }
            </div>
        </section>
    }
}

/// The switch that links to relays alone.
pub fn privacy(scene: &Scene) -> Html {
    let on = scene.session.me.as_ref().is_some_and(|me| me.relays_only);
    let onchange = {
        let ui = scene.ui.clone();
        Callback::from(move |event: Event| {
            let on = event.target_unchecked_into::<HtmlInputElement>().checked();
            ui.command(Command::SetRelaysOnly { on });
        })
    };
    html! {
        <section class="section">
            <h2>{ strings::PRIVACY }</h2>
            <label class="switch">
                <span>
                    { strings::RELAYS_ONLY }
                    <span class="field__hint switch__hint">{ strings::RELAYS_ONLY_HINT }</span>
                </span>
                <input type="checkbox" role="switch" data-testid="relays-only" checked={on} {onchange} />
            </label>
        </section>
    }
}

fn appearance(scene: &Scene) -> Html {
    html! {
        <section class="section">
            <h2 id="appearance-title">{ strings::APPEARANCE }</h2>
            <div class="segmented" role="radiogroup" aria-labelledby="appearance-title">
                { for Theme::ALL.into_iter().map(|theme| {
                    let ui = scene.ui.clone();
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
                                checked={scene.session.theme == theme}
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

fn erase_sheet(scene: &Scene, open: &Callback<Over>) -> Html {
    let session = &scene.session;
    let confirmed = session.me.as_ref().is_some_and(|me| me.phrase_confirmed);
    let erase = {
        let ui = scene.ui.clone();
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::EraseDevice))
    };
    html! {
        <Sheet title={strings::ERASE_TITLE} on_close={open.reform(|()| Over::Nothing)}>
            <div class="stack">
                <p>{ if confirmed { strings::ERASE_WITH_WORDS } else { strings::ERASE_NO_WORDS } }</p>
                if session.status.waiting > 0 {
                    <p>{ strings::only_here(session.status.waiting) }</p>
                }
                <div class="row">
                    { kit::button("btn btn--bad", "erase-confirm", "", strings::ERASE_CONFIRM, erase) }
                    { kit::button("btn btn--quiet", "erase-cancel", "", strings::CANCEL, open.reform(|_: MouseEvent| Over::Nothing)) }
                </div>
            </div>
        </Sheet>
    }
}

/// The recovery words, after the first visit.
pub fn phrase(scene: &Scene) -> Html {
    let confirmed = scene.session.me.as_ref().is_some_and(|me| me.phrase_confirmed);
    let leave = {
        let nav = scene.ui.nav.clone();
        Callback::from(move |()| nav.go(Route::You))
    };
    html! {
        <Page title={strings::PHRASE_TITLE} back=true>
            <div class="page">
                if confirmed {
                    <p>{ strings::PHRASE_GONE }</p>
                } else {
                    <p class="welcome__lead">{ strings::PHRASE_LEAD }</p>
                    <Words on_done={leave.clone()} on_later={leave} />
                }
            </div>
        </Page>
    }
}
