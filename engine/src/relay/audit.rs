//! Proof that other relays hold what they say: a relay repeatedly asks another for one random entry of a feed. A relay
//! that can show the entry with its author's signature holds it; one that cannot counts as not having that feed any
//! more, and is offered it again.
//!
//! Invariant: one question per neighbour is under way; its answer is checked like any entry, and not stored.

use core::time::Duration;

use ordered::Map;
use protocol::messages::Entries;
use protocol::{DeviceId, Instant};

use crate::io::LinkId;

/// A question that is not answered for this long counts as one to which nothing was shown.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// The entry a neighbour is asked to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) device: DeviceId,
    pub(crate) seq: u64,
    /// It said that it holds the entry; otherwise it is only asked whether it does.
    pub(crate) claimed: bool,
}

/// A question, and whether the entry was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    request: u32,
    begun: Instant,
    pub(crate) question: Question,
    pub(crate) shown: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Audits {
    links: Map<LinkId, Audit>,
}

impl Audits {
    /// A neighbour was asked by this request.
    pub(crate) fn begin(&mut self, link: LinkId, request: u32, question: Question, begun: Instant) {
        let shown = false;
        let audit = Audit {
            request,
            begun,
            question,
            shown,
        };
        self.links.insert(link, audit);
    }

    /// Ends the audits that were not answered for too long.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<(LinkId, Audit)> {
        let is_overdue = |audit: &Audit| now.since(audit.begun) >= ANSWERED_WITHIN;
        let overdue = self.links.iter().filter(|(_, audit)| is_overdue(audit));
        let overdue: Vec<_> = overdue.map(|(link, audit)| (*link, *audit)).collect();
        self.links.retain(|_, audit| !is_overdue(audit));
        overdue
    }

    /// Whether a neighbour was asked about this feed, and has not answered in full.
    pub(crate) fn is_about(&self, link: LinkId, device: &DeviceId) -> bool {
        let audit = self.links.get(&link);
        audit.is_some_and(|audit| audit.question.device == *device)
    }

    pub(crate) fn is_under_way(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Whether these entries answer an audit; if so they are checked here.
    pub(crate) fn on_entries(&mut self, link: LinkId, entries: &Entries) -> bool {
        let audit = self.links.get_mut(&link);
        let Some(audit) = audit.filter(|audit| audit.request == entries.request) else {
            return false;
        };
        if let [entry] = entries.entries.as_slice() {
            let header = &entry.signed.header;
            let Question { device, seq, .. } = audit.question;
            let asked_for = header.device == device && header.seq == seq;
            audit.shown = asked_for && entry.clone().verify().is_ok();
        }
        true
    }

    pub(crate) fn on_end(&mut self, link: LinkId, request: u32) -> Option<Audit> {
        let audit = self.links.get(&link);
        audit.filter(|audit| audit.request == request)?;
        self.links.remove(&link)
    }

    pub(crate) fn on_session_down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
