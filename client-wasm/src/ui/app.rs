//! The root component: events from the engine and the browser go into the session, and the page is drawn from it.

use std::rc::Rc;

use engine::api::Event;
use gloo_events::{EventListener, EventListenerOptions};
use gloo_timers::callback::{Interval, Timeout};
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, MouseEvent};
use yew::prelude::*;

use crate::ui::bridge::{Bridge, HostView};
use crate::ui::dom;
use crate::ui::features::compose::pending::{Outbox, publish};
use crate::ui::features::{FEATURES, welcome};
use crate::ui::kit::icons::mark;
use crate::ui::kit::{self, time};
use crate::ui::route::{Route, clicked_place, use_router};
use crate::ui::shell::dialogs::session_dialog;
use crate::ui::shell::keyboard::on_key;
use crate::ui::shell::layout::{context, nav};
use crate::ui::shell::not_found::not_found;
use crate::ui::shell::notices::notices;
use crate::ui::shell::strings;
use crate::ui::state::{Action, AppContext, Dialog, Phase, Session, Ui, ask_who};

/// Time in milliseconds for which a message at the foot of the screen is shown.
const TOAST_MS: u32 = 4_000;
/// Interval in milliseconds at which relative times are drawn again.
const CLOCK_MS: u32 = 30_000;

/// Puts the interface on the page, in place of what the page showed while it loaded.
pub fn start(bridge: Bridge) {
    if let Some(root) = dom::find("#app") {
        yew::Renderer::<App>::with_root_and_props(root.unchecked_into::<Element>(), AppProps { bridge })
            .render();
    }
}

/// The whole interface over one bridge.
#[derive(Properties, PartialEq)]
pub struct AppProps {
    /// The engine and the browser.
    pub bridge: Bridge,
}

#[component]
pub fn App(props: &AppProps) -> Html {
    let session = use_reducer_eq(Session::load);
    let (location, navigator) = use_router();
    let clock = use_state_eq(time::now_ms);
    let ui = Ui {
        bridge: props.bridge.clone(),
        session: session.dispatcher(),
        nav: navigator,
    };

    // Every event of the engine and the browser goes to the session first.
    {
        let ui = ui.clone();
        let unsent = session.outbox.clone();
        use_effect_with(ui.bridge.clone(), move |bridge| {
            let events = {
                let ui = ui.clone();
                bridge.subscribe(Callback::from(move |event: Rc<Event>| {
                    let ready = matches!(*event, Event::Ready { account: true });
                    ui.session.dispatch(Action::Engine(event));
                    if ready {
                        ask_who(&ui);
                    }
                }))
            };
            let hosts = {
                let ui = ui.clone();
                bridge.subscribe_host(Callback::from(move |host: HostView| {
                    ui.session.dispatch(Action::Host(host));
                }))
            };
            ui.session.dispatch(Action::Host(bridge.host()));
            ask_who(&ui);
            // What was not saved when the page was last open; a repeated token is the same post.
            for pending in unsent.posts() {
                publish(&ui, pending.post.clone());
            }
            move || drop((events, hosts))
        });
    }
    {
        let clock = clock.setter();
        use_effect_with((), move |()| {
            let timer = Interval::new(CLOCK_MS, move || clock.set(time::now_ms()));
            move || drop(timer)
        });
    }
    {
        let dispatch = session.dispatcher();
        use_effect_with(session.toast.clone().map(|(number, _)| number), move |number| {
            let timer =
                number.map(|number| Timeout::new(TOAST_MS, move || dispatch.dispatch(Action::Unsay(number))));
            move || drop(timer)
        });
    }
    {
        let ui = ui.clone();
        use_effect_with((), move |()| {
            // The way in for the "New post" shortcut of an installed app.
            if dom::window()
                .location()
                .search()
                .is_ok_and(|search| search == "?compose")
            {
                ui.session.dispatch(Action::Open(Dialog::Compose));
            }
            let follow = {
                let nav = ui.nav.clone();
                EventListener::new_with_options(
                    &dom::document(),
                    "click",
                    EventListenerOptions::enable_prevent_default(),
                    move |event| {
                        if let Some(path) = event.dyn_ref::<MouseEvent>().and_then(clicked_place) {
                            event.prevent_default();
                            nav.go_to(path);
                        }
                    },
                )
            };
            let listener = EventListener::new_with_options(
                &dom::document(),
                "keydown",
                EventListenerOptions::enable_prevent_default(),
                move |event| {
                    if let Some(event) = event.dyn_ref::<KeyboardEvent>() {
                        on_key(&ui, event);
                    }
                },
            );
            move || drop((listener, follow))
        });
    }
    // A new page begins at its top; lists that are returned to find their own place.
    use_effect_with(location, |location| {
        if location.number > 0 && location.route != Route::Home && !location.returning {
            dom::scroll_to(0.0);
        }
    });

    // What has to be remembered beyond the page.
    use_effect_with(session.outbox.clone(), Outbox::save);
    use_effect_with(session.activity, |activity| activity.save());
    use_effect_with(session.theme, |theme| theme.apply());

    let app = Rc::new(AppContext {
        ui,
        session: (*session).clone(),
        location,
        now_ms: *clock,
    });
    {
        let app = app.clone();
        use_effect_with((location.route, session.activity), move |_| {
            for feature in FEATURES {
                (feature.on_visit)(&app);
            }
        });
    }
    html! {
        <ContextProvider<Rc<AppContext>> context={app.clone()}>
            { screen(&app) }
            { session_dialog(&app) }
            <div class="toast" role="status" data-testid="toast">
                if let Some((number, word)) = &session.toast {
                    <p key={*number} class="toast__text">{ word.clone() }</p>
                }
            </div>
        </ContextProvider<Rc<AppContext>>>
    }
}

fn screen(app: &AppContext) -> Html {
    match app.session.phase {
        Phase::Opening => html! {
            <main class="boot" data-testid="opening">
                <h1 class="visually-hidden">{ kit::strings::APP }</h1>
                { mark("72") }
                <p class="boot__word" role="status">{ strings::OPENING }</p>
                { notices(app) }
            </main>
        },
        Phase::Stranger | Phase::Arriving => html! { <welcome::Welcome /> },
        Phase::Member => html! {
            <>
                <a class="skip" href="#main" onclick={Callback::from(skip)}>{ strings::SKIP }</a>
                <div class="frame">
                    { nav(app) }
                    <main id="main" class="frame__main" tabindex="-1">{ page(app) }</main>
                    { context(app) }
                </div>
            </>
        },
    }
}

fn page(app: &AppContext) -> Html {
    FEATURES
        .iter()
        .find_map(|feature| (feature.page)(app))
        .unwrap_or_else(not_found)
}

/// Focuses the content without leaving a mark in the address.
fn skip(event: MouseEvent) {
    event.prevent_default();
    if let Some(main) = dom::find("#main") {
        dom::focus_quietly(&main);
    }
}
