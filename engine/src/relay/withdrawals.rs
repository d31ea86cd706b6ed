//! Withdrawals that authors may not know yet: of this relay, for the feeds that it dropped, and of other members, for
//! feeds that are held here.
//!
//! A device is sent all of its account when it links, and those that arrive while it is linked. None is acknowledged,
//! since an account may have several devices; a device ignores what it knows. One is removed when its relay signs a later
//! receipt for the feed.
//!
//! Invariants: the row of a withdrawal of this relay is in the batch that forgets the feed, so no crash loses it;
//! signatures are checked before anything is kept. Policy when full: those of other relays go first, then the oldest.

use ordered::{Map, Set};
use protocol::messages::receipt::{Receipt, Withdrawal};
use protocol::{AccountId, DeviceId, PeerId, Timestamp, codec};

use crate::ctx::Ctx;
use crate::log::keys;
use crate::log::records::meta;
use crate::store::{Op, Table};

/// Withdrawals kept, some 400 bytes each in memory.
const WITHDRAWALS_MAX: usize = 100_000;
/// Withdrawals kept for one account, which a device is sent when it links. Policy when full: the oldest goes.
const PER_ACCOUNT_MAX: usize = 128;

/// Account, device and relay: the order of the rows in the store.
type Key = (AccountId, DeviceId, PeerId);

#[derive(Debug)]
pub(crate) struct Withdrawals {
    own: PeerId,
    kept: Map<Key, Withdrawal>,
    /// The order in which they make room.
    order: Set<(bool, Timestamp, Key)>,
}

impl Withdrawals {
    pub(crate) fn new(own: PeerId) -> Self {
        Self {
            own,
            kept: Map::new(),
            order: Set::new(),
        }
    }

    /// A row of the store.
    pub(crate) fn restore(&mut self, account: AccountId, withdrawal: Withdrawal) {
        let key = (account, withdrawal.device, withdrawal.relay);
        self.order.insert(self.place(&key, withdrawal.at));
        self.kept.insert(key, withdrawal);
    }

    /// Of those that this relay signed, the time of the last one.
    pub(crate) fn last_signed(&self) -> Option<Timestamp> {
        let last = self.order.iter().next_back().filter(|(own, ..)| *own);
        last.map(|(_, at, _)| *at)
    }

    /// Those about the feeds of an account.
    pub(crate) fn of(&self, account: &AccountId) -> impl Iterator<Item = &Withdrawal> {
        let first = (*account, DeviceId([0; 32]), PeerId([0; 32]));
        let last = (*account, DeviceId([0xff; 32]), PeerId([0xff; 32]));
        self.kept.range(first..=last).map(|(_, withdrawal)| withdrawal)
    }

    /// Keeps a withdrawal, whose signature was checked. `false`: a later one is kept already, or there is no room for it.
    pub(crate) fn keep(&mut self, ctx: &mut Ctx, account: AccountId, withdrawal: &Withdrawal) -> bool {
        let key = (account, withdrawal.device, withdrawal.relay);
        if self.kept.get(&key).is_some_and(|known| known.at >= withdrawal.at) {
            return false;
        }
        self.remove(ctx, &key);
        if self.of(&account).count() >= PER_ACCOUNT_MAX {
            let places = self.of(&account).map(|known| {
                let key = (account, known.device, known.relay);
                self.place(&key, known.at)
            });
            if let Some((_, _, oldest)) = places.min() {
                self.remove(ctx, &oldest);
            }
        }
        let place = self.place(&key, withdrawal.at);
        if self.kept.len() >= WITHDRAWALS_MAX {
            let Some((_, _, first)) = self.order.first().copied().filter(|first| *first < place) else {
                return false;
            };
            self.remove(ctx, &first);
        }
        ctx.write(Op::put(Table::Meta, row(&key), withdrawal));
        self.order.insert(place);
        self.kept.insert(key, withdrawal.clone());
        true
    }

    /// A relay signed for a feed.
    pub(crate) fn on_receipt(&mut self, ctx: &mut Ctx, account: AccountId, receipt: &Receipt) {
        let key = (account, receipt.device, receipt.relay);
        if self.kept.get(&key).is_some_and(|known| receipt.at > known.at) {
            self.remove(ctx, &key);
        }
    }

    /// This relay holds a feed again.
    pub(crate) fn on_held(&mut self, ctx: &mut Ctx, account: AccountId, device: DeviceId) {
        self.remove(ctx, &(account, device, self.own));
    }

    fn place(&self, key: &Key, at: Timestamp) -> (bool, Timestamp, Key) {
        (key.2 == self.own, at, *key)
    }

    fn remove(&mut self, ctx: &mut Ctx, key: &Key) {
        if let Some(known) = self.kept.remove(key) {
            self.order.remove(&self.place(key, known.at));
            let (table, key) = (Table::Meta, row(key));
            ctx.write(Op::Delete { table, key });
        }
    }
}

fn row((account, device, relay): &Key) -> Vec<u8> {
    [meta::WITHDRAWN, &account.0, &device.0, &relay.0].concat()
}

/// A withdrawal of the `Meta` table, and whose feed it is about. The inner `None`: a damaged row.
pub(crate) fn stored(key: &[u8], value: &[u8]) -> Option<Option<(AccountId, Withdrawal)>> {
    let ids = key.strip_prefix(meta::WITHDRAWN)?;
    let account = keys::id_at(ids, 0).map(AccountId);
    Some(account.zip(codec::decode_extensible(value).ok()))
}

#[cfg(test)]
#[path = "withdrawals_tests.rs"]
mod tests;
