//! A peer message of each kind.

use protocol::messages::membership::{JoinAnswer, JoinRequest, MemberList, Vouches};
use protocol::messages::overlay::{
    Accept, Descriptor, ForwardJoin, Heartbeat, Others, Request, Shuffle, Wish,
};
use protocol::messages::{
    Announced, Announcements, Compared, Credit, Decoded, Differences, Digest, Entries, FeedHead, ForkProof,
    HeadCredit, Heads, Interests, Message, NameAnswered, NameAsked, OnTree, Ping, Presence, Push, Quota,
    QuotaExceeded, RangeEnd, Relays, ResumeFailed, RevocationAnswer, RevocationQuestion, SaltedAccount,
    Sketch, Verdict, Want, WorkDone, WorkRequired,
};
use protocol::names::{NameAnswer, NameQuestion};
use protocol::work::Puzzle;
use protocol::{EntryId, PeerId, SignedHeader};

use super::{entries, identity};
use crate::by_hand::{Vector, hex, public, sign};
use crate::cast::{self, ADA, BEGIN, LAPTOP, PHONE, REGISTRY, RELAY};

fn same(by_hand: Vector, message: &Message) -> Vector {
    let name = by_hand.name;
    assert_eq!(
        hex(&by_hand.bytes()),
        hex(&message.encode()),
        "{name}: document and code disagree"
    );
    assert_eq!(
        Message::decode(&by_hand.bytes()),
        Ok(Decoded::Known(message.clone())),
        "{name}: read back"
    );
    by_hand
}

fn head() -> (Vector, FeedHead) {
    let by_hand = Vector::new("head")
        .fixed("account", public(ADA))
        .fixed("device", public(LAPTOP))
        .varint("next_seq", 200)
        .fixed("head", [0xdd; 32]);
    let head = FeedHead {
        account: cast::account(ADA),
        device: cast::device(LAPTOP),
        next_seq: 200,
        head: EntryId([0xdd; 32]),
    };
    (by_hand, head)
}

fn fork() -> (Vector, ForkProof) {
    let feed = cast::feed();
    let forked = entries::forked();
    let proof = ForkProof {
        one: feed[2].signed().clone(),
        other: protocol::codec::decode::<SignedHeader>(&forked.bytes()).expect("a signed header"),
    };
    assert_eq!(proof.one.header.seq, proof.other.header.seq);
    assert_ne!(proof.one.verify(), proof.other.verify());
    assert!(proof.other.verify().is_ok());
    let one = protocol::codec::encode(&proof.one);
    let by_hand = Vector::new("message: ForkProof")
        .byte("kind", 13)
        .fixed("one: header and signature of entry 2 in entries.hex", one)
        .all("other", &forked);
    (by_hand, proof)
}

/// One message of each kind, with its bytes by hand.
/// The lowest number that is the work which the relay asks of Ada's laptop.
fn work() -> u64 {
    let mut key = blake3::Hasher::new_derive_key("starling admission work v1");
    key.update(&[&public(RELAY)[..], &public(ADA), &[9; 16], &[14]].concat());
    let key = *key.finalize().as_bytes();
    let is_work = |nonce: &u64| {
        let hash = blake3::keyed_hash(&key, &nonce.to_le_bytes());
        hash.as_bytes()[0] == 0 && hash.as_bytes()[1] < 4
    };
    let nonce = (0..).find(is_work).expect("there is one");
    let puzzle = Puzzle::new(&cast::peer(RELAY), &cast::account(ADA), &[9; 16], 14);
    assert!(puzzle.is_solved_by(nonce));
    assert!((0..nonce).all(|nonce| !puzzle.is_solved_by(nonce)));
    nonce
}

