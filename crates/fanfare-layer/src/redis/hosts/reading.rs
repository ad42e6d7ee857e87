//! The options of a Redis connection, as URLs and tables spell them.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::host::{Address, Host, HostError, Tls};
use super::notation::{Table, is_scalar, kind, text_of};

/// What redis-py takes and nothing here has a use for.
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
    "single_connection_client",
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_read_size",
    "socket_read_timeout",
    "socket_timeout",
    "socket_type",
    "ssl_ca_data",
    "ssl_ca_path",
    "ssl_ciphers",
    "ssl_exclude_verify_flags",
    "ssl_include_verify_flags",
    "ssl_min_version",
    "ssl_ocsp_context",
    "ssl_ocsp_expected_cert",
    "ssl_password",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
    "timeout",
];

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
    certificate: Option<String>,
    key: Option<String>,
    connect_timeout: Option<Duration>,
    ignored: Vec<String>,
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
}

impl Draft {
    /// redis-py's `parse_url`. Later values win, so the query is read first.
    pub(super) fn read_url(&mut self, url: &str) -> Result<(), String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        if !matches!(scheme, "redis" | "rediss" | "unix") {
            return Err("the URL must start with redis://, rediss:// or unix://".into());
        }
        let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let slash = rest.find('/').unwrap_or(rest.len());
        let (place, path) = rest.split_at(slash);
        let db_in_query = self.read_query(query)?;
        let (user, place) = place.rsplit_once('@').unwrap_or(("", place));
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        replace(&mut self.username, &decoded(username));
        replace(&mut self.password, &decoded(password));
        if scheme == "unix" {
            replace(&mut self.path, &decoded(path));
            return Ok(());
        }
        let (host, port) = split_port(place);
        replace(&mut self.host, &decoded(host).to_ascii_lowercase());
        if !port.is_empty() {
            self.port = Some(number("port", port)?);
        }
        if !db_in_query && let Ok(db) = decoded(path).replace('/', "").parse() {
            self.db = Some(db);
        }
        self.tls |= scheme == "rediss";
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
                port: self.port.filter(|port| *port != 0).unwrap_or(6379),
                tls: self.tls.then(|| Tls {
                    verify,
                    check_hostname: self.check_hostname.unwrap_or(true),
                    authorities: self.authorities.map(PathBuf::from),
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

    /// Reads the options behind the question mark, the first of each name; tells whether the
    /// database was among them. Python decodes them twice, so we do.
    fn read_query(&mut self, query: &str) -> Result<bool, String> {
        let mut seen: Vec<String> = Vec::new();
        for option in query.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let name = decoded(&name.replace('+', " "));
            let value = decoded(&decoded(&value.replace('+', " ")));
            if value.is_empty() || seen.contains(&name) {
                continue;
            }
            if !self.set(&name, &value)? {
                self.ignore(&name);
            }
            seen.push(name);
        }
        Ok(seen.iter().any(|name| name == "db"))
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
            "ssl_certfile" => replace(&mut self.certificate, value),
            "ssl_keyfile" => replace(&mut self.key, value),
            "socket_connect_timeout" => {
                let limit = Duration::try_from_secs_f64(number(name, value)?);
                self.connect_timeout = Some(limit.map_err(|_| unreadable(name))?);
            }
            _ if WITHOUT_EFFECT.contains(&name) => self.ignore(name),
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

fn split_port(place: &str) -> (&str, &str) {
    match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default()),
        None => place.split_once(':').unwrap_or((place, "")),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.trim().parse().map_err(|_| unreadable(name))
}

/// Without the value: in a URL that was misread it could be a part of the password.
fn unreadable(name: &str) -> String {
    format!("the value of {name:?} is no number in range")
}

/// redis-py's `to_bool`.
pub(super) fn truth(value: &str) -> bool {
    !matches!(
        value.to_ascii_uppercase().as_str(),
        "" | "0" | "F" | "FALSE" | "N" | "NO"
    )
}

/// A URL that could not be read, without what may be secret in it.
pub(super) fn mask(url: &str) -> String {
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

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
