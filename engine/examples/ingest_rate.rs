//! Entries a relay's engine takes in per second on one core, its store in memory, beside the raw signature check: what
//! the engine itself costs. Prints one JSON object per line.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program measures with a real clock"
)]

use std::collections::BTreeMap;
use std::time::Instant as Clock;

use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::link::frame;
use protocol::link::handshake::{Binding, Handshake, Hello, MAGIC, Side, Step};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Message, Push};
use protocol::{AccountId, DeviceId, Entry, KeyPair, PeerId, Timestamp, VerifiedEntry};
use starling_engine::api::Transport;
use starling_engine::store::Op;
use starling_engine::{Config, Engine, Input, LinkId, Now, Output};

const ENTRIES: usize = 20_000;

fn main() {
    let (account, device) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let entries = feed(&account, &device);

    let began = Clock::now();
    for entry in &entries {
        assert!(entry.clone().verify().is_ok());
    }
    print("verify_raw", began, entries.len());

    let now = Now::default();
    let link = LinkId(1);
    let mut engine = Engine::new(Config::relay(KeyPair::from_seed(&[3; 32])), [4; 32], now);
    let mut sent = drain(&mut engine, now);
    engine.handle(
        now,
        Input::LinkUp {
            link,
            side: Side::Responder,
            binding: Binding::Memory,
            transport: Transport::Memory,
            address: None,
        },
    );
    sent.extend(drain(&mut engine, now));
    let hello = Hello {
        magic: MAGIC,
        version_min: 1,
        version_max: 1,
        features: 0,
        peer: PeerId(device.public()),
        nonce: [5; 32],
        certificate: None,
        wall: Timestamp(0),
    };
    let mut handshake = Handshake::new(Side::Initiator, Binding::Memory, device.clone(), &hello);
    for bytes in handshake.frames() {
        engine.handle(now, Input::Frame { link, bytes });
    }
    sent.extend(drain(&mut engine, now));
    for bytes in sent {
        if let Ok((kind, payload)) = frame::split(&bytes)
            && kind <= frame::PROOF
            && let Ok(Step::Send(bytes)) = handshake.on_frame(kind, payload)
        {
            engine.handle(now, Input::Frame { link, bytes });
        }
    }
    for bytes in frame::fragment(&Message::Request(Request::alone(Wish::Join)).encode()) {
        engine.handle(now, Input::Frame { link, bytes });
    }
    let frames: Vec<Vec<u8>> = entries
        .into_iter()
        .flat_map(|entry| {
            let push = Push {
                hops: 1,
                tree: 0,
                entry,
            };
            frame::fragment(&Message::Push(push).encode()).collect::<Vec<_>>()
        })
        .collect();
    let mut persisted = 0;
    let began = Clock::now();
    for bytes in frames {
        engine.handle(now, Input::Frame { link, bytes });
        while let Some(output) = engine.poll_output() {
            if let Output::Persist(batch) = output {
                persisted += batch.ops.iter().filter(|op| matches!(op, Op::Put { .. })).count();
                engine.handle(now, Input::Persisted { id: batch.id });
            }
        }
    }
    print("ingest", began, ENTRIES);
    assert!(
        persisted > 3 * ENTRIES,
        "every entry was stored: {persisted} rows"
    );
}

fn feed(account: &KeyPair, device: &KeyPair) -> Vec<Entry> {
    let id = AccountId(account.public());
    let certificate = Certificate::issue(account, DeviceId(device.public()), "bench".into(), Timestamp(1));
    let mut at = Position::default();
    let mut body = Body::Certificate(certificate);
    let mut entries = Vec::with_capacity(ENTRIES);
    for n in 0..ENTRIES {
        let entry = VerifiedEntry::create(device, at, id, Timestamp(n as u64 + 1), &body);
        at = Position {
            seq: at.seq + 1,
            prev: entry.id(),
            lamport: at.lamport + 1,
        };
        body = Body::Post(Post {
            text: format!("post {n} {}", "x".repeat(200)),
            reply: None,
        });
        entries.push(entry.entry().clone());
    }
    entries
}

/// Executes outputs against an empty store.
fn drain(engine: &mut Engine, now: Now) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    let mut closed = BTreeMap::new();
    while let Some(output) = engine.poll_output() {
        match output {
            Output::Load(load) => {
                let rows = load.reads.iter().map(|_| Vec::new()).collect();
                engine.handle(now, Input::Loaded { id: load.id, rows });
            }
            Output::Send { bytes, .. } => sent.push(bytes),
            Output::Close { link, reason } => {
                closed.insert(link, reason);
            }
            _ => {}
        }
    }
    assert!(closed.is_empty(), "{closed:?}");
    sent
}

fn print(figure: &str, began: Clock, n: usize) {
    let value = n as f64 / began.elapsed().as_secs_f64();
    println!(
        r#"{{"bench":"engine","figure":"{figure}_per_s","value":{value:.0},"unit":"entries/s","n":{n},"seed":1}}"#
    );
}
