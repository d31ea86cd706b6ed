//! Proof that other members keep a feed that this relay signed for and would drop.
//!
//! A member that keeps the feed signs a receipt for it and then shows a random entry of that very feed. It is asked
//! for the entry alone, and answers with both. A feed is replaced by that member as long as the receipt names what is
//! held here, to the last entry, and the link lasts.
//!
//! Invariants: nothing is a proof but a receipt whose signature was checked, and an entry that was shown after it on
//! the same link. Policy when full: no further account is examined until a feed is dropped, or not proven for
//! [`PROVEN_WITHIN`].

use core::time::Duration;
use std::collections::VecDeque;

use ordered::Map;
use protocol::messages::receipt::Receipt;
use protocol::{AccountId, DeviceId, EntryId, Instant};

use crate::io::LinkId;
use crate::log::feeds::{Feed, Feeds};

/// Feeds that are examined at once.
const CANDIDATES_MAX: usize = 1_024;
/// A feed that is not dropped for this long makes room for others.
const PROVEN_WITHIN: Duration = Duration::from_secs(60);

/// A relay whose answer was no proof, or that did not answer, is asked about the same feed again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What the relay at the end of a link proved of a feed.
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    /// It is going to be asked.
    waits: bool,
    /// When it is asked again at the earliest.
    again: Instant,
    /// Its receipt: how far, and the last entry.
    signed: Option<(u64, EntryId)>,
    /// It showed an entry since.
    shown: bool,
}

impl Proof {
    fn covers(&self, feed: &Feed) -> bool {
        feed.valid_len() == 0 || (self.shown && self.signed == Some(feed.shared()))
    }
}

/// A feed that is examined.
#[derive(Debug)]
struct Candidate {
    account: AccountId,
    since: Instant,
    /// Of the relays that should replace this one.
    proofs: Map<LinkId, Proof>,
}

#[derive(Debug, Default)]
pub(crate) struct Replacements {
    candidates: Map<DeviceId, Candidate>,
    /// The feeds that a relay is to be asked about, one after the other.
    questions: Map<LinkId, VecDeque<DeviceId>>,
    /// Accounts about which something was proven since they were judged.
    news: VecDeque<AccountId>,
}

impl Replacements {
    /// How many more feeds can be examined.
    pub(crate) fn room(&self) -> usize {
        CANDIDATES_MAX.saturating_sub(self.candidates.len())
    }

    /// The relays at the end of these links should prove that they keep an account's feeds.
    pub(crate) fn examine(&mut self, feeds: &Feeds, account: &AccountId, links: &[LinkId], now: Instant) {
        for (device, feed) in feeds.feeds_of(account) {
            let candidate = self.candidates.or_insert_with(device, || Candidate {
                account: *account,
                since: now,
                proofs: Map::new(),
            });
            for link in links {
                let proof = candidate.proofs.or_default(*link);
                if !proof.waits && !proof.covers(feed) && now >= proof.again {
                    (proof.waits, proof.again) = (true, now + ASK_AGAIN);
                    self.questions.or_default(*link).push_back(device);
                }
            }
        }
    }

    /// Whether the relay at the end of a link proved that it keeps a feed as far as it is held here.
    pub(crate) fn is_proven(&self, link: LinkId, device: &DeviceId, feed: &Feed) -> bool {
        let candidate = self.candidates.get(device);
        let proof = candidate.and_then(|candidate| candidate.proofs.get(&link));
        proof.copied().unwrap_or_default().covers(feed)
    }

    /// The links whose relay is to be asked something.
    pub(crate) fn links(&self) -> Vec<LinkId> {
        let links = self.questions.iter().filter(|(_, feeds)| !feeds.is_empty());
        links.map(|(link, _)| *link).collect()
    }

    /// The next feed that the relay at the end of a link is to be asked about.
    pub(crate) fn next_question(&mut self, link: LinkId) -> Option<DeviceId> {
        let questions = self.questions.get_mut(&link)?;
        while let Some(device) = questions.pop_front() {
            let candidate = self.candidates.get_mut(&device);
            let proof = candidate.and_then(|candidate| candidate.proofs.get_mut(&link));
            if let Some(proof) = proof.filter(|proof| proof.waits) {
                proof.waits = false;
                return Some(device);
            }
        }
        None
    }

    /// The relay at the end of a link signed a receipt, which is verified.
    pub(crate) fn on_receipt(&mut self, link: LinkId, receipt: &Receipt) {
        let signed = Some((receipt.next_seq, receipt.head));
        if let Some(proof) = self.proof(link, &receipt.device)
            && proof.signed != signed
        {
            (proof.signed, proof.shown) = (signed, false);
        }
    }

    /// It showed an entry of a feed.
    pub(crate) fn on_shown(&mut self, link: LinkId, device: &DeviceId) {
        let Some(proof) = self.proof(link, device).filter(|proof| proof.signed.is_some()) else {
            return;
        };
        proof.shown = true;
        let account = self.candidates.get(device).map(|candidate| candidate.account);
        self.news
            .extend(account.filter(|account| !self.news.contains(account)));
    }

    /// It did not, or says that it keeps the feed no longer.
    pub(crate) fn retract(&mut self, link: LinkId, device: &DeviceId) {
        if let Some(proof) = self.proof(link, device) {
            (proof.signed, proof.shown) = (None, false);
        }
    }

    /// The accounts about which something was proven since this was last asked.
    pub(crate) fn take_news(&mut self) -> VecDeque<AccountId> {
        core::mem::take(&mut self.news)
    }

    /// Those that were not judged.
    pub(crate) fn return_news(&mut self, news: VecDeque<AccountId>) {
        self.news = news;
    }

    /// Once a second.
    pub(crate) fn on_timer(&mut self, now: Instant) {
        let candidates = &mut self.candidates;
        candidates.retain(|_, candidate| now.since(candidate.since) < PROVEN_WITHIN);
        for questions in self.questions.values_mut() {
            questions.retain(|device| candidates.contains_key(device));
        }
    }

    /// A feed is not held here any more.
    pub(crate) fn on_feed_dropped(&mut self, device: &DeviceId) {
        self.candidates.remove(device);
    }

    pub(crate) fn on_session_down(&mut self, link: LinkId) {
        self.questions.remove(&link);
        for candidate in self.candidates.values_mut() {
            candidate.proofs.remove(&link);
        }
    }

    fn proof(&mut self, link: LinkId, device: &DeviceId) -> Option<&mut Proof> {
        self.candidates.get_mut(device)?.proofs.get_mut(&link)
    }
}

#[cfg(test)]
#[path = "replacements_tests.rs"]
mod tests;
