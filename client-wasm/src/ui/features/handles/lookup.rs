//! What an address leads to that the registry knows. `/@ada`: asks whose handle it is and goes to the profile.
//! `/why-they-flock/`: asks which post it is and shows it there, so that the address stays what it was.

use engine::api::{Query, QueryResult};
use protocol::EntryRef;
use protocol::names::NameAnswer;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::strings;
use crate::ui::features::slugs;
use crate::ui::features::thread::Thread;
use crate::ui::kit;
use crate::ui::kit::icons::mark;
use crate::ui::route::{Route, registered_in_address};
use crate::ui::shell::layout::Page;
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::shell::not_found::not_found;
use crate::ui::state::use_app;

/// The page of the handle or the slug in the address bar.
pub fn page(slug: bool) -> Html {
    let name = registered_in_address();
    lazy_page(name.clone(), name, true, move || lookup_page(slug))
}

loaded_later!(
    fn lookup_page(slug: bool) {
        html! { <Lookup {slug} /> }
    }
);

/// How far the lookup is.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    Asking,
    /// The registry cannot be reached now.
    Unknown,
    Nobody,
    Post(EntryRef),
}

/// A handle or a slug in the address bar.
#[derive(Properties, PartialEq)]
struct LookupProps {
    slug: bool,
}

#[component]
fn Lookup(props: &LookupProps) -> Html {
    let app = use_app();
    let found = use_state_eq(|| Found::Asking);
    let name = registered_in_address();
    let slug = props.slug;
    {
        let (ui, found) = (app.ui.clone(), found.clone());
        use_effect_with((name.clone(), app.location.number), move |(name, _)| {
            let name = name.clone();
            found.set(Found::Asking);
            let query = if slug {
                Query::Slug { slug: name }
            } else {
                Query::Name { name }
            };
            spawn_local(async move {
                found.set(match ui.bridge.query(query).await {
                    Ok(QueryResult::Name(NameAnswer::Held(receipt))) => match receipt.post {
                        Some(id) => Found::Post(EntryRef {
                            account: receipt.account,
                            id,
                        }),
                        None => return ui.nav.replace(&Route::User(receipt.account).path()),
                    },
                    Ok(QueryResult::Name(NameAnswer::Unavailable | NameAnswer::TooFast)) => Found::Unknown,
                    _ => Found::Nobody,
                });
            });
        });
    }
    let said = match *found {
        Found::Post(post) => return html! { <Thread key={post.id.to_string()} {post} /> },
        Found::Nobody if slug => return not_found(),
        Found::Nobody => strings::HANDLE_NOBODY,
        Found::Asking if slug => slugs::strings::SLUG_ASKING,
        Found::Asking => strings::HANDLE_ASKING,
        Found::Unknown if slug => slugs::strings::SLUG_UNKNOWN,
        Found::Unknown => strings::HANDLE_UNKNOWN,
    };
    html! {
        <Page title={name} back=true>
            <div role="status">{ kit::empty("named", mark("56"), "", said, html! {}) }</div>
        </Page>
    }
}
