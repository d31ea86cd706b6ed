//! What a relay's store is given: the batches of a real engine that takes in posts one by one, written to a file once
//! so that both stores get the same.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use engine::Engine;
use engine::io::{Config, Input, Now, Output};
use engine::memory::MemoryStore;
use engine::store::Op;
use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::{AccountId, DeviceId, EntryId, Instant, KeyPair, Timestamp, VerifiedEntry, codec};

/// Where pseudo-random numbers begin, here and in the crash tests.
pub(crate) const SEED: u64 = 1;
/// People who post, one after the other.
pub(crate) const AUTHORS: usize = 64;
/// What a post says: a sentence or two.
const TEXT_BYTES: usize = 200;
const WRITTEN: Timestamp = Timestamp(1_767_225_600_000);

/// SplitMix64: the same numbers everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Words drawn from 4,000 made-up ones: about as hard to compress as short posts of many people.
fn text(numbers: &mut Numbers) -> String {
    let mut text = String::with_capacity(TEXT_BYTES + 10);
    while text.len() < TEXT_BYTES {
        let mut word = Numbers(numbers.below(4_000));
        for _ in 0..2 + word.below(8) {
            text.push(char::from(b'a' + word.below(26) as u8));
        }
        text.push(' ');
    }
    text
}

struct Author {
    device: KeyPair,
    account: AccountId,
    certificate: Certificate,
    prev: EntryId,
}

impl Author {
    fn new(n: usize) -> Self {
        let key = |of: u8| {
            let mut seed = [of; 32];
            seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
            KeyPair::from_seed(&seed)
        };
        let (account, device) = (key(1), key(2));
        let id = DeviceId(device.public());
        Self {
            certificate: Certificate::issue(&account, id, "bench".to_owned(), Timestamp(1)),
            account: AccountId(account.public()),
            device,
            prev: EntryId::default(),
        }
    }
}

/// The engine's batches for `entries` entries, one each, in the order of its mind. Returns the entries' own bytes.
pub(crate) fn write(path: &Path, entries: usize) -> io::Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut at = Now {
        instant: Instant(0),
        wall: WRITTEN.plus(Duration::from_secs(entries as u64)),
    };
    let mut relay = Engine::new(Config::relay(KeyPair::from_seed(&[9; 32])), [3; 32], at);
    let empty = MemoryStore::default();
    let mut numbers = Numbers(SEED);
    let mut authors: Vec<_> = (0..AUTHORS).map(Author::new).collect();
    let mut raw = 0;
    let drain = |relay: &mut Engine, at: Now, out: &mut BufWriter<File>| -> io::Result<()> {
        let mut answers = Vec::new();
        loop {
            while let Some(output) = relay.poll_output() {
                match output {
                    Output::Load(load) => answers.push(Input::Loaded {
                        id: load.id,
                        rows: empty.load(&load),
                    }),
                    Output::Persist(batch) => {
                        let bytes = codec::encode(&batch.ops);
                        out.write_all(&(bytes.len() as u32).to_le_bytes())?;
                        out.write_all(&bytes)?;
                        answers.push(Input::Persisted { id: batch.id });
                    }
                    _ => {}
                }
            }
            if answers.is_empty() {
                return Ok(());
            }
            for answer in std::mem::take(&mut answers) {
                relay.handle(at, answer);
            }
        }
    };
    drain(&mut relay, at, &mut out)?;
    for n in 0..entries {
        let seq = (n / AUTHORS) as u64;
        let author = &mut authors[n % AUTHORS];
        let body = match seq {
            0 => Body::Certificate(author.certificate.clone()),
            _ => Body::Post(Post {
                text: text(&mut numbers),
                reply: None,
            }),
        };
        let position = Position {
            seq,
            prev: author.prev,
            lamport: seq + 1,
        };
        let written = WRITTEN.plus(Duration::from_secs(n as u64));
        let entry = VerifiedEntry::create(&author.device, position, author.account, written, &body);
        author.prev = entry.id();
        raw += codec::encode(entry.entry()).len() as u64;
        at.instant.0 += 1;
        relay.handle(at, Input::Entries(vec![entry.entry().clone()]));
        drain(&mut relay, at, &mut out)?;
    }
    out.into_inner()?.sync_all()?;
    Ok(raw)
}

/// The batches of such a file.
pub(crate) struct Batches(BufReader<File>);

impl Batches {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::with_capacity(1 << 20, File::open(path)?)))
    }
}

impl Iterator for Batches {
    type Item = Vec<Op>;

    fn next(&mut self) -> Option<Vec<Op>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut bytes).expect("a whole batch");
        Some(codec::decode(&bytes).expect("a batch"))
    }
}
