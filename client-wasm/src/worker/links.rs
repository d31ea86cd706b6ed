//! The channels of this peer, whatever carries their bytes.
//!
//! Invariants: order is kept per link; a link that is closed first sends what is queued; a link whose queue is full is
//! dropped and reported as down; nothing is reported of a link that was closed from here.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use engine::api::Transport;
use protocol::{Instant, limits};

use super::outbox::Outbox;
use super::port::ConnectionId;
use crate::platform::{self, Alarm};
use crate::vec_map::VecMap;

/// Interval at which a link with a full buffer is polled, since `bufferedamountlow` may fail to fire.
const POLL: Duration = Duration::from_millis(15);
/// Time that a closed link has to send its queue.
const LINGER: Duration = Duration::from_secs(2);
/// Time for which the connection of a closed channel stays open, so that the last bytes arrive.
const FAREWELL: Duration = Duration::from_millis(300);

/// What carries a link's bytes.
pub trait Pipe {
    /// Bytes the browser holds and has not sent.
    fn buffered(&self) -> u32;
    /// Gives the browser a frame. `false`: the pipe is broken.
    fn send(&self, frame: &[u8]) -> bool;
    /// Closes it; what the browser holds is still sent.
    fn close(&self);
    /// How it is to be named.
    fn transport(&self) -> Transport;
}

/// What a pipe says.
#[derive(Debug)]
pub enum PipeEvent {
    /// It can carry frames.
    Open,
    /// A frame arrived.
    Frame(Vec<u8>),
    /// It closed or broke.
    Closed,
}

/// Changes of links that the engine did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Its neighbour takes bytes too slowly, or it broke while sending: it is gone.
    Down(ConnectionId),
    /// It was closed from here and has sent everything: its connection is no longer needed.
    Over(ConnectionId),
}

struct Link {
    pipe: Rc<dyn Pipe>,
    outbox: Outbox,
    up: bool,
    closing: Option<Instant>,
}

/// All links, those not open yet included.
pub struct Links {
    links: RefCell<VecMap<ConnectionId, Link>>,
    alarm: Rc<Alarm>,
    tell: Box<dyn Fn(LinkEvent)>,
}

impl Links {
    /// No links.
    pub fn new(tell: impl Fn(LinkEvent) + 'static) -> Rc<Self> {
        Rc::new_cyclic(|weak: &std::rc::Weak<Self>| {
            let weak = weak.clone();
            Self {
                links: RefCell::default(),
                alarm: Alarm::new(move || {
                    if let Some(links) = weak.upgrade() {
                        links.pump();
                    }
                }),
                tell: Box::new(tell),
            }
        })
    }

    /// A pipe that may carry a link once it is open.
    pub fn add(&self, link: ConnectionId, pipe: Rc<dyn Pipe>) {
        let old = self.links.borrow_mut().insert(
            link,
            Link {
                pipe,
                outbox: Outbox::default(),
                up: false,
                closing: None,
            },
        );
        if let Some(old) = old {
            old.pipe.close();
        }
    }

    /// The engine knows of it now. How it is carried; `None` if it is gone already.
    pub fn set_up(&self, link: ConnectionId) -> Option<Transport> {
        let mut links = self.links.borrow_mut();
        let link = links.get_mut(link)?;
        link.up = true;
        Some(link.pipe.transport())
    }

    /// Whether the engine knows of it and has not closed it.
    pub fn is_up(&self, link: ConnectionId) -> bool {
        self.links
            .borrow()
            .get(link)
            .is_some_and(|link| link.up && link.closing.is_none())
    }

    /// Sends a frame, now or when there is room.
    pub fn send(&self, id: ConnectionId, frame: Vec<u8>) {
        debug_assert!(
            frame.len() <= limits::FRAME_LEN_MAX,
            "the engine cuts its messages"
        );
        let failed = {
            let mut links = self.links.borrow_mut();
            let Some(link) = links.get_mut(id).filter(|link| link.closing.is_none()) else {
                return;
            };
            match link.outbox.offer(frame, link.pipe.buffered()) {
                Ok(Some(frame)) => !link.pipe.send(&frame),
                Ok(None) => {
                    self.alarm.set_by(platform::instant() + POLL);
                    false
                }
                Err(_) => true,
            }
        };
        if failed {
            self.remove(id);
            (self.tell)(LinkEvent::Down(id));
        }
    }

    /// Closes a link after what it was given is sent.
    pub fn close(&self, id: ConnectionId) {
        let now = platform::instant();
        if let Some(link) = self.links.borrow_mut().get_mut(id)
            && link.closing.is_none()
        {
            link.closing = Some(now + if link.outbox.is_empty() { FAREWELL } else { LINGER });
            if link.outbox.is_empty() {
                link.pipe.close();
            }
        }
        self.alarm.set_by(now + POLL);
    }

    /// Lets go of a link at once. Whether the engine still counted on it.
    pub fn remove(&self, id: ConnectionId) -> bool {
        let removed = self.links.borrow_mut().remove(id);
        removed.is_some_and(|link| {
            link.pipe.close();
            link.up && link.closing.is_none()
        })
    }

    /// Lets go of all links.
    pub fn remove_all(&self) {
        let links = self.links.borrow_mut().take_values();
        for link in links {
            link.pipe.close();
        }
    }

    /// Gives the browser what waits and fits, and ends closed links that have sent everything.
    pub fn pump(&self) {
        let now = platform::instant();
        let mut events = Vec::new();
        let mut again = false;
        self.links.borrow_mut().retain(|id, link| {
            let waited = !link.outbox.is_empty();
            while let Some(frame) = link.outbox.next(link.pipe.buffered()) {
                if !link.pipe.send(&frame) {
                    events.push(if link.closing.is_some() {
                        LinkEvent::Over(id)
                    } else {
                        LinkEvent::Down(id)
                    });
                    return false;
                }
            }
            if let Some(deadline) = link.closing {
                if waited && link.outbox.is_empty() {
                    link.pipe.close();
                    link.closing = Some(deadline.min(now + FAREWELL));
                }
                if link.closing.is_some_and(|deadline| deadline <= now) {
                    link.pipe.close();
                    events.push(LinkEvent::Over(id));
                    return false;
                }
            }
            again |= !link.outbox.is_empty() || link.closing.is_some();
            true
        });
        if again {
            self.alarm.set_by(now + POLL);
        }
        for event in events {
            (self.tell)(event);
        }
    }
}

/// A frame out of a message event's data. What is no frame (text, or too long) becomes something the engine refuses.
pub fn frame_of(data: &wasm_bindgen::JsValue) -> Vec<u8> {
    use wasm_bindgen::JsCast;
    let Some(buffer) = data.dyn_ref::<js_sys::ArrayBuffer>() else {
        return Vec::new();
    };
    let bytes = js_sys::Uint8Array::new(buffer);
    let most = limits::FRAME_LEN_MAX as u32 + 1;
    if bytes.length() > most {
        bytes.subarray(0, most).to_vec()
    } else {
        bytes.to_vec()
    }
}
