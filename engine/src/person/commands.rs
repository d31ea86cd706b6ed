//! What a person changes: every command becomes one or more entries of this device's feed.

use std::time::Duration;

use protocol::entry::{Follow, Position, Post, Profile, ReplyTo};
use protocol::identity::{Certificate, Revocation};
use protocol::name::NameAction;
use protocol::phrase::{self, PhraseError};
use protocol::{AccountId, Body, DeviceId, EntryRef, KeyPair, Timestamp, VerifiedEntry, limits};

use crate::Engine;
use crate::api::{Command, Outcome, Refusal, StoreState};
use crate::io::AskId;
use crate::log::records::{Identity, Preferences, TokenRecord, meta};
use crate::person::claims::wished_slug;
use crate::store::{Op, Table};

/// Publish tokens remembered: a repeated command comes within moments, after another tab took over.
const TOKENS_MAX: usize = 256;

/// How far own timestamps may run ahead of the wall clock to keep posts in order.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(5);

impl Engine {
    /// Nothing yet (`None`): something must be read first, and then the answer is given.
    pub(crate) fn on_command(&mut self, ask: AskId, command: Command) -> Result<Option<Outcome>, Refusal> {
        let outcome = match command {
            Command::CreateAccount { name, device_name } => {
                let name = text(&name, limits::NAME_CHARS_MAX)?;
                if self.identity.is_some() {
                    return Err(Refusal::HasAccount);
                }
                let account_key = KeyPair::from_seed(&self.random());
                let account = self.become_device(&account_key, true, &device_name);
                self.append_own(&Body::Profile(Profile {
                    name,
                    bio: String::new(),
                }));
                Outcome::Account(account)
            }
            Command::Restore { phrase, device_name } => {
                let account_key = phrase::from_words(&phrase).map_err(phrase_refusal)?;
                if self.identity.is_some() {
                    // Only a device that can no longer write makes room for a new one of the same account.
                    if self.may_write() != Err(Refusal::Forked) && self.may_write() != Err(Refusal::Revoked) {
                        return Err(Refusal::HasAccount);
                    }
                    if self.me() != Some(AccountId(account_key.public())) {
                        return Err(Refusal::PhraseOfOther);
                    }
                    for link in self.links.keys().copied().collect::<Vec<_>>() {
                        self.close_link(link, "this device begins anew");
                    }
                    self.own_posts.clear();
                    self.unsaved.clear();
                }
                Outcome::Account(self.become_device(&account_key, false, &device_name))
            }
            Command::ConfirmPhrase => {
                let identity = self.identity.as_mut().ok_or(Refusal::NoAccount)?;
                identity.account_key = None;
                self.write_identity();
                self.me_changed = true;
                Outcome::Ok
            }
            Command::Publish {
                token,
                text,
                reply_to,
                slug,
            } => self.publish(token, &text, reply_to, slug)?,
            Command::SetSlug { post, slug } => return self.set_slug(ask, post, slug),
            Command::Follow { account } => self.follow(account, true)?,
            Command::Unfollow { account } => self.follow(account, false)?,
            Command::EditProfile { name, bio } => {
                let name = text(&name, limits::NAME_CHARS_MAX)?;
                if bio.chars().count() > limits::BIO_CHARS_MAX {
                    return Err(Refusal::TooLong {
                        max: limits::BIO_CHARS_MAX as u32,
                    });
                }
                self.may_write()?;
                self.append_own(&Body::Profile(Profile {
                    name,
                    bio: bio.trim().to_owned(),
                }));
                Outcome::Ok
            }
            Command::ClaimName { name } => self.claim_name(Some(name))?,
            Command::ReleaseName => self.claim_name(None)?,
            Command::OfferName { to } => self.offer_name(to)?,
            Command::DropClaim => self.drop_claim(None),
            Command::RevokeDevice { phrase, device } => self.revoke_device(&phrase, device)?,
            Command::SetRelaysOnly { on } => {
                self.relays_only = on;
                self.write(Op::put(
                    Table::Meta,
                    meta::PREFERENCES.to_vec(),
                    &Preferences { relays_only: on },
                ));
                if let Some(overlay) = &mut self.overlay {
                    overlay.set_anchors_only(on, crate::clock(self.now), &mut self.rng);
                }
                self.me_changed = true;
                Outcome::Ok
            }
            Command::RebuildViews => {
                self.begin_rebuild();
                Outcome::Ok
            }
            Command::CheckReplicas { account } => return Ok(self.check_replicas(ask, &account)),
        };
        Ok(Some(outcome))
    }

