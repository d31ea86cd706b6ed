//! The bytes of messages between members of a [`Swarm`](crate::swarm::Swarm).
//!
//! A message is [`VERSION`] and then postcard (see `tests/wire.rs` for golden ones). The types written are this
//! module's own, so that the core may change its types without the wire noticing. Invariants: a message has one form;
//! decoding ends with a message within every limit below or with [`Malformed`], whatever the bytes are; numbers of
//! messages stay so far from the end of `u64` that computing with received numbers never overflows.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::broadcast::{ANNOUNCEMENTS_PER_MESSAGE, Announcement, Item, Route, TREES, Tree};
use crate::codec;
use crate::membership::{self, Descriptor, SAMPLE_MAX, Wish};
use crate::swarm::{DIGEST_MAX, DIGEST_SEQS_MAX, Held, Message, MessageId};

/// The first byte of every message.
pub const VERSION: u8 = 1;
/// Bytes of a body.
pub const BODY_LEN_MAX: usize = 64 * 1024;
/// Bytes of a message: the largest are digests, 1,024 origins of up to 32 bytes and 8,192 numbers of up to 8.
pub const LEN_MAX: usize = 128 * 1024;
/// The number of a message: the greatest integer a JavaScript number holds exactly.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

/// The bytes are no message of this version, or a message is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// `start`, followed by the bytes of a message.
///
/// # Errors
/// The message is over a limit.
pub fn encode<P: Copy + Serialize>(
    start: Vec<u8>,
    message: &Message<P, Bytes>,
) -> Result<Vec<u8>, Malformed> {
    let mut bytes = start;
    let before = bytes.len();
    bytes.push(VERSION);
    let frame = Frame::write(message).ok_or(Malformed)?;
    let bytes = codec::encode(bytes, &frame).map_err(|_| Malformed)?;
    if bytes.len() - before > LEN_MAX {
        return Err(Malformed);
    }
    Ok(bytes)
}

/// The message that `bytes` are. Its body, if it has one, shares their memory.
///
/// # Errors
/// They are none.
pub fn decode<P: Copy + Serialize + DeserializeOwned>(bytes: &Bytes) -> Result<Message<P, Bytes>, Malformed> {
    let Some((&VERSION, rest)) = bytes.split_first() else {
        return Err(Malformed);
    };
    if bytes.len() > LEN_MAX {
        return Err(Malformed);
    }
    let frame: Frame<'_, P> = codec::decode(rest).map_err(|_| Malformed)?;
    frame.read(bytes).ok_or(Malformed)
}

#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
enum Frame<'a, P> {
    Request {
        wish: u8,
        anchor: bool,
        heartbeat: u64,
        peers: Vec<Told<P>>,
    },
    Accept {
        anchor: bool,
        heartbeat: u64,
        degree: u16,
        peers: Vec<Told<P>>,
    },
    Refuse(Vec<Told<P>>),
    ForwardJoin {
        newcomer: Told<P>,
        ttl: u8,
    },
    Shuffle {
        ttl: u8,
        peers: Vec<Told<P>>,
    },
    Heartbeat {
        counter: u64,
        degree: u16,
        echo: u64,
        held_ms: u16,
    },
    Leave(Vec<Told<P>>),
    News {
        id: Id<P>,
        tree: u8,
        hops: u8,
        #[serde(borrow)]
        body: Body<'a>,
    },
    Announce(Vec<Announced<P>>),
    Graft {
        id: Option<Id<P>>,
        tree: u8,
    },
    Prune {
        tree: u8,
    },
    Digest(Vec<HeldRow<P>>),
    Direct(#[serde(borrow)] Body<'a>),
}

#[derive(Serialize, Deserialize)]
struct Told<P> {
    peer: P,
    anchor: bool,
    heartbeat: u64,
    age_s: u16,
}

#[derive(Serialize, Deserialize)]
struct Id<P> {
    origin: P,
    seq: u64,
}

#[derive(Serialize, Deserialize)]
struct Announced<P> {
    id: Id<P>,
    tree: u8,
    hops: u8,
    waited_ms: u16,
}

/// What is held of one origin. Numbers at and above `below` are in rising order, each as its distance from the least it
/// could be: whole runs become zeros.
#[derive(Serialize, Deserialize)]
struct HeldRow<P> {
    origin: P,
    below: u64,
    gaps: Vec<u64>,
}

