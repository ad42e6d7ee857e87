//! A master with a replica, watched over by Redis Sentinel.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, Value};
use tempfile::TempDir;

use crate::deadline::eventually;
use crate::ports::ReservedPort;
use crate::redis_process::{Program, RedisProcess, ask};
use crate::redis_server::{RedisOptions, RedisServer};

const LIMIT: Duration = Duration::from_secs(30);
/// Milliseconds of what a sentinel does every 1 to 10 s by itself: too long for tests. Not shorter
/// than this either: it tells a dead or confused server from a busy machine by multiples of these.
const PERIODS: [&str; 8] = [
    "info-period",
    "500",
    "ping-period",
    "500",
    "ask-period",
    "500",
    "publish-period",
    "1000",
];

/// How [`Sentinels`] differ from plain ones: three, without passwords.
#[derive(Debug, Clone)]
pub struct SentinelsOptions {
    /// How many sentinels; more than half of them must agree on a failover.
    pub sentinels: usize,
    /// The password of the master and of the replica.
    pub password: Option<String>,
    /// The password of the sentinels.
    pub sentinel_password: Option<String>,
}

/// One master, one replica, and the sentinels that know the master as [`Sentinels::MASTER`]; gone
/// with their value.
#[derive(Debug)]
pub struct Sentinels {
    servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: ReservedPort,
    password: Option<String>,
    process: Option<RedisProcess>,
    /// Holds the configuration, which the sentinel itself rewrites; removed after the process.
    _home: TempDir,
}

impl Default for SentinelsOptions {
    fn default() -> Self {
        Self {
            sentinels: 3,
            password: None,
            sentinel_password: None,
        }
    }
}

impl Sentinels {
    /// The name of the master.
    pub const MASTER: &str = "mymaster";

    /// Starts plain ones and waits until a failover is possible.
    ///
    /// # Errors
    /// When redis-server is not installed, or they do not find one another.
    pub async fn start() -> Result<Self> {
        Self::with(SentinelsOptions::default()).await
    }

    /// Starts them with options and waits until a failover is possible.
    ///
    /// # Errors
    /// As [`Sentinels::start`].
    pub async fn with(options: SentinelsOptions) -> Result<Self> {
        let master = server(&options, None)?;
        let replica = server(&options, Some(master.port()))?;
        let sentinels = (0..options.sentinels)
            .map(|_| Sentinel::start(&options, master.port()))
            .collect::<Result<_>>()?;
        let sentinels = Self {
            servers: [master, replica],
            sentinels,
        };
        sentinels.settled().await?;
        Ok(sentinels)
    }

