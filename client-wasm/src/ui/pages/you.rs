//! One's own account and this device: what is safe, the recovery words, devices, storage, privacy, looks.

use engine::api::{Command, DeviceView, MeView, Refusal};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Event, HtmlInputElement, HtmlTextAreaElement, MouseEvent, SubmitEvent};
use yew::prelude::*;

use crate::ui::bridge::HostCommand;
use crate::ui::components::avatar::Avatar;
use crate::ui::components::dialog::Sheet;
use crate::ui::components::frame::Page;
use crate::ui::components::icon::Icon;
use crate::ui::components::words::Words;
use crate::ui::router::{Link, Route};
use crate::ui::state::prefs::Theme;
use crate::ui::state::{Action, Dialog, Session, time, use_session, use_ui};
use crate::ui::strings;

/// The page.
#[component]
pub fn You() -> Html {
    let ui = use_ui();
    let session = use_session();
    let erasing = use_state_eq(|| false);
    let Some(me) = session.me.clone() else {
        return html! {};
    };
    let keys = {
        let ui = ui.clone();
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Open(Dialog::Keys)))
    };
    let erase = {
        let erasing = erasing.clone();
        Callback::from(move |_: MouseEvent| erasing.set(true))
    };
    let keep = {
        let erasing = erasing.clone();
        Callback::from(move |()| erasing.set(false))
    };
    html! {
        <Page title={strings::YOU}>
            <section class="section you__me">
                <Link to={Route::User(me.account)} quiet=true><Avatar account={me.account} size={56} /></Link>
                <div class="person__text">
                    <Link to={Route::User(me.account)} class="person__name"><bdi>{ me.name.clone() }</bdi></Link>
                    <p class="small soft"><span class="mono">{ me.account.short() }</span></p>
                </div>
                <Link to={Route::Following} class="btn" testid="open-following">{ strings::following_count(me.following) }</Link>
            </section>
            <Safety />
            <section class="section">
                <h2>{ strings::PHRASE_SECTION }</h2>
                <div class="stack">
                    if me.phrase_confirmed {
                        <p class="soft">{ strings::PHRASE_GONE }</p>
                    } else {
                        <p class="soft">{ strings::PHRASE_REMIND }</p>
                        <Link to={Route::Phrase} class="btn btn--primary">{ strings::PHRASE_REMIND_OPEN }</Link>
                    }
                </div>
            </section>
            <Devices {me} />
            <StorageSection />
            <Privacy />
            <Appearance />
            <section class="section">
                <h2>{ strings::THIS_BROWSER }</h2>
                <div class="stack">
                    <Link to={Route::Network} class="btn" testid="you-network"><Icon name="network" />{ strings::OPEN_NETWORK }</Link>
                    <button type="button" class="btn" onclick={keys}>{ strings::KEYS }</button>
                    <p class="soft">{ strings::ERASE_HINT }</p>
                    <button type="button" class="btn btn--bad" data-testid="erase-open" onclick={erase}>{ strings::ERASE }</button>
                </div>
            </section>
            if *erasing {
                <EraseSheet on_close={keep} />
            }
        </Page>
    }
}

/// What is not yet safe anywhere else.
#[component]
fn Safety() -> Html {
    let session = use_session();
    let (waiting, not_durable) = (session.status.waiting, session.status.not_durable);
    let level = match (waiting, not_durable) {
        (0, 0) => "safe",
        (0, _) => "peers",
        _ => "here",
    };
    html! {
        <section class="section" data-testid="unsafe-summary" data-level={level} data-waiting={waiting.to_string()} data-not-durable={not_durable.to_string()}>
            <h2>{ strings::SAFETY }</h2>
            <div class="stack">
                { safety_lines(&session).into_iter().map(|line| html! { <p>{ line }</p> }).collect::<Html>() }
            </div>
        </section>
    }
}

fn safety_lines(session: &Session) -> Vec<String> {
    let (waiting, not_durable) = (session.status.waiting, session.status.not_durable);
    let mut lines = Vec::new();
    if waiting > 0 {
        lines.push(strings::only_here(waiting));
    }
    // What nobody holds is on no relay either: said once.
    let at_peers_only = not_durable.saturating_sub(waiting);
    if at_peers_only > 0 {
        lines.push(strings::not_on_relays(at_peers_only, waiting > 0));
    }
    if lines.is_empty() {
        lines.push(strings::SAFETY_ALL.to_owned());
    }
    lines
}

