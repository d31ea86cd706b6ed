//! Slugs: which post a slug leads to and which slug a post has, as the feeds held here say; asked of the registry otherwise.
//!
//! Both are index rows whose order answers the question, so that folding needs no reading and no memory: of a post the row of
//! the greatest (lamport, device) comes first, of a slug that of the highest revision.
//!
//! Invariant: a slug is shown only by the word of the registry this peer takes names from, and leads to a post only while that
//! post's author says so as well.

use protocol::entry::{Header, Slug};
use protocol::name::{NameAction, NameAnswer, NameReceipt};
use protocol::{Entry, EntryRef, codec};

use crate::Engine;
use crate::api::{Answer, Event, Outcome, Refusal, Reply};
use crate::io::AskId;
use crate::log::keys::{self, Place};
use crate::log::records::Precedence;
use crate::person::claims::wished_slug;
use crate::store::{Op, Read, Row, Rows, Table};
use crate::views::Reading;

/// A question about slugs, on its way through the store.
#[derive(Debug)]
pub(crate) enum SlugReading {
    /// Which post does it lead to?
    Find { slug: String },
    /// Does that post's author say so?
    Confirm { slug: String },
    /// Where is this own post, that is to have another slug or none?
    Locate { post: EntryRef, wish: Option<String> },
    /// Its entry, and the slug it has.
    Change { wish: Option<String> },
}

/// The newest word on a post's slug.
pub(crate) fn read_slug(post: &EntryRef) -> Read {
    Read::prefix(Table::Slugs, &keys::slugs_of(post), 1)
}

/// The rows of a slug entry: which post, which slug, by which word.
pub(crate) fn rows(header: &Header, slug: &Slug) -> Vec<Op> {
    let post = EntryRef {
        account: header.account,
        id: slug.post,
    };
    let precedence = Precedence {
        lamport: header.lamport,
        device: header.device,
        seq: header.seq,
    };
    let receipt = slug
        .receipt
        .as_ref()
        .filter(|receipt| receipt.account == header.account);
    let mut rows = vec![Op::put(Table::Slugs, keys::slug_of(&post, &precedence), &receipt)];
    if let Some(receipt) = receipt {
        rows.push(Op::Put {
            table: Table::BySlug,
            key: keys::by_slug(receipt, &post),
            value: Vec::new(),
        });
    }
    rows
}

impl Engine {
    /// A slug entry was folded.
    pub(crate) fn fold_slug(&mut self, header: &Header, slug: &Slug) {
        self.write_all(rows(header, slug));
        if self.is_relay() {
            return;
        }
        let post = EntryRef {
            account: header.account,
            id: slug.post,
        };
        let named = slug
            .receipt
            .as_ref()
            .map_or("", |receipt| &receipt.name)
            .to_owned();
        self.tell_slug(post, Some(named));
    }

    /// A post's slug, or the claim for one, changed. Told after the posts of this input, the post may be among them.
    pub(crate) fn tell_slug(&mut self, post: EntryRef, slug: Option<String>) {
        self.changed_slugs.push((post, slug));
    }

    pub(crate) fn flush_slugs(&mut self) {
        for (post, slug) in core::mem::take(&mut self.changed_slugs) {
            let claim = self
                .claims
                .view(Some(post.id))
                .filter(|_| self.me() == Some(post.account));
            self.event(Event::Slug { post, slug, claim });
        }
    }

    /// The slug of a post, by its newest row; empty if it has none that is proven.
    pub(crate) fn slug_in(&self, rows: &[Row]) -> Option<NameReceipt> {
        let (_, value) = rows.first()?;
        let receipt: Option<NameReceipt> = codec::decode(value).ok()?;
        receipt.filter(|receipt| Some(receipt.registry) == self.names.registry())
    }

