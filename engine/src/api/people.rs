//! People, how much of what they signed is here, and which peers hold an own post.

use protocol::messages::receipt::Reason;
use protocol::{AccountId, DeviceId, EntryId, PeerId, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileView {
    pub account: AccountId,
    /// Display name; empty if not known yet.
    pub name: String,
    pub bio: String,
    /// Name in the registry; empty if there is none that is proven.
    pub handle: String,
    /// Oneself.
    pub mine: bool,
    /// Followed by oneself.
    pub followed: bool,
    /// Entries stored here, of all devices.
    pub entries: u64,
    /// One of the feeds is forked and frozen.
    pub forked: bool,
    /// Nothing of this person is stored here yet; peers are being asked.
    pub searching: bool,
    /// The feeds of the person's devices, the last written first. This and what follows is found for
    /// [`Query::Profile`](super::Query::Profile) alone.
    pub feeds: Vec<FeedView>,
    /// Linked peers that said how far they have them.
    pub reported_by: u32,
    /// When one last did, since this device was started.
    pub compared: Option<Timestamp>,
}

impl ProfileView {
    /// Posts stored here and shown.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.feeds.iter().map(|feed| feed.posts).sum()
    }

    /// Entries that linked peers say they have and this one has not.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.feeds
            .iter()
            .fold(0, |sum, feed| feed.missing.saturating_add(sum))
    }

    /// When the newest entry stored here was signed, by its author's clock.
    #[must_use]
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.feeds
            .iter()
            .filter(|feed| feed.entries > 0)
            .map(|feed| feed.signed_at)
            .max()
    }

    /// All that was signed until then is here, each entry linked to the one before, and of the peers asked none has
    /// more. Never so for a feed that contradicts itself, or as long as nobody was asked.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.compared.is_some() && !self.forked && self.signed_at().is_some() && self.missing() == 0
    }
}

/// A device's feed. What is stored of it is its beginning, without a gap, each entry of it signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedView {
    pub device: DeviceId,
    /// What it is called.
    pub name: String,
    /// Entries stored here and valid.
    pub entries: u64,
    /// Posts among them.
    pub posts: u64,
    /// The newest of them; all zero if that is not known.
    pub head: EntryId,
    /// The time of signing, by the author's clock.
    pub signed_at: Timestamp,
    /// Entries beyond, which linked peers say they have.
    pub missing: u64,
}

/// A peer that holds an own post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderView {
    pub peer: PeerId,
    /// A relay, with a signed receipt; otherwise a peer that said so over its link.
    pub relay: bool,
    /// The time at which this device learned of it.
    pub at: Timestamp,
    /// A relay that held the post and keeps it no longer.
    pub withdrawn: Option<Reason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(entries: u64, posts: u64, missing: u64, signed_at: u64) -> FeedView {
        FeedView {
            device: DeviceId::default(),
            name: String::new(),
            entries,
            posts,
            head: EntryId::default(),
            signed_at: Timestamp(signed_at),
            missing,
        }
    }

    fn profile(feeds: Vec<FeedView>) -> ProfileView {
        ProfileView {
            feeds,
            compared: Some(Timestamp(1)),
            ..ProfileView::default()
        }
    }

    #[test]
    fn feeds_of_a_person_are_added_up() {
        let view = profile(vec![feed(3, 2, 1, 7), feed(4, 1, u64::MAX, 5), feed(0, 0, 0, 9)]);
        assert_eq!(view.posts(), 3);
        assert_eq!(view.missing(), u64::MAX, "a neighbour may say any number");
        assert_eq!(view.signed_at(), Some(Timestamp(7)), "of entries that are here");
        assert_eq!(profile(vec![feed(0, 0, 0, 9)]).signed_at(), None);
    }

    #[test]
    fn a_person_is_complete_if_nobody_asked_has_more() {
        let whole = profile(vec![feed(3, 2, 0, 7)]);
        assert!(whole.is_complete());
        let (forked, compared) = (true, None);
        let not = [
            ProfileView {
                forked,
                ..whole.clone()
            },
            ProfileView {
                compared,
                ..whole.clone()
            },
            profile(vec![feed(3, 2, 1, 7)]),
            profile(vec![feed(0, 0, 0, 7)]),
        ];
        for view in not {
            assert!(!view.is_complete(), "{view:?}");
        }
    }
}
