//! The map of peers: oneself in the middle, peers around, the nearer the quicker they answer; relays ringed.

use std::f64::consts::{FRAC_PI_2, TAU};

use engine::api::LinkView;
use js_sys::Math;
use protocol::PeerId;
use yew::prelude::*;

use super::strings;
use crate::ui::dom;
use crate::ui::kit::{self, shown_name};

/// Names are written beside this many peers at most; the table has all of them.
const NAMES_MAX: usize = 16;
/// A name longer than this is cut in the picture.
const NAME_CHARS_MAX: usize = 16;
/// Round trips shown as circles, in milliseconds.
const ORBITS_MS: [u32; 3] = [10, 50, 250];
/// Where the first peer is, in radians clockwise from the right.
const FIRST_ANGLE: f64 = -0.6;
/// Assumed while a round trip is not measured, in milliseconds.
const UNKNOWN_RTT_MS: u32 = 120;

/// Distance from the middle, 0 to 1, for a round trip: a tenfold time is an equal step outwards.
fn distance(rtt_ms: u32) -> f64 {
    let steps = Math::log10(f64::from(rtt_ms) + 1.0) / 3.0;
    0.34 + 0.66 * steps.clamp(0.0, 1.0)
}

/// Whole pixels are fine enough, and cost no code that writes fractions.
fn px(value: f64) -> String {
    (value as i32).to_string()
}

/// The picture. `live` are the peers whose links carried something since the last look.
pub(super) fn peer_map(links: &[LinkView], live: &[PeerId]) -> Html {
    // Drawn for the width it gets, so that its letters keep their size.
    let width = dom::viewport_width().clamp(320.0, 620.0);
    let height = if width < 480.0 { 320.0 } else { 380.0 };
    let (center_x, center_y) = (width / 2.0, height / 2.0);
    let (reach_x, reach_y) = (width / 2.0 - 48.0, height / 2.0 - 34.0);
    let place = |angle: f64, far: f64| {
        (
            center_x + Math::cos(angle) * far * reach_x,
            center_y + Math::sin(angle) * far * reach_y,
        )
    };

    // Always the same place for the same company: by key, evenly around.
    let slot = TAU / links.len().max(1) as f64;
    // The circles are named in the gap between two peers that is nearest to straight down.
    let gap = FIRST_ANGLE + ((FRAC_PI_2 - FIRST_ANGLE) / slot - 0.5).round() * slot + slot / 2.0;
    let relays = links.iter().filter(|link| link.relay).count();
    let placed = || {
        links.iter().map(|link| {
            let rank = links.iter().filter(|other| other.peer < link.peer).count();
            let far = distance(link.rtt_ms.unwrap_or(UNKNOWN_RTT_MS));
            (link, rank, place(FIRST_ANGLE + rank as f64 * slot, far))
        })
    };
    html! {
        <div class="peer-map">
            <svg
                viewBox={format!("0 0 {} {}", px(width), px(height))}
                role="img"
                aria-label={strings::peer_map_label(links.len(), relays)}
                data-testid="peer-map"
            >
                <defs>
                    <radialGradient id="peer-map-glow">
                        <stop offset="0" class="peer-map__glow--in" />
                        <stop offset="1" class="peer-map__glow--out" />
                    </radialGradient>
                </defs>
                <ellipse cx={px(center_x)} cy={px(center_y)} rx={px(reach_x)} ry={px(reach_y)} fill="url(#peer-map-glow)" />
                { for ORBITS_MS.iter().map(|ms| {
                    let far = distance(*ms);
                    let (x, y) = place(gap, far);
                    html! {
                        <g>
                            <ellipse
                                class="peer-map__orbit"
                                cx={px(center_x)}
                                cy={px(center_y)}
                                rx={px(far * reach_x)}
                                ry={px(far * reach_y)}
                            />
                            <text class="peer-map__label peer-map__halo" x={px(x)} y={px(y + 4.0)} text-anchor="middle">
                                { kit::strings::milliseconds(*ms) }
                            </text>
                        </g>
                    }
                }) }
                { for placed().map(|(link, _, (x, y))| {
                    let live = live.contains(&link.peer);
                    html! {
                        <line
                            class={if live { "peer-map__link peer-map__link--live" } else { "peer-map__link" }}
                            x1={px(x)}
                            y1={px(y)}
                            x2={px(center_x)}
                            y2={px(center_y)}
                        />
                    }
                }) }
                { for placed().map(|(link, rank, (x, y))| {
                    let name = link
                        .account
                        .map_or_else(|| link.peer.short(), |account| shown_name(&link.name, &account));
                    let mut shown: String = name.chars().take(NAME_CHARS_MAX).collect();
                    if shown.len() < name.len() {
                        shown.push('…');
                    }
                    html! {
                        <g class="peer-map__drift">
                            if link.relay {
                                <circle class="peer-map__ring" cx={px(x)} cy={px(y)} r="11" />
                            }
                            <circle
                                class={["peer-map__peer", "peer-map__peer peer-map__peer--1", "peer-map__peer peer-map__peer--2"][rank % 3]}
                                cx={px(x)}
                                cy={px(y)}
                                r={if link.relay { "6" } else { "7" }}
                            />
                            if rank < NAMES_MAX {
                                <text class="peer-map__name peer-map__halo" x={px(x)} y={px(y + 26.0)} text-anchor="middle">{ shown }</text>
                            }
                        </g>
                    }
                }) }
                <circle cx={px(center_x)} cy={px(center_y)} r="12" fill="url(#plumage-box)" />
                <text class="peer-map__name peer-map__halo" x={px(center_x)} y={px(center_y + 28.0)} text-anchor="middle">
                    { strings::NETWORK_SELF }
                </text>
            </svg>
            if links.is_empty() {
                <p class="peer-map__nobody">{ strings::NETWORK_NOBODY }</p>
            }
        </div>
    }
}