pub(crate) fn pairs() -> Vec<(Vector, Message)> {
    let (head_by_hand, head) = head();
    let heads = |name, kind| {
        Vector::new(name)
            .byte("kind", kind)
            .varint("heads, count", 1)
            .all("heads[0]", &head_by_hand)
    };
    let post = cast::feed().swap_remove(2).entry().clone();
    let (fork_by_hand, fork) = fork();
    vec![
        (
            Vector::new("message: Interests")
                .byte("kind", 1)
                .byte("reset", 1)
                .byte("everything", 0)
                .byte("assigned", 1)
                .varint("add, count", 2)
                .fixed("add[0]", [1; 8])
                .fixed("add[1]", [2; 8])
                .varint("remove, count", 1)
                .fixed("remove[0]", [3; 8])
                .varint("named, count", 1)
                .fixed("named[0]", public(ADA))
                .byte("more", 0)
                .byte("sketch", 1)
                .byte("same: something", 1)
                .fixed("same", [4; 16]),
            Message::Interests(Interests {
                reset: true,
                everything: false,
                assigned: true,
                add: vec![SaltedAccount([1; 8]), SaltedAccount([2; 8])],
                remove: vec![SaltedAccount([3; 8])],
                named: vec![cast::account(ADA)],
                more: false,
                sketch: true,
                same: Some([4; 16]),
            }),
        ),
        (
            heads("message: Digest", 2).byte("end", 1),
            Message::Digest(Digest {
                heads: vec![head],
                end: true,
            }),
        ),
        (
            Vector::new("message: Want")
                .byte("kind", 3)
                .varint("request", 70_000)
                .fixed("device", public(LAPTOP))
                .varint("from", 2)
                .varint("to", 200),
            Message::Want(Want {
                request: 70_000,
                device: cast::device(LAPTOP),
                from: 2,
                to: 200,
            }),
        ),
        (
            Vector::new("message: Entries")
                .byte("kind", 4)
                .varint("request", 70_000)
                .varint("entries, count", 1)
                .all("entries[0]", &entries::entry(2)),
            Message::Entries(Entries {
                request: 70_000,
                entries: vec![post.clone()],
            }),
        ),
        (
            Vector::new("message: RangeEnd")
                .byte("kind", 5)
                .varint("request", 70_000),
            Message::RangeEnd(RangeEnd { request: 70_000 }),
        ),
        (
            Vector::new("message: Push")
                .byte("kind", 6)
                .byte("hops", 1)
                .byte("tree", 9)
                .all("entry", &entries::entry(2)),
            Message::Push(Push {
                hops: 1,
                tree: 9,
                entry: post,
            }),
        ),
        (
            heads("message: Announce", 7)
                .byte("items[0].tree", 9)
                .byte("items[0].hops", 2)
                .varint("items[0].waited_ms", 300),
            Message::Announce(Announcements {
                items: vec![Announced {
                    head,
                    tree: 9,
                    hops: 2,
                    waited_ms: 300,
                }],
            }),
        ),
        (
            heads("message: Have", 8),
            Message::Have(Heads { heads: vec![head] }),
        ),
        (
            Vector::new("message: Receipt")
                .byte("kind", 9)
                .all("receipt", &identity::receipt()),
            Message::Receipt(cast::receipt()),
        ),
        (
            Vector::new("message: Credit")
                .byte("kind", 10)
                .varint("bytes", 65_536),
            Message::Credit(Credit { bytes: 65_536 }),
        ),
        (
            Vector::new("message: Ping")
                .byte("kind", 11)
                .varint("token", u64::MAX),
            Message::Ping(Ping { token: u64::MAX }),
        ),
        (
            Vector::new("message: Pong")
                .byte("kind", 12)
                .varint("token", u64::MAX),
            Message::Pong(Ping { token: u64::MAX }),
        ),
        (fork_by_hand, Message::ForkProof(fork)),
    ]
    .into_iter()
    .chain(overlay())
    .collect()
}

fn introduction() -> Vector {
    let signed = |vector: Vector| {
        vector
            .fixed("from", public(LAPTOP))
            .fixed("to", public(PHONE))
            .varint("at", BEGIN.0)
            .sized("payload", "hello")
    };
    let under = signed(Vector::new("signed")).bytes();
    signed(Vector::new("message: Introduction").byte("kind", 23))
        .fixed("signature", sign(LAPTOP, "starling introduction v1", &under))
        .byte("hops", 7)
}

