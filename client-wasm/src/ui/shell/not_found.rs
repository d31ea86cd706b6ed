//! The page of an address that leads nowhere.

use yew::prelude::*;

use super::layout::Page;
use super::strings;
use crate::ui::kit;
use crate::ui::kit::icons::mark;
use crate::ui::route::Route;

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
