//! Two dialers and the signaling between them.

use core::time::Duration;

use protocol::link::handshake::{Binding, Side};
use protocol::signal::Payload;
use protocol::{Instant, PeerId};

use super::dialer::{Action, Dialer, PEER_TIMEOUT, RELAY_TIMEOUT, TransportCapabilities, Via};
use super::port::{ConnectionId, ToPage};

const T0: Instant = Instant(1_000_000);
const ALL: TransportCapabilities = TransportCapabilities {
    webrtc: true,
    direct: true,
};

fn peer(n: u8) -> PeerId {
    PeerId([n; 32])
}

fn sdp(n: u8) -> String {
    let pairs = vec![format!("{n:02X}"); 32].join(":");
    format!("v=0\r\na=fingerprint:sha-256 {pairs}\r\n")
}

fn dialer(me: u8, capabilities: TransportCapabilities) -> Dialer {
    let mut dialer = Dialer::new(capabilities);
    dialer.set_me(peer(me));
    dialer.set_joined(true, T0);
    dialer.set_home_relay(peer(200));
    dialer
}

/// Browsers by key, whose pages describe at once, joined by a signaling server that loses nothing.
struct Net {
    dialers: Vec<(u8, Dialer)>,
    ups: Vec<(u8, Side, Option<Binding>)>,
    failed: Vec<u8>,
    pages: Vec<(u8, ToPage)>,
    connections: Vec<(u8, ConnectionId)>,
}

impl Net {
    fn new(dialers: Vec<(u8, Dialer)>) -> Self {
        Self {
            dialers,
            ups: vec![],
            failed: vec![],
            pages: vec![],
            connections: vec![],
        }
    }

    fn at(&mut self, me: u8) -> &mut Dialer {
        &mut self
            .dialers
            .iter_mut()
            .find(|(n, _)| *n == me)
            .expect("a dialer")
            .1
    }

    /// Passes messages on until there are none; then every connection both of whose ends are described opens.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for at in 0..self.dialers.len() {
                let (me, dialer) = &mut self.dialers[at];
                let me = *me;
                for action in dialer.take_actions() {
                    quiet = false;
                    self.act(me, action);
                }
            }
            if quiet {
                break;
            }
        }
        for (me, connection) in self.connections.clone() {
            self.at(me).on_open(connection, T0);
        }
        for at in 0..self.dialers.len() {
            let (me, dialer) = &mut self.dialers[at];
            let me = *me;
            for action in dialer.take_actions() {
                self.act(me, action);
            }
        }
    }

    fn act(&mut self, me: u8, action: Action) {
        match action {
            Action::Signal { to, payload, .. } => {
                let there = self.dialers.iter().any(|(n, _)| peer(*n) == to);
                if there {
                    self.at(to.as_bytes()[0])
                        .on_signal(peer(me), payload, Via::Server, T0);
                } else {
                    self.at(me).on_absent(to, T0);
                }
            }
            Action::Page(command) => {
                if let ToPage::Offer { connection } | ToPage::Accept { connection, .. } = command {
                    self.connections.push((me, connection));
                    self.at(me).on_described(connection, sdp(me), T0);
                }
                self.pages.push((me, command));
            }
            Action::Up { side, binding, .. } => self.ups.push((me, side, binding)),
            Action::Failed { peer } => self.failed.push(peer.as_bytes()[0]),
            Action::OpenSocket { connection, .. } => self.connections.push((me, connection)),
            Action::DropSocket { .. } => {}
        }
    }
}

fn dtls(offerer: u8, answerer: u8) -> Option<Binding> {
    Some(Binding::Dtls {
        offerer: [offerer; 32],
        answerer: [answerer; 32],
    })
}

fn two() -> Net {
    Net::new(vec![(1, dialer(1, ALL)), (2, dialer(2, ALL))])
}

#[test]
fn the_lower_key_offers_no_matter_which_end_dials() {
    for dialling in [vec![1], vec![2], vec![1, 2], vec![2, 1]] {
        let mut net = two();
        for me in &dialling {
            net.at(*me).dial(peer(3 - me), false, T0);
        }
        net.settle();
        net.ups.sort_by_key(|(me, ..)| *me);
        let expected = vec![(1, Side::Initiator, dtls(1, 2)), (2, Side::Responder, dtls(1, 2))];
        assert_eq!(net.ups, expected, "dialled by {dialling:?}");
        assert_eq!(net.failed, [0u8; 0], "dialled by {dialling:?}");
    }
}

