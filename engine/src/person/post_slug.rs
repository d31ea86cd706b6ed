//! Giving an own post another slug, or none: the post and its slug are read from the store, then the registry is asked.

use protocol::names::NameAction;
use protocol::{Entry, EntryRef, codec};

use crate::api::{CommandResult, Error, Response, StoreState};
use crate::ctx::{Ctx, LoadOwner};
use crate::io::RequestId;
use crate::kinds::{self, Kinds, Slugs};
use crate::log::keys::EntryPlace;
use crate::store::{LoadId, Read, Rows, Table};

use super::Person;
use super::claims::wished_slug;
use super::commands::Done;

/// A slug that is to change, on its way through the store.
#[derive(Debug)]
pub(super) struct SlugChange {
    request: RequestId,
    post: EntryRef,
    wish: Option<String>,
    /// The place of the post is known: its entry and slug are being read.
    located: bool,
}

impl Person {
    /// One's own post is to have a slug, or none any more.
    pub(super) fn set_slug(
        &mut self,
        ctx: &mut Ctx,
        kinds: &Kinds,
        request: RequestId,
        post: EntryRef,
        wish: Option<String>,
    ) -> Result<Done, Error> {
        let wish = wish.map(|wish| wished_slug(&wish)).transpose()?;
        if !ctx.is_me(&post.account) {
            return Err(Error::NotFound);
        }
        if wish.is_none() && self.claims.view(Some(post.id)).is_some() {
            return Ok(self.claims.withdraw(ctx, kinds, Some(post.id)).into());
        }
        let load = ctx.load(LoadOwner::Command, vec![kinds::place_of(&post.id)]);
        let located = false;
        self.slug_changes.insert(
            load,
            SlugChange {
                request,
                post,
                wish,
                located,
            },
        );
        Ok(Done::Later)
    }

    pub(crate) fn on_slug_rows(&mut self, ctx: &mut Ctx, kinds: &mut Kinds, load: LoadId, rows: Rows) {
        let Some(change) = self.slug_changes.remove(&load) else {
            return;
        };
        if change.located {
            let request = change.request;
            let answer = match self.change_slug(ctx, kinds, change, &rows) {
                Ok(result) => Response::Done(result),
                Err(error) => Response::Error(error),
            };
            return ctx.answer(request, answer);
        }
        let row = rows.first().and_then(|rows| rows.first());
        let Some(place) = row.and_then(|(_, value)| codec::decode::<EntryPlace>(value).ok()) else {
            return ctx.answer(change.request, Response::Error(Error::NotFound));
        };
        let entry = Read::Get {
            table: Table::Entries,
            key: place.key(),
        };
        let load = ctx.load(LoadOwner::Command, vec![entry, Slugs::read(&change.post)]);
        let located = true;
        self.slug_changes.insert(load, SlugChange { located, ..change });
    }

    pub(crate) fn on_slug_load_failed(&mut self, ctx: &mut Ctx, load: LoadId) {
        if let Some(change) = self.slug_changes.remove(&load) {
            let error = Error::Store(StoreState::Failing);
            ctx.answer(change.request, Response::Error(error));
        }
    }

    fn change_slug(
        &mut self,
        ctx: &mut Ctx,
        kinds: &mut Kinds,
        change: SlugChange,
        rows: &Rows,
    ) -> Result<CommandResult, Error> {
        let entry = rows.first().and_then(|rows| rows.first());
        let entry = entry.and_then(|(_, value)| codec::decode::<Entry>(value).ok());
        let header = entry.ok_or(Error::NotFound)?.signed.header;
        let own = rows.get(1).and_then(|rows| Slugs::proven(rows, kinds.registry()));
        let (slug, action) = match (change.wish, own) {
            (Some(wish), Some(own)) if own.name == wish => return Ok(CommandResult::Ok),
            (Some(wish), _) => (wish, NameAction::Claim),
            (None, Some(own)) => {
                kinds.learn_revision(own.revision);
                (own.name, NameAction::Release)
            }
            (None, None) => return Err(Error::NotFound),
        };
        self.claims.make_room(ctx, Some(header.id()))?;
        self.claims
            .ask_registry(ctx, kinds, slug, Some(header), action, false)
    }
}

#[cfg(test)]
#[path = "post_slug_tests.rs"]
mod tests;
