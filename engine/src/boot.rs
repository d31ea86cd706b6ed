//! Reading the store at start: identity, feeds, profiles, follows. Entries stay on disk.

use protocol::entry::Kind;
use protocol::identity::Revocation;
use protocol::{AccountId, DeviceId, Entry, PeerId, codec};
use serde::de::DeserializeOwned;

use crate::api::Event;
use crate::io::{Log, Output};
use crate::log::durability::OWN_POSTS_MAX;
use crate::log::keys::{self, id_at};
use crate::log::records::{
    FeedRecord, FollowRecord, HolderRecord, IdentityRecord, Preferences, ProfileRecord, RelayRecord, meta,
};
use crate::store::{Read, Row, Rows, Table};
use crate::{Engine, Waiting};

/// How far the store has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Small tables.
    Reading,
    /// The newest own entries.
    ReadingOwn,
    /// Done.
    Ready,
}

const WHOLE: [Table; 10] = [
    Table::Meta,
    Table::Feeds,
    Table::Profiles,
    Table::Follows,
    Table::Holders,
    Table::Forks,
    Table::Revocations,
    Table::Tokens,
    Table::Relays,
    Table::Names,
];

impl Engine {
    pub(crate) fn begin_boot(&mut self) {
        let reads = WHOLE
            .iter()
            .map(|table| Read::prefix(*table, &[], usize::MAX))
            .collect();
        self.load(reads, Waiting::Boot);
    }

    pub(crate) fn on_boot_rows(&mut self, rows: Rows) {
        match self.stage {
            Stage::Reading => self.on_small_tables(rows),
            Stage::ReadingOwn => self.on_own_entries(rows),
            Stage::Ready => {}
        }
    }

    fn on_small_tables(&mut self, rows: Rows) {
        for (table, rows) in WHOLE.into_iter().zip(rows) {
            for (key, value) in rows {
                if self.restore_row(table, &key, &value).is_none() {
                    // A row that is not what was written there is skipped; what it said comes back from peers.
                    self.emit(Output::Log(Log::Corrupt { table }));
                }
            }
        }
        self.restore_limits();
        let own = self
            .identity
            .as_ref()
            .and_then(|identity| self.feeds.get(&identity.device));
        match own.map(|feed| (feed.number, feed.next_seq)) {
            Some((number, next_seq)) => {
                let read = Read::Range {
                    table: Table::Entries,
                    start: keys::entry(number, 0),
                    end: keys::entry(number, next_seq),
                    limit: OWN_POSTS_MAX,
                    bytes_max: usize::MAX,
                    reverse: true,
                };
                self.stage = Stage::ReadingOwn;
                self.load(vec![read], Waiting::Boot);
            }
            None => self.finish_boot(),
        }
    }

    fn restore_row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Option<()> {
        fn parse<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
            codec::decode_extensible(value).ok()
        }
        match table {
            Table::Meta if key == meta::IDENTITY => {
                self.identity = Some(parse::<IdentityRecord>(value)?.into());
            }
            Table::Meta if key == meta::PREFERENCES => {
                self.relays_only = parse::<Preferences>(value)?.relays_only;
            }
            Table::Meta if key == meta::NETWORKED => self.placement.restore_networked(),
            Table::Meta if key == meta::REGISTRY => self.names.restore_registry(parse(value)?),
            Table::Meta if key.starts_with(meta::CLAIM) => self.claims.restore(parse(value)?),
            Table::Meta if key == meta::OFFERED => self.offered = Some(parse(value)?),
            Table::Meta if key == meta::REBUILD => self.refold.resume_all(),
            Table::Meta => {
                if let Some(number) = key.strip_prefix(meta::DROP).filter(|_| cfg!(feature = "relay")) {
                    let number = u32::from_be_bytes(number.try_into().ok()?);
                    self.feeds.reserve(number);
                    self.cache.resume(number);
                } else if let Some(account) = key.strip_prefix(meta::REFOLD).and_then(|rest| id_at(rest, 0)) {
                    self.refold.resume(AccountId(account));
                }
            }
            Table::Feeds => {
                let (record, counted) = FeedRecord::parse(value)?;
                self.feeds.restore(DeviceId(id_at(key, 0)?), record);
                if !counted {
                    self.begin_rebuild();
                }
            }
            Table::Profiles => {
                self.feeds.account_mut(AccountId(id_at(key, 0)?)).profile =
                    Some(parse::<ProfileRecord>(value)?);
            }
            Table::Follows => {
                self.follows
                    .insert(AccountId(id_at(key, 0)?), parse::<FollowRecord>(value)?);
            }
            Table::Holders => self.holders.restore(
                DeviceId(id_at(key, 0)?),
                PeerId(id_at(key, 32)?),
                parse::<HolderRecord>(value)?,
            ),
            Table::Forks => {
                self.forks.insert(DeviceId(id_at(key, 0)?), parse(value)?);
            }
            Table::Revocations => {
                let of = (AccountId(id_at(key, 0)?), DeviceId(id_at(key, 32)?));
                self.revocations.insert(of, parse::<Revocation>(value)?.next_seq);
            }
            Table::Tokens => {
                self.tokens.insert(key.try_into().ok()?, parse(value)?);
            }
            Table::Names => {
                let account = AccountId(id_at(key, 0)?);
                self.feeds.account_mut(account).named = Some(parse(value)?);
                self.index_name(account);
            }
            Table::Relays => {
                // Older versions knew no address.
                let url = parse::<RelayRecord>(value).map_or_else(String::new, |record| record.url);
                self.peers.restore_relay(PeerId(id_at(key, 0)?), url);
            }
            _ => {}
        }
        Some(())
    }

    fn restore_limits(&mut self) {
        let device = self.identity.as_ref().map(|identity| identity.device);
        if let Some(feed) = device.and_then(|device| self.feeds.get_mut(&device)) {
            feed.own = true;
        }
        for (device, proof) in &self.forks {
            if let Some(feed) = self.feeds.get_mut(device) {
                feed.forked = Some(proof.one.header.seq);
            }
        }
        for ((account, device), next_seq) in &self.revocations {
            if let Some(feed) = self.feeds.get_mut(device).filter(|feed| feed.account == *account) {
                feed.revoked = Some(*next_seq);
            }
        }
    }

    fn on_own_entries(&mut self, rows: Rows) {
        for (_, value) in rows.into_iter().flatten().collect::<Vec<Row>>() {
            if let Ok(entry) = codec::decode::<Entry>(&value) {
                let header = &entry.signed.header;
                self.last_timestamp = self.last_timestamp.max(header.timestamp);
                if header.kind == Kind::POST {
                    let entry_ref = protocol::EntryRef {
                        account: header.account,
                        id: header.id(),
                    };
                    self.own_posts.insert((header.device, header.seq), entry_ref);
                }
            }
        }
        self.finish_boot();
    }

    fn finish_boot(&mut self) {
        self.stage = Stage::Ready;
        self.next_housekeeping = self.now.instant;
        self.event(Event::Ready {
            account: self.identity.is_some(),
        });
        self.event(Event::Status(self.status));
        self.continue_refolding();
        if self.is_relay() {
            self.continue_dropping();
        }
        for (id, ask) in core::mem::take(&mut self.early_asks) {
            self.on_ask(id, ask);
        }
    }
}
