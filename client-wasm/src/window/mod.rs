//! The page of one tab: the interface, the worker behind it, and what only a page may do (peer connections, storage
//! permission, service worker, reloading). It decides nothing about the network.

mod broker;
mod debug;
mod storage;
mod updates;
mod worker;

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::api::{CommandResult, Response};
use protocol::Instant;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::platform::{self, Listener};
use crate::ui::bridge::{self, Bridge, Carrier, HostCommand, TabRole};
use crate::worker::port::{Surroundings, ToPage, ToWorker, Trouble};
use broker::Broker;
use updates::Updates;
use worker::WorkerHandle;

/// Restarts of a crashed worker in a row; then the user has to act.
const RESTARTS_MAX: u32 = 5;
/// A worker that ran for this time resets the count of restarts.
const HEALTHY: Duration = Duration::from_secs(60);
/// Pause in milliseconds before a restart.
const RESTART_MS: f64 = 500.0;

/// Starts everything and puts the interface on the page.
pub fn run() {
    let page = Rc::new(Page {
        bridge: RefCell::new(None),
        worker: RefCell::new(None),
        broker: RefCell::new(None),
        updates: RefCell::new(None),
        placed: Cell::new(false),
        leading: Cell::new(false),
        restarts: Cell::new(0),
        last_crash: Cell::default(),
    });
    let (asking, commanding) = (Rc::downgrade(&page), Rc::downgrade(&page));
    let bridge = Bridge::new(Carrier {
        request: Box::new(move |number, request| {
            // Before this tab knows its role there would be no answer; the bridge keeps the request until then.
            if let Some(page) = asking.upgrade().filter(|page| page.placed.get()) {
                page.post(&ToWorker::Request {
                    number,
                    request: request.clone(),
                });
            }
        }),
        host: Box::new(move |command| {
            if let Some(page) = commanding.upgrade() {
                page.on_host_command(command);
            }
        }),
    });
    *page.bridge.borrow_mut() = Some(bridge.clone());
    page.start_worker();
    page.watch();
    debug::expose(&bridge, {
        let page = Rc::clone(&page);
        move || page.leading.get()
    });
    let on_update = bridge.clone();
    *page.updates.borrow_mut() = Some(Updates::watch(move || {
        on_update.host_changed(|host| host.update_ready = true);
    }));
    page.measure_storage();
    crate::ui::app::start(bridge);
    // As long as the page lives.
    std::mem::forget(page);
}

struct Page {
    bridge: RefCell<Option<Bridge>>,
    worker: RefCell<Option<Rc<WorkerHandle>>>,
    broker: RefCell<Option<Rc<Broker>>>,
    updates: RefCell<Option<Rc<Updates>>>,
    /// This tab knows whether it leads, and who does.
    placed: Cell<bool>,
    leading: Cell<bool>,
    restarts: Cell<u32>,
    last_crash: Cell<Instant>,
}

impl Page {
    fn post(&self, message: &ToWorker) {
        if let Some(worker) = self.worker.borrow().as_ref() {
            worker.post(message);
        }
    }

    fn bridge(&self) -> Option<Bridge> {
        self.bridge.borrow().clone()
    }

    fn start_worker(self: &Rc<Self>) {
        let (hearing, failing) = (Rc::downgrade(self), Rc::downgrade(self));
        let worker = WorkerHandle::start(
            move |message| {
                if let Some(page) = hearing.upgrade() {
                    page.on_message(message);
                }
            },
            move |reason| {
                if let Some(page) = failing.upgrade() {
                    page.on_crash(reason);
                }
            },
        );
        match worker {
            Ok(worker) => {
                *self.broker.borrow_mut() = Some(Broker::new(Rc::clone(&worker)));
                *self.worker.borrow_mut() = Some(worker);
            }
            Err(error) => self.trouble(bridge::Trouble::EngineStopped(format!("{error:?}"))),
        }
    }

    fn on_message(self: &Rc<Self>, message: ToPage) {
        let Some(bridge) = self.bridge() else { return };
        match message {
            ToPage::Hello => self.post(&ToWorker::Start(surroundings())),
            ToPage::Role { leading } => {
                self.placed.set(true);
                self.leading.set(leading);
                bridge.host_changed(|host| {
                    host.tab = if leading {
                        TabRole::Leading
                    } else {
                        TabRole::Following
                    };
                    host.trouble = None;
                });
                for (number, request) in bridge.unanswered() {
                    self.post(&ToWorker::Request { number, request });
                }
            }
            ToPage::Response { number, answer } => {
                if matches!(answer, Response::Done(CommandResult::Account(_))) {
                    // There is something worth keeping now.
                    self.keep_storage();
                }
                bridge.answered(number, answer);
            }
            ToPage::Event(event) => bridge.event(event),
            ToPage::Trouble(trouble) => self.trouble(match trouble {
                Trouble::StoreBlocked => bridge::Trouble::StoreBlocked,
                Trouble::StoreUnavailable(words) => bridge::Trouble::StoreUnavailable(words),
                Trouble::Outdated => bridge::Trouble::Outdated,
            }),
            ToPage::Erased => reload_afresh(),
            command => {
                if let Some(broker) = self.broker.borrow().clone() {
                    broker.execute(command);
                }
            }
        }
    }

