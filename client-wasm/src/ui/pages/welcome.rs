//! The first visit, in three short steps: a name, the recovery words, the first people. And the way back for those who
//! have an account.

use engine::api::{Command, ProfileView, Query, Reply};
use protocol::limits::NAME_CHARS_MAX;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlElement, HtmlInputElement, MouseEvent, SubmitEvent};
use yew::prelude::*;

use super::restore::Restore;
use crate::ui::components::follow::{FollowForm, Person};
use crate::ui::components::icon::{Icon, Mark};
use crate::ui::components::words::Words;
use crate::ui::router::{Route, Visit};
use crate::ui::state::{Action, Phase, ask_who, use_events, use_session, use_ui};
use crate::ui::{dom, strings};

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Name,
    Phrase,
    People,
}

/// All of it.
#[component]
pub fn Welcome() -> Html {
    let session = use_session();
    let restoring = use_state_eq(|| false);
    let step = use_state_eq(|| Step::Name);
    let shown = match (session.phase, *step) {
        (Phase::Stranger, _) => Step::Name,
        (_, Step::Name) => Step::Phrase,
        (_, step) => step,
    };
    let main = use_node_ref();
    {
        let main = main.clone();
        use_effect_with((shown, *restoring), move |(shown, _)| {
            dom::document().set_title(strings::APP);
            dom::scroll_to(0.0);
            // The next step begins at its beginning, for the ear as well.
            if let (true, Some(main)) = (*shown != Step::Name, main.cast::<HtmlElement>()) {
                dom::focus_quietly(&main);
            }
        });
    }
    let restore = {
        let restoring = restoring.clone();
        Callback::from(move |on: bool| restoring.set(on))
    };
    let to_people = {
        let step = step.clone();
        Callback::from(move |()| step.set(Step::People))
    };
    let content = if shown == Step::Name && *restoring {
        html! { <Restore on_back={restore.reform(|()| false)} /> }
    } else {
        match shown {
            Step::Name => html! { <NameStep on_restore={restore.reform(|()| true)} /> },
            Step::Phrase => html! {
                <>
                    <h1>{ strings::PHRASE_TITLE }</h1>
                    <p class="welcome__lead">{ strings::PHRASE_LEAD }</p>
                    <Words on_done={to_people.clone()} on_later={to_people} />
                </>
            },
            Step::People => html! { <PeopleStep /> },
        }
    };
    let number = match shown {
        Step::Name => 1,
        Step::Phrase => 2,
        Step::People => 3,
    };
    html! {
        <div class="welcome">
            <header class="welcome__brand"><Mark size={32} />{ strings::APP }</header>
            <main
                id="main"
                ref={main}
                tabindex="-1"
                class={classes!("welcome__main", (shown == Step::Phrase).then_some("welcome__main--wide"))}
            >
                if !*restoring || shown != Step::Name {
                    <ol class="welcome__steps" aria-label={strings::STEPS}>
                        { for (1..=3).map(|index| html! {
                            <li
                                key={index}
                                class="welcome__step"
                                aria-current={(index == number).then_some("step")}
                                data-done={(index < number).then_some("")}
                            ><span class="visually-hidden">{ strings::step(index, 3) }</span></li>
                        }) }
                    </ol>
                }
                { content }
            </main>
        </div>
    }
}

#[derive(Properties, PartialEq)]
struct NameStepProps {
    on_restore: Callback<()>,
}

