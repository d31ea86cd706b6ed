//! A form that ends in one command: fields, a button, and an error beside the fields.

use engine::api::{Command, Error};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlElement, HtmlInputElement, HtmlTextAreaElement, InputEvent, MouseEvent, SubmitEvent};
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::kit;
use crate::ui::kit::strings;
use crate::ui::state::Ui;

/// What one writes into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person's words in one line.
    Line,
    /// A person's words in several lines.
    Lines,
    /// A link: left to right, never corrected.
    Address,
    /// Recovery words: left to right, never corrected or remembered, counted.
    Phrase,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name on the page; tests find it by this name, too.
    pub id: &'static str,
    /// What it is for.
    pub label: &'static str,
    /// More about that.
    pub hint: &'static str,
    /// What one writes into it.
    pub kind: Kind,
    /// Characters it takes; 0 for no limit.
    pub chars_max: usize,
    /// Its value at first.
    pub value: String,
}

#[derive(Properties, PartialEq)]
pub struct FormProps {
    /// What may be done.
    pub ui: Ui,
    pub fields: Vec<Field>,
    /// The command that the values make, or what is wrong with them.
    pub make: Callback<Vec<String>, Result<Command, String>>,
    /// Called with the values once the command took effect.
    pub on_done: Callback<Vec<String>>,
    /// The button.
    pub submit: &'static str,
    /// The button while the command is under way.
    #[prop_or_default]
    pub working: Option<&'static str>,
    /// How the button looks.
    #[prop_or("btn btn--primary")]
    pub button_class: &'static str,
    /// The button's name for tests.
    pub submit_testid: &'static str,
    /// The message's name for tests.
    #[prop_or("form-error")]
    pub error_testid: &'static str,
    /// Called when the command was refused.
    #[prop_or_default]
    pub on_refused: Callback<()>,
    /// Called when the person gives up; without it there is no button for that.
    #[prop_or_default]
    pub on_cancel: Option<Callback<MouseEvent>>,
    /// Field and button in one line.
    #[prop_or_default]
    pub inline: bool,
    /// The first field takes the focus.
    #[prop_or_default]
    pub focus: bool,
    /// Empty the fields once the command took effect.
    #[prop_or_default]
    pub clears: bool,
}

#[component]
pub fn Form(props: &FormProps) -> Html {
    let values = use_state(|| {
        props
            .fields
            .iter()
            .map(|field| field.value.clone())
            .collect::<Vec<_>>()
    });
    let error = use_state_eq(|| None::<String>);
    let working = use_state_eq(|| false);
    use_effect_with(
        props
            .focus
            .then(|| props.fields.first().map(|field| field.id))
            .flatten(),
        |id| {
            if let Some(field) = id.and_then(dom::by_id) {
                dom::focus_quietly(&field);
            }
        },
    );
    let oninput = {
        let (values, error) = (values.clone(), error.clone());
        let ids = ids_of(&props.fields);
        Callback::from(move |_: InputEvent| {
            values.set(ids.iter().map(|id| value_of(id)).collect());
            error.set(None);
        })
    };
    let onsubmit = {
        let (ui, make, on_done, clears) = (
            props.ui.clone(),
            props.make.clone(),
            props.on_done.clone(),
            props.clears,
        );
        let (values, error, working) = (values.clone(), error.clone(), working.clone());
        let (ids, on_refused) = (ids_of(&props.fields), props.on_refused.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if *working {
                return;
            }
            let typed: Vec<String> = ids.iter().map(|id| value_of(id).trim().to_owned()).collect();
            let command = match make.emit(typed.clone()) {
                Ok(command) => command,
                Err(why) => {
                    error.set((!why.is_empty()).then_some(why));
                    return;
                }
            };
            working.set(true);
            error.set(None);
            let (ui, on_done, on_refused, first) = (ui.clone(), on_done.clone(), on_refused.clone(), ids[0]);
            let (values, error, working) = (values.clone(), error.clone(), working.clone());
            spawn_local(async move {
                let answer = ui.bridge.send(command).await;
                working.set(false);
                match answer {
                    Ok(_) => {
                        if clears {
                            values.set(vec![String::new(); values.len()]);
                        }
                        on_done.emit(typed);
                    }
                    Err(failed) => {
                        if let (Error::PhraseWord { position, .. }, Some(area)) = (&failed, dom::by_id(first))
                        {
                            select_word(&area, *position as usize);
                        }
                        error.set(Some(strings::error_text(&failed)));
                        on_refused.emit(());
                    }
                }
            });
        })
    };
    let button = html! {
        <button
            type="submit"
            class={props.button_class}
            data-testid={props.submit_testid}
            aria-disabled={working.then_some("true")}
        >{ props.working.filter(|_| *working).unwrap_or(props.submit) }</button>
    };
    let error_id = format!("{}-error", props.submit_testid);
    html! {
        <form class="form" {onsubmit} autocomplete="off" novalidate=true>
            { for props.fields.iter().enumerate().map(|(index, field)| {
                let value = values.get(index).cloned().unwrap_or_default();
                let words = value.split_whitespace().count();
                let written = written(field, value, error.is_some(), &error_id, oninput.clone());
                html! {
                    <div class="field">
                        <label class="field__label" for={field.id}>{ field.label }</label>
                        if props.inline {
                            <div class="field__row">{ written }{ button.clone() }</div>
                        } else {
                            { written }
                        }
                        if !field.hint.is_empty() {
                            <p class="field__hint row row--between">
                                <span>{ field.hint }</span>
                                if field.kind == Kind::Phrase {
                                    <span class="tabular">{ strings::words_so_far(words) }</span>
                                }
                            </p>
                        }
                    </div>
                }
            }) }
            <div id={error_id}>{ kit::trouble(props.error_testid, (*error).clone()) }</div>
            if !props.inline {
                <div class="row">
                    { button }
                    if let Some(onclick) = &props.on_cancel {
                        { kit::button("btn btn--quiet", "form-cancel", "", strings::CANCEL, onclick.clone()) }
                    }
                </div>
            }
        </form>
    }
}

