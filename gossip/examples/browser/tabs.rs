//! Connections between tabs of one origin: a [`Transport`] over `BroadcastChannel`, as an example of writing one.
//!
//! Each tab listens on a channel named after itself; any tab that knows the name can write to it. A message on it is a
//! kind, the sender's name, the connection's and then a frame. Tabs do not say when they are killed; so each holds a
//! Web Lock named after itself, and every tab connected with it waits for that lock.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use gloo_timers::future::TimeoutFuture;
use gossip::node::{ConnectionId, Event, Transport};
use js_sys::{Promise, Uint8Array};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent, Window};

/// A tab answers in milliseconds, unless its thread is busy.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames that wait for the node; a neighbour that sends faster is let go.
const WAITING_MAX: usize = 4_096;

const OPEN: u8 = 0;
const ACCEPT: u8 = 1;
const FRAME: u8 = 2;
const CLOSE: u8 = 3;
/// Kind, sender, connection.
const HEAD_LEN: usize = 17;

/// A tab's name, drawn by chance when it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Tab(pub u64);

impl fmt::Display for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Tab {
    /// The tab of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        u64::from_str_radix(name, 16).ok().map(Self)
    }

    fn channel(self) -> Result<BroadcastChannel, JsValue> {
        BroadcastChannel::new(&self.lock())
    }

    fn lock(self) -> String {
        format!("gossip-tab-{self}")
    }
}

#[wasm_bindgen]
extern "C" {
    type Locks;
    #[wasm_bindgen(method)]
    fn request(this: &Locks, name: &str, granted: &js_sys::Function) -> Promise;
}

fn locks(window: &Window) -> Result<Locks, JsValue> {
    let locks = js_sys::Reflect::get(&window.navigator(), &"locks".into())?;
    if locks.is_object() {
        Ok(locks.unchecked_into())
    } else {
        Err("this browser has no Web Locks, or the page is not from https or localhost".into())
    }
}

struct Link {
    peer: Tab,
    channel: BroadcastChannel,
    /// While it is being dialled: when that is given up.
    dialled_until: Option<Duration>,
}

/// What the listeners share with the transport.
struct Shared {
    window: Window,
    me: Tab,
    links: RefCell<BTreeMap<ConnectionId, Link>>,
    events: RefCell<VecDeque<Event<Tab>>>,
    news: Notify,
    watched: RefCell<BTreeSet<Tab>>,
    locks: Locks,
}

/// This tab's connections with others.
pub(crate) struct Tabs {
    shared: Rc<Shared>,
    channel: BroadcastChannel,
    next: Cell<u64>,
    _hear: Closure<dyn FnMut(MessageEvent)>,
}

impl Tabs {
    /// A place among the tabs, called `me`.
    pub(crate) fn open(window: Window, me: Tab) -> Result<Self, JsValue> {
        let shared = Rc::new(Shared {
            locks: locks(&window)?,
            window,
            me,
            links: RefCell::default(),
            events: RefCell::default(),
            news: Notify::new(),
            watched: RefCell::default(),
        });
        // Held until the tab is gone, however it goes.
        let hold = Closure::once_into_js(|_: JsValue| Promise::new(&mut |_, _| {}));
        let _ = shared.locks.request(&me.lock(), hold.unchecked_ref());
        let channel = me.channel()?;
        let weak = Rc::downgrade(&shared);
        let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let (Some(shared), Ok(word)) = (weak.upgrade(), event.data().dyn_into::<Uint8Array>()) {
                shared.hear(&Bytes::from(word.to_vec()));
            }
        });
        channel.set_onmessage(Some(hear.as_ref().unchecked_ref()));
        Ok(Self {
            shared,
            channel,
            next: Cell::new(me.0),
            _hear: hear,
        })
    }
}

impl Drop for Tabs {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

impl Shared {
    fn now(&self) -> Duration {
        // Milliseconds since the page began.
        let ms = self.window.performance().map_or(0.0, |clock| clock.now());
        Duration::from_secs_f64(ms / 1_000.0)
    }

    fn tell(&self, event: Event<Tab>) {
        self.events.borrow_mut().push_back(event);
        self.news.notify_one();
    }

    fn say(&self, link: &Link, kind: u8, id: ConnectionId, frame: &[u8]) {
        let mut word = Vec::with_capacity(HEAD_LEN + frame.len());
        word.push(kind);
        word.extend_from_slice(&self.me.0.to_be_bytes());
        word.extend_from_slice(&id.0.to_be_bytes());
        word.extend_from_slice(frame);
        // Bytes can be cloned, and the channel is open as long as the link is there.
        let _ = link.channel.post_message(&Uint8Array::from(word.as_slice()));
    }