#[test]
fn a_peer_that_is_gone_or_declines_is_a_failed_dial() {
    let mut net = two();
    net.at(1).dial(peer(9), false, T0);
    net.at(2).dial(peer(0), false, T0);
    net.settle();
    assert_eq!((net.failed.len(), net.ups.len()), (2, 0));

    let relayed_only = TransportCapabilities {
        webrtc: true,
        direct: false,
    };
    let mut net = Net::new(vec![(1, dialer(1, ALL)), (2, dialer(2, relayed_only))]);
    net.at(1).dial(peer(2), false, T0);
    net.at(2).dial(peer(1), false, T0);
    net.settle();
    net.failed.sort_unstable();
    assert_eq!((net.failed, net.ups.len()), (vec![1, 2], 0));
}

#[test]
fn a_dial_without_an_outcome_fails_in_time() {
    let mut dialer = dialer(1, ALL);
    dialer.dial(peer(2), false, T0);
    let page = dialer.take_actions();
    let [Action::Page(ToPage::Offer { connection })] = page[..] else {
        panic!("{page:?}")
    };
    assert_eq!(dialer.next_deadline(), Some(T0 + PEER_TIMEOUT));
    dialer.tick(T0 + PEER_TIMEOUT);
    assert_eq!(
        dialer.take_actions(),
        [
            Action::Page(ToPage::Close { connection }),
            Action::Failed { peer: peer(2) }
        ]
    );
    assert_eq!(dialer.next_deadline(), None);
    dialer.on_described(connection, sdp(1), T0);
    dialer.on_open(connection, T0);
    assert_eq!(dialer.take_actions(), [], "what comes too late changes nothing");
}

#[test]
fn a_relay_is_reached_over_a_websocket_where_webrtc_fails() {
    let mut net = Net::new(vec![(1, dialer(1, ALL))]);
    net.at(1).dial(peer(200), true, T0);
    net.settle();
    assert_eq!(
        net.ups,
        [(1, Side::Initiator, None)],
        "the relay is absent from signaling"
    );
    net.ups.clear();
    net.at(1).dial(peer(200), true, T0 + Duration::from_secs(60));
    assert!(
        matches!(net.at(1).take_actions()[..], [Action::OpenSocket { .. }]),
        "the way that failed is not tried again at once"
    );

    let mut dialer = dialer(
        1,
        TransportCapabilities {
            webrtc: false,
            direct: true,
        },
    );
    dialer.dial(peer(200), true, T0);
    let actions = dialer.take_actions();
    let [Action::OpenSocket { connection, .. }] = actions[..] else {
        panic!("{actions:?}")
    };
    dialer.tick(T0 + RELAY_TIMEOUT);
    assert_eq!(
        dialer.take_actions(),
        [
            Action::DropSocket { connection },
            Action::Failed { peer: peer(200) }
        ]
    );
    dialer.dial(peer(7), false, T0);
    dialer.dial(peer(201), true, T0);
    assert_eq!(
        dialer.take_actions(),
        [
            Action::Failed { peer: peer(7) },
            Action::Failed { peer: peer(201) }
        ],
        "there is no way to these"
    );
}

#[test]
fn a_dial_waits_for_signaling_but_not_for_ever() {
    let mut dialer = dialer(1, ALL);
    dialer.set_joined(false, T0);
    dialer.dial(peer(200), true, T0);
    dialer.dial(peer(2), false, T0);
    assert_eq!(dialer.take_actions(), []);
    let soon = T0 + Duration::from_secs(2);
    dialer.tick(soon);
    assert!(matches!(dialer.take_actions()[..], [Action::OpenSocket { .. }]));
    dialer.set_joined(true, soon);
    assert!(matches!(
        dialer.take_actions()[..],
        [Action::Page(ToPage::Offer { .. })]
    ));
}

