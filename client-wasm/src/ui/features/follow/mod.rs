//! Following people: by a pasted link, by the button on a profile, in a list.

mod page;
pub mod strings;

use engine::api::{Command, ProfileView};
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::Feature;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::icon_with;
use crate::ui::kit::{self, shown_name};
use crate::ui::route::{Route, from_pasted, path_of_handle};
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

/// A field for a profile link. A post's link leads to the post. `stay` keeps the reader on the page instead of going to
/// the profile.
pub fn follow_form(app: &AppContext, stay: bool) -> Html {
    let ui = app.ui.clone();
    let own = app.session.me.as_ref().map(|me| me.account);
    let make = {
        let ui = ui.clone();
        Callback::from(move |values: Vec<String>| match from_pasted(&values[0]) {
            Some(Route::User(account)) if Some(account) == own => Err(strings::FOLLOW_SELF.to_owned()),
            Some(Route::User(account)) => Ok(Command::Follow { account }),
            Some(post) => {
                ui.nav.go(post);
                Err(String::new())
            }
            None => match path_of_handle(&values[0]) {
                Some(path) => {
                    ui.nav.go_to(path);
                    Err(String::new())
                }
                None => Err(strings::FOLLOW_BAD.to_owned()),
            },
        })
    };
    let on_done = {
        let ui = ui.clone();
        Callback::from(move |values: Vec<String>| {
            ui.say(strings::FOLLOWED_NOW);
            if let (false, Some(route)) = (stay, from_pasted(&values[0])) {
                ui.nav.go(route);
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
    let name = shown_name(&profile.name, &account);
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
    html! {
        <li key={profile.account.to_string()} class="person" data-testid="person" data-account={profile.account.to_string()}>
            <a href={href.clone()} aria-hidden="true" tabindex="-1">{ avatar(&profile.account, "44") }</a>
            <div class="person__text">
                <a {href} class="person__name"><bdi>{ shown_name(&profile.name, &profile.account) }</bdi></a>
                <p class="person__bio" dir="auto">
                    if profile.bio.is_empty() {
                        { kit::known_as("", &profile.handle, &profile.account) }
                    } else {
                        { profile.bio.clone() }
                    }
                </p>
            </div>
            if !profile.mine {
                { follow_button(ui, profile) }
            }
        </li>
    }
}
