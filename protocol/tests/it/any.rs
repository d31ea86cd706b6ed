//! Strategies: any value of each type within its limits.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::kinds::{Certificate, Revocation};
use protocol::limits;
use protocol::link::handshake::{Binding, Hello};
use protocol::messages::directory::{Description, Location, SignedDescription};
use protocol::messages::introduction::Introduction;
use protocol::messages::membership::{JoinAnswer, JoinRequest, MemberList, Stance, Vouch, Vouches};
use protocol::messages::overlay::{
    Accept, Descriptor, ForwardJoin, Heartbeat, Others, Request, Shuffle, Wish,
};
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::messages::{
    Announced, Announcements, Compared, Credit, Differences, Digest, Entries, FeedHead, ForkProof,
    HeadCredit, Heads, Interests, Message, NameAnswered, NameAsked, OnTree, Ping, Presence, Push, Quota,
    QuotaExceeded, RangeEnd, Relays, ResumeFailed, RevocationAnswer, RevocationQuestion, SaltedAccount,
    Sketch, Verdict, Want, WorkDone, WorkRequired,
};
use protocol::names::{
    NameAction, NameAnswer, NameFault, NameMark, NameQuestion, NameReceipt, NameRequest, RegistryId,
};
use protocol::signal::{CloseReason, Payload, RoomId, RoomMember, ToPeer, ToServer};
use protocol::{
    AccountId, DeviceId, Entry, EntryId, Header, Kind, PeerId, Signature, SignedHeader, Timestamp,
};

fn bytes32() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

prop_compose! {
    fn signature()(r in bytes32(), s in bytes32()) -> Signature {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&r);
        bytes[32..].copy_from_slice(&s);
        Signature::from_bytes(&bytes)
    }
}

/// Integers of every encoded length.
fn integer() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(value, shift)| value >> shift)
}

fn seq() -> impl Strategy<Value = u64> {
    integer().prop_map(|value| value & limits::SEQ_MAX)
}

prop_compose! {
    pub(crate) fn certificate()(
        account in bytes32(), device in bytes32(), name in ".{0,50}", since in integer(), signature in signature(),
    ) -> Certificate {
        Certificate { account: AccountId(account), device: DeviceId(device), name, since: Timestamp(since), signature }
    }
}

prop_compose! {
    fn location()(latitude in -9_000..=9_000_i16, longitude in -18_000..=18_000_i16) -> Location {
        Location { latitude, longitude }
    }
}

prop_compose! {
    fn description()(
        (relay, heartbeat, revision) in (bytes32(), integer(), integer()),
        (url, zone) in ("[a-z:/.]{0,200}", "[a-z]{0,32}"),
        (roles, load) in any::<(u8, u16)>(), registry in proptest::option::of(bytes32().prop_map(RegistryId)),
        (capacity, response_us, errors_ppm) in any::<(u32, u32, u32)>(),
        location in proptest::option::of(location()),
        signature in signature(),
    ) -> SignedDescription {
        let relay = PeerId(relay);
        let description = Description {
            relay, heartbeat, url, roles, zone, location, capacity, revision, load, response_us, errors_ppm,
            registry,
        };
        SignedDescription { description, signature }
    }
}

prop_compose! {
    pub(crate) fn revocation()(
        account in bytes32(), device in bytes32(), next_seq in integer(), head in bytes32(), at in integer(),
        signature in signature(),
    ) -> Revocation {
        Revocation {
            account: AccountId(account),
            device: DeviceId(device),
            next_seq,
            head: EntryId(head),
            at: Timestamp(at),
            signature,
        }
    }
}

prop_compose! {
    fn receipt()(
        relay in bytes32(), device in bytes32(), seq in seq(), head in bytes32(), at in integer(), signature in signature(),
    ) -> Receipt {
        Receipt {
            relay: PeerId(relay),
            device: DeviceId(device),
            next_seq: seq + 1,
            head: EntryId(head),
            at: Timestamp(at),
            signature,
        }
    }
}

