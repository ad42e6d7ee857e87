//! What a node of the core format makes of hosts that hang, come back late, or lag.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::{Format, RedisPace};
use fanfare_layer::{Publish, PublishError, State, Subscription};
use fanfare_protocol::{Envelope, GroupName, NodeId, Target};
use fanfare_rig::{RedisServer, eventually, within};

use crate::support::zsets::{clock, discard, members};
use crate::support::{Node, SOON, core_options, group, numbered, options};

async fn node(server: &RedisServer, per_session: bool) -> Result<Node> {
    let mut options = options([server.url()])?;
    let mut core = core_options()?;
    core.per_session = per_session;
    options.format = Format::Core(core);
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    Ok(node)
}

/// Waits until a node has given so many signs of life.
async fn beats(server: &RedisServer, node: &Node, count: usize) -> Result<()> {
    let mut last = None;
    for _ in 0..count {
        let beat = eventually(SOON, "a sign of life", async || {
            let score = server.cli(&["ZSCORE", "fanfare:asgi:nodes", &node.id.to_string()])?;
            let score: Option<f64> = redis::from_redis_value(score)?;
            Ok((score.is_some() && score != last).then_some(score))
        });
        last = beat.await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_takes_connections_and_says_nothing_is_tried_again() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("redis://127.0.0.1:{}", silent.local_addr()?.port());
    let mut options = options([url])?;
    options.pace = RedisPace::every(Duration::from_millis(500));
    options.format = Format::Core(core_options()?);
    let node = Node::redis(options)?;
    eventually(SOON, "another attempt", async || {
        let again = node.metric("fanfare_layer_reconnects_total", "");
        Ok((again >= 2.0).then_some(()))
    })
    .await
}

#[tokio::test]
async fn who_was_away_for_longer_than_messages_wait_has_a_gap() -> Result<()> {
    let server = RedisServer::start()?;
    let mut options = options([server.url()])?;
    options.pace = RedisPace::every(Duration::from_millis(500));
    let mut core = core_options()?;
    core.expiry = Duration::from_secs(1);
    options.format = Format::Core(core);
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    server.pause()?;
    eventually(
        SOON,
        "attempts in vain, of half a second each",
        async || {
            let again = node.metric("fanfare_layer_reconnects_total", "");
            Ok((again >= 4.0).then_some(()))
        },
    )
    .await?;
    server.resume()?;
    node.reaches(State::Up).await?;
    assert_eq!(node.metric("fanfare_layer_gaps_total", ""), 1.0);
    Ok(())
}

#[tokio::test]
async fn who_comes_back_first_leaves_the_others_the_time_to_come_back_too() -> Result<()> {
    let server = RedisServer::start()?;
    let (other, late) = (NodeId::random()?, clock(&server)? - 60.0);
    // As a host has it that was away for a minute, for all nodes.
    server.cli(&[
        "ZADD",
        "fanfare:asgi:nodes",
        &late.to_string(),
        &other.to_string(),
    ])?;
    let lane = format!("asgispecific.{other}!");
    server.cli(&["ZADD", &lane, "1", "a message"])?;
    let node = node(&server, false).await?;
    beats(&server, &node, 3).await?;
    let waiting: i64 = redis::from_redis_value(server.cli(&["ZCARD", &lane])?)?;
    assert_eq!(waiting, 1, "it was cleared away after");
    Ok(())
}

#[tokio::test]
async fn a_session_whose_membership_a_replica_had_not_got_is_added_again() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server, true).await?;
    let session = |number| format!("specific.{}!000000000000000{number}", node.id);
    for number in 1..=2 {
        let joined = node.layer.subscribe(vec![Subscription::session_in_group(
            GroupName::parse("room")?,
            node.naming.channel(&session(number))?,
        )]);
        within(SOON, "the join", joined).await??;
    }
    // One was taken out by others; of the other's join the new master knows nothing at all.
    discard(&server, "room", &session(1))?;
    discard(&server, "room", &session(2))?;
    let notes = format!("fanfare:asgi:node:{}:members", node.id);
    server.cli(&["SREM", &notes, &format!("room {}", session(2))])?;
    let mut status = node.layer.status();
    status.mark_unchanged();
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"])?;
    within(SOON, "the loss", status.changed()).await??;
    node.reaches(State::Up).await?;
    assert_eq!(members(&server, "room")?, [session(2)]);
    Ok(())
}

#[tokio::test]
async fn a_publisher_that_waits_for_room_hears_of_the_end_of_the_layer() -> Result<()> {
    let server = RedisServer::start()?;
    let mut options = options([server.url()])?;
    options.publish_in_flight = 1;
    options.format = Format::Core(core_options()?);
    let node = Node::redis(options)?;
    node.reaches(State::Up).await?;
    server.pause()?;
    let envelope = Arc::new(Envelope::new(numbered(1)));
    let publish = |target: &Target| node.layer.publish(target.clone(), envelope.clone());
    let _first = publish(&group("room"));
    let Publish::Full(second) = publish(&group("room")) else {
        anyhow::bail!("there is room");
    };
    drop(node);
    let answer = within(SOON, "an answer", Publish::Full(second).confirmed()).await?;
    assert_eq!(answer, Err(PublishError::Closed));
    Ok(())
}
