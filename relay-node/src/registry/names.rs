//! What may be done with names, on either ledger.

use std::time::Duration;

use protocol::name::{NameAction, NameAnswer, NameQuestion, NameReceipt, NameRequest, RegistryId};
use protocol::{AccountId, KeyPair, Timestamp, codec};
use serde::{Deserialize, Serialize};

use super::ledger::{Change, Check, Key, LeaseId, Ledger, LedgerError, Outcome, Row, Txn};
use super::rules;

/// Where names are: `n/` and the skeleton.
const NAMES: &[u8] = b"n/";
/// Which name an account has: `a/` and its key.
const ACCOUNTS: &[u8] = b"a/";
/// Locks: `l/` and what is locked.
pub(super) const LOCKS: &[u8] = b"l/";
/// The first key after them.
pub(super) const LOCKS_END: &[u8] = b"l0";
/// The secret key receipts are signed with.
const KEY: &[u8] = b"key";
/// Attempts at a transaction whose outcome is lost, or that others were faster than.
const ATTEMPTS_MAX: u32 = 5;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(50);

/// What an operator decides about names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Work asked for with a claim.
    pub work_bits: u8,
    /// How long a name that was given back rests.
    pub rest: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            work_bits: 0,
            rest: Duration::from_hours(30 * 24),
        }
    }
}

/// A name's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// As it is written.
    pub name: String,
    /// Whose it is, or was.
    pub account: AccountId,
    /// Of the request that made it so.
    pub nonce: [u8; 16],
    /// When it became so.
    pub at: Timestamp,
    /// Who may claim it besides.
    pub offered: Option<AccountId>,
    /// It was given back.
    pub released: bool,
}

/// A lock held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    key: Key,
    lease: LeaseId,
    /// The revision that made it: a later holder's is higher.
    pub fence: u64,
}

/// Why the registry did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody else holds the lock by now.
    #[error("the lock is lost; somebody else leads")]
    Fenced,
}

/// The registry.
#[derive(Clone, Debug)]
pub struct Registry {
    ledger: Ledger,
    key: KeyPair,
    settings: Settings,
}

impl Registry {
    /// The registry kept in `ledger`; it is made if there is none yet.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger cannot be reached.
    pub async fn open(ledger: Ledger, settings: Settings, fresh: [u8; 32]) -> Result<Self, LedgerError> {
        let txn = Txn {
            checks: vec![Check::Absent(KEY.to_vec())],
            changes: vec![put(KEY.to_vec(), fresh.to_vec())],
            otherwise: vec![KEY.to_vec()],
        };
        let seed = match ledger.txn(txn).await? {
            Outcome::Done(_) => fresh,
            Outcome::Refused(rows) => {
                let row = rows.into_iter().flatten().next();
                let seed = row.and_then(|row| <[u8; 32]>::try_from(row.value).ok());
                seed.ok_or_else(|| LedgerError::Damaged("its key is not one".to_owned()))?
            }
        };
        Ok(Self {
            ledger,
            key: KeyPair::from_seed(&seed),
            settings,
        })
    }

    /// What it signs with.
    #[must_use]
    pub fn id(&self) -> RegistryId {
        RegistryId(self.key.public())
    }

    /// The answer to a question whose signatures were checked. Never an error: what cannot be decided now is
    /// [`NameAnswer::Unavailable`].
    pub async fn answer(&self, question: &NameQuestion, now: Timestamp) -> NameAnswer {
        let answer = match question {
            NameQuestion::Lookup { name } => self.lookup(name).await,
            NameQuestion::Request(request) => self.request(request, now).await,
        };
        answer.unwrap_or_else(|error| {
            tracing::warn!(%error, "a question about a name has no answer");
            NameAnswer::Unavailable
        })
    }

