//! Keys of the table of reactions. Its values are empty: a browser has keys in memory and values on its disk.

use protocol::kinds::is_emoji;
use protocol::{AccountId, EntryRef};

use crate::kinds::{IndexRow, Precedence};
use crate::log::keys::id_at;
use crate::store::{Read, Row, Table};

/// Offset in bytes of the account that reacted within a key: after the post.
const ACCOUNT_AT: usize = 64;
/// Length of an account in bytes.
const ACCOUNT_LEN: usize = 32;
/// Offset in bytes of the emoji within a key: after the precedence.
const EMOJI_AT: usize = ACCOUNT_AT + ACCOUNT_LEN + 48;

/// The row of what an account thinks of a post.
pub(super) fn of(post: &EntryRef, account: &AccountId, precedence: &Precedence, emoji: &str) -> IndexRow {
    let mut key = by_account(post, account);
    key.extend(precedence.greatest_first());
    key.extend_from_slice(emoji.as_bytes());
    IndexRow {
        table: Table::Reactions,
        key,
        value: Vec::new(),
    }
}

/// Prefix: all reactions to a post.
fn by_post(post: &EntryRef) -> Vec<u8> {
    [post.account.0, post.id.0].concat()
}

/// Prefix: what an account said of a post, the latest first.
fn by_account(post: &EntryRef, account: &AccountId) -> Vec<u8> {
    let mut key = by_post(post);
    key.extend_from_slice(&account.0);
    key
}

/// Reads the latest reaction of each account to a post, until there are `enough` that did not take their reaction back.
pub(super) fn last_of_each(post: &EntryRef, enough: usize, limit: usize) -> Read {
    Read::FirstOfEach {
        table: Table::Reactions,
        prefix: by_post(post),
        group: ACCOUNT_LEN,
        bare: EMOJI_AT,
        enough,
        limit,
    }
}

/// Reads the latest reaction of one account to a post.
pub(super) fn last_of(post: &EntryRef, account: &AccountId) -> Read {
    Read::prefix(Table::Reactions, &by_account(post, account), 1)
}

/// Who reacted in a row, and with what; `None` if the reaction was taken back, or if an earlier version wrote what is no emoji.
pub(super) fn reaction((key, _): &Row) -> Option<(AccountId, String)> {
    let account = AccountId(id_at(key, ACCOUNT_AT)?);
    let emoji = str::from_utf8(key.get(EMOJI_AT..)?).ok()?;
    is_emoji(emoji).then(|| (account, emoji.to_owned()))
}

/// Whether a row was counted as one of `enough`.
pub(super) fn is_full((key, _): &Row) -> bool {
    key.len() > EMOJI_AT
}
