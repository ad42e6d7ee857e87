//! Leases of nodes over Redis.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fanfare_consumer::{
    Claim, Cluster, ClusterOptions, CoreFormat, Layer, Lease, RedisFormat, RedisLayer,
};
use fanfare_rig::{RedisServer, within};
use tokio::runtime;

use super::super::rig::PATIENCE;

const TTL: Duration = Duration::from_secs(2);

fn cluster(url: String, format: RedisFormat) -> Result<Cluster> {
    let layer = RedisLayer {
        format,
        ..RedisLayer::new([url])?
    };
    Ok(Cluster::new(ClusterOptions {
        layer: Layer::Redis(layer),
        ..ClusterOptions::default()
    })?)
}

async fn claimed(lease: &Lease) -> Result<Claim> {
    let claim = within(PATIENCE, "the claim", lease.claim()).await?;
    claim.context("the cluster is closed")
}

/// A node whose process ends without a word: its runtime is dropped, with everything in it.
struct Mortal(runtime::Runtime);

impl Mortal {
    fn new() -> Result<Self> {
        let mut builder = runtime::Builder::new_multi_thread();
        Ok(Self(builder.worker_threads(1).enable_all().build()?))
    }

    fn die(self) {
        self.0.shutdown_background();
    }
}

async fn followed(format: RedisFormat) -> Result<()> {
    let server = RedisServer::start()?;
    let mortal = Mortal::new()?;
    let (first, its_format) = (mortal.0.handle().clone(), format.clone());
    let url = server.url();
    let holding = first.spawn(async move {
        let cluster = cluster(url, its_format)?;
        let claim = claimed(&cluster.lease("clock", TTL)?).await?;
        anyhow::Ok((cluster, claim))
    });
    let (_cluster, held) = within(PATIENCE, "the first claim", holding).await???;
    assert!(held.is_held());

    let second = cluster(server.url(), format)?;
    let lease = second.lease("clock", TTL)?;
    let waiting = lease.claim();
    tokio::pin!(waiting);
    // It is renewed: nobody else gets it in three times its time.
    let early = tokio::time::timeout(TTL * 3, &mut waiting).await;
    assert!(early.is_err() && held.is_held(), "two nodes hold it");

    mortal.die();
    let died = Instant::now();
    let claim = within(PATIENCE, "the second claim", waiting).await?;
    let late = died.elapsed();
    assert!(
        late < TTL + Duration::from_secs(1),
        "{late:?} after the death"
    );
    assert!(claim.context("closed")?.is_held());
    Ok(())
}

#[actix_web::test]
async fn a_node_that_dies_is_followed_within_the_time_of_its_lease_with_pubsub() -> Result<()> {
    followed(RedisFormat::PubSub).await
}

#[actix_web::test]
async fn a_node_that_dies_is_followed_within_the_time_of_its_lease_with_core() -> Result<()> {
    followed(RedisFormat::Core(CoreFormat::default())).await
}

#[actix_web::test]
async fn a_closed_cluster_gives_its_leases_back_at_once() -> Result<()> {
    let server = RedisServer::start()?;
    let nodes = [(); 2].map(|()| cluster(server.url(), RedisFormat::PubSub));
    let [one, two] = nodes;
    let (one, two) = (one?, two?);
    let long = Duration::from_secs(3600);
    let lease = one.lease("job", long)?;
    let mut claim = claimed(&lease).await?;
    assert!(two.lease("job", long)?.try_claim().await?.is_none());
    one.close().await;
    within(PATIENCE, "the end of the claim", claim.lost()).await?;
    assert!(!claim.is_held());
    assert!(lease.claim().await.is_none(), "its cluster is closed");
    assert!(two.lease("job", long)?.try_claim().await?.is_some());
    Ok(())
}

#[actix_web::test]
async fn a_holder_that_does_not_reach_redis_learns_that_it_has_lost_its_lease() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = cluster(server.url(), RedisFormat::PubSub)?;
    let lease = cluster.lease("job", TTL)?;
    let mut claim = claimed(&lease).await?;
    server.pause()?;
    within(TTL + Duration::from_secs(1), "the loss", claim.lost()).await?;
    assert!(!claim.is_held());
    server.resume()?;
    assert!(claimed(&lease).await?.is_held());
    Ok(())
}

#[actix_web::test]
async fn a_holder_whose_lease_another_took_learns_of_it() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = cluster(server.url(), RedisFormat::PubSub)?;
    let lease = cluster.lease("job", TTL)?;
    let mut claim = claimed(&lease).await?;
    server.cli(&["SET", "fanfare:asgi:lease:job", "another"])?;
    within(TTL, "the loss", claim.lost()).await?;
    // It gives nothing back that is not its own.
    drop(claim);
    assert!(lease.try_claim().await?.is_none());
    Ok(())
}