    /// Makes this device one of the account's: new key, certificate, feed.
    fn become_device(&mut self, account_key: &KeyPair, keep: bool, device_name: &str) -> AccountId {
        let key = KeyPair::from_seed(&self.random());
        let device = DeviceId(key.public());
        let account = AccountId(account_key.public());
        let name: String = device_name
            .trim()
            .chars()
            .take(limits::DEVICE_NAME_CHARS_MAX)
            .collect();
        let certificate = Certificate::issue(account_key, device, name.clone(), self.now.wall);
        self.identity = Some(Identity {
            account,
            device,
            key,
            account_key: keep.then(|| account_key.clone()),
            certificate: certificate.clone(),
        });
        self.write_identity();
        // There is always room for one's own feed.
        let begun = self.feeds.begin(device, account, name, self.now.wall, usize::MAX);
        debug_assert!(begun.is_ok(), "a fresh device of an account that is not held yet");
        if let Some(feed) = self.feeds.get_mut(&device) {
            feed.own = true;
        }
        self.append_own(&Body::Certificate(certificate));
        self.me_changed = true;
        self.next_housekeeping = self.now.instant;
        account
    }

    fn write_identity(&mut self) {
        if let Some(identity) = &self.identity {
            let record = identity.record();
            self.write(Op::put(Table::Meta, meta::IDENTITY.to_vec(), &record));
            self.write_strictly();
        }
    }

    /// Whether this device's feed can be written.
    pub(crate) fn may_write(&self) -> Result<(), Refusal> {
        let identity = self.identity.as_ref().ok_or(Refusal::NoAccount)?;
        match self.feeds.get(&identity.device) {
            Some(feed) if feed.forked.is_some() => Err(Refusal::Forked),
            Some(feed) if feed.revoked.is_some() => Err(Refusal::Revoked),
            Some(_) if self.store_state == StoreState::Full => Err(Refusal::Store(StoreState::Full)),
            Some(_) => Ok(()),
            None => Err(Refusal::NoAccount),
        }
    }

    /// Writes, signs and stores an entry of this device. Neighbours hear of it once it is on disk.
    pub(crate) fn append_own(&mut self, body: &Body) -> Option<VerifiedEntry> {
        let identity = self.identity.as_ref()?;
        let feed = self.feeds.get(&identity.device)?;
        let lamport = self
            .feeds
            .feeds_of(&identity.account)
            .map(|(_, feed)| feed.lamport)
            .max()
            .unwrap_or(0);
        let at = Position {
            seq: feed.next_seq,
            prev: feed.head,
            lamport: lamport.saturating_add(1),
        };
        let timestamp = self.next_timestamp();
        let verified = VerifiedEntry::create(&identity.key, at, identity.account, timestamp, body);
        self.last_timestamp = timestamp;
        // Before it is appended: what that reads ends the batch.
        self.write_strictly();
        self.append(&verified);
        self.hold_back(verified.clone());
        Some(verified)
    }

    /// The wall clock, but later than the last own entry, so that posts of one moment keep their order. A clock that was
    /// put back by more than moments is believed.
    fn next_timestamp(&self) -> Timestamp {
        let next = self.last_timestamp.plus(Duration::from_millis(1));
        let wall = self.now.wall;
        if next > wall && next <= wall.plus(CLOCK_STEP_MAX) {
            next
        } else {
            wall
        }
    }

