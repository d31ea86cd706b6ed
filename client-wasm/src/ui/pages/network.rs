//! The network as this device sees it: the flock, the same facts as a table, what is held here, and what to tell
//! whoever runs a relay when something is wrong.

use std::fmt::Write as _;

use engine::api::{Connection, LinkView, NetworkView, Query, Reply, Transport};
use gloo_timers::callback::Interval;
use protocol::PeerId;
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use super::you::{RelaysOnly, StorageSection};
use crate::ui::bridge::{HostCommand, TabRole};
use crate::ui::components::frame::Page;
use crate::ui::components::icon::Icon;
use crate::ui::components::sky::Sky;
use crate::ui::router::{Link, Route};
use crate::ui::state::{Session, connection_word, shown_name, time, use_clock, use_session, use_ui};
use crate::ui::{dom, strings};

/// How often the page is read anew while it is open.
const REFRESH_MS: u32 = 2_000;

/// What was read, and which links carried something since the reading before.
#[derive(Clone, Default, PartialEq)]
struct Seen {
    view: NetworkView,
    live: Vec<PeerId>,
}

fn live_since(before: &NetworkView, now: &NetworkView) -> Vec<PeerId> {
    now.links
        .iter()
        .filter(|link| {
            before.links.iter().any(|old| {
                old.peer == link.peer && (old.bytes_in, old.bytes_out) != (link.bytes_in, link.bytes_out)
            })
        })
        .map(|link| link.peer)
        .collect()
}

/// The page.
#[component]
pub fn Network() -> Html {
    let ui = use_ui();
    let session = use_session();
    let now = use_clock();
    let seen = use_state_eq(|| None::<Seen>);
    {
        let (ui, latest, seen) = (ui.clone(), use_mut_ref(NetworkView::default), seen.setter());
        use_effect_with((), move |()| {
            let read = move || {
                let (ui, latest, seen) = (ui.clone(), latest.clone(), seen.clone());
                spawn_local(async move {
                    if let Ok(Reply::Network(view)) = ui.bridge.query(Query::Network).await {
                        let before = latest.replace(view.clone());
                        let live = live_since(&before, &view);
                        seen.set(Some(Seen { view, live }));
                    }
                });
            };
            read();
            let timer = Interval::new(REFRESH_MS, read);
            move || drop(timer)
        });
    }
    let Seen { view, live } = (*seen).clone().unwrap_or_default();
    let text = diagnostics(&session, &view);
    let copy = {
        let (ui, text) = (ui.clone(), text.clone());
        Callback::from(move |_: MouseEvent| ui.copy(text.clone(), strings::COPIED))
    };
    let reconnect = Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::Reconnect));
    html! {
        <Page title={strings::NETWORK}>
            <Sky links={view.links.clone()} {live} />
            <section class="section">
                <div class="row row--between section__head">
                    <h2>{ strings::NETWORK_LINKS }</h2>
                    if session.status.connection != Connection::Online {
                        <button type="button" class="btn" onclick={reconnect}><Icon name="retry" />{ strings::RECONNECT }</button>
                    }
                </div>
                if view.links.is_empty() {
                    <p class="soft">{ strings::LINK_NONE }</p>
                } else {
                    <Links links={view.links.clone()} {now} />
                }
            </section>
            <section class="section">
                <h2>{ strings::HELD }</h2>
                <dl class="facts">
                    { fact(strings::HELD_FEEDS, view.feeds) }
                    { fact(strings::HELD_ENTRIES, view.entries) }
                    { fact(strings::HELD_INTERESTS, view.interests) }
                    { fact(strings::HELD_DUPLICATES, view.duplicates) }
                    { fact(strings::HELD_REFUSED, view.refused) }
                </dl>
            </section>
            <section class="section">
                <h2>{ strings::SYNCED }</h2>
                if view.synced.is_empty() {
                    <p class="soft">{ strings::SYNCED_NONE }</p>
                } else {
                    <dl class="facts">
                        { for view.synced.iter().map(|(account, at)| html! {
                            <>
                                <dt><Link to={Route::User(*account)}><span class="mono">{ account.short() }</span></Link></dt>
                                <dd>
                                    <time datetime={time::machine(*at)} title={time::exact(*at)}>{ time::relative(*at, now) }</time>
                                </dd>
                            </>
                        }) }
                    </dl>
                }
            </section>
            <StorageSection />
            <section class="section">
                <h2>{ strings::PRIVACY }</h2>
                <RelaysOnly />
            </section>
            <section class="section">
                <h2>{ strings::DIAGNOSTICS }</h2>
                <div class="stack stack--wide">
                    <p class="soft">{ strings::DIAGNOSTICS_HINT }</p>
                    <pre class="diagnostics" tabindex="0" aria-label={strings::DIAGNOSTICS} data-testid="diagnostics">{ text }</pre>
                    <div>
                        <button type="button" class="btn" onclick={copy}><Icon name="copy" />{ strings::DIAGNOSTICS_COPY }</button>
                    </div>
                </div>
            </section>
        </Page>
    }
}

