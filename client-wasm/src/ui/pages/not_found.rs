//! An address where nothing lives.

use yew::prelude::*;

use crate::ui::components::frame::Page;
use crate::ui::components::icon::Mark;
use crate::ui::router::{Link, Route};
use crate::ui::strings;

/// Says so, and where to go instead.
#[component]
pub fn NotFound() -> Html {
    html! {
        <Page title={strings::NOT_FOUND} back=true>
            <div class="empty" data-testid="not-found">
                <Mark size={56} />
                <p class="empty__text">{ strings::NOT_FOUND_HINT }</p>
                <Link to={Route::Home} class="btn">{ strings::TO_HOME }</Link>
            </div>
        </Page>
    }
}