prop_compose! {
    fn withdrawal()(
        relay in bytes32(), device in bytes32(), from in seq(), at in integer(), reason in any::<u8>(), signature in signature(),
    ) -> Withdrawal {
        Withdrawal {
            relay: PeerId(relay),
            device: DeviceId(device),
            from,
            at: Timestamp(at),
            reason: Reason(reason),
            signature,
        }
    }
}

prop_compose! {
    fn vouch()(
        by in bytes32(), relay in bytes32(), stance in 0..3_u8, at in integer(), signature in signature(),
    ) -> Vouch {
        let stance = [Stance::Invites, Stance::Joins, Stance::Expels][usize::from(stance)];
        Vouch { by: PeerId(by), relay: PeerId(relay), stance, at: Timestamp(at), signature }
    }
}

prop_compose! {
    fn header()(
        version in any::<u8>(), device in bytes32(), account in bytes32(), seq in seq(), prev in bytes32(),
        lamport in integer(), timestamp in integer(), kind in any::<u16>(), body_hash in bytes32(), body_len in any::<u32>(),
    ) -> Header {
        Header {
            version,
            device: DeviceId(device),
            account: AccountId(account),
            seq,
            prev: EntryId(prev),
            lamport,
            timestamp: Timestamp(timestamp),
            kind: Kind(kind),
            body_hash,
            body_len,
        }
    }
}

prop_compose! {
    fn signed()(header in header(), signature in signature()) -> SignedHeader {
        SignedHeader { header, signature }
    }
}

prop_compose! {
    pub(crate) fn entry()(signed in signed(), body in vec(any::<u8>(), 0..300)) -> Entry {
        Entry { signed, body }
    }
}

prop_compose! {
    fn head()(account in bytes32(), device in bytes32(), seq in seq(), head in bytes32()) -> FeedHead {
        FeedHead { account: AccountId(account), device: DeviceId(device), next_seq: seq + 1, head: EntryId(head) }
    }
}

prop_compose! {
    pub(crate) fn hello()(
        magic in any::<[u8; 4]>(), versions in any::<(u16, u16)>(), features in integer(), peer in bytes32(),
        nonce in bytes32(), certificate in proptest::option::of(certificate()), wall in integer(),
    ) -> Hello {
        Hello {
            magic,
            version_min: versions.0,
            version_max: versions.1,
            features,
            peer: PeerId(peer),
            nonce,
            certificate,
            wall: Timestamp(wall),
        }
    }
}

