//! Reactions to posts: a button beside *Reply* that opens a picker, a chip for each emoji, and the list of those who
//! reacted.

mod picker;
pub mod strings;

use engine::api::{Command, Query, QueryResult, ReactionCount};
use protocol::EntryRef;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::post::{Details, PostContext, PostDetails, PostPart, act_on_focused};
use crate::ui::kit::shown_name;
use crate::ui::route::Route;
use crate::ui::shell::keyboard::Shortcut;

/// What reactions add to every post. Changes come with [`engine::api::Event::Beside`].
pub const FEATURE: Feature = Feature {
    post: PostPart {
        action: react_action,
        below: reactions,
        ..PostPart::NONE
    },
    shortcuts: &[Shortcut {
        key: "e",
        what: strings::KEY_REACT,
        run: |_| act_on_focused("react"),
    }],
    ..Feature::NONE
};

/// The name of the picker among the parts of a post.
const PART: &str = "react";
/// The name of the list of those who reacted.
const WHO: &str = "reacted";
/// Maximum number of people who are listed by name.
const NAMES_MAX: usize = 40;

/// An empty emoji takes the reaction back.
fn react(post: EntryRef, emoji: &str) -> Command {
    let emoji = emoji.to_owned();
    Command::React { post, emoji }
}

fn own(reactions: &[ReactionCount]) -> Option<&str> {
    let mine = reactions.iter().find(|reaction| reaction.mine);
    mine.map(|reaction| reaction.emoji.as_str())
}

fn react_action(context: &PostContext<'_>) -> Html {
    html! {
        <button
            type="button"
            class="action"
            // Safari focuses a clicked button only if it has one.
            tabindex="0"
            data-action="react"
            aria-label={strings::REACT}
            title={strings::REACT}
            aria-expanded={flag(context.open.has(PART))}
            onclick={picker::toggle(context)}
        >
            <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
                <path d="M17 8.5A7.3 7.3 0 1 1 11.5 3M7 12a3.6 3.6 0 0 0 6 0M7.6 8v.6M12.4 8v.6M16 2v5M13.5 4.5h5" />
            </svg>
        </button>
    }
}

fn flag(on: bool) -> &'static str {
    if on { "true" } else { "false" }
}

/// In colour, also where the font of the page has a plain glyph for it.
fn shown_emoji(emoji: &str) -> Html {
    html! { <span class="emoji">{ emoji.to_owned() }</span> }
}

/// A button with an emoji that is the own reaction or (`pressed`) is not.
fn emoji_button(
    class: &'static str,
    emoji: &str,
    count: Option<&ReactionCount>,
    pressed: bool,
    onclick: Callback<MouseEvent>,
) -> Html {
    html! {
        <button
            key={emoji.to_owned()}
            type="button"
            {class}
            data-emoji={emoji.to_owned()}
            data-count={count.map(|counted| counted.count.to_string())}
            aria-pressed={flag(pressed)}
            aria-label={count.map(strings::chip)}
            {onclick}
        >
            <span>{ shown_emoji(emoji) }{ count.map(strings::number) }</span>
        </button>
    }
}

fn reactions(context: &PostContext<'_>) -> Html {
    let (post, reactions) = (context.post.entry, &context.post.beside.reactions);
    let chip = |reaction: &ReactionCount| {
        let emoji = if reaction.mine { "" } else { &reaction.emoji };
        let (ui, emoji) = (context.ui.clone(), emoji.to_owned());
        let onclick = Callback::from(move |_: MouseEvent| ui.command(react(post, &emoji)));
        emoji_button(
            "reaction",
            &reaction.emoji,
            Some(reaction),
            reaction.mine,
            onclick,
        )
    };
    html! {
        <>
            if context.open.has(PART) {
                { picker::picker(context) }
            }
            if !reactions.is_empty() {
                <div class="reactions" data-testid="reactions">
                    { for reactions.iter().map(chip) }
                    <button
                        type="button"
                        class="reaction"
                        data-testid="reaction-who"
                        aria-label={strings::WHO}
                        title={strings::WHO}
                        aria-expanded={flag(context.open.has(WHO))}
                        onclick={context.open.toggle::<MouseEvent>(WHO)}
                    >
                        <span aria-hidden="true">{ "…" }</span>
                    </button>
                </div>
                if context.open.has(WHO) {
                    <PostDetails
                        post={context.post.clone()}
                        query={Query::Reactions { post }}
                        testid="reaction-people"
                        show={Callback::from(|details: Details| who(&details))}
                    />
                }
            }
        </>
    }
}

/// The list of people who reacted to a post.
fn who(details: &Details) -> Html {
    let people = match details.answer.as_deref() {
        Some(QueryResult::Reactions(people)) => people.as_slice(),
        _ => &[],
    };
    let more = people.len().saturating_sub(NAMES_MAX);
    html! {
        <ul>
            { for people.iter().take(NAMES_MAX).map(|person| html! {
                <li key={person.account.to_string()}>
                    <a href={Route::User(person.account).path()}>
                        <bdi>{ shown_name(&person.name, &person.account) }</bdi>
                    </a>
                    { shown_emoji(&person.emoji) }
                </li>
            }) }
            if more > 0 {
                <li key="more" class="soft">{ strings::and_more(more) }</li>
            }
        </ul>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(emoji: &str, count: u32, mine: bool) -> ReactionCount {
        ReactionCount {
            emoji: emoji.to_owned(),
            count,
            more: false,
            mine,
        }
    }

    #[test]
    fn the_own_reaction_is_found() {
        let others = [count("👍", 3, false), count("🎉", 1, false)];
        assert_eq!(own(&others), None);
        assert_eq!(own(&[count("👍", 3, false), count("🎉", 1, true)]), Some("🎉"));
    }

    #[test]
    fn what_the_picker_offers_is_taken() {
        assert!(picker::EMOJI.into_iter().all(protocol::kinds::is_emoji));
    }

    #[test]
    fn an_emoji_is_given_and_none_takes_it_back() {
        let post = EntryRef::default();
        let emoji = "👍".to_owned();
        assert_eq!(react(post, "👍"), Command::React { post, emoji });
        let emoji = String::new();
        assert_eq!(react(post, ""), Command::React { post, emoji });
    }

    #[test]
    fn a_chip_says_how_many_and_whether_the_reader_is_among_them() {
        assert_eq!(strings::chip(&count("👍", 1, false)), "👍, 1 person");
        assert_eq!(strings::chip(&count("👍", 2, true)), "👍, 2 people, you too");
        let more = ReactionCount {
            more: true,
            ..count("👍", 100, false)
        };
        assert_eq!(strings::chip(&more), "👍, 100 people or more");
        assert_eq!(strings::number(&more), "100+");
    }
}
