//! The store in etcd: several index relays share it, and it is available as long as a majority of the etcd members is.
//!
//! A request that fails in transit may have taken effect: the caller gets [`TxnError::Unknown`] and has to find out.
//! Reads are linearizable.
//!
//! Transactions that wait for the same node are sent in one request, as nested transactions with their own checks and
//! outcomes. So one round of etcd's consensus serves many simultaneous claims.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, Identity, KeyValue,
    PutOptions, SortOrder, SortTarget, TlsOptions, TxnOp, TxnOpResponse, TxnResponse, WatchOptions,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use super::{Change, Check, Key, LeaseId, Row, Txn, TxnError, TxnResult};

/// Prefix of every key, so that the etcd cluster can be shared with other programs.
const PREFIX: &[u8] = b"starling/";
/// Timeout of a request; afterwards its outcome is unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Length of the queue of transactions. Policy when full: further ones are refused.
const WAITING_MAX: usize = 4_096;
/// Transactions in one request. etcd allows 128 operations (`--max-txn-ops`); each nested transaction counts as one,
/// with a few operations inside.
const GROUP_MAX: usize = 32;
/// Concurrent requests: the next one is prepared while etcd decides about another.
const REQUESTS_MAX: usize = 4;
/// An address of etcd that takes longer to accept a connection counts as not reachable.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Lifetime of a watch; then it is opened again, because one that hangs would not be noticed otherwise.
const WATCH_MAX: Duration = Duration::from_secs(4);

/// The address of an etcd cluster: `etcd://a:2379,b:2379`, or `etcds://` for TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EtcdAddress {
    tls: bool,
    hosts: Vec<String>,
}

/// The text is not the address of an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an etcd address; expected etcd://a:2379,b:2379,c:2379, or etcds:// for TLS")]
pub struct EtcdAddressError(String);

impl EtcdAddress {
    /// The first node, as etcd's own clients name it.
    #[must_use]
    pub fn first(&self) -> String {
        self.nodes().next().unwrap_or_default()
    }

    fn nodes(&self) -> impl Iterator<Item = String> + '_ {
        let scheme = if self.tls { "https" } else { "http" };
        self.hosts.iter().map(move |host| format!("{scheme}://{host}"))
    }
}

impl FromStr for EtcdAddress {
    type Err = EtcdAddressError;

    fn from_str(text: &str) -> Result<Self, EtcdAddressError> {
        let wrong = || EtcdAddressError(text.to_owned());
        let (scheme, hosts) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "etcd" => false,
            "etcds" => true,
            _ => return Err(wrong()),
        };
        let hosts: Vec<String> = hosts
            .trim_end_matches('/')
            .split(',')
            .map(str::to_owned)
            .collect();
        let fits = |host: &String| {
            let authority: Option<axum::http::uri::Authority> = host.parse().ok();
            authority.is_some_and(|authority| !authority.host().is_empty() && !host.contains('@'))
        };
        if !hosts.iter().all(fits) {
            return Err(wrong());
        }
        Ok(Self { tls, hosts })
    }
}

impl fmt::Display for EtcdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "etcds" } else { "etcd" };
        write!(f, "{scheme}://{}", self.hosts.join(","))
    }
}

impl TryFrom<String> for EtcdAddress {
    type Error = EtcdAddressError;

    fn try_from(text: String) -> Result<Self, EtcdAddressError> {
        text.parse()
    }
}

impl From<EtcdAddress> for String {
    fn from(address: EtcdAddress) -> Self {
        address.to_string()
    }
}

/// How this relay authenticates itself to etcd, and how etcd's certificate is verified.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The etcd user and password.
    pub user: Option<(String, String)>,
    /// The certificate authority of etcd's certificate. `None`: the public ones.
    pub ca: Option<PathBuf>,
    /// This relay's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user.as_ref().map(|(user, _)| user))
            .field("ca", &self.ca)
            .field("identity", &self.identity)
            .finish()
    }
}

