use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use fanfare_protocol::serializer::Recipients;
use fanfare_protocol::{Envelope, Event, Target};
use fanfare_rig::{RedisServer, eventually};

use super::process::{EXPIRY, LONG, Process, SOON, body, channel, serializer};
use crate::redis::core::receive::lanes::take;

impl Process {
    fn lane(&self, at: usize) -> &str {
        &self.shared.keys.lanes()[at]
    }

    /// A message for whoever reads a lane.
    fn message(&self, lane: usize, number: i64) -> Bytes {
        let node = self.shared.keys.node();
        let name = match lane.checked_sub(1) {
            Some(group) => format!("specific.{node}.g{group}!room"),
            None => format!("specific.{node}!0000000100000001"),
        };
        body(number, Recipients::Many(&[&name]))
    }

    async fn send(&self, lane: usize, number: i64, score: f64) -> Result<()> {
        let message = self.message(lane, number);
        self.add(0, self.lane(lane), score, &message).await
    }
}

#[tokio::test]
async fn what_waits_in_all_lanes_arrives_in_the_order_of_its_sending() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 10_000, LONG).await?;
    let start = process.now();
    for number in 0..3000_i64 {
        // Lanes get runs of different lengths, longer than what is popped at once.
        let lane = usize::try_from(number / 150 % 9)?;
        process
            .send(lane, number, start + number as f64 * 1e-5)
            .await?;
    }
    let _taking = process.take().await?;
    let arrived = process.next(3000).await?;
    let numbers: Vec<_> = arrived.iter().map(super::process::number).collect();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    assert!(matches!(&arrived[0].target, Target::Channel(name) if name.as_str().contains('!')));
    assert!(matches!(&arrived[150].target, Target::Group(group) if group.as_str() == "room"));
    Ok(())
}

#[tokio::test]
async fn what_is_sent_while_lanes_are_emptied_arrives_in_the_order_of_its_sending() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 10_000, LONG).await?;
    let _taking = process.take().await?;
    let start = process.now();
    for number in 0..3000_i64 {
        let lane = usize::try_from(number * 7 % 9)?;
        process
            .send(lane, number, start + number as f64 * 1e-5)
            .await?;
    }
    let numbers = process.numbers(3000).await?;
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_burst_in_one_lane_and_a_large_message_arrive_whole() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 10_000, LONG).await?;
    let _taking = process.take().await?;
    let name = format!("specific.{}!0000000100000001", process.shared.keys.node());
    let large = Event::new("test")
        .with("number", 0_i64)
        .with("text", "x".repeat(5 << 20));
    let draft = serializer().draft(&Envelope::new(large.clone()))?;
    let large_body = serializer().finish(&draft, Recipients::One(&name), false)?;
    let now = process.now();
    process.add(0, process.lane(0), now, &large_body).await?;
    assert_eq!(process.next(1).await?[0].envelope.event, large);
    for number in 0..150 {
        process.send(2, number, now + number as f64 * 1e-5).await?;
    }
    assert_eq!(process.numbers(150).await?, (0..150).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_message_that_waited_for_too_long_is_dropped_and_counted() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    let now = process.now();
    process.send(0, 1, now - EXPIRY.as_secs_f64() - 1.0).await?;
    process
        .send(0, 2, now - EXPIRY.as_secs_f64() + SOON.as_secs_f64())
        .await?;
    process.send(1, 3, now).await?;
    let _taking = process.take().await?;
    assert_eq!(process.numbers(2).await?, [2, 3]);
    assert_eq!(process.shared.metrics.dropped.expired.get(), 1);
    assert_eq!(process.shared.metrics.received.get(), 3);
    Ok(())
}

#[tokio::test]
async fn a_full_inbox_leaves_messages_in_redis_and_loses_none() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 10, LONG).await?;
    let now = process.now();
    for number in 0..500 {
        process.send(1, number, now + number as f64 * 1e-5).await?;
    }
    let _taking = process.take().await?;
    eventually(SOON, "a full inbox", async || {
        Ok((process.shared.metrics.received.get() == 10).then_some(()))
    })
    .await?;
    let waiting = process.waiting(0, process.lane(1)).await?;
    assert!((1..500).contains(&waiting), "{waiting}");
    // Comes while nothing is popped, and is not popped before the others.
    process.send(0, 500, now + 1.0).await?;
    assert_eq!(process.numbers(501).await?, (0..=500).collect::<Vec<_>>());
    assert_eq!(process.shared.metrics.dropped.inbox_full.get(), 0);
    Ok(())
}

