//! For tests of the engine's parts: the other ends of links, played by the test, and a peer without a role.

use core::time::Duration;

use protocol::key::Signature;
use protocol::kinds::Certificate;
use protocol::link::frame::{self, Reassembly};
use protocol::link::handshake::{
    Binding, Handshake, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN, feature,
};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Decoded, FeedHead, Message};
use protocol::{Instant, KeyPair, PeerId, Timestamp, VerifiedEntry};

use crate::api::Transport;
use crate::ctx::{Ctx, DirectoryMode};
use crate::facts::Fact;
use crate::io::{AddressId, Config, LinkId, Now, Output};
use crate::kinds::Kinds;
use crate::kinds::testing::{Author, ctx};
use crate::log::Log;
use crate::log::append::Taken;
use crate::memory::MemoryStore;
use crate::net::Net;
use crate::relays::directory::Directory;
use crate::store::{Load, Op};

/// Makes a signature wrong.
pub(crate) fn spoil(signature: &mut Signature) {
    let mut bytes = signature.to_bytes();
    bytes[7] ^= 1;
    *signature = Signature::from_bytes(&bytes);
}

/// What a peer proves on a link.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) key: KeyPair,
    /// It calls itself a relay.
    pub(crate) relay: bool,
    /// It grants credit for the heads of digests.
    pub(crate) paces_digests: bool,
    /// It salts what it names to a relay with the relay's salt.
    pub(crate) relay_salt: bool,
    /// It does the work that a relay asks for.
    pub(crate) works: bool,
    /// It knows the answer that names a look-alike.
    pub(crate) knows_look_alikes: bool,
    pub(crate) certificate: Option<Certificate>,
    /// How far its clock is behind, in milliseconds.
    pub(crate) clock_behind_ms: u64,
}

impl Remote {
    /// A peer without an account, by number.
    pub(crate) fn peer(n: u8) -> Self {
        Self {
            key: KeyPair::from_seed(&[n; 32]),
            relay: false,
            paces_digests: true,
            relay_salt: true,
            works: true,
            knows_look_alikes: true,
            certificate: None,
            clock_behind_ms: 0,
        }
    }

    pub(crate) fn relay(n: u8) -> Self {
        Self {
            relay: true,
            ..Self::peer(n)
        }
    }

    pub(crate) fn id(&self) -> PeerId {
        PeerId(self.key.public())
    }
}

/// The channels of the peer under test, and what it did since it was last looked at.
#[derive(Default)]
pub(crate) struct Wire {
    /// Where channels that open come from.
    pub(crate) address: Option<AddressId>,
    last_link: u64,
    outputs: Vec<Output>,
}

impl Wire {
    /// A channel opens; `side` is that of the peer under test.
    pub(crate) fn open(&mut self, ctx: &mut Ctx, net: &mut Net, side: Side) -> LinkId {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        net.on_link_up(ctx, link, side, Binding::Memory, Transport::Memory, self.address);
        link
    }

