//! Work that relays ask of this device before they take its account, because many new accounts come to them. Until it is
//! done, the posts of this device wait like those of a device without a relay.
//!
//! Invariant: one task at most for each link, and one is worked on at a time, in steps.

use ordered::Map;
use protocol::messages::{Message, WorkDone, WorkRequired};
use protocol::work::Puzzle;

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::net::Net;

use super::claims::{TRIES, WORK_BITS_MAX};

#[derive(Debug)]
struct Task {
    required: WorkRequired,
    puzzle: Puzzle,
    /// The next number to try.
    nonce: u64,
}

#[derive(Debug, Default)]
pub(crate) struct AdmissionWork {
    tasks: Map<LinkId, Task>,
}

impl AdmissionWork {
    /// A relay asks for work. Only relays that this device knows may, and of each link the last demand counts.
    pub(super) fn on_required(&mut self, ctx: &mut Ctx, net: &Net, link: LinkId, required: WorkRequired) {
        let Some(session) = net.session(link).filter(|it| net.known.contains(&it.peer)) else {
            return;
        };
        let is_same = self
            .tasks
            .get(&link)
            .is_some_and(|task| task.required == required);
        let Some(account) = ctx.me().filter(|_| !is_same && required.bits <= WORK_BITS_MAX) else {
            return;
        };
        let task = Task {
            required,
            puzzle: Puzzle::new(&session.peer, &account, &required.challenge, required.bits),
            nonce: 0,
        };
        self.tasks.insert(link, task);
        ctx.wake();
    }

    /// Whether [`Self::on_timer`] has work at hand.
    pub(crate) fn is_busy(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Goes on with the first task.
    pub(super) fn on_timer(&mut self, ctx: &mut Ctx) {
        let Some((link, task)) = self.tasks.iter_mut().next() else {
            return;
        };
        let link = *link;
        if task.puzzle.seek(&mut task.nonce, TRIES) {
            let WorkRequired { bits, challenge } = task.required;
            let nonce = task.nonce;
            self.tasks.remove(&link);
            let done = WorkDone {
                bits,
                challenge,
                nonce,
            };
            ctx.send(link, &Message::WorkDone(done));
        }
    }

    pub(super) fn on_session_down(&mut self, link: LinkId) {
        self.tasks.remove(&link);
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