#[component]
fn NameStep(props: &NameStepProps) -> Html {
    let ui = use_ui();
    let input = use_node_ref();
    let error = use_state_eq(|| None::<AttrValue>);
    let working = use_state_eq(|| false);
    let onsubmit = {
        let (ui, input, error, working) = (ui.clone(), input.clone(), error.clone(), working.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let Some(field) = input.cast::<HtmlInputElement>().filter(|_| !*working) else {
                return;
            };
            working.set(true);
            let command = Command::CreateAccount {
                name: field.value().trim().to_owned(),
                device_name: dom::device_name(),
            };
            let (ui, error, working) = (ui.clone(), error.clone(), working.clone());
            ui.session.dispatch(Action::Creating(true));
            spawn_local(async move {
                match ui.bridge.send(command).await {
                    Ok(_) => {
                        ui.session.dispatch(Action::Arrived { fresh: true });
                        ask_who(&ui);
                    }
                    Err(refusal) => {
                        ui.session.dispatch(Action::Creating(false));
                        working.set(false);
                        error.set(Some(strings::refusal(&refusal).into()));
                        dom::focus_quietly(&field);
                    }
                }
            });
        })
    };
    let restore = {
        let on_restore = props.on_restore.clone();
        Callback::from(move |_: MouseEvent| on_restore.emit(()))
    };
    html! {
        <>
            <h1>{ strings::WELCOME }</h1>
            <p class="welcome__lead">{ strings::WELCOME_LEAD }</p>
            <form {onsubmit}>
                <div class="field">
                    <label class="field__label" for="welcome-name">{ strings::NAME_LABEL }</label>
                    <input
                        ref={input}
                        id="welcome-name"
                        class="input"
                        data-testid="welcome-name"
                        type="text"
                        autocomplete="nickname"
                        dir="auto"
                        required=true
                        maxlength={NAME_CHARS_MAX.to_string()}
                        aria-describedby="welcome-hint"
                    />
                    <p class="field__hint" id="welcome-hint">{ strings::NAME_HINT }</p>
                    <div role="alert">
                        if let Some(error) = &*error {
                            <p class="field__error"><Icon name="warn" />{ error.clone() }</p>
                        }
                    </div>
                </div>
                <div class="welcome__actions">
                    <button type="submit" class="btn btn--primary" data-testid="welcome-create">
                        { if *working { strings::CREATE_WORKING } else { strings::NAME_CREATE } }
                    </button>
                </div>
            </form>
            <div class="welcome__other">
                <p>{ strings::HAVE_ACCOUNT }</p>
                <button type="button" class="link-btn" data-testid="restore-open" onclick={restore}>
                    { strings::RESTORE_OPEN }
                </button>
            </div>
        </>
    }
}

#[component]
fn PeopleStep() -> Html {
    let ui = use_ui();
    let session = use_session();
    // Whoever came by a person's link finds that person here first.
    let inviter = use_context::<Visit>().and_then(|visit| match visit.route {
        Route::User(account) => Some(account),
        Route::Post(post) => Some(post.account),
        _ => None,
    });
    let profile = use_state(|| None::<ProfileView>);
    {
        let (ui, profile) = (ui.clone(), profile.setter());
        use_effect_with(inviter, move |inviter| {
            if let Some(account) = *inviter {
                spawn_local(async move {
                    if let Ok(Reply::Profile(view)) = ui.bridge.query(Query::Profile { account }).await {
                        profile.set(Some(view));
                    }
                });
            }
        });
    }
    {
        let profile = profile.setter();
        use_events(move |event| {
            if let engine::api::Event::Profile(view) = event
                && Some(view.account) == inviter
            {
                profile.set(Some(view.clone()));
            }
        });
    }
    let Some(me) = &session.me else {
        return html! {};
    };
    let address = Route::User(me.account).address();
    let copy = {
        let (ui, address) = (ui.clone(), address.clone());
        Callback::from(move |_: MouseEvent| ui.copy(address.clone(), strings::LINK_COPIED))
    };
    let done = Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Settled));
    html! {
        <>
            <h1>{ strings::PEOPLE_TITLE }</h1>
            <p class="welcome__lead">{ strings::PEOPLE_LEAD }</p>
            <div class="stack stack--wide">
                if let Some(profile) = &*profile {
                    <ul><Person profile={profile.clone()} /></ul>
                }
                <FollowForm stay=true />
                <div class="field">
                    <label class="field__hint" for="own-link">{ strings::PEOPLE_YOURS }</label>
                    <div class="copyable">
                        <input id="own-link" class="input" type="text" readonly=true dir="ltr" value={address} />
                        <button type="button" class="btn btn--icon" aria-label={strings::COPY_PROFILE_LINK} onclick={copy}>
                            <Icon name="copy" />
                        </button>
                    </div>
                </div>
            </div>
            <div class="welcome__actions">
                <button type="button" class="btn btn--primary" data-testid="welcome-done" onclick={done}>
                    { strings::PEOPLE_DONE }
                </button>
            </div>
        </>
    }
}