#[derive(Clone)]
pub struct Etcd {
    nodes: Arc<Nodes>,
    waiting: mpsc::Sender<QueuedTxn>,
}

/// The connections to all nodes. One node is used until it fails, then the next.
struct Nodes {
    address: EtcdAddress,
    credentials: Credentials,
    /// A connection to each, opened at its first use: etcd may start later than the relay.
    clients: Vec<Mutex<Option<Client>>>,
    current: AtomicUsize,
}

/// A transaction in the queue.
struct QueuedTxn {
    txn: Txn,
    reply: oneshot::Sender<Result<TxnResult, TxnError>>,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Etcd({})", self.nodes.address)
    }
}

impl Etcd {
    /// The store at this address. No request is made yet.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(address: EtcdAddress, credentials: Credentials) -> Self {
        let nodes = Arc::new(Nodes {
            clients: address.hosts.iter().map(|_| Mutex::default()).collect(),
            address,
            credentials,
            current: AtomicUsize::default(),
        });
        let (waiting, inbox) = mpsc::channel(WAITING_MAX);
        tokio::spawn(carry(Arc::clone(&nodes), inbox));
        Self { nodes, waiting }
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<TxnResult, TxnError> {
        if txn.changes.is_empty() {
            return self.nodes.look(txn).await;
        }
        let (reply, result) = oneshot::channel();
        let full = |_| TxnError::Unavailable("the queue of requests to etcd is full".to_owned());
        self.waiting.try_send(QueuedTxn { txn, reply }).map_err(full)?;
        let gone = |_| Err(TxnError::Unknown("the connection ended".to_owned()));
        result.await.unwrap_or_else(gone)
    }

    pub(super) async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, TxnError> {
        self.nodes.scan(prefix, after, limit).await
    }

    pub(super) async fn lease(&self, ttl: Duration) -> Result<LeaseId, TxnError> {
        self.nodes.lease(ttl).await
    }

    pub(super) async fn keep_alive(&self, lease: LeaseId) -> Result<bool, TxnError> {
        self.nodes.keep_alive(lease).await
    }

    pub(super) async fn end_lease(&self, lease: LeaseId) -> Result<(), TxnError> {
        self.nodes.end_lease(lease).await
    }

    pub(super) async fn watch(&self, key: &[u8], after: u64) -> Result<(), TxnError> {
        self.nodes.watch(key, after).await
    }
}