    /// A message arrived for this tab. Anything that is not a message of a peer is ignored.
    fn hear(self: &Rc<Self>, word: &Bytes) {
        let Some((head, _)) = word.split_at_checked(HEAD_LEN) else {
            return;
        };
        let number = |at: usize| {
            head[at..at + 8]
                .iter()
                .fold(0, |number, byte| (number << 8) | u64::from(*byte))
        };
        let (peer, id) = (Tab(number(1)), ConnectionId(number(9)));
        let known = self
            .links
            .borrow()
            .get(&id)
            .map(|link| (link.peer, link.dialled_until));
        match (head[0], known) {
            (OPEN, None) => {
                let Ok(channel) = peer.channel() else {
                    return;
                };
                let link = Link {
                    peer,
                    channel,
                    dialled_until: None,
                };
                self.say(&link, ACCEPT, id, &[]);
                self.links.borrow_mut().insert(id, link);
                self.connected(id, peer, None);
            }
            (ACCEPT, Some((dialled, Some(_)))) if dialled == peer => {
                if let Some(link) = self.links.borrow_mut().get_mut(&id) {
                    link.dialled_until = None;
                }
                self.connected(id, peer, Some(peer));
            }
            (FRAME, Some((from, None))) if from == peer => {
                if self.events.borrow().len() < WAITING_MAX {
                    self.tell(Event::Frame(id, word.slice(HEAD_LEN..)));
                } else {
                    self.end(id, true);
                    self.tell(Event::Closed(id));
                }
            }
            (CLOSE, Some((from, None))) if from == peer => {
                self.end(id, false);
                self.tell(Event::Closed(id));
            }
            _ => {}
        }
    }

    fn connected(self: &Rc<Self>, connection: ConnectionId, peer: Tab, dialled: Option<Tab>) {
        self.tell(Event::Connected {
            connection,
            peer,
            dialled,
        });
        if self.watched.borrow_mut().insert(peer) {
            self.watch(peer);
        }
    }

    /// Once the peer's lock is free there is no such tab any more.
    fn watch(self: &Rc<Self>, peer: Tab) {
        let shared: Weak<Self> = Rc::downgrade(self);
        let gone = Closure::once_into_js(move |_: JsValue| {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            shared.watched.borrow_mut().remove(&peer);
            let lost: Vec<ConnectionId> = shared
                .links
                .borrow_mut()
                .extract_if(.., |_, link| link.peer == peer && link.dialled_until.is_none())
                .map(|(id, link)| {
                    link.channel.close();
                    id
                })
                .collect();
            for id in lost {
                shared.tell(Event::Closed(id));
            }
        });
        let _ = self.locks.request(&peer.lock(), gone.unchecked_ref());
    }

    /// A connection has ended; the other side may be notified.
    fn end(&self, id: ConnectionId, tell: bool) {
        if let Some(link) = self.links.borrow_mut().remove(&id) {
            if tell {
                self.say(&link, CLOSE, id, &[]);
            }
            link.channel.close();
        }
    }

    fn next_timeout(&self) -> Option<Duration> {
        self.links
            .borrow()
            .values()
            .filter_map(|link| link.dialled_until)
            .min()
    }

    fn give_up_dials(&self, now: Duration) {
        let late = |link: &Link| link.dialled_until.is_some_and(|until| until <= now);
        let failed: Vec<_> = self
            .links
            .borrow_mut()
            .extract_if(.., |_, link| late(link))
            .collect();
        for (id, link) in failed {
            // It may still answer.
            self.say(&link, CLOSE, id, &[]);
            link.channel.close();
            self.tell(Event::DialFailed {
                peer: link.peer,
                reason: "no such tab".to_owned(),
            });
        }
    }
}

impl Transport for Tabs {
    type Peer = Tab;

    fn address(&self) -> Tab {
        self.shared.me
    }

    fn now(&self) -> Duration {
        self.shared.now()
    }

    fn epoch(&self) -> u64 {
        // Whole milliseconds, far below 2^53.
        js_sys::Date::now() as u64
    }

    fn dial(&mut self, peer: Tab) {
        // Numbers that start at a random place do not meet those of another tab.
        self.next.set(self.next.get().wrapping_add(1));
        let id = ConnectionId(self.next.get());
        match peer.channel() {
            Ok(channel) => {
                let link = Link {
                    peer,
                    channel,
                    dialled_until: Some(self.now() + DIAL_TIMEOUT),
                };
                self.shared.say(&link, OPEN, id, &[]);
                self.shared.links.borrow_mut().insert(id, link);
            }
            Err(_) => self.shared.tell(Event::DialFailed {
                peer,
                reason: "this browser opens no more channels".to_owned(),
            }),
        }
    }

    fn send(&mut self, connection: ConnectionId, frame: Bytes) {
        if let Some(link) = self.shared.links.borrow().get(&connection) {
            self.shared.say(link, FRAME, connection, &frame);
            // The browser's channels hold nothing back.
            self.shared.tell(Event::Written(connection));
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.shared.end(connection, true);
    }

    async fn event(&mut self, deadline: Duration) -> Option<Event<Tab>> {
        loop {
            let now = self.now();
            self.shared.give_up_dials(now);
            if let Some(event) = self.shared.events.borrow_mut().pop_front() {
                return Some(event);
            }
            if deadline <= now {
                return None;
            }
            let until = self
                .shared
                .next_timeout()
                .map_or(deadline, |dial| dial.min(deadline));
            // Rounded up, or the last fraction of a millisecond is waited for in circles.
            let wait = (until - now).as_millis().saturating_add(1).min(60_000);
            let timer = TimeoutFuture::new(u32::try_from(wait).unwrap_or(60_000));
            tokio::select! {
                () = self.shared.news.notified() => {}
                () = timer => {}
            }
        }
    }

    async fn finish(self) {
        let ids: Vec<ConnectionId> = self.shared.links.borrow().keys().copied().collect();
        for id in ids {
            self.shared.end(id, true);
        }
    }
}
