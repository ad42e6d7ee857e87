//! What is on the wire, and what comes off it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use fanfare_layer::State;
use fanfare_layer::redis::shard;
use fanfare_protocol::{CloseCode, Envelope, Event, Target};
use fanfare_rig::{RedisServer, eventually, within};
use futures_util::{FutureExt as _, StreamExt as _};
use redis::aio::PubSub;

use crate::support::{Node, SOON, group, numbered, numbers, options, subscription};

/// `{"type": "receive", "x": 1}` as channels_redis packs it.
const PACKED: &[u8] = b"\x82\xa4type\xa7receive\xa1x\x01";

fn event() -> Event {
    Event::new("receive").with("x", 1_i64)
}

async fn listening(server: &RedisServer, pattern: &str) -> Result<PubSub> {
    let mut pubsub = redis::Client::open(server.url())?
        .get_async_pubsub()
        .await?;
    pubsub.psubscribe(pattern).await?;
    Ok(pubsub)
}

async fn next(pubsub: &mut PubSub) -> Result<(String, Vec<u8>)> {
    let mut messages = pubsub.on_message();
    let message = within(SOON, "a message", messages.next())
        .await?
        .context("it ended")?;
    Ok((
        message.get_channel_name().to_owned(),
        message.get_payload_bytes().to_vec(),
    ))
}

/// How many connections listen to Redis channels.
fn listeners(server: &RedisServer, channels: &[&str]) -> Result<Vec<i64>> {
    let answer = server.cli(&[&["PUBSUB", "NUMSUB"], channels].concat())?;
    let pairs: Vec<(String, i64)> = redis::from_redis_value(answer)?;
    Ok(pairs.into_iter().map(|(_, count)| count).collect())
}

#[tokio::test]
async fn a_group_event_is_byte_for_byte_that_of_channels_redis() -> Result<()> {
    let server = RedisServer::start()?;
    let mut raw = listening(&server, "asgi*").await?;
    let node = Node::redis(options([server.url()])?)?;
    node.reaches(State::Up).await?;
    node.publish(&group("notifications"), event()).await?;
    assert_eq!(
        next(&mut raw).await?,
        ("asgi__group__notifications".into(), PACKED.to_vec())
    );
    Ok(())
}

#[tokio::test]
async fn an_order_to_close_a_group_reaches_its_nodes_and_no_python_member() -> Result<()> {
    let server = RedisServer::start()?;
    let mut python = listening(&server, "asgi*").await?;
    let sender = Node::redis(options([server.url()])?)?.reading();
    let member = Node::redis(options([server.url()])?)?.reading();
    for node in [&sender, &member] {
        node.reaches(State::Up).await?;
    }
    member.subscribe(&["red"]).await?;
    sender.publish(&group("red"), numbered(1)).await?;
    let closing = Arc::new(Envelope::closing(CloseCode(4000), "enough")?);
    let published = sender.layer.publish(group("red"), closing.clone());
    within(SOON, "the publish", published.confirmed()).await??;
    sender.publish(&group("red"), numbered(2)).await?;
    let arrived = member.arrivals.first(3).await?;
    assert!(arrived.iter().all(|it| it.target == group("red")));
    let closes: Vec<_> = arrived.iter().map(|it| it.envelope.close.clone()).collect();
    assert_eq!(closes, [None, closing.close.clone(), None]);
    for _ in 0..2 {
        let (channel, body) = next(&mut python).await?;
        let kind = Envelope::from_msgpack(&body.into())?;
        assert_eq!(channel, "asgi__group__red");
        assert_eq!(kind.event.event_type(), "test.number");
    }
    assert_eq!(sender.arrivals.len(), 0, "it has no member of the group");
    Ok(())
}

