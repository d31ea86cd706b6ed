//! Names of the registry: claiming one for oneself, and knowing those of others.
//!
//! A claim is written down before it is sent and repeated, over one relay after the other, until the registry has decided;
//! so it can be made offline. What the registry gives is signed, and goes into the account's feed like anything else said
//! there: whoever holds the feed knows the name without asking anybody.
//!
//! Invariants: a name is shown only with the signature of the registry this peer takes names from, and only for the account
//! that has the highest revision of it. Which registry that is, a relay this device knows says first; it stays so.

use std::time::Duration;

use ordered::Map;
use protocol::entry::Name;
use protocol::message::{Message, NameAsked};
use protocol::name::{NameAction, NameAnswer, NameQuestion, NameReceipt, NameRequest, RegistryId};
use protocol::{AccountId, Body, Instant, limits};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::api::{Answer, ClaimView, Outcome, Refusal, Reply};
use crate::io::{AskId, LinkId, Log, Output};
use crate::records::{NameRecord, Precedence, meta};
use crate::store::{Op, Table};

/// Pauses between attempts, doubled from the first to the last.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_mins(2);
/// Work a registry may ask for; more is not done.
const WORK_BITS_MAX: u8 = 24;
/// Hashes tried at a time, so that everything else goes on.
const TRIES: u32 = 8_192;
/// Lookups under way at once.
const LOOKUPS_MAX: usize = 64;
/// A lookup is given up after this long.
const LOOKUP: Duration = Duration::from_secs(8);

/// A claim, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) request: NameRequest,
    /// Why it came to nothing. `None`: it is not decided.
    pub(crate) refused: Option<NameAnswer>,
}

#[derive(Clone, Debug)]
struct Lookup {
    ask: AskId,
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
    /// Whose a name is, and by which revision.
    holders: Map<String, (u64, AccountId)>,
    claim: Option<Claim>,
    /// The request number of the claim while it is under way, and the link it took.
    under_way: Option<(LinkId, u32)>,
    working: Option<u8>,
    next_try: Instant,
    pause: Duration,
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

    pub(crate) fn restore_claim(&mut self, claim: Claim) {
        self.claim = Some(claim);
    }

    pub(crate) fn claim_view(&self) -> Option<ClaimView> {
        let claim = self.claim.as_ref()?;
        Some(ClaimView {
            name: claim.request.name.clone(),
            release: claim.request.action == NameAction::Release,
            refused: claim.refused.clone(),
        })
    }

    /// Whether [`Engine::keep_names`] has work at hand.
    pub(crate) fn is_busy(&self) -> bool {
        self.working.is_some()
    }

    fn number(&mut self) -> u32 {
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
        let before = self.names.holders.get(&receipt.name).copied();
        if before.is_none_or(|(revision, _)| revision < receipt.revision) {
            let holder = (receipt.revision, account);
            self.names.holders.insert(receipt.name.clone(), holder);
            if let Some((_, loser)) = before.filter(|(_, loser)| *loser != account) {
                self.changed_profiles.insert(loser);
            }
        }
    }

    /// Asks the registry for a name, or to take it back (`None`).
    pub(crate) fn claim_name(&mut self, name: Option<String>) -> Result<Outcome, Refusal> {
        self.may_write()?;
        let me = self.me().ok_or(Refusal::NoAccount)?;
        let own = self.handle_of(&me).to_owned();
        let (name, action) = match name {
            None if own.is_empty() => return Err(Refusal::NotFound),
            None => (own, NameAction::Release),
            Some(name) => {
                // The registry knows every script; here the common case is made right.
                let name = name.trim().trim_start_matches('@').to_ascii_lowercase();
                if name.is_empty() {
                    return Err(Refusal::Empty);
                }
                if name.len() > limits::UNIQUE_NAME_LEN_MAX {
                    return Err(Refusal::TooLong { max: 30 });
                }
                (name, NameAction::Claim)
            }
        };
        let (nonce, at) = (self.random(), self.now.wall);
        let identity = self.identity.as_ref().ok_or(Refusal::NoAccount)?;
        let certificate = identity.certificate.clone();
        let request = NameRequest::issue(&identity.key, certificate, name, None, action, nonce, at);
        self.names.claim = Some(Claim {
            request,
            refused: None,
        });
        self.write_claim();
        self.retry_claim_now();
        Ok(Outcome::Ok)
    }

    /// The claim is not wanted any more. What the registry decides all the same is asked for by the next claim.
    pub(crate) fn drop_claim(&mut self) -> Outcome {
        self.names.claim = None;
        self.names.under_way = None;
        self.names.working = None;
        self.write(Op::Delete {
            table: Table::Meta,
            key: meta::CLAIM.to_vec(),
        });
        self.me_changed = true;
        Outcome::Ok
    }

    fn write_claim(&mut self) {
        if let Some(claim) = &self.names.claim {
            let op = Op::put(Table::Meta, meta::CLAIM.to_vec(), claim);
            self.write(op);
            self.write_strictly();
        }
        self.me_changed = true;
    }

    /// A relay came: what waits for one is asked.
    pub(crate) fn on_relay_for_names(&mut self) {
        self.retry_claim_now();
        self.send_lookups();
    }

