//! The 24 recovery words: shown, copied, downloaded, and checked by picking some of them. Their page, and the reminder
//! on every page until they are confirmed as written down.

pub mod strings;

use std::rc::Rc;

use engine::api::{Command, MeView, Query, QueryResult};
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::features::{Feature, old_copy};
use crate::ui::kit;
use crate::ui::kit::form::{Field, Kind};
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::shell::lazy::{lazy_page, lazy_part, loaded_later};
use crate::ui::shell::notices::{Gravity, Notice};
use crate::ui::state::{AppContext, Live, Phase, use_app, use_live};

/// The page of the words, and the reminder.
pub const FEATURE: Feature = Feature {
    page: |app| {
        (app.location.route == Route::Phrase)
            .then(|| lazy_page("phrase", strings::PHRASE_TITLE, true, phrase_page))
    },
    notice: reminder,
    ..Feature::NONE
};

/// Number of words that the check asks for.
const QUESTIONS: usize = 3;
/// Number of words to choose from for each question.
const CHOICES: usize = 4;

/// The words with everything one does with them.
#[derive(Properties, PartialEq)]
struct RecoveryPhraseProps {
    /// Called when the words are confirmed.
    on_done: Callback<()>,
    /// Called when the person wants to do this later.
    on_later: Callback<()>,
}

/// A question: which word is at this position, and the words to choose from.
#[derive(Clone, Debug, PartialEq)]
struct Question {
    position: usize,
    choices: Vec<String>,
}

/// How far the check is: the questions left, and whether the last pick was wrong.
#[derive(Clone, Debug, Default, PartialEq)]
struct Check {
    questions: Vec<Question>,
    wrong: bool,
}

impl Check {
    /// Takes a pick for the last question, whose word is `right`. Whether all questions are answered: the last one then
    /// stays, so that the page keeps its place until the engine has taken it in.
    fn pick(&mut self, word: &str, right: &str) -> bool {
        self.wrong = word != right;
        let last = self.questions.len() <= 1;
        if !self.wrong && !last {
            self.questions.pop();
        }
        !self.wrong && last
    }
}

#[component]
fn RecoveryPhrase(props: &RecoveryPhraseProps) -> Html {
    let app = use_app();
    let check = use_state_eq(Check::default);
    let (reply, _) = use_live(
        &app,
        Live {
            query: Query::Phrase,
            concerns: Rc::new(|_| false),
            again_ms: |_| None,
        },
    );
    let Some(QueryResult::Phrase(Some(words))) = reply.as_deref() else {
        return html! {};
    };
    if let Some(question) = check.questions.last().cloned() {
        let pick = {
            let (ui, check, on_done) = (app.ui.clone(), check.clone(), props.on_done.clone());
            let right = words[question.position].clone();
            Callback::from(move |word: String| {
                let mut left = (*check).clone();
                if left.pick(&word, &right) {
                    let (ui, on_done) = (ui.clone(), on_done.clone());
                    spawn_local(async move {
                        match ui.bridge.send(Command::ConfirmPhrase).await {
                            Ok(_) => {
                                ui.say(strings::PHRASE_DONE);
                                on_done.emit(());
                            }
                            Err(error) => ui.say(kit::strings::error_text(&error)),
                        }
                    });
                }
                check.set(left);
            })
        };
        let wrong = check.wrong;
        let back = Callback::from(move |_: MouseEvent| check.set(Check::default()));
        return quiz(&question, wrong, &pick, back);
    }
    let copy = {
        let (ui, text) = (app.ui.clone(), words.join(" "));
        Callback::from(move |_: MouseEvent| ui.copy(text.clone(), kit::strings::COPIED))
    };
    let download = {
        let (app, words) = (app.clone(), words.clone());
        Callback::from(move |_: MouseEvent| {
            let Some(me) = &app.session.me else { return };
            let text = strings::phrase_file(&me.name, &me.account.to_string(), &words);
            if dom::download(strings::PHRASE_FILE, &text).is_err() {
                app.ui.say(kit::strings::NOT_COPIED);
            }
        })
    };
    let begin = {
        let words = words.clone();
        Callback::from(move |_: MouseEvent| {
            let random = dom::random_token().into_iter().chain(dom::random_token());
            check.set(Check {
                questions: questions(&words, random),
                wrong: false,
            });
        })
    };
    let later = {
        let on_later = props.on_later.clone();
        Callback::from(move |_: MouseEvent| on_later.emit(()))
    };
    html! {
        <>
            <ol class="words" data-testid="phrase-words" aria-label={strings::PHRASE_LIST}>
                { for words.iter().enumerate().map(|(index, word)| html! {
                    <li data-word={word.clone()}>
                        <span class="words__number" aria-hidden="true">{ index + 1 }</span>
                        <span class="words__word" lang="en" translate="no">{ word.clone() }</span>
                    </li>
                }) }
            </ol>
            <div class="welcome__actions">
                { kit::button("btn", "phrase-copy", "copy", strings::PHRASE_COPY, copy) }
                { kit::button("btn", "phrase-download", "download", strings::PHRASE_DOWNLOAD, download) }
            </div>
            <div class="welcome__actions">
                { kit::button("btn btn--primary", "phrase-confirm", "", strings::PHRASE_CONFIRM, begin) }
                { kit::button("btn btn--quiet", "phrase-later", "", strings::PHRASE_LATER, later) }
            </div>
        </>
    }
}