#[derive(Properties, PartialEq)]
struct DevicesProps {
    me: std::rc::Rc<MeView>,
}

#[component]
fn Devices(props: &DevicesProps) -> Html {
    let withdrawing = use_state(|| None::<DeviceView>);
    let close = {
        let withdrawing = withdrawing.clone();
        Callback::from(move |()| withdrawing.set(None))
    };
    html! {
        <section class="section">
            <h2>{ strings::DEVICES }</h2>
            <ul>
                { for props.me.devices.iter().map(|device| {
                    let withdraw = {
                        let (withdrawing, device) = (withdrawing.clone(), device.clone());
                        Callback::from(move |_: MouseEvent| withdrawing.set(Some(device.clone())))
                    };
                    html! {
                        <li key={device.device.to_string()} class="device" data-testid="device">
                            <Icon name="device" />
                            <div class="device__text">
                                <p><bdi>{ device.name.clone() }</bdi>{ " " }
                                    if device.this {
                                        <span class="tag">{ strings::THIS_DEVICE }</span>
                                    } else if device.revoked {
                                        <span class="tag tag--bad">{ strings::WITHDRAWN }</span>
                                    }
                                </p>
                                <p class="small soft">{ strings::device_facts(&time::day(device.since), device.entries) }</p>
                            </div>
                            if !device.this && !device.revoked {
                                <button type="button" class="btn" onclick={withdraw}>{ strings::WITHDRAW }</button>
                            }
                        </li>
                    }
                }) }
            </ul>
            <p class="small soft">{ strings::DEVICES_HINT }</p>
            if let Some(device) = &*withdrawing {
                <WithdrawSheet device={device.clone()} on_close={close} />
            }
        </section>
    }
}

#[derive(Properties, PartialEq)]
struct WithdrawProps {
    device: DeviceView,
    on_close: Callback<()>,
}

#[component]
fn WithdrawSheet(props: &WithdrawProps) -> Html {
    let ui = use_ui();
    let input = use_node_ref();
    let error = use_state_eq(|| None::<Refusal>);
    let onsubmit = {
        let (input, error, device, on_close) = (
            input.clone(),
            error.clone(),
            props.device.device,
            props.on_close.clone(),
        );
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let Some(area) = input.cast::<HtmlTextAreaElement>() else {
                return;
            };
            let (ui, error, on_close) = (ui.clone(), error.clone(), on_close.clone());
            spawn_local(async move {
                let phrase = area.value();
                match ui.bridge.send(Command::RevokeDevice { phrase, device }).await {
                    Ok(_) => {
                        ui.say(strings::WITHDRAWN_NOW);
                        on_close.emit(());
                    }
                    Err(refusal) => error.set(Some(refusal)),
                }
            });
        })
    };
    html! {
        <Sheet title={strings::withdraw_title(&props.device.name)} on_close={props.on_close.clone()}>
            <form class="stack stack--wide" {onsubmit} autocomplete="off">
                <p>{ strings::WITHDRAW_LEAD }</p>
                <div class="field">
                    <label class="field__label" for="withdraw-phrase">{ strings::RESTORE_LABEL }</label>
                    <textarea ref={input} id="withdraw-phrase" class="input" rows="4" dir="ltr" autocapitalize="none" spellcheck="false" />
                </div>
                <div role="alert">
                    if let Some(refusal) = &*error {
                        <p class="field__error"><Icon name="warn" />{ strings::refusal(refusal) }</p>
                    }
                </div>
                <div class="row"><button type="submit" class="btn btn--bad">{ strings::WITHDRAW }</button></div>
            </form>
        </Sheet>
    }
}

