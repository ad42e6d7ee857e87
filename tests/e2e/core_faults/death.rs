//! A node dies, and a node goes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fanfare_rig::{PythonTarget, Recorder, RedisServer, eventually};
use serde_json::Value;

use super::{keys, lane_of, node_of, nodes, number_of, python, traces_of, waiting};
use crate::support::{SOON, say};

/// After the death.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

fn numbers(socket: &Recorder) -> Vec<u64> {
    let number = |text: &String| number_of(&serde_json::from_str::<Value>(text).ok()?);
    socket.texts().iter().filter_map(number).collect()
}

/// Waits until a node that was killed has left nothing in Redis.
async fn cleared(redis: &RedisServer, dead: &str, steady_lane: &str) -> Result<()> {
    let what = "a clean Redis after the death of a node";
    eventually(GONE_WITHIN, what, async || {
        let mut traces = traces_of(redis, dead)?;
        // A send that was under way comes after the clearing; its message expires by itself.
        traces.retain(|trace| *trace != steady_lane);
        ensure!(traces.is_empty(), "{traces:?}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_clear_away_what_a_killed_node_left_while_python_goes_on_sending() -> Result<()>
{
    let redis = RedisServer::start()?;
    let mut cluster = nodes(3, &redis).start().await?;
    let witness = Recorder::new(cluster[0].connect("/two/red").await?);
    let mut living = vec![];
    for number in 0..3 {
        let socket = cluster.nth(number % 2).connect("/two/red").await?;
        living.push(Recorder::new(socket));
    }
    let dying = cluster[2].connect("/two/blue?user=ann").await?;
    let channel = dying.channel().to_owned();
    let dead = node_of(&channel)?;
    let steady_lane = lane_of(&redis, "steady", &dead)?;
    let mut python = python(&redis).await?;
    let steady = PythonTarget::Group("steady");
    python.start_sender(steady, &say("on"), PAUSE).await?;
    witness.reaches(10, SOON).await?;

    let killed = Instant::now();
    let node = cluster.nodes_mut().get_mut(2).context("a node")?;
    node.process().kill();
    // Something waits for it everywhere.
    python.send(&channel, &say("too late")).await?;
    for group in ["blue", "fanfare.user.ann"] {
        python.group_send(group, &say("too late")).await?;
    }
    cleared(&redis, &dead, &steady_lane).await?;
    assert!(killed.elapsed() <= GONE_WITHIN, "{:?}", killed.elapsed());

    witness.reaches(witness.count() + 10, SOON).await?;
    let sent = python.stop_sender().await?;
    assert_eq!(sent.errors.len(), 0, "{sent:?}");
    let all: Vec<u64> = (0..sent.sent as u64).collect();
    for socket in living.iter().chain([&witness]) {
        socket.reaches(sent.sent, SOON).await?;
        assert_eq!(numbers(socket), all);
    }
    let cleaned = "fanfare_layer_nodes_cleaned_total";
    let one = cluster[0].metric(cleaned, &[]).await?;
    assert_eq!(one + cluster[1].metric(cleaned, &[]).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_channel_of_a_node_that_is_gone_takes_what_python_sends_and_never_becomes_full()
-> Result<()> {
    let redis = RedisServer::start()?;
    let options = nodes(3, &redis).set("drain.grace_ms", 0);
    let mut cluster = options.set("drain.window_ms", 0).start().await?;
    let mut python = python(&redis).await?;
    let mut channels = vec![];
    for node in &cluster.nodes()[1..] {
        let socket = node.connect("/two/red").await?;
        channels.push(socket.channel().to_owned());
        socket.close(1000).await?;
    }
    let stopped = cluster.nodes_mut().get_mut(1).context("a node")?;
    stopped.terminate()?;
    assert!(stopped.exit_status(SOON).await?.success());
    let killed = cluster.nodes_mut().get_mut(2).context("a node")?;
    killed.process().kill();
    cleared(&redis, &node_of(&channels[1])?, "").await?;

    // Python's capacity is 100 messages in 60 seconds.
    let rounds: usize = 5;
    for _ in 0..rounds {
        for channel in &channels {
            for _ in 0..50 {
                python.send(channel, &say("to nobody")).await?;
            }
            let lane = format!("asgi{}!", channel.split('!').next().unwrap_or_default());
            eventually(SOON, "an empty lane", async || {
                Ok((waiting(&redis, &lane)? == 0).then_some(()))
            })
            .await?;
        }
    }
    let labels = [("cause", "closed")];
    let dropped = cluster[0]
        .metric("fanfare_layer_dropped_total", &labels)
        .await?;
    assert!(dropped >= 100.0 * rounds as f64 - 1.0, "{dropped}");
    Ok(())
}

#[tokio::test]
async fn a_node_that_ends_in_order_leaves_nothing_behind() -> Result<()> {
    let redis = RedisServer::start()?;
    let options = nodes(2, &redis).set("drain.grace_ms", 0);
    let mut cluster = options.set("drain.window_ms", 100).start().await?;
    let mut python = python(&redis).await?;
    let stays = Recorder::new(cluster[1].connect("/two/red").await?);
    let first = Recorder::new(cluster[0].connect("/two/blue?user=ann").await?);
    let gone = node_of(first.channel())?;
    let mut leaving = vec![first];
    for group in ["red", "green"] {
        let path = format!("/two/{group}?user={group}");
        leaving.push(Recorder::new(cluster[0].connect(&path).await?));
    }
    assert!(traces_of(&redis, &gone)?.len() > 7);

    let node = cluster.nodes_mut().first_mut().context("a node")?;
    node.terminate()?;
    let status = node.exit_status(SOON).await?;
    assert!(status.success(), "{status}");
    assert_eq!(traces_of(&redis, &gone)?, Vec::<String>::new());
    for socket in &mut leaving {
        assert_eq!(socket.ended(SOON).await?, 1001);
    }

    python.group_send("steady", &say("still here")).await?;
    stays.reaches(1, SOON).await?;
    // With the last node the last key goes.
    let last = cluster.nodes_mut().get_mut(1).context("a node")?;
    last.terminate()?;
    assert!(last.exit_status(SOON).await?.success());
    assert_eq!(keys(&redis, "*")?, Vec::<String>::new());
    Ok(())
}
