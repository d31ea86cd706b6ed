//! The network as this device sees it: the map of peers, the same facts as a table, what is stored here, and a text
//! with which the operator of a relay can find a fault.

mod peer_map;
pub mod strings;

use std::fmt::Write as _;
use std::rc::Rc;

use engine::api::{
    Command, Connection, Event, LinkView, NetworkView, Query, QueryResult, RelayState, StatusView, Transport,
};
use ordered::sorted_by_key;
use protocol::PeerId;
use web_sys::MouseEvent;
use yew::prelude::*;

use self::peer_map::peer_map;
use crate::ui::bridge::{HostCommand, TabRole};
use crate::ui::dom;
use crate::ui::features::Feature;
use crate::ui::features::account::storage::{privacy, storage};
use crate::ui::kit::{self, shown_name, time};
use crate::ui::route::Route;
use crate::ui::shell::connection_status::connection_word;
use crate::ui::shell::layout::{NavItem, Page};
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::shell::notices::{self, Gravity, Notice};
use crate::ui::state::{AppContext, Live, Session, use_app, use_live};

/// The page, and the notice that no relay is linked.
pub const FEATURE: Feature = Feature {
    nav: Some(NavItem::Page {
        to: Route::Network,
        icon: "network",
        label: strings::NETWORK,
        testid: "nav-network",
        wide_only: true,
        badge: |_| None,
    }),
    page: |app| {
        (app.location.route == Route::Network)
            .then(|| lazy_page("network", strings::NETWORK, false, network_page))
    },
    // What the page shows of the storage is measured when it is opened.
    on_visit: |app| {
        if app.location.route == Route::Network {
            app.ui.bridge.host_command(HostCommand::MeasureStorage);
        }
    },
    notice: no_relay,
    ..Feature::NONE
};

loaded_later!(
    fn network_page() {
        html! { <Network /> }
    }
);

/// Interval in milliseconds at which the open page is read again.
const REFRESH_MS: u32 = 2_000;

/// The peers whose links carried something between two readings.
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

#[component]
fn Network() -> Html {
    let app = use_app();
    let (session, now_ms) = (&app.session, app.now_ms);
    // The reading before, and what had moved since the one before that.
    let before = use_mut_ref(|| (Rc::new(NetworkView::default()), Vec::<PeerId>::new()));
    let (reply, _) = use_live(
        &app,
        Live {
            query: Query::Network,
            concerns: Rc::new(|event| matches!(event, Event::Status(_))),
            again_ms: |_| Some(REFRESH_MS),
        },
    );
    let view = match reply.as_deref() {
        Some(QueryResult::Network(view)) => view.clone(),
        _ => NetworkView::default(),
    };
    let live = {
        let mut before = before.borrow_mut();
        if *before.0 != view {
            before.1 = live_since(&before.0, &view);
            before.0 = Rc::new(view.clone());
        }
        before.1.clone()
    };
    let text = diagnostics(session, &view);
    let copy = {
        let (ui, text) = (app.ui.clone(), text.clone());
        Callback::from(move |_: MouseEvent| ui.copy(text.clone(), kit::strings::COPIED))
    };
    let reconnect = {
        let ui = app.ui.clone();
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::Reconnect))
    };
    html! {
        <Page title={strings::NETWORK}>
            { peer_map(&view.links, &live) }
            <section class="section">
                <div class="row row--between section__head">
                    <h2>{ strings::NETWORK_LINKS }</h2>
                    if session.status.connection != Connection::Online {
                        { kit::button("btn", "reconnect", "retry", strings::RECONNECT, reconnect) }
                    }
                </div>
                if view.links.is_empty() {
                    <p class="soft">{ strings::LINK_NONE }</p>
                } else {
                    { links(&view.links, now_ms) }
                }
            </section>
            if !view.relays.is_empty() {
                { relays(&app, &view) }
            }
            { kit::section(strings::HELD, kit::facts(&[
                (strings::HELD_FEEDS, view.feeds.to_string()),
                (strings::HELD_ENTRIES, view.entries.to_string()),
                (strings::HELD_INTERESTS, view.interests.to_string()),
                (strings::HELD_DUPLICATES, view.duplicates.to_string()),
                (strings::HELD_REFUSED, view.refused.to_string()),
            ])) }
            <section class="section">
                <h2>{ strings::SYNCED }</h2>
                if view.synced.is_empty() {
                    <p class="soft">{ strings::SYNCED_NONE }</p>
                } else {
                    <dl class="facts">
                        { for view.synced.iter().map(|(account, at)| html! {
                            <>
                                <dt><a href={Route::User(*account).path()}><span class="mono">{ account.short() }</span></a></dt>
                                <dd>
                                    { time::ago(*at, now_ms) }
                                </dd>
                            </>
                        }) }
                    </dl>
                }
            </section>
            { storage(&app) }
            { privacy(&app) }
            <section class="section">
                <h2>{ strings::DIAGNOSTICS }</h2>
                <div class="stack stack--wide">
                    <p class="soft">{ strings::DIAGNOSTICS_HINT }</p>
                    <pre class="diagnostics" tabindex="0" aria-label={strings::DIAGNOSTICS} data-testid="diagnostics">{ text }</pre>
                    <div>{ kit::button("btn", "diagnostics-copy", "copy", strings::DIAGNOSTICS_COPY, copy) }</div>
                </div>
            </section>
        </Page>
    }
}