fn quiz(question: &Question, wrong: bool, pick: &Callback<String>, back: Callback<MouseEvent>) -> Html {
    let number = question.position + 1;
    html! {
        <div class="stack" data-testid="phrase-question" data-position={number.to_string()}>
            <h2>{ strings::QUIZ_TITLE }</h2>
            <p class="soft">{ strings::QUIZ_LEAD }</p>
            <h3 aria-live="polite">{ strings::quiz_question(number) }</h3>
            <div class="choices">
                { for question.choices.iter().map(|word| {
                    let (pick, chosen) = (pick.clone(), word.clone());
                    html! {
                        <button
                            key={word.clone()}
                            type="button"
                            class="btn"
                            data-testid="phrase-option"
                            data-word={word.clone()}
                            lang="en"
                            translate="no"
                            onclick={Callback::from(move |_: MouseEvent| pick.emit(chosen.clone()))}
                        >{ word.clone() }</button>
                    }
                }) }
            </div>
            { kit::trouble("phrase-wrong", wrong.then(|| strings::QUIZ_WRONG.to_owned())) }
            { kit::button("btn btn--quiet", "phrase-back", "back", strings::QUIZ_BACK, back) }
        </div>
    }
}

/// Different positions, and for each its word among others of the same phrase.
fn questions(words: &[String], mut random: impl Iterator<Item = u8>) -> Vec<Question> {
    let mut below = move |end: usize| usize::from(random.next().unwrap_or(0)) % end.max(1);
    let mut positions: Vec<usize> = (0..words.len()).collect();
    let mut found = Vec::new();
    while found.len() < QUESTIONS && !positions.is_empty() {
        let position = positions.swap_remove(below(positions.len()));
        let right = &words[position];
        let mut choices = vec![right.clone()];
        let mut others: Vec<&String> = words.iter().filter(|word| *word != right).collect();
        while choices.len() < CHOICES && !others.is_empty() {
            let other = others.swap_remove(below(others.len()));
            // A phrase may have a word twice.
            if !choices.contains(other) {
                choices.push(other.clone());
            }
        }
        let place = below(choices.len());
        choices.swap(0, place);
        found.push(Question { position, choices });
    }
    found
}

loaded_later!(
    fn phrase_page() {
        html! { <PhrasePage /> }
    }
);

loaded_later!(
    fn phrase_step(on_done: Callback<()>) {
        html! { <RecoveryPhrase on_done={on_done.clone()} on_later={on_done} /> }
    }
);

/// The words on the first visit. `on_done` is called when they are confirmed, or put off.
pub fn first_visit(on_done: Callback<()>) -> Html {
    lazy_part("phrase", move || phrase_step(on_done.clone()))
}

