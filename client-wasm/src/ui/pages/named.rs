//! A person by their name in the network, `/@ada`: asks whose it is and goes there.

use engine::api::{Query, Reply};
use protocol::name::NameAnswer;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::ui::components::frame::Page;
use crate::ui::components::icon::mark;
use crate::ui::components::part;
use crate::ui::router::{Route, name_in_address};
use crate::ui::state::use_scene;
use crate::ui::strings;

/// The page, as long as it takes.
#[component]
pub fn Named() -> Html {
    let scene = use_scene();
    let said = use_state_eq(|| strings::NAMED_ASKING);
    let name = name_in_address();
    {
        let (ui, said) = (scene.ui.clone(), said.clone());
        use_effect_with((name.clone(), scene.visit.number), move |(name, _)| {
            let name = name.clone();
            said.set(strings::NAMED_ASKING);
            spawn_local(async move {
                match ui.bridge.query(Query::Name { name }).await {
                    Ok(Reply::Name(NameAnswer::Held(receipt))) => {
                        ui.nav.replace(&Route::User(receipt.account).path());
                    }
                    Ok(Reply::Name(NameAnswer::Unavailable | NameAnswer::TooFast)) => {
                        said.set(strings::NAMED_UNKNOWN);
                    }
                    _ => said.set(strings::NAMED_NOBODY),
                }
            });
        });
    }
    html! {
        <Page title={format!("@{name}")} back=true>
            <div role="status">{ part::empty("named", mark("56"), "", *said, html! {}) }</div>
        </Page>
    }
}
