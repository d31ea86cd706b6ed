//! The reader's place in a list, stored when the list is left.

use protocol::EntryRef;

use crate::ui::route::{entry_from_text, entry_to_text};
use crate::ui::state::storage::{self, Kept};

const KEY: &str = "starling.place.";

/// A reader's place: the post at the top of the screen and how far it is from the edge, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScrollPosition {
    pub post: EntryRef,
    /// Its distance from the top of the screen.
    pub offset_px: i32,
}

impl ScrollPosition {
    fn from_text(text: &str) -> Option<Self> {
        let (post, offset) = text.split_once(' ')?;
        Some(Self {
            post: entry_from_text(post)?,
            offset_px: offset.parse().ok()?,
        })
    }

    fn to_text(self) -> String {
        format!("{} {}", entry_to_text(&self.post), self.offset_px)
    }
}

/// Loads the place at which the reader left a list.
pub fn load(list: &str, kept: Kept) -> Option<ScrollPosition> {
    ScrollPosition::from_text(&storage::get(kept, &format!("{KEY}{list}"))?)
}

/// Remembers where the reader is in a list.
pub fn save(list: &str, kept: Kept, place: ScrollPosition) {
    storage::put(kept, &format!("{KEY}{list}"), &place.to_text());
}

#[cfg(test)]
mod tests {
    use protocol::{AccountId, EntryId};

    use super::*;

    #[test]
    fn a_place_is_read_back_as_it_was_written() {
        let place = ScrollPosition {
            post: EntryRef {
                account: AccountId([1; 32]),
                id: EntryId([2; 32]),
            },
            offset_px: -17,
        };
        assert_eq!(ScrollPosition::from_text(&place.to_text()), Some(place));
        for broken in ["", "nonsense", "a/b 1", &place.to_text().replace("-17", "far")] {
            assert_eq!(ScrollPosition::from_text(broken), None, "{broken}");
        }
    }
}
