//! A server behind one address is replaced by another, and the old connections stay open.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fanfare_layer::State;
use fanfare_layer::redis::{Format, RedisPace};
use fanfare_rig::{Logs, RedisCluster, RedisServer, eventually};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::formats::{in_both_formats, is_core};
use crate::outage::PROBE;
use crate::servers::{add_user, rules};
use crate::support::{Node, SOON, group, numbered, numbers, options};
use crate::transport::{options_of, refusal, round_trip};

in_both_formats! {
    a_demoted_master_whose_connections_stay_open_is_left_for_the_new_one,
    a_replica_is_refused_by_reason,
    a_server_that_does_not_tell_its_role_is_used_and_that_is_logged_once,
}

/// By when a failover must be noticed with the default pace of probes.
const NOTICED: Duration = Duration::from_secs(10);

/// One address, which leads new connections to the server that it is told, as that of a load
/// balancer or a name in DNS. Open ones stay where they are.
async fn one_address(first: &RedisServer) -> Result<(u16, watch::Sender<u16>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (target, targets) = watch::channel(first.port());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await?;
            let target = *targets.borrow();
            let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        std::io::Result::Ok(())
    });
    Ok((port, target))
}

/// Makes the server follow another, and waits until it has all that the other has.
async fn follow(server: &RedisServer, port: u16) -> Result<()> {
    server.cli(&["REPLICAOF", "127.0.0.1", &port.to_string()])?;
    eventually(SOON, "the replica", async || {
        let said = format!("{:?}", server.cli(&["INFO", "replication"])?);
        ensure!(said.contains("master_link_status:up"), "{said}");
        Ok(Some(()))
    })
    .await
}

async fn a_demoted_master_whose_connections_stay_open_is_left_for_the_new_one(
    format: Format,
) -> Result<()> {
    for writable in ["no", "yes"] {
        let [old, new] = [RedisServer::start()?, RedisServer::start()?];
        // One that takes writes answers nothing that could be noticed.
        let read_only = if writable == "yes" { "no" } else { "yes" };
        old.cli(&["CONFIG", "SET", "replica-read-only", read_only])?;
        follow(&new, old.port()).await?;
        let (port, target) = one_address(&old).await?;
        let mut through = options_of(format!("redis://127.0.0.1:{port}"), &format)?;
        through.pace = RedisPace::every(Duration::from_secs(2));
        let node = Node::redis(through)?.reading();
        node.subscribe(&["room"]).await?;

        eventually(SOON, "the replica knows the node", async || {
            let keys = |server: &RedisServer| server.cli(&["DBSIZE"]);
            Ok((keys(&old)? == keys(&new)?).then_some(()))
        })
        .await?;
        target.send_replace(new.port());
        new.cli(&["REPLICAOF", "NO", "ONE"])?;
        let start = Instant::now();
        // At once: to copy all data of the new master takes longer than to notice.
        let noticed = async {
            node.reaches(State::Down).await?;
            anyhow::Ok(start.elapsed())
        };
        let (noticed, ()) = tokio::try_join!(noticed, follow(&old, new.port()))?;
        assert!(noticed < NOTICED, "{noticed:?}");
        node.reaches(State::Up).await?;
        // With core the new master has the memberships, and what waited.
        let gaps = if is_core(&format) { 0.0 } else { 1.0 };
        assert_eq!(node.metric("fanfare_layer_gaps_total", ""), gaps);

        let direct = Node::redis(options_of(new.url(), &format)?)?;
        direct.reaches(State::Up).await?;
        direct.publish(&group("room"), numbered(1)).await?;
        assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    }
    Ok(())
}

async fn a_replica_is_refused_by_reason(format: Format) -> Result<()> {
    let [master, replica] = [RedisServer::start()?, RedisServer::start()?];
    replica.cli(&["CONFIG", "SET", "replica-read-only", "no"])?;
    follow(&replica, master.port()).await?;
    refusal(replica.url(), &format, "it is a replica").await
}

async fn a_server_that_does_not_tell_its_role_is_used_and_that_is_logged_once(
    format: Format,
) -> Result<()> {
    let server = RedisServer::start()?;
    let rules = rules(&format)?.into_iter().filter(|rule| rule != "+role");
    add_user(&server, "node", &rules.collect::<Vec<_>>())?;
    let logs = Logs::of_this_thread();
    for _ in 0..2 {
        round_trip(server.user_url("node", "pw"), &format).await?;
        let told = logs.take();
        assert_eq!(told.matches("allow ROLE").count(), 1, "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_demoted_server_of_a_redis_cluster_goes_on_to_pass_on_what_is_published_with_pubsub()
-> Result<()> {
    let cluster = RedisCluster::start().await?;
    let replica = cluster.add_replica().await?;
    let of = |url| {
        let mut options = options([url])?;
        options.pace = RedisPace::every(PROBE);
        anyhow::Ok(Node::redis(options)?.reading())
    };
    let (one, other) = (of(cluster.url(0)?)?, of(cluster.url(1)?)?);
    one.subscribe(&["room"]).await?;
    other.subscribe(&["room"]).await?;
    replica.cli(&["CLUSTER", "FAILOVER"])?;
    eventually(SOON, "the failover", async || {
        let role = format!("{:?}", cluster.servers()[0].cli(&["ROLE"])?);
        Ok(role.contains("slave").then_some(()))
    })
    .await?;
    let late = of(cluster.url(0)?)?;
    late.subscribe(&["room"]).await?;
    one.probes_return(5).await?;
    for (number, node) in (0..).zip([&one, &other, &late]) {
        node.publish(&group("room"), numbered(number)).await?;
        for reader in [&one, &other, &late] {
            let count = usize::try_from(number)? + 1;
            let arrived = numbers(&reader.arrivals.first(count).await?);
            assert_eq!(arrived, (0..=number).collect::<Vec<_>>());
        }
    }
    assert_eq!(one.metric("fanfare_layer_reconnects_total", ""), 0.0);
    Ok(())
}
