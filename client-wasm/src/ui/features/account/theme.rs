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

    /// The theme stored under this key. What is not known is the system's.
    fn of_key(key: &str) -> Self {
        let known = Self::ALL.into_iter().find(|theme| theme.key() == key);
        known.unwrap_or_default()
    }

    /// The remembered choice.
    pub fn load() -> Self {
        Self::of_key(&storage::get(Kept::Always, KEY).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::Theme;

    #[test]
    fn a_theme_is_found_again_by_its_key_and_an_unknown_key_is_the_systems() {
        for theme in Theme::ALL {
            assert_eq!(Theme::of_key(theme.key()), theme);
        }
        assert_eq!(Theme::of_key("sepia"), Theme::System);
    }
}
