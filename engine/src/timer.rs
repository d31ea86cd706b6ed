//! What time alone does, part by part.

use std::time::Duration;

use crate::ctx::Ctx;
use crate::parts::Parts;
use crate::role::Role;

/// Interval at which the engine checks what depends on time alone: pings, stalled fetches, claims, readiness.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same while a handshake is under way.
const INTERVAL_BUSY: Duration = Duration::from_millis(250);

pub(crate) fn handle_timeout(ctx: &mut Ctx, role: &mut Role, parts: &mut Parts) {
    let now = ctx.now.instant;
    #[cfg(feature = "relay")]
    if ctx.next_work.take_if(|at| now >= *at).is_some() {
        role.work(ctx, parts);
        if now < ctx.next_timeout {
            return;
        }
    }
    ctx.next_timeout = now + INTERVAL;
    let wanting = role.wanting(&parts.kinds);
    parts.net.on_timer(ctx, &parts.directory);
    parts.log.on_timer(ctx);
    parts.sync.on_timer(ctx, &parts.net, &parts.log, wanting);
    parts.on_timer(ctx);
    role.on_timer(ctx, parts);
    if now >= parts.next_anti_entropy {
        parts.next_anti_entropy = now + ctx.config.anti_entropy;
        parts.sync.anti_entropy(ctx, &parts.net, &parts.log);
        role.on_anti_entropy(ctx, parts);
    }
    if role.is_busy() {
        ctx.next_timeout = now;
    } else if parts.net.is_handshaking() {
        ctx.next_timeout = ctx.next_timeout.min(now + INTERVAL_BUSY);
    }
}

#[cfg(test)]
#[path = "timer_tests.rs"]
mod tests;
