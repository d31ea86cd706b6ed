//! What a person can see and do. Each feature is one folder with its page or component, its strings and, if
//! it needs them, its style and its part of the state. What computes is tested in the same file; the pages themselves
//! are tested in a browser, in `tests/tests/browser`. The rest of the interface knows a feature by its line in
//! [`FEATURES`] alone.
//!
//! To add one: write its folder with a `FEATURE`, and its line here. A page needs an address besides: its name in
//! `protocol::pages` and a variant of [`Route`](crate::ui::route::Route). State that outlives the page is a field of
//! [`Session`](crate::ui::state::Session). An action on posts needs nothing but [`PostPart`], and a [`Shortcut`]
//! that calls [`act_on_focused`](post::act_on_focused).

pub mod account;
pub mod activity;
pub mod compose;
pub mod durability;
pub mod explore;
pub mod feed;
pub mod follow;
pub mod handles;
pub mod home;
pub mod network;
pub mod old_copy;
pub mod post;
pub mod profile;
pub mod reactions;
pub mod recovery_phrase;
pub mod slugs;
pub mod thread;
pub mod welcome;

use yew::Html;

use crate::ui::features::post::PostPart;
use crate::ui::shell::keyboard::Shortcut;
use crate::ui::shell::layout::NavItem;
use crate::ui::shell::notices::Notice;
use crate::ui::state::AppContext;

/// All features. Their order is the order of the navigation and of what they add to a post.
pub const FEATURES: &[Feature] = &[
    home::FEATURE,
    explore::FEATURE,
    compose::FEATURE,
    activity::FEATURE,
    network::FEATURE,
    account::FEATURE,
    old_copy::FEATURE,
    recovery_phrase::FEATURE,
    follow::FEATURE,
    handles::FEATURE,
    profile::FEATURE,
    thread::FEATURE,
    reactions::FEATURE,
    post::FEATURE,
    slugs::FEATURE,
    durability::FEATURE,
];

/// A feature as the rest of the interface knows it.
pub struct Feature {
    /// Its place in the navigation.
    pub nav: Option<NavItem>,
    /// Its page, where the location is one of its own.
    pub page: fn(&AppContext) -> Option<Html>,
    /// Called when the location changed, and again when there is new activity.
    pub on_visit: fn(&AppContext),
    /// What a person should know on every page now.
    pub notice: fn(&AppContext) -> Option<Notice>,
    /// What it adds to every post.
    pub post: PostPart,
    /// Its keyboard shortcuts.
    pub shortcuts: &'static [Shortcut],
}

impl Feature {
    /// A feature that adds nothing: each names what it adds and takes the rest from here.
    pub const NONE: Self = Self {
        nav: None,
        page: |_| None,
        on_visit: |_| {},
        notice: |_| None,
        post: PostPart::NONE,
        shortcuts: &[],
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::FEATURES;
    use crate::ui::shell::layout::NavItem;

    #[test]
    fn each_item_of_the_navigation_has_a_name_and_a_place_of_its_own() {
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        for item in FEATURES.iter().filter_map(|feature| feature.nav.as_ref()) {
            let name = match item {
                NavItem::Page { to, testid, .. } => {
                    assert!(places.insert(to.path()), "{testid} leads where another does");
                    testid
                }
                NavItem::Open { testid, .. } => testid,
            };
            assert!(names.insert(*name), "{name} is there twice");
        }
        assert!(places.contains("/") && places.contains("/explore"), "{places:?}");
    }

    #[test]
    fn each_shortcut_has_a_key_of_its_own() {
        let mut keys = BTreeSet::new();
        for shortcut in FEATURES.iter().flat_map(|feature| feature.shortcuts) {
            assert!(keys.insert(shortcut.key), "{} is there twice", shortcut.key);
        }
        assert!(keys.contains("e") && keys.contains("n"), "{keys:?}");
    }
}
