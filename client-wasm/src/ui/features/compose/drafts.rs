//! Unfinished texts, kept through a reload.

use crate::ui::state::storage::{self, Kept};

const KEY: &str = "starling.draft.";

/// The unfinished text under this key.
pub fn load(key: &str) -> String {
    storage::get(Kept::Always, &format!("{KEY}{key}")).unwrap_or_default()
}

/// Remembers an unfinished text; an empty one is forgotten.
pub fn save(key: &str, text: &str) {
    storage::put(Kept::Always, &format!("{KEY}{key}"), text);
}
