use std::path::Path;

use engine::api::{Query, Transport};
use engine::io::Config;
use protocol::entry::Position;
use protocol::kinds::{Body, Certificate, Post};
use protocol::link::frame::Reassembly;
use protocol::link::handshake::{Binding, Handshake, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN};
use protocol::messages::overlay::{Request as Ask, Wish};
use protocol::messages::{Decoded, Message, Ping, Push};
use protocol::{AccountId, DeviceId, KeyPair, Timestamp, VerifiedEntry};
use tokio::time::timeout;

use super::*;
use crate::driver::{self, DriverHandle, DriverThread, Origin};
use crate::link::{LinkEnd, ToLink};
use crate::store::COMMANDS_MAX;
use crate::store::faulty_disk::{Fault, Faults, FaultyDisk};

/// What is waited for comes at once, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(dir: &Path, faults: &Faults) -> (DriverHandle, DriverThread) {
    let config = Config::relay(KeyPair::from_seed(&[1; 32]));
    let store = Store::open_with(FaultyDisk::opener(dir.join("posts"), faults), dir).unwrap();
    let (book, _dials) = AddressBook::open(Vec::new());
    driver::start(Options::new(config, [7; 32], store, book)).unwrap()
}

/// An author, and the link over which entries are pushed.
struct Author {
    account: KeyPair,
    device: KeyPair,
    next: Position,
    end: LinkEnd,
    reassembly: Reassembly,
}

impl Author {
    /// Links with a relay and becomes its neighbour.
    async fn link(driver: &DriverHandle) -> Self {
        let (account, device) = (KeyPair::from_seed(&[2; 32]), KeyPair::from_seed(&[3; 32]));
        let binding = || Binding::WebSocket {
            host: "relay.example".to_owned(),
        };
        let origin = Origin::Accepted(None);
        let attached = driver.attach(Side::Responder, binding(), Transport::WebSocket, origin);
        let end = attached.await.unwrap();
        let mut this = Self {
            account,
            device,
            next: Position::default(),
            end,
            reassembly: Reassembly::default(),
        };
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features: 0,
            peer: PeerId(this.device.public()),
            nonce: [4; 32],
            certificate: Some(this.certificate()),
            wall: Timestamp(1),
        };
        let mut handshake = Handshake::new(Side::Initiator, binding(), this.device.clone(), &hello);
        let mut frames = handshake.frames();
        loop {
            for frame in frames.drain(..) {
                assert!(this.end.sink.frame(frame).await);
            }
            let received = this.frame().await;
            let (kind, payload) = frame::split(&received).unwrap();
            match handshake.on_frame(kind, payload).unwrap() {
                Step::Wait => {}
                Step::Send(frame) => frames.push(frame),
                Step::Done(_) => break,
            }
        }
        this.send(&Message::Request(Ask::alone(Wish::Join))).await;
        this
    }

    fn certificate(&self) -> Certificate {
        let device = DeviceId(self.device.public());
        Certificate::issue(&self.account, device, "test".to_owned(), Timestamp(1))
    }

    async fn frame(&mut self) -> Vec<u8> {
        match timeout(PATIENCE, self.end.outgoing.next())
            .await
            .expect("a frame")
        {
            Some(ToLink::Frame(bytes)) => bytes.into(),
            other => panic!("the link ended: {other:?}"),
        }
    }

    async fn send(&self, message: &Message) {
        for frame in frame::fragment(&message.encode()) {
            let taken = timeout(PATIENCE, self.end.sink.frame(frame)).await;
            assert_eq!(taken, Ok(true), "the engine takes frames");
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            let received = self.frame().await;
            let (kind, payload) = frame::split(&received).unwrap();
            if kind == frame::HELLO || kind == frame::PROOF {
                continue;
            }
            if let Some(message) = self.reassembly.push(kind, payload).unwrap()
                && let Decoded::Known(message) = Message::decode(&message).unwrap()
            {
                return message;
            }
        }
    }

    /// Writes the next entry of the feed and pushes it.
    async fn push(&mut self) {
        let body = match self.next.seq {
            0 => Body::Certificate(self.certificate()),
            seq => Body::Post(Post {
                text: format!("The {seq}th post"),
                reply: None,
            }),
        };
        let account = AccountId(self.account.public());
        let entry = VerifiedEntry::create(&self.device, self.next, account, Timestamp(1), &body);
        self.next = Position {
            seq: self.next.seq + 1,
            prev: entry.id(),
            lamport: self.next.lamport + 1,
        };
        let entry = entry.entry().clone();
        let (hops, tree) = (1, 0);
        self.send(&Message::Push(Push { hops, tree, entry })).await;
    }

    /// Entries that the relay has signed for.
    async fn receipt(&mut self) -> u64 {
        loop {
            if let Message::Receipt(receipt) = self.next().await {
                return receipt.next_seq;
            }
        }
    }
}

#[tokio::test]
async fn while_a_commit_takes_long_others_are_answered_and_receipts_say_what_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let (driver, thread) = start(dir.path(), &faults);
    driver.ask(Query::Network).await.expect("the store is read");
    let mut author = Author::link(&driver).await;
    author.push().await;
    while author.receipt().await < 1 {}

    faults.set(Fault::Slow);
    let posts = 2 * COMMANDS_MAX as u64;
    for _ in 0..posts {
        author.push().await;
    }
    author.send(&Message::Ping(Ping { token: 5 })).await;
    loop {
        match author.next().await {
            Message::Pong(pong) => break assert_eq!(pong.token, 5),
            Message::Receipt(receipt) => {
                // The commit under way when the disk became slow may have had the first post.
                assert!(receipt.next_seq <= 2, "{} are not on the disk", receipt.next_seq);
            }
            _ => {}
        }
    }
    let answered = timeout(PATIENCE, driver.ask(Query::Network)).await;
    assert!(matches!(answered, Ok(Some(_))), "requests that need no disk");

    faults.set(None);
    let mut receipts = 1;
    while author.receipt().await <= posts {
        receipts += 1;
    }
    assert!(
        receipts < posts / 8,
        "{receipts} receipts: many entries share a commit"
    );
    assert!(thread.stop("the test is over").await);
}
