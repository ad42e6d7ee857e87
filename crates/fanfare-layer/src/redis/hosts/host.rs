//! Redis servers, read by redis-py's rules.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};

use super::tls::Tls;

/// How long an attempt to connect may take, unless the host says otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// One Redis server, or the master that Redis Sentinel knows by a name. In text, also with `{:?}`,
/// its password is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Host {
    pub(in crate::redis) address: Address,
    pub(in crate::redis) db: i64,
    pub(in crate::redis) username: Option<String>,
    pub(in crate::redis) password: Option<String>,
    pub(in crate::redis) connect_timeout: Option<Duration>,
    pub(in crate::redis) ignored: Vec<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(in crate::redis) enum Address {
    Tcp {
        host: String,
        port: u16,
        tls: Option<Tls>,
    },
    Unix(PathBuf),
    Master(Master),
}

/// What stands in a [`Host`] in place of a host name and a port.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::redis) struct Master {
    pub(in crate::redis) name: String,
    pub(in crate::redis) sentinels: Vec<Host>,
    pub(in crate::redis) tls: Option<Tls>,
}

/// Why a host cannot be used; names it without its password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {reason}")]
pub struct HostError {
    /// The host as given, its password masked.
    pub host: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Host {
    /// The options that were given and have no effect here, by name.
    pub fn ignored_options(&self) -> &[String] {
        &self.ignored
    }

    /// How long an attempt to connect may take; to find a master, as long again.
    pub(in crate::redis) fn connect_limit(&self) -> Duration {
        self.connect_timeout.unwrap_or(CONNECT_LIMIT)
    }

    /// A client for a server that needs no sentinel; reads the certificates.
    pub(in crate::redis) fn client(&self) -> Result<Client, HostError> {
        self.try_client().map_err(|reason| self.error(reason))
    }

    /// The server at another place, with the same options.
    pub(in crate::redis) fn at(&self, host: String, port: u16) -> Self {
        let tls = match &self.address {
            Address::Tcp { tls, .. } | Address::Master(Master { tls, .. }) => tls.clone(),
            Address::Unix(_) => None,
        };
        Self {
            address: Address::Tcp { host, port, tls },
            ..self.clone()
        }
    }

    pub(super) fn error(&self, reason: String) -> HostError {
        HostError {
            host: self.to_string(),
            reason,
        }
    }

    fn try_client(&self) -> Result<Client, String> {
        match &self.address {
            Address::Unix(path) => self.build(ConnectionAddr::Unix(path.clone())),
            Address::Master(master) => Err(format!("where {:?} is must be asked", master.name)),
            Address::Tcp {
                host,
                port,
                tls: None,
            } => self.build(ConnectionAddr::Tcp(host.clone(), *port)),
            Address::Tcp {
                host,
                port,
                tls: Some(tls),
            } => {
                let address = ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure: !tls.verify,
                    tls_params: None,
                };
                let client = Client::build_with_tls(self.info(address)?, tls.certificates()?)
                    .map_err(|error| error.to_string())?;
                let mut address = client.get_connection_info().addr().clone();
                address.set_danger_accept_invalid_hostnames(!tls.check_hostname);
                self.build(address)
            }
        }
    }

    fn build(&self, address: ConnectionAddr) -> Result<Client, String> {
        Client::open(self.info(address)?).map_err(|error| error.to_string())
    }

    fn info(&self, address: ConnectionAddr) -> Result<ConnectionInfo, String> {
        // The name and version of a library are of no use to the server and cost a round trip.
        let mut settings = RedisConnectionInfo::default()
            .set_db(self.db)
            .set_skip_set_lib_name();
        if self.username.is_some() || self.password.is_some() {
            // The name of the user without a name, because a server that asks for no password takes
            // any with it, and refuses one alone. redis-rs authenticates only with a password.
            let username = self.username.as_deref().unwrap_or("default");
            let password = self.password.as_deref().unwrap_or_default();
            settings = settings.set_username(username).set_password(password);
        }
        let info = address
            .into_connection_info()
            .map_err(|error| error.to_string())?;
        // Without nodelay a publish waits for the acknowledgement of the one before.
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.username.as_deref().unwrap_or_default();
        let user = match &self.password {
            Some(_) => format!("{user}:***@"),
            None if user.is_empty() => String::new(),
            // Many a password stands where the user belongs.
            None => "***@".to_owned(),
        };
        match &self.address {
            Address::Unix(path) => write!(out, "unix://{user}{}?db={}", path.display(), self.db),
            Address::Tcp { host, port, tls } => {
                let scheme = if tls.is_some() { "rediss" } else { "redis" };
                let place = places(std::iter::once((&**host, *port)));
                write!(out, "{scheme}://{user}{place}/{}", self.db)
            }
            Address::Master(master) => {
                let scheme = if master.tls.is_some() {
                    "sentinels"
                } else {
                    "sentinel"
                };
                let name = &master.name;
                write!(out, "{scheme}://{user}{master}/{name}/{}", self.db)
            }
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// `h1:26379,h2:26379`.
pub(in crate::redis) fn places<'a>(places: impl Iterator<Item = (&'a str, u16)>) -> String {
    let place = |(host, port): (&str, u16)| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    places.map(place).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Master {
    /// The sentinels alone.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentinels = self
            .sentinels
            .iter()
            .filter_map(|host| match &host.address {
                Address::Tcp { host, port, .. } => Some((&**host, *port)),
                Address::Unix(_) | Address::Master(_) => None,
            });
        out.write_str(&places(sentinels))
    }
}

/// Says in one line which options of which hosts have no effect, if any.
pub(in crate::redis) fn tell_ignored(hosts: &[Host]) {
    let told: Vec<_> = hosts
        .iter()
        .filter(|host| !host.ignored.is_empty())
        .map(|host| format!("{host}: {}", host.ignored.join(", ")))
        .collect();
    if !told.is_empty() {
        let options = told.join("; ");
        tracing::warn!(options, "options of redis hosts have no effect here");
    }
}
