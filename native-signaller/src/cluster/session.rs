//! One connection to Redis, or rather two: one for what is said and asked, one for what is heard.

use super::bundles::Bundles;
use super::{Member, ORDERS_MAX, Orders};
use crate::hub::Found;
use core::sync::atomic::Ordering;
use core::time::Duration;
use futures_util::{Stream, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Msg, Pipeline, RedisError};
use std::sync::Arc;
use swarmlet_core::tracker::server::BusOrder;
use swarmlet_core::wire::bus::{BUS_BYTES_MAX, NodeId, SwarmId};
use tokio::sync::mpsc;
use tokio::time;

/// For a connection, and for every answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The tracker gives signs of life to all nodes, this one too, every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(7);
/// Orders that go out in one write.
const BATCH_MAX: usize = 1024;
/// What comes so soon after a write waits for the next one: nobody notices a millisecond, and the busier a node is, the
/// more goes together.
const TOGETHER: Duration = Duration::from_millis(1);

/// How a session came to its end.
pub(super) enum Ended {
    /// The hub has stopped, and everything that it wanted said is said.
    Stopped,
    /// Why.
    Lost(String),
}

impl From<RedisError> for Ended {
    fn from(error: RedisError) -> Self {
        // Its text may quote what Redis has said, which is nothing that clients choose.
        Self::Lost(error.to_string())
    }
}

/// Questions that went out with a batch.
type Asked = Vec<(SwarmId, u64, Vec<NodeId>)>;

/// Connects, and carries until something fails or the hub stops.
pub(super) async fn run(member: &Member) -> Ended {
    let opened = time::timeout(PATIENCE, open(member)).await;
    let (mut commands, words) = match opened {
        Ok(Ok(both)) => both,
        Ok(Err(error)) => return error.into(),
        Err(_) => return Ended::Lost("no answer".to_owned()),
    };
    let (queue, mut orders) = mpsc::channel(ORDERS_MAX);
    member.counts.connects.fetch_add(1, Ordering::Relaxed);
    let given = Orders { queue, counts: Arc::clone(&member.counts) };
    member.hub.bus_up(member.node, member.name.clone(), given).await;
    tracing::info!(event = "bus", node = member.name, id = %member.node, "a way to other nodes");
    tokio::select! {
        ended = hear(member, words) => ended,
        ended = say(member, &mut commands, &mut orders) => ended,
    }
}

async fn open(
    member: &Member,
) -> Result<(MultiplexedConnection, impl Stream<Item = Msg> + use<>), RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let mut words = member.client.get_async_pubsub().await?;
    words.subscribe(member.keys.channel(None)).await?;
    words.subscribe(member.keys.channel(Some(member.node))).await?;
    let commands = member.client.get_multiplexed_async_connection_with_config(&config).await?;
    Ok((commands, words.into_on_message()))
}

async fn hear(member: &Member, words: impl Stream<Item = Msg>) -> Ended {
    let mut words = core::pin::pin!(words);
    loop {
        match time::timeout(SILENCE_MAX, words.next()).await {
            Ok(Some(word)) if word.get_payload_bytes().len() <= BUS_BYTES_MAX => {
                member.hub.bus_heard(word.get_payload_bytes().to_vec()).await;
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ended::Lost("the connection was closed".to_owned()),
            Err(_) => return Ended::Lost("nothing heard, not even from this node".to_owned()),
        }
    }
}

async fn say(
    member: &Member,
    commands: &mut MultiplexedConnection,
    orders: &mut mpsc::Receiver<BusOrder>,
) -> Ended {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        if orders.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return Ended::Stopped;
        }
        let (pipeline, asked) = pack(member, batch.drain(..));
        let answers: Vec<Vec<Option<Vec<u8>>>> = match pipeline.query_async(commands).await {
            Ok(answers) => answers,
            Err(error) => return error.into(),
        };
        if !asked.is_empty() {
            let found = asked.into_iter().zip(answers).map(|((swarm, question, nodes), digests)| {
                let digests =
                    nodes.into_iter().zip(digests).filter_map(|(node, digest)| Some((node, digest?)));
                Found { swarm, question, digests: digests.collect() }
            });
            member.hub.bus_found(found.collect()).await;
        }
        time::sleep(TOGETHER).await;
    }
}

/// Orders as Redis understands them: what is kept, forgotten and found in the same order, then what is said.
fn pack(member: &Member, orders: impl Iterator<Item = BusOrder>) -> (Pipeline, Asked) {
    let (mut pipeline, mut asked, keys) = (redis::pipe(), Vec::new(), &member.keys);
    let mut bundles = Bundles::new(member.node);
    for order in orders {
        match order {
            BusOrder::Tell { node, word } => bundles.add(node, &word),
            BusOrder::Keep { swarm, bytes, life } => {
                let key = keys.digest(swarm, member.node);
                pipeline.cmd("SET").arg(key).arg(bytes).arg("EX").arg(life.as_secs()).ignore();
            }
            BusOrder::Forget { swarm } => {
                pipeline.cmd("DEL").arg(keys.digest(swarm, member.node)).ignore();
            }
            BusOrder::Find { swarm, question, nodes } => {
                let names: Vec<String> = nodes.iter().map(|node| keys.digest(swarm, *node)).collect();
                pipeline.cmd("MGET").arg(names);
                asked.push((swarm, question, nodes));
            }
        }
    }
    for (node, bytes) in bundles.into_messages() {
        pipeline.cmd("PUBLISH").arg(keys.channel(node)).arg(bytes).ignore();
    }
    (pipeline, asked)
}
