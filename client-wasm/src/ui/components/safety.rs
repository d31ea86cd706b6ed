//! How safe an own post is: a small mark on the post, and what stands behind it when opened.

use engine::api::{Durability, HolderView, Query, Reply};
use protocol::EntryRef;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::ui::state::{time, use_clock, use_ui};
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

/// The mark.
#[derive(Properties, PartialEq)]
pub struct MarkProps {
    /// How safe.
    pub durability: Durability,
    /// Whether the details are open.
    pub open: bool,
    /// Opens or closes them.
    pub onclick: Callback<MouseEvent>,
}

/// See [`MarkProps`]: ○ here, ◔ at peers, ● on relays.
#[component]
pub fn SafetyMark(props: &MarkProps) -> Html {
    let level = level(&props.durability);
    let words = spoken(&props.durability);
    html! {
        <button
            type="button"
            class="action safety"
            data-level={level}
            aria-expanded={if props.open { "true" } else { "false" }}
            onclick={props.onclick.clone()}
        >
            <svg class="safety__mark" viewBox="0 0 14 14" aria-hidden="true" focusable="false">
                { match level {
                    "relays" => html! { <circle cx="7" cy="7" r="6" fill="currentColor" /> },
                    "peers" => html! {
                        <>
                            <circle cx="7" cy="7" r="5.3" fill="none" stroke="currentColor" stroke-width="1.4" />
                            <path d="M7 7V1.7A5.3 5.3 0 0 1 12.3 7z" fill="currentColor" />
                        </>
                    },
                    "here" => html! {
                        <circle cx="7" cy="7" r="5.3" fill="none" stroke="currentColor" stroke-width="1.4" />
                    },
                    _ => html! {
                        <circle cx="7" cy="7" r="5.3" fill="none" stroke="currentColor" stroke-width="1.4" stroke-dasharray="2 2" />
                    },
                } }
            </svg>
            <span>{ words }</span>
        </button>
    }
}

/// What stands behind the mark.
#[derive(Properties, PartialEq)]
pub struct DetailsProps {
    /// The post.
    pub post: EntryRef,
    /// How safe; asked again when it changes.
    pub durability: Durability,
}

/// See [`DetailsProps`].
#[component]
pub fn SafetyDetails(props: &DetailsProps) -> Html {
    let ui = use_ui();
    let now = use_clock();
    let holders = use_state(Vec::<HolderView>::new);
    {
        let holders = holders.setter();
        use_effect_with((props.post, props.durability), move |(post, _)| {
            let post = *post;
            spawn_local(async move {
                if let Ok(Reply::Holders(list)) = ui.bridge.query(Query::Holders { post }).await {
                    holders.set(list);
                }
            });
        });
    }
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
                            <time class="soft" datetime={time::machine(holder.at)} title={time::exact(holder.at)}>
                                { time::relative(holder.at, now) }
                            </time>
                        </li>
                    }) }
                </ul>
            }
        </div>
    }
}
