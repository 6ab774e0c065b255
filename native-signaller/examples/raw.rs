//! What the `webrtc` crate can do with nothing on top: one reliable ordered channel, to compare Swarmlet with.
//!
//! `raw pair MIB`: between two connections of this process; prints bytes and seconds. `raw page MIB up|down`: with a
//! page, whose offer comes on standard input and whose answer goes to standard output, as one JSON text each.
#![allow(missing_docs, clippy::std_instead_of_alloc)]

use bytes::BytesMut;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use std::io::{BufRead, stdin};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::error::Result;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceGatheringState, RTCSessionDescription, SettingEngineBuilder,
};
use webrtc::runtime::default_runtime;

const MIB: usize = 1024 * 1024;
const MESSAGE: usize = 64 * 1024;

struct Gathered(Arc<Notify>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Gathered {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.notify_one();
        }
    }
}

struct End {
    peer: Arc<dyn PeerConnection>,
    channel: Arc<dyn DataChannel>,
    gathered: Arc<Notify>,
}

impl End {
    async fn new() -> Result<Self> {
        let gathered = Arc::new(Notify::new());
        let engine = SettingEngineBuilder::new()
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(256 * 1024))
            .with_sctp_max_receive_buffer_size(4 * 1024 * 1024)
            .with_include_loopback_candidate(true)
            .build();
        let limit = std::env::var("LIMIT_KIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1024_usize);
        let peer = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(engine)
            .with_handler(Arc::new(Gathered(Arc::clone(&gathered))))
            .with_runtime(default_runtime().expect("tokio"))
            .with_data_channel_send_buffer_limit(limit * 1024)
            // As a peer binds: which way packets take costs more than what lies above them.
            .with_udp_addrs(vec!["127.0.0.1:0".to_owned(), "0.0.0.0:0".to_owned(), "[::]:0".to_owned()])
            .build()
            .await?;
        let init = RTCDataChannelInit { ordered: true, negotiated: Some(0), ..RTCDataChannelInit::default() };
        let peer: Arc<dyn PeerConnection> = Arc::new(peer);
        let channel = peer.create_data_channel("raw", Some(init)).await?;
        Ok(Self { peer, channel, gathered })
    }

    async fn described(&self, own: RTCSessionDescription) -> Result<RTCSessionDescription> {
        self.peer.set_local_description(own).await?;
        self.gathered.notified().await;
        Ok(self.peer.local_description().await.expect("it was set"))
    }

    async fn answer(&self, offer: RTCSessionDescription) -> Result<RTCSessionDescription> {
        self.peer.set_remote_description(offer).await?;
        let answer = self.peer.create_answer(None).await?;
        self.described(answer).await
    }

    async fn open(&self) {
        while let Some(event) = self.channel.poll().await {
            if matches!(event, DataChannelEvent::OnOpen) {
                return;
            }
        }
    }

    async fn send(&self, total: usize) -> Result<()> {
        let message = BytesMut::from(vec![9; MESSAGE].as_slice());
        for _ in 0..total / MESSAGE {
            self.channel.send(message.clone()).await?;
        }
        while self.channel.outstanding_bytes().await.is_ok_and(|bytes| bytes > 0) {
            tokio::time::sleep(core::time::Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Seconds from the first to the last byte.
    async fn receive(&self, total: usize) -> f64 {
        let (mut got, mut first) = (0, None);
        while let Some(event) = self.channel.poll().await {
            if let DataChannelEvent::OnMessage(message) = event {
                first.get_or_insert_with(Instant::now);
                got += message.data.len();
                if got >= total {
                    break;
                }
            }
        }
        first.map_or(0.0, |first: Instant| first.elapsed().as_secs_f64())
    }
}

async fn pair(total: usize) -> Result<()> {
    let (a, b) = (End::new().await?, End::new().await?);
    let offer = a.peer.create_offer(None).await?;
    let answer = b.answer(a.described(offer).await?).await?;
    a.peer.set_remote_description(answer).await?;
    tokio::join!(a.open(), b.open());
    let receiving = tokio::spawn(async move { b.receive(total).await });
    let sending = tokio::spawn(async move { a.send(total).await });
    let seconds = receiving.await.expect("no panic");
    drop(sending.await);
    println!("{{\"bytes\":{total},\"seconds\":{seconds}}}");
    Ok(())
}

async fn page(total: usize, up: bool) -> Result<()> {
    let end = End::new().await?;
    let mut line = String::new();
    stdin().lock().read_line(&mut line).expect("an offer");
    let offer: String = serde_json::from_str(&line).expect("a JSON text");
    let answer = end.answer(RTCSessionDescription::offer(offer)?).await?;
    println!("{}", serde_json::Value::String(answer.sdp));
    end.open().await;
    if up {
        let seconds = end.receive(total).await;
        println!("{{\"bytes\":{total},\"seconds\":{seconds}}}");
    } else {
        end.send(total).await?;
    }
    Ok(())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let mib: usize = words.get(1).and_then(|text| text.parse().ok()).unwrap_or(256);
    match words.first().map(String::as_str) {
        Some("pair") => pair(mib * MIB).await,
        Some("page") => page(mib * MIB, words.get(2).is_some_and(|way| way == "up")).await,
        _ => {
            eprintln!("raw pair MIB | raw page MIB up|down");
            std::process::exit(2);
        }
    }
}
