//! Redis killed, stopped, absent, and talking nonsense.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fanfare_rig::{Api, Cluster, ClusterOptions, Recorder, RedisServer, eventually};
use futures_util::future::join_all;

use crate::support::{GROUP_ROUTE, SOON, error_code, message_of, refused, said, say};

const PATIENCE: Duration = Duration::from_secs(30);

/// A publisher that goes on through failures, and what came of it.
#[derive(Default)]
struct Publisher {
    stop: AtomicBool,
    attempts: AtomicUsize,
    statuses: Mutex<Vec<u16>>,
}

impl Publisher {
    async fn run(self: Arc<Self>, api: Api) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.attempts.fetch_add(1, Ordering::Relaxed);
            let answer = api
                .post("/api/v1/groups/red/events", &say(&number.to_string()))
                .await?;
            ensure!(matches!(answer.status, 202 | 503), "{answer:?}");
            if answer.status == 503 {
                ensure!(answer.header("retry-after").is_some(), "{answer:?}");
            }
            self.statuses
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(answer.status);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits for the next publish that ends with `status`, and gives a number that only later
    /// ones exceed.
    async fn next(&self, status: u16) -> Result<usize> {
        let statuses = || {
            self.statuses
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let known = statuses().len();
        eventually(
            PATIENCE,
            &format!("a publish that ends with {status}"),
            async || {
                Ok(statuses()
                    .iter()
                    .skip(known)
                    .any(|seen| *seen == status)
                    .then_some(()))
            },
        )
        .await?;
        Ok(self.attempts.load(Ordering::Relaxed))
    }
}

async fn join(cluster: &Cluster, each: usize) -> Result<Vec<Recorder>> {
    let mut sockets = Vec::new();
    for number in 0..each * cluster.nodes().len() {
        sockets.push(Recorder::new(cluster.nth(number).connect("/g/red").await?));
    }
    Ok(sockets)
}

async fn all_see_later_than(sockets: &[Recorder], number: usize) -> Result<()> {
    let later = |text: &str| {
        message_of(text).is_ok_and(|message| message.parse().is_ok_and(|seen: usize| seen > number))
    };
    let seen = join_all(sockets.iter().map(|socket| socket.sees(PATIENCE, later))).await;
    seen.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_is_killed_and_restarted_sessions_stay_and_delivery_resumes() -> Result<()> {
    let mut redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .nodes(3)
        .redis(&redis.url())
        .config(GROUP_ROUTE);
    let cluster = cluster.start().await?;
    let sockets = join(&cluster, 10).await?;
    let publisher = Arc::new(Publisher::default());
    let running = tokio::spawn(Arc::clone(&publisher).run(cluster[0].api().clone()));
    all_see_later_than(&sockets, 10).await?;

    redis.kill();
    publisher.next(503).await?;
    redis.restart()?;
    let resumed = publisher.next(202).await?;
    all_see_later_than(&sockets, resumed).await?;
    publisher.stop.store(true, Ordering::Relaxed);
    running.await??;

    for node in cluster.nodes() {
        node.ready_is(200, PATIENCE).await?;
        node.metric_when("fanfare_layer_gaps_total", &[], SOON, |gaps| gaps >= 1.0)
            .await?;
        assert_eq!(node.metric("fanfare_sessions", &[]).await?, 10.0);
    }
    assert!(
        sockets.iter().all(|socket| socket.closed().is_none()),
        "a session was closed"
    );
    complete_again(&cluster, &sockets).await
}

/// After the gap every event reaches everyone again, once and in order.
async fn complete_again(cluster: &Cluster, sockets: &[Recorder]) -> Result<()> {
    const MORE: usize = 60;
    let wanted: Vec<String> = (0..MORE)
        .map(|number| said(&format!("after {number}")))
        .collect();
    for number in 0..MORE {
        let event = say(&format!("after {number}"));
        cluster
            .nth(number)
            .api()
            .publish_group("red", &event)
            .await?;
    }
    let last = wanted.last().context("events")?;
    for socket in sockets {
        socket.sees(SOON, |text| text == last).await?;
        let mut texts = socket.texts();
        texts.retain(|text| text.contains("after"));
        assert_eq!(texts, wanted);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_hangs_publishers_get_503_and_nothing_grows_without_bound() -> Result<()> {
    const GRACE: Duration = Duration::from_secs(4);
    const MAY_GROW: u64 = 64 << 20;
    const FLOOD: usize = 40;
    let redis = RedisServer::start()?;
    let mut cluster = ClusterOptions::new()
        .redis(&redis.url())
        .config(GROUP_ROUTE)
        .set("health.layer_grace_ms", GRACE.as_millis())
        .alone()
        .start()
        .await?;
    let mut sockets = join(&cluster, 10).await?;
    let publisher = Arc::new(Publisher::default());
    let running = tokio::spawn(Arc::clone(&publisher).run(cluster[0].api().clone()));
    all_see_later_than(&sockets, 10).await?;

    let paused = Instant::now();
    redis.pause()?;
    publisher.next(503).await?;
    assert_eq!(
        cluster[0].api().status("/health/ready").await,
        Some(200),
        "within the grace"
    );
    cluster[0].ready_is(503, GRACE + PATIENCE).await?;
    assert!(paused.elapsed() >= GRACE, "the grace was cut short");
    assert_eq!(cluster[0].api().status("/health/live").await, Some(200));

    let node = cluster.nodes_mut().first_mut().context("the node")?;
    let before = node.process().resident_bytes()?;
    let mut most = before;
    let filling = "x".repeat(500_000);
    for round in 0..FLOOD {
        for socket in &mut sockets {
            socket.send_text(&filling).await?;
        }
        let node = cluster.nodes_mut().first_mut().context("the node")?;
        most = most.max(node.process().resident_bytes()?);
        if round % 10 == 0 {
            assert_eq!(
                cluster[0]
                    .api()
                    .post("/api/v1/broadcast", &say("x"))
                    .await?
                    .status,
                503
            );
        }
    }
    // What is still on its way when Redis comes back would be published.
    let flooded = (FLOOD * sockets.len()) as f64;
    let name = "fanfare_messages_received_total";
    cluster[0]
        .metric_when(name, &[], PATIENCE, |count| count == flooded)
        .await?;
    assert!(
        most < before + MAY_GROW,
        "from {before} to {most} bytes while Redis hung"
    );

    redis.resume()?;
    let resumed = publisher.next(202).await?;
    all_see_later_than(&sockets, resumed).await?;
    cluster[0].ready_is(200, PATIENCE).await?;
    publisher.stop.store(true, Ordering::Relaxed);
    running.await??;
    assert!(
        sockets.iter().all(|socket| socket.closed().is_none()),
        "a session was closed"
    );
    Ok(())
}

#[tokio::test]
async fn a_node_that_finds_no_redis_says_so_keeps_trying_and_gets_ready_when_it_comes() -> Result<()>
{
    let mut redis = RedisServer::start()?;
    redis.kill();
    let cluster = ClusterOptions::new()
        .redis(&redis.url())
        .set("layer.join_ms", 300);
    let cluster = cluster.config(GROUP_ROUTE).unready().start().await?;
    let node = &cluster[0];
    eventually(SOON, "a word about Redis", async || {
        Ok(node.log().to_lowercase().contains("redis").then_some(()))
    })
    .await?;
    assert_eq!(node.api().status("/health/live").await, Some(200));
    assert_eq!(node.api().status("/health/ready").await, Some(503));
    let response = refused(node, "/g/red", "").await?;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some(), "{response:?}");
    assert!(!error_code(&response)?.is_empty());
    assert_eq!(
        node.api()
            .post("/api/v1/broadcast", &say("x"))
            .await?
            .status,
        503
    );

    redis.restart()?;
    node.ready_is(200, PATIENCE).await?;
    let mut socket = node.connect("/g/red").await?;
    node.api().publish_group("red", &say("at last")).await?;
    assert_eq!(socket.text().await?, said("at last"));
    Ok(())
}

#[tokio::test]
async fn nonsense_on_a_group_s_redis_channel_is_dropped_and_counted() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .redis(&redis.url())
        .config(GROUP_ROUTE)
        .start()
        .await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    // Integers, some with more behind them, and nothing at all: no msgpack map among them.
    let nonsense = ["\u{1}", "oops", "\u{7f}\u{7f}", ""];
    for body in nonsense {
        redis.cli(&["PUBLISH", "asgi__group__red", body])?;
    }
    cluster[0].api().publish_group("red", &say("sense")).await?;
    assert_eq!(socket.text().await?, said("sense"));
    let dropped = cluster[0]
        .metric("fanfare_layer_dropped_total", &[])
        .await?;
    assert!(dropped >= nonsense.len() as f64, "{dropped}");
    Ok(())
}
