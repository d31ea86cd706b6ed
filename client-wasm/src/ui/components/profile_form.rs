//! Changing one's own name and self-description.

use engine::api::{Command, MeView};
use protocol::limits::{BIO_CHARS_MAX, NAME_CHARS_MAX};
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlInputElement, HtmlTextAreaElement, SubmitEvent};
use yew::prelude::*;

use super::icon::Icon;
use crate::ui::state::use_ui;
use crate::ui::strings;

/// The form.
#[derive(Properties, PartialEq)]
pub struct ProfileFormProps {
    /// As it is now.
    pub me: std::rc::Rc<MeView>,
    /// Called when it is saved or given up.
    pub on_done: Callback<()>,
}

/// See [`ProfileFormProps`].
#[component]
pub fn ProfileForm(props: &ProfileFormProps) -> Html {
    let ui = use_ui();
    let name = use_node_ref();
    let bio = use_node_ref();
    let error = use_state_eq(|| None::<AttrValue>);
    let onsubmit = {
        let (name, bio, error, on_done) = (name.clone(), bio.clone(), error.clone(), props.on_done.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let (Some(name), Some(bio)) =
                (name.cast::<HtmlInputElement>(), bio.cast::<HtmlTextAreaElement>())
            else {
                return;
            };
            let command = Command::EditProfile {
                name: name.value().trim().to_owned(),
                bio: bio.value().trim().to_owned(),
            };
            let (ui, error, on_done) = (ui.clone(), error.clone(), on_done.clone());
            spawn_local(async move {
                match ui.bridge.send(command).await {
                    Ok(_) => {
                        ui.say(strings::PROFILE_SAVED);
                        on_done.emit(());
                    }
                    Err(refusal) => error.set(Some(strings::refusal(&refusal).into())),
                }
            });
        })
    };
    let cancel = {
        let on_done = props.on_done.clone();
        Callback::from(move |_: MouseEvent| on_done.emit(()))
    };
    html! {
        <form class="stack stack--wide" {onsubmit}>
            <div class="field">
                <label class="field__label" for="profile-name">{ strings::PROFILE_NAME }</label>
                <input
                    ref={name}
                    id="profile-name"
                    class="input"
                    data-testid="profile-name-input"
                    type="text"
                    dir="auto"
                    maxlength={NAME_CHARS_MAX.to_string()}
                    required=true
                    value={props.me.name.clone()}
                />
            </div>
            <div class="field">
                <label class="field__label" for="profile-bio">{ strings::PROFILE_BIO }</label>
                <textarea
                    ref={bio}
                    id="profile-bio"
                    class="input"
                    data-testid="profile-bio-input"
                    dir="auto"
                    rows="4"
                    maxlength={BIO_CHARS_MAX.to_string()}
                    value={props.me.bio.clone()}
                />
            </div>
            <div role="alert">
                if let Some(error) = &*error {
                    <p class="field__error"><Icon name="warn" />{ error.clone() }</p>
                }
            </div>
            <div class="row">
                <button type="submit" class="btn btn--primary" data-testid="profile-save">{ strings::SAVE }</button>
                <button type="button" class="btn btn--quiet" onclick={cancel}>{ strings::CANCEL }</button>
            </div>
        </form>
    }
}
