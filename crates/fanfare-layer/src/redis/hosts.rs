//! Redis servers, read by redis-py's rules.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, TlsCertificates,
};

use super::host_options::Draft;
use super::sentinel::{Master, places};

/// How long an attempt to connect may take, unless the host says otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// One Redis server, or the master that Redis Sentinel knows by a name. In text, also with `{:?}`,
/// its password is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Host {
    pub(super) address: Address,
    pub(super) db: i64,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) ignored: Vec<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp {
        host: String,
        port: u16,
        tls: Option<Tls>,
    },
    Unix(PathBuf),
    Master(Master),
}

/// How a server proves itself, and we ourselves to it; files are PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) verify: bool,
    pub(super) check_hostname: bool,
    pub(super) authorities: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
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
    /// Reads a URL as redis-py's `parse_url` does:
    /// `redis://[user][:password]@host[:port][/db][?option=value]`, `rediss://` the same over TLS,
    /// `unix://[user][:password]@/path[?db=0]`. Everything is percent-decoded. Options that cannot
    /// be applied here are in [`Host::ignored_options`].
    ///
    /// # Errors
    /// [`HostError`] for another scheme or a value that cannot be read.
    pub fn parse(url: &str) -> Result<Self, HostError> {
        let mut draft = Draft::default();
        draft
            .read_url(url)
            .and_then(|()| draft.finish())
            .map_err(|reason| HostError {
                host: mask(url),
                reason,
            })
    }

    /// Reads a table of connection options as channels_redis takes it: `address` (a URL, which
    /// wins over the other keys) or `host` and `port` or `path`, and `db`, `username`, `password`,
    /// `ssl`, `ssl_cert_reqs`, `ssl_check_hostname`, `ssl_ca_certs`, `ssl_certfile`,
    /// `ssl_keyfile`, `socket_connect_timeout`. Other options of redis-py are in
    /// [`Host::ignored_options`].
    ///
    /// # Errors
    /// [`HostError`] for a key that redis-py does not know, or a value that cannot be read.
    pub fn from_options(options: &[(String, String)]) -> Result<Self, HostError> {
        let find = |name| {
            options
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        let named = match (find("address"), find("path"), find("host")) {
            (Some(url), _, _) => mask(url),
            (None, Some(path), _) => format!("unix://{path}"),
            (None, None, Some(host)) => format!("redis://{host}"),
            (None, None, None) => "redis://localhost".into(),
        };
        let mut draft = Draft::default();
        draft
            .read_table(options)
            .and_then(|()| draft.finish())
            .map_err(|reason| HostError {
                host: named,
                reason,
            })
    }

    /// The options that were given and have no effect here, by name.
    pub fn ignored_options(&self) -> &[String] {
        &self.ignored
    }

    /// How long an attempt to connect may take; to find a master, as long again.
    pub(super) fn connect_limit(&self) -> Duration {
        self.connect_timeout.unwrap_or(CONNECT_LIMIT)
    }

    /// A client for the server that it is at this moment: reads the certificates, and asks the
    /// sentinels. To be called for every connection, because both change under a running node.
    ///
    /// # Errors
    /// [`HostError`] for a certificate that cannot be read, or when no sentinel names a server
    /// that says itself that it is the master, within the limit of connecting.
    pub(super) async fn open(&self) -> Result<Client, HostError> {
        match &self.address {
            Address::Master(master) => master.find(self).await.map_err(|it| self.error(it)),
            Address::Tcp { .. } | Address::Unix(_) => self.client(),
        }
    }

    /// A client for a server that needs no sentinel; reads the certificates.
    pub(super) fn client(&self) -> Result<Client, HostError> {
        self.try_client().map_err(|reason| self.error(reason))
    }

    /// The server at another place, with the same options.
    pub(super) fn at(&self, host: String, port: u16) -> Self {
        let tls = match &self.address {
            Address::Tcp { tls, .. } | Address::Master(Master { tls, .. }) => tls.clone(),
            Address::Unix(_) => None,
        };
        Self {
            address: Address::Tcp { host, port, tls },
            ..self.clone()
        }
    }

    fn error(&self, reason: String) -> HostError {
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
        if let Some(username) = &self.username {
            // redis-rs authenticates only when there is a password.
            settings = settings.set_username(username).set_password("");
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let info = address
            .into_connection_info()
            .map_err(|error| error.to_string())?;
        // Without nodelay a publish waits for the acknowledgement of the one before.
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
    }
}

impl Tls {
    fn certificates(&self) -> Result<TlsCertificates, String> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that somebody else was faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), key) => Some(ClientTlsConfig {
                client_cert: read(certificate)?,
                // As in Python's ssl: one file may hold both.
                client_key: read(key.as_ref().unwrap_or(certificate))?,
            }),
            (None, Some(_)) => return Err("ssl_keyfile without ssl_certfile".into()),
            (None, None) => None,
        };
        let root_cert = self.authorities.as_ref().map(read).transpose()?;
        Ok(TlsCertificates {
            client_tls,
            root_cert,
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.username.as_deref().unwrap_or_default();
        let user = match &self.password {
            Some(_) => format!("{user}:***@"),
            None if user.is_empty() => String::new(),
            None => format!("{user}@"),
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

/// Says in one line which options of which hosts have no effect, if any.
pub(super) fn tell_ignored(hosts: &[Host]) {
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

/// A URL that could not be read, without what may be secret in it.
fn mask(url: &str) -> String {
    let (rest, query) = url
        .split_once('?')
        .map_or((url, None), |(rest, query)| (rest, Some(query)));
    let masked = match (rest.split_once("://"), rest.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        (_, None) => rest.to_owned(),
    };
    let Some(query) = query else { return masked };
    let options: Vec<_> = query
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=***"),
            // A password with a question mark in it has its end here.
            _ if option.contains('@') => "***".into(),
            _ => option.to_owned(),
        })
        .collect();
    format!("{masked}?{}", options.join("&"))
}