    /// The peer at the other end of an open channel proves its key. `side` is that of the peer under test.
    pub(crate) fn prove(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        directory: &Directory,
        link: LinkId,
        side: Side,
        remote: Remote,
    ) {
        let mut features = 0;
        for (has, bit) in [
            (remote.relay, feature::RELAY),
            (remote.paces_digests, feature::PACED_DIGESTS),
            (remote.relay_salt, feature::RELAY_SALT),
            (remote.works, feature::WORK),
            (remote.knows_look_alikes, feature::LOOK_ALIKES),
        ] {
            features |= if has { bit } else { 0 };
        }
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features,
            peer: remote.id(),
            nonce: [link.0 as u8; 32],
            certificate: remote.certificate,
            wall: Timestamp(ctx.now.wall.0 - remote.clock_behind_ms),
        };
        let other = match side {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        };
        let mut peer = Handshake::new(other, Binding::Memory, remote.key, &hello);
        for frame in peer.frames() {
            net.on_frame(ctx, directory, link, &frame);
        }
        for frame in self.take_frames(ctx, link) {
            let (kind, payload) = frame::split(&frame).expect("a frame");
            if let Ok(Step::Send(frame)) = peer.on_frame(kind, payload) {
                net.on_frame(ctx, directory, link, &frame);
            }
        }
    }

    /// Ends the input, and takes all outputs.
    fn drain(&mut self, ctx: &mut Ctx) {
        ctx.flush(Vec::new());
        while let Some(output) = ctx.poll_output() {
            self.outputs.push(output);
        }
    }

    fn take_frames(&mut self, ctx: &mut Ctx, link: LinkId) -> Vec<Vec<u8>> {
        self.drain(ctx);
        let mut frames = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Send { link: to, bytes } if *to == link => {
                frames.push(bytes.clone());
                false
            }
            _ => true,
        });
        frames
    }

    /// The messages sent on a link since this was last asked.
    pub(crate) fn sent(&mut self, ctx: &mut Ctx, link: LinkId) -> Vec<Message> {
        let mut reassembly = Reassembly::default();
        let mut messages = Vec::new();
        for frame in self.take_frames(ctx, link) {
            let (kind, payload) = frame::split(&frame).expect("a frame");
            if let Ok(Some(message)) = reassembly.push(kind, payload)
                && let Ok(Decoded::Known(message)) = Message::decode(&message)
            {
                messages.push(message);
            }
        }
        messages
    }

    /// Outputs other than frames since this was last asked.
    pub(crate) fn outputs(&mut self, ctx: &mut Ctx) -> Vec<Output> {
        self.drain(ctx);
        let (frames, outputs) = core::mem::take(&mut self.outputs)
            .into_iter()
            .partition(|output| matches!(output, Output::Send { .. }));
        self.outputs = frames;
        outputs
    }
}

/// A message arrives on a link.
pub(crate) fn receive(ctx: &mut Ctx, net: &mut Net, directory: &Directory, link: LinkId, message: &Message) {
    let frames: Vec<Vec<u8>> = frame::fragment(&message.encode()).collect();
    for frame in frames {
        net.on_frame(ctx, directory, link, &frame);
    }
}

/// A peer without a role, its store and its neighbours.
pub(crate) struct Node {
    pub(crate) ctx: Ctx,
    pub(crate) log: Log,
    pub(crate) net: Net,
    pub(crate) directory: Directory,
    pub(crate) kinds: Kinds,
    pub(crate) store: MemoryStore,
    pub(crate) wire: Wire,
    /// Outputs other than frames and batches that were not looked at.
    pub(crate) outputs: Vec<Output>,
}

impl Node {
    /// The device of this author.
    pub(crate) fn new(me: &Author) -> Self {
        Self::with_feeds_max(me, 100)
    }

    /// A device without an account.
    pub(crate) fn without_account() -> Self {
        Self::with(None, 100)
    }

    pub(crate) fn with_feeds_max(me: &Author, feeds_max: usize) -> Self {
        Self::with(Some(me), feeds_max)
    }

    fn with(me: Option<&Author>, feeds_max: usize) -> Self {
        let now = Now {
            instant: Instant(1_000_000_000),
            wall: Timestamp(1_700_000_000_000),
        };
        let mut node = Self {
            ctx: ctx(me, now),
            log: Log::new(feeds_max),
            net: Net::new(),
            directory: Directory::new(&Config::browser(), now.instant, DirectoryMode::Device),
            kinds: Kinds::default(),
            store: MemoryStore::default(),
            wire: Wire::default(),
            outputs: Vec::new(),
        };
        node.ctx.ready = true;
        node.net.begin_overlay(&mut node.ctx);
        node
    }