#[tokio::test]
async fn what_was_popped_when_the_taking_ends_is_delivered_or_counted() -> Result<()> {
    let redis = RedisServer::start()?;
    let process = Process::start(&[&redis], 10, LONG).await?;
    let now = process.now();
    for number in 0..500 {
        process.send(1, number, now + number as f64 * 1e-5).await?;
    }
    let taking = process.take().await?;
    eventually(SOON, "a full inbox", async || {
        Ok((process.shared.metrics.received.get() == 10).then_some(()))
    })
    .await?;
    taking.cut().await;
    let popped = 500 - process.waiting(0, process.lane(1)).await?;
    let metrics = &process.shared.metrics;
    assert_eq!(metrics.received.get(), u64::try_from(popped)?);
    assert_eq!(
        metrics.dropped.inbox_full.get(),
        u64::try_from(popped)? - 10
    );
    Ok(())
}

#[tokio::test]
async fn messages_whose_answer_is_on_its_way_when_the_taking_is_given_up_arrive() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    let shared = process.shared.clone();
    let connection = process.connection(0).await?;
    let mut taking = Box::pin(take(connection, &shared, 0));
    let blocked = eventually(SOON, "a blocking command", async || {
        Ok((process.blocked(0).await? == 1).then_some(()))
    });
    tokio::select! {
        reason = &mut taking => panic!("{reason}"),
        blocked = blocked => blocked?,
    }
    process.send(1, 1, process.now()).await?;
    assert_eq!(process.waiting(0, process.lane(1)).await?, 0);
    drop(taking);
    assert_eq!(process.numbers(1).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_server_ends_the_taking_and_loses_nothing() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    process.send(1, 1, process.now()).await?;
    process.send(3, 2, process.now()).await?;
    redis.cli(&["SET", process.lane(2), "something else"])?;
    let reason = process.take().await?.end().await?;
    assert!(reason.contains("WRONGTYPE"), "{reason}");
    assert_eq!(process.numbers(2).await?, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_gone_or_says_nothing_any_more_ends_the_taking() -> Result<()> {
    let mut redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, Duration::from_secs(1)).await?;
    let taking = process.take().await?;
    process.send(1, 1, process.now()).await?;
    process.numbers(1).await?;
    redis.pause()?;
    let paused = Instant::now();
    let reason = taking.end().await?;
    assert!(reason.contains("no sign of life"), "{reason}");
    assert!(paused.elapsed() >= Duration::from_secs(1));
    redis.resume()?;
    let taking = process.take().await?;
    redis.kill();
    taking.end().await?;
    Ok(())
}

#[tokio::test]
async fn a_user_that_may_only_do_what_receiving_needs_is_denied_nothing() -> Result<()> {
    let redis = RedisServer::start()?;
    let commands = [
        "+multi",
        "+exec",
        "+bzpopmin",
        "+zpopmin",
        "+zadd",
        "+expire",
    ];
    // The last two are the test's own.
    let rest = ["~asgi*", "~fanfare:asgi:*", "+time", "+zcard"];
    redis.add_user("node", "secret", &[&commands[..], &rest].concat())?;
    let url = redis.user_url("node", "secret");
    let mut process = Process::with_urls(vec![url], 100, LONG).await?;
    let _running = (process.take().await?, process.fetch(0).await?);
    process.send(1, 1, process.now()).await?;
    assert_eq!(process.numbers(1).await?, [1]);
    let pull = |name: &str| process.shared.demand.pull(&channel(name));
    pull("news");
    pull("mail");
    process.shared.demand.forget(&channel("mail"));
    let mail = body(2, Recipients::None);
    process.add(0, "asginews", process.now(), &mail).await?;
    assert_eq!(process.numbers(1).await?, [2]);
    let denials = redis.denials()?;
    assert!(denials.is_empty(), "{denials:?}");
    Ok(())
}
