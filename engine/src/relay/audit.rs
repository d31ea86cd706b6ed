//! Proof that others hold what they say they hold: a relay asks another for one entry of a feed, chosen by chance, again and
//! again. Whoever can show it with its author's signature has it; whoever cannot does not count as having that feed any
//! more, and is offered it anew.
//!
//! Invariant: one question per neighbour is under way; an answer is checked like any entry and kept by nobody.

use protocol::message::Entries;
use protocol::{DeviceId, PeerId};
use rand_core::Rng;

use crate::Engine;
use crate::io::{LinkId, Log, Output};

/// What a neighbour was asked to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audit {
    request: u32,
    device: DeviceId,
    seq: u64,
    /// It said that it has it; otherwise it is only asked whether it does.
    claimed: bool,
    shown: bool,
}

impl Engine {
    /// Asks one neighbouring relay, by chance, for one entry it said it has.
    pub(crate) fn audit(&mut self) {
        if !self.is_relay() {
            return;
        }
        let links = self.links_whose(|up| up.neighbour && up.relay && !up.has.is_empty());
        let Some(link) = self.any_of(&links) else { return };
        let (feed, entry) = (self.rng.next_u64(), self.rng.next_u64());
        let Some(up) = self.up(link) else { return };
        let claimed = up.has.iter().nth((feed % up.has.len() as u64) as usize);
        let Some((device, has)) = claimed.and_then(|(number, has)| Some((self.feeds.device(*number)?, *has)))
        else {
            return;
        };
        let seq = entry % has.max(1);
        let Some(request) = self.want_one(link, device, seq) else {
            return;
        };
        let Some(up) = self.up_mut(link) else { return };
        let unanswered = up.audit.replace(Audit {
            request,
            device,
            seq,
            claimed: true,
            shown: false,
        });
        if let Some(unanswered) = unanswered {
            self.judge_audit(link, unanswered);
            self.end_checks(link);
        }
    }

    /// Asks a neighbouring relay for an entry that it has not said it has: it may have it from another by now.
    pub(crate) fn ask_whether_held(&mut self, link: LinkId, device: DeviceId, seq: u64) {
        if self.up(link).is_none_or(|up| up.audit.is_some()) {
            return;
        }
        let Some(request) = self.want_one(link, device, seq) else {
            return;
        };
        if let Some(up) = self.up_mut(link) {
            up.audit = Some(Audit {
                request,
                device,
                seq,
                claimed: false,
                shown: false,
            });
        }
    }

    /// Whether these entries are the answer to an audit; then they are looked at here.
    pub(crate) fn on_audited(&mut self, link: LinkId, entries: &Entries) -> bool {
        if !self.is_relay() {
            return false;
        }
        let Some(audit) = self.up_mut(link).and_then(|up| up.audit.as_mut()) else {
            return false;
        };
        if audit.request != entries.request {
            return false;
        }
        if let [entry] = entries.entries.as_slice() {
            let header = &entry.signed.header;
            let asked_for = header.device == audit.device && header.seq == audit.seq;
            audit.shown = asked_for && entry.clone().verify().is_ok();
        }
        true
    }

    /// Whether this ends an audit; then it is judged.
    pub(crate) fn on_audit_end(&mut self, link: LinkId, request: u32) -> bool {
        if !self.is_relay() {
            return false;
        }
        let Some(up) = self.up_mut(link) else {
            return false;
        };
        let Some(audit) = up.audit.take_if(|audit| audit.request == request) else {
            return false;
        };
        self.judge_audit(link, audit);
        self.end_checks(link);
        true
    }

    fn judge_audit(&mut self, link: LinkId, audit: Audit) {
        if audit.shown {
            self.note_has(link, &audit.device, audit.seq + 1);
        }
        if !audit.claimed {
            return;
        }
        self.audits += 1;
        if audit.shown {
            return;
        }
        self.audits_failed += 1;
        let Some(feed) = self.feeds.get(&audit.device) else {
            return;
        };
        let (number, account) = (feed.number, feed.account);
        let Some(up) = self.up_mut(link) else { return };
        up.has.remove(&number);
        up.told.remove(&number);
        let peer: PeerId = up.peer;
        self.emit(Output::Log(Log::NotHeld {
            peer,
            device: audit.device,
            seq: audit.seq,
        }));
        self.send_digest(link, &[account], true);
    }
}
