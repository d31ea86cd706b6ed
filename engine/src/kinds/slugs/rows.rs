//! Keys and values of the tables of slugs.

use protocol::names::{NameReceipt, RegistryId};
use protocol::{AccountId, EntryId, EntryRef, codec};

use crate::kinds::{IndexRow, Precedence};
use crate::log::keys::id_at;
use crate::store::{Read, Row, Table};

/// The rows of what an author said of a post's slug.
pub(super) fn of(post: &EntryRef, receipt: Option<&NameReceipt>, precedence: &Precedence) -> Vec<IndexRow> {
    let mut rows = vec![IndexRow {
        table: Table::Slugs,
        key: slug_of(post, precedence),
        value: codec::encode(&receipt),
    }];
    rows.extend(receipt.map(|receipt| IndexRow {
        table: Table::BySlug,
        key: by_slug(receipt, post),
        value: Vec::new(),
    }));
    rows
}

/// Prefix in `Slugs`: what was said of a post's slug, the newest first.
fn slugs_of(post: &EntryRef) -> Vec<u8> {
    [post.account.0, post.id.0].concat()
}

/// Key in `Slugs`.
fn slug_of(post: &EntryRef, precedence: &Precedence) -> Vec<u8> {
    let mut key = slugs_of(post);
    key.extend(precedence.greatest_first());
    key
}

/// Prefix in `BySlug`: whose a slug is, the latest first. No slug has a zero in it.
fn slug_rows(registry: RegistryId, slug: &str) -> Vec<u8> {
    let mut key = registry.0.to_vec();
    key.extend_from_slice(slug.as_bytes());
    key.push(0);
    key
}

/// Key in `BySlug`.
fn by_slug(receipt: &NameReceipt, post: &EntryRef) -> Vec<u8> {
    let mut key = slug_rows(receipt.registry, &receipt.name);
    key.extend_from_slice(&(!receipt.revision).to_be_bytes());
    key.extend(slugs_of(post));
    key
}

/// Reads what was said last of a post's slug.
pub(super) fn newest_of(post: &EntryRef) -> Read {
    Read::prefix(Table::Slugs, &slugs_of(post), 1)
}

/// Reads whose a slug is, by the highest revision.
pub(super) fn latest_of(registry: RegistryId, slug: &str) -> Read {
    Read::prefix(Table::BySlug, &slug_rows(registry, slug), 1)
}

/// The receipt in a row of `Slugs`.
pub(super) fn receipt((_, value): &Row) -> Option<NameReceipt> {
    codec::decode::<Option<NameReceipt>>(value).ok()?
}

/// The post at the end of a key of `BySlug`.
pub(super) fn post_of((key, _): &Row) -> Option<EntryRef> {
    let at = key.len().checked_sub(64)?;
    Some(EntryRef {
        account: AccountId(id_at(key, at)?),
        id: EntryId(id_at(key, at + 32)?),
    })
}
