//! A browser whose store is an old copy of a device (a copied profile, a machine that was set back), or whose feed is
//! forked, becomes a new device of the same account. While the recovery words are unconfirmed the account's key is
//! still here, and one tap does it; afterwards the words are asked for.

mod strings;

use engine::api::{Command, MeView};
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::features::{Feature, recovery_phrase};
use crate::ui::kit;
use crate::ui::kit::form::Form;
use crate::ui::kit::sheet::Sheet;
use crate::ui::shell::notices::{self, Gravity, Notice};
use crate::ui::state::{Action, AppContext, Dialog, Ui};

/// The notice with its button.
pub const FEATURE: Feature = Feature {
    notice,
    ..Feature::NONE
};

/// Whether this device has to become a new one before it may write again.
pub fn is_due(me: &MeView) -> bool {
    !me.revoked && (me.old_copy || me.forked)
}

fn notice(app: &AppContext) -> Option<Notice> {
    let me = app.session.me.as_ref()?;
    if !is_due(me) {
        return me.elsewhere.then(|| Notice {
            gravity: Gravity::Account,
            class: "notice--bad",
            icon: "device",
            testid: "elsewhere-note",
            text: html! { strings::ELSEWHERE },
            action: Html::default(),
        });
    }
    let (testid, text) = if me.forked {
        ("forked-note", strings::forked(me.set_aside))
    } else {
        ("old-copy-note", strings::notice(me.set_aside))
    };
    let begin = {
        let (ui, with_words) = (app.ui.clone(), me.phrase_confirmed);
        Callback::from(move |_: MouseEvent| {
            if with_words {
                ui.session.dispatch(Action::Open(Dialog::OldCopy));
            } else {
                begin_with_key(ui.clone());
            }
        })
    };
    Some(Notice {
        gravity: Gravity::Account,
        class: "notice--bad",
        icon: "device",
        testid,
        text: html! { text },
        action: notices::button(strings::BEGIN, begin),
    })
}

fn command(phrase: Option<String>) -> Command {
    Command::BeginAsNewDevice {
        phrase,
        device_name: dom::device_name(),
    }
}

fn begin_with_key(ui: Ui) {
    spawn_local(async move {
        match ui.bridge.send(command(None)).await {
            Ok(_) => ui.say(strings::DONE),
            Err(error) => ui.say(kit::strings::error_text(&error)),
        }
    });
}

/// Asks for the recovery words.
pub fn old_copy_sheet(app: &AppContext, on_close: &Callback<()>) -> Html {
    let on_done = {
        let (ui, on_close) = (app.ui.clone(), on_close.clone());
        Callback::from(move |_: Vec<String>| {
            ui.say(strings::DONE);
            on_close.emit(());
        })
    };
    html! {
        <Sheet name="old-copy" title={strings::TITLE} on_close={on_close.clone()}>
            <div class="stack stack--wide">
                <p>{ strings::LEAD }</p>
                <Form
                    ui={app.ui.clone()}
                    fields={vec![recovery_phrase::field("old-copy-phrase")]}
                    make={Callback::from(|values: Vec<String>| Ok(command(values.into_iter().next())))}
                    {on_done}
                    submit={strings::BEGIN}
                    working={strings::WORKING}
                    submit_testid="old-copy-begin"
                    focus=true
                />
            </div>
        </Sheet>
    }
}
