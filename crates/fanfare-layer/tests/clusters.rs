//! What layers of several nodes do over Redis, in both formats.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use fanfare_layer::{Publish, State};
use fanfare_protocol::{Event, Value};
use fanfare_rig::{RedisServer, eventually, within};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime;

use crate::support::{Cluster, SOON, group, next, numbered, numbers};

pub(crate) async fn who_has_left_a_group_hears_no_more_of_it(cluster: Cluster) -> Result<()> {
    let nodes = [
        cluster.node().await?,
        cluster.node().await?,
        cluster.node().await?,
    ];
    for node in &nodes {
        node.subscribe(&["test-group"]).await?;
    }
    nodes[1].leave("test-group").await?;
    nodes[0].publish(&group("test-group"), numbered(1)).await?;
    // A group has one order everywhere: if the second node got the first event, it would be here
    // before the second event.
    nodes[1].subscribe(&["test-group"]).await?;
    nodes[0].publish(&group("test-group"), numbered(2)).await?;
    for (node, expected) in nodes.iter().zip([&[1, 2][..], &[2], &[1, 2]]) {
        let arrived = node.arrivals.first(expected.len()).await?;
        assert_eq!(numbers(&arrived), expected);
    }
    Ok(())
}

pub(crate) async fn nodes_hear_the_groups_they_want_and_only_their_own_channels(
    cluster: Cluster,
) -> Result<()> {
    let (one, two) = (cluster.node().await?, cluster.node().await?);
    one.subscribe(&["both", "first"]).await?;
    two.subscribe(&["both"]).await?;
    two.publish(&group("first"), numbered(1)).await?;
    two.publish(&one.channel("0000000000000001")?, numbered(2))
        .await?;
    one.publish(&two.channel("0000000000000001")?, numbered(3))
        .await?;
    one.publish(&group("both"), numbered(4)).await?;
    for (node, expected) in [(&one, &[1, 2, 4][..]), (&two, &[3, 4])] {
        let mut arrived = numbers(&node.arrivals.first(expected.len()).await?);
        if cluster.servers().len() > 1 {
            // What goes over several hosts has no one order.
            arrived.sort_unstable();
        }
        assert_eq!(arrived, expected);
    }
    Ok(())
}

pub(crate) async fn a_message_for_a_worker_elsewhere_is_received(cluster: Cluster) -> Result<()> {
    let (one, two) = (cluster.node().await?, cluster.node().await?);
    let mut receiver = two.receive("test-channel").await?;
    one.send("test-channel", 1).await?;
    assert_eq!(next(&mut receiver).await?, 1);
    Ok(())
}

pub(crate) async fn who_receives_from_a_channel_on_two_nodes_gets_what_the_format_promises(
    cluster: Cluster,
) -> Result<()> {
    let (one, two) = (cluster.node().await?, cluster.node().await?);
    let (mut first, mut second) = (one.receive("jobs").await?, two.receive("jobs").await?);
    if cluster.is_core() {
        // They share it: every message goes to one of them.
        let mut received = Vec::new();
        for number in 0..50 {
            one.send("jobs", number).await?;
        }
        for _ in 0..25 {
            received.push(next(&mut first).await?);
            received.push(next(&mut second).await?);
        }
        received.sort_unstable();
        assert_eq!(received, (0..50).collect::<Vec<_>>());
        assert!(first.next().now_or_never().is_none());
        assert!(second.next().now_or_never().is_none());
    } else {
        // Who listens hears it, as in channels_redis.
        one.send("jobs", 1).await?;
        assert_eq!(next(&mut first).await?, 1);
        assert_eq!(next(&mut second).await?, 1);
    }
    Ok(())
}

