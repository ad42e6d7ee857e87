//! SIGTERM under traffic.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fanfare_rig::{ClusterOptions, Recorder, RedisServer, eventually};
use tokio::task::JoinSet;

use crate::support::{GROUP_ROUTE, SOON, refused, say, subscriptions};

const SOCKETS: usize = 200;
const GRACE: Duration = Duration::from_millis(1500);
const WINDOW: Duration = Duration::from_millis(2000);
const CLOSE: Duration = Duration::from_millis(1000);
/// What a busy machine may add.
const LATE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sigterm_everyone_sees_1001_within_the_window_and_nothing_stays_behind() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut cluster = ClusterOptions::new()
        .redis(&redis.url())
        .config(GROUP_ROUTE)
        .set("log.access", false)
        .set("drain.grace_ms", GRACE.as_millis())
        .set("drain.window_ms", WINDOW.as_millis())
        .set("drain.close_ms", CLOSE.as_millis())
        .alone()
        .start()
        .await?;
    let mut sockets = Vec::new();
    for number in 0..SOCKETS {
        let path = format!("/g/group-{}?user=u{number}", number % 5);
        sockets.push(Recorder::new(cluster[0].connect(&path).await?));
    }
    assert!(
        subscriptions(&redis)?.0.len() >= 5,
        "{:?}",
        subscriptions(&redis)?
    );
    let traffic = traffic(&cluster[0]);
    for socket in &sockets {
        socket.reaches(5, SOON).await?;
    }

    let begun = Instant::now();
    cluster
        .nodes_mut()
        .first_mut()
        .context("the node")?
        .terminate()?;
    let node = &cluster[0];
    node.ready_is(503, GRACE).await?;
    let late = node
        .connect("/g/late")
        .await
        .context("a handshake within the grace")?;
    sockets.push(Recorder::new(late));
    let closing = eventually(SOON, "the first close", async || {
        Ok(sockets.iter().find_map(Recorder::closed))
    });
    let (_, first) = closing.await?;
    assert!(
        first.duration_since(begun) >= GRACE,
        "closed within the grace"
    );
    assert_eq!(refused(node, "/g/red", "").await?.status, 503);

    let mut closes = Vec::new();
    for socket in &mut sockets {
        assert_eq!(socket.ended(SOON).await?, 1001);
        closes.push(socket.closed().context("an end")?.1);
    }
    let last = closes.iter().max().context("closes")?.duration_since(begun);
    let spread = last - closes.iter().min().context("closes")?.duration_since(begun);
    assert!(
        last < GRACE + WINDOW + LATE,
        "the last one was closed after {last:?}"
    );
    assert!(
        spread > WINDOW / 3,
        "all were closed within {spread:?} of one another"
    );

    let node = cluster.nodes_mut().first_mut().context("the node")?;
    let status = node.exit_status(GRACE + WINDOW + CLOSE + LATE).await?;
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(subscriptions(&redis)?, (Vec::new(), 0));
    drop(traffic);
    Ok(())
}

/// Publishers that go on until they are dropped, whatever they are answered.
fn traffic(node: &fanfare_rig::Node) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for group in 0..5 {
        let api = node.api().clone();
        publishers.spawn(async move {
            loop {
                // The node goes away under it: what it answers then is not the question here.
                let _ = api
                    .publish_group(&format!("group-{group}"), &say("traffic"))
                    .await;
                tokio::task::yield_now().await;
            }
        });
    }
    publishers
}

#[tokio::test]
async fn a_client_that_ignores_the_close_does_not_hold_the_node_up() -> Result<()> {
    let mut cluster = ClusterOptions::new()
        .set("drain.window_ms", 200)
        .set("drain.close_ms", 500)
        .start()
        .await?;
    let _deaf = cluster[0].connect("/ws/echo").await?;
    let node = cluster.nodes_mut().first_mut().context("the node")?;
    node.terminate()?;
    assert_eq!(
        node.exit_status(Duration::from_secs(6)).await?.code(),
        Some(0)
    );
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_the_node_at_once() -> Result<()> {
    let mut cluster = ClusterOptions::new()
        .set("drain.grace_ms", 60_000)
        .start()
        .await?;
    let _socket = cluster[0].connect("/ws/echo").await?;
    cluster
        .nodes_mut()
        .first_mut()
        .context("the node")?
        .terminate()?;
    cluster[0].ready_is(503, SOON).await?;
    let node = cluster.nodes_mut().first_mut().context("the node")?;
    node.terminate()?;
    node.exit_status(Duration::from_secs(5)).await?;
    Ok(())
}
