//! Background workers over Redis, with Python at the other end, and through an outage.

use anyhow::Result;
use fanfare_consumer::Cluster;
use fanfare_rig::{PythonLayer, RedisServer, eventually, within};
use serde_json::json;
use tokio::sync::oneshot;

use super::workers::{Job, SOON, clerks, run};

async fn listened_to(server: &RedisServer, channel: &str, listeners: i64) -> Result<()> {
    eventually(SOON, "listeners", async || {
        let answer = server.cli(&["PUBSUB", "NUMSUB", channel])?;
        let (_, count): (String, i64) = redis::from_redis_value(answer)?;
        Ok((count == listeners).then_some(()))
    })
    .await
}

#[tokio::test]
async fn an_event_from_python_reaches_a_worker_and_one_from_here_a_python_worker() -> Result<()> {
    let server = RedisServer::start()?;
    let mut python = PythonLayer::start(&[&server.url()]).await?;
    let cluster = Cluster::redis([server.url()])?;
    let (workers, desk, _gate) = clerks(&cluster, 2)?;
    let report = run(workers, async {
        listened_to(&server, "jobs", 1).await?;
        let event = json!({ "type": "job.note", "number": 7 });
        python.send("jobs", &event).await?;
        desk.has_noted(1).await?;

        let sent = async {
            listened_to(&server, "thumbnails-generate", 1).await?;
            let event = Job::Note { number: 8 };
            anyhow::Ok(cluster.send("thumbnails-generate", &event).await?)
        };
        let (got, sent) = tokio::join!(python.receive("thumbnails-generate"), sent);
        sent?;
        assert_eq!(got?, json!({ "type": "job.note", "number": 8 }));
        Ok(())
    })
    .await?;
    assert_eq!(*desk.noted.borrow(), [7]);
    assert_eq!(report.done, 1);
    listened_to(&server, "jobs", 0).await?;
    cluster.close().await;
    Ok(())
}

#[tokio::test]
async fn workers_survive_a_redis_that_is_late_and_one_that_restarts() -> Result<()> {
    let mut server = RedisServer::start()?;
    let url = server.url();
    server.kill();
    let cluster = Cluster::redis([url])?;
    let (workers, desk, _gate) = clerks(&cluster, 2)?;
    run(workers, async {
        for number in [1, 2] {
            server.restart()?;
            listened_to(&server, "jobs", 1).await?;
            // Up comes a moment after the subscription.
            eventually(SOON, "a publish", async || {
                Ok(Some(cluster.send("jobs", &Job::Note { number }).await?))
            })
            .await?;
            desk.has_noted(number as usize).await?;
            server.kill();
        }
        Ok(())
    })
    .await?;
    assert_eq!(*desk.noted.borrow(), [1, 2]);
    cluster.close().await;
    Ok(())
}

#[tokio::test]
async fn workers_go_on_when_the_thread_that_had_the_bridge_is_gone() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = Cluster::redis([server.url()])?;
    let (leave, left) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel::<()>();
    let node = cluster.node().clone();
    let sessions = std::thread::spawn(move || -> Result<()> {
        let runtime = actix_rt::Runtime::new()?;
        runtime.block_on(async {
            let _worker = node.worker();
            drop(ready);
            let _dropped = left.await;
        });
        Ok(())
    });
    let _dropped = within(SOON, "the other thread", is_ready).await?;
    let (workers, desk, _gate) = clerks(&cluster, 1)?;
    run(workers, async {
        listened_to(&server, "jobs", 1).await?;
        cluster.send("jobs", &Job::Note { number: 1 }).await?;
        desk.has_noted(1).await?;
        drop(leave);
        tokio::task::spawn_blocking(move || sessions.join().unwrap()).await??;
        cluster.send("jobs", &Job::Note { number: 2 }).await?;
        desk.has_noted(2).await
    })
    .await?;
    cluster.close().await;
    Ok(())
}