    /// Whose a name is.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn lookup(&self, name: &str) -> Result<NameAnswer, LedgerError> {
        let name = rules::canonical(name);
        if let Err(fault) = rules::check(&name) {
            return Ok(NameAnswer::Fault(fault));
        }
        let row = self.ledger.read(vec![name_key(&name)]).await?.pop().flatten();
        let Some((holding, revision)) = row.map(|row| holding(&row)).transpose()? else {
            return Ok(NameAnswer::Free);
        };
        // One that looks like it is not it.
        if holding.released || holding.name != name {
            return Ok(NameAnswer::Free);
        }
        Ok(NameAnswer::Held(self.receipt(holding, revision)))
    }

    async fn request(&self, request: &NameRequest, now: Timestamp) -> Result<NameAnswer, LedgerError> {
        if let Err(fault) = rules::check(&request.name) {
            return Ok(NameAnswer::Fault(fault));
        }
        if request.work_bits() < u32::from(self.settings.work_bits) {
            let bits = self.settings.work_bits;
            return Ok(NameAnswer::Work { bits });
        }
        let mut lost = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let outcome = match &request.action {
                NameAction::Claim => self.claim(request, now).await,
                NameAction::Release => self.release(request, now).await,
                NameAction::Offer { to } => self.offer(request, *to, now).await,
            };
            match outcome {
                Ok(Some(answer)) => return Ok(answer),
                // Somebody was faster; look again.
                Ok(None) => {}
                // It may have been done: doing it again finds that out, by the nonce.
                Err(error @ (LedgerError::Unknown(_) | LedgerError::Unavailable(_))) => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        lost.map_or(Ok(NameAnswer::Unavailable), Err)
    }

    /// `None`: it changed meanwhile.
    async fn claim(&self, request: &NameRequest, now: Timestamp) -> Result<Option<NameAnswer>, LedgerError> {
        let account = request.certificate.account;
        let (name_key, account_key) = (name_key(&request.name), account_key(&account));
        let wanted = Holding {
            name: request.name.clone(),
            account,
            nonce: request.nonce,
            at: now,
            offered: None,
            released: false,
        };
        let changes = vec![
            put(name_key.clone(), codec::encode(&wanted)),
            put(account_key.clone(), name_key.clone()),
        ];
        // Most names are free: that is tried first, and reads what there is if it is not so.
        let txn = Txn {
            checks: vec![
                Check::Absent(name_key.clone()),
                Check::Absent(account_key.clone()),
            ],
            changes: changes.clone(),
            otherwise: vec![name_key.clone(), account_key.clone()],
        };
        let rows = match self.ledger.txn(txn).await? {
            Outcome::Done(revision) => return Ok(Some(self.held(wanted, revision))),
            Outcome::Refused(rows) => rows,
        };
        let [name_row, account_row] = <[Option<Row>; 2]>::try_from(rows)
            .map_err(|_| LedgerError::Damaged("it answered something else".to_owned()))?;
        let known = name_row.map(|row| holding(&row)).transpose()?;
        if let Some((holding, revision)) = &known
            && holding.account == account
            && !holding.released
        {
            // Asked before, by this device or another, or the answer was lost.
            let mine = holding.name == request.name;
            let other = holding.name.clone();
            return Ok(Some(if mine {
                self.held(holding.clone(), *revision)
            } else {
                NameAnswer::HasOther { name: other }
            }));
        }
        if let Some(row) = account_row {
            return self.other_name(row.value).await.map(Some);
        }
        let Some((holding, revision)) = known else {
            return Ok(None);
        };
        let offered = holding.offered == Some(account);
        if !holding.released && !offered {
            return Ok(Some(NameAnswer::Taken));
        }
        let until = holding.at.plus(self.settings.rest);
        if holding.released && holding.account != account && now < until {
            return Ok(Some(NameAnswer::Resting { until }));
        }
        let mut txn = Txn {
            checks: vec![Check::Unchanged(name_key, revision), Check::Absent(account_key)],
            changes,
            otherwise: Vec::new(),
        };
        if offered && !holding.released {
            txn.changes
                .push(Change::Delete(self::account_key(&holding.account)));
        }
        match self.ledger.txn(txn).await? {
            Outcome::Done(revision) => Ok(Some(self.held(wanted, revision))),
            Outcome::Refused(_) => Ok(None),
        }
    }

    /// The account has a name already: which.
    async fn other_name(&self, name_key: Key) -> Result<NameAnswer, LedgerError> {
        let row = self.ledger.read(vec![name_key]).await?.pop().flatten();
        let known = row.map(|row| holding(&row)).transpose()?;
        Ok(
            known.map_or(NameAnswer::Unavailable, |(holding, _)| NameAnswer::HasOther {
                name: holding.name,
            }),
        )
    }

    async fn release(
        &self,
        request: &NameRequest,
        now: Timestamp,
    ) -> Result<Option<NameAnswer>, LedgerError> {
        let account = request.certificate.account;
        let name_key = name_key(&request.name);
        let row = self.ledger.read(vec![name_key.clone()]).await?.pop().flatten();
        let Some((holding, revision)) = row.map(|row| holding(&row)).transpose()? else {
            return Ok(Some(NameAnswer::Free));
        };
        if holding.released && holding.account == account {
            return Ok(Some(NameAnswer::Free));
        }
        if holding.account != account || holding.name != request.name {
            return Ok(Some(NameAnswer::NotYours));
        }
        let released = Holding {
            nonce: request.nonce,
            at: now,
            offered: None,
            released: true,
            ..holding
        };
        let txn = Txn {
            checks: vec![Check::Unchanged(name_key.clone(), revision)],
            changes: vec![
                put(name_key, codec::encode(&released)),
                Change::Delete(account_key(&account)),
            ],
            otherwise: Vec::new(),
        };
        match self.ledger.txn(txn).await? {
            Outcome::Done(_) => Ok(Some(NameAnswer::Free)),
            Outcome::Refused(_) => Ok(None),
        }
    }

    /// Lets somebody else claim a name: the first half of a transfer, the other's claim is the second.
    async fn offer(
        &self,
        request: &NameRequest,
        to: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Option<NameAnswer>, LedgerError> {
        let account = request.certificate.account;
        let name_key = name_key(&request.name);
        let row = self.ledger.read(vec![name_key.clone()]).await?.pop().flatten();
        let known = row.map(|row| holding(&row)).transpose()?;
        let Some((holding, revision)) = known.filter(|(holding, _)| {
            holding.account == account && !holding.released && holding.name == request.name
        }) else {
            return Ok(Some(NameAnswer::NotYours));
        };
        if holding.nonce == request.nonce {
            return Ok(Some(self.held(holding, revision)));
        }
        let offered = Holding {
            nonce: request.nonce,
            at: now,
            offered: to,
            ..holding
        };
        let txn = Txn {
            checks: vec![Check::Unchanged(name_key.clone(), revision)],
            changes: vec![put(name_key, codec::encode(&offered))],
            otherwise: Vec::new(),
        };
        match self.ledger.txn(txn).await? {
            Outcome::Done(revision) => Ok(Some(self.held(offered, revision))),
            Outcome::Refused(_) => Ok(None),
        }
    }

    fn held(&self, holding: Holding, revision: u64) -> NameAnswer {
        NameAnswer::Held(self.receipt(holding, revision))
    }

    fn receipt(&self, holding: Holding, revision: u64) -> NameReceipt {
        NameReceipt::issue(&self.key, holding.name, holding.account, revision, holding.at)
    }

    /// Takes a lock, if nobody has it. It is lost when it is not kept alive for `ttl`.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn lock(&self, what: &str, by: &str, ttl: Duration) -> Result<Option<Lock>, LedgerError> {
        let key = [LOCKS, what.as_bytes()].concat();
        let lease = self.ledger.lease(ttl).await?;
        let txn = Txn {
            checks: vec![Check::Absent(key.clone())],
            changes: vec![Change::Put {
                key: key.clone(),
                value: by.as_bytes().to_vec(),
                lease: Some(lease),
            }],
            otherwise: Vec::new(),
        };
        let taken = self.ledger.txn(txn).await;
        if let Ok(Outcome::Done(fence)) = taken {
            return Ok(Some(Lock { key, lease, fence }));
        }
        // Whatever became of it, it goes with its lease.
        let _ = self.ledger.end_lease(lease).await;
        taken.map(|_| None)
    }

    /// Who holds a lock, and since which revision.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn holder(&self, what: &str) -> Result<Option<(String, u64)>, LedgerError> {
        let key = [LOCKS, what.as_bytes()].concat();
        let row = self.ledger.read(vec![key]).await?.pop().flatten();
        Ok(row.map(|row| (String::from_utf8_lossy(&row.value).into_owned(), row.created)))
    }

    /// Keeps a lock; whether it is still held.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn keep_alive(&self, lock: &Lock) -> Result<bool, LedgerError> {
        self.ledger.keep_alive(lock.lease).await
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn unlock(&self, lock: &Lock) -> Result<(), LedgerError> {
        self.ledger.end_lease(lock.lease).await
    }

    /// Waits until a lock changes hands after `revision`, or for a few seconds.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn watch_lock(&self, what: &str, revision: u64) -> Result<(), LedgerError> {
        self.ledger
            .watch(&[LOCKS, what.as_bytes()].concat(), revision)
            .await
    }

    /// Changes rows as the holder of a lock: nothing happens if it is lost.
    ///
    /// # Errors
    /// [`RegistryError::Fenced`] if it is.
    pub async fn write_as(
        &self,
        lock: &Lock,
        changes: Vec<Change>,
        mut checks: Vec<Check>,
    ) -> Result<bool, RegistryError> {
        checks.push(Check::Created(lock.key.clone(), lock.fence));
        let txn = Txn {
            checks,
            changes,
            otherwise: vec![lock.key.clone()],
        };
        match self.ledger.txn(txn).await? {
            Outcome::Done(_) => Ok(true),
            Outcome::Refused(rows) => {
                let holder = rows.into_iter().flatten().next();
                match holder {
                    Some(row) if row.created == lock.fence => Ok(false),
                    _ => Err(RegistryError::Fenced),
                }
            }
        }
    }

    /// A part of all names, after the one with this key, with their revisions.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn names(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Holding, u64)>, LedgerError> {
        let rows = self.ledger.scan(NAMES, after, limit).await?;
        rows.into_iter()
            .map(|(key, row)| holding(&row).map(|(holding, revision)| (key, holding, revision)))
            .collect()
    }

    /// How long a name rests.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.settings.rest
    }
}

fn name_key(name: &str) -> Key {
    [NAMES, rules::skeleton(name).as_bytes()].concat()
}

fn account_key(account: &AccountId) -> Key {
    [ACCOUNTS, &account.0].concat()
}

fn put(key: Key, value: Vec<u8>) -> Change {
    Change::Put {
        key,
        value,
        lease: None,
    }
}

fn holding(row: &Row) -> Result<(Holding, u64), LedgerError> {
    let holding =
        codec::decode(&row.value).map_err(|_| LedgerError::Damaged("a name's row is not one".to_owned()))?;
    Ok((holding, row.revision))
}
