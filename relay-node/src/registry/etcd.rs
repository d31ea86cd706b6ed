//! The ledger in etcd: several index relays share it, and it survives what its majority survives.
//!
//! A request that fails on its way may have taken effect: that is said so ([`LedgerError::Unknown`]) and settled by whoever
//! asked. Reads are linearizable.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, Identity, KeyValue,
    PutOptions, SortOrder, SortTarget, TlsOptions, TxnOp, TxnOpResponse, WatchOptions,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::ledger::{Change, Check, Key, LeaseId, LedgerError, Outcome, Row, Txn};

/// Before every key, so that others may use the same etcd.
const PREFIX: &[u8] = b"starling/";
/// A request that takes longer is given up; what became of it is unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A watch is begun anew after this long: one that hangs is not noticed otherwise.
const WATCH_MAX: Duration = Duration::from_secs(5);

/// Where etcd is: `etcd://a:2379,b:2379`, or `etcds://` for TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EtcdAddress {
    tls: bool,
    hosts: Vec<String>,
}

/// Not where an etcd is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no etcd; one looks like etcd://a:2379,b:2379,c:2379, or etcds:// for TLS")]
pub struct EtcdAddressError(String);

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

/// How to prove oneself to etcd, and how it proves itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A user of etcd, and the password.
    pub user: Option<(String, String)>,
    /// The certificate authority etcd's certificate is from; none: those of the web.
    pub ca: Option<PathBuf>,
    /// This relay's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// See the module.
#[derive(Clone)]
pub struct Etcd {
    address: EtcdAddress,
    credentials: Credentials,
    client: Arc<Mutex<Option<Client>>>,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Etcd({})", self.address)
    }
}

impl Etcd {
    /// The ledger at this address. Nothing is asked of it yet.
    #[must_use]
    pub fn new(address: EtcdAddress, credentials: Credentials) -> Self {
        Self {
            address,
            credentials,
            client: Arc::default(),
        }
    }

