//! The 24 recovery words: shown, copied, downloaded, and checked by picking some of them.

use engine::api::{Command, Query, Reply};
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use super::icon::Icon;
use crate::ui::state::{use_session, use_ui};
use crate::ui::{dom, strings};

/// Words asked for in the check.
const QUESTIONS: usize = 3;
/// Words to choose from.
const CHOICES: usize = 4;

/// The words with everything one does with them.
#[derive(Properties, PartialEq)]
pub struct WordsProps {
    /// Called when the words are confirmed, or were confirmed before.
    pub on_done: Callback<()>,
    /// Called when the person wants to do this later.
    pub on_later: Callback<()>,
}

/// See [`WordsProps`].
#[component]
pub fn Words(props: &WordsProps) -> Html {
    let ui = use_ui();
    let session = use_session();
    let words = use_state(|| None::<Vec<String>>);
    let checking = use_state_eq(|| false);
    {
        let (ui, words) = (ui.clone(), words.setter());
        use_effect_with((), move |()| {
            spawn_local(async move {
                if let Ok(Reply::Phrase(phrase)) = ui.bridge.query(Query::Phrase).await {
                    words.set(phrase);
                }
            });
        });
    }
    let Some(list) = (*words).clone() else {
        return html! {};
    };
    if *checking {
        let back = {
            let checking = checking.clone();
            Callback::from(move |()| checking.set(false))
        };
        return html! { <Quiz words={list} on_done={props.on_done.clone()} on_back={back} /> };
    }
    let copy = {
        let (ui, text) = (ui.clone(), list.join(" "));
        Callback::from(move |_: MouseEvent| ui.copy(text.clone(), strings::COPIED))
    };
    let download = {
        let (ui, session, list) = (ui.clone(), session.clone(), list.clone());
        Callback::from(move |_: MouseEvent| {
            let (name, account) = session
                .me
                .as_ref()
                .map(|me| (me.name.clone(), me.account.to_string()))
                .unwrap_or_default();
            let text = strings::phrase_file(&name, &account, &list);
            if dom::download(strings::PHRASE_FILE, &text).is_err() {
                ui.say(strings::NOT_COPIED);
            }
        })
    };
    let check = Callback::from(move |_: MouseEvent| checking.set(true));
    let later = {
        let on_later = props.on_later.clone();
        Callback::from(move |_: MouseEvent| on_later.emit(()))
    };
    html! {
        <>
            <ol class="words" data-testid="phrase-words" aria-label={strings::PHRASE_LIST}>
                { for list.iter().enumerate().map(|(index, word)| html! {
                    <li data-word={word.clone()}>
                        <span class="words__number" aria-hidden="true">{ index + 1 }</span>
                        <span class="words__word" lang="en" translate="no">{ word.clone() }</span>
                    </li>
                }) }
            </ol>
            <div class="welcome__actions">
                <button type="button" class="btn" data-testid="phrase-copy" onclick={copy}>
                    <Icon name="copy" />{ strings::PHRASE_COPY }
                </button>
                <button type="button" class="btn" data-testid="phrase-download" onclick={download}>
                    <Icon name="download" />{ strings::PHRASE_DOWNLOAD }
                </button>
            </div>
            <div class="welcome__actions">
                <button type="button" class="btn btn--primary" data-testid="phrase-confirm" onclick={check}>
                    { strings::PHRASE_CONFIRM }
                </button>
                <button type="button" class="btn btn--quiet" data-testid="phrase-later" onclick={later}>
                    { strings::PHRASE_LATER }
                </button>
            </div>
        </>
    }
}

#[derive(Properties, PartialEq)]
struct QuizProps {
    words: Vec<String>,
    on_done: Callback<()>,
    on_back: Callback<()>,
}

/// A question: which word stands at this position, and the words to choose from.
#[derive(Clone, PartialEq)]
struct Question {
    position: usize,
    choices: Vec<String>,
}

#[component]
fn Quiz(props: &QuizProps) -> Html {
    let ui = use_ui();
    let questions = use_state(|| questions(&props.words));
    let at = use_state_eq(|| 0_usize);
    let wrong = use_state_eq(|| false);
    let Some(question) = questions.get(*at).cloned() else {
        return html! {};
    };
    let pick = {
        let (wrong, at, words, on_done) = (
            wrong.clone(),
            at.clone(),
            props.words.clone(),
            props.on_done.clone(),
        );
        let position = question.position;
        Callback::from(move |word: String| {
            if words.get(position) != Some(&word) {
                wrong.set(true);
                return;
            }
            wrong.set(false);
            if *at + 1 < QUESTIONS {
                at.set(*at + 1);
                return;
            }
            let (ui, on_done) = (ui.clone(), on_done.clone());
            spawn_local(async move {
                match ui.bridge.send(Command::ConfirmPhrase).await {
                    Ok(_) => {
                        ui.say(strings::PHRASE_DONE);
                        on_done.emit(());
                    }
                    Err(refusal) => ui.say(strings::refusal(&refusal)),
                }
            });
        })
    };
    let back = {
        let on_back = props.on_back.clone();
        Callback::from(move |_: MouseEvent| on_back.emit(()))
    };
    html! {
        <div class="stack" data-testid="phrase-question" data-position={(question.position + 1).to_string()}>
            <h2>{ strings::QUIZ_TITLE }</h2>
            <p class="soft">{ strings::QUIZ_LEAD }</p>
            <h3 aria-live="polite">{ strings::quiz_question(question.position + 1) }</h3>
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
            <div role="alert">
                if *wrong {
                    <p class="field__error"><Icon name="warn" />{ strings::QUIZ_WRONG }</p>
                }
            </div>
            <button type="button" class="btn btn--quiet" onclick={back}>
                <Icon name="back" />{ strings::QUIZ_BACK }
            </button>
        </div>
    }
}

/// Different positions, and for each its word among others of the same phrase.
fn questions(words: &[String]) -> Vec<Question> {
    let mut random = dom::random_token()
        .into_iter()
        .chain(dom::random_token())
        .chain(dom::random_token());
    let mut below = move |end: usize| usize::from(random.next().unwrap_or(0)) % end.max(1);
    let mut positions: Vec<usize> = (0..words.len()).collect();
    let mut found = Vec::new();
    while found.len() < QUESTIONS && !positions.is_empty() {
        let position = positions.swap_remove(below(positions.len()));
        let mut choices = vec![words[position].clone()];
        let mut others: Vec<&String> = words.iter().filter(|word| **word != words[position]).collect();
        while choices.len() < CHOICES && !others.is_empty() {
            let other = others.swap_remove(below(others.len()));
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
