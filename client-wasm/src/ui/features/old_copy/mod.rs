//! A store that is an old copy of its device, as after a browser profile was copied: a notice says so, and one tap makes it a device
//! of its own, which sends what only this copy has.

mod strings;

use engine::api::Command;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::features::{Feature, recovery_phrase};
use crate::ui::kit::form::Form;
use crate::ui::kit::sheet::Sheet;
use crate::ui::shell::notices::{self, Gravity, Notice};
use crate::ui::state::{AppContext, Ui};

/// The notice.
pub const FEATURE: Feature = Feature {
    notice,
    ..Feature::NONE
};

fn notice(app: &AppContext) -> Option<Notice> {
    let me = app.session.me.as_ref().filter(|me| me.old_copy)?;
    Some(Notice {
        gravity: Gravity::Account,
        class: "notice--bad",
        icon: "device",
        testid: "old-copy-note",
        text: html! { strings::notice(me.set_aside) },
        action: html! { <Begin ui={app.ui.clone()} needs_words={me.phrase_confirmed} /> },
    })
}

#[derive(Properties, PartialEq)]
struct BeginProps {
    ui: Ui,
    /// The account's key is not on this device any more: its recovery words are asked for.
    needs_words: bool,
}

/// The button, and the sheet that asks for the recovery words where they are needed.
#[component]
fn Begin(props: &BeginProps) -> Html {
    let open = use_state(|| false);
    if !props.needs_words {
        return form(&props.ui, false, &Callback::noop());
    }
    let show = {
        let open = open.clone();
        Callback::from(move |_: MouseEvent| open.set(true))
    };
    let close = {
        let open = open.clone();
        Callback::from(move |()| open.set(false))
    };
    html! {
        <>
            { notices::button(strings::BEGIN, show) }
            if *open {
                <Sheet name="old-copy" title={strings::TITLE} on_close={close.clone()}>
                    <div class="stack stack--wide">
                        <p>{ strings::LEAD }</p>
                        { form(&props.ui, true, &close) }
                    </div>
                </Sheet>
            }
        </>
    }
}

fn form(ui: &Ui, with_words: bool, done: &Callback<()>) -> Html {
    let make = Callback::from(move |values: Vec<String>| {
        Ok(Command::BeginAsNewDevice {
            phrase: values.first().cloned(),
            device_name: dom::device_name(),
        })
    });
    let on_done = {
        let (ui, done) = (ui.clone(), done.clone());
        Callback::from(move |_: Vec<String>| {
            ui.say(strings::DONE);
            done.emit(());
        })
    };
    let fields = match with_words {
        true => vec![recovery_phrase::field("old-copy-phrase")],
        false => Vec::new(),
    };
    let button_class = if with_words {
        "btn btn--primary"
    } else {
        "btn notice__action"
    };
    html! {
        <Form
            ui={ui.clone()}
            {fields}
            {make}
            {on_done}
            submit={strings::BEGIN}
            working={strings::WORKING}
            {button_class}
            submit_testid="old-copy-begin"
            inline={!with_words}
        />
    }
}