/// The words, after the first visit.
#[component]
fn PhrasePage() -> Html {
    let app = use_app();
    let confirmed = app.session.me.as_ref().is_some_and(|me| me.phrase_confirmed);
    let leave = {
        let nav = app.ui.nav.clone();
        Callback::from(move |()| nav.go(Route::You))
    };
    html! {
        <Page title={strings::PHRASE_TITLE} back=true>
            <div class="page">
                if confirmed {
                    <p>{ strings::PHRASE_GONE }</p>
                } else {
                    <p class="welcome__lead">{ strings::PHRASE_LEAD }</p>
                    <RecoveryPhrase on_done={leave.clone()} on_later={leave} />
                }
            </div>
        </Page>
    }
}

/// The section of the page about oneself.
pub fn section(me: &MeView) -> Html {
    html! {
        <section class="section">
            <h2>{ strings::PHRASE_SECTION }</h2>
            <div class="stack">
                if me.phrase_confirmed {
                    <p class="soft">{ strings::PHRASE_GONE }</p>
                } else {
                    <p class="soft">{ strings::PHRASE_REMIND }</p>
                    <a href={Route::Phrase.path()} class="btn btn--primary">{ strings::PHRASE_REMIND_OPEN }</a>
                }
            </div>
        </section>
    }
}

/// A field for the words, wherever something asks for them.
pub fn field(id: &'static str) -> Field {
    Field {
        id,
        label: strings::RESTORE_LABEL,
        hint: strings::RESTORE_HINT,
        kind: Kind::Phrase,
        chars_max: 0,
        value: String::new(),
    }
}

fn reminder(app: &AppContext) -> Option<Notice> {
    let me = app.session.me.as_ref()?;
    let due = !me.phrase_confirmed
        && !me.revoked
        && !old_copy::is_due(me)
        && app.session.phase == Phase::Member
        && app.location.route != Route::Phrase;
    due.then(|| Notice {
        gravity: Gravity::Account,
        class: "notice--warn",
        icon: "key",
        testid: "phrase-reminder",
        text: html! { strings::PHRASE_REMIND },
        action: html! { <a href={Route::Phrase.path()} class="btn notice__action">{ strings::PHRASE_REMIND_OPEN }</a> },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<String> {
        (0..24).map(|number| format!("word-{number}")).collect()
    }

    #[test]
    fn the_check_asks_for_different_words_and_offers_the_right_one_among_others() {
        for seed in 0..=u8::MAX {
            let random = (0..32).map(|step| seed.wrapping_mul(31).wrapping_add(step * 7));
            let questions = questions(&words(), random);
            assert_eq!(questions.len(), QUESTIONS);
            for (index, question) in questions.iter().enumerate() {
                let right = format!("word-{}", question.position);
                assert!(question.choices.contains(&right));
                assert_eq!(question.choices.len(), CHOICES);
                let others = |word| question.choices.iter().filter(|other| *other == word).count();
                assert!(question.choices.iter().all(|word| others(word) == 1));
                let earlier = &questions[..index];
                assert!(earlier.iter().all(|other| other.position != question.position));
            }
        }
    }

    #[test]
    fn a_phrase_with_a_word_twice_and_a_short_one_give_fewer_choices() {
        let twice = vec!["a".to_owned(), "a".to_owned(), "b".to_owned()];
        for question in questions(&twice, [0; 32].into_iter()) {
            assert_eq!(question.choices.len(), 2, "{question:?}");
        }
        assert!(questions(&[], [0; 32].into_iter()).is_empty());
        // Without randomness there are questions all the same.
        assert_eq!(questions(&words(), std::iter::empty()).len(), QUESTIONS);
    }

    #[test]
    fn the_check_is_passed_when_every_word_was_picked() {
        let mut check = Check {
            questions: questions(&words(), [0; 32].into_iter()),
            wrong: false,
        };
        assert!(!check.pick("b", "a"));
        assert!(check.wrong);
        assert_eq!(check.questions.len(), 3, "it is asked again");
        assert!(!check.pick("a", "a"));
        assert!(!check.wrong);
        assert!(!check.pick("a", "a"));
        assert_eq!(check.questions.len(), 1);
        assert!(!check.pick("b", "a"));
        assert!(check.pick("a", "a"));
    }

    #[test]
    fn the_file_numbers_the_words_and_names_the_account() {
        let text = strings::phrase_file("Ada", "account-id", &words());
        assert!(text.starts_with("Starling recovery words of Ada\nAccount account-id\n\n 1. word-0\n"));
        assert!(text.contains("\n24. word-23\n"));
    }
}
