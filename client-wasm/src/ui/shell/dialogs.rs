//! What is open above the page.

use yew::prelude::*;

use super::{keyboard, strings};
use crate::ui::features::compose::compose_sheet;
use crate::ui::features::old_copy::old_copy_sheet;
use crate::ui::kit::sheet::Sheet;
use crate::ui::state::{Action, AppContext, Dialog};

/// The dialog of the session, if one is open.
pub fn session_dialog(app: &AppContext) -> Html {
    let on_close = {
        let ui = app.ui.clone();
        Callback::from(move |()| ui.session.dispatch(Action::Open(Dialog::None)))
    };
    match &app.session.dialog {
        Dialog::None => html! {},
        Dialog::Compose => compose_sheet(None, &on_close),
        Dialog::Reply(post) => compose_sheet(Some(post), &on_close),
        Dialog::OldCopy => old_copy_sheet(app, &on_close),
        Dialog::Keys => html! {
            <Sheet name="keys" title={strings::KEYS} {on_close}>{ keyboard::list() }</Sheet>
        },
    }
}
