//! A person by their name in the network, `/@ada`: asks whose it is and goes there. A post by its slug, `/why-they-flock/`: asks
//! which it is and shows it right there, so that the address stays what it was.

use engine::api::{Query, Reply};
use protocol::EntryRef;
use protocol::name::NameAnswer;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::ui::features::thread::Thread;
use crate::ui::kit;
use crate::ui::kit::icons::mark;
use crate::ui::route::{Route, name_in_address};
use crate::ui::shell::layout::Page;
use crate::ui::shell::not_found::not_found;
use crate::ui::state::use_scene;
use crate::ui::strings;

/// How far the page is.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    Asking,
    /// It cannot be found out now.
    Unknown,
    Nobody,
    Post(EntryRef),
}

/// The page, as long as it takes.
#[component]
pub fn Named() -> Html {
    let scene = use_scene();
    let found = use_state_eq(|| Found::Asking);
    let name = name_in_address();
    let person = name.starts_with('@');
    {
        let (ui, found) = (scene.ui.clone(), found.clone());
        use_effect_with((name.clone(), scene.visit.number), move |(name, _)| {
            let name = name.clone();
            found.set(Found::Asking);
            let query = if person {
                Query::Name { name }
            } else {
                Query::Slug { slug: name }
            };
            spawn_local(async move {
                found.set(match ui.bridge.query(query).await {
                    Ok(Reply::Name(NameAnswer::Held(receipt))) => match receipt.post {
                        Some(id) => Found::Post(EntryRef {
                            account: receipt.account,
                            id,
                        }),
                        None => return ui.nav.replace(&Route::User(receipt.account).path()),
                    },
                    Ok(Reply::Name(NameAnswer::Unavailable | NameAnswer::TooFast)) => Found::Unknown,
                    _ => Found::Nobody,
                });
            });
        });
    }
    let said = match *found {
        Found::Post(post) => return html! { <Thread key={post.id.to_string()} {post} /> },
        Found::Nobody if !person => return not_found(),
        Found::Nobody => strings::NAMED_NOBODY,
        Found::Asking if person => strings::NAMED_ASKING,
        Found::Asking => strings::SLUG_ASKING,
        Found::Unknown if person => strings::NAMED_UNKNOWN,
        Found::Unknown => strings::SLUG_UNKNOWN,
    };
    html! {
        <Page title={name} back=true>
            <div role="status">{ kit::empty("named", mark("56"), "", said, html! {}) }</div>
        </Page>
    }
}