/// Bytes of others, in one piece.
struct Body<'a>(&'a [u8]);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Self)
    }
}

impl<'a, P: Copy> Frame<'a, P> {
    fn write(message: &'a Message<P, Bytes>) -> Option<Self> {
        Some(match message {
            Message::Overlay(message) => Self::write_overlay(message)?,
            Message::News { id, route, body } => Self::News {
                id: Id::write(id)?,
                tree: route.tree.byte(),
                hops: route.hops,
                body: Body::write(body)?,
            },
            Message::Announce(items) => {
                Self::Announce(bounded(items, ANNOUNCEMENTS_PER_MESSAGE, Announced::write)?)
            }
            Message::Graft { id, tree } => Self::Graft {
                id: match id {
                    Some(id) => Some(Id::write(id)?),
                    None => None,
                },
                tree: tree.byte(),
            },
            Message::Prune { tree } => Self::Prune { tree: tree.byte() },
            Message::Digest(held) => Self::Digest(bounded(held, DIGEST_MAX, HeldRow::write)?),
            Message::Direct(body) => Self::Direct(Body::write(body)?),
        })
    }

    fn write_overlay(message: &membership::Message<P>) -> Option<Self> {
        use membership::Message;
        let told = |peers: &[Descriptor<P>]| bounded(peers, SAMPLE_MAX, |told| Some(Told::write(told)));
        Some(match message {
            Message::Request {
                wish,
                anchor,
                heartbeat,
                peers,
            } => Self::Request {
                wish: match wish {
                    Wish::Join => 0,
                    Wish::Urgent => 1,
                    Wish::Fill => 2,
                    Wish::Mix => 3,
                },
                anchor: *anchor,
                heartbeat: *heartbeat,
                peers: told(peers)?,
            },
            Message::Accept {
                anchor,
                heartbeat,
                degree,
                peers,
            } => Self::Accept {
                anchor: *anchor,
                heartbeat: *heartbeat,
                degree: *degree,
                peers: told(peers)?,
            },
            Message::Refuse { peers } => Self::Refuse(told(peers)?),
            Message::ForwardJoin { newcomer, ttl } => Self::ForwardJoin {
                newcomer: Told::write(newcomer),
                ttl: *ttl,
            },
            Message::Shuffle { ttl, peers } => Self::Shuffle {
                ttl: *ttl,
                peers: told(peers)?,
            },
            Message::Heartbeat {
                counter,
                degree,
                echo,
                held_ms,
            } => Self::Heartbeat {
                counter: *counter,
                degree: *degree,
                echo: *echo,
                held_ms: *held_ms,
            },
            Message::Leave { peers } => Self::Leave(told(peers)?),
        })
    }

    /// The message, if it is within all limits. `whole`: what it was read from.
    fn read(self, whole: &Bytes) -> Option<Message<P, Bytes>> {
        use membership::Message as Overlay;
        let told = |peers: Vec<Told<P>>| bounded(&peers, SAMPLE_MAX, |told| Some(told.read()));
        Some(match self {
            Self::Request {
                wish,
                anchor,
                heartbeat,
                peers,
            } => Message::Overlay(Overlay::Request {
                wish: match wish {
                    0 => Wish::Join,
                    1 => Wish::Urgent,
                    2 => Wish::Fill,
                    3 => Wish::Mix,
                    _ => return None,
                },
                anchor,
                heartbeat,
                peers: told(peers)?,
            }),
            Self::Accept {
                anchor,
                heartbeat,
                degree,
                peers,
            } => Message::Overlay(Overlay::Accept {
                anchor,
                heartbeat,
                degree,
                peers: told(peers)?,
            }),
            Self::Refuse(peers) => Message::Overlay(Overlay::Refuse { peers: told(peers)? }),
            Self::ForwardJoin { newcomer, ttl } => Message::Overlay(Overlay::ForwardJoin {
                newcomer: newcomer.read(),
                ttl,
            }),
            Self::Shuffle { ttl, peers } => {
                let peers = told(peers)?;
                Message::Overlay(Overlay::Shuffle { ttl, peers })
            }
            Self::Heartbeat {
                counter,
                degree,
                echo,
                held_ms,
            } => Message::Overlay(Overlay::Heartbeat {
                counter,
                degree,
                echo,
                held_ms,
            }),
            Self::Leave(peers) => Message::Overlay(Overlay::Leave { peers: told(peers)? }),
            Self::News { id, tree, hops, body } => Message::News {
                id: id.read()?,
                route: Route {
                    tree: read_tree(tree)?,
                    hops,
                },
                body: body.read(whole)?,
            },
            Self::Announce(items) => {
                Message::Announce(bounded(&items, ANNOUNCEMENTS_PER_MESSAGE, Announced::read)?)
            }
            Self::Graft { id, tree } => Message::Graft {
                id: match id {
                    Some(id) => Some(id.read()?),
                    None => None,
                },
                tree: read_tree(tree)?,
            },
            Self::Prune { tree } => Message::Prune {
                tree: read_tree(tree)?,
            },
            Self::Digest(rows) => {
                if rows.iter().map(|row| row.gaps.len()).sum::<usize>() > DIGEST_SEQS_MAX {
                    return None;
                }
                Message::Digest(bounded(&rows, DIGEST_MAX, HeldRow::read)?)
            }
            Self::Direct(body) => Message::Direct(body.read(whole)?),
        })
    }
}