/// How a relay does, in words, and in one word that tests and styles use.
fn relay_state(state: RelayState) -> (&'static str, &'static str) {
    match state {
        RelayState::Alive => (strings::RELAY_ALIVE, "alive"),
        RelayState::Suspect => (strings::RELAY_SUSPECT, "suspect"),
        RelayState::Dead => (strings::RELAY_DEAD, "dead"),
        RelayState::Left => (strings::RELAY_LEFT, "left"),
        RelayState::NoMember => (strings::RELAY_NO_MEMBER, "no-member"),
    }
}

/// All relays heard of, linked or not.
fn relays(app: &AppContext, view: &NetworkView) -> Html {
    html! {
        <section class="section">
            <h2>{ strings::RELAYS }</h2>
            <div class="stack">
                <dl class="facts" data-testid="relays">
                    { for view.relays.iter().map(|relay| {
                        let (word, name) = relay_state(relay.state);
                        let place = match relay.description.url.split_once("//") {
                            Some((_, host)) => html! { <bdi>{ host.to_owned() }</bdi> },
                            None => html! { <span class="mono">{ relay.description.relay.short() }</span> },
                        };
                        html! {
                            <>
                                <dt title={relay.description.relay.to_string()}>{ place }</dt>
                                <dd data-state={name}>
                                    { word }
                                    if let Some(score) = view.scores.iter().find(|score| score.relay == relay.description.relay) {
                                        <span class="small soft" data-testid="score">{ strings::relay_score(score) }</span>
                                    }
                                    if relay.state == RelayState::NoMember {
                                        { forget_button(app, relay.description.relay) }
                                    }
                                </dd>
                            </>
                        }
                    }) }
                </dl>
                <p class="small soft" data-testid="weights">{ strings::relay_weights(view.weights) }</p>
            </div>
        </section>
    }
}

/// Removes a relay that is no member any more.
fn forget_button(app: &AppContext, relay: PeerId) -> Html {
    let ui = app.ui.clone();
    let onclick = Callback::from(move |_: MouseEvent| ui.command(Command::ForgetRelay { relay }));
    kit::button("btn", "relay-forget", "", strings::RELAY_FORGET, onclick)
}

fn via(transport: Transport) -> &'static str {
    match transport {
        Transport::WebRtc => strings::VIA_WEBRTC,
        Transport::WebSocket => strings::VIA_WEBSOCKET,
        Transport::Memory => strings::VIA_MEMORY,
    }
}

/// Relays first, then the nearest; those that are not measured last.
fn ranked(links: &[LinkView]) -> Vec<&LinkView> {
    sorted_by_key(links, |link| {
        (!link.relay, link.rtt_ms.unwrap_or(u32::MAX), link.peer)
    })
}

/// The table of links.
fn links(links: &[LinkView], now_ms: u64) -> Html {
    html! {
        <div class="table__place">
        <table class="table" data-testid="links">
            <thead>
                <tr>
                    { for [
                        strings::LINK_WHO,
                        strings::LINK_VIA,
                        strings::LINK_RTT,
                        strings::LINK_IN,
                        strings::LINK_OUT,
                        strings::LINK_SINCE,
                    ].into_iter().map(|name| html! { <th scope="col">{ name }</th> }) }
                </tr>
            </thead>
            <tbody>
                { for ranked(links).into_iter().map(|link| {
                    let kind = if link.relay { strings::RELAY } else { strings::PEER };
                    let rtt = link.rtt_ms.map_or_else(|| "–".to_owned(), kit::strings::milliseconds);
                    html! {
                        <tr key={link.peer.to_string()} data-testid="link" data-relay={if link.relay { "true" } else { "false" }} data-peer={link.peer.to_string()}>
                            <th scope="row">
                                if let Some(account) = link.account {
                                    <a href={Route::User(account).path()}><bdi>{ shown_name(&link.name, &account) }</bdi></a>
                                } else {
                                    <span class="mono" title={link.peer.to_string()}>{ link.peer.short() }</span>
                                }
                                { " " }<span class="small soft table__kind">{ kind }</span>
                            </th>
                            { for [
                                (strings::LINK_VIA, html! { via(link.transport) }),
                                (strings::LINK_RTT, html! { rtt }),
                                (strings::LINK_IN, html! { kit::strings::bytes(link.bytes_in) }),
                                (strings::LINK_OUT, html! { kit::strings::bytes(link.bytes_out) }),
                                (strings::LINK_SINCE, time::ago(link.since, now_ms)),
                            ].into_iter().map(|(name, value)| html! { <td data-label={name}>{ value }</td> }) }
                        </tr>
                    }
                }) }
            </tbody>
        </table>
        </div>
    }
}