fn fact(label: &'static str, count: u64) -> Html {
    html! { <><dt>{ label }</dt><dd>{ count }</dd></> }
}

fn via(transport: Transport) -> &'static str {
    match transport {
        Transport::WebRtc => strings::VIA_WEBRTC,
        Transport::WebSocket => strings::VIA_WEBSOCKET,
        Transport::Memory => strings::VIA_MEMORY,
    }
}

#[derive(Properties, PartialEq)]
struct LinksProps {
    links: Vec<LinkView>,
    now: u64,
}

#[component]
fn Links(props: &LinksProps) -> Html {
    let mut links: Vec<&LinkView> = props.links.iter().collect();
    links.sort_by_key(|link| (!link.relay, link.rtt_ms.unwrap_or(u32::MAX), link.peer));
    html! {
        <table class="table" data-testid="links">
            <thead>
                <tr>
                    <th scope="col">{ strings::LINK_WHO }</th>
                    <th scope="col">{ strings::LINK_VIA }</th>
                    <th scope="col" class="table__number">{ strings::LINK_RTT }</th>
                    <th scope="col" class="table__number">{ strings::LINK_IN }</th>
                    <th scope="col" class="table__number">{ strings::LINK_OUT }</th>
                    <th scope="col" class="table__number">{ strings::LINK_SINCE }</th>
                </tr>
            </thead>
            <tbody>
                { for links.into_iter().map(|link| {
                    let kind = if link.relay { strings::RELAY } else { strings::PEER };
                    let rtt = link.rtt_ms.map_or_else(|| "–".to_owned(), strings::milliseconds);
                    html! {
                        <tr key={link.peer.to_string()} data-testid="link" data-relay={if link.relay { "true" } else { "false" }} data-peer={link.peer.to_string()}>
                            <th scope="row">
                                if let Some(account) = link.account {
                                    <Link to={Route::User(account)}><bdi>{ shown_name(&link.name, &account) }</bdi></Link>
                                } else {
                                    <span class="mono" title={link.peer.to_string()}>{ link.peer.short() }</span>
                                }
                                { " " }<span class="small soft table__kind">{ kind }</span>
                            </th>
                            <td data-label={strings::LINK_VIA}>{ via(link.transport) }</td>
                            <td data-label={strings::LINK_RTT} class="table__number">{ rtt }</td>
                            <td data-label={strings::LINK_IN} class="table__number">{ strings::bytes(link.bytes_in) }</td>
                            <td data-label={strings::LINK_OUT} class="table__number">{ strings::bytes(link.bytes_out) }</td>
                            <td data-label={strings::LINK_SINCE} class="table__number">
                                <time datetime={time::machine(link.since)} title={time::exact(link.since)}>{ time::relative(link.since, props.now) }</time>
                            </td>
                        </tr>
                    }
                }) }
            </tbody>
        </table>
    }
}

/// Facts for whoever has to find a fault: no names, no texts.
fn diagnostics(session: &Session, view: &NetworkView) -> String {
    let status = &session.status;
    let mut text = format!("starling {}\n", env!("CARGO_PKG_VERSION"));
    let tab = match session.host.tab {
        TabRole::Joining => "joining",
        TabRole::Leading => "leading",
        TabRole::Following => "following",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "browser {}", dom::device_name());
    let _ = writeln!(text, "tab {tab}");
    let _ = writeln!(
        text,
        "connection {} peers {} relays {}",
        connection_word(status.connection),
        status.peers,
        status.relays
    );
    let _ = writeln!(
        text,
        "waiting {} not_durable {} syncing {} store {:?}",
        status.waiting, status.not_durable, status.syncing, status.store
    );
    if let Some(me) = &session.me {
        let _ = writeln!(
            text,
            "account {} device {} relays_only {} revoked {} forked {}",
            me.account.short(),
            me.device.short(),
            me.relays_only,
            me.revoked,
            me.forked
        );
    }
    if let Some(storage) = session.host.storage {
        let _ = writeln!(
            text,
            "storage_bytes {} of {} persistent {}",
            storage.used_bytes, storage.quota_bytes, storage.persistent
        );
    }
    let _ = writeln!(
        text,
        "feeds {} entries {} interests {} duplicates {} refused {}",
        view.feeds, view.entries, view.interests, view.duplicates, view.refused
    );
    for link in &view.links {
        let _ = writeln!(
            text,
            "link {} {} {} rtt_ms {} in {} out {} since {}",
            link.peer.short(),
            if link.relay { "relay" } else { "peer" },
            via(link.transport),
            link.rtt_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
            link.bytes_in,
            link.bytes_out,
            time::machine(link.since)
        );
    }
    text
}
