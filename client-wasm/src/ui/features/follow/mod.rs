//! Following people: by a pasted link, by the button on a profile, in a list.

mod page;
pub mod strings;

use engine::api::{Command, ProfileView, Query, QueryResult};
use protocol::AccountId;
use protocol::names::NameAnswer;
use text::find::{Found, find};
use text::visible;
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::features::handles::strings as handles;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::icon_with;
use crate::ui::kit::{self, shown_name};
use crate::ui::route::{Route, path_of_found};
use crate::ui::shell::lazy::{lazy_page, loaded_later};
use crate::ui::state::{AppContext, Ui};

/// The list of people one follows.
pub const FEATURE: Feature = Feature {
    page: |app| {
        (app.location.route == Route::Following)
            .then(|| lazy_page("following", strings::FOLLOWING_TITLE, true, following_page))
    },
    ..Feature::NONE
};

loaded_later!(
    fn following_page() {
        html! { <page::Following /> }
    }
);

/// What a pasted text names.
#[derive(Debug, PartialEq)]
pub enum Pasted {
    /// Another account.
    Account(AccountId),
    /// The own profile link.
    Own,
    /// The path of a post.
    Post(String),
    /// A handle, whose owner is not known yet.
    Handle(String),
    Nothing,
}

/// What the pasted text names. `own`: the account of this device.
pub fn pasted(text: &str, own: Option<AccountId>) -> Pasted {
    match find(text) {
        Some(Found::Account(account)) if Some(account) == own => Pasted::Own,
        Some(Found::Account(account)) => Pasted::Account(account),
        Some(Found::Handle(handle)) => Pasted::Handle(handle),
        Some(post) => Pasted::Post(path_of_found(&post)),
        None => Pasted::Nothing,
    }
}

/// The owner of a handle, or why there is none, in words for the person who asked.
pub async fn owner_of(ui: &Ui, handle: String) -> Result<AccountId, &'static str> {
    match ui.bridge.query(Query::Name { name: handle }).await {
        Ok(QueryResult::Name(NameAnswer::Held(receipt))) => Ok(receipt.account),
        Ok(QueryResult::Name(NameAnswer::Unavailable | NameAnswer::TooFast)) => Err(handles::HANDLE_UNKNOWN),
        _ => Err(handles::HANDLE_NOBODY),
    }
}

/// Follows the owner of a handle. `go`: shows their profile.
async fn follow_owner(ui: Ui, handle: String, own: Option<AccountId>, go: bool) {
    let account = match owner_of(&ui, handle).await {
        Ok(account) if Some(account) == own => return ui.say(strings::FOLLOW_SELF),
        Ok(account) => account,
        Err(why) => return ui.say(why),
    };
    if let Err(error) = ui.bridge.send(Command::Follow { account }).await {
        return ui.say(kit::strings::error_text(&error));
    }
    ui.say(strings::FOLLOWED_NOW);
    if go {
        ui.nav.go(Route::User(account));
    }
}

/// A field for a handle, a profile link or an account id. A post's link leads to the post. `stay` keeps the reader on the page instead of going to
/// the profile.
pub fn follow_form(app: &AppContext, stay: bool) -> Html {
    let ui = app.ui.clone();
    let own = app.session.me.as_ref().map(|me| me.account);
    let make = {
        let ui = ui.clone();
        Callback::from(move |values: Vec<String>| match pasted(&values[0], own) {
            Pasted::Account(account) => Ok(Command::Follow { account }),
            Pasted::Own => Err(strings::FOLLOW_SELF.to_owned()),
            Pasted::Post(path) => {
                ui.nav.go_to(path);
                Err(String::new())
            }
            Pasted::Handle(handle) => {
                spawn_local(follow_owner(ui.clone(), handle, own, !stay));
                Err(String::new())
            }
            Pasted::Nothing => Err(strings::FOLLOW_BAD.to_owned()),
        })
    };
    let on_done = {
        let ui = ui.clone();
        Callback::from(move |values: Vec<String>| {
            ui.say(strings::FOLLOWED_NOW);
            if let (false, Some(found)) = (stay, find(&values[0])) {
                ui.nav.go_to(path_of_found(&found));
            }
        })
    };
    let field = Field {
        id: "follow-input",
        label: strings::FOLLOW_LABEL,
        hint: "",
        kind: Kind::Address,
        chars_max: 0,
        value: String::new(),
    };
    html! {
        <Form
            {ui}
            fields={vec![field]}
            {make}
            {on_done}
            submit={strings::FOLLOW}
            button_class="btn"
            submit_testid="follow-submit"
            error_testid="follow-error"
            inline=true
            clears=true
        />
    }
}

