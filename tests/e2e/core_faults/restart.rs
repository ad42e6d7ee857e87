//! Redis starts anew, with nothing in it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fanfare_rig::{Cluster, Node, PythonLayer, PythonTarget, Recorder, RedisServer, eventually};
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;

use super::{member_of, node_of, nodes, number_of, python};
use crate::support::{SOON, said, say};

const NODES: usize = 3;
const GROUPS: usize = 10;
/// After the connection is there again.
const BACK_WITHIN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
const STEADY: PythonTarget<'_> = PythonTarget::Group("steady");
const PAUSE: Duration = Duration::from_millis(5);

fn group(number: usize) -> String {
    format!("group-{}", number % GROUPS)
}

/// On every node one socket in each of the groups; all are in `steady`.
async fn join(cluster: &Cluster) -> Result<Vec<Recorder>> {
    let mut sockets = Vec::new();
    for number in 0..NODES * GROUPS {
        let path = format!("/two/{}?user=u{}", group(number / NODES), number / NODES);
        sockets.push(Recorder::new(cluster.nth(number).connect(&path).await?));
    }
    Ok(sockets)
}

/// Every group that a node's sockets are in, by themselves or by rule.
fn groups() -> Vec<String> {
    let own = (0..GROUPS).flat_map(|number| [group(number), format!("fanfare.user.u{number}")]);
    own.chain(["steady".to_owned(), "fanfare.all".to_owned()])
        .collect()
}

fn is_member_of_all(redis: &RedisServer, node: &str) -> Result<bool> {
    for group in groups() {
        if member_of(redis, &group, node)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How long after a node says that Redis is up its memberships are all there.
async fn time_to_be_back(redis: &RedisServer, node: &Node, id: &str) -> Result<Duration> {
    node.metric_when("fanfare_layer_up", &[], PATIENCE, |up| up == 1.0)
        .await?;
    let up = Instant::now();
    let what = format!("all memberships of {id}");
    eventually(PATIENCE, &what, async || {
        Ok(is_member_of_all(redis, id)?.then_some(()))
    })
    .await?;
    Ok(up.elapsed())
}

fn number(text: &str) -> Option<u64> {
    let frame: Value = serde_json::from_str(text).ok()?;
    number_of(&frame)
}

async fn all_see_later_than(sockets: &[Recorder], attempts: usize) -> Result<()> {
    let later = |text: &str| number(text).is_some_and(|number| number > attempts as u64);
    let seen = join_all(sockets.iter().map(|socket| socket.sees(PATIENCE, later))).await;
    seen.into_iter().collect()
}

/// Waits for an attempt that fails, or for one that does not, and says how many there were.
async fn next(python: &mut PythonLayer, fails: bool) -> Result<usize> {
    let before = python.sender_progress().await?;
    let progress = eventually(PATIENCE, "the next attempt", async || {
        let now = python.sender_progress().await?;
        let failures = now.attempts - now.sent > before.attempts - before.sent;
        let there = if fails {
            failures
        } else {
            now.sent > before.sent
        };
        Ok(there.then_some(now))
    });
    Ok(progress.await?.attempts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_redis_all_memberships_are_back_and_a_sender_that_went_on_is_heard()
-> Result<()> {
    let mut redis = RedisServer::start()?;
    let cluster = nodes(NODES, &redis).start().await?;
    let sockets = join(&cluster).await?;
    let firsts = sockets.iter().take(NODES);
    let ids: Vec<String> = firsts
        .map(|it| node_of(it.channel()))
        .collect::<Result<_>>()?;
    for id in &ids {
        ensure!(is_member_of_all(&redis, id)?, "{id} is not everywhere");
    }
    let mut python = python(&redis).await?;
    python.start_sender(STEADY, &say("on"), PAUSE).await?;
    all_see_later_than(&sockets, 10).await?;

    redis.kill();
    for node in cluster.nodes() {
        node.metric_when("fanfare_layer_up", &[], PATIENCE, |up| up == 0.0)
            .await?;
    }
    next(&mut python, true).await?;
    redis.restart()?;
    let back = cluster.nodes().iter().zip(&ids);
    let back = back.map(|(node, id)| time_to_be_back(&redis, node, id));
    for time in try_join_all(back).await? {
        assert!(time <= BACK_WITHIN, "back after {time:?}");
    }

    // From its own point of view Python never stopped.
    let resumed = next(&mut python, false).await?;
    all_see_later_than(&sockets, resumed).await?;
    python.stop_sender().await?;
    for node in cluster.nodes() {
        assert!(node.metric("fanfare_layer_gaps_total", &[]).await? >= 1.0);
        assert_eq!(node.metric("fanfare_sessions", &[]).await?, GROUPS as f64);
    }
    every_group_is_heard(&mut python, &sockets).await
}

/// Each socket hears its group, its user and everybody's group once.
async fn every_group_is_heard(python: &mut PythonLayer, sockets: &[Recorder]) -> Result<()> {
    for name in groups() {
        python
            .group_send(&name, &say(&format!("to {name}")))
            .await?;
    }
    python.group_send("steady", &say("to the end")).await?;
    for (place, socket) in sockets.iter().enumerate() {
        socket.sees(SOON, |text| text == said("to the end")).await?;
        let own = [
            group(place / NODES),
            format!("fanfare.user.u{}", place / NODES),
        ];
        for name in own
            .iter()
            .map(String::as_str)
            .chain(["steady", "fanfare.all"])
        {
            let wanted = said(&format!("to {name}"));
            socket.sees(SOON, |text| text == wanted).await?;
        }
        let texts = socket.texts();
        let once = texts.iter().filter(|text| text.contains("to "));
        assert_eq!(once.count(), 5, "{texts:?}");
        assert!(socket.closed().is_none(), "a session was closed");
    }
    Ok(())
}
