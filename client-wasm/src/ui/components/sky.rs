//! The flock, large: oneself in the middle, peers around, the nearer the quicker they answer; relays ringed.

use std::f64::consts::{FRAC_PI_2, TAU};

use engine::api::LinkView;
use protocol::PeerId;
use yew::prelude::*;

use crate::ui::state::shown_name;
use crate::ui::{dom, strings};

/// Names are written beside this many peers at most; the table has all of them.
const NAMES_MAX: usize = 16;
/// Round trips shown as circles, in milliseconds.
const ORBITS_MS: [u32; 3] = [10, 50, 250];
/// Where the first peer stands, in radians clockwise from the right.
const FIRST_ANGLE: f64 = -0.6;
/// Assumed while a round trip is not measured, in milliseconds.
const UNKNOWN_RTT_MS: u32 = 120;

/// The links to draw.
#[derive(Properties, PartialEq)]
pub struct SkyProps {
    /// All links.
    pub links: Vec<LinkView>,
    /// Those that carried something since the last look.
    pub live: Vec<PeerId>,
}

/// Distance from the middle, 0 to 1, for a round trip: a tenfold time is an equal step outwards.
fn distance(rtt_ms: u32) -> f64 {
    let steps = (f64::from(rtt_ms) + 1.0).log10() / 3.0;
    0.34 + 0.66 * steps.clamp(0.0, 1.0)
}

/// See [`SkyProps`].
#[component]
pub fn Sky(props: &SkyProps) -> Html {
    // Drawn for the width it gets, so that its letters keep their size.
    let width = dom::viewport_width().clamp(320.0, 620.0);
    let height = if width < 480.0 { 320.0 } else { 380.0 };
    let (center_x, center_y) = (width / 2.0, height / 2.0);
    let (reach_x, reach_y) = (width / 2.0 - 48.0, height / 2.0 - 34.0);

    // Always the same place for the same company: by key, evenly around.
    let mut links: Vec<&LinkView> = props.links.iter().collect();
    links.sort_by_key(|link| link.peer);
    let relays = links.iter().filter(|link| link.relay).count();
    let slot = TAU / links.len().max(1) as f64;
    // The circles are named in the gap between two peers that is nearest to straight down.
    let gap = FIRST_ANGLE + ((FRAC_PI_2 - FIRST_ANGLE) / slot - 0.5).round() * slot + slot / 2.0;
    let placed: Vec<(&LinkView, f64, f64)> = links
        .iter()
        .enumerate()
        .map(|(index, link)| {
            let angle = FIRST_ANGLE + index as f64 * slot;
            let far = distance(link.rtt_ms.unwrap_or(UNKNOWN_RTT_MS));
            (
                *link,
                center_x + angle.cos() * far * reach_x,
                center_y + angle.sin() * far * reach_y,
            )
        })
        .collect();
    let number = |value: f64| format!("{value:.1}");
    html! {
        <div class="sky">
            <svg
                viewBox={format!("0 0 {width:.0} {height:.0}")}
                role="img"
                aria-label={strings::sky_label(links.len(), relays)}
                data-testid="sky"
            >
                <defs>
                    <radialGradient id="sky-glow">
                        <stop offset="0" class="sky__glow--in" />
                        <stop offset="1" class="sky__glow--out" />
                    </radialGradient>
                </defs>
                <ellipse
                    cx={number(center_x)}
                    cy={number(center_y)}
                    rx={number(reach_x)}
                    ry={number(reach_y)}
                    fill="url(#sky-glow)"
                />
                { for ORBITS_MS.iter().map(|ms| {
                    let far = distance(*ms);
                    html! {
                        <g>
                            <ellipse
                                class="sky__orbit"
                                cx={number(center_x)}
                                cy={number(center_y)}
                                rx={number(far * reach_x)}
                                ry={number(far * reach_y)}
                            />
                            <text
                                class="sky__label sky__halo"
                                x={number(center_x + gap.cos() * far * reach_x)}
                                y={number(center_y + gap.sin() * far * reach_y + 4.0)}
                                text-anchor="middle"
                            >{ strings::milliseconds(*ms) }</text>
                        </g>
                    }
                }) }
                { for placed.iter().map(|(link, x, y)| {
                    let live = props.live.contains(&link.peer);
                    html! {
                        <line
                            class={classes!("sky__link", live.then_some("sky__link--live"))}
                            x1={number(*x)}
                            y1={number(*y)}
                            x2={number(center_x)}
                            y2={number(center_y)}
                        />
                    }
                }) }
                { for placed.iter().enumerate().map(|(index, (link, x, y))| {
                    let (cx, cy) = (number(*x), number(*y));
                    let name = link
                        .account
                        .map_or_else(|| link.peer.short(), |account| shown_name(&link.name, &account));
                    let name: String = if name.chars().count() > 16 {
                        name.chars().take(15).chain(['…']).collect()
                    } else {
                        name
                    };
                    html! {
                        <g class="sky__drift">
                            if link.relay {
                                <circle class="sky__ring" cx={cx.clone()} cy={cy.clone()} r="11" />
                            }
                            <circle
                                class={classes!("sky__peer", format!("sky__peer--{}", index % 3))}
                                cx={cx.clone()}
                                cy={cy}
                                r={if link.relay { "6" } else { "7" }}
                            />
                            if index < NAMES_MAX {
                                <text class="sky__name sky__halo" x={cx} y={number(y + 26.0)} text-anchor="middle">{ name }</text>
                            }
                        </g>
                    }
                }) }
                <circle cx={number(center_x)} cy={number(center_y)} r="12" fill="url(#plumage-box)" />
                <text class="sky__name sky__halo" x={number(center_x)} y={number(center_y + 28.0)} text-anchor="middle">
                    { strings::NETWORK_SELF }
                </text>
            </svg>
            if links.is_empty() {
                <p class="sky__nobody">{ strings::NETWORK_NOBODY }</p>
            }
        </div>
    }
}
