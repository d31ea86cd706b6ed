//! Follows: whose posts this account wants to read. Those of other accounts are held, and mean nothing here.

#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::Follow;

use ordered::Map;
use protocol::{AccountId, Body, codec};
use serde::{Deserialize, Serialize};

use crate::api::{Command, Error, MeView, ProfileView};
use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::kinds::{
    Draft, EntryInfo, EntryKind, IndexRow, Indexed, Indexing, KindState, Precedence, Registry, ViewContext,
    Viewer,
};
use crate::log::keys::id_at;
use crate::store::{Op, Table};

/// Whether an account is followed, as stored in [`Table::Follows`] by that account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    on: bool,
    precedence: Precedence,
}

/// What this account said last about following each account.
#[derive(Debug, Default)]
pub(crate) struct Follows {
    records: Map<AccountId, Record>,
}

pub(crate) type State = Follows;

impl Follows {
    pub(crate) fn follows(&self, account: &AccountId) -> bool {
        self.records.get(account).is_some_and(|record| record.on)
    }

    /// Whether the account's posts belong into the home timeline: it is the own one, or followed.
    pub(crate) fn in_home(&self, account: &AccountId, viewer: Viewer) -> bool {
        viewer.is(account) || self.follows(account)
    }

    pub(crate) fn followed(&self) -> impl Iterator<Item = AccountId> + '_ {
        let followed = self.records.iter().filter(|(_, record)| record.on);
        followed.map(|(account, _)| *account)
    }
}

impl EntryKind for Follow {
    type State = State;
    const TABLES: &'static [Table] = &[];

    fn rows(&self, _: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        Vec::new()
    }

    fn apply(self, state: &mut State, indexing: &mut Indexing<'_>, entry: &EntryInfo<'_>) -> Indexed {
        let Self { account, on } = self;
        let precedence = entry.precedence();
        let known = state.records.get(&account);
        let outdated = known.is_some_and(|known| known.precedence >= precedence);
        if indexing.viewer.is(&entry.account()) && !outdated {
            let before = known.is_some_and(|known| known.on);
            let record = Record { on, precedence };
            let ctx = &mut *indexing.ctx;
            ctx.write(Op::put(Table::Follows, account.0.to_vec(), &record));
            ctx.changed.profiles.insert(account);
            ctx.changed.me = true;
            if before != on {
                ctx.fact(Fact::Followed { account, on });
            }
            state.records.insert(account, record);
        }
        Indexed::default()
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::samples()
    }
}

impl KindState for Follows {
    const TABLES: &'static [Table] = &[Table::Follows];

    fn restore(&mut self, _: &mut Registry, _: Table, key: &[u8], value: &[u8]) -> Option<()> {
        let account = AccountId(id_at(key, 0)?);
        self.records
            .insert(account, codec::decode_extensible(value).ok()?);
        Some(())
    }

    fn clear_account(&mut self, ctx: &mut Ctx, viewer: Viewer, account: &AccountId) {
        if viewer.is(account) {
            for (followed, _) in core::mem::take(&mut self.records) {
                ctx.write(Op::Delete {
                    table: Table::Follows,
                    key: followed.0.to_vec(),
                });
            }
        }
    }

    /// The own account is never forgotten, and of others nothing is kept.
    fn forget_account(&mut self, _: &mut Ctx, _: &AccountId) {}

    fn show_profile(&self, view: &mut ProfileView, _: &ViewContext<'_>) {
        view.followed = self.follows(&view.account);
    }

    fn show_me(&self, view: &mut MeView, _: &ViewContext<'_>) {
        view.following = u32::try_from(self.followed().count()).unwrap_or(u32::MAX);
    }

    fn draft(&self, command: &Command, viewer: Viewer) -> Option<Draft> {
        let (account, on) = match command {
            Command::Follow { account } => (*account, true),
            Command::Unfollow { account } => (*account, false),
            _ => return None,
        };
        let news = self.follows(&account) != on;
        Some(match viewer.is(&account) {
            true => Err(Error::NotFound),
            false => Ok(news.then_some(Body::Follow(Follow { account, on }))),
        })
    }
}
