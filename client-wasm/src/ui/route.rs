//! Addresses inside the app, over the browser's own history.

use gloo_events::EventListener;
use protocol::{AccountId, EntryRef};
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
    /// Whom one follows.
    Following,
    /// Links and storage.
    Network,
    /// A person.
    User(AccountId),
    /// A post.
    Post(EntryRef),
    /// A person by the name in the address bar, or a post by its slug there.
    Named,
    /// Nothing lives here.
    NotFound,
}

impl Route {
    /// The place a path names.
    pub fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] | ["index.html"] => Self::Home,
            ["explore"] => Self::Explore,
            ["activity"] => Self::Activity,
            ["you"] => Self::You,
            ["you", "phrase"] => Self::Phrase,
            ["you", "following"] => Self::Following,
            ["network"] => Self::Network,
            // What has a dot in it is a file's address.
            [name] if name.starts_with('@') || !name.contains('.') => Self::Named,
            ["u", account] => account.parse().map_or(Self::NotFound, Self::User),
            ["p", account, id] => match (account.parse(), id.parse()) {
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
            Self::Named => dom::window().location().pathname().unwrap_or_default(),
            Self::Explore => "/explore".to_owned(),
            Self::Activity => "/activity".to_owned(),
            Self::You => "/you".to_owned(),
            Self::Phrase => "/you/phrase".to_owned(),
            Self::Following => "/you/following".to_owned(),
            Self::Network => "/network".to_owned(),
            Self::User(account) => format!("/u/{account}"),
            Self::Post(post) => format!("/p/{}/{}", post.account, post.id),
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

/// The name in the address bar with its `@`, or the slug.
pub fn name_in_address() -> String {
    let path = dom::window().location().pathname().unwrap_or_default();
    let name = path.trim_matches('/');
    // What cannot be decoded is a name nobody has.
    js_sys::decode_uri_component(name).map_or_else(|_| name.to_owned(), String::from)
}

/// The path of a slug.
pub fn slug_path(slug: &str) -> String {
    format!("/{slug}/")
}

/// The path of a name that was pasted or typed, `@ada`.
pub fn path_of_name(text: &str) -> Option<String> {
    let name = text.trim().strip_prefix('@')?;
    let fits = !name.is_empty() && !name.contains(['/', '?', '#']) && name.chars().count() <= 30;
    fits.then(|| format!("/@{name}"))
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

/// The account or post that something pasted names: a whole link of any host, a path, or a bare account id.
pub fn from_pasted(text: &str) -> Option<Route> {
    let text = text.trim().trim_start_matches('@');
    if let Ok(account) = text.to_ascii_lowercase().parse() {
        return Some(Route::User(account));
    }
    let path = text.split_once("://").map_or(text, |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let from = path.find("/u/").or_else(|| path.find("/p/"))?;
    match Route::parse(&path[from..]) {
        route @ (Route::User(_) | Route::Post(_)) => Some(route),
        _ => None,
    }
}

/// A visit to a place. Each has its own number, so that going to the same place again is a new visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Where.
    pub route: Route,
    /// Which visit this is.
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
pub fn use_router() -> (Visit, Navigator) {
    let visit = use_state(|| Visit {
        route: Route::current(),
        number: 0,
        returning: true,
    });
    // The number of the latest visit, beside the state: callbacks made once must still count on.
    let count = use_mut_ref(|| 0_u32);
    let go = {
        let (set, count) = (visit.setter(), count.clone());
        use_callback((), move |(path, instead): (String, bool), ()| {
            let route = Route::parse(&path);
            if let Ok(history) = dom::window().history() {
                let again = instead || (Route::current() == route && route != Route::Named);
                // A history entry the browser refuses (too many in a moment) leaves the address behind, not the app.
                let state = JsValue::from_f64(1.0);
                let _ = if again {
                    history.replace_state_with_url(&state, "", Some(&path))
                } else {
                    history.push_state_with_url(&state, "", Some(&path))
                };
            }
            *count.borrow_mut() += 1;
            set.set(Visit {
                route,
                number: *count.borrow(),
                returning: false,
            });
        })
    };
    {
        let set = visit.setter();
        use_effect_with((), move |()| {
            if let Ok(history) = dom::window().history() {
                // Each list keeps its own place; the browser would only guess.
                let _ = history.set_scroll_restoration(web_sys::ScrollRestoration::Manual);
            }
            let listener = EventListener::new(&dom::window(), "popstate", move |_| {
                *count.borrow_mut() += 1;
                set.set(Visit {
                    route: Route::current(),
                    number: *count.borrow(),
                    returning: true,
                });
            });
            move || drop(listener)
        });
    }
    (*visit, Navigator(go))
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
        for path in ["/@ada/", "/why-starlings-flock/", "/@ada.l"] {
            assert_eq!(Route::parse(path), Route::Named, "{path}");
        }
        for path in ["/robots.txt", "/two/parts"] {
            assert_eq!(Route::parse(path), Route::NotFound, "{path}");
        }
    }

    #[test]
    fn whatever_names_an_account_may_be_pasted() {
        let id = account().to_string();
        for text in [
            id.clone(),
            format!("  {id} "),
            format!("https://example.org/u/{id}?from=chat"),
            format!("/u/{id}"),
            id.to_uppercase(),
        ] {
            assert_eq!(from_pasted(&text), Some(Route::User(account())), "{text}");
        }
        assert_eq!(from_pasted("https://example.org/"), None);
        assert_eq!(path_of_name(" @ada"), Some("/@ada".to_owned()));
        assert_eq!(path_of_name("ada"), None);
    }
}
