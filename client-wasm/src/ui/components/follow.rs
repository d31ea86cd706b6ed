//! Following people: by a pasted link, by the button on a profile, in a list.

use engine::api::{Command, ProfileView};
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlInputElement, InputEvent, MouseEvent, SubmitEvent};
use yew::prelude::*;

use super::avatar::Avatar;
use super::icon::Icon;
use crate::ui::router::{Link, Route, from_pasted};
use crate::ui::state::{shown_name, use_session, use_ui};
use crate::ui::strings;

/// A field for a profile link. A post's link leads to the post.
#[derive(Properties, PartialEq)]
pub struct FollowFormProps {
    /// Stay on the page instead of going to the profile.
    #[prop_or_default]
    pub stay: bool,
    /// Called after somebody was followed.
    #[prop_or_default]
    pub on_followed: Callback<()>,
}

/// See [`FollowFormProps`].
#[component]
pub fn FollowForm(props: &FollowFormProps) -> Html {
    let ui = use_ui();
    let session = use_session();
    let input = use_node_ref();
    let error = use_state_eq(|| None::<AttrValue>);
    let onsubmit = {
        let (ui, input, error) = (ui.clone(), input.clone(), error.clone());
        let (stay, on_followed, me) = (props.stay, props.on_followed.clone(), session.me.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let Some(field) = input.cast::<HtmlInputElement>() else {
                return;
            };
            match from_pasted(&field.value()) {
                Some(Route::User(account)) if me.as_ref().is_some_and(|me| me.account == account) => {
                    error.set(Some(strings::FOLLOW_SELF.into()));
                }
                Some(Route::User(account)) => {
                    error.set(None);
                    let (ui, error, on_followed) = (ui.clone(), error.clone(), on_followed.clone());
                    spawn_local(async move {
                        match ui.bridge.send(Command::Follow { account }).await {
                            Ok(_) => {
                                field.set_value("");
                                ui.say(strings::FOLLOWED_NOW);
                                on_followed.emit(());
                                if !stay {
                                    ui.nav.go(Route::User(account));
                                }
                            }
                            Err(refusal) => error.set(Some(strings::refusal(&refusal).into())),
                        }
                    });
                }
                Some(post) => ui.nav.go(post),
                None => error.set(Some(strings::FOLLOW_BAD.into())),
            }
        })
    };
    let oninput = {
        let error = error.clone();
        Callback::from(move |_: InputEvent| error.set(None))
    };
    html! {
        <form {onsubmit} novalidate=true>
            <div class="field">
                <label class="field__label" for="follow-input">{ strings::FOLLOW_LABEL }</label>
                <div class="field__row">
                    <input
                        ref={input}
                        id="follow-input"
                        class="input"
                        data-testid="follow-input"
                        type="text"
                        inputmode="url"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        dir="ltr"
                        placeholder="https://…/u/…"
                        aria-invalid={error.as_ref().map(|_| "true")}
                        aria-describedby="follow-error"
                        {oninput}
                    />
                    <button type="submit" class="btn" data-testid="follow-submit">{ strings::FOLLOW }</button>
                </div>
                <div id="follow-error" role="alert">
                    if let Some(error) = &*error {
                        <p class="field__error" data-testid="follow-error"><Icon name="warn" />{ error.clone() }</p>
                    }
                </div>
            </div>
        </form>
    }
}

/// Follow or unfollow one person.
#[derive(Properties, PartialEq)]
pub struct FollowButtonProps {
    /// Whom.
    pub profile: ProfileView,
}

/// See [`FollowButtonProps`].
#[component]
pub fn FollowButton(props: &FollowButtonProps) -> Html {
    let ui = use_ui();
    let account = props.profile.account;
    let followed = props.profile.followed;
    let onclick = Callback::from(move |_: MouseEvent| {
        ui.command(if followed {
            Command::Unfollow { account }
        } else {
            Command::Follow { account }
        });
    });
    let name = shown_name(&props.profile.name, &account);
    html! {
        <button
            type="button"
            class={classes!("btn", (!followed).then_some("btn--primary"))}
            data-testid="follow-button"
            data-followed={if followed { "true" } else { "false" }}
            aria-pressed={if followed { "true" } else { "false" }}
            aria-label={strings::follow_whom(&name, followed)}
            {onclick}
        >
            if followed {
                <Icon name="check" class="icon--small" />
                { strings::FOLLOWING }
            } else {
                { strings::FOLLOW }
            }
        </button>
    }
}

/// One person in a list.
#[derive(Properties, PartialEq)]
pub struct PersonProps {
    /// Whom.
    pub profile: ProfileView,
}

/// See [`PersonProps`].
#[component]
pub fn Person(props: &PersonProps) -> Html {
    let profile = &props.profile;
    let to = Route::User(profile.account);
    html! {
        <li class="person" data-testid="person" data-account={profile.account.to_string()}>
            <Link {to} quiet=true><Avatar account={profile.account} /></Link>
            <div class="person__text">
                <Link {to} class="person__name"><bdi>{ shown_name(&profile.name, &profile.account) }</bdi></Link>
                <p class="person__bio" dir="auto">
                    if profile.bio.is_empty() {
                        <span class="mono">{ profile.account.short() }</span>
                    } else {
                        { profile.bio.clone() }
                    }
                </p>
            </div>
            if !profile.mine {
                <FollowButton profile={profile.clone()} />
            }
        </li>
    }
}