    /// The ports of the sentinels on 127.0.0.1.
    pub fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|it| it.port.number()).collect()
    }

    /// The server that the sentinels call the master.
    ///
    /// # Errors
    /// When they do not agree, or none answers.
    pub fn master(&self) -> Result<&RedisServer> {
        let port = self.master_port()?;
        let mut servers = self.servers.iter();
        servers
            .find(|server| server.port() == port)
            .with_context(|| format!("no server of ours on port {port}"))
    }

    /// The server that the sentinels do not call the master.
    ///
    /// # Errors
    /// As [`Sentinels::master`].
    pub fn replica(&self) -> Result<&RedisServer> {
        let port = self.master_port()?;
        let mut servers = self.servers.iter();
        servers
            .find(|server| server.port() != port)
            .context("there is a master only")
    }

    /// Asks for a failover while the master lives, and waits until it has happened.
    ///
    /// # Errors
    /// When the sentinels refuse it or it does not come.
    pub async fn failover(&self) -> Result<()> {
        let old = self.master_port()?;
        let sentinel = self.alive().next().context("no sentinel runs")?;
        sentinel.cli(&["SENTINEL", "FAILOVER", Self::MASTER])?;
        self.moved_from(old).await
    }

    /// Ends the master with SIGKILL; the sentinels find out by themselves, see
    /// [`Sentinels::moved_from`]. Says the port where it was.
    ///
    /// # Errors
    /// As [`Sentinels::master`].
    pub fn kill_master(&mut self) -> Result<u16> {
        let port = self.master_port()?;
        for server in &mut self.servers {
            if server.port() == port {
                server.kill();
            }
        }
        Ok(port)
    }

    /// Starts what was killed of master and replica, and waits until a failover is possible again.
    ///
    /// # Errors
    /// When it does not come up, or the sentinels do not make it the replica.
    pub async fn revive(&mut self) -> Result<()> {
        for server in &mut self.servers {
            if server.pid().is_none() {
                server.restart()?;
            }
        }
        self.settled().await
    }

    /// Ends a sentinel with SIGKILL.
    pub fn kill_sentinel(&mut self, index: usize) {
        if let Some(sentinel) = self.sentinels.get_mut(index) {
            sentinel.process = None;
        }
    }

    /// Waits until all sentinels name another master than the one on `port`, which takes it on.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn moved_from(&self, port: u16) -> Result<()> {
        eventually(LIMIT, "another master", async || {
            ensure!(self.master_port()? != port, "it is still on port {port}");
            let role = format!("{:?}", self.master()?.cli(&["ROLE"])?);
            ensure!(role.contains("master"), "the new master says {role}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until every sentinel knows all others, and a replica to fail over to.
    async fn settled(&self) -> Result<()> {
        let others = self.alive().count().saturating_sub(1);
        eventually(LIMIT, "sentinels that know one another", async || {
            for sentinel in self.alive() {
                let master = sentinel.fields(&["SENTINEL", "MASTER", Self::MASTER])?;
                let seen = field(&master, "num-other-sentinels")?;
                ensure!(seen == others.to_string(), "{seen} of {others} sentinels");
                ensure!(field(&master, "flags")? == "master", "{master:?}");
                let replicas = sentinel.cli(&["SENTINEL", "REPLICAS", Self::MASTER])?;
                let replicas: Vec<Vec<String>> = redis::from_redis_value(replicas)?;
                let replica = replicas.first().context("no replica")?;
                ensure!(field(replica, "flags")? == "slave", "{replica:?}");
                ensure!(field(replica, "master-link-status")? == "ok", "{replica:?}");
            }
            Ok(Some(()))
        })
        .await
    }

    fn alive(&self) -> impl Iterator<Item = &Sentinel> {
        self.sentinels.iter().filter(|it| it.process.is_some())
    }

    fn master_port(&self) -> Result<u16> {
        let mut ports = self.alive().map(|sentinel| {
            let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::MASTER];
            let (_, port): (String, u16) = redis::from_redis_value(sentinel.cli(&question)?)?;
            anyhow::Ok(port)
        });
        let first = ports.next().context("no sentinel runs")??;
        for port in ports {
            ensure!(port? == first, "the sentinels do not agree");
        }
        Ok(first)
    }
}

impl Sentinel {
    fn start(options: &SentinelsOptions, master: u16) -> Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("fanfare-sentinel-")
            .tempdir()?;
        let (port, name) = (ReservedPort::reserve()?, Sentinels::MASTER);
        let quorum = options.sentinels / 2 + 1;
        let mut lines = format!(
            "port {}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {name} 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds {name} 1500\n\
             sentinel failover-timeout {name} 5000\n",
            port.number(),
            home.path().display()
        );
        if let Some(password) = &options.password {
            lines += &format!("sentinel auth-pass {name} {password}\n");
        }
        if let Some(password) = &options.sentinel_password {
            lines += &format!("requirepass {password}\nsentinel sentinel-pass {password}\n");
        }
        let file = home.path().join("sentinel.conf");
        fs::write(&file, lines)?;
        let mut command = Program::Redis.command();
        command.arg(&file).arg("--sentinel");
        let process = Program::Redis.start(command, "sentinel id is")?;
        let sentinel = Self {
            port,
            password: options.sentinel_password.clone(),
            process: Some(process),
            _home: home,
        };
        sentinel.cli(&[&["SENTINEL", "DEBUG"][..], &PERIODS].concat())?;
        Ok(sentinel)
    }

    fn cli(&self, words: &[&str]) -> Result<Value> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let info =
            ConnectionAddr::Tcp("127.0.0.1".into(), self.port.number()).into_connection_info()?;
        ask(info.set_redis_settings(settings), words)
    }

    fn fields(&self, words: &[&str]) -> Result<Vec<String>> {
        Ok(redis::from_redis_value(self.cli(words)?)?)
    }
}

/// A server that can be the master or the replica.
fn server(options: &SentinelsOptions, master: Option<u16>) -> Result<RedisServer> {
    let mut arguments = vec!["--repl-diskless-sync-delay".to_owned(), "0".to_owned()];
    if let Some(port) = master {
        arguments.extend(["--replicaof".into(), "127.0.0.1".into(), port.to_string()]);
    }
    if let Some(password) = &options.password {
        arguments.extend(["--masterauth".into(), password.clone()]);
    }
    RedisServer::with(RedisOptions {
        password: options.password.clone(),
        arguments,
        ..RedisOptions::default()
    })
}

/// A value in what Sentinel says of a server: names and values in turn.
fn field<'a>(pairs: &'a [String], name: &str) -> Result<&'a str> {
    let mut pairs = pairs.chunks_exact(2).filter_map(|pair| match pair {
        [key, value] if key == name => Some(value.as_str()),
        _ => None,
    });
    pairs.next().with_context(|| format!("no {name}"))
}

#[cfg(test)]
mod with_redis {
    use super::*;

    #[tokio::test]
    async fn the_master_moves_when_asked_and_when_killed() -> Result<()> {
        let mut sentinels = Sentinels::start().await?;
        let first = sentinels.master()?.port();
        sentinels.failover().await?;
        assert_ne!(sentinels.master()?.port(), first);
        sentinels.revive().await?;
        let second = sentinels.kill_master()?;
        sentinels.moved_from(second).await?;
        assert_eq!(sentinels.master()?.port(), first);
        sentinels.revive().await
    }
}
