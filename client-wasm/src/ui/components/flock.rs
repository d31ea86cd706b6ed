//! The flock: one dot a linked peer, ringed for relays. Small it is the status chip; the network page shows it large.

use engine::api::Connection;
use yew::prelude::*;

use crate::ui::router::{Link, Route};
use crate::ui::state::{connection_word, use_session};
use crate::ui::strings;

/// Dots the chip has room for.
const DOTS_MAX: u32 = 9;
/// Where they fly, in the order they appear: a wedge.
const PLACES: [(f32, f32); DOTS_MAX as usize] = [
    (25.0, 6.0),
    (19.0, 4.0),
    (20.0, 11.5),
    (13.0, 5.0),
    (14.5, 13.5),
    (7.5, 8.0),
    (13.5, 9.3),
    (8.5, 15.5),
    (3.0, 12.0),
];

/// The status chip: a link to the network page.
#[component]
pub fn StatusChip() -> Html {
    let session = use_session();
    let status = session.status;
    let word = connection_word(status.connection);
    let text = match status.connection {
        Connection::Offline => strings::chip_unlinked(strings::OFFLINE, status.waiting),
        Connection::Connecting => strings::chip_unlinked(strings::CONNECTING, status.waiting),
        Connection::Online => strings::chip(status.peers, status.waiting),
    };
    let dots = match status.connection {
        Connection::Online => status.peers.clamp(1, DOTS_MAX),
        Connection::Offline | Connection::Connecting => 5,
    };
    html! {
        <Link to={Route::Network} class="chip-link" label={strings::chip_label(&text)}>
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
                        let (x, y) = (x.to_string(), y.to_string());
                        let relay = status.connection == Connection::Online && index < status.relays;
                        html! {
                            <g class="flock__drift">
                                if relay {
                                    <circle class="flock__ring" cx={x.clone()} cy={y.clone()} r="2.6" />
                                    <circle class={format!("flock__dot flock__dot--{}", index % 3)} cx={x} cy={y} r="1.1" />
                                } else {
                                    <circle class={format!("flock__dot flock__dot--{}", index % 3)} cx={x} cy={y} r="2.2" />
                                }
                            </g>
                        }
                    }) }
                </svg>
                <span class="chip__text">{ text }</span>
            </span>
        </Link>
    }
}
