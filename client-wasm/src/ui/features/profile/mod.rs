//! A person: who they are, and what they wrote.

pub mod strings;

use std::rc::Rc;

use engine::api::{Command, Event, MeView, ProfileView, Query, QueryResult, Timeline};
use protocol::limits::{BIO_CHARS_MAX, NAME_CHARS_MAX};
use protocol::{AccountId, EntryId};
use text::visible;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::feed::Feed;
use crate::ui::features::follow::follow_button;
use crate::ui::features::post::text::post_text;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::icon;
use crate::ui::kit::sheet::Sheet;
use crate::ui::kit::{self, shown_name, time};
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::state::{Live, Ui, use_app, use_live};

/// The page of a person.
pub const FEATURE: Feature = Feature {
    page: |app| match app.location.route {
        Route::User(account) => {
            let load = move || profile_page(account);
            Some(lazy_page(account.to_string(), strings::PROFILE, true, load))
        }
        _ => None,
    },
    ..Feature::NONE
};

loaded_later!(
    fn profile_page(account: AccountId) {
        html! { <Profile {account} /> }
    }
);

/// Interval in milliseconds at which the page is read again while something is missing.
const REFRESH_MS: u32 = 3_000;
/// The same interval in milliseconds before any peer was asked, which may never happen.
const UNASKED_MS: u32 = 10_000;

/// After how many milliseconds the page is read again, although no event was about it.
fn again_ms(view: &ProfileView) -> Option<u32> {
    if view.missing() > 0 {
        Some(REFRESH_MS)
    } else if view.compared.is_none() && !view.forked {
        Some(UNASKED_MS)
    } else {
        None
    }
}

/// Whether an event changes what the page of an account shows.
fn concerns(event: &Event, account: AccountId) -> bool {
    match event {
        Event::Profile(view) => view.account == account,
        Event::Posts { posts, more } => *more || posts.iter().any(|post| post.entry.account == account),
        _ => false,
    }
}

#[derive(Properties, PartialEq)]
struct ProfileProps {
    account: AccountId,
}

#[component]
fn Profile(props: &ProfileProps) -> Html {
    let app = use_app();
    let account = props.account;
    let editing = use_state_eq(|| false);
    let (reply, _) = use_live(
        &app,
        Live {
            query: Query::Profile { account },
            concerns: Rc::new(move |event| concerns(event, account)),
            again_ms: |reply| match reply {
                QueryResult::Profile(view) => again_ms(view),
                _ => None,
            },
        },
    );
    let me = app.session.me.clone().filter(|me| me.account == account);
    let mine = me.is_some();
    let view = match reply.as_deref() {
        Some(QueryResult::Profile(view)) => view.clone(),
        _ => ProfileView {
            account,
            mine,
            ..ProfileView::default()
        },
    };
    let name = shown_name(&view.name, &account);
    let address = Route::User(account).address();
    let copy = {
        let (ui, address) = (app.ui.clone(), address.clone());
        Callback::from(move |_: MouseEvent| ui.copy(address.clone(), kit::strings::LINK_COPIED))
    };
    let edit = {
        let editing = editing.clone();
        Callback::from(move |_: MouseEvent| editing.set(true))
    };
    let done = {
        let editing = editing.clone();
        Callback::from(move |()| editing.set(false))
    };
    let empty = match (mine, view.searching) {
        (true, _) => kit::empty("empty-user", html! {}, "", strings::EMPTY_MINE, html! {}),
        (false, false) => kit::empty(
            "empty-user",
            html! {},
            strings::EMPTY_USER_TITLE,
            strings::EMPTY_USER,
            html! {},
        ),
        // While peers are asked, the profile above says so.
        (false, true) => html! {},
    };
    html! {
        <Page title={kit::plain_name(&view.name, &account)} back=true>
            <section class="profile" aria-label={strings::PROFILE} data-testid="profile" data-account={account.to_string()}>
                <div class="profile__top">
                    { avatar(&account, "72") }
                    <div class="row">
                        <button
                            type="button"
                            class="btn btn--icon"
                            aria-label={kit::strings::COPY_PROFILE_LINK}
                            title={kit::strings::COPY_PROFILE_LINK}
                            data-testid="profile-link"
                            value={address}
                            onclick={copy}
                        >
                            { icon("link") }
                        </button>
                        if mine {
                            { kit::button("btn", "profile-edit", "edit", strings::EDIT_PROFILE, edit) }
                        } else {
                            { follow_button(&app.ui, &view) }
                        }
                    </div>
                </div>
                <h2 class="profile__name" data-testid="profile-name"><bdi>{ name.clone() }</bdi></h2>
                if name != account.short() || !view.handle.is_empty() {
                    <p class="profile__key" data-testid="profile-handle">{ kit::known_as("", &view.handle, &account) }</p>
                }
                if !visible::is_blank(&view.bio) {
                    <div class="profile__bio" data-testid="profile-bio">{ post_text(&view.bio, false) }</div>
                }
                if view.searching && view.entries == 0 {
                    <p class="profile__facts" role="status">{ strings::PROFILE_SEARCHING }</p>
                } else if !view.feeds.is_empty() {
                    { held(&view, &name) }
                }
            </section>
            if view.forked {
                <div class="notice notice--bad" data-testid="profile-forked">
                    { icon("warn") }
                    <p class="notice__text"><strong>{ strings::PROFILE_FORKED_TITLE }</strong>{ " " }{ strings::PROFILE_FORKED }</p>
                </div>
            }
            <Feed key={account.to_string()} timeline={Timeline::User(account)} label={strings::USER_FEED} {empty} />
            if let (true, Some(me)) = (*editing, &me) {
                { edit_sheet(&app.ui, me, &done) }
            }
        </Page>
    }
}

