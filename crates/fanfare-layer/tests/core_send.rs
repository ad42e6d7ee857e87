//! What a layer of the core format sends to Python consumers.

use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::{Capacities, CoreOptions, Format};
use fanfare_layer::{PublishError, State};
use fanfare_protocol::Serializer;
use fanfare_protocol::serializer::Notation;
use fanfare_rig::{PythonLayer, PythonOptions, RedisServer, eventually};

use crate::support::{Node, SOON, group, numbered, options};

fn core(notation: Notation, keys: &[String], capacity: usize) -> Result<Format> {
    let expiry = Duration::from_secs(60);
    Ok(Format::Core(CoreOptions {
        serializer: Serializer::core(notation, keys, 12, expiry),
        capacity: Capacities::new(capacity, &[])?,
        expiry,
        group_expiry: Duration::from_secs(86_400),
        per_session: false,
    }))
}

async fn node(servers: &[RedisServer], format: Format) -> Result<Node> {
    let mut options = options(servers.iter().map(RedisServer::url))?;
    options.format = format;
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    Ok(node)
}

fn servers(count: usize) -> Result<Vec<RedisServer>> {
    (0..count).map(|_| RedisServer::start()).collect()
}

#[tokio::test]
async fn python_reads_every_notation_with_and_without_keys() -> Result<()> {
    let servers = servers(3)?;
    for (notation, name) in [(Notation::Msgpack, "msgpack"), (Notation::Json, "json")] {
        for keys in [vec![], vec!["sekrit".to_owned(), "old".to_owned()]] {
            let mut python = PythonOptions::core(servers.iter().map(RedisServer::url));
            python.serializer_format = Some(name.into());
            python.symmetric_encryption_keys.clone_from(&keys);
            let mut python = PythonLayer::with(&python).await?;
            let node = node(&servers, core(notation, &keys, 100)?).await?;
            let (alone, member) = (python.new_channel().await?, python.join("room").await?);
            for number in 0..10 {
                node.send(&alone, number).await?;
                node.publish(&group("room"), numbered(number)).await?;
                node.send("thumbnails", number).await?;
            }
            for number in 0..10 {
                for channel in [&alone, &member] {
                    assert_eq!(python.receive(channel).await?["number"], number);
                }
            }
            let mut found = Vec::new();
            for _ in 0..10 {
                found.push(python.receive("thumbnails").await?["number"].as_i64());
            }
            // On three hosts there is no one order.
            found.sort_unstable();
            assert_eq!(found, (0..10).map(Some).collect::<Vec<_>>());
            node.layer.close().await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_full_channel_is_an_error_and_a_full_member_of_a_group_is_counted() -> Result<()> {
    let servers = servers(1)?;
    let node = node(&servers, core(Notation::Msgpack, &[], 3)?).await?;
    let urls = servers.iter().map(RedisServer::url);
    let mut python = PythonLayer::with(&PythonOptions::core(urls)).await?;
    let member = python.join("room").await?;
    for number in 0..3 {
        node.send(&member, number).await?;
    }
    let refused = node.send(&member, 3).await.unwrap_err();
    let refused = refused.downcast_ref::<PublishError>();
    assert!(
        matches!(refused, Some(PublishError::ChannelFull { channel }) if channel.as_str() == member)
    );
    node.publish(&group("room"), numbered(4)).await?;
    let failures = node.metric("fanfare_layer_publish_failures_total", "channel_full");
    let over = node.metric("fanfare_layer_over_capacity_total", "");
    assert_eq!((failures, over), (1.0, 1.0));
    for number in 0..3 {
        assert_eq!(python.receive(&member).await?["number"], number);
    }
    Ok(())
}

#[tokio::test]
async fn after_a_restart_of_redis_the_layer_sends_again() -> Result<()> {
    let mut servers = servers(1)?;
    let node = node(&servers, core(Notation::Msgpack, &[], 100)?).await?;
    node.send("jobs", 1).await?;
    servers[0].restart()?;
    eventually(SOON, "a publish after the restart", async || {
        Ok(node.send("jobs", 2).await.ok())
    })
    .await?;
    let waiting: Vec<Vec<u8>> = redis_members(&servers[0], "asgijobs")?;
    assert_eq!(waiting.len(), 1);
    Ok(())
}

fn redis_members(server: &RedisServer, key: &str) -> Result<Vec<Vec<u8>>> {
    Ok(redis::from_redis_value(
        server.cli(&["ZRANGE", key, "0", "-1"])?,
    )?)
}
