//! All stored entries as plain text: one JSON object per line, feed after feed, each in order.
//!
//! ```json
//! {"account":"…","device":"…","seq":3,"id":"…","kind":2,"timestamp":1767225600000,"says":{"text":"…"},"entry":"BASE64"}
//! ```
//!
//! `entry` holds the entry's canonical bytes, as they travel between peers, including the signature, which an import
//! verifies. The other fields repeat its content in readable form: ids as text, `timestamp` in milliseconds since 1970
//! as its author claims, `kind` as a number (see `docs/protocol.md`), and `says` as its body, `null` if this version
//! does not know the kind.
//!
//! Invariant: only entries that verify are written; a damaged one is reported and left out.

use std::io::{self, Write};
use std::path::Path;

use data_encoding::BASE64;
use engine::store::{Read, Table};
use protocol::entry::Entry;
use protocol::kinds::Body;
use protocol::{EntryId, EntryRef, VerifiedEntry, codec};
use serde_json::{Value, json};

use native::data_dir::{DataDir, DataDirError};
use native::store::{Changes, DiskError, FjallDisk, STORE_FOLDER, StoreError, rows, store_folder};

/// Rows read at a time.
const PAGE_ROWS: usize = 1_000;
/// Bytes read at a time.
const PAGE_BYTES: usize = 8 << 20;
/// Memory for the store's cache: everything is read once.
const CACHE_BYTES: usize = 16 << 20;
/// Longer than any key of the table.
const AFTER_ALL: [u8; 16] = [0xff; 16];

/// Why the export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The data folder; most likely the relay runs.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// No relay ever ran here.
    #[error("there are no {STORE_FOLDER} in {}; name the relay's folder with --data-dir", .0.display())]
    Nothing(std::path::PathBuf),
    /// An older version kept them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Disk(#[from] DiskError),
    /// The lines cannot be written.
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
}

/// Writes all entries stored in `data_dir`, which no running relay may use. Returns their number.
///
/// # Errors
/// [`ExportError`].
pub fn export(data_dir: &Path, mut out: impl Write) -> Result<u64, ExportError> {
    let folder = store_folder(data_dir)?;
    if !folder.is_dir() {
        return Err(ExportError::Nothing(data_dir.to_owned()));
    }
    let _held = DataDir::take(data_dir)?;
    let disk = FjallDisk::open(&folder, CACHE_BYTES)?;
    let (mut start, mut entries) = (Vec::new(), 0);
    loop {
        let read = Read::Range {
            table: Table::Entries,
            start,
            end: AFTER_ALL.to_vec(),
            limit: PAGE_ROWS,
            bytes_max: PAGE_BYTES,
            reverse: false,
        };
        let rows = rows(&disk, &Changes::new(), &read)?;
        let Some((last, _)) = rows.last() else { break };
        start = [last.as_slice(), &[0]].concat();
        for (key, value) in rows {
            match codec::decode::<Entry>(&value)
                .ok()
                .and_then(|entry| entry.verify().ok())
            {
                Some(entry) => {
                    serde_json::to_writer(&mut out, &line(&entry, &value)).map_err(io::Error::from)?;
                    out.write_all(b"\n")?;
                    entries += 1;
                }
                None => drop(writeln!(
                    io::stderr(),
                    "a damaged entry was left out (row {key:02x?})"
                )),
            }
        }
    }
    out.flush()?;
    Ok(entries)
}

fn line(entry: &VerifiedEntry, bytes: &[u8]) -> Value {
    let header = entry.header();
    let says = Body::decode(header.kind, entry.body()).map(|body| says(&body));
    json!({
        "account": header.account.to_string(),
        "device": header.device.to_string(),
        "seq": header.seq,
        "id": header.id().to_string(),
        "kind": header.kind.0,
        "timestamp": header.timestamp.0,
        "says": says,
        "entry": BASE64.encode(bytes),
    })
}

fn says(body: &Body) -> Value {
    let named = |entry: &EntryRef| json!({"account": entry.account.to_string(), "id": entry.id.to_string()});
    match body {
        Body::Certificate(certificate) => json!({"device_name": certificate.name}),
        Body::Profile(profile) => json!({"name": profile.name, "bio": profile.bio}),
        Body::Post(post) => {
            let reply = post.reply.as_ref();
            json!({"text": post.text, "answers": reply.map(|reply| named(&reply.parent))})
        }
        Body::Revocation(revocation) => {
            json!({"device": revocation.device.to_string(), "next_seq": revocation.next_seq})
        }
        Body::Name(name) => json!({"handle": name.receipt.as_ref().map(|receipt| &receipt.name)}),
        Body::Slug(slug) => {
            let name = slug.receipt.as_ref().map(|receipt| &receipt.name);
            json!({"post": slug.post.to_string(), "slug": name})
        }
        body => readable(json!(body)),
    }
}

/// The fields of a body by their names, ids in text form.
fn readable(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields.map(|(name, value)| (name, readable(value))).collect()
        }
        Value::Array(items) => match id(&items) {
            Some(id) => id.to_string().into(),
            None => items.into_iter().map(readable).collect(),
        },
        other => other,
    }
}

/// An id, serialised: 32 bytes. All ids have one text form.
fn id(items: &[Value]) -> Option<EntryId> {
    let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes: Vec<u8> = items.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok().map(EntryId)
}

#[cfg(test)]
mod tests {
    use protocol::AccountId;
    use protocol::kinds::Follow;

    use super::*;

    #[test]
    fn a_body_without_words_of_its_own_is_written_field_by_field() {
        let account = AccountId([7; 32]);
        let said = says(&Body::Follow(Follow { account, on: true }));
        assert_eq!(said, json!({"account": account.to_string(), "on": true}));
        let nested = json!({"entry": EntryRef { account, id: EntryId([8; 32]) }, "list": [1, 2]});
        let id = EntryId([8; 32]).to_string();
        let expected = json!({"entry": {"account": account.to_string(), "id": id}, "list": [1, 2]});
        assert_eq!(readable(nested), expected);
    }
}
