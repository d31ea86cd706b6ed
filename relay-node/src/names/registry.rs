//! The rules for claiming, releasing and transferring names and slugs, the same on either store.

use std::time::Duration;

use protocol::names::{
    NameAction, NameAnswer, NameFault, NameMark, NameQuestion, NameReceipt, NameRequest, RegistryId,
};
use protocol::{AccountId, KeyPair, Timestamp, codec};

use super::schema::{Count, FORGOT, Holding, KEY, LOCKS, Owner, Place, Space, put};
use super::store::{Change, Check, Key, LeaseId, Row, Txn, TxnError, TxnResult, TxnStore};
use super::validation;

/// Attempts at a transaction whose outcome is unknown, or that lost to a concurrent one.
const ATTEMPTS_MAX: u32 = 5;
/// Pause after the first attempt; each later pause is longer by this.
const PAUSE: Duration = Duration::from_millis(50);

/// Default limit of slugs per account.
pub const SLUGS_MAX: u32 = 1_000;

/// Settings of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bits of proof of work that a claim needs.
    pub work_bits: u8,
    /// How long only its previous owner can claim a released name or slug.
    pub rest: Duration,
    /// Limit of slugs per account, including released ones that still rest. Further claims are refused.
    pub slugs_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            work_bits: 0,
            rest: Duration::from_hours(30 * 24),
            slugs_max: SLUGS_MAX,
        }
    }
}

/// A lock that this relay holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    key: Key,
    lease: LeaseId,
    /// Fencing token: the revision that created the lock. A later holder has a higher one.
    pub fence: u64,
}

/// Why a write of a lock holder failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] TxnError),
    /// The lock was lost.
    #[error("the lock is lost; another relay is the leader")]
    Fenced,
}

#[derive(Clone, Debug)]
pub struct Registry {
    store: TxnStore,
    key: KeyPair,
    settings: Settings,
}

impl Registry {
    /// Opens the registry in `store`, and creates it with the secret key `fresh` if there is none.
    ///
    /// # Errors
    /// [`TxnError`] when the store cannot be reached.
    pub async fn open(store: TxnStore, settings: Settings, fresh: [u8; 32]) -> Result<Self, TxnError> {
        let seed_in = |row: Option<Row>| {
            let seed = row.and_then(|row| <[u8; 32]>::try_from(row.value).ok());
            seed.ok_or_else(|| TxnError::Damaged("the secret key is malformed".to_owned()))
        };
        // Read first: a full disk refuses writes but can still be read.
        let there = store.read(vec![KEY.to_vec()]).await?.pop().flatten();
        let txn = Txn {
            checks: vec![Check::Absent(KEY.to_vec())],
            changes: vec![put(KEY.to_vec(), fresh.to_vec())],
            otherwise: vec![KEY.to_vec()],
        };
        let seed = match there {
            Some(row) => seed_in(Some(row))?,
            None => match store.txn(txn).await? {
                TxnResult::Done(_) => fresh,
                TxnResult::Refused(rows) => seed_in(rows.into_iter().flatten().next())?,
            },
        };
        Ok(Self {
            store,
            key: KeyPair::from_seed(&seed),
            settings,
        })
    }

    /// The public key of the registry's signatures.
    #[must_use]
    pub fn id(&self) -> RegistryId {
        RegistryId(self.key.public())
    }

    /// Checks that the store answers.
    ///
    /// # Errors
    /// [`TxnError`] if it does not.
    pub async fn reach(&self) -> Result<(), TxnError> {
        self.store.read(vec![KEY.to_vec()]).await.map(drop)
    }

    /// The answer to a question whose signatures were checked. Never an error: what cannot be decided now is
    /// [`NameAnswer::Unavailable`].
    pub async fn answer(&self, question: &NameQuestion, now: Timestamp) -> NameAnswer {
        let answer = match question {
            NameQuestion::Lookup { slug: false, name } => self.lookup(name).await,
            NameQuestion::Lookup { slug: true, name } => self.lookup_slug(name).await,
            NameQuestion::Request(request) => self.request(request, now).await,
        };
        answer.unwrap_or_else(|error| {
            tracing::warn!(%error, "registry request failed");
            NameAnswer::Unavailable
        })
    }

