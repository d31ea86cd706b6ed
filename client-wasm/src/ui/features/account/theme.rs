//! Light or dark.

use crate::ui::dom;
use crate::ui::state::storage::{self, Kept};

const KEY: &str = "starling.theme";

/// How the app looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// All, in the order they are offered.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    fn key(self) -> &'static str {
        match self {
            Self::System => "",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The remembered choice.
    pub fn load() -> Self {
        match storage::get(Kept::Always, KEY).as_deref() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    /// Remembers the choice and applies it at once.
    pub fn apply(self) {
        storage::put(Kept::Always, KEY, self.key());
        let Some(root) = dom::document().document_element() else {
            return;
        };
        // Setting a plain attribute on the root element cannot fail.
        let _ = if self == Self::System {
            root.remove_attribute("data-theme")
        } else {
            root.set_attribute("data-theme", self.key())
        };
    }
}
