//! What an address leads to that the registry knows. `/@ada`: asks whose handle it is and goes to the profile.
//! `/why-they-flock/`: asks which post it is and shows it there, so that the address stays what it was.

use engine::api::{Error, Query, QueryResult};
use protocol::names::NameAnswer;
use protocol::{AccountId, EntryRef};
use text::visible;
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
    lazy_page(name.clone(), visible::isolated(&name), true, move || {
        lookup_page(slug)
    })
}

loaded_later!(
    fn lookup_page(slug: bool) {
        html! { <Lookup {slug} /> }
    }
);

/// How far the lookup is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Asking,
    /// The registry cannot be reached now.
    Unknown,
    Nobody,
    /// The handle's owner.
    Account(AccountId),
    Post(EntryRef),
}

/// What the registry's answer leads to.
fn found(result: Result<QueryResult, Error>) -> Found {
    match result {
        Ok(QueryResult::Name(NameAnswer::Held(receipt))) => {
            let account = receipt.account;
            let post = |id| Found::Post(EntryRef { account, id });
            receipt.post.map_or(Found::Account(account), post)
        }
        Ok(QueryResult::Name(NameAnswer::Unavailable | NameAnswer::TooFast)) => Found::Unknown,
        _ => Found::Nobody,
    }
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
                match self::found(ui.bridge.query(query).await) {
                    Found::Account(account) => ui.nav.replace(&Route::User(account).path()),
                    known => found.set(known),
                }
            });
        });
    }
    let said = match *found {
        Found::Post(post) => return html! { <Thread key={post.id.to_string()} {post} /> },
        Found::Nobody if slug => return not_found(),
        Found::Nobody => strings::HANDLE_NOBODY,
        // The profile's page takes the place of this one.
        Found::Account(_) => return html! {},
        Found::Asking if slug => slugs::strings::SLUG_ASKING,
        Found::Asking => strings::HANDLE_ASKING,
        Found::Unknown if slug => slugs::strings::SLUG_UNKNOWN,
        Found::Unknown => strings::HANDLE_UNKNOWN,
    };
    html! {
        <Page title={visible::isolated(&name)} back=true>
            <div role="status">{ kit::empty("named", mark("56"), "", said, html! {}) }</div>
        </Page>
    }
}

#[cfg(test)]
mod tests {
    use protocol::names::NameReceipt;
    use protocol::{EntryId, KeyPair, Timestamp};

    use super::*;

    #[test]
    fn a_registry_that_cannot_answer_is_not_taken_for_one_that_knows_nobody() {
        let account = AccountId([1; 32]);
        let held = |post| {
            let key = KeyPair::from_seed(&[2; 32]);
            let receipt = NameReceipt::issue(&key, "ada".to_owned(), post, account, 1, Timestamp(0));
            Ok(QueryResult::Name(NameAnswer::Held(receipt)))
        };
        let id = EntryId([3; 32]);
        assert_eq!(found(held(None)), Found::Account(account));
        assert_eq!(found(held(Some(id))), Found::Post(EntryRef { account, id }));
        for answer in [NameAnswer::Unavailable, NameAnswer::TooFast] {
            assert_eq!(found(Ok(QueryResult::Name(answer))), Found::Unknown);
        }
        assert_eq!(found(Ok(QueryResult::Name(NameAnswer::Free))), Found::Nobody);
        assert_eq!(found(Err(Error::NotFound)), Found::Nobody);
    }
}
