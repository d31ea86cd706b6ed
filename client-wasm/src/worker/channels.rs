//! WebRTC data channels: transferred into this worker, or left in the page with their bytes passing through.

use std::cell::Cell;
use std::rc::Rc;

use engine::api::Transport;
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

use super::links::{Pipe, PipeEvent, frame_of};
use super::outbox::BUFFERED_LOW_BYTES;
use super::port::{ConnectionId, ToPage};
use crate::platform::Listener;

/// A channel that lives in this worker.
pub struct Channel {
    channel: RtcDataChannel,
    on_message: Listener<MessageEvent>,
    on_state: Listener<Event>,
    on_low: Listener<Event>,
}

impl Channel {
    /// Takes over a channel that just arrived; must be called in the turn that brought it, since its first events do
    /// not wait. `low` is called when there is room again.
    pub fn new(
        channel: RtcDataChannel,
        tell: impl Fn(PipeEvent) + 'static,
        low: impl Fn() + 'static,
    ) -> Rc<Self> {
        let tell = Rc::new(tell);
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(BUFFERED_LOW_BYTES);
        let on_frame = Rc::clone(&tell);
        let on_message =
            Listener::new(move |event: MessageEvent| on_frame(PipeEvent::Frame(frame_of(&event.data()))));
        let on_state = Listener::new(move |event: Event| match event.type_().as_str() {
            "open" => tell(PipeEvent::Open),
            _ => tell(PipeEvent::Closed),
        });
        let on_low = Listener::new(move |_: Event| low());
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        channel.set_onopen(Some(on_state.as_ref().unchecked_ref()));
        channel.set_onclose(Some(on_state.as_ref().unchecked_ref()));
        channel.set_onerror(Some(on_state.as_ref().unchecked_ref()));
        channel.set_onbufferedamountlow(Some(on_low.as_ref().unchecked_ref()));
        Rc::new(Self {
            channel,
            on_message,
            on_state,
            on_low,
        })
    }

    /// Whether it is open already: the event may have been lost on the way here.
    pub fn is_open(&self) -> bool {
        self.channel.ready_state() == RtcDataChannelState::Open
    }
}

impl Pipe for Channel {
    fn buffered(&self) -> u32 {
        self.channel.buffered_amount()
    }

    fn send(&self, frame: &[u8]) -> bool {
        self.channel.send_with_u8_array(frame).is_ok()
    }

    fn close(&self) {
        self.channel.close();
    }

    fn transport(&self) -> Transport {
        Transport::WebRtc
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.set_onopen(None);
        self.channel.set_onclose(None);
        self.channel.set_onerror(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.close();
        let _ = (&self.on_message, &self.on_state, &self.on_low);
    }
}

/// A channel that stayed in the page. The page says how much of what it was given is on its way; the rest counts as
/// buffered.
pub struct PageChannel {
    connection: ConnectionId,
    unsent: Cell<u32>,
    post: Box<dyn Fn(&ToPage)>,
}

impl PageChannel {
    /// The channel of this connection.
    pub fn new(connection: ConnectionId, post: impl Fn(&ToPage) + 'static) -> Rc<Self> {
        Rc::new(Self {
            connection,
            unsent: Cell::new(0),
            post: Box::new(post),
        })
    }

    /// The page passed this many bytes on.
    pub fn sent(&self, bytes: u32) {
        self.unsent.set(self.unsent.get().saturating_sub(bytes));
    }
}

impl Pipe for PageChannel {
    fn buffered(&self) -> u32 {
        self.unsent.get()
    }

    fn send(&self, frame: &[u8]) -> bool {
        self.unsent
            .set(self.unsent.get().saturating_add(frame.len() as u32));
        (self.post)(&ToPage::Bytes {
            connection: self.connection,
            bytes: frame.to_vec(),
        });
        true
    }

    /// The connection's end closes it.
    fn close(&self) {}

    fn transport(&self) -> Transport {
        Transport::WebRtc
    }
}
