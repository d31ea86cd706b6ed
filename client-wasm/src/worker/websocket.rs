//! The same frames over a WebSocket, to the relay that serves the app: for browsers without UDP or without WebRTC.

use std::rc::Rc;

use engine::api::Transport;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, Event, MessageEvent, WebSocket};

use super::links::{Pipe, PipeEvent, frame_of};
use crate::platform::Listener;

/// An open or opening WebSocket; closes when dropped.
pub struct Socket {
    socket: WebSocket,
    on_message: Listener<MessageEvent>,
    on_state: Listener<Event>,
}

impl Socket {
    /// Begins to connect. An address the browser refuses is an error at once; everything else is reported later.
    pub fn open(url: &str, tell: impl Fn(PipeEvent) + 'static) -> Result<Rc<Self>, JsValue> {
        let socket = WebSocket::new(url)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let tell = Rc::new(tell);
        let on_frame = Rc::clone(&tell);
        let on_message =
            Listener::new(move |event: MessageEvent| on_frame(PipeEvent::Frame(frame_of(&event.data()))));
        let on_state = Listener::new(move |event: Event| match event.type_().as_str() {
            "open" => tell(PipeEvent::Open),
            _ => tell(PipeEvent::Closed),
        });
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onopen(Some(on_state.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_state.as_ref().unchecked_ref()));
        Ok(Rc::new(Self {
            socket,
            on_message,
            on_state,
        }))
    }
}

impl Pipe for Socket {
    fn buffered(&self) -> u32 {
        self.socket.buffered_amount()
    }

    fn send(&self, frame: &[u8]) -> bool {
        self.socket.ready_state() == WebSocket::OPEN && self.socket.send_with_u8_array(frame).is_ok()
    }

    fn close(&self) {
        // Closing twice, or before it is open, is fine.
        let _ = self.socket.close();
    }

    fn transport(&self) -> Transport {
        Transport::WebSocket
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onopen(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
        let _ = (&self.on_message, &self.on_state);
    }
}
