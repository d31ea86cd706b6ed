//! A handle on the worker of this tab.

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, RtcDataChannel, Worker, WorkerOptions, WorkerType};

use crate::platform::{self, Listener};
use crate::worker::port::{self, ToPage, ToWorker};

/// Written by the build: imports the same wasm under a name that never changes.
const SCRIPT: &str = "/worker.js";

/// The worker; ends when dropped.
pub struct WorkerHandle {
    worker: Worker,
    on_message: Listener<MessageEvent>,
    on_error: Listener<ErrorEvent>,
}

impl WorkerHandle {
    /// Starts it. `crashed` is called on an uncaught error in the worker, which must then be assumed dead.
    pub fn start(
        hear: impl Fn(ToPage) + 'static,
        crashed: impl Fn(String) + 'static,
    ) -> Result<Rc<Self>, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(SCRIPT, &options)?;
        let on_message = Listener::new(move |event: MessageEvent| {
            let message = event
                .data()
                .dyn_ref::<js_sys::Uint8Array>()
                .and_then(|bytes| port::decode::<ToPage>(&bytes.to_vec()));
            match message {
                Some(message) => hear(message),
                None => platform::warn("page: a message of the worker could not be read"),
            }
        });
        let on_error = Listener::new(move |event: ErrorEvent| crashed(event.message()));
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Rc::new(Self {
            worker,
            on_message,
            on_error,
        }))
    }

    pub fn post(&self, message: &ToWorker) {
        let bytes = js_sys::Uint8Array::from(port::encode(message).as_slice());
        let transfer = js_sys::Array::of1(&bytes.buffer());
        if self.worker.post_message_with_transfer(&bytes, &transfer).is_err() {
            platform::warn("page: a message to the worker was lost");
        }
    }

    /// Posts a message together with a channel, which thereby moves to the worker. `false`: this browser does not do
    /// that; the channel is still here.
    pub fn post_channel(&self, message: &ToWorker, channel: &RtcDataChannel) -> bool {
        let bytes = js_sys::Uint8Array::from(port::encode(message).as_slice());
        let both = js_sys::Array::of2(&bytes, channel);
        self.worker
            .post_message_with_transfer(&both, &js_sys::Array::of1(channel))
            .is_ok()
    }

    /// Ends it, without waiting for anything.
    pub fn end(&self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.end();
        let _ = (&self.on_message, &self.on_error);
    }
}