/// How much of what the person signed is here; opened, feed by feed, and who was asked.
fn held(view: &ProfileView, name: &str) -> Html {
    let day = view.signed_at().map(time::day);
    let compared = strings::compared(view.reported_by, view.missing(), view.compared.map(time::exact));
    html! {
        <details
            class="profile__facts fold"
            data-testid="profile-held"
            data-complete={if view.is_complete() { "true" } else { "false" }}
        >
            <summary>{ strings::held(view, name, day) }</summary>
            <div class="stack small">
                <p>{ compared }</p>
                <p>{ strings::HELD_PROOF }</p>
                <ul>
                    { for view.feeds.iter().map(|feed| html! {
                        <li key={feed.device.to_string()} title={feed.device.to_string()} data-testid="profile-feed">
                            <bdi>{ shown_name(&feed.name, &AccountId(feed.device.0)) }</bdi>
                            <br />
                            { strings::feed_facts(feed, time::exact(feed.signed_at)) }
                            if feed.head != EntryId::default() {
                                { " " }<span class="mono" title={feed.head.to_string()}>{ feed.head.short() }</span>
                            }
                        </li>
                    }) }
                </ul>
            </div>
        </details>
    }
}

/// Without a name that nobody can see.
fn visible_or_empty(name: &str) -> String {
    if visible::is_blank(name) {
        String::new()
    } else {
        name.to_owned()
    }
}

fn edit_sheet(ui: &Ui, me: &MeView, done: &Callback<()>) -> Html {
    let fields = vec![
        Field {
            id: "profile-name-input",
            label: strings::PROFILE_NAME,
            hint: "",
            kind: Kind::Line,
            chars_max: NAME_CHARS_MAX,
            value: me.name.clone(),
        },
        Field {
            id: "profile-bio-input",
            label: strings::PROFILE_BIO,
            hint: "",
            kind: Kind::Lines,
            chars_max: BIO_CHARS_MAX,
            value: me.bio.clone(),
        },
    ];
    let make = Callback::from(|values: Vec<String>| {
        Ok(Command::EditProfile {
            name: visible_or_empty(&values[0]),
            bio: values[1].clone(),
        })
    });
    let on_done = {
        let (ui, done) = (ui.clone(), done.clone());
        Callback::from(move |_: Vec<String>| {
            ui.say(strings::PROFILE_SAVED);
            done.emit(());
        })
    };
    html! {
        <Sheet name="profile-edit" title={strings::EDIT_PROFILE} on_close={done.clone()}>
            <Form
                ui={ui.clone()}
                {fields}
                {make}
                {on_done}
                submit={kit::strings::SAVE}
                submit_testid="profile-save"
                on_cancel={done.reform(|_: MouseEvent| ())}
            />
        </Sheet>
    }
}

