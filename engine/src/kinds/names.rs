//! Names of the registry: knowing whose they are. How this device gets one is in `claims`, what posts have in `slugs`.
//!
//! What the registry gives is signed, and goes into the account's feed like anything else said there: whoever holds the
//! feed knows the name without asking anybody.
//!
//! Invariants: a name is shown only with the signature of the registry this peer takes names from, and only for the account
//! that has the highest revision of it. Which registry that is, a relay this device knows says first; it stays so.

use std::time::Duration;

use ordered::Map;
use protocol::entry::Name;
use protocol::message::{Message, NameAsked};
use protocol::name::{NameAnswer, NameQuestion, RegistryId};
use protocol::{AccountId, Instant, limits};

use crate::Engine;
use crate::api::{Answer, Refusal, Reply};
use crate::io::{AskId, LinkId, Log, Output};
use crate::log::records::{NameRecord, Precedence, meta};
use crate::store::{Op, Table};

/// Lookups under way at once.
const LOOKUPS_MAX: usize = 64;
/// A lookup is given up after this long.
const LOOKUP: Duration = Duration::from_secs(8);

#[derive(Clone, Debug)]
struct Lookup {
    ask: AskId,
    slug: bool,
    name: String,
    until: Instant,
    sent: bool,
}

/// What is known of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    registry: Option<RegistryId>,
    /// Another one that was heard of last.
    other: Option<RegistryId>,
    /// How far it was, by the highest revision that it signed.
    known: u64,
    /// Whose a name is, and by which revision.
    holders: Map<String, (u64, AccountId)>,
    lookups: Map<u32, Lookup>,
    last_request: u32,
}

impl Names {
    pub(crate) fn registry(&self) -> Option<RegistryId> {
        self.registry
    }

    pub(crate) fn restore_registry(&mut self, registry: RegistryId) {
        self.registry = Some(registry);
    }

    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// The registry signed this revision.
    pub(crate) fn learn_revision(&mut self, revision: u64) {
        self.known = self.known.max(revision);
    }

    pub(crate) fn number(&mut self) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.last_request
    }
}

impl Engine {
    /// The name of an account; empty if it has none that is proven.
    pub(crate) fn handle_of(&self, account: &AccountId) -> &str {
        let record = self.feeds.account(account).and_then(|held| held.named.as_ref());
        let receipt = record.and_then(|record| record.receipt.as_ref());
        receipt
            .filter(|receipt| Some(receipt.registry) == self.names.registry)
            .filter(|receipt| {
                let holder = self.names.holders.get(&receipt.name);
                holder.is_none_or(|(_, holder)| holder == account)
            })
            .map_or("", |receipt| &receipt.name)
    }

    /// A known relay says which registry its network takes names from; or this relay keeps one itself.
    pub(crate) fn learn_registry(&mut self, registry: RegistryId, own: bool) {
        match self.names.registry {
            Some(known) if known == registry => return,
            Some(_) if !own && self.names.other == Some(registry) => return,
            Some(known) if !own => {
                self.names.other = Some(registry);
                return self.emit(Output::Log(Log::OtherRegistry {
                    known,
                    other: registry,
                }));
            }
            _ => {}
        }
        self.names.registry = Some(registry);
        self.names.known = 0;
        self.write(Op::put(Table::Meta, meta::REGISTRY.to_vec(), &registry));
        self.names.holders.clear();
        let accounts: Vec<_> = self.feeds.accounts().collect();
        for account in accounts {
            self.index_name(account);
        }
    }

    /// A name entry was folded.
    pub(crate) fn fold_name(&mut self, account: AccountId, name: Name, precedence: Precedence) {
        let receipt = name.receipt.filter(|receipt| receipt.account == account);
        let known = &mut self.feeds.account_mut(account).named;
        if known.as_ref().is_some_and(|known| known.precedence >= precedence) {
            return;
        }
        let record = NameRecord { receipt, precedence };
        *known = Some(record.clone());
        self.write(Op::put(Table::Names, account.0.to_vec(), &record));
        self.index_name(account);
        self.changed_profiles.insert(account);
        self.me_changed |= self.me() == Some(account);
    }

