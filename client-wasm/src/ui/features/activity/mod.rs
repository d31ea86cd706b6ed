//! Answers to one's own posts, and whether some of them were not looked at yet. What counts as activity the engine
//! decides.

pub mod strings;

use engine::api::{Event, Timeline};
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::feed::Feed;
use crate::ui::kit;
use crate::ui::kit::icons::icon_with;
use crate::ui::route::Route;
use crate::ui::shell::layout::{NavItem, Page};
use crate::ui::state::Action;
use crate::ui::state::storage::{self, Kept};

/// The page, and the mark in the navigation while something is unread.
pub const FEATURE: Feature = Feature {
    nav: Some(NavItem::Page {
        to: Route::Activity,
        icon: "activity",
        label: strings::ACTIVITY,
        testid: "nav-activity",
        wide_only: false,
        badge: |session| session.activity.is_unread().then_some(strings::ACTIVITY_NEW),
    }),
    page: |app| (app.location.route == Route::Activity).then(page),
    // Answers count as seen while they are looked at.
    on_visit: |app| {
        if app.location.route == Route::Activity && app.session.activity.is_unread() {
            app.ui.session.dispatch(Action::ActivitySeen);
        }
    },
    ..Feature::NONE
};

const KEY: &str = "starling.activity";

/// Whether there is activity that was not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread(bool);

impl Unread {
    /// As it was left.
    pub fn load() -> Self {
        Self(storage::get(Kept::Always, KEY).is_some())
    }

    /// Remembers it.
    pub fn save(self) {
        storage::put(Kept::Always, KEY, if self.0 { "1" } else { "" });
    }

    /// Whether something is unread.
    pub fn is_unread(self) -> bool {
        self.0
    }

    /// The activity page was looked at.
    pub fn seen(&mut self) {
        self.0 = false;
    }

    /// Posts may be activity.
    pub fn on_event(&mut self, event: &Event) {
        if let Event::Posts { posts, .. } = event {
            self.0 |= posts.iter().any(|post| post.in_activity);
        }
    }
}

fn page() -> Html {
    let picture = icon_with("activity", "empty__icon");
    let empty = kit::empty(
        "empty-activity",
        picture,
        strings::EMPTY_ACTIVITY_TITLE,
        strings::EMPTY_ACTIVITY,
        html! {},
    );
    html! {
        <Page title={strings::ACTIVITY}>
            <Feed key="activity" timeline={Timeline::Activity} label={strings::ACTIVITY_FEED} {empty} />
        </Page>
    }
}

#[cfg(test)]
mod tests {
    use engine::api::PostView;

    use super::*;

    fn posts(in_activity: &[bool]) -> Event {
        let posts = in_activity.iter().map(|&in_activity| PostView {
            in_activity,
            ..PostView::default()
        });
        Event::Posts {
            posts: posts.collect(),
            more: false,
        }
    }

    #[test]
    fn a_post_of_the_activity_timeline_is_unread_until_the_page_was_looked_at() {
        let mut unread = Unread::default();
        unread.on_event(&posts(&[false]));
        assert!(!unread.is_unread());
        unread.on_event(&posts(&[false, true]));
        assert!(unread.is_unread());
        // Other posts do not make it read.
        unread.on_event(&posts(&[false]));
        unread.on_event(&posts(&[]));
        assert!(unread.is_unread());
        unread.seen();
        assert!(!unread.is_unread());
    }
}