    /// Lets time pass, without any timer.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.ctx.now.instant = self.ctx.now.instant + time;
        self.ctx.now.wall = self.ctx.now.wall.plus(time);
    }

    pub(crate) fn open(&mut self, side: Side) -> LinkId {
        self.wire.open(&mut self.ctx, &mut self.net, side)
    }

    /// Opens a link, on which the peer proves its key and is no neighbour so far. `side` is that of the node.
    pub(crate) fn prove(&mut self, side: Side, remote: &Remote) -> LinkId {
        let link = self.open(side);
        let Self {
            ctx,
            net,
            directory,
            wire,
            ..
        } = self;
        wire.prove(ctx, net, directory, link, side, remote.clone());
        link
    }

    /// A peer dials this one and becomes a neighbour.
    pub(crate) fn link(&mut self, remote: &Remote) -> LinkId {
        self.link_as(Side::Responder, remote)
    }

    /// Links with a peer, which becomes a neighbour. `side` is that of the node.
    pub(crate) fn link_as(&mut self, side: Side, remote: &Remote) -> LinkId {
        let link = self.prove(side, remote);
        self.receive(link, &Message::Request(Request::alone(Wish::Join)));
        self.pump();
        let session = self.net.session(link).expect("a proven peer");
        assert!(session.neighbour, "the peer was accepted");
        self.facts();
        self.sent(link);
        link
    }

    /// Links with a relay that this peer knows.
    pub(crate) fn link_known(&mut self, relay: &Remote) -> LinkId {
        self.net.know_relay(&mut self.ctx, relay.id(), String::new());
        self.link(relay)
    }

    pub(crate) fn receive(&mut self, link: LinkId, message: &Message) {
        receive(&mut self.ctx, &mut self.net, &self.directory, link, message);
    }

    /// Does what the overlay wants done.
    pub(crate) fn pump(&mut self) {
        while self.net.pump(&mut self.ctx, &self.directory) {}
    }

    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        core::iter::from_fn(|| self.ctx.next_fact()).collect()
    }

    pub(crate) fn sent(&mut self, link: LinkId) -> Vec<Message> {
        self.wire.sent(&mut self.ctx, link)
    }

    /// Ends the input: what was written is in the store, but was not reported as persisted. What was written.
    pub(crate) fn flush(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        for output in self.wire.outputs(&mut self.ctx) {
            match output {
                Output::Persist(batch) => {
                    self.store.apply(&batch);
                    ops.extend(batch.ops);
                }
                other => self.outputs.push(other),
            }
        }
        ops
    }

    /// Outputs other than frames and batches since this was last asked.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        self.flush();
        core::mem::take(&mut self.outputs)
    }

    /// The reads that were asked for since outputs were last looked at.
    pub(crate) fn loads(&mut self) -> Vec<Load> {
        let outputs = self.outputs().into_iter();
        let loads = outputs.filter_map(|output| match output {
            Output::Load(load) => Some(load),
            _ => None,
        });
        loads.collect()
    }

    /// Reads last entries of feeds. `false`: none are to be read.
    pub(crate) fn read_ends(&mut self) -> bool {
        let loads = self.loads();
        for load in &loads {
            let rows = self.store.load(load);
            self.log.on_fork_check_rows(&mut self.ctx, load.id, rows);
        }
        !loads.is_empty()
    }

    /// What was written so far is on disk.
    pub(crate) fn persist(&mut self) {
        let reached = self.log.flush(&mut self.ctx);
        self.flush();
        self.log.on_persisted(&reached);
    }

    /// Takes in an entry, as from a backup.
    pub(crate) fn take_in(&mut self, entry: &VerifiedEntry) -> Taken {
        let taken = self
            .log
            .take_in(&mut self.ctx, None, entry.entry().clone(), false);
        taken.expect("a valid entry")
    }

    /// The first `entries` entries of the author's feed are held and on disk.
    pub(crate) fn hold(&mut self, author: &mut Author, entries: usize) -> Vec<VerifiedEntry> {
        let mut held = vec![author.begin()];
        held.extend((1..entries).map(|n| author.post(&n.to_string())));
        for entry in &held {
            let taken = self.take_in(entry);
            assert!(matches!(taken, Taken::Appended { .. }), "{taken:?}");
        }
        self.persist();
        self.facts();
        held
    }
}

/// The head of a feed that ends with this entry.
pub(crate) fn head(entry: &VerifiedEntry) -> FeedHead {
    let header = entry.header();
    FeedHead {
        account: header.account,
        device: header.device,
        next_seq: header.seq + 1,
        head: entry.id(),
    }
}
