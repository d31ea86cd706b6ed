//! How safe an own post is: a small mark on the post, and the list of holders behind it.

pub mod strings;

use engine::api::{Durability, Event, HolderView, Query, QueryResult};
use protocol::messages::receipt::Reason;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::post::{Details, PostChange, PostContext, PostDetails, PostPart};
use crate::ui::kit::{self, time};
use crate::ui::state::Session;

/// The mark among a post's actions, and what is behind it.
pub const FEATURE: Feature = Feature {
    post: PostPart {
        action: mark,
        below: details,
        on_event: |event| match event {
            Event::Durability { post, durability } => {
                let durability = *durability;
                Some(PostChange {
                    post: *post,
                    apply: Box::new(move |view| view.durability = Some(durability)),
                })
            }
            _ => None,
        },
    },
    ..Feature::NONE
};

/// The name of what is behind the mark.
const PART: &str = "durability";

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
fn spoken(durability: &Durability) -> String {
    match level(durability) {
        "relays" => strings::safe_on_relays(durability.relays, durability.relays_known),
        "peers" => strings::safe_at_peers(durability.peers),
        "here" => strings::SAFE_HERE.to_owned(),
        _ => kit::strings::SAVING.to_owned(),
    }
}

/// The mark: ○ here, ◔ at peers, ● on relays. It opens the list of those who hold the post.
fn mark(context: &PostContext<'_>) -> Html {
    let Some(durability) = own_durability(context) else {
        return html! {};
    };
    let level = level(&durability);
    let (fill, radius) = if level == "relays" {
        ("currentColor", "6")
    } else {
        ("none", "5.3")
    };
    html! {
        <button
            type="button"
            class="action durability"
            data-level={level}
            aria-expanded={if context.open.has(PART) { "true" } else { "false" }}
            onclick={context.open.toggle::<MouseEvent>(PART)}
        >
            <svg class="durability__mark" viewBox="0 0 14 14" aria-hidden="true" focusable="false">
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
            <span>{ spoken(&durability) }</span>
        </button>
    }
}

fn own_durability(context: &PostContext<'_>) -> Option<Durability> {
    context.post.durability.filter(|_| context.post.mine)
}

fn details(context: &PostContext<'_>) -> Html {
    if own_durability(context).is_none() || !context.open.has(PART) {
        return html! {};
    }
    html! {
        <PostDetails
            post={context.post.clone()}
            query={Query::Holders { post: context.post.entry }}
            testid="post-holders"
            show={Callback::from(|details: Details| holders(&details))}
        />
    }
}

/// The sentence above the list of holders, which may be read later than the numbers.
fn holders_lead(durability: &Durability, listed: usize) -> &'static str {
    if !durability.saved {
        strings::HOLDERS_SAVING
    } else if listed == 0 && durability.peers == 0 && durability.relays == 0 {
        strings::HOLDERS_NONE
    } else {
        strings::HOLDERS_SOME
    }
}

/// The list of peers that hold a post.
fn holders(details: &Details) -> Html {
    let holders = match details.answer.as_deref() {
        Some(QueryResult::Holders(holders)) => holders.as_slice(),
        _ => &[],
    };
    let durability = details.post.durability.unwrap_or_default();
    let kept = holders.iter().filter(|holder| holder.withdrawn.is_none()).count();
    html! {
        <>
            <p>{ holders_lead(&durability, kept) }</p>
            if !holders.is_empty() {
                <ul>{ for holders.iter().map(|holder| line(holder, details.app.now_ms)) }</ul>
            }
        </>
    }
}

/// A peer that holds a post, or a relay that does no longer.
fn line(holder: &HolderView, now_ms: u64) -> Html {
    let what = match holder.withdrawn {
        Some(_) => strings::NOT_KEPT,
        None if holder.relay => strings::HOLDERS_RELAY,
        None => strings::HOLDERS_PEER,
    };
    html! {
        <li key={holder.peer.to_string()} data-withdrawn={holder.withdrawn.map(|_| "true")}>
            <span title={holder.withdrawn.map(strings::reason)}>
                { what }
                { " " }
                <span class="mono soft">{ holder.peer.short() }</span>
            </span>
            <span class="soft">{ time::ago(holder.at, now_ms) }</span>
        </li>
    }
}

