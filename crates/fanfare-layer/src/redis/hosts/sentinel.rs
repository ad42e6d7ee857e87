//! A master that Redis Sentinel knows by name, found anew for every connection.

use std::fmt::Write as _;
use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, RedisError};
use serde_json::Value;
use tokio::time::timeout;

use super::host::{Address, Host, HostError, Master, places};
use super::notation::{Table, kind, pair, text_of};
use super::reading::{Draft, truth};
use super::role::{ServerRole, question};

/// A master by its name, as the tables of channels_redis say it.
pub(super) struct SentinelTable {
    master_name: String,
    /// Host names or addresses, with ports; asked in this order.
    sentinels: Vec<(String, u16)>,
    /// Options of the connections to the sentinels.
    sentinel_kwargs: Table,
    /// Options of the connections to the master.
    master: Table,
}

impl Host {
    /// A client for the server that it is at this moment: reads the certificates, and asks the
    /// sentinels. To be called for every connection, because both change under a running node.
    ///
    /// # Errors
    /// [`HostError`] for a certificate that cannot be read, or when no sentinel names a server
    /// that says itself that it is the master, within the limit of connecting.
    pub(in crate::redis) async fn open(&self) -> Result<Client, HostError> {
        match &self.address {
            Address::Master(master) => master.find(self).await.map_err(|it| self.error(it)),
            Address::Tcp { .. } | Address::Unix(_) => self.client(),
        }
    }

    /// Reads what channels_redis gives to redis-py's Sentinel. `host` and `port` of the master
    /// have no effect there nor here, and are in [`Host::ignored_options`].
    pub(super) fn from_sentinel(table: &Table) -> Result<Self, HostError> {
        let error = |host, reason| HostError { host, reason };
        let table = SentinelTable::read(table).map_err(|it| error("sentinel://".into(), it))?;
        table.host().map_err(|reason| {
            let sentinels = table.sentinels.iter();
            let sentinels = places(sentinels.map(|(host, port)| (&**host, *port)));
            error(
                format!("sentinel://{sentinels}/{}", table.master_name),
                reason,
            )
        })
    }
}

impl SentinelTable {
    /// The keys that only tables of masters have.
    pub(super) const KEYS: [&str; 3] = ["sentinels", "master_name", "sentinel_kwargs"];

