//! A hostile neighbour: whatever it sends, nothing of it is stored, the link is closed with a reason, others notice
//! nothing.

use std::time::Duration;

use crate::network::open_relay;
use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::link::frame::{self, Reassembly};
use protocol::link::handshake::{Binding, Handshake, Hello, MAGIC, Side, Step, feature};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::receipt::Receipt;
use protocol::messages::{
    Announced, Announcements, Compared, Decoded, Digest, FeedHead, Interests, Message, Ping, Push, RangeEnd,
    Relays, SKETCH_CELL_LEN, Sketch, Verdict, Want,
};
use protocol::{AccountId, DeviceId, Entry, EntryId, KeyPair, PeerId, Timestamp, VerifiedEntry};
use starling_engine::api::{
    self, Command, CommandResult, Event, NetworkView, Query, QueryResult, RepairView, Response, Transport,
};
use starling_engine::memory::MemoryStore;
use starling_engine::store::{Batch, Table};
use starling_engine::{Config, Engine, Input, LinkId, Log, Now, Output, RequestId};

mod commits;
mod relays;

/// A relay's engine with a disk that answers at once, and a raw neighbour on link 1.
pub(crate) struct Victim {
    engine: Engine,
    pub(crate) disk: MemoryStore,
    sent: Vec<Vec<u8>>,
    closed: Vec<String>,
    refused: Vec<String>,
    repair: RepairView,
    answers: Vec<Response>,
    now: Now,
    /// What reads see: the disk and what waits for it.
    view: MemoryStore,
    /// While there is one, the disk writes nothing: what it was given waits here.
    waiting: Option<Vec<Batch>>,
}

impl Victim {
    pub(crate) fn new() -> Self {
        Self::with(open_relay(KeyPair::from_seed(&[1; 32])))
    }

