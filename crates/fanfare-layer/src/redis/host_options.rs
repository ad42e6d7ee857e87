//! The options of a Redis connection, as URLs and tables spell them.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::hosts::{Address, Host, Tls};

/// What redis-py takes and nothing here has a use for.
const WITHOUT_EFFECT: &[&str] = &[
    "client_name",
    "credential_provider",
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "lib_name",
    "lib_version",
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

    /// Reads a table; an `address` in it is read last, and wins.
    pub(super) fn read_table(&mut self, options: &[(String, String)]) -> Result<(), String> {
        for (name, value) in options.iter().filter(|(name, _)| name != "address") {
            if matches!(
                name.as_str(),
                "sentinels" | "master_name" | "sentinel_kwargs"
            ) {
                return Err(format!("Redis Sentinel is not supported (option {name:?})"));
            }
            if !self.set(name, value)? {
                return Err(format!("unknown option {name:?}"));
            }
        }
        match options.iter().find(|(name, _)| name == "address") {
            Some((_, url)) => self.read_url(url),
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
                self.ignored.push(name.clone());
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
            _ if WITHOUT_EFFECT.contains(&name) => self.ignored.push(name.into()),
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
fn truth(value: &str) -> bool {
    !matches!(
        value.to_ascii_uppercase().as_str(),
        "" | "0" | "F" | "FALSE" | "N" | "NO"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Host {
        Host::parse(url).unwrap()
    }

    fn place(host: &Host) -> (String, u16, bool) {
        match &host.address {
            Address::Tcp { host, port, tls } => (host.clone(), *port, tls.is_some()),
            Address::Unix(path) => (path.display().to_string(), 0, false),
        }
    }

    fn tls(host: Host) -> Tls {
        match host.address {
            Address::Tcp { tls: Some(tls), .. } => tls,
            _ => panic!("no TLS in {host}"),
        }
    }

    fn table(options: &[(&str, &str)]) -> Result<Host, crate::redis::HostError> {
        let owned: Vec<_> = options
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        Host::from_options(&owned)
    }

    #[test]
    fn a_url_without_details_has_the_defaults_of_redis() {
        let host = parse("redis://");
        assert_eq!(place(&host), ("localhost".into(), 6379, false));
        assert_eq!((host.db, host.username, host.password), (0, None, None));
        assert_eq!(
            place(&parse("redis://Cache.Local:7000/3")),
            ("cache.local".into(), 7000, false)
        );
        assert_eq!(place(&parse("rediss://h")), ("h".into(), 6379, true));
    }

    #[test]
    fn every_part_is_percent_decoded() {
        let host = parse("redis://us%3Aer:p%40ss%2Fw%23@h%65re:1/%32");
        assert_eq!(host.username.as_deref(), Some("us:er"));
        assert_eq!(host.password.as_deref(), Some("p@ss/w#"));
        assert_eq!(place(&host).0, "here");
        assert_eq!(host.db, 2);
    }

    #[test]
    fn a_password_needs_no_user_and_may_hold_colons_and_ats() {
        let host = parse("redis://:a:b@c@h");
        assert_eq!(
            (host.username.as_deref(), host.password.as_deref()),
            (None, Some("a:b@c"))
        );
    }

    #[test]
    fn a_unix_url_keeps_its_password_path_and_database() {
        let host = parse("unix://user:sesame@/run/my%20redis.sock?db=4");
        assert_eq!(place(&host).0, "/run/my redis.sock");
        assert_eq!(host.username.as_deref(), Some("user"));
        assert_eq!((host.password.as_deref(), host.db), (Some("sesame"), 4));
    }

    #[test]
    fn options_of_the_query_are_applied_and_the_database_there_beats_the_path() {
        let host = parse("redis://h/1?db=2&password=p%2520w&username=u&socket_connect_timeout=1.5");
        assert_eq!((host.db, host.username.as_deref()), (2, Some("u")));
        assert_eq!(
            host.password.as_deref(),
            Some("p w"),
            "python decodes options twice"
        );
        assert_eq!(host.connect_timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn the_user_and_password_in_front_beat_those_of_the_query() {
        let host = parse("redis://a:b@h?username=c&password=d");
        assert_eq!(
            (host.username.as_deref(), host.password.as_deref()),
            (Some("a"), Some("b"))
        );
    }

    #[test]
    fn a_path_that_is_no_number_is_no_database() {
        assert_eq!(parse("redis://h/cache").db, 0);
        assert_eq!(parse("redis://h/1/2").db, 12, "python drops the slashes");
    }

    #[test]
    fn an_ipv6_host_stands_in_brackets() {
        assert_eq!(
            place(&parse("redis://[::1]:7000")),
            ("::1".into(), 7000, false)
        );
        assert_eq!(place(&parse("redis://[::1]")), ("::1".into(), 6379, false));
        assert_eq!(parse("redis://[::1]").to_string(), "redis://[::1]:6379/0");
    }

    #[test]
    fn certificates_are_checked_unless_the_url_says_otherwise() {
        let strict = tls(parse(
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_certfile=/c&ssl_keyfile=/k",
        ));
        assert!(strict.verify && strict.check_hostname);
        assert_eq!(strict.authorities, Some("/ca.pem".into()));
        assert_eq!(
            (strict.certificate, strict.key),
            (Some("/c".into()), Some("/k".into()))
        );
        assert!(!tls(parse("rediss://h?ssl_cert_reqs=none")).verify);
        assert!(tls(parse("rediss://h?ssl_cert_reqs=optional")).verify);
        assert!(!tls(parse("rediss://h?ssl_check_hostname=False")).check_hostname);
        assert!(Host::parse("rediss://h?ssl_cert_reqs=maybe").is_err());
    }

    #[test]
    fn options_without_effect_are_named() {
        let host = parse("redis://h?socket_timeout=5&novelty=1&db=1&max_connections=");
        assert_eq!(host.ignored_options(), ["socket_timeout", "novelty"]);
    }

    #[test]
    fn a_table_says_the_same_as_a_url() {
        let host = table(&[
            ("host", "h"),
            ("port", "7000"),
            ("db", "2"),
            ("password", "p"),
        ])
        .unwrap();
        assert_eq!(host, parse("redis://:p@h:7000/2"));
        let host = table(&[("unix_socket_path", "/s"), ("password", "p")]).unwrap();
        assert_eq!(host, parse("unix://:p@/s"));
        let host = table(&[
            ("address", "rediss://h/1"),
            ("db", "7"),
            ("ssl_cert_reqs", "none"),
        ]);
        let host = host.unwrap();
        assert_eq!(host.db, 1, "what the address says wins, as in redis-py");
        assert!(!tls(host).verify);
        assert!(tls(table(&[("ssl", "true")]).unwrap()).verify);
    }

    #[test]
    fn a_table_with_an_unknown_key_is_refused_by_its_name() {
        let error = table(&[("host", "h"), ("hots", "x")]).unwrap_err();
        assert_eq!(error.to_string(), "redis://h: unknown option \"hots\"");
        let error = table(&[("sentinels", "x")]).unwrap_err();
        assert!(error.reason.contains("Sentinel"), "{error}");
    }

    #[test]
    fn no_text_shows_a_password() {
        let secret = "s3cret";
        for url in [
            format!("redis://u:{secret}@h"),
            format!("redis://h?password={secret}"),
            format!("unix://:{secret}@/s"),
        ] {
            let host = parse(&url);
            assert!(!format!("{host} {host:?}").contains(secret), "{host}");
            assert!(format!("{host}").contains(":***@"), "{host}");
        }
        for url in [
            format!("http://u:{secret}@h"),
            format!("u:{secret}@h"),
            format!("redis://u:{secret}@h:notaport"),
            format!("redis://h:notaport?password={secret}"),
            format!("redis://u:{secret}:p@h:1x"),
            format!("redis://u:a?b{secret}@h:1"),
        ] {
            let shown = Host::parse(&url).unwrap_err().to_string();
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
