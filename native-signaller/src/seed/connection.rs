//! A connection of the `webrtc` crate with its two channels: its types end here.

use super::stack::Shared;
use bytes::{Bytes, BytesMut};
use core::net::IpAddr;
use core::time::Duration;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use rtc::peer_connection::transport::RTCDtlsRole;
use std::sync::Arc;
use swarmlet_core::config::CHANNEL_LOW_BYTES;
use swarmlet_core::wire::{Address, Candidate, CandidateKind, Description, sdp};
use swarmlet_core::{Channel, LinkId};
use tokio::sync::mpsc;
use tokio::time;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::error::{Error, Result};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceGatheringState, RTCIceServer, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngine, SettingEngineBuilder,
};
use webrtc::runtime::default_runtime;

/// What browsers take, and what our descriptions promise.
const MESSAGE_BYTES_MAX: u32 = 256 * 1024;
/// What the other side may have on the way to us. The crate's own 1 MiB would be 10 MB/s at 100 ms.
const RECEIVE_BYTES: u32 = 4 * 1024 * 1024;
/// The crate's driver may hang in its own end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// How addresses that a NAT hands on are preferred (RFC 8445 §5.1.2.2).
const REFLEXIVE_PREFERENCE: u32 = 100;

/// What a connection says of itself.
pub(super) enum Pulse {
    /// A way to reach us; `None`: that was the last one.
    Found(Option<Candidate>),
    /// It will not come back.
    Lost,
}

/// One connection.
pub(super) struct Connection {
    peer: Arc<dyn PeerConnection>,
    pub(super) control: Arc<dyn DataChannel>,
    pub(super) bulk: Arc<dyn DataChannel>,
    pub(super) pulse: mpsc::UnboundedReceiver<Pulse>,
}

impl Connection {
    /// Makes a connection and its channels, and describes our side of it.
    pub(super) async fn open(
        link: LinkId,
        offer: Option<String>,
        shared: &Shared,
    ) -> Result<(Self, Description)> {
        let (heart, pulse) = mpsc::unbounded_channel();
        let servers = match shared.stun.as_slice() {
            [] => Vec::new(),
            urls => vec![RTCIceServer { urls: urls.to_vec(), ..RTCIceServer::default() }],
        };
        let runtime = default_runtime().ok_or_else(|| Error::Other("no runtime".to_owned()))?;
        let built = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(servers).build())
            .with_setting_engine(engine(shared))
            .with_handler(Arc::new(Heart { pulse: heart, external: shared.external.clone() }))
            .with_runtime(runtime)
            .with_udp_addrs(shared.addresses.clone())
            .build()
            .await?;
        let peer: Arc<dyn PeerConnection> = Arc::new(built);
        match Self::describe(&peer, offer).await {
            Ok((control, bulk, description)) => {
                tracing::trace!(event = "described", link = link.0);
                Ok((Self { peer, control, bulk, pulse }, description))
            }
            Err(error) => {
                let _ = time::timeout(CLOSE_DEADLINE, peer.close()).await;
                Err(error)
            }
        }
    }

    async fn describe(
        peer: &Arc<dyn PeerConnection>,
        offer: Option<String>,
    ) -> Result<(Arc<dyn DataChannel>, Arc<dyn DataChannel>, Description)> {
        let init =
            |id| RTCDataChannelInit { ordered: true, negotiated: Some(id), ..RTCDataChannelInit::default() };
        let control = peer.create_data_channel("swarmlet-control", Some(init(0))).await?;
        let bulk = peer.create_data_channel("swarmlet-bulk", Some(init(1))).await?;
        for channel in [&control, &bulk] {
            channel.set_buffered_amount_low_threshold(CHANNEL_LOW_BYTES).await?;
        }
        let local = match offer {
            None => peer.create_offer(None).await?,
            Some(offer) => {
                peer.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
                peer.create_answer(None).await?
            }
        };
        let description = sdp::parse(&local.sdp).ok_or_else(|| Error::Other("odd description".to_owned()))?;
        peer.set_local_description(local).await?;
        Ok((control, bulk, description))
    }

    /// Takes the answer to our offer.
    pub(super) async fn complete(&self, answer: String) -> bool {
        let Ok(answer) = RTCSessionDescription::answer(answer) else { return false };
        self.peer.set_remote_description(answer).await.is_ok()
    }

    /// Takes one of the other side's candidates.
    pub(super) async fn add(&self, candidate: String) -> bool {
        let init = RTCIceCandidateInit {
            candidate,
            sdp_mid: Some("0".to_owned()),
            sdp_mline_index: Some(0),
            ..RTCIceCandidateInit::default()
        };
        self.peer.add_ice_candidate(init).await.is_ok()
    }

    /// Sends one message; never waits for the other side.
    pub(super) async fn send(&self, channel: Channel, bytes: Vec<u8>) -> Result<()> {
        self.channel(channel).send(BytesMut::from(Bytes::from(bytes))).await
    }

    /// Bytes of a channel that the other side has not acknowledged yet. `None`: it is closed.
    pub(super) async fn outstanding(&self, channel: Channel) -> Option<u64> {
        self.channel(channel).outstanding_bytes().await.ok().map(|bytes| bytes as u64)
    }

    fn channel(&self, channel: Channel) -> &Arc<dyn DataChannel> {
        match channel {
            Channel::Control => &self.control,
            Channel::Bulk => &self.bulk,
        }
    }

    /// Ends it, and its sockets.
    pub(super) async fn close(self) {
        let _ = time::timeout(CLOSE_DEADLINE, self.peer.close()).await;
    }
}

