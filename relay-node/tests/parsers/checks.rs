//! What must hold for whatever a parser is given. The fuzz targets (`tests/fuzz`) check the same.
#![allow(dead_code, reason = "each fuzz target checks one thing")]

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

use clap::Parser as _;
use native::clock::Monotonic;
use native::network::RelayUrl;
use native::store::{Changes, Disk, DiskError, RowIter};
use protocol::entry::Position;
use protocol::kinds::{Body, Post};
use protocol::messages::directory::SignedDescription;
use protocol::names::{NameAction, NameAnswer, NameFault, NameQuestion, NameReceipt, NameRequest};
use protocol::{AccountId, DeviceId, KeyPair, Timestamp, VerifiedEntry, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use starling_relay_node::commands::backup;
use starling_relay_node::commands::cli::Cli;
use starling_relay_node::config::{Coordinates, RelayKey};
use starling_relay_node::config::{RegistryBackend, RelayRole, Settings};
use starling_relay_node::names::{
    self, Change, Check, Embedded, EtcdAddress, Registry, Space, Txn, TxnStore,
};

/// What is written is read as the same.
fn one_text<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let written = read.to_string();
        let again = written.parse::<T>();
        assert!(again.is_ok_and(|again| again == read), "{text:?} {written:?}");
    }
}

/// Texts that name a place: addresses of relays and of etcd, coordinates, keys, roles.
pub(crate) fn address(text: &str) {
    one_text::<RelayUrl>(text);
    one_text::<EtcdAddress>(text);
    one_text::<Coordinates>(text);
    if let Ok(url) = text.parse::<RelayUrl>() {
        let host = url.host();
        assert!(
            !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']),
            "{text:?}"
        );
        assert!(url.link().ends_with(&format!("{host}/link")));
    }
    if let Ok(key) = text.parse::<RelayKey>() {
        assert_eq!(String::from(key), text.to_ascii_lowercase());
    }
    if let Ok(place) = text.parse::<RegistryBackend>() {
        assert_eq!(String::from(place.clone()).parse(), Ok(place));
    }
    let _ = text.parse::<RelayRole>();
}

/// Names and slugs: what is one has one spelling and is found by it.
pub(crate) fn name(text: &str) {
    for space in [Space::Names, Space::Slugs] {
        name_in(space, text);
    }
}

fn name_in(space: Space, text: &str) {
    let canonical = names::canonical(text);
    assert_eq!(names::canonical(&canonical), canonical, "{text:?}");
    let skeleton = names::skeleton(text);
    match names::check(text, space) {
        Ok(()) => {
            assert_eq!(canonical, text);
            assert!(text.len() <= protocol::limits::UNIQUE_NAME_LEN_MAX, "{text:?}");
            assert!(!skeleton.is_empty() && !text.contains(char::is_control));
        }
        Err(NameFault::NotCanonical { canonical }) => {
            assert_eq!(names::check(&canonical, space), Ok(()), "{text:?}");
        }
        Err(_) => {}
    }
}

fn one_form<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let read: T = codec::decode(bytes).ok()?;
    assert_eq!(codec::encode(&read), bytes, "two byte strings for one value");
    Some(read)
}

/// What is said about names and relays between peers.
pub(crate) fn words(bytes: &[u8]) {
    one_form::<NameQuestion>(bytes);
    one_form::<NameAnswer>(bytes);
    if let Some(request) = one_form::<NameRequest>(bytes) {
        let _ = (request.verify(), request.work_bits());
    }
    if let Some(receipt) = one_form::<NameReceipt>(bytes) {
        let _ = receipt.verify();
    }
    if let Some(signed) = one_form::<SignedDescription>(bytes) {
        let _ = (signed.verify(), signed.description.within_limits());
    }
}

/// A settings file, as bytes in `file`: what is taken can be printed and is taken again.
pub(crate) fn settings(file: &Path) {
    let load = |file: &Path| {
        let file = file.to_str()?;
        let cli = Cli::try_parse_from(["relay-node", "--config", file]).ok()?;
        Some(Settings::load(&cli.flags))
    };
    match load(file) {
        Some(Ok(settings)) => {
            let _ = (settings.roles(), settings.udp_bind(1));
            std::fs::write(file, settings.to_toml()).unwrap();
            let again = load(file).unwrap();
            // The one thing that is never printed.
            let registry_password = starling_relay_node::config::Secret::default();
            let printed = Settings {
                registry_password,
                ..settings
            };
            assert_eq!(again.map_err(|error| error.to_string()), Ok(printed));
        }
        Some(Err(error)) => assert!(!error.to_string().is_empty()),
        None => {}
    }
}

/// A command line.
pub(crate) fn arguments(text: &str) {
    let words = text.split('\n').filter(|word| !word.starts_with("--config"));
    if let Ok(cli) = Cli::try_parse_from(["relay-node"].into_iter().chain(words)) {
        let _ = Settings::load(&cli.flags);
    }
}

