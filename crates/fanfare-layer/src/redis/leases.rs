//! Leases in Redis, the same in both formats: one key for each, outside of the layer's prefix.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError};
use tokio::time::timeout;

use super::control::channel::RedisControl;
use super::hosts::host::{Address, Host};
use super::hosts::shard::shard;
use super::options::RedisOptions;
use crate::lease::{Claimed, LeaseError, LeaseStore, LeaseToken};

/// Answers 0 to the holder, and to others how many milliseconds the lease lasts, at least 1. A key
/// without an end is not one of ours, and stays.
const CLAIM: &str = "\
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return math.max(redis.call('PTTL', KEYS[1]), 1) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0";

const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// The leases of a layer. Each lives on the host of its name.
#[derive(Clone)]
pub(super) struct RedisLeases {
    control: Arc<RedisControl>,
    hosts: Arc<[Host]>,
    prefix: String,
    /// How long Redis may take to answer.
    limit: Duration,
}

impl RedisLeases {
    /// Goes over the connections of the control channel.
    pub(super) fn new(options: &RedisOptions, control: Arc<RedisControl>) -> Self {
        Self {
            control,
            hosts: options.hosts.clone().into(),
            prefix: options.prefix.clone(),
            limit: options.pace.timeout,
        }
    }

    fn key(&self, name: &str) -> String {
        format!("fanfare:{}:lease:{name}", self.prefix)
    }

    async fn run(&self, key: &str, script: &Cmd) -> Result<i64, LeaseError> {
        let answer = timeout(self.limit, self.ask(key, script)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.limit)));
        answer.map_err(LeaseError)
    }

    async fn ask(&self, key: &str, script: &Cmd) -> Result<i64, String> {
        let index = shard(key, self.hosts.len());
        let mut connection = self.control.connection(index)?;
        let answer: Result<i64, RedisError> = script.query_async(&mut connection).await;
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // The second part is the slot of the key.
        let moved = error
            .redirect_node()
            .and_then(|(to, _)| to.rsplit_once(':'));
        let Some((place, Ok(port))) = moved.map(|(place, port)| (place, port.parse())) else {
            return Err(error.to_string());
        };
        let mut connection = self.elsewhere(index, place, port).await?;
        let answer = script.query_async(&mut connection).await;
        answer.map_err(|error| error.to_string())
    }

    /// In a Redis Cluster another server has the key. A lease is renewed every few seconds, so a
    /// connection for each time is cheaper than to follow how the cluster changes.
    async fn elsewhere(
        &self,
        host: usize,
        place: &str,
        port: u16,
    ) -> Result<MultiplexedConnection, String> {
        let host = self.hosts.get(host).ok_or("no host is configured")?;
        // A cluster whose servers do not know their own names says so with these.
        let place = match (place, &host.address) {
            ("" | "?", Address::Tcp { host, .. }) => host,
            _ => place,
        };
        let client = host.at(place.to_owned(), port).client();
        let client = client.map_err(|error| error.to_string())?;
        let connection = client.get_multiplexed_async_connection().await;
        connection.map_err(|error| error.to_string())
    }
}

impl LeaseStore for RedisLeases {
    fn claim(
        &self,
        name: &str,
        token: LeaseToken,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Claimed, LeaseError>> {
        let (leases, key) = (self.clone(), self.key(name));
        async move {
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let mut script = eval(CLAIM, &key, token);
            script.arg(millis);
            Ok(match leases.run(&key, &script).await? {
                0 => Claimed::Held,
                left => Claimed::Taken(Duration::from_millis(left.unsigned_abs())),
            })
        }
        .boxed()
    }

    fn release(&self, name: &str, token: LeaseToken) -> BoxFuture<'static, Result<(), LeaseError>> {
        let (leases, key) = (self.clone(), self.key(name));
        async move {
            let script = eval(RELEASE, &key, token);
            leases.run(&key, &script).await.map(drop)
        }
        .boxed()
    }
}

fn eval(script: &str, key: &str, token: LeaseToken) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(1).arg(key).arg(token.to_string());
    command
}
