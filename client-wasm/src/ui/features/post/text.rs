//! The text of a post, with its links and hashtags.

use text::find::find;
use text::visible;
use yew::prelude::*;

use super::pieces::{Kind, lines_at_least, pieces, shown_address};
use super::strings;
use crate::ui::dom;
use crate::ui::route::{handle_path, path_of_found};

/// Lines shown of a long text before "Show all"; the style sheet folds at the same number.
const FOLDED_LINES: usize = 12;

/// Whether a text is worth folding. With slack: folding a single line away helps little.
pub fn is_long(text: &str) -> bool {
    lines_at_least(&visible::text(text)) > FOLDED_LINES + 2
}

pub fn post_text(text: &str, folded: bool) -> Html {
    let shown = visible::text(text);
    html! {
        <div
            class={if folded { "post__text post__text--folded" } else { "post__text" }}
            data-testid="post-text"
            dir="auto"
        >{ for pieces(&shown).into_iter().map(piece) }</div>
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

fn piece((kind, text): (Option<Kind>, &str)) -> Html {
    match kind {
        None => html! { { text } },
        Some(Kind::Tag) => html! { <span class="hashtag">{ text }</span> },
        Some(Kind::Handle) => {
            let handle = text.trim_start_matches(['@', '＠']);
            html! { <a href={handle_path(handle)}><bdi>{ text }</bdi></a> }
        }
        Some(Kind::Address) => {
            let own = text.strip_prefix(dom::origin().as_str());
            let inside = own.and_then(find).map(|found| path_of_found(&found));
            let outside = inside.is_none();
            html! {
                <a
                    href={inside.unwrap_or_else(|| text.to_owned())}
                    target={outside.then_some("_blank")}
                    rel={outside.then_some("noopener noreferrer nofollow")}
                    title={text.to_owned()}
                >
                    <bdi>{ shown_address(text) }</bdi>
                </a>
            }
        }
    }
}