    fn publish(
        &mut self,
        token: [u8; 16],
        post: &str,
        reply: Option<ReplyTo>,
        slug: Option<String>,
    ) -> Result<Outcome, Refusal> {
        let post = text(post, limits::POST_CHARS_MAX)?;
        let slug = slug.map(|slug| wished_slug(&slug)).transpose()?;
        let identity = self.identity.as_ref().ok_or(Refusal::NoAccount)?;
        let (account, device) = (identity.account, identity.device);
        if let Some(known) = self.tokens.get(&token) {
            let entry = EntryRef {
                account,
                id: known.id,
            };
            let body = Post { text: post, reply };
            let view = self.post_view(entry, device, known.seq, self.now.wall, &body);
            return Ok(Outcome::Published(Box::new(view)));
        }
        self.may_write()?;
        if slug.is_some() {
            self.room_for_slug(None)?;
        }
        let body = Post { text: post, reply };
        let verified = self
            .append_own(&Body::Post(body.clone()))
            .ok_or(Refusal::NoAccount)?;
        let seq = verified.header().seq;
        self.remember_token(
            token,
            TokenRecord {
                seq,
                id: verified.id(),
            },
        );
        if let Some(slug) = slug {
            self.ask_registry(slug, Some(verified.header().clone()), NameAction::Claim, false)?;
        }
        let view = self.post_view(
            verified.entry_ref(),
            device,
            seq,
            verified.header().timestamp,
            &body,
        );
        Ok(Outcome::Published(Box::new(view)))
    }

    fn remember_token(&mut self, token: [u8; 16], record: TokenRecord) {
        self.tokens.insert(token, record);
        self.write(Op::put(Table::Tokens, token.to_vec(), &record));
        if self.tokens.len() > TOKENS_MAX
            && let Some(oldest) = self
                .tokens
                .iter()
                .min_by_key(|(_, record)| record.seq)
                .map(|(token, _)| *token)
        {
            self.tokens.remove(&oldest);
            self.write(Op::Delete {
                table: Table::Tokens,
                key: oldest.to_vec(),
            });
        }
    }

    fn follow(&mut self, account: AccountId, on: bool) -> Result<Outcome, Refusal> {
        self.may_write()?;
        if self.me() == Some(account) {
            return Err(Refusal::NotFound);
        }
        if self.follows(&account) != on {
            self.append_own(&Body::Follow(Follow { account, on }));
        }
        Ok(Outcome::Ok)
    }

    fn revoke_device(&mut self, phrase: &str, device: DeviceId) -> Result<Outcome, Refusal> {
        self.may_write()?;
        let account_key = phrase::from_words(phrase).map_err(phrase_refusal)?;
        if self.me() != Some(AccountId(account_key.public())) {
            return Err(Refusal::PhraseOfOther);
        }
        let feed = self
            .feeds
            .get(&device)
            .filter(|feed| self.me() == Some(feed.account))
            .ok_or(Refusal::NotFound)?;
        let revocation = Revocation::issue(&account_key, device, feed.next_seq, feed.head, self.now.wall);
        self.append_own(&Body::Revocation(revocation));
        Ok(Outcome::Ok)
    }
}

/// Trimmed, not empty, not too long.
fn text(text: &str, max: usize) -> Result<String, Refusal> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(Refusal::Empty),
        n if n > max => Err(Refusal::TooLong { max: max as u32 }),
        _ => Ok(text.to_owned()),
    }
}

fn phrase_refusal(error: PhraseError) -> Refusal {
    match error {
        PhraseError::Length(words) => Refusal::PhraseLength { words: words as u32 },
        PhraseError::UnknownWord { position, word } => Refusal::PhraseWord {
            position: position as u32,
            word,
        },
        PhraseError::Checksum => Refusal::PhraseChecksum,
    }
}
