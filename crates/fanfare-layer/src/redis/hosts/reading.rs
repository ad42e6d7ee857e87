//! The options of a Redis connection, as URLs and tables spell them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::host::{Address, Host, HostError};
use super::notation::{Table, is_scalar, kind, text_of};
use super::tls::Tls;
use super::url::{PythonUrl, unreadable};

/// What redis-py takes for every connection, and nothing here has a use for.
const WITHOUT_EFFECT: &[&str] = &[
    "client_name",
    "credential_provider",
    "decode_responses",
    "driver_info",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "legacy_responses",
    "lib_name",
    "lib_version",
    "maint_notifications_config",
    "max_connections",
    "protocol",
    "redis_connect_func",
    "retry",
    "retry_on_error",
    "retry_on_timeout",
    "socket_read_size",
    "socket_timeout",
];

/// The same, for TCP alone.
const WITHOUT_EFFECT_ON_TCP: &[&str] = &[
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_type",
];

/// The same, for TLS alone.
const WITHOUT_EFFECT_ON_TLS: &[&str] = &[
    "ssl_ca_data",
    "ssl_ciphers",
    "ssl_exclude_verify_flags",
    "ssl_include_verify_flags",
    "ssl_min_version",
    "ssl_password",
];

/// What only other clients of redis-py take, that channels_redis does not use.
const OF_OTHER_CLIENTS: &[&str] = &[
    "single_connection_client",
    "socket_read_timeout",
    "ssl_ocsp_context",
    "ssl_ocsp_expected_cert",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
    "timeout",
];

/// How a URL leads to its server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Tcp,
    Tls,
    Unix,
}

/// A host being put together.
#[derive(Debug, Default)]
pub(super) struct Draft {
    host: Option<String>,
    port: Option<u16>,
    path: Option<String>,
    db: Option<i64>,
    username: Option<String>,
    password: Option<String>,
    tls: bool,
    cert_reqs: Option<String>,
    check_hostname: Option<bool>,
    authorities: Option<String>,
    authority_directory: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    connect_timeout: Option<Duration>,
    ignored: Vec<String>,
}

impl Host {
    /// Reads a URL as `redis.asyncio` of redis-py 8 does, which channels_redis uses:
    /// `redis://[user][:password]@host[:port][/db][?option=value]`, `rediss://` the same over TLS,
    /// `unix://[user][:password]@/path[?db=0]`. Everything is percent-decoded once. Options that
    /// cannot be applied here are in [`Host::ignored_options`].
    ///
    /// # Errors
    /// [`HostError`] for another scheme, an option that redis-py does not take there, or a value
    /// that cannot be read.
    pub fn parse(url: &str) -> Result<Self, HostError> {
        let mut draft = Draft::default();
        let read = draft.read_url(url).and_then(|()| draft.finish());
        read.map_err(|reason| HostError {
            host: mask(url),
            reason: without_password(url, reason),
        })
    }
}

impl Draft {
    /// redis-py's `parse_url`. Later values win, so the query is read first.
    pub(super) fn read_url(&mut self, url: &str) -> Result<(), String> {
        let url = PythonUrl::split(url)?;
        let scheme = match &*url.scheme {
            "redis" => Scheme::Tcp,
            "rediss" => Scheme::Tls,
            "unix" => Scheme::Unix,
            _ => return Err("the URL must start with redis://, rediss:// or unix://".into()),
        };
        let options = url.options();
        for (name, value) in &options {
            self.read_option(scheme, name, value)?;
        }
        let (username, password) = url.user();
        replace(&mut self.username, &username);
        replace(&mut self.password, &password);
        if scheme == Scheme::Unix {
            replace(&mut self.path, &url.path());
            return match self.path {
                Some(_) => Ok(()),
                None => Err("it has no path: unix:///run/redis.sock has three slashes".into()),
            };
        }
        if self.path.is_some() {
            return Err("path goes together with unix:// only".into());
        }
        replace(&mut self.host, &url.host());
        // Python takes 0 for none given.
        self.port = url.port()?.filter(|port| *port != 0).or(self.port);
        if !options.iter().any(|(name, _)| name == "db")
            && let Some(db) = numeral(&url.path().replace('/', ""))
        {
            self.db = Some(number("db", &db)?);
        }
        self.tls |= scheme == Scheme::Tls;
        Ok(())
    }

