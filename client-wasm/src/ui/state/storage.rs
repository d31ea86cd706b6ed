//! What the interface itself remembers in the browser's own small storage. Nothing here concerns other people, and
//! losing it loses no post that the engine accepted.

use web_sys::Storage;

/// How long something is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Until the person deletes it.
    Always,
    /// As long as this tab is open.
    InTab,
}

fn area(kept: Kept) -> Option<Storage> {
    let window = web_sys::window()?;
    match kept {
        Kept::Always => window.local_storage().ok()?,
        Kept::InTab => window.session_storage().ok()?,
    }
}

/// Remembers a text; an empty one is forgotten.
pub fn put(kept: Kept, key: &str, value: &str) {
    let Some(storage) = area(kept) else { return };
    // A full or forbidden storage costs convenience, never a post: ignored on purpose.
    let _ = if value.is_empty() {
        storage.remove_item(key)
    } else {
        storage.set_item(key, value)
    };
}

/// What was remembered.
pub fn get(kept: Kept, key: &str) -> Option<String> {
    area(kept)?.get_item(key).ok()?
}
