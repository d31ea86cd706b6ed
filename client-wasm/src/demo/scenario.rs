//! Which state of the interface is shown, by the address: `/?state=offline,phrase`.

use crate::ui::dom;

/// What the address asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    words: [bool; SCENARIO_WORDS.len()],
}

const SCENARIO_WORDS: [&str; 22] = [
    "stranger",
    "empty",
    "offline",
    "connecting",
    "phrase",
    "follower",
    "full",
    "failing",
    "update",
    "revoked",
    "forked",
    "old-copy",
    "blocked",
    "nostore",
    "outdated",
    "stopped",
    "searching",
    "norelay",
    "volatile",
    "many",
    "refuse",
    "opening",
];

impl Scenario {
    /// The scenario in the address bar.
    pub(super) fn load() -> Self {
        let search = dom::window().location().search().unwrap_or_default();
        let named: Vec<&str> = search.split(['?', '&', '=', ',']).collect();
        Self {
            words: SCENARIO_WORDS.map(|word| named.contains(&word)),
        }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        SCENARIO_WORDS
            .iter()
            .zip(self.words)
            .any(|(known, on)| *known == word && on)
    }
}