fn ids_of(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.id).collect()
}

fn written(field: &Field, value: String, wrong: bool, error_id: &str, oninput: Callback<InputEvent>) -> Html {
    let own_words = matches!(field.kind, Kind::Line | Kind::Lines);
    let maxlength = (field.chars_max > 0).then(|| field.chars_max.to_string());
    let direction = if own_words { "auto" } else { "ltr" };
    let correct = (!own_words).then_some("off");
    let spellcheck = (!own_words).then_some("false");
    let invalid = wrong.then_some("true");
    let error_id = error_id.to_owned();
    match field.kind {
        Kind::Line | Kind::Address => html! {
            <input
                id={field.id}
                class="input"
                data-testid={field.id}
                type="text"
                dir={direction}
                autocomplete="off"
                autocapitalize={correct}
                {spellcheck}
                inputmode={(!own_words).then_some("url")}
                placeholder={(!own_words).then_some("https://…/u/…")}
                {maxlength}
                aria-invalid={invalid}
                aria-describedby={error_id}
                {value}
                {oninput}
            />
        },
        Kind::Lines | Kind::Phrase => html! {
            <textarea
                id={field.id}
                class="input"
                data-testid={field.id}
                rows="5"
                dir={direction}
                autocomplete="off"
                autocapitalize={correct}
                autocorrect={correct}
                {spellcheck}
                {maxlength}
                aria-invalid={invalid}
                aria-describedby={error_id}
                {value}
                {oninput}
            />
        },
    }
}

fn value_of(id: &str) -> String {
    let Some(element) = dom::by_id(id) else {
        return String::new();
    };
    match element.dyn_ref::<HtmlTextAreaElement>() {
        Some(area) => area.value(),
        None => element.unchecked_ref::<HtmlInputElement>().value(),
    }
}

/// Marks the word in question, so that the eye finds it at once.
fn select_word(element: &HtmlElement, position: usize) {
    let Some(area) = element.dyn_ref::<HtmlTextAreaElement>() else {
        return;
    };
    let text = area.value();
    let mut seen = 0;
    let mut from = 0;
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim();
        if !word.is_empty() {
            if seen == position {
                dom::focus_quietly(area);
                // A range inside the text is always valid.
                let _ = area.set_selection_range(from, from + word.encode_utf16().count() as u32);
                return;
            }
            seen += 1;
        }
        from += part.encode_utf16().count() as u32;
    }
}
