use protocol::messages::directory::{Description, role as relay_role};
use protocol::messages::introduction::Introduction;
use protocol::messages::membership::{JoinAnswer, JoinRequest, MemberList, Stance, Vouch, Vouches};
use protocol::messages::overlay::{
    Accept, Descriptor, ForwardJoin, Heartbeat, Others, Request, Shuffle, Wish,
};
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::messages::{
    Announced, Announcements, Compared, Credit, Decoded, Digest, Entries, ForkProof, HeadCredit, Heads,
    Interests, Message, NameAnswered, NameAsked, OnTree, Ping, Presence, Push, Quota, QuotaExceeded,
    RangeEnd, Relays, ResumeFailed, RevocationAnswer, RevocationQuestion, SaltedAccount, Sketch, Verdict,
    Want, WorkDone, WorkRequired,
};
use protocol::names::{NameAnswer, NameQuestion, RegistryId};
use protocol::{EntryRef, VerifiedEntry};

use super::requests;
use super::testing::Peer;
use crate::api::{Command, Query};
use crate::ctx::LoadOwner;
use crate::io::{Config, LinkId, RequestId};
use crate::kinds::testing::{Author, registry};
use crate::log::records::meta;
use crate::store::{Load, LoadId, Rows, Table};
use crate::testing::{Remote, head};

type New = fn() -> Peer;