    fn with(config: Config) -> Self {
        let now = Now::default();
        let engine = Engine::new(config, [2; 32], now);
        let mut victim = Self {
            engine,
            disk: MemoryStore::default(),
            sent: vec![],
            closed: vec![],
            refused: vec![],
            repair: RepairView::default(),
            answers: vec![],
            now,
            view: MemoryStore::default(),
            waiting: None,
        };
        victim.drain();
        victim
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist(batch) => {
                    self.view.apply(&batch);
                    if let Some(waiting) = &mut self.waiting {
                        waiting.push(batch);
                        continue;
                    }
                    self.disk.apply(&batch);
                    self.engine.handle(self.now, Input::Persisted { id: batch.id });
                }
                Output::Load(load) => {
                    let rows = self.view.load(&load);
                    self.engine.handle(self.now, Input::Loaded { id: load.id, rows });
                }
                Output::Send { bytes, .. } => self.sent.push(bytes),
                Output::Close { reason, .. } => self.closed.push(reason),
                Output::Log(Log::Refused { reason, .. }) => self.refused.push(reason),
                Output::Event(Event::Repair(repair)) => self.repair = repair,
                Output::Response { response, .. } => self.answers.push(response),
                _ => {}
            }
        }
    }

    /// The disk goes on writing.
    fn release_disk(&mut self) {
        for batch in self.waiting.take().unwrap_or_default() {
            self.disk.apply(&batch);
            self.input(Input::Persisted { id: batch.id });
        }
    }

    /// Takes entries, as from a backup.
    pub(crate) fn take(&mut self, entries: Vec<Entry>) {
        self.input(Input::Entries(entries));
    }

    /// Time passes, and what is due is done.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now.instant = self.now.instant.max(at);
            self.input(Input::Tick);
        }
        self.now.instant = end;
    }

    pub(crate) fn sent_len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.closed.is_empty()
    }

    /// The messages sent since the `from`th frame.
    pub(crate) fn messages(&self, from: usize) -> Vec<Message> {
        let mut whole = Reassembly::default();
        let mut messages = Vec::new();
        for bytes in &self.sent[from..] {
            let (kind, payload) = frame::split(bytes).unwrap();
            if let Ok(Some(message)) = whole.push(kind, payload)
                && let Ok(Decoded::Known(message)) = Message::decode(&message)
            {
                messages.push(message);
            }
        }
        messages
    }

    fn command(&mut self, command: Command) {
        let (id, request) = (RequestId(1), api::Request::Command(command));
        self.input(Input::Request { id, request });
    }

    /// Entries of an account that are said to be missing here.
    fn missing(&mut self, account: AccountId) -> u64 {
        let request = api::Request::Query(Query::Profile { account });
        self.input(Input::Request {
            id: RequestId(1),
            request,
        });
        match self.answers.pop() {
            Some(Response::Result(reply)) => match *reply {
                QueryResult::Profile(profile) => profile.missing(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn network(&mut self) -> NetworkView {
        let request = api::Request::Query(Query::Network);
        self.input(Input::Request {
            id: RequestId(1),
            request,
        });
        match self.answers.pop() {
            Some(Response::Result(reply)) => match *reply {
                QueryResult::Network(view) => view,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self) {
        let (link, side) = (LinkId(1), Side::Responder);
        self.input(Input::LinkUp {
            link,
            side,
            binding: Binding::Memory,
            transport: Transport::Memory,
            address: None,
        });
    }

    fn frame(&mut self, bytes: Vec<u8>) {
        self.input(Input::Frame {
            link: LinkId(1),
            bytes,
        });
    }

    pub(crate) fn message(&mut self, message: &Message) {
        for bytes in frame::fragment(&message.encode()) {
            self.frame(bytes);
        }
    }

    /// An honest handshake by `key`, which becomes a neighbour.
    pub(crate) fn link(&mut self, key: &KeyPair) {
        self.link_with(key, &hello(key));
    }

    fn link_with(&mut self, key: &KeyPair, hello: &Hello) {
        self.open();
        let mut ours = Handshake::new(Side::Initiator, Binding::Memory, key.clone(), hello);
        for bytes in ours.frames() {
            self.frame(bytes);
        }
        let mut at = 0;
        while at < self.sent.len() {
            let (kind, payload) = frame::split(&self.sent[at])
                .map(|(k, p)| (k, p.to_vec()))
                .unwrap();
            at += 1;
            if kind > frame::PROOF {
                continue;
            }
            match ours.on_frame(kind, &payload) {
                Ok(Step::Send(bytes)) => self.frame(bytes),
                Ok(Step::Done(_)) => return self.message(&Message::Request(Request::alone(Wish::Join))),
                Ok(Step::Wait) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the handshake did not finish");
    }

    /// This many seconds pass, in each of which the neighbour sends something of no use.
    fn idle(&mut self, seconds: u64, mut word: impl FnMut(u64) -> Message) {
        for second in 0..seconds {
            self.now.instant.0 += 1_000_000;
            self.now.wall.0 += 1_000;
            self.input(Input::Tick);
            self.message(&word(second));
        }
    }

    fn assert_refused(&self, reason: &str) {
        assert_eq!(self.refused.len(), 1, "{:?}", self.refused);
        assert!(self.refused[0].contains(reason), "{:?}", self.refused);
        assert_eq!(self.closed.len(), 1, "the link is closed");
        let last = self.sent.last().unwrap();
        assert_eq!(last[0], frame::CLOSE, "and told why");
        assert_eq!(std::str::from_utf8(&last[1..]).unwrap(), self.refused[0]);
        assert_eq!(self.disk.len(Table::Entries), 0, "nothing is stored");
    }
}

fn hello(key: &KeyPair) -> Hello {
    Hello {
        magic: MAGIC,
        version_min: 1,
        version_max: 1,
        features: 0,
        peer: PeerId(key.public()),
        nonce: [5; 32],
        certificate: None,
        wall: Timestamp(0),
    }
}

pub(crate) fn certificate(account: &KeyPair, device: &KeyPair) -> VerifiedEntry {
    let body = Certificate::issue(account, DeviceId(device.public()), "d".into(), Timestamp(1));
    let account = AccountId(account.public());
    VerifiedEntry::create(
        device,
        Position::default(),
        account,
        Timestamp(1),
        &Body::Certificate(body),
    )
}

fn push(entry: &Entry) -> Message {
    Message::Push(Push {
        hops: 1,
        tree: 0,
        entry: entry.clone(),
    })
}

fn keys() -> (KeyPair, KeyPair) {
    (KeyPair::from_seed(&[11; 32]), KeyPair::from_seed(&[12; 32]))
}

#[test]
fn an_honest_neighbour_is_stored() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    victim.message(&push(certificate(&account, &device).entry()));
    assert_eq!(victim.disk.len(Table::Entries), 1);
    assert!(victim.refused.is_empty());
}

#[test]
fn data_before_the_handshake() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.open();
    victim.message(&push(certificate(&account, &device).entry()));
    victim.assert_refused("before the handshake");
}

#[test]
fn a_neighbour_of_a_later_protocol_version() {
    let (_, device) = keys();
    let mut victim = Victim::new();
    victim.open();
    let later = Hello {
        version_min: 2,
        version_max: 3,
        ..hello(&device)
    };
    victim.frame(frame::join(frame::HELLO, &protocol::codec::encode(&later)));
    victim.assert_refused("this program speaks 1, the neighbour speaks 2 to 3; this program is too old");
    let view = victim.network();
    let versions = view.incompatible.expect("the diagnostics say so");
    assert_eq!((versions.theirs.min, versions.theirs.max), (2, 3));
}

#[test]
fn a_forged_proof() {
    let (_, device) = keys();
    let mut victim = Victim::new();
    victim.open();
    let bytes = protocol::codec::encode(&hello(&device));
    victim.frame(frame::join(frame::HELLO, &bytes));
    let signature = device.sign(protocol::key::Domain::Link, &[b"something else"]);
    victim.frame(frame::join(frame::PROOF, &protocol::codec::encode(&signature)));
    victim.assert_refused("proof");
}

#[test]
fn a_replayed_handshake() {
    let (_, device) = keys();
    let mut first = Victim::new();
    first.open();
    let mut ours = Handshake::new(Side::Initiator, Binding::Memory, device.clone(), &hello(&device));
    let theirs = frame::split(&first.sent[0])
        .map(|(_, payload)| payload.to_vec())
        .unwrap();
    ours.on_frame(frame::HELLO, &theirs).unwrap();
    let recorded = ours.frames();
    // Another session of the relay has another nonce.
    let mut victim = Victim::new();
    victim.engine = Engine::new(open_relay(KeyPair::from_seed(&[1; 32])), [99; 32], victim.now);
    victim.drain();
    victim.open();
    for bytes in recorded {
        victim.frame(bytes);
    }
    victim.assert_refused("proof");
}

#[test]
fn a_reflected_hello() {
    let mut victim = Victim::new();
    victim.open();
    let own = victim.sent[0].clone();
    victim.frame(own);
    victim.assert_refused("own key");
}

#[test]
fn malformed_oversized_and_empty_frames() {
    let check = |bytes: Vec<u8>, reason: &str| {
        let (_, device) = keys();
        let mut victim = Victim::new();
        victim.link(&device);
        victim.frame(bytes);
        victim.assert_refused(reason);
    };
    check(vec![], "empty");
    check(vec![frame::LAST; 16 * 1024 + 1], "over");
    check(vec![77, 1, 2, 3], "unknown type");
    check(frame::join(frame::LAST, &[6, 1, 2, 3]), "malformed");
    check(frame::join(frame::LAST, &[]), "malformed");
}

#[test]
fn a_message_without_end() {
    let (_, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    for _ in 0..20 {
        if victim.closed.is_empty() {
            victim.frame(frame::join(frame::MORE, &[0; 16_000]));
        }
    }
    victim.assert_refused("over");
}

#[test]
fn entries_with_wrong_signatures_bodies_and_certificates() {
    let (account, device) = keys();
    let check = |change: &dyn Fn(&mut Entry), reason: &str| {
        let mut victim = Victim::new();
        victim.link(&device);
        let mut entry = certificate(&account, &device).entry().clone();
        change(&mut entry);
        victim.message(&push(&entry));
        victim.assert_refused(reason);
    };
    check(&|entry| entry.signed.header.timestamp.0 += 1, "signature");
    check(&|entry| entry.body[3] ^= 1, "body");
    check(&|entry| entry.signed.header.version = 9, "version");
    check(
        &|entry| entry.signed.signature = protocol::Signature::from_bytes(&[0; 64]),
        "signature",
    );
    let mut forged = certificate(&device, &device).entry().clone();
    forged.signed.header.account = AccountId(account.public());
    let mut victim = Victim::new();
    victim.link(&device);
    victim.message(&push(&forged));
    victim.assert_refused("signature");
}

#[test]
fn an_entry_that_changes_its_account() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    let first = certificate(&account, &device);
    victim.message(&push(first.entry()));
    let at = Position {
        seq: 1,
        prev: first.id(),
        lamport: 2,
    };
    let body = Body::Post(Post {
        text: "x".into(),
        reply: None,
    });
    let other = AccountId(device.public());
    victim.message(&push(
        VerifiedEntry::create(&device, at, other, Timestamp(2), &body).entry(),
    ));
    assert_eq!(victim.refused.len(), 1);
    assert_eq!(victim.disk.len(Table::Entries), 1);
}

#[test]
fn a_replayed_entry_is_a_duplicate_and_nothing_more() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    for _ in 0..100 {
        victim.message(&push(certificate(&account, &device).entry()));
    }
    assert_eq!(victim.disk.len(Table::Entries), 1);
    assert!(victim.refused.is_empty());
}

#[test]
fn who_claims_to_have_more_and_does_not_show_it_is_not_believed() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    victim.message(&push(certificate(&account, &device).entry()));
    let account = AccountId(account.public());
    let mut missing = |message: Message| {
        victim.message(&message);
        victim.missing(account)
    };
    let head = FeedHead {
        account,
        device: DeviceId(device.public()),
        next_seq: 1_000,
        head: EntryId([9; 32]),
    };
    let heads = vec![head];
    assert_eq!(missing(Message::Digest(Digest { heads, end: true })), 999);
    assert_eq!(missing(Message::RangeEnd(RangeEnd { request: 1 })), 0);
}

#[test]
fn greedy_wants_are_bounded() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    let first = certificate(&account, &device);
    victim.message(&push(first.entry()));
    let before = victim.sent.len();
    for request in 0..5_000 {
        victim.message(&Message::Want(Want {
            request,
            device: DeviceId(device.public()),
            from: 0,
            to: u64::MAX,
        }));
    }
    let bytes: usize = victim.sent[before..].iter().map(Vec::len).sum();
    assert!(
        bytes < 2 * protocol::limits::CREDIT_WINDOW_BYTES as usize,
        "{bytes} bytes for nothing granted"
    );
}

/// A peer that wants entries gets as many bytes of them as it granted: were more charged than was sent, a link would
/// fall silent some day.
#[test]
fn a_push_is_charged_what_it_weighs() {
    const WINDOW: usize = protocol::limits::CREDIT_WINDOW_BYTES as usize;
    const TEXT: usize = 900;
    let (_, device) = keys();
    let mut author = Victim::with(Config::browser());
    author.command(Command::CreateAccount {
        name: "Ada".into(),
        device_name: "d".into(),
    });
    author.link(&device);
    author.message(&Message::Interests(Interests {
        everything: true,
        ..Interests::default()
    }));
    let before = author.sent.len();
    for n in 0..(WINDOW / TEXT) as u128 {
        author.command(Command::Publish {
            token: n.to_le_bytes(),
            text: "a".repeat(TEXT),
            reply_to: None,
            slug: None,
        });
    }
    let pushes = author.messages(before).into_iter();
    let pushes = pushes.filter(|message| matches!(message, Message::Push(_)));
    let pushed: usize = pushes.map(|push| push.encode().len()).sum();
    // The last one begins within it.
    assert!((WINDOW..WINDOW + 2 * TEXT).contains(&pushed), "{pushed} bytes");
}

#[test]
fn whatever_a_neighbour_asks_it_hears_of_no_own_entry_that_is_not_on_disk() {
    let (_, device) = keys();
    let mut author = Victim::with(Config::browser());
    author.command(Command::CreateAccount {
        name: "Ada".into(),
        device_name: "d".into(),
    });
    author.link(&device);
    let everything = Message::Interests(Interests {
        reset: true,
        everything: true,
        ..Interests::default()
    });
    author.message(&everything);
    let heads = author.messages(0).into_iter().find_map(|message| match message {
        Message::Digest(digest) => digest.heads.first().copied(),
        _ => None,
    });
    let before = heads.expect("the certificate and the profile are advertised");
    assert_eq!(before.next_seq, 2);

    author.waiting = Some(Vec::new());
    let asked_at = author.sent.len();
    author.command(Command::Publish {
        token: [1; 16],
        text: "not on disk".into(),
        reply_to: None,
        slug: None,
    });
    // A neighbour to which it was not advertised asks in every way there is.
    author.message(&everything);
    author.message(&Message::Want(Want {
        request: 7,
        device: before.device,
        from: 2,
        to: 3,
    }));
    author.message(&Message::Want(Want {
        request: 8,
        device: before.device,
        from: 0,
        to: u64::MAX,
    }));
    author.idle(40, |n| Message::Ping(Ping { token: n }));
    let mut answered = 0;
    for message in author.messages(asked_at) {
        match message {
            Message::Digest(digest) => assert_eq!(digest.heads, [before]),
            Message::Entries(entries) => {
                answered += entries.entries.len();
                assert_eq!(entries.request, 8);
                assert!(entries.entries.iter().all(|entry| entry.signed.header.seq < 2));
            }
            Message::Push(_) | Message::Announce(_) | Message::Have(_) => panic!("{message:?}"),
            _ => {}
        }
    }
    assert_eq!(answered, 2, "what is on disk is answered with");

    let saved_at = author.sent.len();
    author.release_disk();
    let pushed = author
        .messages(saved_at)
        .into_iter()
        .any(|message| match message {
            Message::Push(push) => push.entry.signed.header.seq == 2,
            _ => false,
        });
    assert!(pushed, "it leaves in the step that hears that it is on disk");
}

#[test]
fn receipts_signed_by_keys_that_nobody_vouches_for_make_no_holders() {
    let (_, device) = keys();
    let mut author = Victim::with(Config::browser());
    author.command(Command::CreateAccount {
        name: "Ada".into(),
        device_name: "d".into(),
    });
    author.link(&device);
    author.command(Command::Publish {
        token: [1; 16],
        text: "who holds this?".into(),
        reply_to: None,
        slug: None,
    });
    let Some(Response::Done(CommandResult::Published(post))) = author.answers.pop() else {
        panic!()
    };
    let mut holders = |of: &KeyPair| {
        let at = Timestamp(1);
        let receipt = Receipt::issue(of, post.device, post.seq + 1, post.entry.id, at);
        author.message(&Message::Receipt(receipt));
        let request = api::Request::Query(Query::Holders { post: post.entry });
        author.input(Input::Request {
            id: RequestId(1),
            request,
        });
        match author.answers.pop() {
            Some(Response::Result(reply)) => match *reply {
                QueryResult::Holders(holders) => holders,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    for n in 0..5 {
        let made_up = KeyPair::from_seed(&[0x80 + n; 32]);
        assert_eq!(holders(&made_up), [], "anybody can make up keys");
    }
    let own = holders(&device);
    assert_eq!(own.len(), 1, "its own is the word of a peer");
    assert!(!own[0].relay);
}

#[test]
fn unknown_messages_and_unknown_entry_kinds_are_no_offence() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    victim.frame(frame::join(frame::LAST, &[200, 1, 2, 3]));
    let first = certificate(&account, &device);
    victim.message(&push(first.entry()));
    // An entry of a kind of a later version: signed over, stored, forwarded, shown by nobody.
    let at = Position {
        seq: 1,
        prev: first.id(),
        lamport: 2,
    };
    let body = Body::Post(Post {
        text: "x".into(),
        reply: None,
    });
    let mut entry = VerifiedEntry::create(&device, at, AccountId(account.public()), Timestamp(2), &body)
        .entry()
        .clone();
    entry.signed.header.kind = protocol::Kind(999);
    let id: EntryId = entry.signed.header.id();
    entry.signed.signature = device.sign(protocol::key::Domain::Entry, &[&id.0]);
    victim.message(&push(&entry));
    assert!(victim.refused.is_empty(), "{:?}", victim.refused);
    assert_eq!(victim.disk.len(Table::Entries), 2);
    assert_eq!(victim.disk.len(Table::ByTime), 0);
}

#[test]
fn a_description_that_is_not_the_relays_own_costs_the_link() {
    let mut victim = Victim::new();
    let stranger = KeyPair::from_seed(&[7; 32]);
    victim.link(&stranger);
    let mut forged = crate::directory::description("cellar", 1).sign(&KeyPair::from_seed(&[8; 32]));
    forged.description.url = "http://elsewhere.example".into();
    let relays = vec![forged.clone()];
    victim.message(&Message::Relays(Relays { relays }));
    assert!(victim.refused.is_empty(), "no relay's word: not even looked at");
    let own = crate::directory::description("cellar", 2).sign(&stranger);
    let relays = vec![own, forged];
    victim.message(&Message::Relays(Relays { relays }));
    victim.assert_refused("a description with a wrong signature");
}

#[test]
fn sketches_that_are_none() {
    let from_the_middle = Sketch {
        first: 64,
        cells: vec![0; SKETCH_CELL_LEN],
        ..Sketch::default()
    };
    let over_the_prime = Sketch {
        cells: vec![0xff; SKETCH_CELL_LEN],
        ..Sketch::default()
    };
    // Nothing was begun: ignored. Begun with what cannot be cells: the end.
    let mut victim = Victim::new();
    victim.link(&KeyPair::from_seed(&[7; 32]));
    victim.message(&Message::Sketch(from_the_middle));
    assert!(victim.refused.is_empty(), "{:?}", victim.refused);
    victim.message(&Message::Compared(Compared {
        round: 9,
        verdict: Verdict::More(1),
    }));
    assert!(victim.refused.is_empty(), "{:?}", victim.refused);
    victim.message(&Message::Sketch(over_the_prime));
    victim.assert_refused("cells of a sketch that are none");
}

#[test]
fn who_keeps_feeds_signs_for_them_and_who_does_not_says_only_what_it_has() {
    for worker in [true, false] {
        let (account, device) = keys();
        let mut victim = Victim::with(Config {
            worker,
            ..open_relay(KeyPair::from_seed(&[1; 32]))
        });
        let first = certificate(&account, &device);
        let id = DeviceId(device.public());
        let author = Hello {
            certificate: Some(Certificate::issue(&account, id, "d".into(), Timestamp(1))),
            ..hello(&device)
        };
        victim.link_with(&device, &author);
        victim.message(&push(first.entry()));
        assert_eq!(victim.disk.len(Table::Entries), 1, "the author is linked with it");
        let said = |kind: u8| {
            victim
                .sent
                .iter()
                .any(|bytes| bytes.starts_with(&[frame::LAST, kind]))
        };
        let (have, receipt) = (8, 9);
        assert_eq!((said(have), said(receipt)), (!worker, worker));
    }
}

#[test]
fn who_announces_what_never_comes_is_not_believed() {
    let (account, device) = keys();
    let mut victim = Victim::new();
    victim.link(&device);
    victim.message(&push(certificate(&account, &device).entry()));
    let account = AccountId(account.public());
    let head = FeedHead {
        account,
        device: DeviceId(device.public()),
        next_seq: 3,
        head: EntryId([9; 32]),
    };
    let announced = Announced {
        head,
        tree: 0,
        hops: 0,
        waited_ms: 0,
    };
    let items = vec![announced];
    let announce = Message::Announce(Announcements { items });
    victim.message(&announce);
    assert_eq!(victim.missing(account), 2);
    // Until its announcements are not listened to any more.
    victim.idle(120, |_| announce.clone());
    victim.idle(30, |token| Message::Ping(Ping { token }));
    assert_eq!(victim.missing(account), 0);
}