    /// Reads a table; an `address` in it is read last, and wins. Options without effect may have any
    /// value that Python takes.
    pub(super) fn read_table(&mut self, options: &Table) -> Result<(), String> {
        for (name, value) in options.iter().filter(|(name, _)| *name != "address") {
            if !self.set(name, &text_of(value))? {
                return Err(format!("unknown option {name:?}"));
            }
            if !is_scalar(value) && !self.ignored.contains(name) {
                let found = kind(value);
                return Err(format!("{name}: expected text or a number, found {found}"));
            }
        }
        match options.get("address") {
            Some(url) => self.read_url(&text_of(url)),
            None => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<Host, String> {
        let verify = match self.cert_reqs.as_deref() {
            None | Some("required" | "optional") => true,
            Some("none") => false,
            Some(_) => return Err("ssl_cert_reqs must be none, optional or required".into()),
        };
        let address = match self.path {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp {
                host: self.host.unwrap_or_else(|| "localhost".into()),
                port: self.port.unwrap_or(6379),
                tls: self.tls.then(|| Tls {
                    verify,
                    check_hostname: self.check_hostname.unwrap_or(true),
                    authorities: self.authorities.map(PathBuf::from),
                    authority_directory: self.authority_directory.map(PathBuf::from),
                    certificate: self.certificate.map(PathBuf::from),
                    key: self.key.map(PathBuf::from),
                }),
            },
        };
        Ok(Host {
            address,
            db: self.db.unwrap_or(0),
            username: self.username,
            password: self.password,
            connect_timeout: self.connect_timeout,
            ignored: self.ignored,
        })
    }

    /// Remembers an option that has no effect.
    pub(super) fn ignore(&mut self, name: &str) {
        if !self.ignored.iter().any(|known| known == name) {
            self.ignored.push(name.into());
        }
    }

    /// Takes an option of a URL, where redis-py refuses what another kind of connection takes.
    fn read_option(&mut self, scheme: Scheme, name: &str, value: &str) -> Result<(), String> {
        let of_tls = name.starts_with("ssl_");
        let of_tcp = matches!(name, "host" | "port") || WITHOUT_EFFECT_ON_TCP.contains(&name);
        let other = matches!(name, "ssl" | "unix_socket_path") || OF_OTHER_CLIENTS.contains(&name);
        if of_tls && scheme != Scheme::Tls {
            return Err(format!("{name} goes together with rediss:// only"));
        }
        if of_tcp && scheme == Scheme::Unix || name == "path" && scheme != Scheme::Unix {
            return Err(format!("{name} does not go together with this kind of URL"));
        }
        match name {
            "socket_timeout" => number::<f64>(name, value).map(drop)?,
            "health_check_interval" | "protocol" | "socket_read_size" | "ssl_min_version" => {
                number::<i64>(name, value).map(drop)?;
            }
            "max_connections" => number::<u64>(name, value).map(drop)?,
            _ => {}
        }
        if other || !self.set(name, value)? {
            return Err(format!("unknown option {name:?}"));
        }
        Ok(())
    }

    /// Takes an option; `false` when redis-py does not know it either.
    fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "host" => replace(&mut self.host, value),
            "port" => self.port = Some(number(name, value)?),
            "path" | "unix_socket_path" => replace(&mut self.path, value),
            "db" => self.db = Some(number(name, value)?),
            "username" => replace(&mut self.username, value),
            "password" => replace(&mut self.password, value),
            "ssl" => self.tls = truth(value),
            "ssl_cert_reqs" => replace(&mut self.cert_reqs, value),
            "ssl_check_hostname" => self.check_hostname = Some(truth(value)),
            "ssl_ca_certs" => replace(&mut self.authorities, value),
            "ssl_ca_path" => replace(&mut self.authority_directory, value),
            "ssl_certfile" => replace(&mut self.certificate, value),
            "ssl_keyfile" => replace(&mut self.key, value),
            "socket_connect_timeout" => {
                let limit = Duration::try_from_secs_f64(number(name, value)?);
                self.connect_timeout = Some(limit.map_err(|_| unreadable(name))?);
            }
            _ if is_without_effect(name) => self.ignore(name),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Python treats an empty string as none given.
fn replace(field: &mut Option<String>, value: &str) {
    if !value.is_empty() {
        *field = Some(value.into());
    }
}

fn is_without_effect(name: &str) -> bool {
    [
        WITHOUT_EFFECT,
        WITHOUT_EFFECT_ON_TCP,
        WITHOUT_EFFECT_ON_TLS,
        OF_OTHER_CLIENTS,
    ]
    .iter()
    .any(|names| names.contains(&name))
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    let value = numeral(value).unwrap_or_else(|| value.trim().into());
    value.parse().map_err(|_| unreadable(name))
}

/// An integer as Python's `int` reads it, without what Rust does not read: spaces around it, and
/// underscores between digits.
fn numeral(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let groups = digits.split('_');
    groups
        .into_iter()
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.replace('_', ""))
}

/// redis-py's `to_bool`.
pub(super) fn truth(value: &str) -> bool {
    !matches!(
        value.to_ascii_uppercase().as_str(),
        "" | "0" | "F" | "FALSE" | "N" | "NO"
    )
}

/// A reason, unless it may show a part of a password that somebody did not escape.
fn without_password(url: &str, reason: String) -> String {
    let behind = url.find(['?', '#']).and_then(|at| url.get(at..));
    match behind.is_some_and(|behind| behind.contains('@')) {
        true => "a ?, # or @ in a user or a password is written %3F, %23 or %40".into(),
        false => reason,
    }
}

/// A URL that could not be read, without what may be secret in it.
pub(super) fn mask(url: &str) -> String {
    let (rest, query) = url
        .split_once('?')
        .map_or((url, None), |(rest, query)| (rest, Some(query)));
    // A password with a question mark in it has its end behind that.
    let with_host = match query {
        Some(query) if query.contains('@') => url,
        _ => rest,
    };
    let masked = match (rest.split_once("://"), with_host.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        (_, None) => rest.to_owned(),
    };
    let Some(query) = query.filter(|query| !query.contains('@')) else {
        return masked;
    };
    let option = |option: &str| match option.split_once('=') {
        Some((name, _)) if name.contains("password") => format!("{name}=***"),
        _ => option.to_owned(),
    };
    let options: Vec<_> = query.split('&').map(option).collect();
    format!("{masked}?{}", options.join("&"))
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
