//! A Redis Cluster: three masters that share the slots, and replicas.

use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::deadline::eventually;
use crate::ports::ReservedPort;
use crate::redis_server::{RedisOptions, RedisServer};

const LIMIT: Duration = Duration::from_secs(20);
const SLOTS: u32 = 16_384;
const MASTERS: u32 = 3;

/// Three redis-servers in cluster mode, each with a third of the slots; gone with their value.
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<RedisServer>,
    /// Held for as long as the servers listen there.
    _buses: Vec<ReservedPort>,
}

/// A server that follows one of a cluster's masters; gone with its value.
#[derive(Debug)]
pub struct ClusterReplica {
    server: RedisServer,
    _bus: ReservedPort,
}

impl Deref for ClusterReplica {
    type Target = RedisServer;

    fn deref(&self) -> &RedisServer {
        &self.server
    }
}

impl RedisCluster {
    /// Starts the servers, makes them one cluster, and waits until each says that it is whole.
    ///
    /// # Errors
    /// When redis-server is not installed, or the cluster does not form.
    pub async fn start() -> Result<Self> {
        let mut servers = Vec::new();
        let mut buses = Vec::new();
        for number in 0..MASTERS {
            let (server, bus) = member()?;
            let (from, to) = (number * SLOTS / MASTERS, (number + 1) * SLOTS / MASTERS - 1);
            let (from, to) = (from.to_string(), to.to_string());
            let epoch = (number + 1).to_string();
            server.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
            server.cli(&["CLUSTER", "ADDSLOTSRANGE", &from, &to])?;
            servers.push(server);
            buses.push(bus);
        }
        let (first, others) = servers.split_first().context("no server")?;
        for (server, bus) in others.iter().zip(buses.iter().skip(1)) {
            let port = server.port().to_string();
            let bus = bus.number().to_string();
            first.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        let cluster = Self {
            servers,
            _buses: buses,
        };
        eventually(LIMIT, "a whole cluster", async || {
            for server in &cluster.servers {
                whole(server)?;
            }
            Ok(Some(()))
        })
        .await?;
        Ok(cluster)
    }

    /// Its servers, in the order of their slots.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Adds a replica of the first master, and waits until it has followed it.
    ///
    /// # Errors
    /// When it does not start or is not taken.
    pub async fn add_replica(&self) -> Result<ClusterReplica> {
        let (server, bus) = member()?;
        let first = self.servers.first().context("no server")?;
        let id: String = redis::from_redis_value(first.cli(&["CLUSTER", "MYID"])?)?;
        let (port, bus_port) = (server.port().to_string(), bus.number().to_string());
        first.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port])?;
        eventually(LIMIT, "a replica that knows its master", async || {
            server.cli(&["CLUSTER", "REPLICATE", &id]).map(Some)
        })
        .await?;
        eventually(LIMIT, "a replica that has followed", async || {
            let said = format!("{:?}", server.cli(&["INFO", "replication"])?);
            ensure!(said.contains("master_link_status:up"), "{said}");
            let known = format!("{:?}", first.cli(&["CLUSTER", "REPLICAS", &id])?);
            Ok(known.contains(&port).then_some(()))
        })
        .await?;
        Ok(ClusterReplica { server, _bus: bus })
    }

    /// The URL of one of its servers.
    ///
    /// # Errors
    /// Without such a server.
    pub fn url(&self, index: usize) -> Result<String> {
        let server = self.servers.get(index).context("no such server")?;
        Ok(server.url())
    }
}

/// A server in cluster mode that knows nobody, and the port of its bus.
fn member() -> Result<(RedisServer, ReservedPort)> {
    // The usual bus port is 10,000 higher, which may not exist.
    let bus = ReservedPort::reserve()?;
    let port = bus.number().to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &port];
    let server = RedisServer::with(RedisOptions {
        arguments: arguments.map(String::from).to_vec(),
        ..RedisOptions::default()
    })?;
    Ok((server, bus))
}

/// Checks that a server sees everybody and all slots.
fn whole(server: &RedisServer) -> Result<()> {
    let info: String = redis::from_redis_value(server.cli(&["CLUSTER", "INFO"])?)?;
    for line in [
        "cluster_state:ok",
        "cluster_known_nodes:3",
        "cluster_size:3",
        "cluster_slots_ok:16384",
    ] {
        ensure!(info.lines().any(|said| said == line), "no {line} in {info}");
    }
    Ok(())
}

#[cfg(test)]
mod with_redis {
    use super::*;

    #[tokio::test]
    async fn a_key_lives_on_one_server_and_the_others_say_where() -> Result<()> {
        let cluster = RedisCluster::start().await?;
        let answers = cluster.servers().iter().map(|it| it.cli(&["GET", "key"]));
        let (known, moved): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
        assert_eq!((known.len(), moved.len()), (1, 2));
        Ok(())
    }
}
