//! Publish tokens: a command that is repeated, because a tab took over from another, publishes nothing a second time.
//!
//! Invariant: a token is stored in the batch of the post it made.

use ordered::Map;
use protocol::{EntryId, codec};
use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::store::{Op, Table};

/// Tokens remembered: a repeated command comes within moments. Policy when full: the one of the oldest post goes.
pub(super) const TOKENS_MAX: usize = 256;

/// The post that a token made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    pub(super) seq: u64,
    pub(super) id: EntryId,
}

#[derive(Debug, Default)]
pub(super) struct Tokens {
    records: Map<[u8; 16], TokenRecord>,
}

impl Tokens {
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let record = codec::decode_extensible(value).ok()?;
        self.records.insert(key.try_into().ok()?, record);
        Some(())
    }

    pub(super) fn get(&self, token: &[u8; 16]) -> Option<TokenRecord> {
        self.records.get(token).copied()
    }

    pub(super) fn remember(&mut self, ctx: &mut Ctx, token: [u8; 16], record: TokenRecord) {
        self.records.insert(token, record);
        ctx.write(Op::put(Table::Tokens, token.to_vec(), &record));
        if self.records.len() <= TOKENS_MAX {
            return;
        }
        let oldest = self.records.iter().min_by_key(|(_, record)| record.seq);
        if let Some(oldest) = oldest.map(|(token, _)| *token) {
            self.records.remove(&oldest);
            ctx.write(Op::Delete {
                table: Table::Tokens,
                key: oldest.to_vec(),
            });
        }
    }
}
