//! Connects page, other tabs and engine: passes every message on to where it belongs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::api::{Event, Response};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, RtcDataChannel};

use super::driver::{Around, Driver};
use super::leader::{Leadership, TabId, TabMessage, Tabs};
use super::port::{self, Surroundings, ToPage, ToWorker, Trouble};
use super::store::{self, DiskError, DiskEvent, Store, StoreEvent};
use crate::platform::{self, Listener};

/// Pause in milliseconds before another attempt to open the store.
const OPEN_RETRY_MS: f64 = 3_000.0;

/// Listens to the page; everything else follows from its messages.
pub fn run() {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let host = Rc::new(WorkerHost {
        scope: scope.clone(),
        tabs: RefCell::new(None),
        driver: RefCell::new(None),
        leadership: RefCell::new(None),
        surroundings: RefCell::default(),
        started: Cell::new(false),
        followed: Cell::new(false),
    });
    let listening = Rc::clone(&host);
    let on_message = Listener::<MessageEvent>::new(move |event: MessageEvent| listening.on_message(&event));
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // As long as the worker lives.
    on_message.forget();
    host.post(&ToPage::Hello);
}

struct WorkerHost {
    scope: DedicatedWorkerGlobalScope,
    tabs: RefCell<Option<Rc<Tabs>>>,
    driver: RefCell<Option<Rc<Driver>>>,
    leadership: RefCell<Option<Leadership>>,
    surroundings: RefCell<Surroundings>,
    started: Cell<bool>,
    /// Another tab has sent something: it wants events.
    followed: Cell<bool>,
}

impl WorkerHost {
    fn post(&self, message: &ToPage) {
        let bytes = js_sys::Uint8Array::from(port::encode(message).as_slice());
        let transfer = js_sys::Array::of1(&bytes.buffer());
        if self.scope.post_message_with_transfer(&bytes, &transfer).is_err() {
            platform::warn("worker: a message to the page was lost");
        }
    }

    fn broadcast(&self, message: &TabMessage) {
        if let Some(tabs) = self.tabs.borrow().as_ref() {
            tabs.broadcast(message);
        }
    }

    fn me(&self) -> TabId {
        self.tabs.borrow().as_ref().map_or(0, |tabs| tabs.me())
    }

    fn driver(&self) -> Option<Rc<Driver>> {
        self.driver.borrow().clone()
    }

    // From the page.

    fn on_message(self: &Rc<Self>, event: &MessageEvent) {
        // Bytes, or bytes and the channel that travels with them.
        let data = event.data();
        let (bytes, channel) = match data.dyn_ref::<js_sys::Array>() {
            Some(both) => (both.get(0), both.get(1).dyn_into::<RtcDataChannel>().ok()),
            None => (data, None),
        };
        let message = bytes
            .dyn_ref::<js_sys::Uint8Array>()
            .and_then(|bytes| port::decode::<ToWorker>(&bytes.to_vec()));
        match message {
            Some(message) => self.on_page_message(message, channel),
            None => platform::warn("worker: a message of the page could not be read"),
        }
    }

    fn on_page_message(self: &Rc<Self>, message: ToWorker, channel: Option<RtcDataChannel>) {
        let driver = self.driver();
        match (message, driver) {
            (ToWorker::Start(surroundings), _) => self.start(surroundings),
            (ToWorker::Request { number, request }, Some(driver)) => driver.ask(self.me(), number, request),
            (ToWorker::Request { number, request }, None) => self.broadcast(&TabMessage::Request {
                tab: self.me(),
                number,
                request,
            }),
            (ToWorker::Online(online), driver) => {
                self.surroundings.borrow_mut().online = online;
                if let Some(driver) = driver {
                    driver.on_online(online);
                }
            }
            (ToWorker::Wake, Some(driver)) => driver.wake(),
            (ToWorker::Wake, None) => self.broadcast(&TabMessage::Wake),
            (ToWorker::Erase, Some(_)) => self.erase(),
            (ToWorker::Erase, None) => self.broadcast(&TabMessage::Erase),
            (ToWorker::Described { connection, sdp }, Some(driver)) => driver.on_described(connection, sdp),
            (
                ToWorker::Candidate {
                    connection,
                    candidate,
                    mid,
                },
                Some(driver),
            ) => {
                driver.on_candidate(connection, candidate, mid);
            }
            (ToWorker::Channel { connection }, Some(driver)) => match channel {
                Some(channel) => driver.on_channel(connection, channel),
                None => driver.on_ended(connection),
            },
            (ToWorker::ChannelStays { connection }, Some(driver)) => driver.on_channel_stays(connection),
            (ToWorker::Connected { connection }, Some(driver)) => driver.on_connected(connection),
            (ToWorker::Ended { connection }, Some(driver)) => driver.on_ended(connection),
            (ToWorker::Bytes { connection, bytes }, Some(driver)) => driver.on_bytes(connection, bytes),
            (ToWorker::Sent { connection, bytes }, Some(driver)) => driver.on_sent(connection, bytes),
            // What is left concerns connections of an engine that no longer runs here.
            (_, None) => {}
        }
    }

    fn start(self: &Rc<Self>, surroundings: Surroundings) {
        if self.started.replace(true) {
            return;
        }
        *self.surroundings.borrow_mut() = surroundings;
        let host = Rc::downgrade(self);
        let tabs = Tabs::new(move |message| {
            if let Some(host) = host.upgrade() {
                host.on_tab_message(message);
            }
        });
        *self.tabs.borrow_mut() = Some(Rc::clone(&tabs));
        tabs.broadcast(&TabMessage::Hello { tab: tabs.me() });
        let host = Rc::clone(self);
        spawn_local(async move {
            let leadership = tabs.lead().await;
            host.lead(leadership).await;
        });
    }