#[cfg(test)]
mod tests {
    use engine::api::{FeedView, PostView};
    use protocol::{DeviceId, EntryRef, Timestamp};

    use super::*;

    /// A person with one feed, which was compared with peers.
    fn person(posts: u64, missing: u64) -> ProfileView {
        ProfileView {
            compared: Some(Timestamp(1)),
            feeds: vec![FeedView {
                device: DeviceId([1; 32]),
                name: String::new(),
                entries: posts + 1,
                posts,
                head: EntryId([2; 32]),
                signed_at: Timestamp(1),
                missing,
            }],
            ..ProfileView::default()
        }
    }

    #[test]
    fn the_page_is_read_again_while_something_may_be_missing() {
        assert_eq!(again_ms(&person(1, 0)), None);
        assert_eq!(again_ms(&person(1, 2)), Some(REFRESH_MS));
        let mut unasked = ProfileView {
            compared: None,
            ..person(1, 0)
        };
        assert_eq!(again_ms(&unasked), Some(UNASKED_MS));
        unasked.forked = true;
        assert_eq!(again_ms(&unasked), None);
    }

    #[test]
    fn events_about_others_do_not_read_the_page_again() {
        let (account, other) = (AccountId([1; 32]), AccountId([2; 32]));
        let posts = |author, more| Event::Posts {
            posts: vec![PostView {
                entry: EntryRef {
                    account: author,
                    id: EntryId([3; 32]),
                },
                ..PostView::default()
            }],
            more,
        };
        assert!(concerns(&posts(account, false), account));
        assert!(!concerns(&posts(other, false), account));
        assert!(concerns(&posts(other, true), account), "some are not listed");
    }

    #[test]
    fn the_page_says_how_much_is_here_and_vouches_for_all_of_it_only_if_it_is_complete() {
        let held = |view: &ProfileView| strings::held(view, "Ada", Some("1 May".to_owned()));
        assert_eq!(held(&person(0, 0)), "No posts so far, as Ada signed on 1 May");
        assert_eq!(
            held(&person(1, 0)),
            "The only post is present, as Ada signed on 1 May"
        );
        assert_eq!(held(&person(3, 0)), "All 3 posts present, as Ada signed on 1 May");
        assert_eq!(held(&person(3, 1)), "3 posts here, 1 more entry is on its way");
        assert_eq!(
            held(&person(3, 2)),
            "3 posts here, 2 more entries are on their way"
        );
        let mut mine = person(3, 0);
        mine.mine = true;
        assert_eq!(held(&mine), "All 3 posts present, as you signed on 1 May");
        mine.compared = None;
        assert_eq!(held(&mine), "3 posts here");
    }

    #[test]
    fn the_page_says_with_whom_was_compared() {
        let last = Some("1 May".to_owned());
        assert_eq!(strings::compared(0, 0, None), strings::NEVER_COMPARED);
        assert_eq!(
            strings::compared(0, 0, last.clone()),
            "No linked peer has this. Last compared on 1 May."
        );
        assert_eq!(
            strings::compared(1, 0, last.clone()),
            "Compared with 1 linked peer: nothing newer is known."
        );
        assert_eq!(
            strings::compared(2, 3, last),
            "Compared with 2 linked peers: more is known."
        );
    }

    #[test]
    fn a_feed_says_what_is_here_and_what_is_known_beyond() {
        let facts = |entries, missing| {
            let mut feed = person(0, missing).feeds.remove(0);
            feed.entries = entries;
            strings::feed_facts(&feed, "1 May".to_owned())
        };
        assert_eq!(facts(0, 4), "nothing here yet, 4 known");
        assert_eq!(facts(1, 0), "1 entry, the newest signed on 1 May");
        assert_eq!(
            facts(2, 4),
            "2 entries and 4 more known, the newest here signed on 1 May"
        );
    }
}
