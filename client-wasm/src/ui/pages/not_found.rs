//! An address where nothing lives.

use yew::prelude::*;

use crate::ui::components::frame::Page;
use crate::ui::components::icon::mark;
use crate::ui::router::Route;
use crate::ui::strings;

/// Says so, and where to go instead.
pub fn not_found() -> Html {
    html! {
        <Page title={strings::NOT_FOUND} back=true>
            <div class="empty" data-testid="not-found">
                { mark("56") }
                <p class="empty__text">{ strings::NOT_FOUND_HINT }</p>
                <a href={Route::Home.path()} class="btn">{ strings::TO_HOME }</a>
            </div>
        </Page>
    }
}
