//! The only connection between the interface and everything else.
//!
//! The interface asks, the adapters carry. [`Bridge`] numbers every [`Request`], keeps it until its one [`Response`]
//! came, and hands [`Event`]s to all subscribers. How the bytes travel (a worker, another tab) is the business of the
//! two functions in [`Carrier`]; after a change of carrier [`Bridge::unanswered`] says what has to be asked again.
//!
//! Invariant: every request is answered at most once, and no answer is dropped silently: a bridge
//! keeps at most [`UNANSWERED_MAX`] requests and refuses more with [`Error::Busy`].

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine::api::{Command, CommandResult, Error, Event, Query, QueryResult, Request, Response};
use yew::Callback;

/// Maximum number of unanswered requests. If there are more, the engine no longer answers.
pub const UNANSWERED_MAX: usize = 1_024;

/// Brings a numbered ask to the engine.
pub type RequestCarrier = Box<dyn Fn(u64, &Request)>;
/// Brings a request to the browser.
pub type HostCarrier = Box<dyn Fn(HostCommand)>;

/// What carries asks to the engine and requests to the browser. Both return at once.
pub struct Carrier {
    /// Brings a request to the engine; its answer comes back through [`Bridge::answered`] with the same number.
    pub request: RequestCarrier,
    /// Asks something of the browser itself; what changes comes back through [`Bridge::host_changed`].
    pub host: HostCarrier,
}

/// Something only the browser around the engine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCommand {
    /// Ask the browser to keep this site's storage.
    KeepStorage,
    /// Measure the storage again.
    MeasureStorage,
    /// Switch to the app version that waits, and reload.
    ApplyUpdate,
    /// Try every connection again now.
    Reconnect,
    /// Delete everything stored in this browser and start from nothing.
    EraseDevice,
}

/// What the browser around the engine looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// This tab's part among the tabs of one browser.
    pub tab: TabRole,
    /// Storage, once measured.
    pub storage: Option<StorageView>,
    /// A newer version of the app is ready.
    pub update_ready: bool,
    /// What keeps the app from working, if anything.
    pub trouble: Option<Trouble>,
}

/// One tab runs the engine; the others show what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TabRole {
    /// Not settled yet.
    #[default]
    Joining,
    /// This tab runs the engine.
    Leading,
    /// Another tab runs the engine; this one takes over when that one closes.
    Following,
}

/// The browser's storage for this site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageView {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes there may be.
    pub quota_bytes: u64,
    /// The browser promised not to clear it by itself.
    pub persistent: bool,
}

/// What keeps the app from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The store waits for a tab with an older version of the app to close.
    StoreBlocked,
    /// The store does not open; the browser's own words.
    StoreUnavailable(String),
    /// A later version of the app has been here: what is stored is its.
    Outdated,
    /// The engine stopped; the browser's own words.
    EngineStopped(String),
}

/// A handle of the interface on the engine and the browser. Cheap to clone. Two handles are equal if they share one
/// engine.
#[derive(Clone)]
pub struct Bridge(Rc<Inner>);

struct Inner {
    carrier: Carrier,
    next_number: Cell<u64>,
    unanswered: RefCell<Vec<(u64, Request, Rc<Slot>)>>,
    events: Listeners<Rc<Event>>,
    hosts: Listeners<HostView>,
    host: RefCell<HostView>,
}

impl PartialEq for Bridge {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Bridge {
    /// A bridge over this carrier.
    pub fn new(carrier: Carrier) -> Self {
        Self(Rc::new(Inner {
            carrier,
            next_number: Cell::new(1),
            unanswered: RefCell::default(),
            events: Listeners::default(),
            hosts: Listeners::default(),
            host: RefCell::default(),
        }))
    }

    // For the interface.

    /// Changes something.
    pub async fn send(&self, command: Command) -> Result<CommandResult, Error> {
        match self.ask(Request::Command(command)).await {
            Response::Done(result) => Ok(result),
            Response::Error(error) => Err(error),
            Response::Result(_) => Ok(CommandResult::Ok),
        }
    }

    /// Reads something.
    pub async fn query(&self, query: Query) -> Result<QueryResult, Error> {
        match self.ask(Request::Query(query)).await {
            Response::Result(reply) => Ok(*reply),
            Response::Error(error) => Err(error),
            Response::Done(_) => Err(Error::NotFound),
        }
    }