    fn trouble(&self, trouble: bridge::Trouble) {
        if let Some(bridge) = self.bridge() {
            bridge.host_changed(|host| host.trouble = Some(trouble));
        }
    }

    /// The worker is dead: its lock is free, its connections are lost. A fresh one takes over from the store.
    fn on_crash(self: &Rc<Self>, reason: String) {
        platform::warn(&format!("the worker stopped: {reason}"));
        self.placed.set(false);
        self.leading.set(false);
        if let Some(broker) = self.broker.take() {
            broker.close_all();
        }
        if let Some(worker) = self.worker.take() {
            worker.end();
        }
        let now = platform::instant();
        let healthy = now.since(self.last_crash.replace(now)) > HEALTHY;
        self.restarts
            .set(if healthy { 1 } else { self.restarts.get() + 1 });
        if self.restarts.get() > RESTARTS_MAX {
            self.trouble(bridge::Trouble::EngineStopped(reason));
            return;
        }
        let page = Rc::clone(self);
        spawn_local(async move {
            platform::sleep(RESTART_MS * f64::from(page.restarts.get())).await;
            page.start_worker();
        });
    }

    fn on_host_command(self: &Rc<Self>, command: HostCommand) {
        match command {
            HostCommand::KeepStorage => self.keep_storage(),
            HostCommand::MeasureStorage => self.measure_storage(),
            HostCommand::Reconnect => self.post(&ToWorker::Wake),
            HostCommand::EraseDevice => self.post(&ToWorker::Erase),
            HostCommand::ApplyUpdate => match self.updates.borrow().as_ref() {
                Some(updates) => updates.apply(),
                None => reload(),
            },
        }
    }

    fn keep_storage(self: &Rc<Self>) {
        let page = Rc::clone(self);
        spawn_local(async move {
            storage::keep().await;
            page.measure_storage();
        });
    }

    fn measure_storage(&self) {
        let Some(bridge) = self.bridge() else { return };
        spawn_local(async move {
            let measured = storage::measure().await;
            bridge.host_changed(|host| host.storage = measured);
        });
    }

    /// Network and visibility.
    fn watch(self: &Rc<Self>) {
        let Some(window) = web_sys::window() else { return };
        let page = Rc::downgrade(self);
        let on_event = Listener::<web_sys::Event>::new(move |event: web_sys::Event| {
            let Some(page) = page.upgrade() else { return };
            match event.type_().as_str() {
                "online" => page.post(&ToWorker::Online(true)),
                "offline" => page.post(&ToWorker::Online(false)),
                _ => {
                    let hidden = web_sys::window()
                        .and_then(|w| w.document())
                        .is_none_or(|document| document.hidden());
                    if !hidden {
                        page.post(&ToWorker::Wake);
                        if let Some(updates) = page.updates.borrow().as_ref() {
                            updates.check();
                        }
                    }
                }
            }
        });
        let listener: &js_sys::Function = on_event.as_ref().unchecked_ref();
        for name in ["online", "offline", "pageshow"] {
            let _ = window.add_event_listener_with_callback(name, listener);
        }
        if let Some(document) = window.document() {
            let _ = document.add_event_listener_with_callback("visibilitychange", listener);
        }
        on_event.forget();
    }
}

/// The environment, which the worker cannot inspect itself. `?transport=websocket`, `?direct=off` and `?links=4` in the
/// address are for tests.
fn surroundings() -> Surroundings {
    let window = web_sys::window();
    let query = window
        .as_ref()
        .and_then(|window| window.location().search().ok())
        .unwrap_or_default();
    let wants = |pair: &str| {
        query
            .trim_start_matches('?')
            .split('&')
            .any(|found| found == pair)
    };
    let has_webrtc = js_sys::Reflect::get(&js_sys::global(), &"RTCPeerConnection".into())
        .is_ok_and(|constructor| constructor.is_function());
    Surroundings {
        webrtc: has_webrtc && !wants("transport=websocket"),
        direct: !wants("direct=off"),
        online: window.is_none_or(|window| window.navigator().on_line()),
        links_max: query
            .split(['?', '&'])
            .find_map(|pair| pair.strip_prefix("links=")?.parse().ok()),
    }
}

fn reload() {
    if let Some(window) = web_sys::window() {
        let _ = window.location().reload();
    }
}

/// After everything stored is deleted: the interface's own small memory too, and back to the first page.
fn reload_afresh() {
    if let Some(window) = web_sys::window() {
        if let Ok(Some(memory)) = window.local_storage() {
            let _ = memory.clear();
        }
        if window.location().replace("/").is_err() {
            reload();
        }
    }
}
