//! Questions to all nodes, over Redis.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use fanfare_consumer::{
    AskError, Cluster, ClusterOptions, CoreFormat, Layer, RedisFormat, RedisLayer,
};
use fanfare_layer::redis::{Format, Host, RedisOptions, RedisPace, connect};
use fanfare_layer::{CloseEvents, ControlHandler, LayerMetrics, MemoryBudget};
use fanfare_protocol::{GroupName, NodeId};
use fanfare_rig::{RedisServer, eventually};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use prometheus::Registry;

use super::super::rig::{PATIENCE, Visitor};

/// Never answers.
struct Silent;

impl ControlHandler for Silent {
    fn handle(&self, _: NodeId, _: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        pending().boxed()
    }
}

async fn acquainted(clusters: &[&Cluster], count: usize) -> Result<()> {
    for cluster in clusters {
        eventually(PATIENCE, "the nodes to know each other", async || {
            let known = cluster.node().layer().control().nodes().len();
            Ok((known == count).then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn counted(one: Cluster, two: Cluster) -> Result<()> {
    let groups = [GroupName::parse("room")?];
    let _members = [
        Visitor::open(&one, &groups).await,
        Visitor::open(&two, &groups).await,
        Visitor::open(&two, &groups).await,
        Visitor::open(&two, &[]).await,
    ];
    acquainted(&[&one, &two], 2).await?;
    for (name, members) in [("room", 3), ("hall", 0), ("fanfare.all", 4)] {
        let count = one.count(name).await?;
        assert_eq!((count.members, count.missing), (members, vec![]), "{name}");
    }
    let refused = one.count("no\nname").await.unwrap_err();
    assert!(matches!(refused, AskError::Name(_)), "{refused}");
    two.close().await;
    assert_eq!(one.count("fanfare.all").await?.missing, []);
    Ok(())
}

#[actix_web::test]
async fn a_group_is_counted_on_all_nodes_with_pubsub() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = || Cluster::redis([server.url()]);
    counted(cluster()?, cluster()?).await
}

#[actix_web::test]
async fn a_group_is_counted_on_all_nodes_with_core() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = || -> Result<_> {
        let layer = RedisLayer {
            format: RedisFormat::Core(CoreFormat::default()),
            ..RedisLayer::new([server.url()])?
        };
        Ok(Cluster::new(ClusterOptions {
            layer: Layer::Redis(layer),
            ..ClusterOptions::default()
        })?)
    };
    counted(cluster()?, cluster()?).await
}

#[actix_web::test]
async fn a_silent_node_is_named_in_a_count() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = Cluster::redis([server.url()])?;
    let _member = Visitor::open(&cluster, &[GroupName::parse("room")?]).await;
    let silent = RedisOptions {
        hosts: vec![Host::parse(&server.url())?],
        prefix: "asgi".into(),
        node: NodeId::random()?,
        publish_in_flight: 1,
        inbox: 1,
        memory: MemoryBudget::unlimited(),
        close_events: CloseEvents::Ignored,
        pace: RedisPace::every(Duration::from_secs(5)),
        format: Format::default(),
    };
    let node = silent.node;
    let layer = connect(silent, LayerMetrics::new(&Registry::new())?);
    layer.control().serve(Arc::new(Silent));
    acquainted(&[&cluster], 2).await?;
    let count = cluster.count("room").await?;
    assert_eq!((count.members, count.missing), (1, vec![node]));
    Ok(())
}

#[actix_web::test]
async fn a_cluster_of_one_process_counts_its_own_members() -> Result<()> {
    let cluster = Cluster::memory()?;
    let _member = Visitor::open(&cluster, &[GroupName::parse("room")?]).await;
    let count = cluster.count("room").await?;
    assert_eq!((count.members, count.missing), (1, vec![]));
    cluster.close().await;
    Ok(())
}
