//! What every component is drawn from and may do.

use std::rc::Rc;

use engine::api::{Command, Event, Query, QueryResult};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::{Action, Session};
use crate::ui::bridge::Bridge;
use crate::ui::dom;
use crate::ui::kit::strings;
use crate::ui::route::{Location, Navigator};

/// What every component may do. Stable for the life of the app, so that holding it renders nothing again.
#[derive(Clone, PartialEq)]
pub struct Ui {
    /// The engine and the browser.
    pub bridge: Bridge,
    /// Changes the session.
    pub session: UseReducerDispatcher<Session>,
    /// Goes elsewhere.
    pub nav: Navigator,
}

impl Ui {
    /// Shows a message at the foot of the screen.
    pub fn say(&self, message: impl Into<AttrValue>) {
        self.session.dispatch(Action::Say(message.into()));
    }

    /// Puts text on the clipboard and says so.
    pub fn copy(&self, text: String, said: &'static str) {
        let ui = self.clone();
        spawn_local(async move {
            ui.say(if dom::copy(&text).await {
                said
            } else {
                strings::NOT_COPIED
            });
        });
    }

    /// Sends a command whose success needs no message; an error is shown.
    pub fn command(&self, command: Command) {
        let ui = self.clone();
        spawn_local(async move {
            if let Err(error) = ui.bridge.send(command).await {
                ui.say(strings::error_text(&error));
            }
        });
    }
}

/// Everything a page is drawn from: the one context. Parts that hold nothing themselves are functions of it.
#[derive(Clone, PartialEq)]
pub struct AppContext {
    /// What may be done.
    pub ui: Ui,
    pub session: Session,
    /// The current route, and how the reader reached it.
    pub location: Location,
    /// The wall clock in milliseconds, ticking slowly: for relative times.
    pub now_ms: u64,
}

/// The context; the component is drawn again when it changes.
#[hook]
#[allow(clippy::expect_used, reason = "the app provides it around every component")]
pub fn use_app() -> Rc<AppContext> {
    use_context::<Rc<AppContext>>().expect("inside the app")
}

/// Calls `heard` with every engine event while the component lives. The latest `heard` is the one called.
#[hook]
pub fn use_events(bridge: &Bridge, heard: Rc<dyn Fn(&Event)>) {
    let latest = use_mut_ref(|| None::<Rc<dyn Fn(&Event)>>);
    *latest.borrow_mut() = Some(heard);
    use_effect_with(bridge.clone(), move |bridge| {
        let subscription = bridge.subscribe(Callback::from(move |event: Rc<Event>| {
            let heard = latest.borrow().clone();
            if let Some(heard) = heard {
                heard(&event);
            }
        }));
        move || drop(subscription)
    });
}

/// Asks the questions every session begins with. Refused while the engine still reads its store: then
/// [`Event::Ready`] makes it ask again.
pub fn ask_who(ui: &Ui) {
    let ui = ui.clone();
    spawn_local(async move {
        if let Ok(QueryResult::Me(me)) = ui.bridge.query(Query::Me).await {
            ui.session.dispatch(Action::Me(me));
        }
        if let Ok(QueryResult::Status(status)) = ui.bridge.query(Query::Status).await {
            ui.session.dispatch(Action::Status(status));
        }
    });
}