fn roles() -> [(&'static str, New); 2] {
    [("person", Peer::person), ("relay", Peer::relay)]
}

/// The entries of Bob: three are held.
fn bob() -> (Author, Vec<VerifiedEntry>) {
    let mut bob = Author::new(2);
    let mut entries = vec![bob.begin()];
    entries.extend((1..4).map(|n| bob.post(&n.to_string())));
    (bob, entries)
}

/// A peer that holds Bob's first three entries, wants more, and is linked with a relay that it knows.
fn world(new: New) -> (Peer, LinkId) {
    let mut peer = new();
    let (bob, entries) = bob();
    let account = bob.account();
    peer.command(Command::Follow { account });
    peer.hold(&entries[..3]);
    let link = peer.link_known(&Remote::relay(20));
    peer.parts.sync.spread.on_up(link);
    (peer, link)
}

/// What a message of the neighbour does; messages of [`super::Net`] do not get here.
fn expected(message: &Message) -> [&'static str; 2] {
    match message {
        Message::Interests(_) => ["sent:Digest sync", "sent:Digest sync"],
        Message::Digest(_) => [
            "fact:Compared fact:Helped sent:Want sync",
            "fact:Compared fact:Helped fact:PeerHas sent:Want sync",
        ],
        Message::Want(_) => ["output:Load sync", "output:Load sync"],
        Message::Entries(_) => [
            "fact:Appended fact:Helped log sync",
            "fact:Appended fact:Helped fact:PeerHas log sync",
        ],
        Message::RangeEnd(_) => ["sync", "sync"],
        Message::Push(_) => [
            "fact:Appended log net sync",
            "fact:Appended fact:PeerHas log net sync",
        ],
        Message::Announce(_) => ["net sync", "fact:PeerHas net sync"],
        Message::Have(_) => ["log", ""],
        Message::Receipt(_) => ["log role", "role"],
        Message::Withdrawal(_) => ["log", "role"],
        Message::Credit(_) | Message::HeadCredit(_) => ["sync", "sync"],
        Message::ForkProof(_) => [FORKED_BY_PROOF, FORKED_BY_PROOF],
        Message::Graft(_) | Message::Prune(_) => ["sync", "sync"],
        Message::Relays(_) => ["directory output:Log", "directory fact:RelayFound output:Log"],
        Message::NameQuestion(_) => ["sent:NameAnswer", "role sent:NameAnswer"],
        Message::NameAnswer(_) => ["lookups result:Name", "lookups result:Name"],
        Message::Sketch(_) => ["fact:Helped", "fact:Compared fact:Helped sent:Compared sync"],
        Message::Compared(_) => ["fact:Helped", "fact:Helped"],
        Message::ResumeFailed(_) => ["sent:Interests sync", ""],
        Message::Presence(_) => ["", "role"],
        Message::Vouches(_) => ["", ""],
        Message::Members(_) => ["directory", ""],
        Message::JoinRequest(_) => ["", "output:Invitation role"],
        Message::JoinAnswer(_) | Message::RevocationAnswer(_) => ["", ""],
        Message::QuotaExceeded(_) => ["role", ""],
        Message::WorkRequired(_) => ["role", ""],
        Message::WorkDone(_) => ["", ""],
        Message::RevocationQuestion(_) => ["", "sent:RevocationAnswer"],
        Message::Ping(_)
        | Message::Pong(_)
        | Message::Request(_)
        | Message::Accept(_)
        | Message::Refuse(_)
        | Message::ForwardJoin(_)
        | Message::Shuffle(_)
        | Message::Heartbeat(_)
        | Message::Leave(_)
        | Message::Introduction(_) => ["", ""],
    }
}

const FORKED: &str = "fact:Forked fact:Voided log output:Event output:Load output:Log";
const FORKED_BY_PROOF: &str = "fact:Forked fact:Voided log output:Event output:Load output:Log sync";

#[test]
fn every_message_reaches_the_part_that_it_concerns() {
    for (at, (role, new)) in roles().into_iter().enumerate() {
        let (peer, link) = world(new);
        let messages = messages(&peer, link);
        let kinds = |messages: &[Message]| messages.iter().map(|message| message.encode()[0]).collect();
        let known = |kind: &u8| !matches!(Message::decode(&[*kind]), Ok(Decoded::Unknown(_)));
        let all: Vec<u8> = (0..=u8::MAX).filter(known).collect();
        let sampled: Vec<u8> = kinds(&messages);
        assert_eq!(sampled, all, "one message of each kind");
        for message in messages {
            let (mut peer, link) = world(new);
            prepare(&mut peer, link, &message);
            let (text, expected) = (format!("{role}: {message:?}"), expected(&message)[at]);
            let effects = peer.effects(link, |peer| peer.receive(link, message));
            assert_eq!(effects, expected, "{text}");
        }
    }
}

/// The peer awaits the message.
fn prepare(peer: &mut Peer, link: LinkId, message: &Message) {
    let (bob, bob_entries) = bob();
    match message {
        Message::Entries(_) | Message::RangeEnd(_) => {
            // A want of the entry is under way.
            let digest = Digest {
                heads: vec![head(&bob_entries[3])],
                end: true,
            };
            peer.receive(link, Message::Digest(digest));
        }
        Message::NameAnswer(_) => {
            assert_eq!(peer.query(Query::Name { name: "ada".into() }), None);
        }
        Message::Presence(_) => {
            let description = Description {
                roles: relay_role::INDEX,
                ..Description::default()
            };
            peer.parts.directory.describe(&mut peer.ctx, description);
        }
        // A head was sent.
        Message::HeadCredit(_) => {
            let session = peer.parts.net.session(link).expect("a session");
            let interests = Interests {
                add: vec![SaltedAccount::new(&session.salt_received, &bob.account())],
                ..Interests::default()
            };
            peer.receive(link, Message::Interests(interests));
        }
        // Credit was used up.
        Message::Credit(_) => {
            let request = Want {
                request: 1,
                device: bob.device(),
                from: 0,
                to: 3,
            };
            peer.receive(link, Message::Want(request));
            for (owner, load) in peer.loads() {
                let rows = peer.store.load(&load);
                peer.on_rows(owner, load.id, Some(rows));
            }
        }
        _ => {}
    }
}

/// What a command does at a device with an account and at one without. A relay takes none but those for relays.
fn done(command: &Command) -> [&'static str; 2] {
    const WRITTEN: &str = "done:Ok fact:Appended log";
    match command {
        Command::CreateAccount { .. } => ["refused:HasAccount", CREATED],
        Command::Restore { .. } => ["refused:PhraseWord", "refused:PhraseWord"],
        Command::BeginAsNewDevice { .. } => ["refused:HasAccount", "refused:NoAccount"],
        Command::ConfirmPhrase => ["done:Ok role", "refused:NoAccount"],
        Command::Publish { .. } => ["done:Published fact:Appended log role", "refused:NoAccount"],
        Command::SetSlug { .. } => ["output:Load role", "refused:NoAccount"],
        Command::React { .. }
        | Command::Follow { .. }
        | Command::Unfollow { .. }
        | Command::EditProfile { .. } => [WRITTEN, "refused:NoAccount"],
        Command::ClaimName { .. } => ["done:Ok role", "refused:NoAccount"],
        // There is no name.
        Command::ReleaseName | Command::OfferName { .. } => ["refused:NotFound", "refused:NoAccount"],
        Command::DropClaim => ["done:Ok", "done:Ok"],
        Command::RevokeDevice { .. } => ["refused:PhraseWord", "refused:NoAccount"],
        Command::SetRelaysOnly { .. } => ["done:Ok net", "done:Ok net"],
        Command::RebuildViews => [REBUILT, REBUILT],
        Command::CheckReplicas { .. }
        | Command::InviteRelay { .. }
        | Command::ExpelRelay { .. }
        // It is a member.
        | Command::ForgetRelay { .. } => ["refused:NotFound", "refused:NotFound"],
    }
}

const CREATED: &str = "done:Account fact:Appended log role";
const REBUILT: &str = "done:Ok fact:RebuildViews";

/// What the peer does about a command.
fn command(peer: &mut Peer, command: Command) -> String {
    peer.effects(LinkId(0), |peer| {
        let Peer { ctx, role, parts, .. } = peer;
        requests::on_command(role, ctx, parts, RequestId(5), command);
    })
}

#[test]
fn every_command_reaches_the_part_that_it_concerns() {
    let devices: [New; 2] = [|| world(Peer::person).0, || Peer::new(Config::browser())];
    for (at, new) in devices.into_iter().enumerate() {
        for it in commands(EntryRef::default()) {
            let mut peer = new();
            let own = EntryRef {
                account: peer.ctx.me().unwrap_or_default(),
                ..EntryRef::default()
            };
            let it = match it {
                Command::SetSlug { slug, .. } => Command::SetSlug { post: own, slug },
                it => it,
            };
            let (text, expected) = (format!("{it:?}"), done(&it)[at]);
            assert_eq!(command(&mut peer, it), expected, "{text}");
        }
    }
}

#[test]
fn a_relay_takes_no_commands_but_those_for_relays() {
    for it in commands(EntryRef::default()) {
        let mut peer = Peer::relay();
        let expected = match &it {
            Command::RebuildViews => REBUILT,
            // No replica seems to lack entries.
            Command::CheckReplicas { .. } => "done:Ok",
            Command::InviteRelay { .. } | Command::ExpelRelay { .. } => "done:Ok role",
            _ => "refused:NoAccount",
        };
        let text = format!("{it:?}");
        assert_eq!(command(&mut peer, it), expected, "{text}");
    }
}

/// One command of each kind.
fn commands(post: EntryRef) -> Vec<Command> {
    let account = Author::new(3).account();
    let words = "a b c".to_owned();
    vec![
        Command::CreateAccount {
            name: "Eve".into(),
            device_name: "phone".into(),
        },
        Command::Restore {
            phrase: words.clone(),
            device_name: "phone".into(),
        },
        Command::BeginAsNewDevice {
            phrase: None,
            device_name: "phone".into(),
        },
        Command::ConfirmPhrase,
        Command::Publish {
            token: [1; 16],
            text: "hello".into(),
            reply_to: None,
            slug: None,
        },
        Command::SetSlug {
            post,
            slug: Some("slug".into()),
        },
        Command::React {
            post,
            emoji: "\u{1f426}".into(),
        },
        Command::Follow { account },
        Command::Unfollow {
            account: Author::new(2).account(),
        },
        Command::EditProfile {
            name: "Eve".into(),
            bio: String::new(),
        },
        Command::ClaimName { name: "eve".into() },
        Command::ReleaseName,
        Command::OfferName { to: Some(account) },
        Command::DropClaim,
        Command::RevokeDevice {
            phrase: words,
            device: Author::new(3).device(),
        },
        Command::SetRelaysOnly { on: true },
        Command::RebuildViews,
        Command::CheckReplicas { account },
        Command::InviteRelay {
            relay: Remote::relay(20).id(),
        },
        Command::ExpelRelay {
            relay: Remote::relay(20).id(),
        },
        Command::ForgetRelay {
            relay: Remote::relay(20).id(),
        },
    ]
}

/// One message of each kind.
fn messages(peer: &Peer, link: LinkId) -> Vec<Message> {
    let (bob, entries) = bob();
    let session = peer.parts.net.session(link).expect("a session");
    let mut other = Author::new(2);
    other.begin();
    let (one, other) = (
        entries[1].entry().signed.clone(),
        other.post("other").entry().signed.clone(),
    );
    let remote = Remote::relay(20);
    let description = Description {
        roles: relay_role::WORKER,
        capacity: 100,
        heartbeat: 5,
        ..Description::default()
    };
    let descriptor = Descriptor {
        peer: remote.id(),
        relay: true,
        heartbeat: 1,
        age_s: 0,
    };
    let own = match peer.ctx.device() {
        Some(_) => peer.own_head(),
        None => head(&entries[2]),
    };
    vec![
        Message::Interests(Interests {
            reset: true,
            add: vec![SaltedAccount::new(&session.salt_received, &bob.account())],
            ..Interests::default()
        }),
        Message::Digest(Digest {
            heads: vec![head(&entries[3])],
            end: true,
        }),
        Message::Want(Want {
            request: 1,
            device: bob.device(),
            from: 0,
            to: 2,
        }),
        Message::Entries(Entries {
            request: 1,
            entries: vec![entries[3].entry().clone()],
        }),
        Message::RangeEnd(RangeEnd { request: 1 }),
        Message::Push(Push {
            hops: 1,
            tree: 0,
            entry: entries[3].entry().clone(),
        }),
        Message::Announce(Announcements {
            items: vec![Announced {
                head: head(&entries[3]),
                tree: 0,
                hops: 1,
                waited_ms: 0,
            }],
        }),
        Message::Have(Heads { heads: vec![own] }),
        Message::Receipt(Receipt::issue(
            &remote.key,
            own.device,
            own.next_seq,
            own.head,
            peer.ctx.now.wall,
        )),
        Message::Credit(Credit { bytes: 1_000 }),
        Message::Ping(Ping { token: 1 }),
        Message::Pong(Ping { token: 1 }),
        Message::ForkProof(ForkProof { one, other }),
        Message::Request(Request::alone(Wish::Fill)),
        Message::Accept(Accept {
            heartbeat: 1,
            degree: 1,
            peers: vec![],
        }),
        Message::Refuse(Others::default()),
        Message::ForwardJoin(ForwardJoin {
            newcomer: descriptor,
            ttl: 1,
        }),
        Message::Shuffle(Shuffle {
            ttl: 1,
            peers: vec![],
        }),
        Message::Heartbeat(Heartbeat {
            counter: 1,
            degree: 1,
            echo: 0,
            held_ms: 0,
        }),
        Message::Leave(Others::default()),
        Message::Graft(OnTree { tree: 0 }),
        Message::Prune(OnTree { tree: 0 }),
        Message::Introduction(Introduction::issue(
            &remote.key,
            remote.id(),
            peer.ctx.now.wall,
            vec![],
            1,
        )),
        Message::Relays(Relays {
            relays: vec![description.sign(&remote.key)],
        }),
        Message::NameQuestion(NameAsked {
            request: 1,
            question: NameQuestion::Lookup {
                slug: false,
                name: "ada".into(),
            },
        }),
        Message::NameAnswer(NameAnswered {
            request: 1,
            answer: NameAnswer::Free,
        }),
        Message::Sketch(Sketch {
            round: 1,
            feeds: 0,
            first: 0,
            cells: vec![],
        }),
        Message::Compared(Compared {
            round: 1,
            verdict: Verdict::Plain,
        }),
        Message::ResumeFailed(ResumeFailed),
        Message::Presence(Presence {
            accounts: vec![SaltedAccount::new(&session.salt_received, &bob.account())],
        }),
        Message::Vouches(Vouches {
            fingerprint: [0; 16],
            vouches: vec![Vouch::issue(
                &remote.key,
                Remote::relay(21).id(),
                Stance::Invites,
                peer.ctx.now.wall,
            )],
        }),
        Message::JoinRequest(JoinRequest { secret: [1; 16] }),
        Message::JoinAnswer(JoinAnswer { accepted: true }),
        Message::HeadCredit(HeadCredit { heads: 1_000 }),
        Message::RevocationQuestion(RevocationQuestion {
            request: 1,
            account: bob.account(),
            device: bob.device(),
        }),
        Message::RevocationAnswer(RevocationAnswer {
            request: 1,
            revocation: None,
        }),
        Message::QuotaExceeded(QuotaExceeded {
            quota: Quota::AccountBytes,
            per_hour: 1,
            wait_s: 60,
        }),
        Message::Withdrawal(Withdrawal::issue(
            &remote.key,
            own.device,
            0,
            peer.ctx.now.wall,
            Reason::MOVED,
        )),
        Message::Members(MemberList {
            relays: vec![Remote::relay(20).id()],
        }),
        Message::WorkRequired(WorkRequired {
            bits: 8,
            challenge: [1; 16],
        }),
        Message::WorkDone(WorkDone {
            bits: 8,
            challenge: [1; 16],
            nonce: 1,
        }),
    ]
}

/// A peer for which rows of its own load are read, and the load.
fn reading(owner: LoadOwner) -> (Peer, LinkId, Load) {
    let new = match owner {
        LoadOwner::Drop => Peer::relay,
        _ => Peer::person,
    };
    let (mut peer, link) = world(new);
    let (bob, entries) = bob();
    match owner {
        LoadOwner::Serve => {
            let (device, request) = (bob.device(), 1);
            let (from, to) = (0, 2);
            let want = Want {
                request,
                device,
                from,
                to,
            };
            peer.receive(link, Message::Want(want));
        }
        LoadOwner::ForkCheck => {
            let mut other = Author::new(2);
            other.begin();
            let entry = other.post("another").entry().clone();
            let (hops, tree) = (1, 0);
            peer.receive(link, Message::Push(Push { hops, tree, entry }));
        }
        LoadOwner::Reindex => peer.parts.reindex(&mut peer.ctx, bob.account()),
        LoadOwner::Command => {
            let post = EntryRef {
                account: peer.ctx.me().expect("an account"),
                id: entries[1].id(),
            };
            let slug = Some("slug".to_owned());
            peer.command(Command::SetSlug { post, slug });
        }
        LoadOwner::Cut => {
            let Peer { ctx, role, parts, .. } = &mut peer;
            role.on_own_branch(ctx, parts);
        }
        LoadOwner::Drop => {
            let Peer { ctx, role, parts, .. } = &mut peer;
            let key = [meta::DROP, &[0; 4]].concat();
            role.restore_row(ctx, parts, Table::Meta, &key, &[]);
            role.on_timer(ctx, parts);
        }
        LoadOwner::Boot | LoadOwner::View => panic!("{owner:?} is routed elsewhere"),
    }
    let mut loads = peer.loads();
    loads.retain(|(of, _)| *of == owner);
    assert_eq!(loads.len(), 1, "{owner:?}");
    (peer, link, loads.remove(0).1)
}

/// What the rows of a load do, and that it failed.
fn read(owner: LoadOwner) -> [&'static str; 2] {
    match owner {
        LoadOwner::Serve => ["sent:Entries sent:RangeEnd sync", "sent:RangeEnd sync"],
        LoadOwner::ForkCheck => [FORKED, "log"],
        LoadOwner::Reindex => ["fact:Reindexed log views", "views"],
        // The place of the post is known: its entry is read.
        LoadOwner::Command => ["output:Load role", "refused:Store role"],
        LoadOwner::Cut => ["fact:Voided log role", "role"],
        LoadOwner::Drop => ["role", "role"],
        LoadOwner::Boot | LoadOwner::View => ["", ""],
    }
}

#[test]
fn the_rows_of_a_load_reach_the_part_that_waits_for_them() {
    let owners = [
        LoadOwner::Serve,
        LoadOwner::ForkCheck,
        LoadOwner::Reindex,
        LoadOwner::Command,
        LoadOwner::Cut,
        LoadOwner::Drop,
    ];
    for owner in owners {
        for (failed, expected) in [false, true].into_iter().zip(read(owner)) {
            let (mut peer, link, load) = reading(owner);
            let rows = (!failed).then(|| peer.store.load(&load));
            let effects = peer.effects(link, |peer| peer.on_rows(owner, load.id, rows));
            assert_eq!(effects, expected, "{owner:?}, failed: {failed}");
        }
    }
}

#[test]
fn rows_that_nothing_waits_for_do_nothing() {
    let of_both = [
        LoadOwner::Boot,
        LoadOwner::View,
        LoadOwner::Serve,
        LoadOwner::Command,
    ];
    for (role, new) in roles() {
        for owner in of_both {
            for rows in [Some(Rows::new()), None] {
                let (mut peer, link) = world(new);
                let effects = peer.effects(link, |peer| peer.on_rows(owner, LoadId(1_000), rows));
                assert_eq!(effects, "", "{role}: {owner:?}");
            }
        }
    }
}

#[test]
fn the_answer_to_a_claim_goes_to_the_claim() {
    let (mut peer, link) = world(Peer::person);
    let id = RegistryId(registry(0).public());
    peer.parts.kinds.learn_registry(&mut peer.ctx, id, false);
    let name = "eve".to_owned();
    peer.command(Command::ClaimName { name });
    let (request, answer) = (peer.claim_request(link), NameAnswer::Taken);
    let answer = Message::NameAnswer(NameAnswered { request, answer });
    assert_eq!(peer.effects(link, |peer| peer.receive(link, answer)), "role");
}

#[test]
fn only_a_relay_takes_in_a_backup() {
    let entries = |peer: &mut Peer| {
        let entries = vec![bob().1[3].entry().clone()];
        let Peer { ctx, role, parts, .. } = peer;
        role.restore_entries(ctx, parts, entries);
    };
    for ((_, new), expected) in roles().into_iter().zip(["", "fact:Appended log"]) {
        let (mut peer, link) = world(new);
        assert_eq!(peer.effects(link, entries), expected);
    }
}

#[test]
fn only_a_person_wants_whom_it_looks_at() {
    let query = |peer: &mut Peer| {
        let account = Author::new(9).account();
        peer.query(Query::Profile { account });
    };
    for ((_, new), expected) in roles().into_iter().zip(["role sent:Interests", ""]) {
        let (mut peer, link) = world(new);
        assert_eq!(peer.effects(link, query), expected);
    }
}
