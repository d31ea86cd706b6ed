//! What window and worker both take from the browser: clocks, timers, randomness, the log.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::Now;
use protocol::{Instant, Timestamp};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &js_sys::Function, delay_ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &js_sys::Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_namespace = console, js_name = debug)]
    fn console_debug(line: &str);
    #[wasm_bindgen(js_namespace = console, js_name = warn)]
    fn console_warn(line: &str);
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(line: &str);
}

/// Reports a panic in the console.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| console_error(&info.to_string())));
}

/// A callback of Rust's that the browser holds.
pub type Listener<E> = Closure<dyn FnMut(E)>;

/// The greatest delay a browser's timer takes; a later deadline is met in several steps.
const DELAY_MS_MAX: f64 = 2_147_000_000.0;

/// Both clocks.
pub fn now() -> Now {
    Now {
        instant: instant(),
        wall: wall(),
    }
}

/// The monotonic clock.
pub fn instant() -> Instant {
    Instant((performance_now() * 1_000.0) as u64)
}

/// The wall clock.
pub fn wall() -> Timestamp {
    Timestamp(js_sys::Date::now() as u64)
}

/// Fresh bytes from the browser's cryptographic source.
pub fn random<const N: usize>() -> [u8; N] {
    let bytes = js_sys::Uint8Array::new_with_length(N as u32);
    // Without randomness there are no keys. Every browser that runs wasm has it.
    get_random_values(&bytes).unwrap_throw();
    let mut random = [0; N];
    bytes.copy_to(&mut random);
    random
}

/// A fresh random number.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random())
}

/// A line for the console's verbose level.
pub fn debug(line: &str) {
    console_debug(line);
}

/// A warning in the console.
pub fn warn(line: &str) {
    console_warn(line);
}

/// Resolves after a while; not before.
pub async fn sleep(delay_ms: f64) {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        set_timeout(&resolve, delay_ms.clamp(0.0, DELAY_MS_MAX));
    });
    // A timer's promise is never rejected.
    let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
}

/// One timer that can be set again and again; only the last setting counts.
pub struct Alarm {
    callback: RefCell<Option<Closure<dyn FnMut()>>>,
    timer: RefCell<Option<JsValue>>,
    at: Cell<Option<Instant>>,
}

impl Alarm {
    /// An alarm that is not set, and what it does when it rings.
    pub fn new(ring: impl Fn() + 'static) -> Rc<Self> {
        let alarm = Rc::new(Self {
            callback: RefCell::new(None),
            timer: RefCell::new(None),
            at: Cell::new(None),
        });
        let weak = Rc::downgrade(&alarm);
        *alarm.callback.borrow_mut() = Some(Closure::new(move || {
            if let Some(alarm) = weak.upgrade() {
                alarm.timer.take();
                alarm.at.set(None);
                ring();
            }
        }));
        alarm
    }

    /// Rings at `at`, unless it rings before that anyway.
    pub fn set_by(&self, at: Instant) {
        if self.at.get().is_none_or(|set| at < set) {
            self.set(Some(at));
        }
    }

    /// Rings at `at` (or a little later), and not at what was set before.
    pub fn set(&self, at: Option<Instant>) {
        if self.at.get() == at {
            return;
        }
        self.at.set(at);
        if let Some(timer) = self.timer.take() {
            clear_timeout(&timer);
        }
        let callback = self.callback.borrow();
        if let (Some(at), Some(callback)) = (at, callback.as_ref()) {
            let delay_ms = (at.since(instant()).as_micros() as f64 / 1_000.0)
                .ceil()
                .min(DELAY_MS_MAX);
            *self.timer.borrow_mut() = Some(set_timeout(callback.as_ref().unchecked_ref(), delay_ms));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            clear_timeout(&timer);
        }
    }
}
