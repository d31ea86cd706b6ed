//! The registry of names of the simulated network: it decides at once, in memory, and signs.

use std::collections::BTreeMap;

use protocol::names::{NameAction, NameAnswer, NameMark, NameQuestion, NameReceipt};
use protocol::{AccountId, EntryId, KeyPair, Timestamp};

/// A registry of names, shared by all relays that keep one; `answers` is whether it can be reached.
pub(crate) struct Registry {
    pub(crate) key: KeyPair,
    /// Slug or name, and whose it is.
    pub(crate) held: BTreeMap<(bool, String), (AccountId, Option<EntryId>)>,
    /// When each was last changed.
    pub(crate) changed: BTreeMap<(bool, String), u64>,
    /// Who may claim what is held by another.
    pub(crate) offered: BTreeMap<(bool, String), AccountId>,
    pub(crate) revision: u64,
    /// The most that any request knew of.
    pub(crate) known_max: u64,
    pub(crate) work_bits: u8,
    pub(crate) answers: bool,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            key: KeyPair::from_seed(&[0x77; 32]),
            held: BTreeMap::new(),
            changed: BTreeMap::new(),
            offered: BTreeMap::new(),
            revision: 0,
            known_max: 0,
            work_bits: 0,
            answers: true,
        }
    }

    pub(crate) fn answer(&mut self, question: NameQuestion, at: Timestamp) -> NameAnswer {
        let receipt = |name: &str, (account, post), revision| {
            let name = name.to_owned();
            NameAnswer::Held(NameReceipt::issue(&self.key, name, post, account, revision, at))
        };
        let request = match question {
            NameQuestion::Lookup { slug, name } => {
                let holder = self.held.get(&(slug, name.clone()));
                return holder.map_or(NameAnswer::Free, |holder| receipt(&name, *holder, self.revision));
            }
            NameQuestion::Request(request) => request,
        };
        if request.work_bits() < u32::from(self.work_bits) {
            let bits = self.work_bits;
            return NameAnswer::Work { bits };
        }
        self.known_max = self.known_max.max(request.known);
        let asks = (request.certificate.account, request.post_id());
        let key = (asks.1.is_some(), request.name.clone());
        self.revision += 1;
        let changed = self.changed.get(&key).copied().unwrap_or(0);
        match (request.action, self.held.get(&key)) {
            (NameAction::Claim, Some(holder))
                if *holder != asks && self.offered.get(&key) != Some(&asks.0) =>
            {
                NameAnswer::Taken
            }
            (NameAction::Claim, Some(holder)) if *holder == asks => receipt(&request.name, asks, changed),
            (NameAction::Release | NameAction::Offer { .. }, holder) if holder != Some(&asks) => {
                NameAnswer::NotYours
            }
            _ if changed > request.known => NameAnswer::Outdated(NameMark::issue(&self.key, changed)),
            (NameAction::Claim, _) => {
                let answer = receipt(&request.name, asks, self.revision);
                self.offered.remove(&key);
                self.changed.insert(key.clone(), self.revision);
                self.held.insert(key, asks);
                answer
            }
            (NameAction::Offer { to }, Some(_)) => {
                let answer = receipt(&request.name, asks, self.revision);
                self.changed.insert(key.clone(), self.revision);
                self.offered.remove(&key);
                self.offered.extend(to.map(|to| (key, to)));
                answer
            }
            (_, Some(_)) => {
                self.changed.insert(key.clone(), self.revision);
                self.offered.remove(&key);
                self.held.remove(&key);
                NameAnswer::Free
            }
            _ => NameAnswer::NotYours,
        }
    }
}
