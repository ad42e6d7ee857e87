//! What a layer of the core format receives from its like.

use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::{Capacities, CoreOptions, Format, RedisPace};
use fanfare_layer::{Receiver, State};
use fanfare_protocol::Serializer;
use fanfare_protocol::serializer::Notation;
use fanfare_rig::RedisServer;

use crate::support::{Node, group, next, numbered, numbers, options};

async fn node(servers: &[RedisServer]) -> Result<Node> {
    let expiry = Duration::from_secs(60);
    let mut options = options(servers.iter().map(RedisServer::url))?;
    // Nothing may come only because a wait in Redis is over.
    options.pace = RedisPace::every(Duration::from_secs(60));
    options.format = Format::Core(CoreOptions {
        serializer: Serializer::core(Notation::Msgpack, &[], 12, expiry),
        capacity: Capacities::new(10_000, &[])?,
        expiry,
        group_expiry: Duration::from_secs(86_400),
        per_session: false,
    });
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    Ok(node)
}

/// Two nodes on some hosts.
async fn nodes(hosts: usize) -> Result<(Vec<RedisServer>, Node, Node)> {
    let servers: Vec<_> = (0..hosts)
        .map(|_| RedisServer::start())
        .collect::<Result<_>>()?;
    let (one, other) = (node(&servers).await?, node(&servers).await?);
    Ok((servers, one, other))
}

#[tokio::test]
async fn what_is_for_a_session_and_what_is_for_its_groups_arrives_in_order() -> Result<()> {
    let (_servers, here, there) = nodes(1).await?;
    here.subscribe(&["room", "hall", "yard"]).await?;
    let session = here.channel("0000000100000001")?;
    let targets = [group("room"), session, group("hall"), group("yard")];
    for number in 0..600_i64 {
        let target = &targets[usize::try_from(number * 7 % 4)?];
        there.publish(target, numbered(number)).await?;
    }
    let arrived = numbers(&here.arrivals.first(600).await?);
    assert_eq!(arrived, (0..600).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_large_event_for_a_group_reaches_all_nodes() -> Result<()> {
    let (_servers, here, there) = nodes(2).await?;
    here.subscribe(&["room"]).await?;
    there.subscribe(&["room"]).await?;
    let large = numbered(1).with("text", "x".repeat(5 << 20));
    there.publish(&group("room"), large.clone()).await?;
    for node in [here, there] {
        assert_eq!(node.arrivals.first(1).await?[0].envelope.event, large);
    }
    Ok(())
}

#[tokio::test]
async fn nodes_share_the_messages_of_a_channel_on_all_hosts() -> Result<()> {
    let (_servers, here, there) = nodes(3).await?;
    for number in 0..60 {
        here.send("jobs", number).await?;
    }
    let mut receivers = [here.receive("jobs").await?, there.receive("jobs").await?];
    let [one, other] = &mut receivers;
    let (one, other) = tokio::try_join!(some(one, 25), some(other, 35))?;
    let mut all = [one, other].concat();
    all.sort_unstable();
    assert_eq!(all, (0..60).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_goes_leaves_the_rest_to_others() -> Result<()> {
    let (_servers, here, there) = nodes(2).await?;
    let mut gone = here.receive("jobs").await?;
    there.send("jobs", 0).await?;
    assert_eq!(next(&mut gone).await?, 0);
    drop(gone);
    for number in 1..10 {
        there.send("jobs", number).await?;
    }
    let mut rest = some(&mut there.receive("jobs").await?, 9).await?;
    rest.sort_unstable();
    assert_eq!(rest, (1..10).collect::<Vec<_>>());
    Ok(())
}

async fn some(receiver: &mut Receiver, count: usize) -> Result<Vec<i64>> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(next(receiver).await?);
    }
    Ok(numbers)
}