    // From other tabs.

    fn on_tab_message(self: &Rc<Self>, message: TabMessage) {
        let driver = self.driver();
        match (message, driver) {
            (TabMessage::Hello { tab }, Some(driver)) => {
                self.followed.set(true);
                self.broadcast(&TabMessage::Leading {
                    to: Some(tab),
                    ready: driver.ready(),
                });
            }
            (TabMessage::Following, Some(driver)) => {
                // The event may have been sent before any follower was known.
                if let (false, Some(account)) = (self.followed.replace(true), driver.ready()) {
                    self.broadcast(&TabMessage::Event(Event::Ready { account }));
                }
            }
            (TabMessage::Request { tab, number, request }, Some(driver)) => {
                self.followed.set(true);
                driver.ask(tab, number, request);
            }
            (TabMessage::Wake, Some(driver)) => driver.wake(),
            (TabMessage::Erase, Some(_)) => self.erase(),
            (TabMessage::Leading { to, ready }, None)
                if self.leadership.borrow().is_none() && to.is_none_or(|to| to == self.me()) =>
            {
                if to.is_none() {
                    self.broadcast(&TabMessage::Following);
                }
                self.post(&ToPage::Role { leading: false });
                if let Some(account) = ready {
                    self.post(&ToPage::Event(Event::Ready { account }));
                }
            }
            (TabMessage::Response { tab, number, answer }, None) if tab == self.me() => {
                self.post(&ToPage::Response { number, answer });
            }
            (TabMessage::Event(event), None) => self.post(&ToPage::Event(event)),
            (TabMessage::Erased, _) => self.post(&ToPage::Erased),
            // The rest is for a leader, or for another tab.
            _ => {}
        }
    }

    // Leading.

    async fn lead(self: &Rc<Self>, leadership: Leadership) {
        *self.leadership.borrow_mut() = Some(leadership);
        let store = loop {
            let host = Rc::downgrade(self);
            let opened = Store::open(move |event| {
                if let Some(host) = host.upgrade() {
                    host.on_store(event);
                }
            });
            match opened.await {
                Ok(store) => break store,
                Err(DiskError::Outdated) => {
                    self.resign(&Trouble::Outdated);
                    return;
                }
                Err(error) => {
                    self.post(&ToPage::Trouble(Trouble::StoreUnavailable(format!("{error:?}"))));
                    platform::sleep(OPEN_RETRY_MS).await;
                }
            }
        };
        let stats = store.stats();
        platform::debug(&format!("store: open, {stats:?}"));
        let surroundings = self.surroundings.borrow().clone();
        let driver = Driver::new(store, &surroundings, self.around());
        *self.driver.borrow_mut() = Some(Rc::clone(&driver));
        self.post(&ToPage::Role { leading: true });
        self.broadcast(&TabMessage::Leading {
            to: None,
            ready: None,
        });
        driver.begin(surroundings.online);
    }

    fn around(self: &Rc<Self>) -> Around {
        let origin = js_sys::Reflect::get(&self.scope.location(), &"origin".into())
            .ok()
            .and_then(|origin| origin.as_string())
            .unwrap_or_default();
        let (page, answer, event) = (Rc::downgrade(self), Rc::downgrade(self), Rc::downgrade(self));
        Around {
            page: Box::new(move |message| {
                if let Some(host) = page.upgrade() {
                    host.post(message);
                }
            }),
            answer: Box::new(move |tab, number, result| {
                if let Some(host) = answer.upgrade() {
                    host.pass_answer(tab, number, result);
                }
            }),
            event: Box::new(move |happened| {
                if let Some(host) = event.upgrade() {
                    if host.followed.get() {
                        host.broadcast(&TabMessage::Event(happened.clone()));
                    }
                    host.post(&ToPage::Event(happened));
                }
            }),
            origin,
        }
    }

    fn pass_answer(&self, tab: TabId, number: u64, answer: Response) {
        if tab == self.me() {
            self.post(&ToPage::Response { number, answer });
        } else {
            self.broadcast(&TabMessage::Response { tab, number, answer });
        }
    }

    fn on_store(self: &Rc<Self>, event: StoreEvent) {
        match event {
            StoreEvent::Input(input) => {
                if let Some(driver) = self.driver() {
                    driver.feed(input);
                }
            }
            StoreEvent::Disk(DiskEvent::Blocked) => self.post(&ToPage::Trouble(Trouble::StoreBlocked)),
            StoreEvent::Disk(DiskEvent::Outdated) => self.resign(&Trouble::Outdated),
            StoreEvent::SecondWriter => {
                self.resign(&Trouble::StoreUnavailable(
                    "another tab writes the same store".to_owned(),
                ));
            }
        }
    }

    /// Ends the engine and lets another tab lead.
    fn resign(&self, trouble: &Trouble) {
        if let Some(driver) = self.driver.take() {
            driver.stop();
        }
        self.leadership.take();
        self.post(&ToPage::Trouble(trouble.clone()));
    }

    fn erase(self: &Rc<Self>) {
        if let Some(driver) = self.driver.take() {
            driver.stop();
        }
        let host = Rc::clone(self);
        spawn_local(async move {
            if let Err(error) = store::erase().await {
                platform::warn(&format!("store: it was not deleted: {error:?}"));
            }
            // The lock is kept: no tab may open a new store before every page was instructed to reload.
            host.broadcast(&TabMessage::Erased);
            host.post(&ToPage::Erased);
        });
    }
}