    /// Looks up the owner of a name.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn lookup(&self, name: &str) -> Result<NameAnswer, TxnError> {
        self.look_up(Space::Names, name).await
    }

    /// Looks up the post of a slug.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn lookup_slug(&self, slug: &str) -> Result<NameAnswer, TxnError> {
        self.look_up(Space::Slugs, slug).await
    }

    async fn look_up(&self, space: Space, name: &str) -> Result<NameAnswer, TxnError> {
        let name = validation::canonical(name);
        if let Err(fault) = validation::check_spelling(&name, space) {
            return Ok(NameAnswer::Fault(fault));
        }
        let place = self.place(space, &name).await?;
        // One that looks like it is not it.
        let held = place
            .known()
            .filter(|(holding, _)| !holding.released && holding.name == name);
        Ok(match held {
            Some((holding, revision)) => self.held(holding.clone(), revision),
            None if validation::is_reserved(&name) => NameAnswer::Fault(NameFault::Reserved),
            None => NameAnswer::Free,
        })
    }

    /// Whether a request is refused because the name is reserved. An account or post that held the name before it was
    /// reserved keeps it: its claim is confirmed and it can release the name, but it cannot transfer it.
    async fn is_refused_as_reserved(&self, request: &NameRequest) -> Result<bool, TxnError> {
        if !validation::is_reserved(&request.name) {
            return Ok(false);
        }
        match request.action {
            NameAction::Release | NameAction::Offer { to: None } => Ok(false),
            NameAction::Offer { to: Some(_) } => Ok(true),
            NameAction::Claim => {
                let owner = Owner::asking(request);
                let place = self.place(owner.space(), &request.name).await?;
                let theirs = |holding: &Holding| !holding.released && holding.owner() == owner;
                Ok(!place.holding.as_ref().is_some_and(theirs))
            }
        }
    }

    async fn request(&self, request: &NameRequest, now: Timestamp) -> Result<NameAnswer, TxnError> {
        if let Err(fault) = validation::check_spelling(&request.name, Owner::asking(request).space()) {
            return Ok(NameAnswer::Fault(fault));
        }
        if self.is_refused_as_reserved(request).await? {
            return Ok(NameAnswer::Fault(NameFault::Reserved));
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
            let result = match &request.action {
                NameAction::Claim => self.claim(request, now, attempt > 0).await,
                NameAction::Release => self.release(request, now).await,
                NameAction::Offer { to } => self.offer(request, *to, now).await,
            };
            match result {
                Ok(Some(answer)) => return Ok(answer),
                // A concurrent transaction changed the rows: try again.
                Ok(None) => {}
                // The transaction may have been committed: the next attempt reads the row and compares its nonce.
                Err(error @ (TxnError::Unknown(_) | TxnError::Unavailable(_))) => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        lost.map_or(Ok(NameAnswer::Unavailable), Err)
    }

    /// `None`: the rows changed concurrently. `again`: an earlier attempt may have been committed.
    async fn claim(
        &self,
        request: &NameRequest,
        now: Timestamp,
        again: bool,
    ) -> Result<Option<NameAnswer>, TxnError> {
        let owner = Owner::asking(request);
        let account = owner.account;
        let ([first_key, second_key], owner_key) = (owner.space().keys(&request.name), owner.key());
        let wanted = Holding {
            name: request.name.clone(),
            account,
            post: owner.post,
            nonce: request.nonce,
            at: now,
            offered: None,
            released: false,
        };
        let changes_at = |name_key: &Key| {
            vec![
                put(name_key.clone(), codec::encode(&wanted)),
                put(owner_key.clone(), name_key.clone()),
            ]
        };
        let not_forgotten = Check::NotAfter(FORGOT.to_vec(), request.known);
        let mut keys = vec![
            first_key.clone(),
            second_key.clone(),
            owner_key.clone(),
            FORGOT.to_vec(),
        ];
        let rows = match owner.space() {
            // Most names are free: the first transaction assumes so, and returns the rows if it is not.
            Space::Names if !again => {
                let absent = [&first_key, &second_key, &owner_key].map(|key| Check::Absent(key.clone()));
                let txn = Txn {
                    checks: [absent.as_slice(), std::slice::from_ref(&not_forgotten)].concat(),
                    changes: changes_at(&first_key),
                    otherwise: keys,
                };
                match self.store.txn(txn).await? {
                    TxnResult::Done(revision) => return Ok(Some(self.held(wanted, revision))),
                    TxnResult::Refused(rows) => rows,
                }
            }
            // Slugs are counted, so the count must be read in any case.
            Space::Names | Space::Slugs => {
                keys.push(Count::key(&account));
                self.store.read(keys).await?
            }
        };
        let mut rows = rows.into_iter();
        let mut next_row = || rows.next().flatten();
        let (first, second, owner_row, forgot) = (next_row(), next_row(), next_row(), next_row());
        let place = Place::of(owner.space(), &request.name, [first, second])?;
        let known = place.known();
        if let Some((holding, revision)) = known
            && let Some(answer) = self.settled(request, holding, revision)
        {
            return Ok(Some(answer));
        }
        if let Some((holding, revision)) = known
            && holding.owner() == owner
            && !holding.released
        {
            // Another request of the account has claimed it already.
            let mine = holding.name == request.name;
            let other = holding.name.clone();
            return Ok(Some(if mine {
                self.held(holding.clone(), revision)
            } else {
                NameAnswer::HasOther { name: other }
            }));
        }
        if let Some(row) = owner_row {
            return self.other_name(row.value).await.map(Some);
        }
        if let Some(refused) = known.and_then(|(it, _)| self.keeps_from(it, request, now)) {
            return Ok(Some(refused));
        }
        let last = place
            .row
            .as_ref()
            .or(forgot.as_ref())
            .map_or(0, |row| row.revision);
        if let Some(outdated) = self.outdated(request, last) {
            return Ok(Some(outdated));
        }
        let mut txn = Txn {
            checks: place.checks.clone(),
            changes: changes_at(&place.key),
            otherwise: Vec::new(),
        };
        txn.checks.push(Check::Absent(owner_key));
        let before = known.map(|(holding, _)| holding.account);
        match known {
            None => txn.checks.push(not_forgotten),
            Some((holding, _)) if !holding.released => {
                let key = holding.owner().key();
                let row = self.store.read(vec![key.clone()]).await?.pop().flatten();
                let_go(&place.key, key, row, &mut txn);
            }
            Some(_) => {}
        }
        if owner.space() == Space::Slugs && before != Some(account) {
            let count = Count::new(&account, next_row())?;
            let (slugs, max) = (count.slugs, self.settings.slugs_max);
            if slugs >= max {
                return Ok(Some(NameAnswer::TooMany { max }));
            }
            count.change_to(slugs + 1, &mut txn);
            if let Some(before) = before {
                self.count_off(&before, &mut txn).await?;
            }
        }
        match self.store.txn(txn).await? {
            TxnResult::Done(revision) => Ok(Some(self.held(wanted, revision))),
            TxnResult::Refused(_) => Ok(None),
        }
    }

    /// Why an account that does not own the name cannot claim it now.
    fn keeps_from(&self, holding: &Holding, request: &NameRequest, now: Timestamp) -> Option<NameAnswer> {
        let account = &request.certificate.account;
        let until = holding.at.plus(self.settings.rest);
        if !holding.released {
            let offered = holding.offered.as_ref() == Some(account);
            let taken = match holding.name == request.name {
                true => NameAnswer::Taken,
                false => NameAnswer::LooksLike {
                    name: holding.name.clone(),
                },
            };
            return (!offered).then_some(taken);
        }
        (holding.account != *account && now < until).then_some(NameAnswer::Resting { until })
    }

    /// The answer to a request whose signer does not know of revision `last`, which changed the name.
    fn outdated(&self, request: &NameRequest, last: u64) -> Option<NameAnswer> {
        (last > request.known).then(|| NameAnswer::Outdated(NameMark::issue(&self.key, last)))
    }

    /// The answer to a request that was committed before, as its nonce in the row shows: the answer was lost, or the
    /// request was sent twice.
    fn settled(&self, request: &NameRequest, holding: &Holding, revision: u64) -> Option<NameAnswer> {
        let same = holding.nonce == request.nonce
            && holding.owner() == Owner::asking(request)
            && holding.name == request.name;
        match (&request.action, holding.released) {
            _ if !same => None,
            (NameAction::Release, true) => Some(NameAnswer::Free),
            (NameAction::Claim | NameAction::Offer { .. }, false) => {
                Some(self.held(holding.clone(), revision))
            }
            _ => None,
        }
    }

    /// Decrements the account's count of slugs.
    async fn count_off(&self, account: &AccountId, txn: &mut Txn) -> Result<(), TxnError> {
        let row = self.store.read(vec![Count::key(account)]).await?.pop().flatten();
        let count = Count::new(account, row)?;
        let slugs = count.slugs.saturating_sub(1);
        count.change_to(slugs, txn);
        Ok(())
    }

    /// The answer to a claim of an account or post that has another name or slug.
    async fn other_name(&self, name_key: Key) -> Result<NameAnswer, TxnError> {
        let known = self.holding(name_key).await?;
        Ok(
            known.map_or(NameAnswer::Unavailable, |(holding, _)| NameAnswer::HasOther {
                name: holding.name,
            }),
        )
    }

    async fn release(&self, request: &NameRequest, now: Timestamp) -> Result<Option<NameAnswer>, TxnError> {
        let owner = Owner::asking(request);
        let ([first_key, second_key], owner_key) = (owner.space().keys(&request.name), owner.key());
        let rows = self
            .store
            .read(vec![first_key, second_key, owner_key.clone()])
            .await?;
        let [first, second, owner_row] = <[_; 3]>::try_from(rows).unwrap_or_default();
        let place = Place::of(owner.space(), &request.name, [first, second])?;
        let Some((holding, revision)) = place.known() else {
            return Ok(Some(NameAnswer::Free));
        };
        if let Some(answer) = self.settled(request, holding, revision) {
            return Ok(Some(answer));
        }
        if holding.released && holding.account == owner.account {
            return Ok(Some(NameAnswer::Free));
        }
        if holding.owner() != owner || holding.name != request.name {
            return Ok(Some(NameAnswer::NotYours));
        }
        if let Some(outdated) = self.outdated(request, revision) {
            return Ok(Some(outdated));
        }
        let released = Holding {
            nonce: request.nonce,
            at: now,
            offered: None,
            released: true,
            ..holding.clone()
        };
        let mut txn = Txn {
            changes: vec![put(place.key.clone(), codec::encode(&released))],
            checks: place.checks,
            otherwise: Vec::new(),
        };
        let_go(&place.key, owner_key, owner_row, &mut txn);
        match self.store.txn(txn).await? {
            TxnResult::Done(_) => Ok(Some(NameAnswer::Free)),
            TxnResult::Refused(_) => Ok(None),
        }
    }

    /// Allows another account to claim a name: the first half of a transfer. The claim of that account is the second.
    async fn offer(
        &self,
        request: &NameRequest,
        to: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Option<NameAnswer>, TxnError> {
        let owner = Owner::asking(request);
        let place = self.place(owner.space(), &request.name).await?;
        let Some((holding, revision)) = place.known().filter(|(holding, _)| {
            holding.owner() == owner && !holding.released && holding.name == request.name
        }) else {
            return Ok(Some(NameAnswer::NotYours));
        };
        let done = self.settled(request, holding, revision);
        if let Some(answer) = done.or_else(|| self.outdated(request, revision)) {
            return Ok(Some(answer));
        }
        let offered = Holding {
            nonce: request.nonce,
            at: now,
            offered: to,
            ..holding.clone()
        };
        let txn = Txn {
            changes: vec![put(place.key, codec::encode(&offered))],
            checks: place.checks,
            otherwise: Vec::new(),
        };
        match self.store.txn(txn).await? {
            TxnResult::Done(revision) => Ok(Some(self.held(offered, revision))),
            TxnResult::Refused(_) => Ok(None),
        }
    }

    /// Where the row of a name or slug is, or would be.
    async fn place(&self, space: Space, name: &str) -> Result<Place, TxnError> {
        let rows = self.store.read(space.keys(name).to_vec()).await?;
        Place::of(space, name, <[_; 2]>::try_from(rows).unwrap_or_default())
    }

    /// A name's or slug's row, and its revision.
    async fn holding(&self, name_key: Key) -> Result<Option<(Holding, u64)>, TxnError> {
        let row = self.store.read(vec![name_key]).await?.pop().flatten();
        row.as_ref().map(Holding::from_row).transpose()
    }

    fn held(&self, holding: Holding, revision: u64) -> NameAnswer {
        NameAnswer::Held(self.receipt(holding, revision))
    }

    fn receipt(&self, holding: Holding, revision: u64) -> NameReceipt {
        let Holding {
            name,
            post,
            account,
            at,
            ..
        } = holding;
        NameReceipt::issue(&self.key, name, post, account, revision, at)
    }

    /// Acquires a lock, unless it is held. It is lost when it is not kept alive for `ttl`.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn lock(&self, what: &str, by: &str, ttl: Duration) -> Result<Option<Lock>, TxnError> {
        let key = [LOCKS, what.as_bytes()].concat();
        let lease = self.store.lease(ttl).await?;
        let txn = Txn {
            checks: vec![Check::Absent(key.clone())],
            changes: vec![Change::Put {
                key: key.clone(),
                value: by.as_bytes().to_vec(),
                lease: Some(lease),
            }],
            otherwise: Vec::new(),
        };
        let taken = self.store.txn(txn).await;
        if let Ok(TxnResult::Done(fence)) = taken {
            return Ok(Some(Lock { key, lease, fence }));
        }
        // If the lock was acquired after all, ending its lease releases it.
        let _ = self.store.end_lease(lease).await;
        taken.map(|_| None)
    }

    /// The holder of a lock, and the revision that created it.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn holder(&self, what: &str) -> Result<Option<(String, u64)>, TxnError> {
        let key = [LOCKS, what.as_bytes()].concat();
        let row = self.store.read(vec![key]).await?.pop().flatten();
        Ok(row.map(|row| (String::from_utf8_lossy(&row.value).into_owned(), row.created)))
    }

    /// Keeps a lock alive. Returns whether it is still held.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn keep_alive(&self, lock: &Lock) -> Result<bool, TxnError> {
        self.store.keep_alive(lock.lease).await
    }

    /// Releases a lock.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn unlock(&self, lock: &Lock) -> Result<(), TxnError> {
        self.store.end_lease(lock.lease).await
    }

    /// Waits until a lock changes hands after `revision`, or for a few seconds.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn watch_lock(&self, what: &str, revision: u64) -> Result<(), TxnError> {
        self.store
            .watch(&[LOCKS, what.as_bytes()].concat(), revision)
            .await
    }

    /// Changes rows if the lock is still held. Returns `false` if one of `checks` did not hold.
    ///
    /// # Errors
    /// [`RegistryError::Fenced`] if the lock is lost.
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
        match self.store.txn(txn).await? {
            TxnResult::Done(_) => Ok(true),
            TxnResult::Refused(rows) => {
                let holder = rows.into_iter().flatten().next();
                match holder {
                    Some(row) if row.created == lock.fence => Ok(false),
                    _ => Err(RegistryError::Fenced),
                }
            }
        }
    }

    /// A page of all names or slugs with their revisions, after the row with this key.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn names(
        &self,
        space: Space,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Holding, u64)>, TxnError> {
        let rows = self.store.scan(space.prefix(), after, limit).await?;
        rows.into_iter()
            .map(|(key, row)| Holding::from_row(&row).map(|(holding, revision)| (key, holding, revision)))
            .collect()
    }

    /// Deletes a released name or slug that has rested, as the holder of a lock. Returns `false` if its row changed
    /// meanwhile.
    ///
    /// # Errors
    /// [`RegistryError::Fenced`] if the lock is lost.
    pub async fn forget(
        &self,
        lock: &Lock,
        key: &Key,
        holding: &Holding,
        revision: u64,
    ) -> Result<bool, RegistryError> {
        let mut txn = Txn {
            checks: vec![Check::Unchanged(key.clone(), revision)],
            changes: vec![Change::Delete(key.clone())],
            otherwise: Vec::new(),
        };
        // Requests signed earlier know a lower revision than this mark and are refused as outdated. One mark serves
        // for all names changed before it was written: with a new one for each, every claim during a long sweep would
        // be outdated.
        let forgot = self.store.read(vec![FORGOT.to_vec()]).await?;
        let marked = forgot.into_iter().flatten().next();
        if marked.is_none_or(|mark| mark.revision < revision) {
            txn.changes.push(put(FORGOT.to_vec(), Vec::new()));
        }
        if holding.owner().space() == Space::Slugs {
            self.count_off(&holding.account, &mut txn).await?;
        }
        self.write_as(lock, txn.changes, txn.checks).await
    }

    /// See [`Settings::rest`].
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.settings.rest
    }
}

/// Deletes the owner's row in the same transaction, if it names this name or slug.
fn let_go(name_key: &Key, owner_key: Key, row: Option<Row>, txn: &mut Txn) {
    if let Some(row) = row.filter(|row| row.value == *name_key) {
        txn.checks.push(Check::Unchanged(owner_key.clone(), row.revision));
        txn.changes.push(Change::Delete(owner_key));
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
