//! How safe an own post is: a small mark on the post, and what stands behind it when opened.

use std::rc::Rc;

use engine::api::{Durability, Event, Query, Reply};
use protocol::EntryRef;
use yew::prelude::*;

use crate::ui::kit::time;
use crate::ui::state::{Live, use_live, use_scene};
use crate::ui::strings;

/// How safe, in one word that tests and styles use.
pub fn level(durability: &Durability) -> &'static str {
    if durability.relays > 0 {
        "relays"
    } else if durability.peers > 0 {
        "peers"
    } else if durability.saved {
        "here"
    } else {
        "saving"
    }
}

/// How safe, in words.
pub fn spoken(durability: &Durability) -> String {
    match level(durability) {
        "relays" => strings::safe_on_relays(durability.relays, durability.relays_known),
        "peers" => strings::safe_at_peers(durability.peers),
        "here" => strings::SAFE_HERE.to_owned(),
        _ => strings::SAVING.to_owned(),
    }
}

/// The mark: ○ here, ◔ at peers, ● on relays. Opens what stands behind it.
pub fn safety_mark(durability: &Durability, open: bool, onclick: Callback<MouseEvent>) -> Html {
    let level = level(durability);
    let (fill, radius) = if level == "relays" {
        ("currentColor", "6")
    } else {
        ("none", "5.3")
    };
    html! {
        <button
            type="button"
            class="action safety"
            data-level={level}
            aria-expanded={if open { "true" } else { "false" }}
            {onclick}
        >
            <svg class="safety__mark" viewBox="0 0 14 14" aria-hidden="true" focusable="false">
                <circle
                    cx="7"
                    cy="7"
                    r={radius}
                    {fill}
                    stroke={if level == "relays" { "none" } else { "currentColor" }}
                    stroke-width="1.4"
                    stroke-dasharray={(level == "saving").then_some("2 2")}
                />
                if level == "peers" {
                    <path d="M7 7V1.7A5.3 5.3 0 0 1 12.3 7z" fill="currentColor" />
                }
            </svg>
            <span>{ spoken(durability) }</span>
        </button>
    }
}

/// What stands behind the mark.
#[derive(Properties, PartialEq)]
pub struct DetailsProps {
    /// The post.
    pub post: EntryRef,
    /// How safe.
    pub durability: Durability,
}

/// See [`DetailsProps`].
#[component]
pub fn SafetyDetails(props: &DetailsProps) -> Html {
    let scene = use_scene();
    let entry = props.post;
    let (reply, _) = use_live(
        &scene,
        Live {
            query: Query::Holders { post: entry },
            concerns: Rc::new(move |event| matches!(event, Event::Durability { post, .. } if *post == entry)),
            again_ms: |_| None,
        },
    );
    let holders = match reply.as_deref() {
        Some(Reply::Holders(holders)) => holders.as_slice(),
        _ => &[],
    };
    let lead = if !props.durability.saved {
        strings::HOLDERS_SAVING
    } else if holders.is_empty() && props.durability.peers == 0 && props.durability.relays == 0 {
        strings::HOLDERS_NONE
    } else {
        strings::HOLDERS_SOME
    };
    html! {
        <div class="safety-details" data-testid="post-holders">
            <p>{ lead }</p>
            if !holders.is_empty() {
                <ul>
                    { for holders.iter().map(|holder| html! {
                        <li key={holder.peer.to_string()}>
                            <span>
                                { if holder.relay { strings::HOLDERS_RELAY } else { strings::HOLDERS_PEER } }
                                { " " }
                                <span class="mono soft">{ holder.peer.short() }</span>
                            </span>
                            <span class="soft">{ time::ago(holder.at, scene.now_ms) }</span>
                        </li>
                    }) }
                </ul>
            }
        </div>
    }
}