    /// Hears every event until the subscription is dropped.
    pub fn subscribe(&self, callback: Callback<Rc<Event>>) -> Subscription {
        self.0.events.add(callback)
    }

    /// Hears every change of the browser's state until the subscription is dropped.
    pub fn subscribe_host(&self, callback: Callback<HostView>) -> Subscription {
        self.0.hosts.add(callback)
    }

    /// The browser's state now.
    pub fn host(&self) -> HostView {
        self.0.host.borrow().clone()
    }

    /// Asks something of the browser.
    pub fn host_command(&self, command: HostCommand) {
        (self.0.carrier.host)(command);
    }

    // For the adapters.

    /// The answer to the request with this number arrived. An unknown number is ignored.
    pub fn answered(&self, number: u64, answer: Response) {
        let waiting = {
            let mut unanswered = self.0.unanswered.borrow_mut();
            let place = unanswered.iter().position(|(waiting, ..)| *waiting == number);
            place.map(|place| unanswered.remove(place))
        };
        if let Some((_, _, slot)) = waiting {
            slot.fill(answer);
        }
    }

    /// The engine said something.
    pub fn event(&self, event: Event) {
        self.0.events.tell(Rc::new(event));
    }

    /// The browser's state changed. `change` edits it in place.
    pub fn host_changed(&self, change: impl FnOnce(&mut HostView)) {
        let view = {
            let mut host = self.0.host.borrow_mut();
            change(&mut host);
            host.clone()
        };
        self.0.hosts.tell(view);
    }

    /// Every ask without an answer, in order: what a new leader has to be asked again.
    pub fn unanswered(&self) -> Vec<(u64, Request)> {
        self.0
            .unanswered
            .borrow()
            .iter()
            .map(|(number, request, _)| (*number, request.clone()))
            .collect()
    }

    fn ask(&self, request: Request) -> AnswerFuture {
        let slot = Rc::new(Slot::default());
        if self.0.unanswered.borrow().len() >= UNANSWERED_MAX {
            slot.fill(Response::Error(Error::Busy));
            return AnswerFuture(slot);
        }
        let number = self.0.next_number.get();
        self.0.next_number.set(number + 1);
        self.0
            .unanswered
            .borrow_mut()
            .push((number, request.clone(), slot.clone()));
        (self.0.carrier.request)(number, &request);
        AnswerFuture(slot)
    }
}

/// The place where the answer to one request arrives.
#[derive(Default)]
struct Slot {
    answer: RefCell<Option<Response>>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn fill(&self, answer: Response) {
        *self.answer.borrow_mut() = Some(answer);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

struct AnswerFuture(Rc<Slot>);

impl Future for AnswerFuture {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        if let Some(answer) = self.0.answer.borrow_mut().take() {
            return Poll::Ready(answer);
        }
        *self.0.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Callbacks by number. A callback may subscribe or unsubscribe while it is called.
struct Listeners<T: 'static>(Rc<RefCell<ListenerMap<T>>>);

struct ListenerMap<T: 'static> {
    next: u64,
    callbacks: Vec<(u64, Callback<T>)>,
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(ListenerMap {
            next: 0,
            callbacks: Vec::new(),
        })))
    }
}

impl<T: Clone + 'static> Listeners<T> {
    fn add(&self, callback: Callback<T>) -> Subscription {
        let mut map = self.0.borrow_mut();
        let number = map.next;
        map.next += 1;
        map.callbacks.push((number, callback));
        let listeners = Rc::downgrade(&self.0);
        Subscription(Some(Box::new(move || {
            if let Some(listeners) = listeners.upgrade() {
                listeners
                    .borrow_mut()
                    .callbacks
                    .retain(|(known, _)| *known != number);
            }
        })))
    }

    fn tell(&self, value: T) {
        let callbacks = self.0.borrow().callbacks.clone();
        for (_, callback) in callbacks {
            callback.emit(value.clone());
        }
    }
}

/// Keeps a callback subscribed; dropping it ends that.
pub struct Subscription(Option<Box<dyn FnOnce()>>);

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}