    /// A connection; made at the first need, since etcd may come up later than the relay.
    async fn client(&self) -> Result<Client, LedgerError> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let connected = self.connect().await?;
        Ok(client.insert(connected).clone())
    }

    async fn connect(&self) -> Result<Client, LedgerError> {
        let unreadable = |path: &PathBuf, error: std::io::Error| {
            LedgerError::Unavailable(format!("{} cannot be read: {error}", path.display()))
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
        let scheme = if self.address.tls { "https" } else { "http" };
        let endpoints = self.address.hosts.iter().map(|host| format!("{scheme}://{host}"));
        let endpoints: Vec<String> = endpoints.collect();
        let connecting = Client::connect(endpoints, Some(options));
        match tokio::time::timeout(ANSWER_WITHIN, connecting).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(LedgerError::Unavailable(said(&error))),
            Err(_) => Err(LedgerError::Unavailable("it does not answer".to_owned())),
        }
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<Outcome, LedgerError> {
        let changes = !txn.changes.is_empty();
        let checks: Vec<Compare> = txn.checks.iter().map(compare).collect();
        let then: Vec<TxnOp> = txn.changes.into_iter().map(operation).collect();
        let otherwise: Vec<TxnOp> = txn
            .otherwise
            .iter()
            .map(|key| TxnOp::get(full(key), None))
            .collect();
        let wanted = txn.otherwise.len();
        let request = etcd_client::Txn::new()
            .when(checks)
            .and_then(then)
            .or_else(otherwise);
        let mut client = self.client().await?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, client.txn(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(&error, changes)),
            Err(_) => return Err(failed_late(changes)),
        };
        if answer.succeeded() {
            let revision = answer.header().map_or(0, |header| header.revision());
            return Ok(Outcome::Done(unsigned(revision)));
        }
        let rows = answer.op_responses().into_iter().map(|answer| match answer {
            TxnOpResponse::Get(found) => found.kvs().first().map(row),
            _ => None,
        });
        let rows: Vec<Option<Row>> = rows.collect();
        if rows.len() != wanted {
            return Err(LedgerError::Damaged("etcd answered something else".to_owned()));
        }
        Ok(Outcome::Refused(rows))
    }

    pub(super) async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, LedgerError> {
        let mut start = full(after.unwrap_or(prefix));
        if after.is_some() {
            start.push(0);
        }
        let options = GetOptions::new()
            .with_range(engine::store::prefix_end(&full(prefix)))
            .with_sort(SortTarget::Key, SortOrder::Ascend)
            .with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut client = self.client().await?;
        let found = client
            .get(start, Some(options))
            .await
            .map_err(|error| failed(&error, false))?;
        let rows = found.kvs().iter().map(|kv| {
            let key = kv.key().strip_prefix(PREFIX).unwrap_or(kv.key());
            (key.to_vec(), row(kv))
        });
        Ok(rows.collect())
    }

    pub(super) async fn lease(&self, ttl: Duration) -> Result<LeaseId, LedgerError> {
        // Whole seconds, and no less than etcd's own election takes.
        let seconds = i64::try_from(ttl.as_secs().max(2)).unwrap_or(i64::MAX);
        let mut client = self.client().await?;
        let granted = client.lease_grant(seconds, None).await;
        Ok(LeaseId(granted.map_err(|error| failed(&error, true))?.id()))
    }

    pub(super) async fn keep_alive(&self, lease: LeaseId) -> Result<bool, LedgerError> {
        let kept = async {
            let mut client = self.client().await?;
            let begun = client.lease_keep_alive(lease.0).await;
            match begun {
                // The stream begins with the first answer.
                Ok(_) => Ok(true),
                // A lease that is over cannot be kept.
                Err(Error::LeaseKeepAliveError(_)) => Ok(false),
                Err(error) => Err(failed(&error, false)),
            }
        };
        let late = Err(LedgerError::Unavailable("it does not answer".to_owned()));
        tokio::time::timeout(ANSWER_WITHIN, kept).await.unwrap_or(late)
    }

    pub(super) async fn end_lease(&self, lease: LeaseId) -> Result<(), LedgerError> {
        let mut client = self.client().await?;
        client
            .lease_revoke(lease.0)
            .await
            .map_err(|error| failed(&error, true))?;
        Ok(())
    }

    pub(super) async fn watch(&self, key: &[u8], after: u64) -> Result<(), LedgerError> {
        let mut client = self.client().await?;
        let from = i64::try_from(after).unwrap_or(i64::MAX - 1) + 1;
        let options = WatchOptions::new().with_start_revision(from);
        let changed = async {
            let mut stream = client.watch(full(key), Some(options)).await?;
            loop {
                match stream.message().await? {
                    Some(answer) if answer.created() && answer.events().is_empty() => {}
                    // Changed, cancelled, or compacted away: whoever waits looks again.
                    _ => return Ok(()),
                }
            }
        };
        match tokio::time::timeout(WATCH_MAX, changed).await {
            Ok(Err(error)) => Err(failed(&error, false)),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

fn full(key: &[u8]) -> Vec<u8> {
    [PREFIX, key].concat()
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
    }
}

fn operation(change: Change) -> TxnOp {
    match change {
        Change::Put { key, value, lease } => {
            let options = lease.map(|LeaseId(id)| PutOptions::new().with_lease(id));
            TxnOp::put(full(&key), value, options)
        }
        Change::Delete(key) => TxnOp::delete(full(&key), None),
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

fn failed_late(changes: bool) -> LedgerError {
    let text = "it does not answer".to_owned();
    if changes {
        LedgerError::Unknown(text)
    } else {
        LedgerError::Unavailable(text)
    }
}

/// What never left this machine, or was refused before it was looked at, did nothing.
fn failed(error: &Error, changes: bool) -> LedgerError {
    let text = said(error);
    let refused = match error {
        Error::GRpcStatus(status) => {
            let code = status.code() as i32;
            // Invalid argument, permission denied, unauthenticated (google.rpc.Code).
            matches!(code, 3 | 7 | 16)
        }
        Error::InvalidArgs(_) | Error::InvalidUri(_) => true,
        _ => false,
    };
    if changes && !refused {
        LedgerError::Unknown(text)
    } else {
        LedgerError::Unavailable(text)
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
