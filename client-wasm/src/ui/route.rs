//! Addresses inside the app, over the browser's own history.

use gloo_events::EventListener;
use protocol::{AccountId, EntryRef, pages};
use text::find::Found;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, MouseEvent};
use yew::prelude::*;

use crate::ui::dom;

/// A place in the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The home timeline.
    Home,
    /// Public posts, and following by link.
    Explore,
    /// Answers to one's own posts.
    Activity,
    /// One's own account and this device.
    You,
    /// The recovery phrase.
    Phrase,
    /// The people one follows.
    Following,
    /// Links and storage.
    Network,
    User(AccountId),
    Post(EntryRef),
    /// A person by the handle in the address bar.
    Handle,
    /// A post by the slug in the address bar.
    Slug,
    /// The address leads nowhere.
    NotFound,
}

impl Route {
    /// The place a path names.
    pub fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] | ["index.html"] => Self::Home,
            [pages::EXPLORE] => Self::Explore,
            [pages::ACTIVITY] => Self::Activity,
            [pages::YOU] => Self::You,
            [pages::YOU, pages::PHRASE] => Self::Phrase,
            [pages::YOU, pages::FOLLOWING] => Self::Following,
            [pages::NETWORK] => Self::Network,
            [name] if name.starts_with('@') => Self::Handle,
            // What has a dot in it is a file's address.
            [name] if !name.contains('.') => Self::Slug,
            [pages::PERSON, account] => account.parse().map_or(Self::NotFound, Self::User),
            [pages::POST, account, id] => match (account.parse(), id.parse()) {
                (Ok(account), Ok(id)) => Self::Post(EntryRef { account, id }),
                _ => Self::NotFound,
            },
            _ => Self::NotFound,
        }
    }

    /// The path that names this place.
    pub fn path(&self) -> String {
        match self {
            Self::Home | Self::NotFound => "/".to_owned(),
            // One is there already.
            Self::Handle | Self::Slug => dom::window().location().pathname().unwrap_or_default(),
            Self::Explore => path_of(&[pages::EXPLORE]),
            Self::Activity => path_of(&[pages::ACTIVITY]),
            Self::You => path_of(&[pages::YOU]),
            Self::Phrase => path_of(&[pages::YOU, pages::PHRASE]),
            Self::Following => path_of(&[pages::YOU, pages::FOLLOWING]),
            Self::Network => path_of(&[pages::NETWORK]),
            Self::User(account) => path_of(&[pages::PERSON, &account.to_string()]),
            Self::Post(post) => path_of(&[pages::POST, &post.account.to_string(), &post.id.to_string()]),
        }
    }

    /// The whole address, to be given to others.
    pub fn address(&self) -> String {
        format!("{}{}", dom::origin(), self.path())
    }

    /// The place the browser's address bar names.
    pub fn current() -> Self {
        Self::parse(&dom::window().location().pathname().unwrap_or_default())
    }
}

fn path_of(parts: &[&str]) -> String {
    format!("/{}", parts.join("/"))
}

/// The handle in the address bar with its `@`, or the slug.
pub fn registered_in_address() -> String {
    let path = dom::window().location().pathname().unwrap_or_default();
    let name = path.trim_matches('/');
    // What cannot be decoded is a name that nobody has.
    js_sys::decode_uri_component(name).map_or_else(|_| name.to_owned(), String::from)
}

pub fn slug_path(slug: &str) -> String {
    format!("/{slug}/")
}

/// The path of a handle, which is without `@`.
pub fn handle_path(handle: &str) -> String {
    format!("/@{handle}")
}

/// The path of what a typed or pasted text names.
pub fn path_of_found(found: &Found) -> String {
    match found {
        Found::Account(account) => Route::User(*account).path(),
        Found::Post(post) => Route::Post(*post).path(),
        Found::Handle(handle) => handle_path(handle),
        Found::Slug(slug) => slug_path(slug),
    }
}

/// A post's name in text, `account/entry`: in attributes, and in what the interface remembers.
pub fn entry_to_text(entry: &EntryRef) -> String {
    format!("{}/{}", entry.account, entry.id)
}

/// The post that [`entry_to_text`] named.
pub fn entry_from_text(text: &str) -> Option<EntryRef> {
    let (account, id) = text.split_once('/')?;
    Some(EntryRef {
        account: account.parse().ok()?,
        id: id.parse().ok()?,
    })
}

/// A location to a place. Each has its own number, so that going to the same place again is a new location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub route: Route,
    /// The number of this change of the route.
    pub number: u32,
    /// Reached by going back or forward: the reader expects to find the place as it was.
    pub returning: bool,
}

/// Takes the reader elsewhere.
#[derive(Clone, PartialEq)]
pub struct Navigator(Callback<(String, bool)>);

impl Navigator {
    /// Goes to a place.
    pub fn go(&self, route: Route) {
        self.0.emit((route.path(), false));
    }

    /// Goes to the place a path names.
    pub fn go_to(&self, path: String) {
        self.0.emit((path, false));
    }