/// Storage used and left, and whether the browser keeps it.
#[component]
pub fn StorageSection() -> Html {
    let ui = use_ui();
    let session = use_session();
    {
        let ui = ui.clone();
        use_effect_with((), move |()| ui.bridge.host_command(HostCommand::MeasureStorage));
    }
    let keep = Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::KeepStorage));
    let Some(storage) = session.host.storage else {
        return html! {
            <section class="section">
                <h2>{ strings::STORAGE }</h2>
                <p class="soft">{ strings::STORAGE_UNKNOWN }</p>
            </section>
        };
    };
    let share = if storage.quota_bytes == 0 {
        0.0
    } else {
        (storage.used_bytes as f64 / storage.quota_bytes as f64).clamp(0.004, 1.0)
    };
    html! {
        <section class="section" data-testid="storage" data-persistent={if storage.persistent { "true" } else { "false" }}>
            <h2>{ strings::STORAGE }</h2>
            <div class="stack stack--wide">
                <svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                    <rect class="meter__fill" width={format!("{:.1}", share * 100.0)} height="8" />
                </svg>
                <dl class="facts">
                    <dt>{ strings::STORAGE_USED }</dt>
                    <dd>{ strings::bytes(storage.used_bytes) }</dd>
                    <dt>{ strings::STORAGE_LEFT }</dt>
                    <dd>{ strings::bytes(storage.quota_bytes.saturating_sub(storage.used_bytes)) }</dd>
                    <dt>{ strings::STORAGE_KEPT }</dt>
                    <dd>{ if storage.persistent { strings::STORAGE_KEPT_YES } else { strings::STORAGE_KEPT_NO } }</dd>
                </dl>
                if !storage.persistent {
                    <p class="small soft">{ strings::STORAGE_KEPT_HINT }</p>
                    <div><button type="button" class="btn" data-testid="storage-keep" onclick={keep}>{ strings::STORAGE_KEEP }</button></div>
                }
            </div>
        </section>
    }
}

#[component]
fn Privacy() -> Html {
    html! {
        <section class="section">
            <h2>{ strings::PRIVACY }</h2>
            <RelaysOnly />
        </section>
    }
}

/// The switch that links to relays alone.
#[component]
pub fn RelaysOnly() -> Html {
    let ui = use_ui();
    let session = use_session();
    let on = session.me.as_ref().is_some_and(|me| me.relays_only);
    let onchange = Callback::from(move |event: Event| {
        let on = event.target_unchecked_into::<HtmlInputElement>().checked();
        ui.command(Command::SetRelaysOnly { on });
    });
    html! {
        <label class="switch">
            <span>
                { strings::RELAYS_ONLY }
                <span class="field__hint switch__hint">{ strings::RELAYS_ONLY_HINT }</span>
            </span>
            <input type="checkbox" role="switch" data-testid="relays-only" checked={on} {onchange} />
        </label>
    }
}

#[component]
fn Appearance() -> Html {
    let ui = use_ui();
    let session = use_session();
    html! {
        <section class="section">
            <h2 id="appearance-title">{ strings::APPEARANCE }</h2>
            <div class="segmented" role="radiogroup" aria-labelledby="appearance-title">
                { for Theme::ALL.into_iter().map(|theme| {
                    let ui = ui.clone();
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
                                checked={session.theme == theme}
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

#[derive(Properties, PartialEq)]
struct EraseProps {
    on_close: Callback<()>,
}

#[component]
fn EraseSheet(props: &EraseProps) -> Html {
    let ui = use_ui();
    let session = use_session();
    let confirmed = session.me.as_ref().is_some_and(|me| me.phrase_confirmed);
    let erase = Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::EraseDevice));
    let close = {
        let on_close = props.on_close.clone();
        Callback::from(move |_: MouseEvent| on_close.emit(()))
    };
    html! {
        <Sheet title={strings::ERASE_TITLE} on_close={props.on_close.clone()}>
            <div class="stack">
                <p>{ if confirmed { strings::ERASE_WITH_WORDS } else { strings::ERASE_NO_WORDS } }</p>
                if session.status.waiting > 0 {
                    <p>{ strings::only_here(session.status.waiting) }</p>
                }
                <div class="row">
                    <button type="button" class="btn btn--bad" data-testid="erase-confirm" onclick={erase}>{ strings::ERASE_CONFIRM }</button>
                    <button type="button" class="btn btn--quiet" onclick={close}>{ strings::CANCEL }</button>
                </div>
            </div>
        </Sheet>
    }
}

/// The recovery words, after the first visit.
#[component]
pub fn Phrase() -> Html {
    let ui = use_ui();
    let session = use_session();
    let confirmed = session.me.as_ref().is_some_and(|me| me.phrase_confirmed);
    let leave = Callback::from(move |()| ui.nav.go(Route::You));
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
