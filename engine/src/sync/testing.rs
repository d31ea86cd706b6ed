//! For tests of the exchange of entries: a peer whose neighbours are played by the test.

use core::time::Duration;

use ordered::Set;
use protocol::messages::{Digest, Entries, FeedHead, Interests, Message, SaltedAccount, Want};
use protocol::{AccountId, DeviceId, EntryId, PeerId, Timestamp, VerifiedEntry};

use super::{Interest, Remembered, Scope, Summary, Sync, Wanting};
use crate::facts::{Ended, Fact};
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::net::Session;
use crate::testing::{Node, Remote, head};

/// Wants these accounts.
#[derive(Default)]
pub(super) struct TestInterest {
    pub(super) wants: Set<AccountId>,
    pub(super) serves_others: bool,
}

impl Interest for TestInterest {
    fn wants(&self, _: &Scope<'_>, account: &AccountId) -> bool {
        self.wants.contains(account)
    }

    fn summary(&self, scope: &Scope<'_>, _: &Session) -> Summary {
        Summary {
            accounts: self.wanted(scope),
            ..Summary::default()
        }
    }

    fn wanted(&self, _: &Scope<'_>) -> Set<AccountId> {
        self.wants.clone()
    }

    fn is_replica(&self, _: &Scope<'_>, _: &AccountId, _: &PeerId) -> bool {
        false
    }

    fn serves_others(&self) -> bool {
        self.serves_others
    }
}

/// The account of a made-up feed.
pub(super) fn account(n: u32) -> AccountId {
    let mut id = [9; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    AccountId(id)
}

pub(super) struct Peer {
    pub(super) node: Node,
    pub(super) sync: Sync,
    pub(super) role: TestInterest,
}

impl Peer {
    pub(super) fn new(wants: &[&Author]) -> Self {
        let wants = wants.iter().map(|author| author.account()).collect();
        Self {
            node: Node::new(&Author::new(1)),
            sync: Sync::new(),
            role: TestInterest {
                wants,
                serves_others: false,
            },
        }
    }

    /// A made-up feed is held.
    pub(super) fn hold_made_up(&mut self, n: u32) {
        let device = DeviceId(account(n).0);
        let held = &mut self.node.log.feeds;
        let begun = held.begin(device, account(n), "laptop".into(), Timestamp(1), usize::MAX);
        begun.expect("room");
        let feed = held.get_mut(&device).expect("held");
        (feed.next_seq, feed.head) = (3, EntryId(device.0));
    }

    pub(super) fn link(&mut self, remote: &Remote) -> LinkId {
        let link = self.node.link(remote);
        self.sync.spread.on_up(link);
        link
    }

    pub(super) fn receive(&mut self, link: LinkId, message: Message) {
        let len = message.encode().len();
        let Self { node, sync, role } = self;
        let Node { ctx, net, log, .. } = node;
        let wanting = Wanting::without_follows(role);
        let back = sync.on_message(ctx, net, log, wanting, link, message, len);
        assert!(back.is_none(), "a message about feeds");
    }

    pub(super) fn interests(&mut self, link: LinkId, interests: Interests, remembered: Option<Remembered>) {
        let Self { node, sync, role } = self;
        let Node { ctx, net, log, .. } = node;
        let wanting = Wanting::without_follows(role);
        sync.on_interests(ctx, net, log, wanting, link, interests, remembered);
    }

    pub(super) fn salted(&self, link: LinkId, author: &Author) -> SaltedAccount {
        let session = self.node.net.session(link).expect("a session");
        SaltedAccount::new(&session.salt_received, &author.account())
    }

    /// The neighbour wants the feeds of these authors, and nothing else.
    pub(super) fn wanted_by(&mut self, link: LinkId, authors: &[&Author]) {
        let add = authors.iter().map(|author| self.salted(link, author)).collect();
        let interests = Interests {
            reset: true,
            add,
            ..Interests::default()
        };
        self.interests(link, interests, None);
    }

    /// The neighbour says how far it holds a feed.
    pub(super) fn tells(&mut self, link: LinkId, entry: &VerifiedEntry) {
        let digest = Digest {
            heads: vec![head(entry)],
            end: true,
        };
        self.receive(link, Message::Digest(digest));
    }

    pub(super) fn on_timer(&mut self) {
        let Self { node, sync, role } = self;
        let Node { ctx, net, log, .. } = node;
        sync.on_timer(ctx, net, log, Wanting::without_follows(role));
    }

    /// Lets the peer go on until no long work is left.
    pub(super) fn settle(&mut self) {
        while let Some(at) = self.sync.next_deadline() {
            let now = self.node.ctx.now.instant;
            self.node.pass(at.since(now).max(Duration::from_millis(1)));
            let Self { node, sync, role } = self;
            let Node { ctx, net, log, .. } = node;
            sync.work(ctx, net, log, Wanting::without_follows(role));
        }
    }

    pub(super) fn anti_entropy(&mut self) {
        let Self { node, sync, .. } = self;
        let Node { ctx, net, log, .. } = node;
        sync.anti_entropy(ctx, net, log);
    }

    /// Reads what is to be served, and sends it.
    pub(super) fn serve(&mut self) -> usize {
        let loads = self.node.loads();
        for load in &loads {
            let rows = self.node.store.load(load);
            let Node { ctx, log, .. } = &mut self.node;
            self.sync.on_serve_rows(ctx, log, load.id, rows);
        }
        loads.len()
    }

    pub(super) fn down(&mut self, link: LinkId) {
        self.node.net.end(&mut self.node.ctx, link, "the test ended it");
        let ended: Vec<Ended> = self
            .node
            .facts()
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::SessionDown(ended) => Some(ended),
                _ => None,
            })
            .collect();
        for ended in &ended {
            let Self { node, sync, role } = self;
            let Node { ctx, net, log, .. } = node;
            sync.on_session_down(ctx, net, log, Wanting::without_follows(role), ended);
        }
    }

    pub(super) fn wants(&mut self, link: LinkId) -> Vec<Want> {
        let sent = self.node.sent(link).into_iter();
        let wants = sent.filter_map(|message| match message {
            Message::Want(want) => Some(want),
            _ => None,
        });
        wants.collect()
    }

    /// The heads a neighbour was told.
    pub(super) fn told(&mut self, link: LinkId) -> Vec<FeedHead> {
        let sent = self.node.sent(link).into_iter();
        let heads = sent.filter_map(|message| match message {
            Message::Digest(digest) => Some(digest.heads),
            _ => None,
        });
        heads.flatten().collect()
    }

    pub(super) fn misbehaved(&mut self) -> bool {
        let facts = self.node.facts();
        facts.iter().any(|fact| matches!(fact, Fact::Misbehaved { .. }))
    }

    pub(super) fn held(&self, author: &Author) -> u64 {
        let feed = self.node.log.feeds.get(&author.device());
        feed.map_or(0, |feed| feed.next_seq)
    }
}

pub(super) fn entries(request: u32, entries: &[VerifiedEntry]) -> Message {
    let entries = entries.iter().map(|entry| entry.entry().clone()).collect();
    Message::Entries(Entries { request, entries })
}

pub(super) fn written(author: &mut Author, entries: usize) -> Vec<VerifiedEntry> {
    let mut written = vec![author.begin()];
    written.extend((1..entries).map(|n| author.post(&n.to_string())));
    written
}
