//! Limits that two peers must agree on. A receiver refuses a value over its limit.

/// A frame: one message of a data channel or WebSocket, header included. 16 KiB is the most that every WebRTC
/// implementation carries unfragmented (rust-libp2p#6557).
pub const FRAME_LEN_MAX: usize = 16 * 1024;
/// A peer message, reassembled from frames.
pub const MESSAGE_LEN_MAX: usize = 256 * 1024;
/// The body of an entry, in bytes.
pub const BODY_LEN_MAX: usize = 32 * 1024;
/// The number of an entry in its feed: the greatest integer a JavaScript number holds exactly, and far enough from the
/// end of `u64` that computing with a received number never overflows.
pub const SEQ_MAX: u64 = (1 << 53) - 1;
/// The text of a post, in Unicode scalar values.
pub const POST_CHARS_MAX: usize = 3_000;
/// A display name, in Unicode scalar values.
pub const NAME_CHARS_MAX: usize = 50;
/// A profile's self-description, in Unicode scalar values.
pub const BIO_CHARS_MAX: usize = 500;
/// A device's name in its certificate, in Unicode scalar values.
pub const DEVICE_NAME_CHARS_MAX: usize = 50;
/// Entries in one `Entries` message.
pub const ENTRIES_PER_MESSAGE_MAX: usize = 512;
/// Feeds in one `Digest`, `Announce` or `Have` message.
pub const HEADS_PER_MESSAGE_MAX: usize = 1_024;
/// Devices of one account that a peer keeps.
pub const DEVICES_PER_ACCOUNT_MAX: usize = 32;
/// Cells in one `Sketch` message.
pub const SKETCH_CELLS_PER_MESSAGE_MAX: usize = 4_096;
/// Cells of one comparison. If more are needed, digests are used.
pub const SKETCH_CELLS_MAX: usize = 32_768;
/// Feeds in one `Compared` message.
pub const DIFFERENCES_PER_MESSAGE_MAX: usize = 4_096;
/// Salted interests in one `Interests` message.
pub const INTERESTS_PER_MESSAGE_MAX: usize = 8_192;
/// Accounts named in one `Interests` message.
pub const NAMED_PER_MESSAGE_MAX: usize = 1_024;
/// Bytes of entries that a peer may send to a neighbour before it is granted more credit.
pub const CREDIT_WINDOW_BYTES: u32 = 1024 * 1024;
/// Heads that a peer may send in digests to a neighbour before it is granted more, if the neighbour paces digests.
pub const HEADS_WINDOW: u32 = 8_192;
/// Heads that a `ForkProof` counts as, since it is as long.
pub const FORK_PROOF_HEADS: u32 = 4;
/// Links that a pushed entry may travel. A safety net only: a broadcast ends at peers that hold the entry already.
pub const HOPS_MAX: u8 = 64;
/// Peers described in one overlay message.
pub const PEERS_PER_MESSAGE_MAX: usize = 16;
/// Links an introduction may travel.
pub const INTRODUCTION_HOPS_MAX: u8 = 8;
/// Relays described in one message.
pub const RELAYS_PER_MESSAGE_MAX: usize = 32;
/// Statements about relays in one `Vouches` message.
pub const VOUCHES_PER_MESSAGE_MAX: usize = 512;
/// Relays in one `Members`. The statements that a relay keeps make at most one member more than this.
pub const MEMBERS_PER_MESSAGE_MAX: usize = 4_096;
/// The address of a relay, in bytes.
pub const RELAY_URL_LEN_MAX: usize = 200;
/// A name of the registry, in bytes.
pub const UNIQUE_NAME_LEN_MAX: usize = 120;
/// The name of a zone, in bytes.
pub const ZONE_LEN_MAX: usize = 32;
/// A signal payload (an SDP or a candidate), in bytes.
pub const SIGNAL_PAYLOAD_LEN_MAX: usize = 16 * 1024;
/// A signal message on the wire, in bytes.
pub const SIGNAL_LEN_MAX: usize = SIGNAL_PAYLOAD_LEN_MAX + 1024;
/// Peers named in one `Joined` answer.
pub const SIGNAL_MEMBERS_MAX: usize = 64;
/// The text of a close reason, in bytes.
pub const REASON_LEN_MAX: usize = 200;
/// The host a WebSocket link is bound to, in bytes.
pub const HOST_LEN_MAX: usize = 300;