fn relays() -> Vector {
    let described = |vector: Vector| {
        vector
            .fixed("relay", public(RELAY))
            .varint("heartbeat", BEGIN.0 + 7)
            .sized("url", "https://relay.example")
            .byte("roles", 0b1001)
            .sized("zone", "cellar")
            .byte("location, there", 1)
            .varint("latitude, zigzag", 10_500)
            .varint("longitude, zigzag", 2_679)
            .varint("capacity", 100)
            .varint("revision", 70_000)
            .varint("load", 250)
            .varint("response", 900)
            .varint("errors", 3)
            .byte("registry, there", 1)
            .fixed("registry", public(REGISTRY))
    };
    let under = described(Vector::new("signed")).bytes();
    let start = Vector::new("message: Relays")
        .byte("kind", 24)
        .varint("relays, count", 1);
    described(start).fixed("signature", sign(RELAY, "starling description v1", &under))
}

/// The messages of the overlay and of its trees.
fn overlay() -> Vec<(Vector, Message)> {
    let described = |vector: Vector, name: &'static str| {
        vector
            .fixed(name, public(LAPTOP))
            .byte("relay", 1)
            .varint("heartbeat", 300)
            .varint("age_s", 5)
    };
    let descriptor = Descriptor {
        peer: PeerId(public(LAPTOP)),
        relay: true,
        heartbeat: 300,
        age_s: 5,
    };
    let peers = vec![descriptor];
    let listed = |name, kind| {
        described(
            Vector::new(name).byte("kind", kind).varint("peers, count", 1),
            "peer",
        )
    };
    vec![
        (
            described(
                Vector::new("message: Request")
                    .byte("kind", 14)
                    .byte("wish: Urgent", 1)
                    .varint("heartbeat", 70_000)
                    .varint("peers, count", 1),
                "peer",
            ),
            Message::Request(Request {
                wish: Wish::Urgent,
                heartbeat: 70_000,
                peers: peers.clone(),
            }),
        ),
        (
            described(
                Vector::new("message: Accept")
                    .byte("kind", 15)
                    .varint("heartbeat", 70_000)
                    .varint("degree", 8)
                    .varint("peers, count", 1),
                "peer",
            ),
            Message::Accept(Accept {
                heartbeat: 70_000,
                degree: 8,
                peers: peers.clone(),
            }),
        ),
        (
            listed("message: Refuse", 16),
            Message::Refuse(Others { peers: peers.clone() }),
        ),
        (
            described(Vector::new("message: ForwardJoin").byte("kind", 17), "newcomer").byte("ttl", 6),
            Message::ForwardJoin(ForwardJoin {
                newcomer: descriptor,
                ttl: 6,
            }),
        ),
        (
            described(
                Vector::new("message: Shuffle")
                    .byte("kind", 18)
                    .byte("ttl", 6)
                    .varint("peers, count", 1),
                "peer",
            ),
            Message::Shuffle(Shuffle {
                ttl: 6,
                peers: peers.clone(),
            }),
        ),
        (
            Vector::new("message: Heartbeat")
                .byte("kind", 19)
                .varint("counter", 70_000)
                .varint("degree", 8)
                .varint("echo", 69_999)
                .varint("held_ms", 300),
            Message::Heartbeat(Heartbeat {
                counter: 70_000,
                degree: 8,
                echo: 69_999,
                held_ms: 300,
            }),
        ),
        (listed("message: Leave", 20), Message::Leave(Others { peers })),
        (
            Vector::new("message: Graft").byte("kind", 21).byte("tree", 9),
            Message::Graft(OnTree { tree: 9 }),
        ),
        (
            Vector::new("message: Prune").byte("kind", 22).byte("tree", 9),
            Message::Prune(OnTree { tree: 9 }),
        ),
        (introduction(), Message::Introduction(cast::introduction())),
        (
            relays(),
            Message::Relays(Relays {
                relays: vec![cast::description()],
            }),
        ),
        (
            Vector::new("message: NameQuestion")
                .byte("kind", 25)
                .varint("request", 70_000)
                .byte("question: Request", 1)
                .all("request", &identity::name_request()),
            Message::NameQuestion(NameAsked {
                request: 70_000,
                question: NameQuestion::Request(cast::name_request()),
            }),
        ),
        (
            Vector::new("message: lookup, NameQuestion")
                .byte("kind", 25)
                .varint("request", 70_001)
                .byte("question: Lookup", 0)
                .byte("slug", 1)
                .sized("name", "hello"),
            Message::NameQuestion(NameAsked {
                request: 70_001,
                question: NameQuestion::Lookup {
                    slug: true,
                    name: "hello".into(),
                },
            }),
        ),
        (
            Vector::new("message: NameAnswer")
                .byte("kind", 26)
                .varint("request", 70_000)
                .byte("answer: Held", 0)
                .all("receipt", &identity::name_receipt()),
            Message::NameAnswer(NameAnswered {
                request: 70_000,
                answer: NameAnswer::Held(cast::name_receipt()),
            }),
        ),
        (
            Vector::new("message: outdated, NameAnswer")
                .byte("kind", 26)
                .varint("request", 70_002)
                .byte("answer: Outdated", 11)
                .all("mark", &identity::name_mark()),
            Message::NameAnswer(NameAnswered {
                request: 70_002,
                answer: NameAnswer::Outdated(cast::name_mark()),
            }),
        ),
        (
            Vector::new("message: looks like, NameAnswer")
                .byte("kind", 26)
                .varint("request", 70_003)
                .byte("answer: LooksLike", 12)
                .sized("name", "paypal"),
            Message::NameAnswer(NameAnswered {
                request: 70_003,
                answer: NameAnswer::LooksLike {
                    name: "paypal".to_owned(),
                },
            }),
        ),
        (
            Vector::new("message: Sketch")
                .byte("kind", 27)
                .varint("round", 3)
                .varint("feeds", 2_000)
                .varint("first", 64)
                .varint("cells, bytes", 40)
                .fixed("cells[0]: values", 5u64.to_le_bytes())
                .fixed("cells[0]: weighted", 6u64.to_le_bytes())
                .fixed("cells[0]: check", 7u32.to_le_bytes())
                .fixed("cells[1]", [8; 20]),
            Message::Sketch(Sketch {
                round: 3,
                feeds: 2_000,
                first: 64,
                cells: [
                    &[5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0][..],
                    &[8; 20],
                ]
                .concat(),
            }),
        ),
        (
            Vector::new("message: Compared")
                .byte("kind", 28)
                .varint("round", 3)
                .byte("verdict: Differ", 2)
                .varint("asked, count", 1)
                .fixed("asked[0]", [9; 6])
                .varint("ahead, count", 1)
                .fixed("ahead[0]: feed", [10; 6])
                .varint("ahead[0]: next_seq", 300)
                .byte("end", 1),
            Message::Compared(Compared {
                round: 3,
                verdict: Verdict::Differ(Differences {
                    asked: vec![[9; 6]],
                    ahead: vec![([10; 6], 300)],
                    end: true,
                }),
            }),
        ),
        (
            Vector::new("message: ResumeFailed").byte("kind", 29),
            Message::ResumeFailed(ResumeFailed),
        ),
        (
            Vector::new("message: Presence")
                .byte("kind", 30)
                .varint("accounts, count", 2)
                .fixed("accounts[0]", [1; 8])
                .fixed("accounts[1]", [2; 8]),
            Message::Presence(Presence {
                accounts: vec![SaltedAccount([1; 8]), SaltedAccount([2; 8])],
            }),
        ),
        (
            Vector::new("message: Vouches")
                .byte("kind", 31)
                .fixed("fingerprint", [3; 16])
                .varint("vouches, count", 1)
                .all("vouches[0]", &vouch()),
            Message::Vouches(Vouches {
                fingerprint: [3; 16],
                vouches: vec![cast::vouch()],
            }),
        ),
        (
            Vector::new("message: JoinRequest")
                .byte("kind", 32)
                .fixed("secret", [4; 16]),
            Message::JoinRequest(JoinRequest { secret: [4; 16] }),
        ),
        (
            Vector::new("message: JoinAnswer")
                .byte("kind", 33)
                .byte("accepted", 1),
            Message::JoinAnswer(JoinAnswer { accepted: true }),
        ),
        (
            Vector::new("message: HeadCredit")
                .byte("kind", 34)
                .varint("heads", 2_048),
            Message::HeadCredit(HeadCredit { heads: 2_048 }),
        ),
        (
            Vector::new("message: RevocationQuestion")
                .byte("kind", 35)
                .varint("request", 8)
                .fixed("account", public(ADA))
                .fixed("device", public(PHONE)),
            Message::RevocationQuestion(RevocationQuestion {
                request: 8,
                account: cast::account(ADA),
                device: cast::device(PHONE),
            }),
        ),
        (
            Vector::new("message: RevocationAnswer")
                .byte("kind", 36)
                .varint("request", 8)
                .byte("revocation: nothing", 0),
            Message::RevocationAnswer(RevocationAnswer {
                request: 8,
                revocation: None,
            }),
        ),
        (
            Vector::new("message: QuotaExceeded")
                .byte("kind", 37)
                .byte("quota", 1)
                .varint("per_hour", 67_108_864)
                .varint("wait_s", 600),
            Message::QuotaExceeded(QuotaExceeded {
                quota: Quota::AccountBytes,
                per_hour: 64 << 20,
                wait_s: 600,
            }),
        ),
        (
            Vector::new("message: Withdrawal")
                .byte("kind", 38)
                .all("withdrawal", &withdrawal()),
            Message::Withdrawal(cast::withdrawal()),
        ),
        (
            Vector::new("message: Members")
                .byte("kind", 39)
                .varint("relays, count", 2)
                .fixed("relays[0]", [1; 32])
                .fixed("relays[1]", [2; 32]),
            Message::Members(MemberList {
                relays: vec![PeerId([1; 32]), PeerId([2; 32])],
            }),
        ),
        (
            Vector::new("message: WorkRequired")
                .byte("kind", 40)
                .byte("bits", 14)
                .fixed("challenge", [9; 16]),
            Message::WorkRequired(WorkRequired {
                bits: 14,
                challenge: [9; 16],
            }),
        ),
        (
            Vector::new("message: WorkDone")
                .byte("kind", 41)
                .byte("bits", 14)
                .fixed("challenge", [9; 16])
                .varint("nonce", work()),
            Message::WorkDone(WorkDone {
                bits: 14,
                challenge: [9; 16],
                nonce: work(),
            }),
        ),
    ]
}

fn withdrawal() -> Vector {
    let fields = Vector::new("withdrawal")
        .fixed("relay", public(RELAY))
        .fixed("device", public(LAPTOP))
        .varint("from", 0)
        .varint("at", BEGIN.0 + 6_000)
        .byte("reason, quota", 2);
    let under = fields.bytes();
    fields.fixed("signature", sign(RELAY, "starling withdrawal v1", &under))
}

fn vouch() -> Vector {
    let fields = Vector::new("vouch")
        .fixed("by", public(RELAY))
        .fixed("relay", [7; 32])
        .byte("stance, invites", 0)
        .varint("at", BEGIN.0);
    let under = fields.bytes();
    fields.fixed("signature", sign(RELAY, "starling vouch v1", &under))
}

pub(crate) fn all() -> Vec<Vector> {
    let raw = protocol::codec::encode(cast::feed()[2].entry());
    let entries = Entries::encode_raw(70_000, &[&raw]);
    let mut vectors = Vec::new();
    for (by_hand, message) in pairs() {
        if matches!(message, Message::Entries(_)) {
            assert_eq!(entries, by_hand.bytes(), "stored bytes are sent as they are");
        }
        vectors.push(same(by_hand, &message));
    }
    vectors
}