fn engine(shared: &Shared) -> SettingEngine {
    SettingEngineBuilder::new()
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MESSAGE_BYTES_MAX))
        .with_sctp_max_receive_buffer_size(RECEIVE_BYTES)
        // Pages hide behind names that only their own network can resolve. They reach us by our addresses all the
        // same, and a socket for each connection to resolve names with is saved.
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        // See `pipe`: who is not the client is the first to be ready.
        .with_answering_dtls_role(RTCDtlsRole::Server)
        .with_include_loopback_candidate(shared.loopback)
        .build()
}

/// What the crate calls. It runs on the connection's own driver and must not wait.
struct Heart {
    pulse: mpsc::UnboundedSender<Pulse>,
    external: Vec<IpAddr>,
}

impl Heart {
    /// A way to reach us; and the same by each address that a NAT hands on to this one, which the crate has a setting
    /// for that it does not heed.
    fn found(&self, candidate: Candidate) {
        if candidate.kind == CandidateKind::Host {
            for outside in &self.external {
                let address = match (outside, candidate.address) {
                    (IpAddr::V4(ip), Address::V4(_)) => Address::V4(ip.octets()),
                    (IpAddr::V6(ip), Address::V6(_)) => Address::V6(ip.octets()),
                    _ => continue,
                };
                let priority = REFLEXIVE_PREFERENCE << 24 | candidate.priority & 0x00ff_ffff;
                let kind = CandidateKind::ServerReflexive;
                let _ = self.pulse.send(Pulse::Found(Some(Candidate {
                    address,
                    kind,
                    priority,
                    port: candidate.port,
                })));
            }
        }
        let _ = self.pulse.send(Pulse::Found(Some(candidate)));
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Heart {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let line = event.candidate.to_json().ok().map(|init| init.candidate);
        if let Some(candidate) = line.and_then(|line| sdp::parse_candidate(&line)) {
            self.found(candidate);
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.pulse.send(Pulse::Found(None));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        // `Disconnected` may heal, and the node has its own watchdog.
        if matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed) {
            let _ = self.pulse.send(Pulse::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::metrics::Counters;
    use super::*;
    use core::net::Ipv4Addr;

    #[tokio::test]
    async fn the_address_that_others_know_is_named_beside_its_own() {
        let outside = Ipv4Addr::new(192, 0, 2, 7);
        let settings = Settings {
            bind: vec![Ipv4Addr::LOCALHOST.into()],
            external: vec![outside.into()],
            ..Settings::default()
        };
        let shared = Shared::of(&settings, true, Arc::new(Counters::default()));
        let (mut connection, _) = Connection::open(LinkId(1), None, &shared).await.unwrap();
        let mut found = Vec::new();
        while let Some(Pulse::Found(Some(candidate))) = connection.pulse.recv().await {
            found.push((candidate.address, candidate.kind));
        }
        connection.close().await;
        let address = |ip: Ipv4Addr| Address::V4(ip.octets());
        assert!(found.contains(&(address(Ipv4Addr::LOCALHOST), CandidateKind::Host)), "{found:?}");
        assert!(found.contains(&(address(outside), CandidateKind::ServerReflexive)), "{found:?}");
    }
}
