//! Page names of the app: the first part of a path such as `/explore`. The app's router and the registry's validation
//! both read them here, so a page cannot be added whose name could be claimed as a handle or slug.
//!
//! Invariant: every name in [`PAGES`], [`SERVICES`] and [`RESERVED`] is lower-case ASCII and occurs once. The registry
//! gives none of them out. A name that an account already held when it was added here stays with that account.

/// Public posts.
pub const EXPLORE: &str = "explore";
/// Replies to one's own posts, and new followers.
pub const ACTIVITY: &str = "activity";
/// One's own account and this device.
pub const YOU: &str = "you";
/// Links, relays and storage of this device.
pub const NETWORK: &str = "network";
/// A person by account id: `/u/ACCOUNT`.
pub const PERSON: &str = "u";
/// A post by account and entry id: `/p/ACCOUNT/ENTRY`.
pub const POST: &str = "p";
/// Below [`YOU`]: the recovery phrase.
pub const PHRASE: &str = "phrase";
/// Below [`YOU`]: the accounts one follows.
pub const FOLLOWING: &str = "following";

/// The address of every page the app has, with the parts that differ in braces. The app's router is tested against this
/// list, and the browser tests visit each of them.
pub const ROUTES: &[&str] = &[
    "/",
    "/explore",
    "/activity",
    "/you",
    "/you/phrase",
    "/you/following",
    "/network",
    "/u/{account}",
    "/p/{account}/{entry}",
    "/@{handle}",
    "/{slug}/",
];

/// First path parts of the app's pages, those that are planned included.
pub const PAGES: &[&str] = &[
    ACTIVITY,
    EXPLORE,
    NETWORK,
    PERSON,
    POST,
    YOU,
    "about",
    "bookmarks",
    "compose",
    "dm",
    "drafts",
    "feeds",
    "help",
    "lists",
    "messages",
    "moderation",
    "notifications",
    "privacy",
    "public",
    "search",
    "settings",
    "tags",
    "terms",
];

/// First path parts that a relay answers itself, those that are planned included.
pub const SERVICES: &[&str] = &[
    "admin", "api", "assets", "atom", "healthz", "icons", "link", "metrics", "monitor", "readyz", "rss",
    "signal", "static", "status", "styles", "sw", "ws",
];

/// Further names that the registry gives to nobody: they would read as the network itself or as its operators, or are
/// the singular of a page's name.
pub const RESERVED: &[&str] = &[
    "account",
    "administrator",
    "all",
    "anonymous",
    "app",
    "e",
    "everyone",
    "feed",
    "gossip",
    "home",
    "index",
    "invite",
    "links",
    "login",
    "me",
    "mod",
    "moderator",
    "nobody",
    "official",
    "peers",
    "post",
    "posts",
    "register",
    "relay",
    "root",
    "security",
    "starling",
    "support",
    "system",
    "tag",
    "welcome",
];

/// All names that can be neither a handle nor a slug.
pub fn unclaimable() -> impl Iterator<Item = &'static str> {
    [PAGES, SERVICES, RESERVED].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{PAGES, RESERVED, ROUTES, unclaimable};

    #[test]
    fn each_name_is_lower_case_ascii_and_occurs_once() {
        let mut seen = BTreeSet::new();
        for name in unclaimable() {
            let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(plain, "{name:?}");
            assert!(seen.insert(name), "{name:?} occurs twice");
        }
        assert!(RESERVED.iter().all(|name| seen.contains(name)));
    }

    #[test]
    fn a_page_of_the_app_has_a_reserved_name() {
        for route in ROUTES {
            let first = route.split('/').nth(1).unwrap_or_default();
            let named_otherwise = first.is_empty() || first.contains('{');
            assert!(named_otherwise || PAGES.contains(&first), "{route}");
        }
    }

    #[test]
    fn pages_to_come_are_reserved() {
        let reserved: BTreeSet<_> = unclaimable().collect();
        let planned = "messages notifications bookmarks search settings moderation lists drafts compose feeds atom rss api \
                       dm tags public admin monitor help about privacy terms";
        for name in planned.split_whitespace() {
            assert!(reserved.contains(name), "{name}");
        }
    }
}
