//! The first visit, in three short steps: a name, the recovery words, the first people. And the way back for those who
//! have an account.

mod strings;

use std::rc::Rc;

use engine::api::{Command, Event, Query, QueryResult};
use protocol::AccountId;
use protocol::limits::NAME_CHARS_MAX;
use web_sys::{HtmlElement, MouseEvent};
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::features::follow::{follow_form, person};
use crate::ui::features::recovery_phrase;
use crate::ui::kit;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::mark;
use crate::ui::route::Route;
use crate::ui::shell::lazy::{lazy_part, loaded_later};
use crate::ui::state::{Action, AppContext, Live, Phase, ask_who, use_app, use_live};

/// What the first visit shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Name,
    Restore,
    Phrase,
    People,
}

impl Step {
    /// The step that is shown. `wanted`: the one that was chosen last, which may be one that is not possible now.
    fn shown(phase: Phase, wanted: Self) -> Self {
        match (phase, wanted) {
            (Phase::Stranger, Self::Restore) => Self::Restore,
            (Phase::Stranger, _) => Self::Name,
            (_, Self::People) => Self::People,
            _ => Self::Phrase,
        }
    }

    /// Which of the three steps it is.
    fn number(self) -> usize {
        match self {
            Self::Name | Self::Restore => 1,
            Self::Phrase => 2,
            Self::People => 3,
        }
    }
}

/// Whose link the visit began with. That person is the first to follow; `own` if it was nobody's.
fn inviter(route: Route, own: AccountId) -> AccountId {
    match route {
        Route::User(account) => account,
        Route::Post(post) => post.account,
        _ => own,
    }
}

/// All of it.
#[component]
pub fn Welcome() -> Html {
    let app = use_app();
    let wanted = use_state_eq(|| Step::Name);
    let step = Step::shown(app.session.phase, *wanted);
    let main = use_node_ref();
    {
        let main = main.clone();
        use_effect_with(step, move |step| {
            dom::document().set_title(kit::strings::APP);
            dom::scroll_to(0.0);
            // The next step begins at its beginning, for the ear as well. Restoring has a field that takes the focus.
            if let (Step::Phrase | Step::People, Some(main)) = (*step, main.cast::<HtmlElement>()) {
                dom::focus_quietly(&main);
            }
        });
    }
    let go = |step: Step| {
        let wanted = wanted.clone();
        Callback::from(move |()| wanted.set(step))
    };
    let number = step.number();
    html! {
        <div class="welcome">
            <header class="welcome__brand">{ mark("32") }{ kit::strings::APP }</header>
            <main
                id="main"
                ref={main}
                tabindex="-1"
                class={if step == Step::Phrase { "welcome__main welcome__main--wide" } else { "welcome__main" }}
            >
                if step != Step::Restore {
                    <ol class="welcome__steps" aria-label={strings::STEPS}>
                        { for (1..=3).map(|index| html! {
                            <li
                                class="welcome__step"
                                aria-current={(index == number).then_some("step")}
                                data-done={(index < number).then_some("")}
                            ><span class="visually-hidden">{ strings::step(index, 3) }</span></li>
                        }) }
                    </ol>
                }
                { match step {
                    Step::Name => name_step(&app, &go(Step::Restore)),
                    Step::Restore => restore(&app, &go(Step::Name)),
                    Step::Phrase => html! {
                        <>
                            <h1>{ recovery_phrase::strings::PHRASE_TITLE }</h1>
                            <p class="welcome__lead">{ recovery_phrase::strings::PHRASE_LEAD }</p>
                            { recovery_phrase::first_visit(go(Step::People)) }
                        </>
                    },
                    Step::People => lazy_part("people", people_step),
                } }
            </main>
        </div>
    }
}

/// Tells the session that the account is there.
fn arriving(app: &AppContext, fresh: bool) -> Callback<Vec<String>> {
    let ui = app.ui.clone();
    Callback::from(move |_: Vec<String>| {
        ui.session.dispatch(Action::Arrived { fresh });
        ask_who(&ui);
    })
}

fn turned(app: &AppContext) -> Callback<()> {
    let ui = app.ui.clone();
    Callback::from(move |()| ui.session.dispatch(Action::Creating(false)))
}

fn name_step(app: &AppContext, on_restore: &Callback<()>) -> Html {
    let make = {
        let ui = app.ui.clone();
        Callback::from(move |values: Vec<String>| {
            if text::visible::is_blank(&values[0]) {
                return Err(strings::NAME_EMPTY.to_owned());
            }
            ui.session.dispatch(Action::Creating(true));
            Ok(Command::CreateAccount {
                name: values[0].clone(),
                device_name: dom::device_name(),
            })
        })
    };
    let field = Field {
        id: "welcome-name",
        label: strings::NAME_LABEL,
        hint: strings::NAME_HINT,
        kind: Kind::Line,
        chars_max: NAME_CHARS_MAX,
        value: String::new(),
    };
    html! {
        <>
            <h1>{ strings::WELCOME }</h1>
            <p class="welcome__lead">{ strings::WELCOME_LEAD }</p>
            <Form
                key="name"
                ui={app.ui.clone()}
                fields={vec![field]}
                {make}
                on_refused={turned(app)}
                on_done={arriving(app, true)}
                submit={strings::NAME_CREATE}
                working={strings::CREATE_WORKING}
                submit_testid="welcome-create"
            />
            <div class="welcome__other">
                <p>{ strings::HAVE_ACCOUNT }</p>
                { kit::button("link-btn", "restore-open", "", strings::RESTORE_OPEN, on_restore.reform(|_: MouseEvent| ())) }
            </div>
        </>
    }
}

