//! What a person changes: every command becomes one or more entries of this device's feed, or a setting.

use ordered::Map;
use protocol::kinds::Revocation;
use protocol::kinds::{Post, Profile, ReplyTo};
use protocol::names::NameAction;
use protocol::phrase::{self, PhraseError};
use protocol::{Body, DeviceId, EntryId, EntryRef, KeyPair, limits};

use crate::api::{Command, CommandResult, Error, Response};
use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::io::RequestId;
use crate::kinds::{self, Kinds, PostEntry, Viewer};
use crate::log::Log;
use crate::log::records::meta;
use crate::net::Net;
use crate::store::{Op, Table};

use super::claims::wished_slug;
use super::identity::Identity;
use super::tokens::TokenRecord;
use super::{Person, Preferences};

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Done {
    CommandResult(CommandResult),
    /// A post was published: its view is the answer.
    Published(PostEntry),
    /// The answer is given later.
    Later,
}

impl From<CommandResult> for Done {
    fn from(result: CommandResult) -> Self {
        Self::CommandResult(result)
    }
}

/// What a command may change.
pub(crate) struct CommandParts<'a> {
    pub(crate) net: &'a mut Net,
    pub(crate) log: &'a mut Log,
    pub(crate) kinds: &'a mut Kinds,
}

impl Person {
    pub(crate) fn on_command(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut CommandParts<'_>,
        request: RequestId,
        command: Command,
    ) -> Result<Done, Error> {
        let CommandParts { net, log, kinds } = parts;
        if let Some(draft) = kinds.draft(&command, Viewer::of(ctx)) {
            self.may_write(ctx, log)?;
            if let Some(body) = draft? {
                log.append_own(ctx, &body);
            }
            return Ok(CommandResult::Ok.into());
        }
        let result = match command {
            Command::CreateAccount { name, device_name } => self.create(ctx, log, &name, &device_name)?,
            Command::Restore { phrase, device_name } => {
                self.restore_account(ctx, net, log, &phrase, &device_name)?
            }
            Command::BeginAsNewDevice { phrase, device_name } => {
                self.begin_as_new_device(ctx, net, log, phrase.as_deref(), &device_name)?
            }
            Command::ConfirmPhrase => {
                let identity = self.identity.as_mut().ok_or(Error::NoAccount)?;
                identity.account_key = None;
                identity.write(ctx);
                ctx.changed.me = true;
                CommandResult::Ok
            }
            Command::Publish {
                token,
                text,
                reply_to,
                slug,
            } => {
                let post = self.publish(ctx, log, kinds, token, &text, reply_to, slug)?;
                return Ok(Done::Published(post));
            }
            Command::SetSlug { post, slug } => {
                self.may_write(ctx, log)?;
                return self.set_slug(ctx, kinds, request, post, slug);
            }
            Command::ClaimName { name } => {
                self.may_write(ctx, log)?;
                self.claims.claim_handle(ctx, kinds, Some(name))?
            }
            Command::ReleaseName => {
                self.may_write(ctx, log)?;
                self.claims.claim_handle(ctx, kinds, None)?
            }
            Command::OfferName { to } => {
                self.may_write(ctx, log)?;
                self.claims.offer_handle(ctx, kinds, to)?
            }
            Command::DropClaim => self.claims.withdraw(ctx, kinds, None),
            Command::RevokeDevice { phrase, device } => self.revoke_device(ctx, log, &phrase, device)?,
            Command::SetRelaysOnly { on } => {
                let preferences = Preferences { relays_only: on };
                ctx.write(Op::put(Table::Meta, meta::PREFERENCES.to_vec(), &preferences));
                net.set_relays_only(ctx, on);
                ctx.changed.me = true;
                CommandResult::Ok
            }
            Command::ForgetRelay { relay } if Self::forget_relay(ctx, net, &relay) => CommandResult::Ok,
            Command::RebuildViews => {
                ctx.fact(Fact::RebuildViews);
                CommandResult::Ok
            }
            // No kind of entry drafts it: it is for relays.
            _ => return Err(Error::NotFound),
        };
        Ok(result.into())
    }

    fn create(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        name: &str,
        device_name: &str,
    ) -> Result<CommandResult, Error> {
        let name = kinds::text(name, limits::NAME_CHARS_MAX)?;
        if self.identity.is_some() {
            return Err(Error::HasAccount);
        }
        let account_key = KeyPair::from_seed(&ctx.random());
        let account = self.become_device(ctx, log, &account_key, true, device_name);
        let bio = String::new();
        log.append_own(ctx, &Body::Profile(Profile { name, bio }));
        Ok(account)
    }

    fn restore_account(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        words: &str,
        device_name: &str,
    ) -> Result<CommandResult, Error> {
        let account_key = phrase::from_words(words).map_err(phrase_refusal)?;
        if let Some(identity) = &self.identity {
            // Only a device that can no longer write makes room for a new one of the same account.
            if !matches!(self.may_write(ctx, log), Err(Error::Forked | Error::Revoked)) {
                return Err(Error::HasAccount);
            }
            if !identity.is_of(&account_key) {
                return Err(Error::PhraseOfOther);
            }
            net.close_all(ctx, "this device becomes a new device");
            log.leave_own(ctx);
        }
        Ok(self.become_device(ctx, log, &account_key, false, device_name))
    }

    /// Makes this device one of the account's: new key, certificate, feed. `keep`: the account's key stays here.
    pub(super) fn become_device(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        account_key: &KeyPair,
        keep: bool,
        device_name: &str,
    ) -> CommandResult {
        let identity = Identity::new_device(ctx, account_key, keep, device_name);
        identity.write(ctx);
        ctx.local = Some(identity.local());
        let account = identity.account();
        log.begin_own(ctx, identity.certificate.clone());
        self.identity = Some(identity);
        self.own_feed.on_created();
        ctx.changed.me = true;
        ctx.wake();
        CommandResult::Account(account)
    }

