//! An address where nothing lives.

use yew::prelude::*;

use crate::ui::kit;
use crate::ui::kit::icons::mark;
use crate::ui::route::Route;
use crate::ui::shell::layout::Page;
use crate::ui::strings;

/// Says so, and where to go instead.
pub fn not_found() -> Html {
    html! {
        <Page title={strings::NOT_FOUND} back=true>
            { kit::empty("not-found", mark("56"), "", strings::NOT_FOUND_HINT, html! {
                <a href={Route::Home.path()} class="btn">{ strings::TO_HOME }</a>
            }) }
        </Page>
    }
}
