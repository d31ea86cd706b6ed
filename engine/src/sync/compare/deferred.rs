//! When a relay begins the comparisons that neighbours ask for. What comes too early is deferred, the last one of each
//! link.

use core::time::Duration;

use protocol::limits;
use protocol::messages::{Compared, Message, Sketch, Verdict};

use super::{Comparing, Comparisons};
use crate::ctx::Ctx;
use crate::io::{AddressId, LinkId};
use crate::log::Log;
use crate::net::Net;
use crate::sync::answers::{DigestJob, DigestScope};
use crate::sync::sketch;
use crate::sync::work::{FEW_FEEDS, WorkLimit};
use crate::sync::{Sync, Wanting};

/// How often one neighbour may begin comparisons. Comparing a million feeds takes about two seconds.
const COMPARISONS: WorkLimit = WorkLimit {
    burst: 2,
    interval: Duration::from_secs(10),
    per_feed: Duration::from_micros(50),
};
/// Feeds that all comparisons of many feeds with limited neighbours may hold at a time: about 100 MB. Policy when full: a
/// further neighbour is compared by digest.
const FEEDS_HELD_MAX: usize = 4 << 20;

/// Whether a comparison of many feeds may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Free,
    /// Another neighbour of the address is being compared.
    Taken,
    /// Those of all addresses hold too many feeds.
    Full,
}

impl Comparisons {
    fn place(&self, address: AddressId, feeds: usize) -> Place {
        let mut held = 0;
        let under_way = self.links.values().filter_map(|of| of.under_way.as_deref());
        for (of, room) in under_way.filter_map(|comparing| comparing.place) {
            if of == address {
                return Place::Taken;
            }
            held += room;
        }
        match held > 0 && held + feeds > FEEDS_HELD_MAX {
            true => Place::Full,
            false => Place::Free,
        }
    }
}

impl Sync {
    /// Begins the comparison that the neighbour asked for, if it may.
    pub(super) fn begin_deferred(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        let Some(session) = net.session(link).filter(|_| wanting.serves_others()) else {
            return;
        };
        let compared = match self.interests.get(&link) {
            Some(interest) if !interest.everything => interest.matched.len(),
            _ => log.feeds.len(),
        };
        let place = session.limited().filter(|_| compared > FEW_FEEDS);
        let place = place.map(|address| (address, compared));
        let state = place.map_or(Place::Free, |(address, feeds)| {
            self.comparisons.place(address, feeds)
        });
        let Some(comparison) = self.comparisons.links.get_mut(&link) else {
            return;
        };
        let (now, feeds) = (ctx.now.instant, log.feeds.len());
        if comparison.deferred.is_none()
            || comparison.under_way.is_some()
            || state == Place::Taken
            || !comparison.work.may_begin(now, feeds, &COMPARISONS)
        {
            return;
        }
        if let Some(answers) = self.answers.get_mut(&link) {
            answers.drop_verdicts();
        }
        let Some(sketch) = comparison.deferred.take() else {
            return;
        };
        if state == Place::Full {
            let (round, verdict) = (sketch.round, Verdict::Plain);
            ctx.send(link, &Message::Compared(Compared { round, verdict }));
            return self.add_digest(link, DigestJob::new(DigestScope::Wanted(None), true));
        }
        let mut comparing = Comparing::new(sketch.round, now, None);
        comparing.place = place;
        if take_cells(ctx, link, &mut comparing, &sketch) {
            self.comparisons.put(link, comparing);
        }
    }
}

/// Takes cells of a neighbour. `false`: they are none, or do not follow those before.
pub(super) fn take_cells(ctx: &mut Ctx, link: LinkId, comparing: &mut Comparing, sketch: &Sketch) -> bool {
    let first = sketch.first as usize;
    let cells = sketch::decode(&sketch.cells).filter(|_| comparing.cells.len() == first);
    let Some(cells) = cells.filter(|cells| first + cells.len() <= limits::SKETCH_CELLS_MAX) else {
        ctx.misbehaved(link, "cells of a sketch that are none");
        return false;
    };
    comparing.theirs = sketch.feeds as usize;
    comparing.cells.extend(cells);
    true
}

#[cfg(test)]
#[path = "deferred_tests.rs"]
mod tests;