#[test]
fn a_stranger_cannot_fill_the_page_with_connections() {
    let mut dialer = dialer(150, ALL);
    for n in 0..100 {
        dialer.on_signal(
            peer(n),
            Payload::Offer {
                session: 5,
                sdp: sdp(n),
            },
            Via::Server,
            T0,
        );
    }
    let actions = dialer.take_actions();
    let accepted = actions
        .iter()
        .filter(|a| matches!(a, Action::Page(ToPage::Accept { .. })))
        .count();
    let declined = actions
        .iter()
        .filter(|a| {
            matches!(
                a,
                Action::Signal {
                    payload: Payload::Decline { .. },
                    ..
                }
            )
        })
        .count();
    assert_eq!((accepted, declined), (8, 92));
    for _ in 0..20 {
        dialer.on_signal(
            peer(3),
            Payload::Offer {
                session: 6,
                sdp: sdp(3),
            },
            Via::Server,
            T0,
        );
    }
    let actions = dialer.take_actions();
    let closed = actions
        .iter()
        .filter(|a| matches!(a, Action::Page(ToPage::Close { .. })))
        .count();
    let accepted = actions
        .iter()
        .filter(|a| matches!(a, Action::Page(ToPage::Accept { .. })))
        .count();
    assert_eq!(
        (closed, accepted),
        (20, 20),
        "a newer offer takes the place of the older"
    );
    // Connections that are held open give way to newcomers once honest ones would be open.
    let later = T0 + Duration::from_secs(3);
    for n in 101..116 {
        let session = 7;
        let offer = Payload::Offer { session, sdp: sdp(n) };
        dialer.on_signal(peer(n), offer, Via::Server, later);
    }
    let actions = dialer.take_actions();
    let accepted = actions
        .iter()
        .filter(|a| matches!(a, Action::Page(ToPage::Accept { .. })))
        .count();
    assert_eq!(accepted, 8, "as many as there were old ones");
}

#[test]
fn the_rule_of_keys_and_the_single_certificate_are_kept() {
    let mut dialer = dialer(5, ALL);
    let declined = |dialer: &mut Dialer| {
        matches!(
            dialer.take_actions()[..],
            [Action::Signal {
                payload: Payload::Decline { .. },
                ..
            }]
        )
    };
    dialer.on_signal(
        peer(9),
        Payload::Offer {
            session: 1,
            sdp: sdp(9),
        },
        Via::Server,
        T0,
    );
    assert!(declined(&mut dialer), "a higher key must not offer");
    dialer.on_signal(peer(2), Payload::Call { session: 1 }, Via::Server, T0);
    assert!(declined(&mut dialer), "a lower key must not call");
    dialer.on_signal(
        peer(2),
        Payload::Offer {
            session: 1,
            sdp: sdp(2) + &sdp(3),
        },
        Via::Server,
        T0,
    );
    assert!(declined(&mut dialer), "two certificates");
    dialer.on_signal(
        peer(5),
        Payload::Offer {
            session: 1,
            sdp: sdp(5),
        },
        Via::Server,
        T0,
    );
    assert!(declined(&mut dialer), "oneself");
    dialer.on_signal(
        peer(7),
        Payload::Answer {
            session: 1,
            sdp: sdp(2),
        },
        Via::Server,
        T0,
    );
    dialer.on_signal(
        peer(7),
        Payload::Candidate {
            session: 1,
            candidate: String::new(),
            mid: String::new(),
        },
        Via::Server,
        T0,
    );
    dialer.on_signal(peer(7), Payload::Decline { session: 1 }, Via::Server, T0);
    assert_eq!(dialer.take_actions(), [], "nothing of the kind is under way");
}

#[test]
fn a_channel_that_just_opened_is_not_doubled() {
    let mut net = two();
    net.at(1).dial(peer(2), false, T0);
    net.settle();
    assert_eq!(net.ups.len(), 2);
    net.at(2).dial(peer(1), false, T0 + Duration::from_secs(1));
    assert_eq!(net.at(2).take_actions(), [Action::Failed { peer: peer(1) }]);
    net.at(1).on_signal(
        peer(2),
        Payload::Call { session: 9 },
        Via::Server,
        T0 + Duration::from_secs(1),
    );
    assert!(matches!(
        net.at(1).take_actions()[..],
        [Action::Signal {
            payload: Payload::Decline { .. },
            ..
        }]
    ));
    net.at(1).on_signal(
        peer(2),
        Payload::Call { session: 9 },
        Via::Server,
        T0 + Duration::from_secs(30),
    );
    assert!(
        matches!(net.at(1).take_actions()[..], [Action::Page(ToPage::Offer { .. })]),
        "it may be dead by now"
    );
}
