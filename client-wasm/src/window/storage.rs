//! How much the browser lets this site keep, and whether it promises to.

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::StorageManager;

use crate::ui::bridge::StorageView;

/// Not there on insecure origins.
fn manager() -> Option<StorageManager> {
    let navigator = web_sys::window()?.navigator();
    let storage = js_sys::Reflect::get(&navigator, &"storage".into()).ok()?;
    storage.is_object().then(|| storage.unchecked_into())
}

/// Asks the browser to keep this site's data until the person deletes it. It may refuse.
pub async fn keep() -> bool {
    let Some(promise) = manager().and_then(|storage| storage.persist().ok()) else {
        return false;
    };
    JsFuture::from(promise).await.is_ok_and(|kept| kept.is_truthy())
}

/// What is used, what there may be, and whether it is kept.
pub async fn measure() -> Option<StorageView> {
    let storage = manager()?;
    let estimate = JsFuture::from(storage.estimate().ok()?).await.ok()?;
    let number = |name: &str| js_sys::Reflect::get(&estimate, &name.into()).ok()?.as_f64();
    let persistent = match storage.persisted() {
        Ok(promise) => JsFuture::from(promise).await.is_ok_and(|kept| kept.is_truthy()),
        Err(_) => false,
    };
    Some(StorageView {
        used_bytes: number("usage").unwrap_or_default() as u64,
        quota_bytes: number("quota").unwrap_or_default() as u64,
        persistent,
    })
}
