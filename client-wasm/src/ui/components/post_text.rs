//! What somebody wrote, with its links and hashtags, folded when it is long.

use yew::prelude::*;

use crate::ui::router::{Link, Route, from_pasted};
use crate::ui::state::text::{Piece, lines_at_least, pieces, shown_address};
use crate::ui::{dom, strings};

/// Lines shown of a long text before "Show all"; the style sheet folds at the same number.
const FOLDED_LINES: usize = 12;

/// A text.
#[derive(Properties, PartialEq)]
pub struct TextProps {
    /// What was written.
    pub text: AttrValue,
    /// Whether a long one may be folded.
    #[prop_or(true)]
    pub folds: bool,
}

/// See [`TextProps`].
#[component]
pub fn PostText(props: &TextProps) -> Html {
    let open = use_state_eq(|| false);
    // A little slack: folding one line away helps nobody.
    let long = props.folds && lines_at_least(&props.text) > FOLDED_LINES + 2;
    let toggle = {
        let open = open.clone();
        Callback::from(move |event: MouseEvent| {
            event.stop_propagation();
            open.set(!*open);
        })
    };
    html! {
        <>
            <div
                class={classes!("post__text", (long && !*open).then_some("post__text--folded"))}
                data-testid="post-text"
                dir="auto"
            >{ for pieces(&props.text).into_iter().map(piece) }</div>
            if long {
                <button type="button" class="post__more" aria-expanded={if *open { "true" } else { "false" }} onclick={toggle}>
                    { if *open { strings::SHOW_LESS } else { strings::SHOW_MORE } }
                </button>
            }
        </>
    }
}

fn piece(piece: Piece<'_>) -> Html {
    match piece {
        Piece::Plain(text) => html! { { text } },
        Piece::Tag(tag) => html! { <span class="hashtag">{ tag }</span> },
        Piece::Link(address) => {
            let inside = address.strip_prefix(dom::origin().as_str()).and_then(from_pasted);
            match inside {
                Some(to @ (Route::User(_) | Route::Post(_))) => html! {
                    <Link {to}>{ shown_address(address) }</Link>
                },
                _ => html! {
                    <a href={address.to_owned()} target="_blank" rel="noopener noreferrer nofollow" title={address.to_owned()}>
                        <bdi>{ shown_address(address) }</bdi>
                    </a>
                },
            }
        }
    }
}
