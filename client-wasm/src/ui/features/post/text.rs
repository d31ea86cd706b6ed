//! The text of a post, with its links and hashtags.

use yew::prelude::*;

use super::pieces::{Piece, lines_at_least, pieces, shown_address};
use super::strings;
use crate::ui::dom;
use crate::ui::route::{Route, from_pasted};

/// Lines shown of a long text before "Show all"; the style sheet folds at the same number.
const FOLDED_LINES: usize = 12;

/// Whether a text is worth folding. With slack: folding a single line away helps little.
pub fn is_long(text: &str) -> bool {
    lines_at_least(text) > FOLDED_LINES + 2
}

pub fn post_text(text: &str, folded: bool) -> Html {
    html! {
        <div
            class={if folded { "post__text post__text--folded" } else { "post__text" }}
            data-testid="post-text"
            dir="auto"
        >{ for pieces(text).into_iter().map(piece) }</div>
    }
}

/// The button that folds or unfolds it.
pub fn fold_button(folded: bool, onclick: Callback<MouseEvent>) -> Html {
    html! {
        <button type="button" class="post__more" aria-expanded={if folded { "false" } else { "true" }} {onclick}>
            { if folded { strings::SHOW_MORE } else { strings::SHOW_LESS } }
        </button>
    }
}

fn piece(piece: Piece<'_>) -> Html {
    match piece {
        Piece::Plain(text) => html! { { text } },
        Piece::Tag(tag) => html! { <span class="hashtag">{ tag }</span> },
        Piece::Link(address) => {
            let inside = address
                .strip_prefix(dom::origin().as_str())
                .and_then(from_pasted)
                .filter(|route| matches!(route, Route::User(_) | Route::Post(_)));
            let outside = inside.is_none();
            html! {
                <a
                    href={inside.map_or_else(|| address.to_owned(), |route| route.path())}
                    target={outside.then_some("_blank")}
                    rel={outside.then_some("noopener noreferrer nofollow")}
                    title={address.to_owned()}
                >
                    <bdi>{ shown_address(address) }</bdi>
                </a>
            }
        }
    }
}
