//! More messages at once than a channel may hold.

use anyhow::{Context, Result};
use fanfare_rig::{PythonLayer, PythonTarget, RedisServer, eventually};
use rustix::process::Signal;
use serde_json::json;

use super::{lane_of, node_of, nodes, number_of, numbers, python, waiting};
use crate::support::{SOON, say};

const BURST: usize = 150;
/// That of channels_redis, and so of Fanfare.
const CAPACITY: usize = 100;
const OVER: &str = "fanfare_layer_over_capacity_total";

/// How many copies Python says that it did not get rid of.
async fn refused(python: &mut PythonLayer, group: &str) -> Result<usize> {
    let mut refused = 0;
    for line in python.logged().await? {
        let (counts, about) = line
            .split_once(" channels over capacity in group ")
            .with_context(|| line.clone())?;
        assert_eq!(about, group);
        let count = counts.split(' ').nth(1).context("a number")?;
        refused += count.parse::<usize>().with_context(|| line.clone())?;
    }
    Ok(refused)
}

#[tokio::test]
async fn of_a_burst_to_a_node_that_is_stopped_all_that_fits_arrives_and_python_counts_the_rest()
-> Result<()> {
    let redis = RedisServer::start()?;
    let mut cluster = nodes(1, &redis).start().await?;
    let mut python = python(&redis).await?;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(cluster[0].connect("/g/red").await?);
    }
    let node = node_of(sockets.first().context("a socket")?.channel())?;
    let lane = lane_of(&redis, "red", &node)?;
    let stopped = cluster.nodes_mut().first_mut().context("the node")?;
    stopped.process().signal(Signal::STOP)?;
    // What waits for a message would still get the first.
    super::nobody_waits(&redis).await?;

    let red = PythonTarget::Group("red");
    let burst = python.burst(red, &say("burst"), BURST).await?;
    assert_eq!((burst.sent, waiting(&redis, &lane)?), (BURST, CAPACITY));
    assert_eq!(refused(&mut python, "red").await?, BURST - CAPACITY);

    cluster.signal(Signal::CONT)?;
    eventually(SOON, "an empty lane", async || {
        Ok((waiting(&redis, &lane)? == 0).then_some(()))
    })
    .await?;
    python.group_send("red", &say("last")).await?;
    for socket in &mut sockets {
        let fitted: Vec<u64> = (0..CAPACITY as u64).collect();
        assert_eq!(numbers(socket).await?, fitted);
    }
    let received = cluster[0].metric("fanfare_layer_received_total", &[]);
    assert_eq!(received.await?, (CAPACITY + 1) as f64);
    Ok(())
}

#[tokio::test]
async fn of_a_burst_to_nodes_at_work_every_copy_is_delivered_or_counted_by_python() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = nodes(2, &redis).start().await?;
    let mut python = python(&redis).await?;
    let mut sockets = Vec::new();
    for number in 0..4 {
        sockets.push(cluster.nth(number).connect("/g/red").await?);
    }
    let red = PythonTarget::Group("red");
    let burst = python.burst(red, &say("burst"), BURST).await?;
    assert_eq!(burst.sent, BURST);
    let mut accounted = refused(&mut python, "red").await?;
    for socket in &sockets {
        let lane = lane_of(&redis, "red", &node_of(socket.channel())?)?;
        eventually(SOON, "an empty lane", async || {
            Ok((waiting(&redis, &lane)? == 0).then_some(()))
        })
        .await?;
    }
    python.group_send("red", &say("last")).await?;
    let mut heard = Vec::new();
    for socket in &mut sockets {
        let numbers = numbers(socket).await?;
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        heard.push(numbers);
    }
    // The first two are on different nodes, the others beside them.
    assert_eq!(heard.get(..2), heard.get(2..));
    accounted += heard.iter().take(2).map(Vec::len).sum::<usize>();
    assert_eq!(accounted, 2 * BURST);
    Ok(())
}

#[tokio::test]
async fn what_a_python_member_has_no_room_for_is_counted_and_others_get_it() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = nodes(1, &redis).start().await?;
    let mut python = python(&redis).await?;
    let member = python.join("red").await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    let api = cluster[0].api();
    for number in 0..BURST {
        let mut event = say("burst");
        event["number"] = number.into();
        api.publish_group("red", &event).await?;
    }
    api.publish_group("red", &say("last")).await?;
    let all: Vec<u64> = (0..BURST as u64).collect();
    assert_eq!(numbers(&mut socket).await?, all);
    let over = (BURST + 1 - CAPACITY) as f64;
    assert_eq!(cluster[0].metric(OVER, &[]).await?, over);
    for number in 0..CAPACITY as u64 {
        let event = python.receive(&member).await?;
        assert_eq!(number_of(&event), Some(number));
    }
    // It has room again.
    api.publish_group("red", &say("again")).await?;
    assert_eq!(python.receive(&member).await?, say("again"));
    assert_eq!(cluster[0].metric(OVER, &[]).await?, over);
    Ok(())
}

#[tokio::test]
async fn a_sender_is_told_that_a_python_channel_is_full() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = nodes(1, &redis).start().await?;
    let mut python = python(&redis).await?;
    let channel = python.new_channel().await?;
    let api = cluster[0].api();
    for _ in 0..CAPACITY {
        api.publish_channel(&channel, &say("one")).await?;
    }
    let path = format!("/api/v1/channels/{channel}/events");
    let answer = api.post(&path, &say("one too many")).await?;
    let told = (answer.status, answer.error_code());
    assert_eq!(told, (503, "channel_full".to_owned()), "{answer:?}");
    let failures = "fanfare_layer_publish_failures_total";
    let full = cluster[0].metric(failures, &[("cause", "channel_full")]);
    assert_eq!(full.await?, 1.0);
    for _ in 0..CAPACITY {
        assert_eq!(python.receive(&channel).await?, say("one"));
    }
    api.publish_channel(&channel, &say("room again")).await?;
    assert_eq!(python.receive(&channel).await?, say("room again"));
    Ok(())
}

/// A lane has the messages of all sessions of a node: what is much for a process of Python is not
/// much for it.
#[tokio::test]
async fn a_batch_of_fanfare_itself_arrives_whole() -> Result<()> {
    const BATCH: u64 = 1000;
    let redis = RedisServer::start()?;
    let cluster = nodes(2, &redis).start().await?;
    let mut here = cluster[0].connect("/g/red").await?;
    let mut there = cluster[1].connect("/g/red").await?;
    let mut alone = cluster[1].connect("/g/blue").await?;
    let event = |number: u64| json!({"type": "say", "number": number});
    let to_group = |number| json!({"group": "red", "event": event(number)});
    let to_one = |number| json!({"channel": alone.channel(), "event": event(number)});
    for batch in [
        (0..BATCH).map(to_group).collect::<Vec<_>>(),
        (0..BATCH).map(to_one).collect(),
    ] {
        let body = json!({"events": batch});
        let answer = cluster[0]
            .api()
            .post("/api/v1/batch", &body)
            .await?
            .json()?;
        let results = answer["results"].as_array().context("results")?;
        assert!(results.iter().all(|it| it["status"] == 202), "{answer}");
    }
    cluster[0].api().publish_group("red", &say("last")).await?;
    cluster[0].api().publish_group("blue", &say("last")).await?;
    let all: Vec<u64> = (0..BATCH).collect();
    for socket in [&mut here, &mut there, &mut alone] {
        assert_eq!(numbers(socket).await?, all);
    }
    assert_eq!(cluster[0].metric(OVER, &[]).await?, 0.0);
    Ok(())
}
