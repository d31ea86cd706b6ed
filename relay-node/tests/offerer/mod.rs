//! The other end of a link for tests and benches: a full WebRTC peer with a socket of its own, offering as a
//! browser does.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCSessionDescription,
    SettingEngineBuilder,
};

struct Silent;

impl PeerConnectionEventHandler for Silent {}

/// One offering peer with its negotiated channel.
pub(crate) struct Offerer {
    connection: Arc<dyn PeerConnection>,
    channel: Arc<dyn DataChannel>,
    /// What a browser would post to the relay.
    pub(crate) offer_sdp: String,
}

#[allow(dead_code, reason = "tests and benches each use a part")]
impl Offerer {
    pub(crate) async fn new() -> Self {
        let settings = SettingEngineBuilder::default()
            .with_include_loopback_candidate(true)
            .build();
        let connection = PeerConnectionBuilder::new()
            .with_handler(Arc::new(Silent))
            .with_setting_engine(settings)
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .with_data_channel_send_buffer_limit(1 << 20)
            .build()
            .await
            .expect("offerer");
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        let init = RTCDataChannelInit {
            ordered: true,
            negotiated: Some(0),
            ..Default::default()
        };
        let channel = connection
            .create_data_channel("starling", Some(init))
            .await
            .expect("channel");
        let offer = connection.create_offer(None).await.expect("offer");
        let offer_sdp = offer.sdp.clone();
        connection
            .set_local_description(offer)
            .await
            .expect("local description");
        Self {
            connection,
            channel,
            offer_sdp,
        }
    }

    /// Takes the relay's answer and waits for the channel.
    pub(crate) async fn open(&self, answer_sdp: String) {
        self.take_answer(answer_sdp).await;
        self.opened().await;
    }

    /// Waits for the channel.
    pub(crate) async fn opened(&self) {
        let opened = async {
            loop {
                match self.channel.poll().await {
                    Some(DataChannelEvent::OnOpen) => break,
                    Some(_) => {}
                    None => panic!("the channel ended before it opened"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), opened)
            .await
            .expect("the channel opens in time");
    }

    pub(crate) async fn take_answer(&self, answer_sdp: String) {
        let answer = RTCSessionDescription::answer(answer_sdp).expect("answer");
        self.connection
            .set_remote_description(answer)
            .await
            .expect("remote description");
    }

    pub(crate) async fn send(&self, message: &[u8]) {
        self.try_send(message).await.expect("send");
    }

    pub(crate) async fn try_send(&self, message: &[u8]) -> Result<(), webrtc::error::Error> {
        self.channel.send(BytesMut::from(message)).await
    }

    /// The next message; `None` once the channel is closed.
    pub(crate) async fn recv(&self) -> Option<BytesMut> {
        loop {
            match self.channel.poll().await {
                Some(DataChannelEvent::OnMessage(message)) => return Some(message.data),
                Some(DataChannelEvent::OnClose) | None => return None,
                Some(_) => {}
            }
        }
    }

    /// Closes as `RTCPeerConnection.close()` does.
    pub(crate) async fn close(self) {
        let _ = self.connection.close().await;
    }

    /// Closes as `RTCDataChannel.close()` does.
    pub(crate) async fn close_channel(&self) {
        let _ = self.channel.close().await;
    }
}
