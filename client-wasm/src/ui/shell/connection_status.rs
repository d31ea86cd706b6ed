//! The connection status in the bar of every page: one dot a linked peer, ringed for relays. It leads to the network
//! page.

use engine::api::{Connection, StatusView};
use yew::prelude::*;

use super::strings;
use crate::ui::route::Route;

/// Where the dots are, in the order they appear: a wedge. There is room for no more.
const PLACES: [(&str, &str); 9] = [
    ("25", "6"),
    ("19", "4"),
    ("20", "11.5"),
    ("13", "5"),
    ("14.5", "13.5"),
    ("7.5", "8"),
    ("13.5", "9.3"),
    ("8.5", "15.5"),
    ("3", "12"),
];

/// The status: a link to the network page.
pub fn connection_status(status: &StatusView) -> Html {
    let word = connection_word(status.connection);
    let text = match status.connection {
        Connection::Offline => strings::chip_unlinked(strings::OFFLINE, status.waiting),
        Connection::Connecting => strings::chip_unlinked(strings::CONNECTING, status.waiting),
        Connection::Online => strings::chip(status.peers, status.waiting),
    };
    let dots = match status.connection {
        Connection::Online => status.peers.max(1),
        Connection::Offline | Connection::Connecting => 5,
    };
    html! {
        <a href={Route::Network.path()} class="chip-link" aria-label={strings::chip_label(&text)}>
            <span
                class="chip"
                data-testid="status-chip"
                data-state={word}
                data-peers={status.peers.to_string()}
                data-relays={status.relays.to_string()}
                data-waiting={status.waiting.to_string()}
            >
                <svg
                    class={classes!("chip__dots", format!("chip__dots--{word}"))}
                    width="28"
                    height="18"
                    viewBox="0 0 28 18"
                    aria-hidden="true"
                    focusable="false"
                >
                    { for PLACES.iter().zip(0..dots).map(|((x, y), index)| {
                        let relay = status.connection == Connection::Online && index < status.relays;
                        let colour = ["chip__dot", "chip__dot chip__dot--1", "chip__dot chip__dot--2"][index as usize % 3];
                        html! {
                            <g class="chip__drift">
                                if relay {
                                    <circle class="chip__ring" cx={*x} cy={*y} r="2.6" />
                                }
                                <circle class={colour} cx={*x} cy={*y} r={if relay { "1.1" } else { "2.2" }} />
                            </g>
                        }
                    }) }
                </svg>
                <span class="chip__text">{ text }</span>
            </span>
        </a>
    }
}

/// The state of the connection in the word that tests and styles use.
pub fn connection_word(connection: Connection) -> &'static str {
    match connection {
        Connection::Offline => "offline",
        Connection::Connecting => "connecting",
        Connection::Online => "online",
    }
}
