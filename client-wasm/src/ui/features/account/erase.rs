//! Removing the account from this browser.

use web_sys::MouseEvent;
use yew::prelude::*;

use super::{Over, strings};
use crate::ui::bridge::HostCommand;
use crate::ui::features::durability;
use crate::ui::kit;
use crate::ui::kit::sheet::Sheet;
use crate::ui::state::AppContext;

/// Says what is lost with it, and asks once more.
pub(super) fn erase_sheet(app: &AppContext, open: &Callback<Over>) -> Html {
    let session = &app.session;
    let confirmed = session.me.as_ref().is_some_and(|me| me.phrase_confirmed);
    let erase = {
        let ui = app.ui.clone();
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::EraseDevice))
    };
    html! {
        <Sheet name="erase" title={strings::ERASE_TITLE} on_close={open.reform(|()| Over::Nothing)}>
            <div class="stack">
                <p>{ if confirmed { strings::ERASE_WITH_WORDS } else { strings::ERASE_NO_WORDS } }</p>
                if session.status.waiting > 0 {
                    <p>{ durability::strings::only_here(session.status.waiting) }</p>
                }
                <div class="row">
                    { kit::button("btn btn--bad", "erase-confirm", "", strings::ERASE_CONFIRM, erase) }
                    { kit::button("btn btn--quiet", "erase-cancel", "", kit::strings::CANCEL, open.reform(|_: MouseEvent| Over::Nothing)) }
                </div>
            </div>
        </Sheet>
    }
}
