use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use fanfare_protocol::Target;
use fanfare_protocol::serializer::Recipients;
use fanfare_rig::{RedisServer, eventually};
use redis::Value;

use super::process::{EXPIRY, LONG, Process, SOON, body, channel};
use crate::redis::core::demand::Grant;
use crate::redis::core::receive::channels::fetch;
use crate::redis::core::unpack::Source;
use crate::{Delivery, PublishError};

const KEY: &str = "asgimail";

impl Process {
    /// Sends to the channel "mail".
    async fn mail(&self, host: usize, numbers: impl IntoIterator<Item = i64>) -> Result<()> {
        for number in numbers {
            let score = self.now() + number as f64 * 1e-5;
            let message = body(number, Recipients::None);
            self.add(host, KEY, score, &message).await?;
        }
        Ok(())
    }

    fn pull(&self, name: &str, times: usize) {
        (0..times).for_each(|_| self.shared.demand.pull(&channel(name)));
    }

    /// Waits until so many clients of a host wait for messages.
    async fn is_blocked(&self, host: usize, clients: usize) -> Result<()> {
        eventually(SOON, "a blocking command", async || {
            Ok((self.blocked(host).await? == clients).then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn as_many_messages_are_taken_as_receivers_wait_for() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = process.fetch(0).await?;
    process.mail(0, 0..5).await?;
    process.pull("mail", 2);
    let arrived = process.next(2).await?;
    assert_eq!(arrived[0].target, Target::Channel(channel("mail")));
    process.pull("mail", 1);
    assert_eq!(process.numbers(1).await?, [2]);
    assert_eq!(process.waiting(0, KEY).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_wish_for_another_channel_is_heard_while_the_first_are_waited_for() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = process.fetch(0).await?;
    process.pull("news", 1);
    process.is_blocked(0, 1).await?;
    process.pull("mail", 1);
    process.mail(0, [1]).await?;
    assert_eq!(process.numbers(1).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn two_processes_share_the_messages_of_a_channel() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut one = Process::start(&[&redis], 100, LONG).await?;
    let mut other = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = (one.fetch(0).await?, other.fetch(0).await?);
    one.pull("mail", 30);
    other.pull("mail", 20);
    one.mail(0, 0..50).await?;
    let mut all = one.numbers(30).await?;
    all.extend(other.numbers(20).await?);
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_goes_leaves_the_messages_to_others() -> Result<()> {
    let redis = RedisServer::start()?;
    let one = Process::start(&[&redis], 100, LONG).await?;
    let mut other = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = one.fetch(0).await?;
    one.pull("mail", 2);
    one.is_blocked(0, 1).await?;
    one.shared.demand.forget(&channel("mail"));
    // The wait ends at once: a message that comes later is not even touched.
    one.is_blocked(0, 0).await?;
    one.mail(0, [1]).await?;
    let _fetching_too = other.fetch(0).await?;
    other.pull("mail", 1);
    assert_eq!(other.numbers(1).await?, [1]);
    assert_eq!(one.shared.metrics.received.get(), 0);
    Ok(())
}

#[tokio::test]
async fn a_message_taken_in_vain_goes_back_to_its_place_and_does_not_stay_for_ever() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = process.fetch(0).await?;
    process.pull("mail", 1);
    process.is_blocked(0, 1).await?;
    // Another host is quicker.
    let granted = process
        .shared
        .demand
        .grant::<()>(&channel("mail"), || Ok(()));
    assert_eq!(granted, Grant::Granted);
    let message = body(1, Recipients::None);
    let score = process.now();
    process.add(0, KEY, score, &message).await?;
    eventually(SOON, "the message, put back", async || {
        let ttl = redis.cli(&["TTL", KEY])?;
        Ok(matches!(ttl, Value::Int(1..)).then_some(()))
    })
    .await?;
    assert_eq!(process.waiting(0, KEY).await?, 1);
    process.mail(0, 2..5).await?;
    process.pull("mail", 4);
    assert_eq!(process.numbers(4).await?, [1, 2, 3, 4]);
    assert_eq!(process.shared.metrics.received.get(), 4);
    Ok(())
}

#[tokio::test]
async fn one_wish_at_two_hosts_brings_one_message() -> Result<()> {
    let hosts = (RedisServer::start()?, RedisServer::start()?);
    let mut process = Process::start(&[&hosts.0, &hosts.1], 100, LONG).await?;
    let _fetching = (process.fetch(0).await?, process.fetch(1).await?);
    process.pull("mail", 1);
    process.is_blocked(0, 1).await?;
    process.is_blocked(1, 1).await?;
    tokio::try_join!(process.mail(0, [1]), process.mail(1, [2]))?;
    let first = process.numbers(1).await?;
    process.pull("mail", 1);
    let second = process.numbers(1).await?;
    assert_eq!(first[0] + second[0], 3);
    assert_eq!(process.shared.metrics.received.get(), 2);
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_any_more_is_counted_and_the_receiver_waits_on() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = process.fetch(0).await?;
    let old = process.now() - EXPIRY.as_secs_f64() - 1.0;
    process.add(0, KEY, old, &body(1, Recipients::None)).await?;
    let garbage = Bytes::from_static(b"twelve bytes and no msgpack");
    process.add(0, KEY, process.now(), &garbage).await?;
    process.mail(0, [2]).await?;
    process.pull("mail", 1);
    assert_eq!(process.numbers(1).await?, [2]);
    let drops = &process.shared.metrics.dropped;
    assert_eq!(drops.expired.get(), 1);
    let unreadable = drops.malformed.get() + drops.not_a_map.get();
    assert_eq!(unreadable, 1);
    Ok(())
}

#[tokio::test]
async fn a_message_that_redis_does_not_take_back_is_counted() -> Result<()> {
    let redis = RedisServer::start()?;
    let process = Process::start(&[&redis], 100, LONG).await?;
    let _fetching = process.fetch(0).await?;
    process.pull("mail", 1);
    process.is_blocked(0, 1).await?;
    let granted = process
        .shared
        .demand
        .grant::<()>(&channel("mail"), || Ok(()));
    assert_eq!(granted, Grant::Granted);
    process.shared.servers[0].refuse(PublishError::Down("for the test".into()));
    process.mail(0, [1]).await?;
    eventually(SOON, "the count", async || {
        let count = process.shared.metrics.dropped.unreturned.get();
        Ok((count == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_message_that_found_no_room_when_the_fetching_ends_goes_back() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut process = Process::start(&[&redis], 1, LONG).await?;
    let fetching = process.fetch(0).await?;
    process.pull("mail", 2);
    process.is_blocked(0, 1).await?;
    // The inbox is filled while the fetching waits, and not looked at again before a message is there.
    process.shared.incoming.push(
        Source::Channel(Delivery {
            target: Target::Channel(channel("mail")),
            envelope: Arc::new(fanfare_protocol::Envelope::new(
                fanfare_protocol::Event::new("test").with("number", 0_i64),
            )),
            arrived: Instant::now(),
        }),
        Bytes::new(),
    );
    process.mail(0, [1]).await?;
    eventually(SOON, "the pop", async || {
        Ok((process.waiting(0, KEY).await? == 0).then_some(()))
    })
    .await?;
    // It is popped; its answer is read when nothing else is to be done.
    process.is_blocked(0, 0).await?;
    fetching.cut().await;
    let _fetching = process.fetch(0).await?;
    assert_eq!(process.numbers(2).await?, [0, 1]);
    Ok(())
}

#[tokio::test]
async fn a_message_that_comes_when_the_fetching_is_given_up_goes_back() -> Result<()> {
    let redis = RedisServer::start()?;
    let process = Process::start(&[&redis], 100, LONG).await?;
    process.pull("mail", 1);
    let connection = process.connection(0).await?;
    let mut fetching = Box::pin(fetch(connection, &process.shared, 0));
    tokio::select! {
        reason = &mut fetching => panic!("{reason}"),
        blocked = process.is_blocked(0, 1) => blocked?,
    }
    // Redis gives it away, and nobody reads the answer.
    process.mail(0, [1]).await?;
    assert_eq!(process.waiting(0, KEY).await?, 0);
    drop(fetching);
    eventually(SOON, "the message", async || {
        Ok((process.waiting(0, KEY).await? == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_fetching_that_is_given_up_waits_for_nothing_any_more() -> Result<()> {
    let redis = RedisServer::start()?;
    let process = Process::start(&[&redis], 100, LONG).await?;
    let fetching = process.fetch(0).await?;
    process.pull("mail", 1);
    process.is_blocked(0, 1).await?;
    fetching.cut().await;
    process.is_blocked(0, 0).await
}

#[tokio::test]
async fn a_wish_outlives_the_connection() -> Result<()> {
    let redis = RedisServer::start()?;
    let process = Process::start(&[&redis], 100, LONG).await?;
    let fetching = process.fetch(0).await?;
    process.pull("mail", 1);
    process.is_blocked(0, 1).await?;
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    fetching.end().await?;
    let mut process = process.reconnected().await?;
    let _fetching = process.fetch(0).await?;
    process.mail(0, [1]).await?;
    assert_eq!(process.numbers(1).await?, [1]);
    Ok(())
}
