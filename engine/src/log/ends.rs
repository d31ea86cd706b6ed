//! Where feeds end of which void entries are held: a fork or a revocation can come after the entries that it makes void.
//! Which entry is the last one is read from the store.

use std::collections::VecDeque;

use ordered::Map;
use protocol::{DeviceId, Entry, codec};

use crate::ctx::{Ctx, LoadOwner};
use crate::io::Log as Line;
use crate::log::Log;
use crate::log::keys;
use crate::store::{LoadId, Read, Rows, Table};

/// Entries read at once.
const READS_MAX: usize = 64;

/// Reads of last entries.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Feeds whose last entry is to be read; each is held, so they are bounded like feeds.
    waiting: VecDeque<DeviceId>,
    loading: Map<LoadId, Vec<(DeviceId, u64)>>,
}

impl Log {
    /// Finds the end of a feed whose limit was set, if it holds void entries.
    pub(super) fn find_end(&mut self, ctx: &mut Ctx, device: DeviceId) {
        let Some(feed) = self.feeds.get(&device) else {
            return;
        };
        let limit = feed.limit();
        if limit > 0 && feed.next_seq > limit && !self.ends.waiting.contains(&device) {
            self.ends.waiting.push_back(device);
        }
        self.pump_ends(ctx);
    }

    fn pump_ends(&mut self, ctx: &mut Ctx) {
        if self.ends.waiting.is_empty() || !self.ends.loading.is_empty() {
            return;
        }
        let (mut of, mut reads) = (Vec::new(), Vec::new());
        while reads.len() < READS_MAX {
            let Some(device) = self.ends.waiting.pop_front() else {
                break;
            };
            let feed = self.feeds.get(&device);
            let limit = feed.map_or(0, super::feeds::Feed::limit);
            if let Some((feed, last)) = feed.zip(limit.checked_sub(1)) {
                of.push((device, limit));
                reads.push(Read::Get {
                    table: Table::Entries,
                    key: keys::entry(feed.number, last),
                });
            }
        }
        if !reads.is_empty() {
            let id = ctx.load(LoadOwner::ForkCheck, reads);
            self.ends.loading.insert(id, of);
        }
    }

    /// The last entries of feeds; `None`: they could not be read, and are read again with the next ones. `false`: these
    /// are the rows of another load.
    pub(super) fn on_end_rows(&mut self, ctx: &mut Ctx, id: LoadId, rows: Option<Rows>) -> bool {
        let Some(of) = self.ends.loading.remove(&id) else {
            return false;
        };
        let Some(rows) = rows else {
            self.ends.waiting.extend(of.into_iter().map(|(device, _)| device));
            return true;
        };
        for ((device, limit), rows) in of.into_iter().zip(rows) {
            let entry = rows.first().map(|(_, value)| codec::decode::<Entry>(value));
            match (entry, self.feeds.get_mut(&device)) {
                (Some(Ok(entry)), Some(feed)) => feed.end = Some((limit, entry.signed.header.id())),
                (Some(Err(_)), _) => {
                    let table = Table::Entries;
                    ctx.log(Line::Corrupt { table });
                }
                (None, _) | (_, None) => {}
            }
        }
        self.pump_ends(ctx);
        true
    }
}
