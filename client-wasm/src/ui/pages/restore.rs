//! Bringing an account back from its recovery words.

use engine::api::{Command, Refusal};
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlTextAreaElement, InputEvent, MouseEvent, SubmitEvent};
use yew::prelude::*;

use crate::ui::components::icon::Icon;
use crate::ui::state::{Action, ask_who, use_ui};
use crate::ui::{dom, strings};

/// The form.
#[derive(Properties, PartialEq)]
pub struct RestoreProps {
    /// Called when the person wants a new account after all.
    pub on_back: Callback<()>,
}

/// See [`RestoreProps`].
#[component]
pub fn Restore(props: &RestoreProps) -> Html {
    let ui = use_ui();
    let input = use_node_ref();
    let words = use_state_eq(|| 0_usize);
    let working = use_state_eq(|| false);
    let error = use_state_eq(|| None::<Refusal>);
    {
        let input = input.clone();
        use_effect_with((), move |()| {
            if let Some(area) = input.cast::<HtmlTextAreaElement>() {
                dom::focus_quietly(&area);
            }
        });
    }
    let oninput = {
        let (words, error) = (words.clone(), error.clone());
        Callback::from(move |event: InputEvent| {
            let value = event.target_unchecked_into::<HtmlTextAreaElement>().value();
            words.set(value.split_whitespace().count());
            error.set(None);
        })
    };
    let onsubmit = {
        let (ui, input, working, error) = (ui.clone(), input.clone(), working.clone(), error.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let Some(area) = input.cast::<HtmlTextAreaElement>().filter(|_| !*working) else {
                return;
            };
            working.set(true);
            error.set(None);
            let (ui, working, error) = (ui.clone(), working.clone(), error.clone());
            spawn_local(async move {
                let phrase = area.value();
                let command = Command::Restore {
                    phrase: phrase.clone(),
                    device_name: dom::device_name(),
                };
                match ui.bridge.send(command).await {
                    Ok(_) => {
                        ui.session.dispatch(Action::Arrived { fresh: false });
                        ask_who(&ui);
                    }
                    Err(refusal) => {
                        working.set(false);
                        if let Refusal::PhraseWord { position, .. } = &refusal {
                            select_word(&area, &phrase, *position as usize);
                        }
                        error.set(Some(refusal));
                    }
                }
            });
        })
    };
    let back = {
        let on_back = props.on_back.clone();
        Callback::from(move |_: MouseEvent| on_back.emit(()))
    };
    html! {
        <>
            <h1>{ strings::RESTORE_TITLE }</h1>
            <p class="welcome__lead">{ strings::RESTORE_LEAD }</p>
            <form {onsubmit} autocomplete="off">
                <div class="field">
                    <label class="field__label" for="restore-phrase">{ strings::RESTORE_LABEL }</label>
                    <textarea
                        ref={input}
                        id="restore-phrase"
                        class="input"
                        data-testid="restore-phrase"
                        rows="5"
                        dir="ltr"
                        lang="en"
                        autocomplete="off"
                        autocapitalize="none"
                        autocorrect="off"
                        spellcheck="false"
                        aria-describedby="restore-hint restore-error"
                        aria-invalid={error.as_ref().map(|_| "true")}
                        {oninput}
                    />
                    <p class="field__hint row row--between" id="restore-hint">
                        <span>{ strings::RESTORE_HINT }</span>
                        <span class="tabular">{ strings::words_so_far(*words) }</span>
                    </p>
                    <div id="restore-error" role="alert">
                        if let Some(refusal) = &*error {
                            <p class="field__error" data-testid="restore-error"><Icon name="warn" />{ strings::refusal(refusal) }</p>
                        }
                    </div>
                </div>
                <div class="welcome__actions">
                    <button type="submit" class="btn btn--primary" data-testid="restore-submit" aria-disabled={working.then_some("true")}>
                        { if *working { strings::RESTORE_WORKING } else { strings::RESTORE_SUBMIT } }
                    </button>
                </div>
            </form>
            <div class="welcome__other">
                <button type="button" class="link-btn" onclick={back}>{ strings::RESTORE_BACK }</button>
            </div>
        </>
    }
}

/// Marks the word in question, so that the eye finds it at once.
fn select_word(area: &HtmlTextAreaElement, phrase: &str, position: usize) {
    let mut seen = 0;
    let mut at_utf16 = 0_u32;
    for part in phrase.split_inclusive(char::is_whitespace) {
        let word = part.trim();
        let lead_utf16 = part.len() - part.trim_start().len();
        if !word.is_empty() {
            if seen == position {
                let from = at_utf16 + lead_utf16 as u32;
                dom::focus_quietly(area);
                // A range inside the text is always valid.
                let _ = area.set_selection_range(from, from + word.encode_utf16().count() as u32);
                return;
            }
            seen += 1;
        }
        at_utf16 += part.encode_utf16().count() as u32;
    }
}
