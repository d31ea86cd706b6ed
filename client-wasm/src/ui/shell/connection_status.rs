//! The flock: one dot a linked peer, ringed for relays. Small it is the status chip; the network page shows it large.

use engine::api::{Connection, StatusView};
use yew::prelude::*;

use crate::ui::route::Route;
use crate::ui::state::connection_word;
use crate::ui::strings;

/// Where dots fly, in the order they appear: a wedge. The chip has room for no more.
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

/// The status chip: a link to the network page.
pub fn status_chip(status: &StatusView) -> Html {
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
                    class={classes!("chip__flock", format!("flock--{word}"))}
                    width="28"
                    height="18"
                    viewBox="0 0 28 18"
                    aria-hidden="true"
                    focusable="false"
                >
                    { for PLACES.iter().zip(0..dots).map(|((x, y), index)| {
                        let relay = status.connection == Connection::Online && index < status.relays;
                        let colour = ["flock__dot", "flock__dot flock__dot--1", "flock__dot flock__dot--2"][index as usize % 3];
                        html! {
                            <g class="flock__drift">
                                if relay {
                                    <circle class="flock__ring" cx={*x} cy={*y} r="2.6" />
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