/// Sends queued transactions, as many as possible in one request, until all senders are gone.
async fn carry(nodes: Arc<Nodes>, mut inbox: mpsc::Receiver<QueuedTxn>) {
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut later: VecDeque<QueuedTxn> = VecDeque::new();
    loop {
        let first = match later.pop_front() {
            Some(first) => first,
            None => match inbox.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        // While the limit of concurrent requests is reached, more transactions are queued.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let mut compared: BTreeSet<Key> = looked_at(&first.txn).cloned().collect();
        let mut written: BTreeSet<Key> = changed(&first.txn).cloned().collect();
        let mut group = vec![first];
        let mut clashing = VecDeque::new();
        while group.len() < GROUP_MAX {
            let Some(next) = later.pop_front().or_else(|| inbox.try_recv().ok()) else {
                break;
            };
            // etcd rejects a request that writes a key twice, and evaluates all checks before it writes: a transaction
            // that has to see the changes of an earlier one goes into a later request.
            let clashes = looked_at(&next.txn).any(|key| written.contains(key))
                || changed(&next.txn).any(|key| written.contains(key) || compared.contains(key));
            if clashes {
                clashing.push_back(next);
            } else {
                compared.extend(looked_at(&next.txn).cloned());
                written.extend(changed(&next.txn).cloned());
                group.push(next);
            }
        }
        clashing.append(&mut later);
        later = clashing;
        let nodes = Arc::clone(&nodes);
        tokio::spawn(async move {
            nodes.carry(group).await;
            drop(place);
        });
    }
}

/// The keys that a transaction compares.
fn looked_at(txn: &Txn) -> impl Iterator<Item = &Key> {
    txn.checks.iter().map(|check| match check {
        Check::Absent(key) | Check::Unchanged(key, _) | Check::Created(key, _) | Check::NotAfter(key, _) => {
            key
        }
    })
}

fn changed(txn: &Txn) -> impl Iterator<Item = &Key> {
    txn.changes.iter().map(|change| match change {
        Change::Put { key, .. } | Change::Delete(key) => key,
    })
}

impl Nodes {
    /// Sends a request to the current node. If it fails, the next node becomes the current one.
    async fn ask<T, F>(&self, changes: bool, mut ask: impl FnMut(Client) -> F) -> Result<T, TxnError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        // A request that changes nothing is tried with every node.
        let tries = if changes { 1 } else { self.clients.len() };
        let mut result = Err(TxnError::Unavailable("no etcd node is configured".to_owned()));
        for _ in 0..tries {
            let node = self.current.load(Ordering::Relaxed) % self.clients.len();
            result = match self.client(node).await {
                Ok(client) => match tokio::time::timeout(ANSWER_WITHIN, ask(client)).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => Err(failed(&error, changes)),
                    Err(_) => Err(failed_late(changes)),
                },
                Err(error) => Err(error),
            };
            let next = (node + 1) % self.clients.len();
            let order = Ordering::Relaxed;
            // Another request may have changed the current node already.
            let _ = self.current.compare_exchange(node, next, order, order);
        }
        result
    }

    async fn client(&self, node: usize) -> Result<Client, TxnError> {
        let mut client = self.clients[node].lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let host = self.address.nodes().nth(node).unwrap_or_default();
        let connected = self.connect(host).await?;
        Ok(client.insert(connected).clone())
    }

    async fn connect(&self, host: String) -> Result<Client, TxnError> {
        let unreadable = |path: &PathBuf, error: std::io::Error| {
            TxnError::Unavailable(format!("{} cannot be read: {error}", path.display()))
        };
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_WITHIN)
            .with_timeout(ANSWER_WITHIN)
            .with_keep_alive(Duration::from_secs(5), Duration::from_secs(3))
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some((user, password)) = &self.credentials.user {
            options = options.with_user(user, password);
        }
        if self.address.tls {
            let mut tls = TlsOptions::new();
            tls = match &self.credentials.ca {
                Some(path) => {
                    let pem = std::fs::read(path).map_err(|error| unreadable(path, error))?;
                    tls.ca_certificate(Certificate::from_pem(pem))
                }
                None => tls.with_webpki_roots(),
            };
            if let Some((certificate, key)) = &self.credentials.identity {
                let read = |path: &PathBuf| std::fs::read(path).map_err(|error| unreadable(path, error));
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            options = options.with_tls(tls);
        }
        let connecting = Client::connect([host], Some(options));
        match tokio::time::timeout(ANSWER_WITHIN, connecting).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => {
                let hint = if is_refusal(&error) { "" } else { self.hint() };
                Err(TxnError::Unavailable(said(&error) + hint))
            }
            Err(_) => Err(TxnError::Unavailable("etcd does not answer".to_owned())),
        }
    }

    /// A hint for the operator: etcd closes the connection without a reason when TLS settings do not match.
    fn hint(&self) -> &'static str {
        match (self.address.tls, &self.credentials.identity) {
            (false, _) => "; if it speaks TLS, its address begins with etcds://",
            (true, None) => "; if it wants a certificate, --registry-cert and --registry-key name one",
            (true, Some(_)) => "",
        }
    }

    /// A transaction that changes nothing.
    async fn look(&self, txn: Txn) -> Result<TxnResult, TxnError> {
        let wanted = txn.otherwise.len();
        let request = request(&txn);
        let answer = self.ask(false, |mut client| {
            let request = request.clone();
            async move { client.txn(request).await }
        });
        txn_result(&answer.await?, wanted)
    }

    /// Sends transactions on different rows in one request, and returns each outcome to its sender.
    async fn carry(&self, group: Vec<QueuedTxn>) {
        let single = group.len() == 1;
        let request = match &group[..] {
            [one] => request(&one.txn),
            many => {
                let nested: Vec<TxnOp> = many.iter().map(|one| TxnOp::txn(request(&one.txn))).collect();
                etcd_client::Txn::new().and_then(nested)
            }
        };
        let answer = self.ask(true, |mut client| {
            let request = request.clone();
            async move { client.txn(request).await }
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(error) => {
                for one in group {
                    let _ = one.reply.send(Err(error.clone()));
                }
                return;
            }
        };
        if single {
            for one in group {
                let _ = one.reply.send(txn_result(&answer, one.txn.otherwise.len()));
            }
            return;
        }
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let mut answers = answer.op_responses().into_iter();
        for one in group {
            let nested = match answers.next() {
                Some(TxnOpResponse::Txn(nested)) if nested.succeeded() => {
                    Ok(TxnResult::Done(unsigned(revision)))
                }
                Some(TxnOpResponse::Txn(nested)) => txn_result(&nested, one.txn.otherwise.len()),
                _ => Err(TxnError::Damaged(
                    "etcd's answer does not match the request".to_owned(),
                )),
            };
            let _ = one.reply.send(nested);
        }
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, TxnError> {
        let mut start = full(after.unwrap_or(prefix));
        if after.is_some() {
            start.push(0);
        }
        let options = GetOptions::new()
            .with_range(engine::store::prefix_end(&full(prefix)))
            .with_sort(SortTarget::Key, SortOrder::Ascend)
            .with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let found = self.ask(false, |mut client| {
            let (start, options) = (start.clone(), options.clone());
            async move { client.get(start, Some(options)).await }
        });
        let found = found.await?;
        let rows = found.kvs().iter().map(|kv| {
            let key = kv.key().strip_prefix(PREFIX).unwrap_or(kv.key());
            (key.to_vec(), row(kv))
        });
        Ok(rows.collect())
    }

    async fn lease(&self, ttl: Duration) -> Result<LeaseId, TxnError> {
        // Whole seconds, and no less than etcd's election timeout allows.
        let seconds = i64::try_from(ttl.as_secs().max(2)).unwrap_or(i64::MAX);
        // A lease whose grant is lost in transit expires by itself.
        let granted = self.ask(false, |mut client| async move {
            client.lease_grant(seconds, None).await
        });
        Ok(LeaseId(granted.await?.id()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<bool, TxnError> {
        let kept = self.ask(false, |mut client| async move {
            match client.lease_keep_alive(lease.0).await {
                // The stream is open once its first answer has arrived.
                Ok(_) => Ok(true),
                // An expired lease cannot be kept alive.
                Err(Error::LeaseKeepAliveError(_)) => Ok(false),
                Err(error) => Err(error),
            }
        });
        kept.await
    }

    async fn end_lease(&self, lease: LeaseId) -> Result<(), TxnError> {
        let ended = self.ask(
            false,
            |mut client| async move { client.lease_revoke(lease.0).await },
        );
        ended.await.map(drop)
    }

    async fn watch(&self, key: &[u8], after: u64) -> Result<(), TxnError> {
        let from = i64::try_from(after).unwrap_or(i64::MAX - 1) + 1;
        let watched = self.ask(false, |mut client| async move {
            let options = WatchOptions::new().with_start_revision(from);
            let changed = async {
                let mut stream = client.watch(full(key), Some(options)).await?;
                loop {
                    match stream.message().await? {
                        Some(answer) if answer.created() && answer.events().is_empty() => {}
                        // Changed, cancelled or compacted: the caller reads the row again.
                        _ => return Ok(()),
                    }
                }
            };
            tokio::time::timeout(WATCH_MAX, changed).await.unwrap_or(Ok(()))
        });
        watched.await
    }
}

fn full(key: &[u8]) -> Vec<u8> {
    [PREFIX, key].concat()
}

fn request(txn: &Txn) -> etcd_client::Txn {
    let checks: Vec<Compare> = txn.checks.iter().map(compare).collect();
    let then: Vec<TxnOp> = txn.changes.iter().map(operation).collect();
    let otherwise = txn.otherwise.iter().map(|key| TxnOp::get(full(key), None));
    let otherwise: Vec<TxnOp> = otherwise.collect();
    etcd_client::Txn::new()
        .when(checks)
        .and_then(then)
        .or_else(otherwise)
}

fn txn_result(answer: &TxnResponse, wanted: usize) -> Result<TxnResult, TxnError> {
    if answer.succeeded() {
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        return Ok(TxnResult::Done(unsigned(revision)));
    }
    let rows = answer.op_responses().into_iter().map(|answer| match answer {
        TxnOpResponse::Get(found) => found.kvs().first().map(row),
        _ => None,
    });
    let rows: Vec<Option<Row>> = rows.collect();
    if rows.len() != wanted {
        return Err(TxnError::Damaged(
            "etcd's answer does not match the request".to_owned(),
        ));
    }
    Ok(TxnResult::Refused(rows))
}

fn compare(check: &Check) -> Compare {
    let signed = |revision: &u64| i64::try_from(*revision).unwrap_or(-1);
    match check {
        Check::Absent(key) => Compare::create_revision(full(key), CompareOp::Equal, 0),
        Check::Unchanged(key, revision) => {
            Compare::mod_revision(full(key), CompareOp::Equal, signed(revision))
        }
        Check::Created(key, revision) => {
            Compare::create_revision(full(key), CompareOp::Equal, signed(revision))
        }
        // An absent key has revision 0.
        Check::NotAfter(key, revision) => {
            let later = i64::try_from(revision.saturating_add(1)).unwrap_or(i64::MAX);
            Compare::mod_revision(full(key), CompareOp::Less, later)
        }
    }
}

fn operation(change: &Change) -> TxnOp {
    match change {
        Change::Put { key, value, lease } => {
            let options = lease.map(|LeaseId(id)| PutOptions::new().with_lease(id));
            TxnOp::put(full(key), value.clone(), options)
        }
        Change::Delete(key) => TxnOp::delete(full(key), None),
    }
}

fn row(kv: &KeyValue) -> Row {
    Row {
        value: kv.value().to_vec(),
        created: unsigned(kv.create_revision()),
        revision: unsigned(kv.mod_revision()),
    }
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

fn said(error: &Error) -> String {
    match error {
        Error::GRpcStatus(status) => format!("{:?}: {}", status.code(), status.message()),
        error => error.to_string(),
    }
}

fn failed_late(changes: bool) -> TxnError {
    let text = "etcd does not answer".to_owned();
    if changes {
        TxnError::Unknown(text)
    } else {
        TxnError::Unavailable(text)
    }
}

/// gRPC codes of a refused request: invalid argument, permission denied, unauthenticated (google.rpc.Code).
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status) if matches!(status.code() as i32, 3 | 7 | 16))
}

/// The error of a failed request. One that never left this machine, or was refused before it was executed, had no
/// effect.
fn failed(error: &Error, changes: bool) -> TxnError {
    let text = said(error);
    let refused = match error {
        Error::GRpcStatus(_) => is_refusal(error),
        Error::InvalidArgs(_) | Error::InvalidUri(_) => true,
        _ => false,
    };
    if changes && !refused {
        TxnError::Unknown(text)
    } else {
        TxnError::Unavailable(text)
    }
}

#[cfg(test)]
mod tests {
    use super::EtcdAddress;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |text: &str| {
            text.parse::<EtcdAddress>()
                .ok()
                .map(|address| address.to_string())
        };
        assert_eq!(read("etcd://a:2379/"), Some("etcd://a:2379".to_owned()));
        assert_eq!(
            read("etcds://a:1,[::1]:2"),
            Some("etcds://a:1,[::1]:2".to_owned())
        );
        for wrong in [
            "",
            "a:2379",
            "http://a:2379",
            "etcd://",
            "etcd://a,,b",
            "etcd://user@a:1",
            "etcd://a/b",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
