//! One link's protocol stack, without sockets, tasks or clocks: ICE-lite, DTLS 1.2, SCTP, data channel 0.
//!
//! RFC 8445 (lite agent), RFC 7675 (liveness by the peer's consent checks), RFC 6347 (DTLS), RFC 8261 (SCTP over
//! DTLS), RFC 8831 and RFC 8832 section 4 (a negotiated channel: no handshake of its own).
//!
//! Contract: after any `handle_*`, `write` or `read`, call [`Session::flush`], take everything from
//! [`Session::outgoing`], then wait for a datagram or [`Session::deadline`].
//!
//! Invariants: nothing reaches the application before the peer's certificate had the fingerprint its offer
//! named; datagrams leave only for an address from which a check was verified; the peer may use one stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint as DtlsEndpoint, EndpointEvent};
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint as SctpEndpoint, EndpointConfig,
    Event, Payload, PayloadProtocolIdentifier, StreamEvent, TransportConfig,
};
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as StackError;

use super::packet_filter;
use super::sdp::Fingerprint;
use super::socket::Path;
use super::stun::{self, Credentials, Request};

/// The channel's SCTP stream; both ends create it negotiated, with this id.
const STREAM: u16 = 0;

/// DTLS and SCTP want to know an address; ours is chosen by ICE and may change, so they get a constant.
const SOMEWHERE: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// A link is gone when nothing authentic came for this long: RFC 7675 section 5.1. Browsers check every 2.5 s.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// When the selected path was silent for this long, two of a browser's check intervals, a verified check selects
/// its own even without nominating it: a NAT gave the peer a new address and the peer cannot know.
const PATH_SILENCE_MAX: Duration = Duration::from_secs(5);

/// How much faster than real time SCTP's clock runs. Its retransmission timeout is at least 1 s and its
/// acknowledgement delay 200 ms, constants of RFC 9260 from another time; browsers' own stacks use 120 to 400 ms
/// and 20 to 200 ms. At three, ours are 333 and 67 ms, and a lost last packet costs a third of a second. More would
/// misread a peer that delays its acknowledgement by the full 200 ms as a loss.
const SCTP_CLOCK_RATE: u32 = 3;

/// Bytes in flight on a path without delay. Chromium's socket drops what exceeds 56 full datagrams, and each such
/// loss costs a recovery; at 48 KiB and one message more it never happens (measured: steady 45 MB/s over loopback,
/// against 0.3 to 60 and stalls of a second at 128 KiB and above).
const FLIGHT_BYTES_MIN: usize = 48 << 10;

/// Bytes in flight for each millisecond of round trip on top: 40 MB/s, as fast as a browser takes them.
const FLIGHT_BYTES_PER_MS: usize = 40_000;

/// First retransmission of a DTLS flight. RFC 6347 section 4.2.4.1 suggests 1 s; RFC 9147 section 5.8.2 allows less
/// where latency matters, as for WebRTC.
const DTLS_FLIGHT_INTERVAL: Duration = Duration::from_millis(250);

/// DTLS records of which the replay window remembers the number. The largest burst a reordering path is
/// expected to hold back.
const DTLS_REPLAY_WINDOW: usize = 256;

/// Datagrams a peer may send before its handshake is complete; the DTLS layer queues early records without a
/// bound of its own. A browser needs about ten.
const HANDSHAKE_DATAGRAMS_MAX: u32 = 256;

/// Bytes of an unfinished message a peer may have sent, as a multiple of the receive window. To escape a
/// deadlock the SCTP layer takes the next fragment of an unfinished message even beyond its window; an honest
/// peer, retransmissions included, stays far below.
const UNFINISHED_WINDOWS_MAX: usize = 4;

/// What every session of an endpoint shares.
pub(super) struct Stack {
    pub(super) crypto: Arc<dyn RTCCryptoProvider>,
    pub(super) certificate: Certificate,
    pub(super) fingerprint: Fingerprint,
    pub(super) receive_window_bytes: u32,
    pub(super) message_bytes_max: usize,
}

