//! Nodes come, go and die, with the core format: what they leave in Redis.

use std::time::{Duration, Instant};

use anyhow::Result;
use fanfare_layer::State;
use fanfare_layer::redis::RedisOptions;
use fanfare_rig::{RedisServer, eventually, within};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime;

use crate::core_faults::{BEAT, core, is_of, node};
use crate::support::zsets::{clock, keys, members};
use crate::support::{Cluster, Node, SOON, group, next, numbered, numbers};

/// By when a dead node is cleared away.
const LIMIT: Duration = Duration::from_secs(30);

/// A node in a runtime of its own, which ends with it and says nothing to anyone.
pub(crate) struct Mortal {
    pub(crate) node: Node,
    runtime: runtime::Runtime,
}

impl Mortal {
    pub(crate) async fn start(options: RedisOptions) -> Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let node = {
            let _inside = runtime.enter();
            Node::redis(options)?.reading()
        };
        node.reaches(State::Up).await?;
        Ok(Self { node, runtime })
    }

    pub(crate) fn die(self) -> Node {
        self.runtime.shutdown_background();
        self.node
    }
}

#[tokio::test]
async fn after_a_dead_node_another_clears_away_within_thirty_seconds() -> Result<()> {
    let servers = [RedisServer::start()?, RedisServer::start()?];
    let urls = || servers.iter().map(RedisServer::url);
    let dead = Mortal::start(core(urls())?).await?;
    let names: Vec<_> = (0..10_000).map(|number| format!("g{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    dead.node.subscribe(&names).await?;
    let survivors = [
        Node::redis(core(urls())?)?.reading(),
        Node::redis(core(urls())?)?.reading(),
    ];
    for survivor in &survivors {
        survivor.reaches(State::Up).await?;
        survivor.subscribe(&["g1"]).await?;
    }
    let start = Instant::now();
    let dead = dead.die();
    // It still waits for what it will never read.
    survivors[0]
        .publish(&dead.channel("0000000000000001")?, numbered(1))
        .await?;
    survivors[0].publish(&group("g1"), numbered(2)).await?;
    let pattern = format!("*{}*", dead.id);
    for server in &servers {
        eventually(LIMIT, "no group of it is left", async || {
            let groups = keys(server, "asgi:group:g*")?.len();
            let own = keys(server, &pattern)?.len();
            Ok((groups <= 1 && own == 0).then_some(()))
        })
        .await?;
    }
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    let mut left = Vec::new();
    for server in &servers {
        left.extend(members(server, "g1")?);
    }
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.iter().any(|member| is_of(&dead, member)));
    let cleaned = survivors.map(|it| it.metric("fanfare_layer_nodes_cleaned_total", ""));
    assert_eq!(cleaned[0] + cleaned[1], 2.0, "once for each host");
    Ok(())
}

#[tokio::test]
async fn a_closed_node_leaves_no_key_in_redis() -> Result<()> {
    let cluster = Cluster::core(3)?;
    let node = cluster.node().await?;
    let names: Vec<_> = (0..50).map(|number| format!("g{number}")).collect();
    node.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    let mut receivers = [node.receive("jobs").await?, node.receive("mails").await?];
    for receiver in &mut receivers {
        node.send(receiver.channel().as_str(), 1).await?;
        next(receiver).await?;
        // What it has asked for stays asked for.
        assert!(receiver.next().now_or_never().is_none());
    }
    for name in &names {
        node.publish(&group(name), numbered(1)).await?;
    }
    node.arrivals.first(50).await?;
    let mut reader = node.layer.stream();
    within(SOON, "the close", node.layer.close()).await?;
    for server in cluster.servers() {
        assert_eq!(keys(server, "*")?, [""; 0]);
    }
    assert!(within(SOON, "the end", reader.next()).await?.is_none());
    for server in cluster.servers() {
        let alone = async || {
            let clients: String = redis::from_redis_value(server.cli(&["CLIENT", "LIST"])?)?;
            Ok((clients.lines().count() == 1).then_some(()))
        };
        eventually(SOON, "no connection is left", alone).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_was_only_asleep_adds_itself_again() -> Result<()> {
    let server = RedisServer::start()?;
    let sleeper = node(&server).await?;
    let id = sleeper.id.to_string();
    // The other's beats come between the sleeper's: otherwise it would always look just after a
    // sign of life.
    eventually(SOON, "half a beat", async || {
        let answer = server.cli(&["ZSCORE", "fanfare:asgi:nodes", &id])?;
        let beat: Option<f64> = redis::from_redis_value(answer)?;
        let age = clock(&server)? - beat.unwrap_or_default();
        Ok((0.8..1.2).contains(&age).then_some(()))
    })
    .await?;
    let other = node(&server).await?;
    sleeper.subscribe(&["room"]).await?;
    other.subscribe(&["room"]).await?;
    // As if it had given no sign of life for long; its next one would undo that, so it is
    // said again until the other node has looked.
    eventually(LIMIT, "the other clears away", async || {
        server.cli(&["ZADD", "fanfare:asgi:nodes", "XX", "1", &id])?;
        let cleaned = other.metric("fanfare_layer_nodes_cleaned_total", "");
        Ok((cleaned > 0.0).then_some(()))
    })
    .await?;
    sleeper
        .metric_becomes("fanfare_layer_memberships_lost_total", "", 1.0)
        .await?;
    eventually(BEAT, "its membership", async || {
        let members = members(&server, "room")?;
        Ok(members.iter().any(|it| is_of(&sleeper, it)).then_some(()))
    })
    .await?;
    let known = format!("fanfare:asgi:node:{id}:members");
    let notes: i64 = redis::from_redis_value(server.cli(&["SCARD", &known])?)?;
    assert_eq!(notes, 1, "what others must take out if it dies now");
    other.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&sleeper.arrivals.first(1).await?), [1]);
    Ok(())
}
