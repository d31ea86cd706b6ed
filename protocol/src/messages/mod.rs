//! Messages between linked peers.
//!
//! A message is one kind byte and the postcard bytes of its fields. Unknown kinds are skipped; known ones must decode
//! exactly and keep within their limits. A new message is a struct with [`Fields`] and one line in the list below. One
//! that only relays send and take is marked there: a device does not know it.

pub mod directory;
pub mod introduction;
pub mod membership;
pub mod overlay;
pub mod receipt;

mod broadcast;
mod comparison;
mod interests;
mod names;
mod presence;
mod quota;
mod sync;
mod work;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

pub use broadcast::{Announced, Announcements, OnTree, Push};
pub use comparison::{Compared, Differences, FEED_KEY_LEN, FeedKey, SKETCH_CELL_LEN, Sketch, Verdict};
pub use interests::{Interests, ResumeFailed, SaltedAccount};
pub use names::{NameAnswered, NameAsked, RevocationAnswer, RevocationQuestion};
pub use presence::{Presence, Relays};
pub use quota::{Quota, QuotaExceeded};
pub use sync::{Credit, Digest, Entries, FeedHead, ForkProof, HeadCredit, Heads, Ping, RangeEnd, Want};
pub use work::{WorkDone, WorkRequired};

use introduction::Introduction;
use membership::MemberList;
#[cfg(feature = "relay")]
use membership::{JoinAnswer, JoinRequest, Vouches};
use overlay::{Accept, ForwardJoin, Heartbeat, Others, Request, Shuffle};
use receipt::{Receipt, Withdrawal};

/// The fields of a message.
pub trait Fields: Serialize + DeserializeOwned {
    /// Whether lists and numbers keep their limits. This is the first check of a message, before signatures are
    /// verified: receivers compute with the numbers of a feed.
    fn within_limits(&self) -> bool {
        true
    }
}

/// The result of decoding a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A message of this version.
    Known(Message),
    /// A kind of a later version, or one that only relays act on: skip it.
    Unknown(u8),
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not decodable.
    #[error("malformed message")]
    Malformed,
    /// A list is longer or a number greater than allowed.
    #[error("message over its limits")]
    TooMuch,
}

macro_rules! messages {
    ($($(#[$doc:meta])* $([$feature:literal])? $kind:literal = $name:ident($fields:ty);)*) => {
        /// A message between linked peers.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message {
            $(
                $(#[$doc])*
                $(#[cfg(feature = $feature)])?
                $name($fields),
            )*
        }

        impl Message {
            /// Its bytes: kind, then fields.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $($(#[cfg(feature = $feature)])? Self::$name(fields) => codec::encode_after(vec![$kind], fields),)*
                }
            }

            /// The message in `bytes`.
            ///
            /// # Errors
            /// [`MessageError`] if a known kind does not decode exactly or exceeds a limit.
            pub fn decode(bytes: &[u8]) -> Result<Decoded, MessageError> {
                let (kind, fields) = bytes.split_first().ok_or(MessageError::Malformed)?;
                let message = match *kind {
                    $($(#[cfg(feature = $feature)])? $kind => Self::$name(decode_fields(fields)?),)*
                    unknown => return Ok(Decoded::Unknown(unknown)),
                };
                Ok(Decoded::Known(message))
            }
        }
    };
}

messages! {
    /// The accounts the sender wants entries of.
    1 = Interests(Interests);
    /// The feeds the sender holds of those the receiver wants. The answer to `Interests`, and the repeated
    /// anti-entropy.
    2 = Digest(Digest);
    /// Request for a range of entries of one feed.
    3 = Want(Want);
    /// Requested entries, in order.
    4 = Entries(Entries);
    /// The explicit end of the answer to a `Want`.
    5 = RangeEnd(RangeEnd);
    /// A new entry, pushed along the overlay.
    6 = Push(Push);
    /// New entries the sender holds, announced instead of pushed.
    7 = Announce(Announcements);
    /// How far the sender holds feeds durably: sent to the authors of the feeds.
    8 = Have(Heads);
    /// A relay's signed statement that a feed is on its disk.
    9 = Receipt(Receipt);
    /// Allows the receiver to send this many more bytes of entries.
    10 = Credit(Credit);
    /// Request for a `Pong`.
    11 = Ping(Ping);
    /// The answer to a `Ping`.
    12 = Pong(Ping);
    /// Two entries with one number in one feed.
    13 = ForkProof(ForkProof);
    /// Asks to become a neighbour in the overlay: the first message of the peer that dialled.
    14 = Request(Request);
    /// Accepts a `Request`.
    15 = Accept(Accept);
    /// Refuses a `Request` and names other peers.
    16 = Refuse(Others);
    /// Introduces a new peer, on a random walk.
    17 = ForwardJoin(ForwardJoin);
    /// A sample of known peers, on a random walk.
    18 = Shuffle(Shuffle);
    /// Sign of life.
    19 = Heartbeat(Heartbeat);
    /// Ends being neighbours and names other peers.
    20 = Leave(Others);
    /// Asks for pushes along this tree.
    21 = Graft(OnTree);
    /// Asks for announcements instead of pushes along this tree.
    22 = Prune(OnTree);
    /// A signed message from one peer to another, forwarded by neighbours.
    23 = Introduction(Introduction);
    /// Signed descriptions of relays.
    24 = Relays(Relays);
    /// A question to the registry of names, forwarded to a relay that runs it.
    25 = NameQuestion(NameAsked);
    /// The registry's answer, on the way back.
    26 = NameAnswer(NameAnswered);
    /// A sketch of the feeds the sender holds, in place of a digest.
    27 = Sketch(Sketch);
    /// The result of comparing a sketch.
    28 = Compared(Compared);
    /// The interests that `Interests::same` refers to are not remembered.
    29 = ResumeFailed(ResumeFailed);
    /// The accounts linked with a relay that serves the app: sent to relays that run the registry.
    ["relay"] 30 = Presence(Presence);
    /// Statements of relays about the membership of others.
    ["relay"] 31 = Vouches(Vouches);
    /// A relay asks a member of a network to become one, with the token of an invitation.
    ["relay"] 32 = JoinRequest(JoinRequest);
    /// The answer to a `JoinRequest`.
    ["relay"] 33 = JoinAnswer(JoinAnswer);
    /// Allows the receiver to send this many more heads in digests.
    34 = HeadCredit(HeadCredit);
    /// A relay that decides on names asks one that keeps an account's feeds whether the account revoked a device.
    ["relay"] 35 = RevocationQuestion(RevocationQuestion);
    /// The answer to a `RevocationQuestion`.
    ["relay"] 36 = RevocationAnswer(RevocationAnswer);
    /// A relay takes no more entries from the receiver for a time. They are not lost: it fetches them later.
    37 = QuotaExceeded(QuotaExceeded);
    /// A relay's signed statement that it keeps a feed no longer.
    38 = Withdrawal(Withdrawal);
    /// The members of a relay's network: sent to persons' devices.
    39 = Members(MemberList);
    /// A relay takes the account of the receiver, which it does not know, only with this much work: many accounts come.
    40 = WorkRequired(WorkRequired);
    /// The work that a `WorkRequired` asked for.
    41 = WorkDone(WorkDone);
}

fn decode_fields<T: Fields>(bytes: &[u8]) -> Result<T, MessageError> {
    let fields: T = codec::decode(bytes).map_err(|_| MessageError::Malformed)?;
    if fields.within_limits() {
        Ok(fields)
    } else {
        Err(MessageError::TooMuch)
    }
}