/// The message shown when a relay keeps own posts no longer. Nothing if others keep them in its place.
pub fn not_kept(event: &Event) -> Option<String> {
    let Event::NotKept { relay, url, reason } = event else {
        return None;
    };
    let name = match url.split_once("//") {
        Some((_, host)) => host.to_owned(),
        None => relay.short(),
    };
    (*reason != Reason::MOVED).then(|| strings::not_kept(&name, *reason))
}

/// How safe all own posts are, in one word that tests and styles use, and how many are at peers only. `waiting`: posts
/// without a holder; `not_durable`: posts on no relay.
fn of_all(waiting: u32, not_durable: u32) -> (&'static str, u32) {
    let level = match (waiting, not_durable) {
        (0, 0) => "safe",
        (0, _) => "peers",
        _ => "here",
    };
    // A post without holders is on no relay either: counted once.
    (level, not_durable.saturating_sub(waiting))
}

/// The section of the page about oneself: what is not yet safe anywhere else.
pub fn summary(session: &Session) -> Html {
    let (waiting, not_durable) = (session.status.waiting, session.status.not_durable);
    let (level, at_peers_only) = of_all(waiting, not_durable);
    html! {
        <section
            class="section"
            data-testid="unsafe-summary"
            data-level={level}
            data-waiting={waiting.to_string()}
            data-not-durable={not_durable.to_string()}
        >
            <h2>{ strings::TITLE }</h2>
            <div class="stack">
                if waiting > 0 {
                    <p>{ strings::only_here(waiting) }</p>
                }
                if at_peers_only > 0 {
                    <p>{ strings::not_on_relays(at_peers_only, waiting > 0) }</p>
                }
                if level == "safe" {
                    <p>{ strings::DURABLE_ALL }</p>
                }
            </div>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use protocol::PeerId;

    use super::*;

    fn durability(saved: bool, peers: u32, relays: u32) -> Durability {
        Durability {
            saved,
            peers,
            relays,
            relays_known: 3,
        }
    }

    #[test]
    fn the_mark_shows_the_safest_place_of_a_post() {
        let cases = [
            (durability(false, 0, 0), "saving", kit::strings::SAVING),
            (durability(true, 0, 0), "here", "Only on this device"),
            (durability(true, 1, 0), "peers", "At 1 peer"),
            (durability(true, 4, 2), "relays", "On 2 of 3 relays"),
            (durability(true, 0, 3), "relays", "On 3 relays"),
        ];
        for (durability, word, text) in cases {
            assert_eq!(level(&durability), word);
            assert_eq!(spoken(&durability), text);
        }
    }

    #[test]
    fn the_list_of_holders_says_whether_a_post_has_left_the_device() {
        let lead = |durability, listed| holders_lead(&durability, listed);
        assert_eq!(lead(durability(false, 0, 0), 0), strings::HOLDERS_SAVING);
        assert_eq!(lead(durability(true, 0, 0), 0), strings::HOLDERS_NONE);
        assert_eq!(lead(durability(true, 0, 0), 1), strings::HOLDERS_SOME);
        assert_eq!(lead(durability(true, 1, 0), 0), strings::HOLDERS_SOME);
    }

    #[test]
    fn a_post_without_a_holder_is_counted_once_in_the_summary() {
        assert_eq!(of_all(0, 0), ("safe", 0));
        assert_eq!(of_all(0, 2), ("peers", 2));
        assert_eq!(of_all(1, 3), ("here", 2));
        assert_eq!(of_all(2, 2), ("here", 0));
        // The two numbers are read one after the other.
        assert_eq!(of_all(2, 1), ("here", 0));
    }

    fn told(url: &str, reason: Reason) -> Option<String> {
        not_kept(&Event::NotKept {
            relay: PeerId([7; 32]),
            url: url.to_owned(),
            reason,
        })
    }

    #[test]
    fn a_relay_that_keeps_posts_no_longer_is_named_unless_others_keep_them() {
        let told_of = told("https://relay.example", Reason::REMOVED).expect("told");
        assert!(told_of.contains("relay.example"), "{told_of}");
        let short = PeerId([7; 32]).short();
        assert!(told("", Reason(200)).expect("a later reason").contains(&short));
        assert_eq!(told("https://relay.example", Reason::MOVED), None);
        let no_member = told("https://relay.example", Reason::NO_MEMBER).expect("told");
        assert!(
            no_member.starts_with("relay.example is no longer part of the network"),
            "{no_member}"
        );
    }
}