pub(crate) async fn a_lost_connection_changes_no_membership(cluster: Cluster) -> Result<()> {
    let nodes = [
        cluster.node().await?,
        cluster.node().await?,
        cluster.node().await?,
    ];
    nodes[0].subscribe(&["test-group"]).await?;
    nodes[1].subscribe(&["test-group"]).await?;
    cut(&cluster, &nodes).await?;
    nodes[2].subscribe(&["test-group"]).await?;
    nodes[1].leave("test-group").await?;
    cut(&cluster, &nodes).await?;
    nodes[0].publish(&group("test-group"), numbered(1)).await?;
    nodes[1].subscribe(&["test-group"]).await?;
    nodes[0].publish(&group("test-group"), numbered(2)).await?;
    for (node, expected) in nodes.iter().zip([&[1, 2][..], &[2], &[1, 2]]) {
        let arrived = node.arrivals.first(expected.len()).await?;
        assert_eq!(numbers(&arrived), expected);
    }
    Ok(())
}

/// Ends all connections, and waits until all nodes have noticed and have new ones.
async fn cut(cluster: &Cluster, nodes: &[crate::support::Node]) -> Result<()> {
    let mut status: Vec<_> = nodes.iter().map(|node| node.layer.status()).collect();
    status.iter_mut().for_each(|it| it.mark_unchanged());
    for server in cluster.servers() {
        for kind in ["normal", "pubsub"] {
            server.cli(&["CLIENT", "KILL", "TYPE", kind])?;
        }
    }
    for (node, status) in nodes.iter().zip(&mut status) {
        within(SOON, "the loss", status.changed()).await??;
        node.reaches(State::Up).await?;
    }
    Ok(())
}

pub(crate) async fn a_reader_that_dies_is_followed_by_another_without_a_loss(
    cluster: Cluster,
) -> Result<()> {
    let node = cluster.silent_node().await?;
    node.subscribe(&["room"]).await?;
    for number in 0..1000 {
        node.publish(&group("room"), numbered(number)).await?;
    }
    node.metric_becomes("fanfare_layer_received_total", "", 1000.0)
        .await?;
    let mut seen = Vec::new();
    while seen.len() < 1000 {
        // A new reader for every batch.
        let mut reader = node.layer.stream();
        let batch = within(SOON, "a batch", reader.next())
            .await?
            .context("it ended")?;
        seen.extend(numbers(&batch));
    }
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    Ok(())
}

pub(crate) async fn publishers_on_many_threads_keep_each_their_own_order(
    cluster: Cluster,
) -> Result<()> {
    let cluster = cluster.narrow();
    let node = Arc::new(cluster.node().await?);
    node.subscribe(&["room"]).await?;
    let publishers = (0..4).map(|publisher| {
        let node = node.clone();
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async move {
                for number in 0..500 {
                    let event = numbered(publisher * 1000 + number);
                    let mut step = node.layer.publish(group("room"), Arc::new(event.into()));
                    while let Publish::Full(room) = step {
                        step = room.await;
                    }
                }
            });
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let arrived = numbers(&node.arrivals.first(2000).await?);
    for publisher in publishers {
        assert!(publisher.join().is_ok(), "a publisher panicked");
    }
    for publisher in 0..4 {
        let own = arrived.iter().filter(|number| *number / 1000 == publisher);
        let expected: Vec<_> = (publisher * 1000..publisher * 1000 + 500).collect();
        assert_eq!(own.copied().collect::<Vec<_>>(), expected);
    }
    Ok(())
}

pub(crate) async fn integers_beyond_64_bits_signed_are_read(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    node.subscribe(&["room"]).await?;
    let event = Event::new("big").with("n", Value::UInt(u64::MAX));
    node.publish(&group("room"), event.clone()).await?;
    assert_eq!(node.arrivals.first(1).await?[0].envelope.event, event);
    Ok(())
}

pub(crate) async fn a_layer_that_is_dropped_leaves_no_connection(cluster: Cluster) -> Result<()> {
    let node = cluster.silent_node().await?;
    node.subscribe(&["room"]).await?;
    node.publish(&group("room"), numbered(1)).await?;
    drop(node);
    for server in cluster.servers() {
        eventually(SOON, "no connection is left", async || {
            Ok((clients(server)? == 1).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// How many connections a server has, with that of the question.
fn clients(server: &RedisServer) -> Result<usize> {
    let list: String = redis::from_redis_value(server.cli(&["CLIENT", "LIST"])?)?;
    Ok(list.lines().count())
}