impl Stack {
    /// Makes the endpoint's certificate; it lives as long as the endpoint.
    pub(super) fn new(receive_window_bytes: u32, message_bytes_max: usize) -> Result<Self, StackError> {
        let crypto = rtc_crypto::default_provider().map_err(|error| StackError::Crypto(error.to_string()))?;
        let certificate = Certificate::generate_self_signed(vec!["starling".to_owned()], crypto.crypto())?;
        let der = certificate
            .certificate
            .first()
            .ok_or(StackError::ErrNonCertificate)?;
        let fingerprint = fingerprint_of(der, &*crypto)?;
        Ok(Self {
            crypto,
            certificate,
            fingerprint,
            receive_window_bytes,
            message_bytes_max,
        })
    }

    /// The handshake of a DTLS client that accepts exactly one certificate.
    fn handshake(&self, expected: Fingerprint) -> Result<Arc<HandshakeConfig>, StackError> {
        let crypto = Arc::clone(&self.crypto);
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::clone(&self.crypto))
            .with_certificates(vec![self.certificate.clone()])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_flight_interval(DTLS_FLIGHT_INTERVAL)
            .with_replay_protection_window(DTLS_REPLAY_WINDOW)
            // No authority signs these certificates; the fingerprint below is the whole check (RFC 8122).
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(move |chain: &[Vec<u8>], _: &[_]| {
                let leaf = chain.first().ok_or(StackError::ErrNonCertificate)?;
                let actual = fingerprint_of(leaf, &*crypto)?;
                if rtc_crypto::constant_time_eq(&actual, &expected) {
                    Ok(())
                } else {
                    Err(StackError::ErrNoMatchingCertificateFingerprint)
                }
            })))
            .build(true, None)?;
        Ok(Arc::new(config))
    }
}