/// A backup, as bytes in `file`: each line but the header, the end and how far the registry was is counted once; what is
/// later, cut off or empty is refused.
pub(crate) fn backup_file(file: &Path, bytes: &[u8]) {
    let verified = backup::verify(file);
    if bytes.is_empty() {
        assert!(verified.is_err());
        return;
    }
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    let lines: Vec<_> = lines
        .map(|line| serde_json::from_slice::<Value>(line).unwrap_or_default())
        .collect();
    let header = lines[0].get("backup");
    let report = match (verified, header.map(|header| header["format"].as_u64())) {
        (Ok(report), None | Some(Some(0..=2))) => report,
        (Err(_), Some(Some(2))) => {
            let end = bytes.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
            let is_end = |end| serde_json::from_slice::<Value>(end).is_ok_and(|end| end.get("end").is_some());
            // No end of a backup is as long as these.
            assert!(
                !end.is_some_and(|end| end.len() < 200 && is_end(end)),
                "it is whole"
            );
            return;
        }
        (Err(_), Some(Some(3..) | None)) => return,
        (verified, format) => panic!("format {format:?}: {:?}", verified.err()),
    };
    let is_counted = |line: &&Value| {
        let is_revision = || line.get("registry")?.get("last")?.as_u64();
        line.get("end").is_none() && is_revision().is_none()
    };
    let counted = lines[usize::from(header.is_some())..]
        .iter()
        .filter(is_counted)
        .count();
    assert_eq!(report.entries + report.names + report.refused, counted as u64);
    assert_eq!(report.first.is_some(), report.refused > 0);
    assert!(!report.text().is_empty());
}

/// A disk in memory with arbitrary content.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Changes>>);

impl Disk for Memory {
    fn commit(&self, changes: &Changes) -> Result<(), DiskError> {
        self.0.lock().unwrap().extend(changes.clone());
        Ok(())
    }

    fn has_room(&self) -> bool {
        true
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.0.lock().unwrap().get(key).cloned().flatten())
    }

    fn range(&self, start: Vec<u8>, end: Vec<u8>, reverse: bool) -> RowIter<'_> {
        let held = self.0.lock().unwrap();
        let rows = held.range(start..end);
        let rows = rows.filter_map(|(key, value)| Some(Ok((key.clone(), value.clone()?))));
        let mut rows: Vec<_> = rows.collect();
        if reverse {
            rows.reverse();
        }
        Box::new(rows.into_iter())
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
});

/// A registry's file with arbitrary content: `raw` are rows as the file has them, `rows` their values alone, as etcd
/// has them. It answers, or says that something is damaged, and gives nothing to two people.
pub(crate) fn ledger(rows: &[(Vec<u8>, Vec<u8>)], raw: &[(Vec<u8>, Vec<u8>)], wanted: &str) {
    let memory = Memory::default();
    let written = raw.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
    memory.0.lock().unwrap().extend(written);
    let opener = move || -> Result<Box<dyn Disk + Send>, DiskError> { Ok(Box::new(memory.clone())) };
    RUNTIME.block_on(async {
        let Ok(embedded) = Embedded::open_with(Box::new(opener), Monotonic::System) else {
            return;
        };
        let ledger = TxnStore::Embedded(embedded);
        for (key, value) in rows {
            let put = Change::Put {
                key: key.clone(),
                value: value.clone(),
                lease: None,
            };
            let txn = Txn {
                checks: vec![Check::Absent(key.clone())],
                changes: vec![put],
                otherwise: Vec::new(),
            };
            ledger.txn(txn).await.unwrap();
        }
        let Ok(registry) = Registry::open(ledger, names::Settings::default(), [1; 32]).await else {
            return;
        };
        let now = Timestamp(1_767_225_600_000);
        for slug in [false, true] {
            claims(&registry, wanted, slug, now).await;
        }
    });
}

/// Two people claim and release a name, or a slug for a post: it has one holder at most.
async fn claims(registry: &Registry, wanted: &str, slug: bool, now: Timestamp) {
    let look = NameQuestion::Lookup {
        slug,
        name: wanted.to_owned(),
    };
    let _ = registry.answer(&look, now).await;
    let space = if slug { Space::Slugs } else { Space::Names };
    let _ = registry.names(space, None, 8).await;
    let _ = registry.holder("leader").await;
    let mut holders = Vec::new();
    for person in 1..=2 {
        let (account, device) = (
            KeyPair::from_seed(&[person; 32]),
            KeyPair::from_seed(&[person + 9; 32]),
        );
        let id = DeviceId(device.public());
        let certificate =
            protocol::kinds::Certificate::issue(&account, id, "device".to_owned(), Timestamp(1));
        let body = Body::Post(Post {
            text: "a post".to_owned(),
            reply: None,
        });
        let position = Position {
            seq: 1,
            prev: protocol::EntryId([3; 32]),
            lamport: 2,
        };
        let author = AccountId(account.public());
        let post = VerifiedEntry::create(&device, position, author, now, &body);
        let post = slug.then(|| post.header().clone());
        for action in [NameAction::Claim, NameAction::Release, NameAction::Claim] {
            let request = NameRequest::issue(
                &device,
                certificate.clone(),
                wanted.to_owned(),
                post.clone(),
                action,
                [7; 16],
                u64::MAX,
            );
            let answer = registry.answer(&NameQuestion::Request(request), now).await;
            if let NameAnswer::Held(receipt) = answer {
                assert_eq!(receipt.account, AccountId(account.public()));
                receipt.verify().unwrap();
                holders.push(receipt.account);
            }
        }
    }
    assert!(
        holders.windows(2).all(|two| two[0] == two[1]),
        "{wanted:?} has two holders"
    );
    if let NameAnswer::Held(receipt) = registry.answer(&look, now).await {
        receipt.verify().unwrap();
    }
}
