//! `layer.redis.hosts`: URLs, or tables and pairs as channels_redis takes them.

use fanfare_layer::redis::{Host, HostError};

use super::build::Reader;
use super::tree::{Node, Table, Value};

/// The hosts in order, and how people see them.
pub(super) fn read(reader: &mut Reader<'_>) -> (Vec<Host>, Vec<String>) {
    let (mut hosts, mut labels) = (Vec::new(), Vec::new());
    for (key, node) in reader.entries("layer.redis.hosts") {
        let host = match &node.value {
            Value::Text(url) => Host::parse(url).map_err(reason),
            Value::Table(table) => of_table(table),
            Value::List(items) => of_pair(items),
            other => Err(format!("expected a URL, found {}", other.kind())),
        };
        match host {
            Ok(host) => {
                labels.push(host.to_string());
                hosts.push(host);
            }
            Err(reason) => reader.problems.push(&key, node, reason),
        }
    }
    (hosts, labels)
}

/// `["localhost", 6379]`.
fn of_pair(items: &[Node]) -> Result<Host, String> {
    match items {
        [host, port]
            if matches!(host.value, Value::Text(_)) && matches!(port.value, Value::Integer(_)) =>
        {
            let options = [("host", host), ("port", port)]
                .map(|(name, node)| (name.to_owned(), text_of(&node.value)));
            Host::from_options(&options).map_err(reason)
        }
        _ => Err("expected [\"host\", port]".to_owned()),
    }
}

/// redis-py's connection arguments, or `{ address = URL }` with some of them.
fn of_table(table: &Table) -> Result<Host, String> {
    let options: Vec<(String, String)> = (table.iter())
        .map(|(name, node)| (name.clone(), text_of(&node.value)))
        .collect();
    let host = Host::from_options(&options).map_err(reason)?;
    // Python gives lists and tables to some of the options that have no effect here.
    let misplaced = table.iter().find(|(name, node)| {
        matches!(node.value, Value::List(_) | Value::Table(_))
            && !host.ignored_options().contains(name)
    });
    match misplaced {
        Some((name, node)) => Err(format!(
            "{name}: expected text or a number, found {}",
            node.value.kind()
        )),
        None => Ok(host),
    }
}

/// What an option of a URL's query would say.
fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The reason alone: the line it goes into shows the host already.
fn reason(error: HostError) -> String {
    error.reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::{Origin, parse_document};

    fn table(toml: &str) -> Result<Host, String> {
        of_table(&parse_document(toml, &|_| Origin::new("here")).expect(toml))
    }

    fn url(url: &str) -> Result<Host, String> {
        Ok(Host::parse(url).expect(url))
    }

    #[test]
    fn a_table_means_the_same_as_a_url() {
        assert_eq!(table(""), url("redis://localhost:6379/0"));
        assert_eq!(
            table("host = '::1'\nport = 7\ndb = 2\nssl = true\npassword = 'p@/w'"),
            url("rediss://:p%40%2Fw@[::1]:7/2")
        );
        assert_eq!(table("path = '/run/r.sock'"), url("unix:///run/r.sock"));
        assert_eq!(
            table("unix_socket_path = '/r'\nusername = 'u'\npassword = 'p'"),
            url("unix://u:p@/r")
        );
        assert_eq!(
            table("host = 'h'\nssl = true\nssl_cert_reqs = 'none'\nssl_ca_certs = '/ca.pem'"),
            url("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem")
        );
        assert_eq!(
            table(
                "host = 'h'\nssl = true\nssl_check_hostname = false\n\
                 ssl_certfile = '/c'\nssl_keyfile = '/k'"
            ),
            url("rediss://h?ssl_check_hostname=false&ssl_certfile=/c&ssl_keyfile=/k")
        );
        assert_eq!(
            table("host = 'h'\nsocket_connect_timeout = 1.5"),
            url("redis://h?socket_connect_timeout=1.5")
        );
    }

    #[test]
    fn an_address_stands_beside_other_arguments() {
        assert_eq!(
            table("address = 'redis://h/1'\npassword = 'p w'"),
            url("redis://:p%20w@h/1")
        );
        assert_eq!(
            table("address = 'rediss://h'\nssl_cert_reqs = 'none'"),
            url("rediss://h?ssl_cert_reqs=none")
        );
    }

    #[test]
    fn arguments_without_effect_may_be_anything_that_python_takes() {
        let host =
            table("host = 'h'\nretry_on_error = ['x']\nsocket_keepalive_options = { a = 1 }");
        let host = host.expect("valid");
        assert_eq!(
            host.ignored_options(),
            ["retry_on_error", "socket_keepalive_options"]
        );
    }

    #[test]
    fn a_pair_is_host_and_port() {
        let pair = |toml: &str| {
            let table = parse_document(toml, &|_| Origin::new("here")).expect(toml);
            of_pair(table["x"].items())
        };
        assert_eq!(pair("x = ['::1', 7]"), url("redis://[::1]:7"));
        for bad in [
            "x = ['h']",
            "x = [7, 'h']",
            "x = ['h', 7, 0]",
            "x = ['h', 70000]",
        ] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_table_cannot_say_is_refused() {
        for (bad, reason) in [
            ("prot = 1", "unknown option \"prot\""),
            ("port = 'x'", "no number"),
            ("sentinels = [['h', 1]]", "Sentinel"),
            ("host = ['h']", "host: expected text"),
            ("ssl_cert_reqs = 'maybe'", "none, optional or required"),
            ("address = 'http://h'", "redis://"),
        ] {
            let error = table(bad).expect_err(bad);
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }
}
