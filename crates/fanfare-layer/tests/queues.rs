//! Normal channels: what every layer must do for those who receive from them. The first rows are
//! those of Channels' own `test_inmemorychannel.py`.

use std::time::Duration;

use anyhow::Result;
use fanfare_layer::PublishError;
use fanfare_rig::{RedisServer, eventually, within};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::support::{CAPACITY, Cluster, EXPIRY, Node, SOON, next, options};

pub(crate) async fn a_message_to_a_normal_channel_is_received(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    node.send("thumbnails", 1).await?;
    assert_eq!(next(&mut receiver).await?, 1);
    assert_eq!(receiver.channel().as_str(), "thumbnails");
    Ok(())
}

pub(crate) async fn a_receiver_that_waits_already_gets_the_message(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    let received = tokio::spawn(async move { next(&mut receiver).await });
    tokio::task::yield_now().await;
    node.send("thumbnails", 1).await?;
    assert_eq!(within(SOON, "the message", received).await???, 1);
    Ok(())
}

pub(crate) async fn a_message_waits_for_a_receiver_that_comes_later(
    cluster: Cluster,
) -> Result<()> {
    let node = cluster.node().await?;
    node.send("thumbnails", 1).await?;
    let mut receiver = node.receive("thumbnails").await?;
    let lost = !cluster.servers().is_empty() && !cluster.is_core();
    if lost {
        // Redis keeps nothing that nobody listens to.
        node.send("thumbnails", 2).await?;
    }
    assert_eq!(next(&mut receiver).await?, if lost { 2 } else { 1 });
    Ok(())
}

pub(crate) async fn a_full_channel_keeps_what_it_has_and_says_so(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    // With core each host keeps so many, and gets every message in its turn.
    let hosts = if cluster.is_core() {
        cluster.servers().len()
    } else {
        1
    };
    let room = (CAPACITY * hosts) as i64;
    for number in 0..room {
        node.send("thumbnails", number).await?;
    }
    let refused = node.send("thumbnails", 99).await;
    if cluster.is_core() || cluster.servers().is_empty() {
        let error = refused.unwrap_err().downcast::<PublishError>()?;
        let channel = receiver.channel().clone();
        assert_eq!(error, PublishError::ChannelFull { channel });
        let failures = "fanfare_layer_publish_failures_total";
        assert_eq!(node.metric(failures, "channel_full"), 1.0);
    } else {
        // With pub/sub a publisher does not learn what became of its message.
        node.arrivals.overflows(1).await?;
    }
    let mut received = Vec::new();
    for _ in 0..room {
        received.push(next(&mut receiver).await?);
    }
    received.sort_unstable();
    assert_eq!(received, (0..room).collect::<Vec<_>>());
    node.send("thumbnails", 7).await?;
    assert_eq!(next(&mut receiver).await?, 7);
    Ok(())
}

pub(crate) async fn a_channel_of_this_node_alone_is_received_from(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let local = format!("{}queued", node.naming.node_prefix(node.id));
    let mut receiver = node.receive(&local).await?;
    node.send(&local, 1).await?;
    assert_eq!(next(&mut receiver).await?, 1);
    let subscriptions = node.metric("fanfare_layer_subscriptions", "");
    assert_eq!(subscriptions, 0.0, "it would come twice");
    Ok(())
}

pub(crate) async fn messages_of_a_channel_keep_their_order(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    for number in 1..=3 {
        node.send("thumbnails", number).await?;
    }
    let mut received = Vec::new();
    for _ in 1..=3 {
        received.push(next(&mut receiver).await?);
    }
    if cluster.is_core() && cluster.servers().len() > 1 {
        // The hosts take turns, so each of these waits on another one: there is no order between
        // them, as in channels_redis.
        received.sort_unstable();
    }
    assert_eq!(received, [1, 2, 3]);
    Ok(())
}

pub(crate) async fn an_old_message_is_dropped_and_counted(cluster: Cluster) -> Result<()> {
    if cluster.is_core() {
        return an_old_message_in_redis_is_dropped_and_counted(cluster).await;
    }
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    let mut other = node.receive("other").await?;
    *node.arrivals.age.lock().unwrap() = EXPIRY;
    node.send("thumbnails", 1).await?;
    // With several hosts each name has an order of its own: wait until it has arrived.
    let waits = || format!("{:?}", node.arrivals.queue).contains("messages: 1");
    eventually(SOON, "the message", async || Ok(waits().then_some(()))).await?;
    *node.arrivals.age.lock().unwrap() = EXPIRY / 2;
    node.send("thumbnails", 2).await?;
    node.send("other", 3).await?;
    assert_eq!(next(&mut receiver).await?, 2);
    assert_eq!(next(&mut other).await?, 3);
    assert_eq!(node.arrivals.expired.get(), 1);
    Ok(())
}