pub(crate) fn binding() -> impl Strategy<Value = Binding> {
    prop_oneof![
        any::<([u8; 32], [u8; 32])>().prop_map(|(offerer, answerer)| Binding::Dtls { offerer, answerer }),
        "[a-z0-9.:-]{0,300}".prop_map(|host| Binding::WebSocket { host }),
        Just(Binding::Memory),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let ahead = (any::<[u8; 6]>(), 1..=limits::SEQ_MAX + 1);
    prop_oneof![
        any::<u32>().prop_map(Verdict::More),
        Just(Verdict::Plain),
        (vec(any::<[u8; 6]>(), 0..20), vec(ahead, 0..20), any::<bool>())
            .prop_map(|(asked, ahead, end)| Verdict::Differ(Differences { asked, ahead, end })),
    ]
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let salted = || vec(any::<[u8; 8]>().prop_map(SaltedAccount), 0..20);
    let heads = || vec(head(), 0..20);
    prop_oneof![
        (
            any::<([bool; 5], Option<[u8; 16]>)>(),
            salted(),
            salted(),
            vec(bytes32().prop_map(AccountId), 0..20)
        )
            .prop_map(|((flags, same), add, remove, named)| {
                let [reset, everything, assigned, more, sketch] = flags;
                Message::Interests(Interests {
                    reset,
                    everything,
                    assigned,
                    add,
                    remove,
                    named,
                    more,
                    sketch,
                    same,
                })
            }),
        (any::<(u32, u32, u32)>(), vec(any::<[u8; 20]>(), 0..20)).prop_map(
            |((round, feeds, first), cells)| {
                Message::Sketch(Sketch {
                    round,
                    feeds,
                    first,
                    cells: cells.concat(),
                })
            }
        ),
        (any::<u32>(), verdict()).prop_map(|(round, verdict)| Message::Compared(Compared { round, verdict })),
        Just(Message::ResumeFailed(ResumeFailed)),
        salted().prop_map(|accounts| Message::Presence(Presence { accounts })),
        (any::<[u8; 16]>(), vec(vouch(), 0..5))
            .prop_map(|(fingerprint, vouches)| Message::Vouches(Vouches { fingerprint, vouches })),
        vec(bytes32(), 0..5).prop_map(|relays| Message::Members(MemberList {
            relays: relays.into_iter().map(PeerId).collect(),
        })),
        any::<[u8; 16]>().prop_map(|secret| Message::JoinRequest(JoinRequest { secret })),
        any::<bool>().prop_map(|accepted| Message::JoinAnswer(JoinAnswer { accepted })),
        (heads(), any::<bool>()).prop_map(|(heads, end)| Message::Digest(Digest { heads, end })),
        (any::<u32>(), bytes32(), integer(), 1..u64::from(u32::MAX)).prop_map(
            |(request, device, from, len)| {
                let from = from >> 1;
                Message::Want(Want {
                    request,
                    device: DeviceId(device),
                    from,
                    to: from + len,
                })
            }
        ),
        (any::<u32>(), vec(entry(), 1..5))
            .prop_map(|(request, entries)| Message::Entries(Entries { request, entries })),
        any::<u32>().prop_map(|request| Message::RangeEnd(RangeEnd { request })),
        (1..=limits::HOPS_MAX, any::<u8>(), entry()).prop_map(|(hops, tree, entry)| Message::Push(Push {
            hops,
            tree,
            entry
        })),
        vec((head(), any::<(u8, u8, u16)>()), 0..20).prop_map(|items| {
            let announced = |(head, (tree, hops, waited_ms))| Announced {
                head,
                tree,
                hops,
                waited_ms,
            };
            Message::Announce(Announcements {
                items: items.into_iter().map(announced).collect(),
            })
        }),
        heads().prop_map(|heads| Message::Have(Heads { heads })),
        receipt().prop_map(Message::Receipt),
        withdrawal().prop_map(Message::Withdrawal),
        any::<u32>().prop_map(|bytes| Message::Credit(Credit { bytes })),
        any::<u32>().prop_map(|heads| Message::HeadCredit(HeadCredit { heads })),
        (0..4usize, integer(), any::<u32>()).prop_map(|(quota, per_hour, wait_s)| {
            let all = [
                Quota::AccountEntries,
                Quota::AccountBytes,
                Quota::AddressAccounts,
                Quota::AddressBytes,
            ];
            Message::QuotaExceeded(QuotaExceeded {
                quota: all[quota],
                per_hour,
                wait_s,
            })
        }),
        (0..=64u8, any::<[u8; 16]>(), integer()).prop_map(|(bits, challenge, nonce)| {
            Message::WorkDone(WorkDone {
                bits,
                challenge,
                nonce,
            })
        }),
        (0..=64u8, any::<[u8; 16]>())
            .prop_map(|(bits, challenge)| Message::WorkRequired(WorkRequired { bits, challenge })),
        (any::<u32>(), bytes32(), bytes32()).prop_map(|(request, account, device)| {
            Message::RevocationQuestion(RevocationQuestion {
                request,
                account: AccountId(account),
                device: DeviceId(device),
            })
        }),
        (any::<u32>(), proptest::option::of(revocation())).prop_map(|(request, revocation)| {
            Message::RevocationAnswer(RevocationAnswer { request, revocation })
        }),
        integer().prop_map(|token| Message::Ping(Ping { token })),
        integer().prop_map(|token| Message::Pong(Ping { token })),
        (signed(), signed()).prop_map(|(one, other)| Message::ForkProof(ForkProof { one, other })),
        overlay(),
        (
            (bytes32(), bytes32(), integer()),
            vec(any::<u8>(), 0..300),
            signature(),
            0..=limits::INTRODUCTION_HOPS_MAX
        )
            .prop_map(|((from, to, at), payload, signature, hops)| {
                Message::Introduction(Introduction {
                    from: PeerId(from),
                    to: PeerId(to),
                    at: Timestamp(at),
                    payload,
                    signature,
                    hops,
                })
            }),
        vec(description(), 1..4).prop_map(|relays| Message::Relays(Relays { relays })),
        (any::<u32>(), name_question())
            .prop_map(|(request, question)| Message::NameQuestion(NameAsked { request, question })),
        (any::<u32>(), name_answer())
            .prop_map(|(request, answer)| Message::NameAnswer(NameAnswered { request, answer })),
        any::<u8>().prop_map(|tree| Message::Graft(OnTree { tree })),
        any::<u8>().prop_map(|tree| Message::Prune(OnTree { tree })),
    ]
}

fn unique_name() -> impl Strategy<Value = String> {
    "[a-zß-ö]{0,30}"
}

fn name_question() -> impl Strategy<Value = NameQuestion> {
    let action = prop_oneof![
        Just(NameAction::Claim),
        Just(NameAction::Release),
        proptest::option::of(bytes32().prop_map(AccountId)).prop_map(|to| NameAction::Offer { to }),
    ];
    let parts = (
        certificate(),
        (unique_name(), proptest::option::of(header())),
        action,
        any::<[u8; 16]>(),
        (integer(), integer()),
        signature(),
    );
    prop_oneof![
        (any::<bool>(), unique_name()).prop_map(|(slug, name)| NameQuestion::Lookup { slug, name }),
        parts.prop_map(
            |(certificate, (name, post), action, nonce, (known, work), signature)| {
                NameQuestion::Request(NameRequest {
                    certificate,
                    name,
                    post,
                    action,
                    nonce,
                    known,
                    signature,
                    work,
                })
            }
        ),
    ]
}

prop_compose! {
    pub(crate) fn name_receipt()(
        registry in bytes32(), name in unique_name(), account in bytes32(), revision in integer(), at in integer(),
        post in proptest::option::of(bytes32().prop_map(EntryId)), signature in signature(),
    ) -> NameReceipt {
        NameReceipt {
            registry: RegistryId(registry),
            name,
            post,
            account: AccountId(account),
            revision,
            at: Timestamp(at),
            signature,
        }
    }
}

fn name_answer() -> impl Strategy<Value = NameAnswer> {
    let fault = prop_oneof![
        any::<u8>().prop_map(|min| NameFault::TooShort { min }),
        any::<u8>().prop_map(|max| NameFault::TooLong { max }),
        any::<char>().prop_map(|character| NameFault::Character { character }),
        unique_name().prop_map(|canonical| NameFault::NotCanonical { canonical }),
        Just(NameFault::MixedScripts),
        Just(NameFault::Confusable),
        Just(NameFault::Reserved),
    ];
    prop_oneof![
        name_receipt().prop_map(NameAnswer::Held),
        Just(NameAnswer::Free),
        Just(NameAnswer::Taken),
        integer().prop_map(|until| NameAnswer::Resting {
            until: Timestamp(until)
        }),
        unique_name().prop_map(|name| NameAnswer::HasOther { name }),
        fault.prop_map(NameAnswer::Fault),
        Just(NameAnswer::NotYours),
        Just(NameAnswer::TooFast),
        any::<u8>().prop_map(|bits| NameAnswer::Work { bits }),
        Just(NameAnswer::Unavailable),
        unique_name().prop_map(|name| NameAnswer::LooksLike { name }),
        any::<u32>().prop_map(|max| NameAnswer::TooMany { max }),
        (bytes32(), integer(), signature()).prop_map(|(registry, revision, signature)| {
            let registry = RegistryId(registry);
            NameAnswer::Outdated(NameMark {
                registry,
                revision,
                signature,
            })
        }),
    ]
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    (bytes32(), any::<bool>(), integer(), any::<u16>()).prop_map(|(peer, relay, heartbeat, age_s)| {
        Descriptor {
            peer: PeerId(peer),
            relay,
            heartbeat,
            age_s,
        }
    })
}

fn overlay() -> impl Strategy<Value = Message> {
    let peers = || vec(descriptor(), 0..=limits::PEERS_PER_MESSAGE_MAX);
    let wish = prop_oneof![
        Just(Wish::Join),
        Just(Wish::Urgent),
        Just(Wish::Fill),
        Just(Wish::Mix)
    ];
    prop_oneof![
        (wish, integer(), peers()).prop_map(|(wish, heartbeat, peers)| {
            Message::Request(Request {
                wish,
                heartbeat,
                peers,
            })
        }),
        (integer(), any::<u16>(), peers()).prop_map(|(heartbeat, degree, peers)| {
            Message::Accept(Accept {
                heartbeat,
                degree,
                peers,
            })
        }),
        peers().prop_map(|peers| Message::Refuse(Others { peers })),
        (descriptor(), any::<u8>())
            .prop_map(|(newcomer, ttl)| Message::ForwardJoin(ForwardJoin { newcomer, ttl })),
        (any::<u8>(), peers()).prop_map(|(ttl, peers)| Message::Shuffle(Shuffle { ttl, peers })),
        (integer(), any::<u16>(), integer(), any::<u16>()).prop_map(|(counter, degree, echo, held_ms)| {
            Message::Heartbeat(Heartbeat {
                counter,
                degree,
                echo,
                held_ms,
            })
        }),
        peers().prop_map(|peers| Message::Leave(Others { peers })),
    ]
}

fn payload_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

pub(crate) fn to_server() -> impl Strategy<Value = ToServer> {
    prop_oneof![
        (any::<u16>(), bytes32(), bytes32(), signature()).prop_map(|(version, peer, room, signature)| {
            ToServer::Join {
                version,
                peer: PeerId(peer),
                room: RoomId(room),
                signature,
            }
        }),
        (bytes32(), payload_bytes()).prop_map(|(to, payload)| ToServer::Signal {
            to: PeerId(to),
            payload
        }),
        Just(ToServer::List),
    ]
}

pub(crate) fn to_peer() -> impl Strategy<Value = ToPeer> {
    let members = || {
        let member = any::<([u8; 32], bool)>().prop_map(|(peer, relay)| RoomMember {
            peer: PeerId(peer),
            relay,
        });
        vec(member, 0..=limits::SIGNAL_MEMBERS_MAX)
    };
    prop_oneof![
        any::<(u16, [u8; 32])>().prop_map(|(version, nonce)| ToPeer::Challenge { version, nonce }),
        members().prop_map(|members| ToPeer::Joined { members }),
        members().prop_map(|members| ToPeer::Members { members }),
        (bytes32(), payload_bytes()).prop_map(|(from, payload)| ToPeer::Signal {
            from: PeerId(from),
            payload
        }),
        bytes32().prop_map(|peer| ToPeer::Absent { peer: PeerId(peer) }),
        proptest::sample::select(&crate::any::CLOSE_REASONS[..])
            .prop_map(|reason| ToPeer::Refused { reason }),
    ]
}

/// All refusals, in the order of their numbers.
pub(crate) const CLOSE_REASONS: [CloseReason; 9] = [
    CloseReason::Malformed,
    CloseReason::Version,
    CloseReason::BadSignature,
    CloseReason::RoomFull,
    CloseReason::ServerFull,
    CloseReason::TooFast,
    CloseReason::Replaced,
    CloseReason::TooSlow,
    CloseReason::Stopping,
];

pub(crate) fn payload() -> impl Strategy<Value = Payload> {
    let session = integer;
    prop_oneof![
        session().prop_map(|session| Payload::Call { session }),
        (session(), ".{0,300}").prop_map(|(session, sdp)| Payload::Offer { session, sdp }),
        (session(), ".{0,300}").prop_map(|(session, sdp)| Payload::Answer { session, sdp }),
        (session(), ".{0,100}", ".{0,10}").prop_map(|(session, candidate, mid)| Payload::Candidate {
            session,
            candidate,
            mid
        }),
        session().prop_map(|session| Payload::Decline { session }),
    ]
}