    /// Whether this device can write now.
    pub(super) fn may_write(&self, ctx: &Ctx, log: &Log) -> Result<(), Error> {
        if self.own_feed.is_old_copy() {
            return Err(Error::OldCopy);
        }
        log.may_write(ctx)
    }

    /// Whether a command that signs an entry has to wait until neighbours have said how far they hold the own feed;
    /// then it is kept, or refused when too many wait.
    pub(crate) fn hold_until_checked(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        request: RequestId,
        command: Command,
    ) -> Option<Command> {
        let signs = !matches!(
            command,
            Command::CreateAccount { .. }
                | Command::Restore { .. }
                | Command::BeginAsNewDevice { .. }
                | Command::ConfirmPhrase
                | Command::SetRelaysOnly { .. }
                | Command::RebuildViews
                | Command::CheckReplicas { .. }
                | Command::InviteRelay { .. }
                | Command::ExpelRelay { .. }
                | Command::ForgetRelay { .. }
        );
        if self.identity.is_some() && signs && self.own_feed.must_wait(ctx, net) {
            if !self.own_feed.wait(request, command) {
                ctx.answer(request, Response::Error(Error::Busy));
            }
            return None;
        }
        Some(command)
    }

    /// An old or forked copy of a device becomes a device of its own, and issues again what only it has.
    fn begin_as_new_device(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        words: Option<&str>,
        device_name: &str,
    ) -> Result<CommandResult, Error> {
        let identity = self.identity.as_ref().ok_or(Error::NoAccount)?;
        let blocked = self.may_write(ctx, log);
        if !matches!(blocked, Err(Error::OldCopy | Error::Forked)) {
            return Err(Error::HasAccount);
        }
        let (account_key, keep) = match (words, &identity.account_key) {
            (Some(words), _) => (phrase::from_words(words).map_err(phrase_refusal)?, false),
            (None, Some(key)) => (key.clone(), true),
            (None, None) => return Err(Error::PhraseLength { words: 0 }),
        };
        if !identity.is_of(&account_key) {
            return Err(Error::PhraseOfOther);
        }
        net.close_all(ctx, "this device becomes a new device");
        log.leave_own(ctx);
        let set_aside = self.own_feed.take_set_aside(ctx);
        let result = self.become_device(ctx, log, &account_key, keep, device_name);
        // Entries get new ids: what refers to one of them refers to the new one.
        let mut issued: Map<EntryId, EntryId> = Map::new();
        for (id, mut body) in set_aside {
            let renew = |entry: &mut EntryRef| {
                if let Some(id) = issued.get(&entry.id) {
                    entry.id = *id;
                }
            };
            match &mut body {
                Body::Post(Post {
                    reply: Some(reply), ..
                }) => {
                    renew(&mut reply.root);
                    renew(&mut reply.parent);
                }
                Body::Reaction(reaction) => renew(&mut reaction.post),
                _ => {}
            }
            if let Some(entry) = log.append_own(ctx, &body) {
                issued.insert(id, entry.id());
            }
        }
        Ok(result)
    }

    fn publish(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        kinds: &Kinds,
        token: [u8; 16],
        text: &str,
        reply: Option<ReplyTo>,
        slug: Option<String>,
    ) -> Result<PostEntry, Error> {
        let text = kinds::text(text, limits::POST_CHARS_MAX)?;
        let slug = slug.map(|slug| wished_slug(&slug)).transpose()?;
        let identity = self.identity.as_ref().ok_or(Error::NoAccount)?;
        let post = Post { text, reply };
        if let Some(known) = self.tokens.get(&token) {
            let account = identity.account();
            return Ok(PostEntry {
                entry: EntryRef {
                    account,
                    id: known.id,
                },
                device: identity.device(),
                seq: known.seq,
                timestamp: ctx.now.wall,
                post,
            });
        }
        self.may_write(ctx, log)?;
        if slug.is_some() {
            self.claims.make_room(ctx, None)?;
        }
        let entry = log
            .append_own(ctx, &Body::Post(post.clone()))
            .ok_or(Error::NoAccount)?;
        let (header, id) = (entry.header(), entry.id());
        let record = TokenRecord { seq: header.seq, id };
        self.tokens.remember(ctx, token, record);
        if let Some(slug) = slug {
            let header = Some(header.clone());
            self.claims
                .ask_registry(ctx, kinds, slug, header, NameAction::Claim, false)?;
        }
        Ok(PostEntry::new(header, id, post))
    }

    fn revoke_device(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        words: &str,
        device: DeviceId,
    ) -> Result<CommandResult, Error> {
        self.may_write(ctx, log)?;
        let account_key = phrase::from_words(words).map_err(phrase_refusal)?;
        let identity = self.identity.as_ref().ok_or(Error::NoAccount)?;
        if !identity.is_of(&account_key) {
            return Err(Error::PhraseOfOther);
        }
        let account = identity.account();
        let feed = log.feeds.get(&device).filter(|feed| feed.account == account);
        let feed = feed.ok_or(Error::NotFound)?;
        let revocation = Revocation::issue(&account_key, device, feed.next_seq, feed.head, ctx.now.wall);
        log.append_own(ctx, &Body::Revocation(revocation));
        Ok(CommandResult::Ok)
    }
}

pub(super) fn phrase_refusal(error: PhraseError) -> Error {
    match error {
        PhraseError::Length(words) => Error::PhraseLength { words: words as u32 },
        PhraseError::UnknownWord { position, word } => Error::PhraseWord {
            position: position as u32,
            word,
        },
        PhraseError::Checksum => Error::PhraseChecksum,
    }
}