/// With core it waits in Redis, and Redis' clock decides.
async fn an_old_message_in_redis_is_dropped_and_counted(cluster: Cluster) -> Result<()> {
    const MADE_OLDER: &str = "\
for _, message in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('ZINCRBY', KEYS[1], -61, message)
end";
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    node.send("thumbnails", 1).await?;
    for server in cluster.servers() {
        server.cli(&["EVAL", MADE_OLDER, "1", "asgithumbnails"])?;
    }
    let received = tokio::spawn(async move { next(&mut receiver).await });
    node.metric_becomes("fanfare_layer_dropped_total", "expired", 1.0)
        .await?;
    node.send("thumbnails", 2).await?;
    assert_eq!(within(SOON, "the message", received).await???, 2);
    Ok(())
}

pub(crate) async fn every_message_goes_to_one_of_the_receivers(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let (mut one, mut two) = (
        node.receive("thumbnails").await?,
        node.receive("thumbnails").await?,
    );
    let mut seen = Vec::new();
    for number in 0..20 {
        node.send("thumbnails", number).await?;
        seen.push(tokio::select! {
            message = next(&mut one) => message?,
            message = next(&mut two) => message?,
        });
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert!(one.next().now_or_never().is_none() && two.next().now_or_never().is_none());
    Ok(())
}

pub(crate) async fn a_receiver_that_goes_leaves_the_rest_to_the_others(
    cluster: Cluster,
) -> Result<()> {
    let node = cluster.node().await?;
    let mut one = node.receive("thumbnails").await?;
    let mut two = node.receive("thumbnails").await?;
    // Both wait; the message is offered to the one that has asked first, which goes away.
    let mut asked = Box::pin(one.next());
    assert!(asked.as_mut().now_or_never().is_none());
    let waiting = tokio::spawn(async move { next(&mut two).await });
    tokio::task::yield_now().await;
    node.send("thumbnails", 1).await?;
    drop(asked);
    drop(one);
    assert_eq!(within(SOON, "the message", waiting).await???, 1);
    Ok(())
}

pub(crate) async fn a_receive_that_is_given_up_loses_nothing(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    let mut received = Vec::new();
    for number in 0..100 {
        node.send("thumbnails", number).await?;
        // It is given up at another moment each time: when the message is asked for, is on its way
        // or has come. The time that passes is what is tested.
        let moment = Duration::from_micros(100) * number as u32;
        if let Ok(message) = timeout(moment, next(&mut receiver)).await {
            received.push(message?);
        } else {
            received.push(next(&mut receiver).await?);
        }
    }
    assert_eq!(received, (0..100).collect::<Vec<_>>());
    Ok(())
}

pub(crate) async fn closed_queues_give_out_what_they_have_and_end(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    let mut receiver = node.receive("thumbnails").await?;
    let mut waiting = node.receive("other").await?;
    let waiting = tokio::spawn(async move { waiting.next().await.is_none() });
    tokio::task::yield_now().await;
    node.send("thumbnails", 1).await?;
    let first = next(&mut receiver).await?;
    node.arrivals.queue.close();
    assert_eq!(first, 1);
    assert!(within(SOON, "the end", receiver.next()).await?.is_none());
    assert!(within(SOON, "the end", waiting).await??);
    let channel = node.naming.channel("thumbnails")?;
    let late = node.arrivals.queue.receive(channel, node.layer.clone());
    assert!(within(SOON, "the refusal", late).await?.is_err());
    Ok(())
}

#[tokio::test]
async fn a_received_channel_is_subscribed_as_it_is_until_its_last_receiver_goes() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?.reading();
    let listeners = || -> Result<i64> {
        let answer = server.cli(&["PUBSUB", "NUMSUB", "thumbnails"])?;
        let (_, count): (String, i64) = redis::from_redis_value(answer)?;
        Ok(count)
    };
    let one = node.receive("thumbnails").await?;
    let mut two = node.receive("thumbnails").await?;
    assert_eq!(listeners()?, 1);
    drop(one);
    node.send("thumbnails", 1).await?;
    assert_eq!(next(&mut two).await?, 1);
    drop(two);
    node.metric_becomes("fanfare_layer_subscriptions", "", 0.0)
        .await?;
    assert_eq!(listeners()?, 0);
    let mut again = node.receive("thumbnails").await?;
    node.send("thumbnails", 2).await?;
    assert_eq!(next(&mut again).await?, 2);
    Ok(())
}