fn restore(app: &AppContext, on_back: &Callback<()>) -> Html {
    let make = {
        let ui = app.ui.clone();
        Callback::from(move |values: Vec<String>| {
            ui.session.dispatch(Action::Creating(true));
            Ok(Command::Restore {
                phrase: values[0].clone(),
                device_name: dom::device_name(),
            })
        })
    };
    html! {
        <>
            <h1>{ strings::RESTORE_TITLE }</h1>
            <p class="welcome__lead">{ strings::RESTORE_LEAD }</p>
            <Form
                key="restore"
                ui={app.ui.clone()}
                fields={vec![recovery_phrase::field("restore-phrase")]}
                {make}
                on_refused={turned(app)}
                on_done={arriving(app, false)}
                submit={strings::RESTORE_SUBMIT}
                working={strings::RESTORE_WORKING}
                submit_testid="restore-submit"
                error_testid="restore-error"
                focus=true
            />
            <div class="welcome__other">
                { kit::button("link-btn", "restore-back", "", strings::RESTORE_BACK, on_back.reform(|_: MouseEvent| ())) }
            </div>
        </>
    }
}

loaded_later!(
    fn people_step() {
        html! { <PeopleStep /> }
    }
);

#[component]
fn PeopleStep() -> Html {
    let app = use_app();
    let own = app
        .session
        .me
        .as_ref()
        .map_or(AccountId([0; 32]), |me| me.account);
    let inviter = inviter(app.location.route, own);
    let (reply, _) = use_live(
        &app,
        Live {
            query: Query::Profile { account: inviter },
            concerns: Rc::new(move |event| matches!(event, Event::Profile(view) if view.account == inviter)),
            again_ms: |_| None,
        },
    );
    let inviter = match reply.as_deref() {
        Some(QueryResult::Profile(profile)) if !profile.mine => Some(profile),
        _ => None,
    };
    let address = Route::User(own).address();
    let copy = {
        let (ui, address) = (app.ui.clone(), address.clone());
        Callback::from(move |_: MouseEvent| ui.copy(address.clone(), kit::strings::LINK_COPIED))
    };
    let done = {
        let ui = app.ui.clone();
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Settled))
    };
    html! {
        <>
            <h1>{ strings::PEOPLE_TITLE }</h1>
            <p class="welcome__lead">{ strings::PEOPLE_LEAD }</p>
            <div class="stack stack--wide">
                if let Some(profile) = inviter {
                    <ul>{ person(&app.ui, profile) }</ul>
                }
                { follow_form(&app, true) }
                <div class="field">
                    <label class="field__hint" for="own-link">{ strings::PEOPLE_YOURS }</label>
                    <div class="copyable">
                        <input id="own-link" class="input" type="text" readonly=true dir="ltr" value={address} />
                        { kit::icon_button("btn btn--icon", "copy", kit::strings::COPY_PROFILE_LINK, copy) }
                    </div>
                </div>
            </div>
            <div class="welcome__actions">
                { kit::button("btn btn--primary", "welcome-done", "", strings::PEOPLE_DONE, done) }
            </div>
        </>
    }
}

#[cfg(test)]
mod tests {
    use protocol::{EntryId, EntryRef};

    use super::*;

    #[test]
    fn a_step_is_shown_only_where_it_is_possible() {
        let all = [Step::Name, Step::Restore, Step::Phrase, Step::People];
        let shown = |phase| all.map(|wanted| Step::shown(phase, wanted));
        use Step::{Name, People, Phrase, Restore};
        // Without an account there are neither words nor people.
        assert_eq!(shown(Phase::Stranger), [Name, Restore, Name, Name]);
        // With one, it is not made again.
        assert_eq!(shown(Phase::Arriving), [Phrase, Phrase, Phrase, People]);
        assert_eq!(all.map(Step::number), [1, 1, 2, 3]);
    }

    #[test]
    fn the_person_whose_link_was_opened_is_offered_first() {
        let (own, other) = (AccountId([1; 32]), AccountId([2; 32]));
        let post = EntryRef {
            account: other,
            id: EntryId([3; 32]),
        };
        assert_eq!(inviter(Route::User(other), own), other);
        assert_eq!(inviter(Route::Post(post), own), other);
        assert_eq!(inviter(Route::Home, own), own);
    }
}
