//! Posts: what people say, in the order of their time, per author and per answered post.

mod rows;
#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::Post;
pub(crate) use rows::{TimelineRows, answers, place_of, timeline};

use protocol::Body;
use protocol::entry::Header;
use protocol::{AccountId, DeviceId, Entry, EntryId, EntryRef, Timestamp, codec};

use crate::api::{Beside, PostView, ReplyView};
use crate::kinds::{EntryInfo, EntryKind, IndexRow, Indexed, Indexing, Stateless, ViewContext, Viewer};
use crate::store::{Read, Row, Table};

/// Maximum number of replies counted for a post's view, which bounds the read. This value means "this many or more".
const REPLIES_COUNTED_MAX: usize = 100;

pub(crate) type State = Stateless;

impl EntryKind for Post {
    type State = State;
    const TABLES: &'static [Table] = &[
        Table::Ids,
        Table::ByTime,
        Table::ByAccount,
        Table::ByParent,
        Table::Activity,
    ];

    fn rows(&self, entry: &EntryInfo<'_>, viewer: Viewer) -> Vec<IndexRow> {
        let (account, time, id) = (entry.account(), entry.header.timestamp, entry.id);
        let mut keys = vec![
            (Table::Ids, id.0.to_vec()),
            (Table::ByTime, rows::by_time(time, &id)),
            (Table::ByAccount, rows::by_account(&account, time, &id)),
        ];
        if let Some(reply) = &self.reply {
            keys.push((Table::ByParent, rows::by_parent(&reply.parent.id, time, &id)));
        }
        if in_activity(self, &account, viewer) {
            keys.push((Table::Activity, rows::by_time(time, &id)));
        }
        let value = codec::encode(&entry.place());
        let row = |(table, key)| IndexRow {
            table,
            key,
            value: value.clone(),
        };
        keys.into_iter().map(row).collect()
    }

    fn apply(self, _: &mut State, _: &mut Indexing<'_>, entry: &EntryInfo<'_>) -> Indexed {
        Indexed {
            post: Some(PostEntry::new(entry.header, entry.id, self)),
        }
    }

    fn around(post: &EntryRef, _: Viewer) -> Vec<Read> {
        vec![answers(&post.id, REPLIES_COUNTED_MAX)]
    }

    fn decorate(beside: &mut Beside, rows: &[Vec<Row>], _: &ViewContext<'_>) {
        beside.replies = rows
            .first()
            .map_or(0, |answers| u32::try_from(answers.len()).unwrap_or(u32::MAX));
    }

    fn beside(&self, _: &EntryInfo<'_>) -> Option<EntryRef> {
        self.reply.map(|reply| reply.parent)
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::samples()
    }
}

/// Whether a post belongs into the activity timeline: another account answers an own post, or writes in a thread that
/// an own post began.
fn in_activity(post: &Post, author: &AccountId, viewer: Viewer) -> bool {
    let (Some(me), Some(reply)) = (viewer.me, &post.reply) else {
        return false;
    };
    *author != me && (reply.parent.account == me || reply.root.account == me)
}

/// A post and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PostEntry {
    pub(crate) entry: EntryRef,
    pub(crate) device: DeviceId,
    pub(crate) seq: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) post: Post,
}

impl PostEntry {
    /// `id`: the header's.
    pub(crate) fn new(header: &Header, id: EntryId, post: Post) -> Self {
        Self {
            entry: EntryRef {
                account: header.account,
                id,
            },
            device: header.device,
            seq: header.seq,
            timestamp: header.timestamp,
            post,
        }
    }

    /// The post in a row of [`Table::Entries`].
    pub(crate) fn parse((_, value): &Row) -> Option<Self> {
        let entry: Entry = codec::decode(value).ok()?;
        let header = &entry.signed.header;
        match Body::decode(header.kind, &entry.body)? {
            Body::Post(post) => Some(Self::new(header, header.id(), post)),
            _ => None,
        }
    }

    /// What the post and the state of all kinds say; what is read beside it is left open.
    pub(super) fn view(&self, context: &ViewContext<'_>) -> PostView {
        let author = &self.entry.account;
        PostView {
            entry: self.entry,
            device: self.device,
            seq: self.seq,
            name: context.name_of(author),
            handle: context.handle_of(author),
            text: self.post.text.clone(),
            timestamp: self.timestamp,
            reply: self.post.reply.map(|reply| ReplyView {
                root: reply.root,
                parent: reply.parent,
                parent_name: context.name_of(&reply.parent.account),
            }),
            mine: context.viewer.is(author),
            in_home: context.in_home(author),
            in_activity: in_activity(&self.post, author, context.viewer),
            durability: None,
            slug_claim: None,
            beside: Beside::default(),
        }
    }
}
