//! The worker's place among page, other tabs and engine: passes everything to where it belongs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::api::{Answer, Event};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, RtcDataChannel};

use super::driver::{Around, Driver};
use super::leader::{Leadership, TabId, Tabs, Word};
use super::port::{self, Surroundings, ToPage, ToWorker, Trouble};
use super::store::{self, DiskError, DiskEvent, Store, StoreEvent};
use crate::platform::{self, Listener};

/// The pause before a store that did not open is tried again.
const OPEN_RETRY_MS: f64 = 3_000.0;

/// Begins to listen to the page; everything else follows from what it says.
pub fn run() {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let office = Rc::new(Office {
        scope: scope.clone(),
        tabs: RefCell::new(None),
        driver: RefCell::new(None),
        leadership: RefCell::new(None),
        surroundings: RefCell::default(),
        started: Cell::new(false),
        followed: Cell::new(false),
    });
    let listening = Rc::clone(&office);
    let on_message = Listener::<MessageEvent>::new(move |event: MessageEvent| listening.on_message(&event));
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // As long as the worker lives.
    on_message.forget();
    office.post(&ToPage::Hello);
}

struct Office {
    scope: DedicatedWorkerGlobalScope,
    tabs: RefCell<Option<Rc<Tabs>>>,
    driver: RefCell<Option<Rc<Driver>>>,
    leadership: RefCell<Option<Leadership>>,
    surroundings: RefCell<Surroundings>,
    started: Cell<bool>,
    /// Some other tab has spoken: it wants to hear events.
    followed: Cell<bool>,
}

impl Office {
    fn post(&self, message: &ToPage) {
        let bytes = js_sys::Uint8Array::from(port::encode(message).as_slice());
        let transfer = js_sys::Array::of1(&bytes.buffer());
        if self.scope.post_message_with_transfer(&bytes, &transfer).is_err() {
            platform::warn("worker: a message to the page was lost");
        }
    }

    fn say(&self, word: &Word) {
        if let Some(tabs) = self.tabs.borrow().as_ref() {
            tabs.say(word);
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
            Some(message) => self.on_word_of_page(message, channel),
            None => platform::warn("worker: a message of the page could not be read"),
        }
    }

    fn on_word_of_page(self: &Rc<Self>, message: ToWorker, channel: Option<RtcDataChannel>) {
        let driver = self.driver();
        match (message, driver) {
            (ToWorker::Start(surroundings), _) => self.start(surroundings),
            (ToWorker::Ask { number, ask }, Some(driver)) => driver.ask(self.me(), number, ask),
            (ToWorker::Ask { number, ask }, None) => self.say(&Word::Ask {
                tab: self.me(),
                number,
                ask,
            }),
            (ToWorker::Online(online), driver) => {
                self.surroundings.borrow_mut().online = online;
                if let Some(driver) = driver {
                    driver.on_online(online);
                }
            }
            (ToWorker::Wake, Some(driver)) => driver.wake(),
            (ToWorker::Wake, None) => self.say(&Word::Wake),
            (ToWorker::Erase, Some(_)) => self.erase(),
            (ToWorker::Erase, None) => self.say(&Word::Erase),
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
        let office = Rc::downgrade(self);
        let tabs = Tabs::new(move |word| {
            if let Some(office) = office.upgrade() {
                office.on_word(word);
            }
        });
        *self.tabs.borrow_mut() = Some(Rc::clone(&tabs));
        tabs.say(&Word::Hello { tab: tabs.me() });
        let office = Rc::clone(self);
        spawn_local(async move {
            let leadership = tabs.lead().await;
            office.lead(leadership).await;
        });
    }

    // From other tabs.

    fn on_word(self: &Rc<Self>, word: Word) {
        let driver = self.driver();
        match (word, driver) {
            (Word::Hello { tab }, Some(driver)) => {
                self.followed.set(true);
                self.say(&Word::Leading {
                    to: Some(tab),
                    ready: driver.ready(),
                });
            }
            (Word::Following, Some(driver)) => {
                // The news that it is ready may have gone out before anybody was known to listen.
                if let (false, Some(account)) = (self.followed.replace(true), driver.ready()) {
                    self.say(&Word::Event(Event::Ready { account }));
                }
            }
            (Word::Ask { tab, number, ask }, Some(driver)) => {
                self.followed.set(true);
                driver.ask(tab, number, ask);
            }
            (Word::Wake, Some(driver)) => driver.wake(),
            (Word::Erase, Some(_)) => self.erase(),
            (Word::Leading { to, ready }, None)
                if self.leadership.borrow().is_none() && to.is_none_or(|to| to == self.me()) =>
            {
                if to.is_none() {
                    self.say(&Word::Following);
                }
                self.post(&ToPage::Role { leading: false });
                if let Some(account) = ready {
                    self.post(&ToPage::Event(Event::Ready { account }));
                }
            }
            (Word::Answer { tab, number, answer }, None) if tab == self.me() => {
                self.post(&ToPage::Answer { number, answer });
            }
            (Word::Event(event), None) => self.post(&ToPage::Event(event)),
            (Word::Erased, _) => self.post(&ToPage::Erased),
            // The rest is for a leader, or for another tab.
            _ => {}
        }
    }

    // Leading.

    async fn lead(self: &Rc<Self>, leadership: Leadership) {
        *self.leadership.borrow_mut() = Some(leadership);
        let store = loop {
            let office = Rc::downgrade(self);
            let opened = Store::open(move |event| {
                if let Some(office) = office.upgrade() {
                    office.on_store(event);
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
        self.say(&Word::Leading {
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
                if let Some(office) = page.upgrade() {
                    office.post(message);
                }
            }),
            answer: Box::new(move |tab, number, result| {
                if let Some(office) = answer.upgrade() {
                    office.pass_answer(tab, number, result);
                }
            }),
            event: Box::new(move |happened| {
                if let Some(office) = event.upgrade() {
                    if office.followed.get() {
                        office.say(&Word::Event(happened.clone()));
                    }
                    office.post(&ToPage::Event(happened));
                }
            }),
            origin,
        }
    }

    fn pass_answer(&self, tab: TabId, number: u64, answer: Answer) {
        if tab == self.me() {
            self.post(&ToPage::Answer { number, answer });
        } else {
            self.say(&Word::Answer { tab, number, answer });
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
        let office = Rc::clone(self);
        spawn_local(async move {
            if let Err(error) = store::erase().await {
                platform::warn(&format!("store: it was not deleted: {error:?}"));
            }
            // The lock is kept: nobody must begin anew before every page was told to load again.
            office.say(&Word::Erased);
            office.post(&ToPage::Erased);
        });
    }
}