    fn retry_claim_now(&mut self) {
        if self
            .names
            .claim
            .as_ref()
            .is_some_and(|claim| claim.refused.is_none())
        {
            self.names.under_way = None;
            self.names.pause = PAUSE_MIN;
            self.names.next_try = self.now.instant;
            self.next_housekeeping = self.now.instant;
        }
    }

    /// A link ended.
    pub(crate) fn forget_name_link(&mut self, link: LinkId) {
        if self.names.under_way.is_some_and(|(over, _)| over == link) {
            self.retry_claim_now();
        }
    }

    /// What time alone does: work, attempts, lookups given up.
    pub(crate) fn keep_names(&mut self) {
        let now = self.now.instant;
        if let Some(bits) = self.names.working
            && let Some(claim) = &mut self.names.claim
        {
            if !claim.request.seek_work(u32::from(bits), TRIES) {
                return;
            }
            self.names.working = None;
            self.names.next_try = now;
        }
        let open = self
            .names
            .claim
            .as_ref()
            .is_some_and(|claim| claim.refused.is_none());
        if open && now >= self.names.next_try {
            self.names.next_try = now + self.names.pause;
            self.names.pause = (self.names.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.send_claim();
        }
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

    fn send_claim(&mut self) {
        let Some(request) = self.names.claim.as_ref().map(|claim| claim.request.clone()) else {
            return;
        };
        if let Some(link) = self.any_relay() {
            let number = self.names.number();
            self.names.under_way = Some((link, number));
            let question = NameQuestion::Request(request);
            self.send(
                link,
                &Message::NameQuestion(NameAsked {
                    request: number,
                    question,
                }),
            );
        }
    }

    /// A known relay that is linked, by chance.
    fn any_relay(&mut self) -> Option<LinkId> {
        let relays = self.links_whose(|up| up.neighbour && self.peers.is_relay(&up.peer));
        self.any_of(&relays)
    }

    /// An interface wants to know whose a name is.
    pub(crate) fn look_up_name(&mut self, ask: AskId, name: &str) {
        let name = name.trim().trim_start_matches('@').to_ascii_lowercase();
        if name.is_empty() || name.len() > limits::UNIQUE_NAME_LEN_MAX {
            return self.answer(ask, Answer::Refused(Refusal::NotFound));
        }
        if self.names.lookups.len() >= LOOKUPS_MAX {
            return self.answer(ask, Answer::Refused(Refusal::Busy));
        }
        let request = self.names.number();
        let lookup = Lookup {
            ask,
            name,
            until: self.now.instant + LOOKUP,
            sent: false,
        };
        self.names.lookups.insert(request, lookup);
        self.send_lookups();
    }

    /// Asks a relay what has not been asked yet, if there is one.
    fn send_lookups(&mut self) {
        let Some(link) = self.any_relay() else {
            return;
        };
        let mut questions = Vec::new();
        for (request, lookup) in self.names.lookups.iter_mut().filter(|(_, lookup)| !lookup.sent) {
            lookup.sent = true;
            let question = NameQuestion::Lookup {
                slug: false,
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
            NameAnswer::Unavailable => known().unwrap_or(answer),
            answer => answer,
        };
        self.answer(lookup.ask, Answer::Reply(Box::new(Reply::Name(answer))));
    }

    /// The registry's answer to one of this device's questions.
    pub(crate) fn on_own_name_answer(&mut self, link: LinkId, request: u32, answer: NameAnswer) {
        if let NameAnswer::Held(receipt) = &answer
            && !self.is_registrys_word(receipt)
        {
            return self.misbehaved(link, "a name receipt that is not the registry's");
        }
        if self.names.under_way == Some((link, request)) {
            self.names.under_way = None;
            self.on_claim_answer(answer);
        } else {
            self.end_lookup(request, answer);
        }
    }

    fn is_registrys_word(&self, receipt: &NameReceipt) -> bool {
        Some(receipt.registry) == self.names.registry && receipt.verify().is_ok()
    }

    fn on_claim_answer(&mut self, answer: NameAnswer) {
        let Some(claim) = &mut self.names.claim else {
            return;
        };
        let account = claim.request.certificate.account;
        match answer {
            NameAnswer::Held(receipt)
                if receipt.account == account && claim.request.action == NameAction::Claim =>
            {
                self.end_claim(Some(receipt));
            }
            NameAnswer::Free if claim.request.action == NameAction::Release => self.end_claim(None),
            // It was given back already, perhaps from another device.
            NameAnswer::NotYours if claim.request.action == NameAction::Release => self.end_claim(None),
            NameAnswer::Work { bits } if bits <= WORK_BITS_MAX => {
                self.names.working = Some(bits);
                self.next_housekeeping = self.now.instant;
            }
            NameAnswer::TooFast | NameAnswer::Unavailable => {}
            refused => {
                claim.refused = Some(refused);
                self.write_claim();
            }
        }
    }

    /// The registry decided: the account's feed says so from now on.
    fn end_claim(&mut self, receipt: Option<NameReceipt>) {
        self.drop_claim();
        self.append_own(&Body::Name(Name { receipt }));
    }
}
