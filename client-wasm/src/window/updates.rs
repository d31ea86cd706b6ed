//! The service worker: keeps the app for when there is no network, and says when a newer one waits.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Event, ServiceWorkerContainer, ServiceWorkerRegistration};

use crate::platform::{self, Listener};

/// Written by the build.
const SCRIPT: &str = "/sw.js";

/// Watches for newer versions of the app.
pub struct Updates {
    registration: RefCell<Option<ServiceWorkerRegistration>>,
    applying: Cell<bool>,
    ready: Box<dyn Fn()>,
}

impl Updates {
    /// Registers the service worker. `ready` is called when a newer version waits, perhaps more than once.
    pub fn watch(ready: impl Fn() + 'static) -> Rc<Self> {
        let updates = Rc::new(Self {
            registration: RefCell::new(None),
            applying: Cell::new(false),
            ready: Box::new(ready),
        });
        if let Some(container) = container() {
            let watching = Rc::clone(&updates);
            spawn_local(async move {
                if let Err(error) = watching.register(&container).await {
                    platform::debug(&format!("no service worker: {error:?}"));
                }
            });
        }
        updates
    }

    async fn register(self: Rc<Self>, container: &ServiceWorkerContainer) -> Result<(), JsValue> {
        // A first service worker takes this page over too; that is no update.
        let first = container.controller().is_none();
        let first = Rc::new(Cell::new(first));
        let updates = Rc::clone(&self);
        let on_change = Listener::<Event>::new(move |_| {
            if updates.applying.get() {
                super::reload();
            } else if !first.replace(false) {
                // Another tab put the newer version in place.
                (updates.ready)();
            }
        });
        container.set_oncontrollerchange(Some(on_change.as_ref().unchecked_ref()));
        on_change.forget();

        let registration: ServiceWorkerRegistration =
            JsFuture::from(container.register(SCRIPT)).await?.unchecked_into();
        if registration.waiting().is_some() && container.controller().is_some() {
            (self.ready)();
        }
        let updates = Rc::clone(&self);
        let on_found = Listener::<Event>::new(move |_| updates.watch_installing());
        registration.set_onupdatefound(Some(on_found.as_ref().unchecked_ref()));
        on_found.forget();
        *self.registration.borrow_mut() = Some(registration);
        self.watch_installing();
        Ok(())
    }

    fn watch_installing(self: &Rc<Self>) {
        let installing = self
            .registration
            .borrow()
            .as_ref()
            .and_then(ServiceWorkerRegistration::installing);
        let Some(installing) = installing else { return };
        let updates = Rc::clone(self);
        let on_state = Listener::<Event>::new(move |_| {
            let waits = updates
                .registration
                .borrow()
                .as_ref()
                .is_some_and(|r| r.waiting().is_some());
            let replaces = container().is_some_and(|container| container.controller().is_some());
            if waits && replaces {
                (updates.ready)();
            }
        });
        installing.set_onstatechange(Some(on_state.as_ref().unchecked_ref()));
        on_state.forget();
    }

    /// Looks for a newer version now.
    pub fn check(&self) {
        if let Some(registration) = self.registration.borrow().as_ref()
            && let Ok(promise) = registration.update()
        {
            spawn_local(async move {
                // Without a network there is none.
                let _ = JsFuture::from(promise).await;
            });
        }
    }

    /// Puts the version that waits in place and loads the page again.
    pub fn apply(&self) {
        let waiting = self
            .registration
            .borrow()
            .as_ref()
            .and_then(ServiceWorkerRegistration::waiting);
        let Some(waiting) = waiting else {
            super::reload();
            return;
        };
        self.applying.set(true);
        let message = js_sys::Object::new();
        let told = js_sys::Reflect::set(&message, &"type".into(), &"skip-waiting".into()).is_ok()
            && waiting.post_message(&message).is_ok();
        if !told {
            super::reload();
        }
    }
}

/// Not there on insecure origins.
fn container() -> Option<ServiceWorkerContainer> {
    let navigator = web_sys::window()?.navigator();
    let container = js_sys::Reflect::get(&navigator, &"serviceWorker".into()).ok()?;
    container.is_object().then(|| container.unchecked_into())
}