fn fingerprint_of(der: &[u8], crypto: &dyn RTCCryptoProvider) -> Result<Fingerprint, StackError> {
    let hash = crypto
        .crypto()
        .hash(HashAlgorithm::Sha256, der)
        .map_err(|error| StackError::Crypto(error.to_string()))?;
    hash.try_into().map_err(|_| StackError::ErrNonCertificate)
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the peer closed the link")]
    ByPeer,
    #[error("nothing came from the peer for {} s", SILENCE_MAX.as_secs())]
    Silence,
    #[error("the peer broke the protocol: {0}")]
    Violation(&'static str),
    #[error("handshake or transport failed: {0}")]
    Failed(String),
}

impl From<StackError> for Ended {
    fn from(error: StackError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A datagram to send. `None`: to the selected path.
pub(super) type Outgoing = (Option<Path>, BytesMut);

struct Channel {
    endpoint: SctpEndpoint,
    handle: AssociationHandle,
    association: Association,
    /// When its clock showed the real time.
    epoch: Instant,
    /// The shortest smoothed round trip on the selected path, in its clock.
    rtt_min: Option<Duration>,
}

impl Channel {
    /// SCTP's time.
    fn clock(&self, now: Instant) -> Instant {
        self.epoch + now.saturating_duration_since(self.epoch) * SCTP_CLOCK_RATE
    }

    /// When SCTP next wants to run, in real time.
    fn deadline(&self) -> Option<Instant> {
        let deadline = self.association.poll_timeout()?;
        // Rounded up, so that it has passed when it is handled.
        let wait = deadline.saturating_duration_since(self.epoch) / SCTP_CLOCK_RATE + Duration::from_nanos(1);
        Some(self.epoch + wait)
    }
}

pub(super) struct Session {
    stack: Arc<Stack>,
    credentials: Credentials,
    remote_fingerprint: Fingerprint,
    selected: Option<Path>,
    verified: Vec<Path>,
    dtls: Option<DtlsEndpoint>,
    handshake_datagrams: u32,
    secured: bool,
    channel: Option<Channel>,
    open: bool,
    readable: bool,
    /// User bytes received and not yet read. An estimate from above: retransmissions count until all is read.
    unread_bytes: usize,
    /// The last packet with user data, while the window may be closed.
    window_reopener: Option<Bytes>,
    /// Bytes written and not yet acknowledged by the peer.
    unacknowledged_bytes: usize,
    /// Of those, acknowledged since [`Session::take_acknowledged`] was last asked.
    acknowledged_bytes: usize,
    last_heard: Instant,
    /// The same for the selected path alone.
    selected_heard: Instant,
    outgoing: Vec<Outgoing>,
}

impl Session {
    pub(super) fn new(
        now: Instant,
        stack: Arc<Stack>,
        credentials: Credentials,
        remote_fingerprint: Fingerprint,
    ) -> Self {
        Self {
            stack,
            credentials,
            remote_fingerprint,
            selected: None,
            verified: Vec::new(),
            dtls: None,
            handshake_datagrams: 0,
            secured: false,
            channel: None,
            open: false,
            readable: false,
            unread_bytes: 0,
            window_reopener: None,
            unacknowledged_bytes: 0,
            acknowledged_bytes: 0,
            last_heard: now,
            selected_heard: now,
            outgoing: Vec::new(),
        }
    }

    /// Whether the data channel is open.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether [`Self::read`] may have a message.
    pub(super) fn is_readable(&self) -> bool {
        self.open && self.readable
    }

    pub(super) fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// Whether another message may be written. What may be in flight grows with the round trip, up to `bytes_max`:
    /// more than the path holds only fills the queue in front of the browser.
    pub(super) fn may_write(&self, bytes_max: usize) -> bool {
        let rtt = self
            .channel
            .as_ref()
            .and_then(|channel| channel.rtt_min)
            .unwrap_or_default();
        let rtt_ms = (rtt / SCTP_CLOCK_RATE).as_secs_f64() * 1_000.0;
        let flight_bytes = FLIGHT_BYTES_MIN + (rtt_ms * FLIGHT_BYTES_PER_MS as f64) as usize;
        self.open && self.unacknowledged_bytes < flight_bytes.min(bytes_max)
    }

    pub(super) fn unacknowledged_bytes(&self) -> usize {
        self.unacknowledged_bytes
    }

    /// Bytes acknowledged since the last call.
    pub(super) fn take_acknowledged(&mut self) -> usize {
        std::mem::take(&mut self.acknowledged_bytes)
    }

    /// Paths verified since the last call.
    pub(super) fn take_verified(&mut self) -> Vec<Path> {
        std::mem::take(&mut self.verified)
    }

    /// Datagrams to send, in order.
    pub(super) fn outgoing(&mut self) -> &mut Vec<Outgoing> {
        &mut self.outgoing
    }

    /// On receiving a datagram: a check is verified, answered, and may select its path; a DTLS record feeds the
    /// handshake or, once that is done, SCTP. Anything else is dropped.
    pub(super) fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Ended> {
        if stun::is_stun(datagram) {
            self.handle_check(now, path, datagram)
        } else {
            self.handle_record(now, path, datagram)
        }
    }

    fn handle_check(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Ended> {
        let crypto = self.stack.crypto.crypto();
        let Some(request) = Request::parse(datagram, &self.credentials, crypto) else {
            return Ok(());
        };
        let Some(answer) = request.answer(path.peer, &self.credentials, crypto) else {
            return Ok(());
        };
        self.last_heard = now;
        self.outgoing.push((Some(path), BytesMut::from(&answer[..])));
        self.verified.push(path);
        let rebound =
            self.selected.is_some() && now.saturating_duration_since(self.selected_heard) >= PATH_SILENCE_MAX;
        if request.use_candidate || rebound {
            // Also later, when the peer has moved: the controlling side decides, any time (RFC 8445 section 8.1.1).
            if self.selected != Some(path) {
                self.selected = Some(path);
                if let Some(channel) = self.channel.as_mut() {
                    channel.rtt_min = None;
                }
            }
            if self.dtls.is_none() {
                let mut dtls = DtlsEndpoint::new(SOMEWHERE, TransportProtocol::UDP, None);
                dtls.connect(
                    now,
                    SOMEWHERE,
                    self.stack.handshake(self.remote_fingerprint)?,
                    None,
                )?;
                self.dtls = Some(dtls);
                self.drain_dtls();
            }
        }
        if self.selected == Some(path) {
            self.selected_heard = now;
        }
        Ok(())
    }

    fn handle_record(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Ended> {
        let Some(dtls) = self.dtls.as_mut() else {
            return Ok(());
        };
        if !self.secured {
            self.handshake_datagrams += 1;
            if self.handshake_datagrams > HANDSHAKE_DATAGRAMS_MAX {
                return Err(Ended::Violation("endless handshake"));
            }
        } else if !packet_filter::is_secured(datagram) {
            return Ok(());
        }
        let events = match dtls.read(now, SOMEWHERE, None, BytesMut::from(datagram)) {
            Ok(events) => events,
            // A spoofed source address must not end an established link; a fatal alert that was decrypted may.
            Err(error) if !self.secured || matches!(error, StackError::ErrAlertFatalOrClose) => {
                self.drain_dtls();
                return Err(error.into());
            }
            Err(_) => return Ok(()),
        };
        self.drain_dtls();
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => {
                    self.secured = true;
                    self.start_channel(now)?;
                }
                EndpointEvent::ApplicationData(packet) => {
                    self.last_heard = now;
                    if self.selected == Some(path) {
                        self.selected_heard = now;
                    }
                    self.handle_packet(now, packet.freeze())?;
                }
                EndpointEvent::PeerClosed => return Err(Ended::ByPeer),
                _ => {}
            }
        }
        Ok(())
    }

    /// Both ends connect, as RFC 8841 section 9.3 has it. The endpoint has no server half, so the peer's INIT is
    /// refused and ours goes through: one association, never a second.
    fn start_channel(&mut self, now: Instant) -> Result<(), Ended> {
        let mut endpoint = SctpEndpoint::new(
            SOMEWHERE,
            TransportProtocol::UDP,
            Arc::new(EndpointConfig::default()),
            None,
        );
        let transport = TransportConfig::default()
            .with_max_message_size(self.stack.message_bytes_max as u32)
            .with_max_receive_buffer_size(self.stack.receive_window_bytes)
            .with_max_num_outbound_streams(STREAM + 1)
            .with_max_num_inbound_streams(STREAM + 1);
        let (handle, association) = endpoint
            .connect(now, ClientConfig::new(transport), SOMEWHERE)
            .map_err(|error| Ended::Failed(error.to_string()))?;
        self.channel = Some(Channel {
            endpoint,
            handle,
            association,
            epoch: now,
            rtt_min: None,
        });
        Ok(())
    }

    fn handle_packet(&mut self, now: Instant, packet: Bytes) -> Result<(), Ended> {
        let bytes = packet_filter::user_bytes(&packet)?;
        if bytes > 0 {
            let window_bytes = self.stack.receive_window_bytes as usize;
            self.unread_bytes += bytes;
            if !self.readable && self.unread_bytes > UNFINISHED_WINDOWS_MAX * window_bytes {
                return Err(Ended::Violation("an endless message"));
            }
            if self.unread_bytes > window_bytes / 2 {
                self.window_reopener = Some(packet.clone());
            }
        }
        self.hear(now, packet)
    }

    fn hear(&mut self, now: Instant, packet: Bytes) -> Result<(), Ended> {
        let Some(channel) = self.channel.as_mut() else {
            return Ok(());
        };
        let clock = channel.clock(now);
        if let Some((handle, DatagramEvent::AssociationEvent(event))) =
            channel.endpoint.handle(clock, SOMEWHERE, None, packet)
            && handle == channel.handle
        {
            channel.association.handle_event(event);
        }
        self.drain_events()
    }

    fn drain_events(&mut self) -> Result<(), Ended> {
        let Some(channel) = self.channel.as_mut() else {
            return Ok(());
        };
        while let Some(event) = channel.association.poll() {
            match event {
                Event::Connected => {
                    // It exists already if the peer's first message overtook the last step of the handshake.
                    let _ = channel
                        .association
                        .open_stream(STREAM, PayloadProtocolIdentifier::Binary);
                    self.open = true;
                }
                Event::HandshakeFailed { reason } => return Err(Ended::Failed(reason.to_string())),
                Event::AssociationLost { .. } => return Err(Ended::ByPeer),
                Event::Stream(StreamEvent::Readable { .. }) => self.readable = true,
                Event::Stream(StreamEvent::BufferedAmountReleased { n_bytes, .. }) => {
                    self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(n_bytes);
                    self.acknowledged_bytes += n_bytes;
                    let rtt = channel.association.rtt();
                    channel.rtt_min = Some(channel.rtt_min.map_or(rtt, |shortest| shortest.min(rtt)));
                }
                _ => {}
            }
        }
        if channel.association.is_closed() || channel.association.poll_endpoint_event().is_some() {
            return Err(Ended::ByPeer);
        }
        Ok(())
    }

    /// The next message. Not calling this is back-pressure: unread bytes shrink the advertised receive window.
    pub(super) fn read(&mut self, now: Instant) -> Result<Option<Bytes>, Ended> {
        let Some(channel) = self.channel.as_mut().filter(|_| self.open) else {
            return Ok(None);
        };
        let Some(chunks) = channel.association.stream(STREAM)?.read_sctp()? else {
            self.readable = false;
            self.unread_bytes = 0;
            self.reopen_window(now)?;
            return Ok(None);
        };
        match chunks.ppi {
            PayloadProtocolIdentifier::Binary => {}
            _ => return Err(Ended::Violation("not a binary message")),
        }
        let message = chunks
            .to_payload(self.stack.message_bytes_max)
            .map_err(|_| Ended::Violation("a message longer than announced"))?;
        self.unread_bytes = self.unread_bytes.saturating_sub(message.len());
        if self.unread_bytes <= self.stack.receive_window_bytes as usize / 2 {
            self.reopen_window(now)?;
        }
        Ok(Some(message.freeze()))
    }

    /// Advertises the window again. The SCTP layer only does so when data arrives, so a peer that saw a closed window
    /// would wait for a retransmission, or for ever if it has nothing to retransmit. So the last packet is processed
    /// once more: a duplicate is acknowledged, and the acknowledgement contains the window (RFC 9260 section 6.2).
    fn reopen_window(&mut self, now: Instant) -> Result<(), Ended> {
        match self.window_reopener.take() {
            Some(packet) => self.hear(now, packet),
            None => Ok(()),
        }
    }

    /// Queues a message. The caller bounds [`Self::unacknowledged_bytes`].
    pub(super) fn write(&mut self, now: Instant, message: &Bytes) -> Result<(), Ended> {
        assert!(self.open, "a message was written before the channel opened");
        let Some(channel) = self.channel.as_mut() else {
            return Ok(());
        };
        let clock = channel.clock(now);
        channel.association.stream(STREAM)?.write_chunk_with_ppi(
            clock,
            message,
            PayloadProtocolIdentifier::Binary,
        )?;
        self.unacknowledged_bytes += message.len();
        Ok(())
    }

    /// When [`Self::handle_deadline`] wants to run.
    pub(super) fn deadline(&self) -> Instant {
        let dtls = self.dtls.as_ref().and_then(|dtls| dtls.poll_timeout(&SOMEWHERE));
        let sctp = self.channel.as_ref().and_then(Channel::deadline);
        [dtls, sctp]
            .into_iter()
            .flatten()
            .fold(self.last_heard + SILENCE_MAX, Instant::min)
    }

    /// On a deadline: retransmits what is due, and gives up a silent peer.
    pub(super) fn handle_deadline(&mut self, now: Instant) -> Result<(), Ended> {
        if now.saturating_duration_since(self.last_heard) >= SILENCE_MAX {
            return Err(Ended::Silence);
        }
        if let Some(dtls) = self.dtls.as_mut() {
            dtls.handle_timeout(SOMEWHERE, now)?;
            self.drain_dtls();
        }
        if let Some(channel) = self.channel.as_mut() {
            let clock = channel.clock(now);
            channel.association.handle_timeout(clock);
        }
        self.drain_events()
    }

    /// Turns SCTP's output into datagrams. Once per batch of inputs, so that one SACK answers them all.
    pub(super) fn flush(&mut self, now: Instant) -> Result<(), Ended> {
        let (Some(channel), Some(dtls)) = (self.channel.as_mut(), self.dtls.as_mut()) else {
            return Ok(());
        };
        let clock = channel.clock(now);
        while let Some(transmit) = channel.association.poll_transmit(clock) {
            let Payload::RawEncode(packets) = transmit.message else {
                continue;
            };
            for packet in packets {
                dtls.write(now, SOMEWHERE, &packet)?;
            }
        }
        self.drain_dtls();
        Ok(())
    }

    /// Closes both layers: browsers fire `close` on the channel at once.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(channel) = self.channel.as_mut() {
            let _ = channel.association.abort();
        }
        // The session is over either way: if the peer cannot be notified, it times out.
        let _ = self.flush(now);
        if let Some(dtls) = self.dtls.as_mut() {
            let _ = dtls.close(now);
            self.drain_dtls();
        }
        self.open = false;
    }

    fn drain_dtls(&mut self) {
        let Some(dtls) = self.dtls.as_mut() else { return };
        while let Some(transmit) = dtls.poll_transmit() {
            self.outgoing.push((None, transmit.message));
        }
    }
}