    /// An interface wants to know which post a slug leads to.
    pub(crate) fn look_up_slug(&mut self, ask: AskId, slug: &str) {
        let slug = slug.trim_matches('/').to_ascii_lowercase();
        match self.names.registry() {
            // A feed that is here says so without anybody's help.
            Some(registry) => {
                let read = Read::prefix(Table::BySlug, &keys::slug_rows(&registry, &slug), 1);
                self.read_on(ask, vec![read], Reading::Slug(SlugReading::Find { slug }));
            }
            None => self.look_up(ask, true, slug),
        }
    }

    /// One's own post is to have a slug, or none any more.
    pub(crate) fn set_slug(
        &mut self,
        ask: AskId,
        post: EntryRef,
        wish: Option<String>,
    ) -> Result<Option<Outcome>, Refusal> {
        self.may_write()?;
        let wish = wish.map(|wish| wished_slug(&wish)).transpose()?;
        if self.me() != Some(post.account) {
            return Err(Refusal::NotFound);
        }
        if wish.is_none() && self.claims.view(Some(post.id)).is_some() {
            return Ok(Some(self.drop_claim(Some(post.id))));
        }
        let read = Read::Get {
            table: Table::Ids,
            key: post.id.0.to_vec(),
        };
        self.read_on(ask, vec![read], Reading::Slug(SlugReading::Locate { post, wish }));
        Ok(None)
    }

    pub(crate) fn on_slug_rows(&mut self, ask: AskId, reading: SlugReading, rows: Rows) {
        let first = rows.first().and_then(|rows| rows.first());
        match reading {
            SlugReading::Find { slug } => match first.and_then(|(key, _)| keys::post_of(key)) {
                Some(post) => {
                    let reading = SlugReading::Confirm { slug };
                    self.read_on(ask, vec![read_slug(&post)], Reading::Slug(reading));
                }
                None => self.look_up(ask, true, slug),
            },
            SlugReading::Confirm { slug } => {
                let receipt = rows.first().and_then(|rows| self.slug_in(rows));
                match receipt.filter(|receipt| receipt.name == slug) {
                    Some(receipt) => {
                        let reply = Reply::Name(NameAnswer::Held(receipt));
                        self.answer(ask, Answer::Reply(Box::new(reply)));
                    }
                    None => self.look_up(ask, true, slug),
                }
            }
            SlugReading::Locate { post, wish } => {
                let place = first.and_then(|(_, value)| codec::decode::<Place>(value).ok());
                match place {
                    Some(place) => {
                        let entry = Read::Get {
                            table: Table::Entries,
                            key: place.key(),
                        };
                        let reads = vec![entry, read_slug(&post)];
                        self.read_on(ask, reads, Reading::Slug(SlugReading::Change { wish }));
                    }
                    None => self.answer(ask, Answer::Refused(Refusal::NotFound)),
                }
            }
            SlugReading::Change { wish } => {
                let answer = match self.change_slug(wish, &rows) {
                    Ok(outcome) => Answer::Done(outcome),
                    Err(refusal) => Answer::Refused(refusal),
                };
                self.answer(ask, answer);
            }
        }
    }

    fn change_slug(&mut self, wish: Option<String>, rows: &Rows) -> Result<Outcome, Refusal> {
        let entry = rows.first().and_then(|rows| rows.first());
        let entry = entry.and_then(|(_, value)| codec::decode::<Entry>(value).ok());
        let header = entry.ok_or(Refusal::NotFound)?.signed.header;
        let own = rows.get(1).and_then(|rows| self.slug_in(rows));
        let (slug, action) = match (wish, own) {
            (Some(wish), Some(own)) if own.name == wish => return Ok(Outcome::Ok),
            (Some(wish), _) => (wish, NameAction::Claim),
            (None, Some(own)) => {
                self.names.learn_revision(own.revision);
                (own.name, NameAction::Release)
            }
            (None, None) => return Err(Refusal::NotFound),
        };
        self.room_for_slug(Some(header.id()))?;
        self.ask_registry(slug, Some(header), action, false)
    }
}