#[tokio::test]
async fn a_channel_is_published_to_verbatim() -> Result<()> {
    let server = RedisServer::start()?;
    let mut raw = listening(&server, "*").await?;
    let node = Node::redis(options([server.url()])?)?;
    node.reaches(State::Up).await?;
    let worker = Target::Channel(node.naming.channel("thumbnails-generate")?);
    let python = "asgispecific.1031f2597ca0479b8cac2941f98886b4";
    let python = Target::Channel(node.naming.channel(python)?);
    node.publish(&worker, event()).await?;
    node.publish(&python, event()).await?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let (channel, body) = next(&mut raw).await?;
        if !channel.starts_with("fanfare:") {
            assert_eq!(body, PACKED);
            seen.push(channel);
        }
    }
    assert_eq!(
        seen,
        [
            "thumbnails-generate",
            "asgispecific.1031f2597ca0479b8cac2941f98886b4"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn what_another_program_publishes_arrives() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?.reading();
    node.subscribe(&["notifications"]).await?;
    let mut other = redis::Client::open(server.url())?
        .get_multiplexed_async_connection()
        .await?;
    let channel = format!("{}0000000000000001", node.naming.node_prefix(node.id));
    for name in ["asgi__group__notifications", &channel] {
        redis::cmd("PUBLISH")
            .arg(name)
            .arg(PACKED)
            .query_async::<i64>(&mut other)
            .await?;
    }
    let arrived = node.arrivals.first(2).await?;
    assert_eq!(arrived[0].target, group("notifications"));
    assert_eq!(arrived[1].target, node.channel("0000000000000001")?);
    assert!(
        arrived
            .iter()
            .all(|delivery| delivery.envelope.event == event())
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_event_is_dropped_by_cause_and_stops_nothing() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?.reading();
    node.subscribe(&["room"]).await?;
    let mut other = redis::Client::open(server.url())?
        .get_multiplexed_async_connection()
        .await?;
    let bodies: [(&[u8], &str); 4] = [
        (b"\x82\xa4type", "malformed"),
        (b"\x93\x01\x02\x03", "not_a_map"),
        (b"\x81\xa1x\x01", "no_type"),
        (b"\x81\xa4type\x01", "type_not_string"),
    ];
    for (body, _) in bodies {
        let name = "asgi__group__room";
        redis::cmd("PUBLISH")
            .arg(name)
            .arg(body)
            .query_async::<i64>(&mut other)
            .await?;
    }
    let odd = format!("{}not legal", node.naming.node_prefix(node.id));
    redis::cmd("PUBLISH")
        .arg(odd)
        .arg(PACKED)
        .query_async::<i64>(&mut other)
        .await?;
    node.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    for cause in bodies
        .map(|(_, cause)| cause)
        .into_iter()
        .chain(["bad_name"])
    {
        assert_eq!(
            node.metric("fanfare_layer_dropped_total", cause),
            1.0,
            "{cause}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn groups_live_on_the_host_that_channels_redis_gives_them() -> Result<()> {
    let servers = [
        RedisServer::start()?,
        RedisServer::start()?,
        RedisServer::start()?,
    ];
    let node = Node::redis(options(servers.iter().map(RedisServer::url))?)?.reading();
    let groups: Vec<_> = (0..30).map(|number| format!("room-{number}")).collect();
    node.subscribe(&groups.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    let names: Vec<_> = groups
        .iter()
        .map(|group| format!("asgi__group__{group}"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for (index, server) in servers.iter().enumerate() {
        let expected: Vec<_> = names
            .iter()
            .map(|name| i64::from(shard(name, 3) == index))
            .collect();
        assert!(expected.contains(&1), "no group lives on host {index}");
        assert_eq!(listeners(server, &names)?, expected);
        assert_eq!(server.cli(&["PUBSUB", "NUMPAT"])?, redis::Value::Int(1));
    }
    for name in &groups {
        node.publish(&group(name), numbered(1)).await?;
    }
    node.arrivals.first(30).await?;
    Ok(())
}

#[tokio::test]
async fn an_unsubscribed_group_stops_arriving() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?.reading();
    node.subscribe(&["gone", "kept"]).await?;
    assert_eq!(node.metric("fanfare_layer_subscriptions", ""), 2.0);
    let gone = vec![subscription("gone")];
    within(SOON, "the unsubscription", node.layer.unsubscribe(gone)).await??;
    assert_eq!(
        listeners(&server, &["asgi__group__gone", "asgi__group__kept"])?,
        [0, 1]
    );
    assert_eq!(node.metric("fanfare_layer_subscriptions", ""), 1.0);
    node.publish(&group("gone"), numbered(1)).await?;
    node.publish(&group("kept"), numbered(2)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [2]);
    Ok(())
}

#[tokio::test]
async fn a_second_reader_takes_over_while_it_waits() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?;
    node.subscribe(&["room"]).await?;
    let mut readers = [node.layer.stream(), node.layer.stream()];
    let [first, second] = &mut readers;
    let waiting = tokio::spawn({
        let mut heir = node.layer.stream();
        async move { heir.next().await }
    });
    // Both are polled once and wait; then they die.
    assert!(first.next().now_or_never().is_none());
    assert!(second.next().now_or_never().is_none());
    drop(readers);
    node.publish(&group("room"), numbered(7)).await?;
    let batch = within(SOON, "a batch", waiting)
        .await??
        .context("it ended")?;
    assert_eq!(numbers(&batch), [7]);
    Ok(())
}

#[tokio::test]
async fn a_full_inbox_drops_the_newest_and_counts() -> Result<()> {
    let server = RedisServer::start()?;
    let mut options = options([server.url()])?;
    options.inbox = 10;
    let node = Node::redis(options)?;
    node.subscribe(&["room"]).await?;
    for number in 0..50 {
        node.publish(&group("room"), numbered(number)).await?;
    }
    node.metric_becomes("fanfare_layer_dropped_total", "inbox_full", 40.0)
        .await?;
    let batch = within(SOON, "a batch", node.layer.stream().next())
        .await?
        .context("it ended")?;
    assert_eq!(numbers(&batch), (0..10).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_closed_layer_leaves_nothing_in_redis() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?;
    node.subscribe(&["room"]).await?;
    node.publish(&group("room"), numbered(1)).await?;
    node.metric_becomes("fanfare_layer_received_total", "", 1.0)
        .await?;
    let mut reader = node.layer.stream();
    within(SOON, "the close", node.layer.close()).await?;
    assert_eq!(
        server.cli(&["PUBSUB", "CHANNELS"])?,
        redis::Value::Array(vec![])
    );
    assert_eq!(server.cli(&["PUBSUB", "NUMPAT"])?, redis::Value::Int(0));
    let batch = within(SOON, "what was there", reader.next())
        .await?
        .context("it ended")?;
    assert_eq!(numbers(&batch), [1]);
    assert!(within(SOON, "the end", reader.next()).await?.is_none());
    let alone = async || {
        let clients: String = redis::from_redis_value(server.cli(&["CLIENT", "LIST"])?)?;
        Ok((clients.lines().count() == 1).then_some(()))
    };
    eventually(SOON, "no connection is left", alone).await
}