    /// Goes to the place a path names, in place of this one: going back does not lead here.
    pub fn replace(&self, path: &str) {
        self.0.emit((path.to_owned(), true));
    }

    /// Goes back, or home if there is nothing to go back to.
    pub fn back(&self) {
        match dom::window().history() {
            Ok(history)
                if history.length().unwrap_or(0) > 1 && history.state().is_ok_and(|s| !s.is_null()) =>
            {
                // A history that can be read can be walked.
                let _ = history.back();
            }
            _ => self.go(Route::Home),
        }
    }
}

/// Follows the browser's history.
#[hook]
pub fn use_router() -> (Location, Navigator) {
    let location = use_state(|| Location {
        route: Route::current(),
        number: 0,
        returning: true,
    });
    // The number of the latest location, beside the state: callbacks made once must still count on.
    let count = use_mut_ref(|| 0_u32);
    let go = {
        let (set, count) = (location.setter(), count.clone());
        use_callback((), move |(path, instead): (String, bool), ()| {
            let route = Route::parse(&path);
            if let Ok(history) = dom::window().history() {
                let again =
                    instead || (Route::current() == route && !matches!(route, Route::Handle | Route::Slug));
                // A history entry the browser refuses (too many in a moment) leaves the address behind, not the app.
                let state = JsValue::from_f64(1.0);
                let _ = if again {
                    history.replace_state_with_url(&state, "", Some(&path))
                } else {
                    history.push_state_with_url(&state, "", Some(&path))
                };
            }
            *count.borrow_mut() += 1;
            set.set(Location {
                route,
                number: *count.borrow(),
                returning: false,
            });
        })
    };
    {
        let set = location.setter();
        use_effect_with((), move |()| {
            if let Ok(history) = dom::window().history() {
                // Each list keeps its own place; the browser would only guess.
                let _ = history.set_scroll_restoration(web_sys::ScrollRestoration::Manual);
            }
            let listener = EventListener::new(&dom::window(), "popstate", move |_| {
                *count.borrow_mut() += 1;
                set.set(Location {
                    route: Route::current(),
                    number: *count.borrow(),
                    returning: true,
                });
            });
            move || drop(listener)
        });
    }
    (*location, Navigator(go))
}

/// The place a click leads to, if it is on an ordinary link inside the app and the browser has no other plans for it
/// (a new tab, a new window, a download).
pub fn clicked_place(event: &MouseEvent) -> Option<String> {
    let plain = event.button() == 0
        && !event.ctrl_key()
        && !event.meta_key()
        && !event.shift_key()
        && !event.alt_key()
        && !event.default_prevented();
    let target: Element = event.target()?.dyn_into().ok()?;
    let link = target.closest("a[href]").ok()??;
    let path = link.get_attribute("href")?;
    (plain && path.starts_with('/') && !link.has_attribute("target")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId([7; 32])
    }

    #[test]
    fn every_place_is_found_again_by_its_path() {
        let post = EntryRef {
            account: account(),
            id: protocol::EntryId([9; 32]),
        };
        for route in [
            Route::Home,
            Route::Explore,
            Route::Activity,
            Route::You,
            Route::Phrase,
            Route::Following,
            Route::Network,
            Route::User(account()),
            Route::Post(post),
        ] {
            assert_eq!(Route::parse(&route.path()), route);
        }
        assert_eq!(Route::parse("/u/nobody"), Route::NotFound);
        for path in ["/@ada/", "/@ada.l"] {
            assert_eq!(Route::parse(path), Route::Handle, "{path}");
        }
        for path in ["/why-starlings-flock/", "/nowhere"] {
            assert_eq!(Route::parse(path), Route::Slug, "{path}");
        }
        for path in ["/robots.txt", "/two/parts"] {
            assert_eq!(Route::parse(path), Route::NotFound, "{path}");
        }
    }

    /// The pattern of a route in the list that tests of the whole app walk along.
    fn pattern(route: Route) -> Option<&'static str> {
        Some(match route {
            Route::Home => "/",
            Route::Explore => "/explore",
            Route::Activity => "/activity",
            Route::You => "/you",
            Route::Phrase => "/you/phrase",
            Route::Following => "/you/following",
            Route::Network => "/network",
            Route::User(_) => "/u/{account}",
            Route::Post(_) => "/p/{account}/{entry}",
            Route::Handle => "/@{handle}",
            Route::Slug => "/{slug}/",
            Route::NotFound => return None,
        })
    }

    #[test]
    fn the_list_of_routes_names_every_page_and_no_other() {
        let mut seen = Vec::new();
        for listed in pages::ROUTES {
            let path = listed
                .replace("{account}", &account().to_string())
                .replace("{entry}", &protocol::EntryId([9; 32]).to_string())
                .replace("{handle}", "ada")
                .replace("{slug}", "why-starlings-flock");
            let found = pattern(Route::parse(&path));
            assert_eq!(found, Some(*listed));
            assert!(!seen.contains(&listed), "{listed} is listed twice");
            seen.push(listed);
        }
        // As many as `pattern` knows.
        assert_eq!(seen.len(), 11);
    }
}
