//! Which tab runs the engine: the one whose worker holds the Web Lock. The browser hands the lock on the moment a
//! worker ends, however it ends, so there is a new leader within milliseconds.
//!
//! Followers send their requests to the leader over a broadcast channel and receive its answers and events there. A
//! worker keeps no requests: the page does, and repeats them each time it learns its role, which happens whenever
//! there is a new leader. Repeated commands are harmless: posts carry tokens, the others name the state to reach, not
//! a change.
//!
//! Where there are no Web Locks (an insecure origin), a tab leads if its hello is not answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::api::{Event, Request, Response};
use futures_channel::oneshot;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

use super::port;
use crate::platform::{self, Listener};

/// The lock, held for as long as the engine runs.
const LOCK: &str = "starling-leader";
/// The channel; the number goes up with every change of [`TabMessage`] or of what it carries.
const CHANNEL: &str = "starling-tabs-2";
/// Time in milliseconds that a leader has to answer a hello, in browsers without locks.
const HELLO_TIMEOUT_MS: f64 = 700.0;
/// Interval in milliseconds at which a follower checks that its leader is there, in browsers without locks.
const HELLO_EVERY_MS: f64 = 800.0;

/// Names a tab, at random.
pub type TabId = u64;

/// What the tabs of one browser send to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TabMessage {
    /// Asks which tab leads.
    Hello {
        /// The tab that asks.
        tab: TabId,
    },
    Leading {
        /// Whom this answers; `None` is for all: a new leader.
        to: Option<TabId>,
        /// Once its store is read: whether there is an account.
        ready: Option<bool>,
    },
    /// To a new leader: this tab follows and wants to hear what happens.
    Following,
    /// To the leader.
    Request {
        /// The sender.
        tab: TabId,
        /// As that tab numbers it.
        number: u64,
        request: Request,
    },
    /// From the leader.
    Response {
        /// The receiver.
        tab: TabId,
        /// As that tab numbered it.
        number: u64,
        answer: Response,
    },
    /// From the leader's engine, to all.
    Event(Event),
    /// To the leader: there is reason to try connections at once.
    Wake,
    /// To the leader: delete everything stored.
    Erase,
    /// From the leader: everything stored is deleted.
    Erased,
}

#[wasm_bindgen]
extern "C" {
    type LockManager;
    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, callback: &js_sys::Function) -> js_sys::Promise;
}

/// Ends the leadership when dropped.
pub struct Leadership {
    release: Option<js_sys::Function>,
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            // The function that settles a promise does not throw.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// The other tabs.
pub struct Tabs {
    me: TabId,
    channel: Option<BroadcastChannel>,
    on_message: RefCell<Option<Listener<MessageEvent>>>,
    leader_seen: Cell<bool>,
}

impl Tabs {
    /// Listens to the other tabs. A message that does not decode comes from another version of the app and is ignored.
    pub fn new(on_tab_message: impl Fn(TabMessage) + 'static) -> Rc<Self> {
        let tabs = Rc::new(Self {
            me: platform::random_u64(),
            channel: BroadcastChannel::new(CHANNEL).ok(),
            on_message: RefCell::new(None),
            leader_seen: Cell::new(false),
        });
        let weak = Rc::downgrade(&tabs);
        let on_message = Listener::new(move |event: MessageEvent| {
            let Some(bytes) = event
                .data()
                .dyn_ref::<js_sys::Uint8Array>()
                .map(js_sys::Uint8Array::to_vec)
            else {
                return;
            };
            let Some(message) = port::decode::<TabMessage>(&bytes) else {
                return;
            };
            if let (TabMessage::Leading { .. }, Some(tabs)) = (&message, weak.upgrade()) {
                tabs.leader_seen.set(true);
            }
            on_tab_message(message);
        });
        if let Some(channel) = &tabs.channel {
            channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        }
        *tabs.on_message.borrow_mut() = Some(on_message);
        tabs
    }

    pub fn me(&self) -> TabId {
        self.me
    }

    /// Sends a message to all other tabs.
    pub fn broadcast(&self, message: &TabMessage) {
        if let Some(channel) = &self.channel {
            let bytes = js_sys::Uint8Array::from(port::encode(message).as_slice());
            // Fails only for what cannot be cloned.
            let _ = channel.post_message(&bytes);
        }
    }

    /// Resolves once this tab leads.
    pub async fn lead(&self) -> Leadership {
        let Some(locks) = locks() else {
            self.lead_without_locks().await;
            return Leadership { release: None };
        };
        let (granted, wait) = oneshot::channel();
        let granted = Rc::new(Cell::new(Some(granted)));
        let on_granted = Closure::<dyn FnMut(JsValue) -> js_sys::Promise>::new(move |_: JsValue| {
            // The lock is held until this promise is settled.
            let granted = Rc::clone(&granted);
            js_sys::Promise::new(&mut |release, _| {
                let _ = granted.take().map(|granted| granted.send(release));
            })
        });
        let request = locks.request(LOCK, on_granted.as_ref().unchecked_ref());
        let release = wait.await.ok();
        drop(request);
        drop(on_granted);
        Leadership { release }
    }

    async fn lead_without_locks(&self) {
        loop {
            self.leader_seen.set(false);
            self.broadcast(&TabMessage::Hello { tab: self.me });
            // Tabs opened together do not all time out together.
            let jitter = (self.me % 300) as f64;
            platform::sleep(HELLO_TIMEOUT_MS + jitter).await;
            if !self.leader_seen.get() {
                return;
            }
            platform::sleep(HELLO_EVERY_MS).await;
        }
    }
}

fn locks() -> Option<LockManager> {
    let navigator = js_sys::Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let locks = js_sys::Reflect::get(&navigator, &"locks".into()).ok()?;
    locks.is_object().then(|| locks.unchecked_into())
}