/// Facts with which a fault can be found: no names, no texts.
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
    if let Some(versions) = view.incompatible {
        let _ = writeln!(text, "incompatible: {versions}");
    }
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

/// Whether posts wait for a relay although there is a network.
fn lacks_relay(status: &StatusView) -> bool {
    status.connection == Connection::Online && status.relays == 0 && status.not_durable > 0
}

fn no_relay(app: &AppContext) -> Option<Notice> {
    lacks_relay(&app.session.status).then(|| Notice {
        gravity: Gravity::Hint,
        class: "",
        icon: "network",
        testid: "no-relay",
        text: html! { strings::NO_RELAY },
        action: notices::host_button(&app.ui, kit::strings::RETRY, HostCommand::Reconnect),
    })
}

#[cfg(test)]
mod tests {
    use engine::api::ScoreView;
    use protocol::Timestamp;

    use super::*;

    fn link(peer: u8, relay: bool, rtt_ms: Option<u32>, bytes_in: u64) -> LinkView {
        LinkView {
            peer: PeerId([peer; 32]),
            account: None,
            name: String::new(),
            relay,
            transport: Transport::WebRtc,
            rtt_ms,
            bytes_in,
            bytes_out: 0,
            since: Timestamp(0),
        }
    }

    fn view(links: Vec<LinkView>) -> NetworkView {
        NetworkView {
            links,
            ..NetworkView::default()
        }
    }

    #[test]
    fn relays_come_first_and_then_the_nearest() {
        let links = [
            link(1, false, None, 0),
            link(2, false, Some(20), 0),
            link(3, true, Some(90), 0),
            link(4, false, Some(5), 0),
        ];
        let order: Vec<u8> = ranked(&links).iter().map(|link| link.peer.0[0]).collect();
        assert_eq!(order, [3, 4, 2, 1]);
    }

    #[test]
    fn a_link_is_live_if_it_carried_something_since_the_reading_before() {
        let before = view(vec![link(1, false, None, 10), link(2, false, None, 10)]);
        let now = view(vec![
            link(1, false, None, 11),
            link(2, false, None, 10),
            // New: what it carried before is unknown.
            link(3, false, None, 10),
        ]);
        assert_eq!(live_since(&before, &now), [PeerId([1; 32])]);
    }

    #[test]
    fn a_relay_is_missed_only_while_posts_wait_for_one() {
        let status = |connection, relays, not_durable| StatusView {
            connection,
            relays,
            not_durable,
            ..StatusView::default()
        };
        assert!(lacks_relay(&status(Connection::Online, 0, 1)));
        assert!(!lacks_relay(&status(Connection::Online, 0, 0)));
        assert!(!lacks_relay(&status(Connection::Online, 1, 1)));
        assert!(!lacks_relay(&status(Connection::Offline, 0, 1)));
    }

    #[test]
    fn scores_and_weights_are_written_as_decimals_without_needless_zeros() {
        let score = ScoreView {
            relay: PeerId([1; 32]),
            score: 1_234,
            parts: [10, 5, 0, 12],
        };
        assert_eq!(
            strings::relay_score(&score),
            " · score 123.4 = 1000 ÷ (1.0 replication + 0.5 response + 0.0 distance + 1.2 errors)"
        );
        let weights = strings::relay_weights([1_000, 50, 1_500, 100_000]);
        assert!(weights.contains("there 1, a millisecond to answer 0.05, a kilometre 1.5"));
        assert!(weights.ends_with("failing always 100."));
    }

    #[test]
    fn the_map_says_how_many_are_linked() {
        assert!(strings::peer_map_label(5, 1).ends_with(" 1 relay, 4 other peers."));
        assert!(strings::peer_map_label(0, 0).ends_with(" 0 relays, 0 other peers."));
    }
}