    fn read(table: &Table) -> Result<Self, String> {
        let wrong = |name, expected, found| {
            Err(format!(
                "{name}: expected {expected}, found {}",
                kind(found)
            ))
        };
        let sentinels = match table.get("sentinels") {
            Some(Value::Array(items)) => read_places(items)?,
            Some(other) => return wrong("sentinels", "[[\"host\", port]]", other),
            None => return Err("sentinels is missing: [[\"host\", 26379]]".into()),
        };
        let master_name = match table.get("master_name") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            Some(Value::String(_)) | None => return Err("master_name is missing".into()),
            Some(other) => return wrong("master_name", "text", other),
        };
        let sentinel_kwargs = match table.get("sentinel_kwargs") {
            Some(Value::Object(kwargs)) => kwargs.clone(),
            Some(other) => return wrong("sentinel_kwargs", "a table", other),
            None => Table::new(),
        };
        let of_master = table
            .iter()
            .filter(|(name, _)| !Self::KEYS.contains(&name.as_str()));
        Ok(Self {
            master_name,
            sentinels,
            sentinel_kwargs,
            master: of_master
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }

    fn host(&self) -> Result<Host, String> {
        if self.sentinels.is_empty() {
            return Err("sentinels is empty".into());
        }
        let mut draft = Draft::default();
        let mut options = Table::new();
        for (name, value) in &self.master {
            match name.as_str() {
                "address" | "path" | "unix_socket_path" => {
                    return Err(format!("{name} does not go together with sentinels"));
                }
                "is_master" if !truth(&text_of(value)) => {
                    return Err("is_master: events go through the master only".into());
                }
                "host" | "port" | "is_master" | "check_connection" => draft.ignore(name),
                _ => drop(options.insert(name.clone(), value.clone())),
            }
        }
        draft.read_table(&options)?;
        let mut host = draft.finish()?;
        let tls = match host.address {
            Address::Tcp { tls, .. } => tls,
            Address::Unix(_) | Address::Master(_) => None,
        };
        let (sentinels, ignored) = self.read_sentinels()?;
        host.ignored.extend(ignored);
        host.address = Address::Master(Master {
            name: self.master_name.clone(),
            sentinels,
            tls,
        });
        Ok(host)
    }

    /// The sentinels, and their options that have no effect.
    fn read_sentinels(&self) -> Result<(Vec<Host>, Vec<String>), String> {
        let of = |reason| format!("sentinel_kwargs: {reason}");
        let mut draft = Draft::default();
        for name in self.sentinel_kwargs.keys() {
            if matches!(
                name.as_str(),
                "address" | "host" | "path" | "port" | "unix_socket_path"
            ) {
                return Err(of(format!("{name:?} is said by sentinels")));
            }
        }
        draft.read_table(&self.sentinel_kwargs).map_err(of)?;
        let common = draft.finish().map_err(of)?;
        let ignored = common.ignored.iter();
        let ignored = ignored.map(|name| format!("sentinel_kwargs.{name}"));
        let sentinels = self.sentinels.iter();
        let sentinels = sentinels.map(|(name, port)| common.at(name.clone(), *port));
        Ok((sentinels.collect(), ignored.collect()))
    }
}

/// `[["host", 26379], ..]`.
fn read_places(items: &[Value]) -> Result<Vec<(String, u16)>, String> {
    let place = |(index, item): (usize, &Value)| {
        let place = pair(item).and_then(|(host, port)| {
            let port = text_of(&port).parse();
            let port = port.map_err(|_| "expected a port from 0 to 65535".to_owned());
            port.map(|port| (host, port))
        });
        place.map_err(|reason| format!("sentinels[{index}]: {reason}"))
    };
    items.iter().enumerate().map(place).collect()
}

impl Master {
    /// A client for the master of this moment, with everything else as in `host`. The sentinels
    /// share the host's limit.
    pub(in crate::redis) async fn find(&self, host: &Host) -> Result<Client, String> {
        let count = u32::try_from(self.sentinels.len()).unwrap_or(u32::MAX);
        let share = host.connect_limit() / count.max(1);
        let mut reasons = String::new();
        for sentinel in &self.sentinels {
            let limit = share.min(sentinel.connect_limit());
            match self.ask(sentinel, host, limit).await {
                Ok(client) => return Ok(client),
                // Writing into a string cannot fail.
                Err(reason) => drop(write!(reasons, "; {sentinel}: {reason}")),
            }
        }
        let name = &self.name;
        Err(format!("no sentinel leads to the master {name:?}{reasons}"))
    }

    async fn ask(&self, sentinel: &Host, host: &Host, limit: Duration) -> Result<Client, String> {
        let asked = async {
            let (name, port) = self.address_from(sentinel).await?;
            let client = host.at(name, port).client().map_err(|error| error.reason)?;
            // A sentinel that was cut off still names a master that is none any more.
            match role(&client).await {
                ServerRole::Master => Ok(client),
                ServerRole::Other(role) => Err(format!("it names {}, a {role}", address(&client))),
                ServerRole::Untold(reason) => {
                    Err(format!("it names {}: {reason}", address(&client)))
                }
            }
        };
        let late = |_| Err(format!("no answer within {limit:?}"));
        timeout(limit, asked).await.unwrap_or_else(late)
    }