    /// Notes whose the account's name is. Relays show nobody anything.
    pub(crate) fn index_name(&mut self, account: AccountId) {
        if self.is_relay() {
            return;
        }
        let held = self.feeds.account(&account);
        let receipt = held.and_then(|held| held.named.as_ref()?.receipt.as_ref());
        let Some(receipt) = receipt.filter(|receipt| Some(receipt.registry) == self.names.registry) else {
            return;
        };
        self.names.learn_revision(receipt.revision);
        let before = self.names.holders.get(&receipt.name).copied();
        if before.is_none_or(|(revision, _)| revision < receipt.revision) {
            let holder = (receipt.revision, account);
            self.names.holders.insert(receipt.name.clone(), holder);
            if let Some((_, loser)) = before.filter(|(_, loser)| *loser != account) {
                self.changed_profiles.insert(loser);
            }
        }
    }

    /// A known relay that is linked, by chance.
    pub(crate) fn any_relay(&mut self) -> Option<LinkId> {
        let relays = self.links_whose(|up| up.neighbour && self.peers.is_relay(&up.peer));
        self.any_of(&relays)
    }

    /// An interface wants to know whose a name is.
    pub(crate) fn look_up_name(&mut self, ask: AskId, name: &str) {
        let name = name.trim().trim_start_matches('@').to_ascii_lowercase();
        self.look_up(ask, false, name);
    }

    /// Asks the registry whose a name, or which post's a slug is.
    pub(crate) fn look_up(&mut self, ask: AskId, slug: bool, name: String) {
        if name.is_empty() || name.len() > limits::UNIQUE_NAME_LEN_MAX {
            return self.answer(ask, Answer::Refused(Refusal::NotFound));
        }
        if self.names.lookups.len() >= LOOKUPS_MAX {
            return self.answer(ask, Answer::Refused(Refusal::Busy));
        }
        let request = self.names.number();
        let lookup = Lookup {
            ask,
            slug,
            name,
            until: self.now.instant + LOOKUP,
            sent: false,
        };
        self.names.lookups.insert(request, lookup);
        self.send_lookups();
    }

    /// Gives lookups up that had no answer.
    pub(crate) fn keep_lookups(&mut self) {
        let now = self.now.instant;
        let late = self
            .names
            .lookups
            .iter()
            .filter(|(_, lookup)| now >= lookup.until);
        let late: Vec<u32> = late.map(|(request, _)| *request).collect();
        for request in late {
            self.end_lookup(request, NameAnswer::Unavailable);
        }
    }

    /// Asks a relay what has not been asked yet, if there is one.
    pub(crate) fn send_lookups(&mut self) {
        let Some(link) = self.any_relay() else {
            return;
        };
        let mut questions = Vec::new();
        for (request, lookup) in self.names.lookups.iter_mut().filter(|(_, lookup)| !lookup.sent) {
            lookup.sent = true;
            let question = NameQuestion::Lookup {
                slug: lookup.slug,
                name: lookup.name.clone(),
            };
            let request = *request;
            questions.push(NameAsked { request, question });
        }
        for question in questions {
            self.send(link, &Message::NameQuestion(question));
        }
    }

    fn end_lookup(&mut self, request: u32, answer: NameAnswer) {
        let Some(lookup) = self.names.lookups.remove(&request) else {
            return;
        };
        // What feeds say is proof as well, only perhaps not the latest.
        let known = || {
            let (_, holder) = self.names.holders.get(&lookup.name)?;
            let receipt = self.feeds.account(holder)?.named.as_ref()?.receipt.clone()?;
            Some(NameAnswer::Held(receipt))
        };
        let answer = match answer {
            NameAnswer::Unavailable if !lookup.slug => known().unwrap_or(answer),
            answer => answer,
        };
        self.answer(lookup.ask, Answer::Reply(Box::new(Reply::Name(answer))));
    }

    /// The registry's answer to one of this device's questions.
    pub(crate) fn on_own_name_answer(&mut self, link: LinkId, request: u32, mut answer: NameAnswer) {
        let word = match &answer {
            NameAnswer::Held(it) => Some((it.registry, it.revision, it.verify().is_ok())),
            NameAnswer::Outdated(it) => Some((it.registry, it.revision, it.verify().is_ok())),
            _ => None,
        };
        if let Some((registry, revision, holds)) = word {
            let known = self.names.registry;
            if !holds || known.is_some_and(|known| known != registry) {
                return self.misbehaved(link, "a word of the registry that is not the registry's");
            }
            if known.is_some() {
                self.names.learn_revision(revision);
            } else {
                // No relay has said yet which registry it is: the question is asked again once one has.
                answer = NameAnswer::Unavailable;
            }
        }
        if let Some(answer) = self.on_claim_answer(link, request, answer) {
            self.end_lookup(request, answer);
        }
    }
}
