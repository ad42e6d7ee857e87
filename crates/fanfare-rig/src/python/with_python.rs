use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{PythonError, PythonLayer, PythonOptions, PythonTarget, PythonWorker, RedisPy};
use crate::deadline::eventually;
use crate::redis_server::RedisServer;

const SOON: Duration = Duration::from_secs(20);
const NOW: Duration = Duration::from_millis(1);

fn note() -> Value {
    json!({ "type": "note" })
}

fn numbered(number: usize) -> Value {
    json!({ "type": "note", "number": number })
}

#[tokio::test]
async fn a_burst_says_what_was_sent_and_channels_redis_what_was_over_capacity() -> Result<()> {
    let redis = RedisServer::start()?;
    for python in [RedisPy::V5, RedisPy::Newest] {
        let options = PythonOptions {
            capacity: Some(5),
            python,
            ..PythonOptions::core([redis.url()])
        };
        let mut layer = PythonLayer::with(&options).await?;
        let channel = layer.join("crowd").await?;
        let crowd = PythonTarget::Group("crowd");
        let burst = layer.burst(crowd, &note(), 8).await?;
        assert_eq!((burst.attempts, burst.sent), (8, 8));
        assert_eq!(burst.microseconds.len(), 8);
        let over = "INFO 1 of 1 channels over capacity in group crowd";
        assert_eq!(layer.logged().await?, [over; 3]);
        for number in 0..5 {
            assert_eq!(layer.receive(&channel).await?, numbered(number));
        }
        assert_eq!(layer.receive_within(&channel, NOW).await?, None);
        layer.flush().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_python_raises_has_its_name() -> Result<()> {
    let redis = RedisServer::start()?;
    let options = PythonOptions {
        channel_capacity: vec![("jo*".to_owned(), 2)],
        ..PythonOptions::core([redis.url()])
    };
    let mut layer = PythonLayer::with(&options).await?;
    for _ in 0..2 {
        layer.send("jobs", &note()).await?;
    }
    let error = layer.send("jobs", &note()).await.err();
    let error = error.context("a third message")?;
    let error = error.downcast_ref::<PythonError>().context("its name")?;
    assert_eq!(error.kind, "ChannelFull");
    let burst = layer
        .burst(PythonTarget::Channel("jobs"), &note(), 3)
        .await?;
    assert_eq!((burst.attempts, burst.sent), (3, 0));
    assert_eq!(burst.errors, [("ChannelFull".to_owned(), 3)].into());
    Ok(())
}

#[tokio::test]
async fn a_sender_goes_on_until_it_is_stopped_and_counts_what_redis_refused() -> Result<()> {
    let mut redis = RedisServer::start()?;
    let mut layer = PythonLayer::start(&[&redis.url()]).await?;
    let group = PythonTarget::Group("steady");
    layer.start_sender(group, &note(), NOW).await?;
    eventually(SOON, "some events", async || {
        Ok((layer.sender_progress().await?.sent > 10).then_some(()))
    })
    .await?;
    redis.kill();
    eventually(SOON, "some failures", async || {
        let progress = layer.sender_progress().await?;
        Ok(progress
            .errors
            .contains_key("ConnectionError")
            .then_some(()))
    })
    .await?;
    redis.restart()?;
    let before = layer.sender_progress().await?.sent;
    eventually(SOON, "more events", async || {
        Ok((layer.sender_progress().await?.sent > before).then_some(()))
    })
    .await?;
    let all = layer.stop_sender().await?;
    assert_eq!(all.attempts, all.sent + all.errors.values().sum::<usize>());
    assert!(layer.sender_progress().await.is_err());
    Ok(())
}

#[tokio::test]
async fn an_idle_receive_on_core_outlives_the_timeout_of_the_newest_redis_py() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut layer = PythonLayer::with(&PythonOptions::core([redis.url()])).await?;
    let channel = layer.new_channel().await?;
    let long = Duration::from_secs(6);
    assert_eq!(layer.receive_within(&channel, long).await?, None);
    layer.send(&channel, &note()).await?;
    assert_eq!(layer.receive(&channel).await?, note());
    Ok(())
}

#[tokio::test]
async fn a_worker_notes_answers_and_announces() -> Result<()> {
    let redis = RedisServer::start()?;
    let options = PythonOptions::core([redis.url()]);
    let mut layer = PythonLayer::with(&options).await?;
    let mut worker = PythonWorker::start(&options, &["jobs", "mails"])?;
    let job = json!({ "type": "job.note", "number": 1 });
    layer.send("mails", &job).await?;
    assert_eq!(worker.next().await?, ("mails".to_owned(), job));

    let channel = layer.join("crowd").await?;
    let question = json!({ "type": "job.answer", "reply_to": channel });
    layer.send("jobs", &question).await?;
    let answer = layer.receive(&channel).await?;
    assert_eq!(answer, json!({ "type": "job.done", "reply_to": channel }));
    let announcement = json!({ "type": "job.announce", "group": "crowd" });
    layer.send("jobs", &announcement).await?;
    let heard = layer.receive(&channel).await?;
    assert_eq!(heard, json!({ "type": "job.done", "group": "crowd" }));
    Ok(())
}