/// Follow or unfollow one person.
pub fn follow_button(ui: &Ui, profile: &ProfileView) -> Html {
    let (account, followed) = (profile.account, profile.followed);
    let onclick = {
        let ui = ui.clone();
        Callback::from(move |_: MouseEvent| {
            ui.command(if followed {
                Command::Unfollow { account }
            } else {
                Command::Follow { account }
            });
        })
    };
    let name = kit::plain_name(&profile.name, &account);
    let flag = if followed { "true" } else { "false" };
    html! {
        <button
            type="button"
            class={if followed { "btn" } else { "btn btn--primary" }}
            data-testid="follow-button"
            data-followed={flag}
            aria-pressed={flag}
            aria-label={strings::follow_whom(&name, followed)}
            {onclick}
        >
            if followed {
                { icon_with("check", "icon--small") }
            }
            { if followed { strings::FOLLOWING } else { strings::FOLLOW } }
        </button>
    }
}

/// One person in a list.
pub fn person(ui: &Ui, profile: &ProfileView) -> Html {
    let href = Route::User(profile.account).path();
    let bio = visible::name(&profile.bio);
    html! {
        <li key={profile.account.to_string()} class="person" data-testid="person" data-account={profile.account.to_string()}>
            <a href={href.clone()} aria-hidden="true" tabindex="-1">{ avatar(&profile.account, "44") }</a>
            <div class="person__text">
                <a {href} class="person__name"><bdi>{ shown_name(&profile.name, &profile.account) }</bdi></a>
                if bio.is_empty() || !profile.handle.is_empty() {
                    <p class="person__bio">{ kit::known_as("", &profile.handle, &profile.account) }</p>
                }
                if !bio.is_empty() {
                    <p class="person__bio" dir="auto">{ bio }</p>
                }
            </div>
            if !profile.mine {
                { follow_button(ui, profile) }
            }
        </li>
    }
}

#[cfg(test)]
mod tests {
    use protocol::{EntryId, EntryRef};

    use super::*;

    #[test]
    fn the_field_takes_links_ids_and_handles() {
        let (own, other) = (AccountId([1; 32]), AccountId([2; 32]));
        let post = Route::Post(EntryRef {
            account: other,
            id: EntryId([3; 32]),
        });
        let link = |route: Route| format!("https://relay.example{}", route.path());
        let cases = [
            (link(Route::User(other)), Pasted::Account(other)),
            (other.to_string(), Pasted::Account(other)),
            (link(Route::User(own)), Pasted::Own),
            (link(post), Pasted::Post(post.path())),
            (
                "https://relay.example/some-slug/".to_owned(),
                Pasted::Post("/some-slug/".to_owned()),
            ),
            ("@ada".to_owned(), Pasted::Handle("ada".to_owned())),
            ("http://host/@ada".to_owned(), Pasted::Handle("ada".to_owned())),
            ("(ada).".to_owned(), Pasted::Handle("ada".to_owned())),
            ("two words".to_owned(), Pasted::Nothing),
            (String::new(), Pasted::Nothing),
        ];
        for (text, expected) in cases {
            assert_eq!(pasted(&text, Some(own)), expected, "{text}");
        }
        // Without an account, nobody is oneself.
        assert_eq!(pasted(&own.to_string(), None), Pasted::Account(own));
    }

    #[test]
    fn the_follow_button_says_whom_it_is_about() {
        assert_eq!(strings::follow_whom("Ada", false), "Follow Ada");
        assert_eq!(strings::follow_whom("Ada", true), "Following Ada");
    }
}
