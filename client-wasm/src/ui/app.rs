//! The root component: events from the engine and the browser go into the session, and the page is drawn from it.

use std::rc::Rc;

use engine::api::Event;
use gloo_events::{EventListener, EventListenerOptions};
use gloo_timers::callback::{Interval, Timeout};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent, MouseEvent};
use yew::prelude::*;

use crate::ui::bridge::{Bridge, HostCommand, HostView};
use crate::ui::features::post::move_focus;
use crate::ui::kit::icons::mark;
use crate::ui::kit::time;
use crate::ui::route::{Route, clicked_place, use_router};
use crate::ui::shell::dialogs::session_dialog;
use crate::ui::shell::layout::{context, nav};
use crate::ui::shell::notices::notices;
use crate::ui::state::{Action, Dialog, Phase, Scene, Session, Ui, ask_who};
use crate::ui::{dom, features, shell, strings};

/// A word at the foot of the screen stands this long.
const TOAST_MS: u32 = 4_000;
/// Relative times are drawn anew this often.
const CLOCK_MS: u32 = 30_000;

/// A page that is not drawn after so many frames is not coming.
const FRAMES_WAITED: u32 = 30;

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

/// See [`AppProps`].
#[component]
pub fn App(props: &AppProps) -> Html {
    let session = use_reducer_eq(Session::load);
    let (visit, navigator) = use_router();
    let clock = use_state_eq(time::now_ms);
    let ui = Ui {
        bridge: props.bridge.clone(),
        session: session.dispatcher(),
        nav: navigator,
    };

    // Everything the engine and the browser say goes to the session first.
    {
        let ui = ui.clone();
        let unsent: Vec<_> = session
            .waiting
            .iter()
            .map(|waiting| waiting.post.clone())
            .collect();
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
            // What the engine had not taken when the page was last open; a repeated token is the same post.
            for post in unsent {
                ui.publish(post);
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
                        key_pressed(&ui, event);
                    }
                },
            );
            move || drop((listener, follow))
        });
    }
    // A new page begins at its top; lists that are returned to find their own place.
    use_effect_with(visit, |visit| {
        if visit.number > 0 && visit.route != Route::Home && !visit.returning {
            dom::scroll_to(0.0);
        }
    });

    // What the storage page shows is measured when it is opened; answers count as seen while they are looked at.
    {
        let ui = ui.clone();
        use_effect_with(
            (visit.route, session.activity),
            move |(route, activity)| match route {
                Route::You | Route::Network => ui.bridge.host_command(HostCommand::MeasureStorage),
                Route::Activity if *activity => ui.session.dispatch(Action::ActivitySeen),
                _ => {}
            },
        );
    }

    let scene = Rc::new(Scene {
        ui,
        session: (*session).clone(),
        visit,
        now_ms: *clock,
    });
    html! {
        <ContextProvider<Rc<Scene>> context={scene.clone()}>
            { screen(&scene) }
            { session_dialog(&scene) }
            <div class="toast" role="status" data-testid="toast">
                if let Some((number, word)) = &session.toast {
                    <p key={*number} class="toast__text">{ word.clone() }</p>
                }
            </div>
        </ContextProvider<Rc<Scene>>>
    }
}

fn screen(scene: &Scene) -> Html {
    match scene.session.phase {
        Phase::Opening => html! {
            <main class="boot" data-testid="opening">
                <h1 class="visually-hidden">{ strings::APP }</h1>
                { mark("72") }
                <p class="boot__word" role="status">{ strings::OPENING }</p>
                { notices(scene) }
            </main>
        },
        Phase::Stranger | Phase::Arriving => html! { <features::welcome::Welcome /> },
        Phase::Member => html! {
            <>
                <a class="skip" href="#main" onclick={Callback::from(skip)}>{ strings::SKIP }</a>
                <div class="frame">
                    { nav(scene) }
                    <main id="main" class="frame__main" tabindex="-1">{ page(scene) }</main>
                    { context(scene) }
                </div>
            </>
        },
    }
}

fn page(scene: &Scene) -> Html {
    match scene.visit.route {
        Route::Home => features::home::home(scene),
        Route::Explore => features::explore::explore(scene),
        Route::Activity => features::home::activity(),
        Route::You => html! { <features::account::You /> },
        Route::Phrase => features::account::phrase(scene),
        Route::Following => html! { <features::explore::Following /> },
        Route::Network => html! { <features::network::Network /> },
        Route::User(account) => html! { <features::profile::Profile key={account.to_string()} {account} /> },
        Route::Post(post) => html! { <features::thread::Thread key={post.id.to_string()} {post} /> },
        Route::Named => html! { <features::handles::by_handle::Named /> },
        Route::NotFound => shell::not_found::not_found(),
    }
}

/// Focuses the content without leaving a mark in the address.
fn skip(event: MouseEvent) {
    event.prevent_default();
    if let Some(main) = dom::find("#main") {
        dom::focus_quietly(&main);
    }
}

fn key_pressed(ui: &Ui, event: &KeyboardEvent) {
    let modified = event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing();
    let writing = event
        .target()
        .and_then(|target| target.dyn_into::<HtmlElement>().ok())
        .is_some_and(|element| {
            matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
                || element.is_content_editable()
        });
    if modified || writing || dom::find("dialog[open]").is_some() || dom::find(".frame").is_none() {
        return;
    }
    match event.key().as_str() {
        "j" => move_focus(true),
        "k" => move_focus(false),
        "r" => click(
            "[data-testid=post]:focus [data-action=reply], [data-testid=post]:focus-within [data-action=reply]",
        ),
        "n" => ui.session.dispatch(Action::Open(Dialog::Compose)),
        "." => click("[data-testid=new-posts-pill]"),
        "?" => ui.session.dispatch(Action::Open(Dialog::Keys)),
        "/" => {
            if dom::by_id("follow-input").is_none() {
                ui.nav.go(Route::Explore);
            }
            dom::focus_soon("follow-input", FRAMES_WAITED);
        }
        _ => return,
    }
    event.prevent_default();
}

fn click(selector: &str) {
    if let Some(element) = dom::find(selector) {
        element.click();
    }
}
