//! An address where nothing lives.

use yew::prelude::*;

use crate::ui::components::frame::Page;
use crate::ui::components::icon::mark;
use crate::ui::components::part;
use crate::ui::router::Route;
use crate::ui::strings;

/// Says so, and where to go instead.
pub fn not_found() -> Html {
    html! {
        <Page title={strings::NOT_FOUND} back=true>
            { part::empty("not-found", mark("56"), "", strings::NOT_FOUND_HINT, html! {
                <a href={Route::Home.path()} class="btn">{ strings::TO_HOME }</a>
            }) }
        </Page>
    }
}
