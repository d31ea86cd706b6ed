//! People whose feeds the relays of benchmarks hold.

use std::time::Duration;

use anyhow::{Context as _, Result};
use protocol::entry::Position;
use protocol::kinds::{Body, Certificate, Post};
use protocol::{AccountId, DeviceId, Entry, EntryId, KeyPair, Timestamp, VerifiedEntry};

/// 2026-01-01, in milliseconds since 1970.
pub(crate) const BEGIN: Timestamp = Timestamp(1_767_225_600_000);

/// The `n`th key of a kind.
pub(crate) fn key(kind: u8, n: usize) -> KeyPair {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
    KeyPair::from_seed(&seed)
}

/// The feed of a person, and its continuation.
pub(crate) struct Author {
    pub(crate) device: KeyPair,
    pub(crate) account: AccountId,
    pub(crate) next_seq: u64,
    pub(crate) prev: EntryId,
    certificate: Certificate,
}

impl Author {
    pub(crate) fn new(n: usize) -> Self {
        let (account, device) = (key(0xaa, n), key(0xdd, n));
        let id = DeviceId(device.public());
        Self {
            certificate: Certificate::issue(&account, id, "laptop".into(), BEGIN),
            account: AccountId(account.public()),
            device,
            next_seq: 0,
            prev: EntryId::default(),
        }
    }

    pub(crate) fn write(&mut self, at: Timestamp) -> Entry {
        let seq = self.next_seq;
        let body = match seq {
            0 => Body::Certificate(self.certificate.clone()),
            _ => Body::Post(Post {
                text: format!("The {seq}th thing that came to my mind today, told to those listening."),
                reply: None,
            }),
        };
        let position = Position {
            seq,
            prev: self.prev,
            lamport: seq + 1,
        };
        let entry = VerifiedEntry::create(&self.device, position, self.account, at, &body);
        self.next_seq += 1;
        self.prev = entry.id();
        entry.entry().clone()
    }
}

/// The first `entries` entries of the `n`th person's feed.
pub(crate) fn feed(n: usize, entries: u64) -> impl Iterator<Item = Entry> {
    let mut author = Author::new(n);
    (0..entries).map(move |seq| author.write(BEGIN.plus(Duration::from_secs(seq))))
}

/// How many feeds a benchmark makes: `usual`, or what `STARLING_BENCH_FEEDS` says.
pub(crate) fn feeds(usual: usize) -> Result<usize> {
    match std::env::var("STARLING_BENCH_FEEDS") {
        Ok(feeds) => feeds.parse().context("STARLING_BENCH_FEEDS is a number"),
        Err(_) => Ok(usual),
    }
}