/// All of `items` turned into something else, if they are no more than `max` and each can be.
fn bounded<A, B>(items: &[A], max: usize, turn: impl Fn(&A) -> Option<B>) -> Option<Vec<B>> {
    if items.len() > max {
        return None;
    }
    items.iter().map(turn).collect()
}

const fn read_tree(byte: u8) -> Option<Tree> {
    if (byte as usize) < TREES {
        Some(Tree::from_byte(byte))
    } else {
        None
    }
}

impl<P: Copy> Told<P> {
    const fn write(told: &Descriptor<P>) -> Self {
        Self {
            peer: told.peer,
            anchor: told.anchor,
            heartbeat: told.heartbeat,
            age_s: told.age_s,
        }
    }

    const fn read(&self) -> Descriptor<P> {
        Descriptor {
            peer: self.peer,
            anchor: self.anchor,
            heartbeat: self.heartbeat,
            age_s: self.age_s,
        }
    }
}

impl<P: Copy> Id<P> {
    fn write(id: &MessageId<P>) -> Option<Self> {
        let MessageId { origin, seq } = *id;
        (1..=SEQ_MAX).contains(&seq).then_some(Self { origin, seq })
    }

    fn read(&self) -> Option<MessageId<P>> {
        let Self { origin, seq } = *self;
        (1..=SEQ_MAX).contains(&seq).then_some(MessageId { origin, seq })
    }
}

impl<P: Copy> Announced<P> {
    fn write(announced: &Announcement<MessageId<P>>) -> Option<Self> {
        Some(Self {
            id: Id::write(&announced.item.key)?,
            tree: announced.tree.byte(),
            hops: announced.hops,
            waited_ms: announced.waited_ms,
        })
    }

    fn read(&self) -> Option<Announcement<MessageId<P>>> {
        Some(Announcement {
            item: Item {
                key: self.id.read()?,
                upto: 1,
            },
            tree: read_tree(self.tree)?,
            hops: self.hops,
            waited_ms: self.waited_ms,
        })
    }
}

impl<P: Copy> HeldRow<P> {
    fn write(held: &Held<P>) -> Option<Self> {
        let mut least = held.below;
        let mut gaps = Vec::with_capacity(held.also.len());
        for seq in &held.also {
            gaps.push(seq.checked_sub(least)?);
            least = seq.checked_add(1)?;
        }
        (least <= SEQ_MAX + 1).then_some(Self {
            origin: held.origin,
            below: held.below,
            gaps,
        })
    }

    fn read(&self) -> Option<Held<P>> {
        let mut least = self.below;
        let mut also = Vec::with_capacity(self.gaps.len());
        for gap in &self.gaps {
            let seq = least.checked_add(*gap)?;
            also.push(seq);
            least = seq.checked_add(1)?;
        }
        (least <= SEQ_MAX + 1).then_some(Held {
            origin: self.origin,
            below: self.below,
            also,
        })
    }
}

impl<'a> Body<'a> {
    fn write(body: &'a Bytes) -> Option<Self> {
        (body.len() <= BODY_LEN_MAX).then_some(Self(body))
    }

    fn read(&self, whole: &Bytes) -> Option<Bytes> {
        (self.0.len() <= BODY_LEN_MAX).then(|| whole.slice_ref(self.0))
    }
}
