//! Serving what neighbours ask for, as far as their credit goes.

use std::collections::VecDeque;

use ordered::Map;
use protocol::messages::{Credit, Entries, Message, RangeEnd, Want};
use protocol::{DeviceId, limits};

use crate::ctx::{Ctx, LoadOwner};
use crate::io::LinkId;
use crate::log::Log;
use crate::log::keys;
use crate::store::{LoadId, Read, Rows, Table};

use super::Sync;

/// Requests of one neighbour that wait to be answered. Policy when full: further ones are answered as empty.
pub(super) const WAITING_MAX: usize = 256;
/// Maximum number of store reads in progress for one neighbour.
const LOADING_MAX: usize = 4;
/// Bytes of entries in one message: verifying some hundred posts takes the receiver about 5 ms.
const ENTRIES_BYTES: usize = 32 * 1024;
/// Credit is granted again in pieces of this many bytes.
pub(super) const GRANT_BYTES: u32 = limits::CREDIT_WINDOW_BYTES / 4;

/// A request of a neighbour, or what is left of it.
#[derive(Clone, Copy, Debug)]
struct Serve {
    request: u32,
    device: DeviceId,
    from: u64,
    to: u64,
}

#[derive(Debug, Default)]
struct LinkServing {
    waiting: VecDeque<Serve>,
    loading: usize,
    /// Bytes stored of what the neighbour sent, not granted again yet.
    consumed: u32,
}

/// Requests of the neighbours.
#[derive(Debug, Default)]
pub(super) struct Serving {
    links: Map<LinkId, LinkServing>,
    loads: Map<LoadId, (LinkId, Serve)>,
}

impl Serving {
    pub(super) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.loads.retain(|_, (of, _)| *of != link);
    }

    /// Lets a neighbour send as many bytes of entries again as were stored.
    pub(super) fn grant(&mut self, ctx: &mut Ctx, link: LinkId, bytes: u32) {
        let serving = self.links.or_default(link);
        serving.consumed = serving.consumed.saturating_add(bytes);
        if serving.consumed >= GRANT_BYTES {
            let bytes = core::mem::take(&mut serving.consumed);
            ctx.send(link, &Message::Credit(Credit { bytes }));
        }
    }
}

impl Sync {
    /// A neighbour asks for entries.
    pub(super) fn on_want(&mut self, ctx: &mut Ctx, log: &Log, link: LinkId, want: Want) {
        let shared = log.feeds.get(&want.device).map_or(0, |feed| feed.shared().0);
        let serve = Serve {
            request: want.request,
            device: want.device,
            from: want.from,
            to: want.to.min(shared),
        };
        let serving = self.serving.links.or_default(link);
        if serve.from >= serve.to || serving.waiting.len() >= WAITING_MAX {
            return send_end(ctx, link, want.request);
        }
        serving.waiting.push_back(serve);
        self.pump_serving(ctx, log, link);
    }

    /// Reads entries a neighbour asked for, as long as it has credit.
    pub(super) fn pump_serving(&mut self, ctx: &mut Ctx, log: &Log, link: LinkId) {
        loop {
            if self.spread.credit(link) <= 0 {
                return;
            }
            let Some(serving) = self.serving.links.get_mut(&link) else {
                return;
            };
            if serving.loading >= LOADING_MAX {
                return;
            }
            let Some(serve) = serving.waiting.pop_front() else {
                return;
            };
            let Some(number) = log.feeds.get(&serve.device).map(|feed| feed.number) else {
                send_end(ctx, link, serve.request);
                continue;
            };
            serving.loading += 1;
            let read = Read::Range {
                table: Table::Entries,
                start: keys::entry(number, serve.from),
                end: keys::entry(number, serve.to),
                limit: limits::ENTRIES_PER_MESSAGE_MAX,
                bytes_max: ENTRIES_BYTES,
                reverse: false,
            };
            let id = ctx.load(LoadOwner::Serve, vec![read]);
            self.serving.loads.insert(id, (link, serve));
        }
    }

    /// Rows of a neighbour's request.
    pub(crate) fn on_serve_rows(&mut self, ctx: &mut Ctx, log: &Log, id: LoadId, rows: Rows) {
        let Some((link, mut serve)) = self.serving.loads.remove(&id) else {
            return;
        };
        self.end_loading(link);
        let rows = rows.into_iter().next().unwrap_or_default();
        // Entries are stored as they travel. A gap in the numbers would be a damaged store: what is before it is sent.
        let mut raw = Vec::with_capacity(rows.len());
        for (key, value) in &rows {
            if keys::seq_of(key) != Some(serve.from) {
                break;
            }
            raw.push(value.as_slice());
            serve.from += 1;
        }
        if !raw.is_empty() {
            let message = Entries::encode_raw(serve.request, &raw);
            self.spread.spend(link, message.len());
            ctx.send_bytes(link, &message);
            if let Some(feed) = log.feeds.get(&serve.device) {
                self.raise_advertised(link, feed.number, serve.from);
            }
        }
        if raw.is_empty() || serve.from >= serve.to {
            // A proof that came before its feed was dropped there.
            if let Some(proof) = log.forks.get(&serve.device) {
                ctx.send(link, &Message::ForkProof(proof.clone()));
            }
            send_end(ctx, link, serve.request);
        } else if let Some(serving) = self.serving.links.get_mut(&link) {
            serving.waiting.push_front(serve);
        }
        self.pump_serving(ctx, log, link);
    }

    /// A neighbour's request could not be read.
    pub(crate) fn on_serve_failed(&mut self, ctx: &mut Ctx, log: &Log, id: LoadId) {
        if let Some((link, serve)) = self.serving.loads.remove(&id) {
            self.end_loading(link);
            send_end(ctx, link, serve.request);
            self.pump_serving(ctx, log, link);
        }
    }

    fn end_loading(&mut self, link: LinkId) {
        if let Some(serving) = self.serving.links.get_mut(&link) {
            serving.loading = serving.loading.saturating_sub(1);
        }
    }
}

fn send_end(ctx: &mut Ctx, link: LinkId, request: u32) {
    ctx.send(link, &Message::RangeEnd(RangeEnd { request }));
}
