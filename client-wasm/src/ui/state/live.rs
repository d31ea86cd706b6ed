//! Answers of the engine that keep themselves up to date.

use std::cell::RefCell;
use std::rc::Rc;

use engine::api::{Event, Query, QueryResult};
use gloo_timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::{AppContext, use_events};
use crate::ui::bridge::Bridge;

/// What a page asks and when it asks again.
pub struct Live {
    /// The question.
    pub query: Query,
    /// Whether an event may have changed the answer.
    pub concerns: Rc<dyn Fn(&Event) -> bool>,
    /// After how many milliseconds to ask again anyway, given the answer.
    pub again_ms: fn(&QueryResult) -> Option<u32>,
}

/// How far a [`use_live`] is.
#[derive(Default)]
struct Asking {
    query: Option<Query>,
    under_way: bool,
    stale: bool,
    timer: Option<Timeout>,
}

/// The answer to a question, kept fresh: it is asked again when something happens that concerns it. While an answer is
/// on its way further reasons are collected, so that a burst of events costs two questions and not a hundred. The
/// callback asks again at once.
#[hook]
pub fn use_live(app: &Rc<AppContext>, live: Live) -> (Option<Rc<QueryResult>>, Callback<()>) {
    let reply = use_state(|| None::<(Query, Rc<QueryResult>)>);
    let asking = use_mut_ref(Asking::default);
    let Live {
        query,
        concerns,
        again_ms,
    } = live;
    asking.borrow_mut().query = Some(query.clone());
    let ask = {
        let (bridge, asking, set) = (app.ui.bridge.clone(), asking.clone(), reply.setter());
        use_callback((), move |(), ()| {
            ask_live(bridge.clone(), asking.clone(), set.clone(), again_ms);
        })
    };
    {
        let ask = ask.clone();
        use_effect_with(query.clone(), move |_| ask.emit(()));
    }
    {
        let asking = asking.clone();
        // Leaving the page ends the timer.
        use_effect_with((), move |()| move || asking.borrow_mut().timer = None);
    }
    let heard = {
        let ask = ask.clone();
        Rc::new(move |event: &Event| {
            if matches!(event, Event::Ready { .. }) || concerns(event) {
                ask.emit(());
            }
        })
    };
    use_events(&app.ui.bridge, heard);
    let current = reply
        .as_ref()
        .filter(|(asked, _)| *asked == query)
        .map(|(_, reply)| reply.clone());
    (current, ask)
}

fn ask_live(
    bridge: Bridge,
    asking: Rc<RefCell<Asking>>,
    set: UseStateSetter<Option<(Query, Rc<QueryResult>)>>,
    again_ms: fn(&QueryResult) -> Option<u32>,
) {
    let query = {
        let mut asking = asking.borrow_mut();
        if asking.under_way {
            asking.stale = true;
            return;
        }
        let Some(query) = asking.query.clone() else { return };
        asking.under_way = true;
        asking.stale = false;
        query
    };
    spawn_local(async move {
        let answer = bridge.query(query.clone()).await;
        let again = {
            let mut now = asking.borrow_mut();
            now.under_way = false;
            now.stale || now.query.as_ref() != Some(&query)
        };
        if let Ok(reply) = answer {
            if let Some(pause_ms) = again_ms(&reply) {
                let (bridge, later, set) = (bridge.clone(), asking.clone(), set.clone());
                let timer = Timeout::new(pause_ms, move || ask_live(bridge, later, set, again_ms));
                asking.borrow_mut().timer = Some(timer);
            }
            set.set(Some((query, Rc::new(reply))));
        }
        if again {
            ask_live(bridge, asking, set, again_ms);
        }
    });
}