    async fn address_from(&self, sentinel: &Host) -> Result<(String, u16), String> {
        let client = sentinel.client().map_err(|error| error.reason)?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer: Option<(String, u16)> = ask(&client, &question)
            .await
            .map_err(|error| error.to_string())?;
        answer.ok_or_else(|| "it does not know that name".to_owned())
    }
}

/// What the server says that it is.
async fn role(client: &Client) -> ServerRole {
    match ask::<redis::Value>(client, &question()).await {
        Ok(answer) => ServerRole::of(&answer),
        Err(error) => ServerRole::Untold(error.to_string()),
    }
}

/// One command over a connection of its own.
async fn ask<T: redis::FromRedisValue>(
    client: &Client,
    command: &redis::Cmd,
) -> Result<T, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    command.query_async(&mut connection.await?).await
}

fn address(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Table {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), Value::from(*value));
        pairs.iter().map(owned).collect()
    }

    fn host(master: &[(&str, &str)], kwargs: &[(&str, &str)]) -> Result<Host, HostError> {
        let mut table = options(master);
        table.insert("master_name".into(), "mymaster".into());
        table.insert("sentinels".into(), json!([["h1", 26379], ["::1", 7]]));
        table.insert("sentinel_kwargs".into(), options(kwargs).into());
        Host::from_json(&table.into())
    }

    #[test]
    fn options_of_the_master_and_of_the_sentinels_stay_apart() {
        let host = host(
            &[("password", "m"), ("db", "2"), ("ssl", "true")],
            &[
                ("username", "u"),
                ("password", "s"),
                ("socket_connect_timeout", "0.5"),
            ],
        );
        let host = host.unwrap();
        assert_eq!((host.password.as_deref(), host.db), (Some("m"), 2));
        assert_eq!(host.connect_timeout, None);
        let Address::Master(master) = &host.address else {
            panic!("{host}")
        };
        assert!(master.tls.is_some());
        let sentinels: Vec<_> = master.sentinels.iter().map(Host::to_string).collect();
        assert_eq!(
            sentinels,
            ["redis://u:***@h1:26379/0", "redis://u:***@[::1]:7/0"]
        );
        assert_eq!(
            master.sentinels[0].connect_timeout,
            Some(Duration::from_millis(500))
        );
    }

    #[test]
    fn the_text_shows_where_and_no_password() {
        let secret = "s3cret";
        let host = host(&[("password", secret)], &[("password", secret)]).unwrap();
        assert_eq!(
            format!("{host:?}"),
            "sentinel://:***@h1:26379,[::1]:7/mymaster/0"
        );
    }

    #[test]
    fn options_without_effect_are_named_with_whose_they_are() {
        let host = host(
            &[
                ("check_connection", "1"),
                ("host", "h"),
                ("port", "1"),
                ("socket_timeout", "5"),
            ],
            &[("max_connections", "5"), ("socket_timeout", "5")],
        );
        assert_eq!(
            host.unwrap().ignored_options(),
            [
                "check_connection",
                "host",
                "port",
                "socket_timeout",
                "sentinel_kwargs.max_connections",
                "sentinel_kwargs.socket_timeout",
            ]
        );
    }

    #[test]
    fn what_redis_py_does_not_take_there_is_refused_by_its_name() {
        for (master, kwargs, reason) in [
            (&[("address", "redis://h")][..], &[][..], "address"),
            (&[("path", "/s")], &[], "path"),
            (&[("is_master", "false")], &[], "is_master"),
            (
                &[("min_other_sentinels", "1")],
                &[],
                "\"min_other_sentinels\"",
            ),
            (&[], &[("host", "h")], "sentinel_kwargs: \"host\""),
            (&[], &[("db", "x")], "sentinel_kwargs: the value of \"db\""),
        ] {
            let error = host(master, kwargs).unwrap_err();
            assert!(error.reason.contains(reason), "{error}");
            assert_eq!(error.host, "sentinel://h1:26379,[::1]:7/mymaster");
        }
        let nobody = Host::from_json(&json!({ "sentinels": [["h", 1]] })).unwrap_err();
        assert!(nobody.reason.contains("master_name"), "{nobody}");
    }
}
