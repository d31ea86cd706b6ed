//! Reading the store at the start: the tables that are held in memory, then the newest own entries. Other entries stay
//! on disk.

use protocol::kinds::Revocation;
use protocol::{AccountId, DeviceId, PeerId, codec};

use crate::api::Event;
use crate::ctx::{Ctx, LoadOwner};
use crate::io::Log;
use crate::kinds::Kinds;
use crate::log::keys::id_at;
use crate::log::records::{FeedRecord, HolderRecord, meta};
use crate::parts::Parts;
use crate::role::Role;
use crate::store::{Read, Rows, Table};

/// Tables of the log, the address book and the role. The identity comes first: what is read after it depends on it.
const OWN: [Table; 7] = [
    Table::Meta,
    Table::Feeds,
    Table::Holders,
    Table::Forks,
    Table::Revocations,
    Table::Tokens,
    Table::Relays,
];

/// How far the store has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Boot {
    #[default]
    Tables,
    OwnEntries,
    Done,
}

fn tables() -> impl Iterator<Item = Table> {
    OWN.iter().chain(Kinds::STATE_TABLES).copied()
}

impl Boot {
    /// Reads the tables that are held in memory.
    pub(crate) fn begin(ctx: &mut Ctx) -> Self {
        let reads = tables().map(|table| Read::prefix(table, &[], usize::MAX));
        ctx.load(LoadOwner::Boot, reads.collect());
        Self::Tables
    }

    /// `true`: the store has been read.
    pub(crate) fn on_rows(&mut self, ctx: &mut Ctx, role: &mut Role, parts: &mut Parts, rows: Rows) -> bool {
        match self {
            Self::Tables => {
                for (table, rows) in tables().zip(rows) {
                    for (key, value) in rows {
                        if restore_row(ctx, role, parts, table, &key, &value).is_none() {
                            // A damaged row is skipped. What a feed, a receipt or a relay said comes back from neighbours.
                            ctx.log(Log::Corrupt { table });
                        }
                    }
                }
                parts.log.restore_limits(ctx);
                if let Some(read) = parts.log.own_entries_read(ctx) {
                    ctx.load(LoadOwner::Boot, vec![read]);
                    *self = Self::OwnEntries;
                    return false;
                }
            }
            Self::OwnEntries => {
                let rows = rows.into_iter().flatten().collect();
                parts.log.restore_own_entries(rows);
            }
            Self::Done => return false,
        }
        *self = Self::Done;
        ctx.ready = true;
        ctx.wake();
        ctx.event(Event::Ready {
            account: ctx.me().is_some(),
        });
        true
    }
}

fn restore_row(
    ctx: &mut Ctx,
    role: &mut Role,
    parts: &mut Parts,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Option<()> {
    let Parts {
        log,
        net,
        kinds,
        views,
        ..
    } = parts;
    match table {
        Table::Meta if key == meta::REGISTRY => {
            kinds.restore_registry(ctx, codec::decode_extensible(value).ok()?);
        }
        Table::Meta if [meta::REBUILD, meta::KINDS].contains(&key) || key.starts_with(meta::REINDEX) => {
            return views.restore(key, value);
        }
        Table::Meta if key.starts_with(meta::NO_MEMBER) => {
            log.holders
                .restore_no_member(PeerId(id_at(key, meta::NO_MEMBER.len())?));
        }
        Table::Feeds => {
            let (record, counted) = FeedRecord::parse(value)?;
            log.feeds.restore(DeviceId(id_at(key, 0)?), record);
            if !counted {
                views.rebuild(ctx, log, kinds);
            }
        }
        Table::Holders => {
            let (device, peer) = (DeviceId(id_at(key, 0)?), PeerId(id_at(key, 32)?));
            log.holders.restore(device, peer, HolderRecord::parse(value)?);
        }
        Table::Forks => {
            let proof = codec::decode_extensible(value).ok()?;
            log.forks.insert(DeviceId(id_at(key, 0)?), proof);
        }
        Table::Revocations => {
            let of = (AccountId(id_at(key, 0)?), DeviceId(id_at(key, 32)?));
            let revocation: Revocation = codec::decode_extensible(value).ok()?;
            log.revocations.insert(of, revocation);
        }
        Table::Relays => net.known.restore(PeerId(id_at(key, 0)?), value),
        Table::Meta | Table::Tokens => return role.restore_row(ctx, parts, table, key, value),
        table => return kinds.restore_row(table, key, value),
    }
    Some(())
}

#[cfg(test)]
#[path = "boot_tests.rs"]
mod tests;
