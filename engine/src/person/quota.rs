//! A relay of this device takes no more entries for a time, because a quota is used up.

use std::time::Duration;

use protocol::messages::QuotaExceeded;

use crate::api::QuotaView;
use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::net::Net;

/// A relay that says it waits for longer is not believed: its quotas are of an hour.
const WAIT_MAX: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
pub(crate) struct QuotaNote {
    view: Option<QuotaView>,
}

impl QuotaNote {
    pub(super) fn on_exceeded(&mut self, ctx: &Ctx, net: &Net, link: LinkId, exceeded: &QuotaExceeded) {
        let session = net.session(link);
        if session.is_some_and(|session| net.known.contains(&session.peer)) {
            let wait = Duration::from_secs(exceeded.wait_s.into()).min(WAIT_MAX);
            self.view = Some(QuotaView {
                quota: exceeded.quota,
                per_hour: exceeded.per_hour,
                until: ctx.now.wall.plus(wait),
            });
        }
    }

    /// Once a second.
    pub(super) fn on_timer(&mut self, ctx: &Ctx) {
        self.view = self.view.filter(|view| ctx.now.wall < view.until);
    }

    pub(crate) fn view(&self) -> Option<QuotaView> {
        self.view
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
