//! `layer.redis.hosts`: URLs, or tables and pairs as channels_redis takes them.

use fanfare_layer::redis::{Host, HostError, SentinelOptions};

use super::reader::Reader;
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
        [host, port] if matches!(host.value, Value::Text(_)) && is_scalar(port) => {
            let options = [("host", host), ("port", port)]
                .map(|(name, node)| (name.to_owned(), text_of(&node.value)));
            Host::from_options(&options).map_err(reason)
        }
        _ => Err("expected [\"host\", port]".to_owned()),
    }
}

/// redis-py's connection arguments, or `{ address = URL }` with some of them, or those of a master
/// of Sentinel.
fn of_table(table: &Table) -> Result<Host, String> {
    let sentinel = ["sentinels", "master_name", "sentinel_kwargs"];
    if sentinel.iter().any(|name| table.contains_key(*name)) {
        return of_sentinel(table);
    }
    let host = Host::from_options(&options_of(table)).map_err(reason)?;
    check_kinds("", table, &host)?;
    Ok(host)
}

/// `{ sentinels = [["host", 26379]], master_name = "mymaster", sentinel_kwargs = { .. }, .. }`.
fn of_sentinel(table: &Table) -> Result<Host, String> {
    let mut master = table.clone();
    let sentinels = match master.remove("sentinels") {
        Some(node) => places(&node)?,
        None => return Err("sentinels is missing: [[\"host\", 26379]]".into()),
    };
    let master_name = match master.remove("master_name").map(|node| node.value) {
        Some(Value::Text(name)) => name,
        Some(other) => {
            return Err(format!(
                "master_name: expected text, found {}",
                other.kind()
            ));
        }
        None => return Err("master_name is missing".into()),
    };
    let kwargs = match master.remove("sentinel_kwargs").map(|node| node.value) {
        Some(Value::Table(kwargs)) => kwargs,
        Some(other) => {
            let found = other.kind();
            return Err(format!("sentinel_kwargs: expected a table, found {found}"));
        }
        None => Table::new(),
    };
    let options = SentinelOptions {
        master_name,
        sentinels,
        sentinel_kwargs: options_of(&kwargs),
        master: options_of(&master),
    };
    let host = Host::from_sentinel(&options).map_err(reason)?;
    check_kinds("", &master, &host)?;
    check_kinds("sentinel_kwargs.", &kwargs, &host)?;
    Ok(host)
}

/// `[["host", 26379], ..]`.
fn places(node: &Node) -> Result<Vec<(String, u16)>, String> {
    let Value::List(items) = &node.value else {
        let found = node.value.kind();
        return Err(format!(
            "sentinels: expected [[\"host\", port]], found {found}"
        ));
    };
    let place = |(index, node): (usize, &Node)| {
        let pair = match node.items() {
            [
                Node {
                    value: Value::Text(host),
                    ..
                },
                port,
            ] if is_scalar(port) => {
                let port = text_of(&port.value).parse().ok();
                port.map(|port| (host.clone(), port))
            }
            _ => None,
        };
        pair.ok_or_else(|| format!("sentinels[{index}]: expected [\"host\", port]"))
    };
    items.iter().enumerate().map(place).collect()
}

fn options_of(table: &Table) -> Vec<(String, String)> {
    let option = |(name, node): (&String, &Node)| (name.clone(), text_of(&node.value));
    table.iter().map(option).collect()
}

/// Refuses lists and tables, except where Python takes them and they have no effect here.
fn check_kinds(place: &str, table: &Table, host: &Host) -> Result<(), String> {
    let misplaced = table.iter().find(|(name, node)| {
        !is_scalar(node) && !host.ignored_options().contains(&format!("{place}{name}"))
    });
    match misplaced {
        Some((name, node)) => Err(format!(
            "{place}{name}: expected text or a number, found {}",
            node.value.kind()
        )),
        None => Ok(()),
    }
}

fn is_scalar(node: &Node) -> bool {
    !matches!(node.value, Value::List(_) | Value::Table(_))
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
        assert_eq!(pair("x = ['h', '7']"), url("redis://h:7"));
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
    fn a_master_of_sentinel_is_named_with_its_sentinels() {
        let host = table(
            "sentinels = [['a', 26379], ['::1', '7']]\nmaster_name = 'mymaster'\n\
             sentinel_kwargs = { password = 's', socket_keepalive_options = { a = 1 } }\n\
             db = 2\nusername = 'u'\npassword = 'p'\nssl = true\nsocket_timeout = 5",
        )
        .expect("valid");
        assert_eq!(
            host.to_string(),
            "sentinels://u:***@a:26379,[::1]:7/mymaster/2"
        );
        assert_eq!(
            host.ignored_options(),
            ["socket_timeout", "sentinel_kwargs.socket_keepalive_options"]
        );
    }

    #[test]
    fn what_is_wrong_with_a_sentinel_is_named_by_its_key() {
        let given = "master_name = 'm'\nsentinels = [['h', 1]]\n";
        for (bad, reason) in [
            ("sentinels = [['h', 1]]", "master_name is missing"),
            ("master_name = 'm'", "sentinels is missing"),
            ("sentinel_kwargs = {}", "sentinels is missing"),
            ("master_name = 'm'\nsentinels = []", "sentinels is empty"),
            (
                "master_name = 'm'\nsentinels = 'h:1'",
                "sentinels: expected",
            ),
            (
                "master_name = 'm'\nsentinels = [['h', 1], 'h:1']",
                "sentinels[1]: expected",
            ),
            (
                "master_name = 'm'\nsentinels = [['h', 70000]]",
                "sentinels[0]: expected",
            ),
            (
                "master_name = 7\nsentinels = [['h', 1]]",
                "master_name: expected text",
            ),
            (
                &format!("{given}sentinel_kwargs = 1"),
                "sentinel_kwargs: expected a table",
            ),
            (
                &format!("{given}sentinel_kwargs = {{ db = [1] }}"),
                "sentinel_kwargs: the value of \"db\"",
            ),
            (
                &format!("{given}sentinel_kwargs = {{ password = ['x'] }}"),
                "sentinel_kwargs.password: expected",
            ),
            (&format!("{given}password = ['x']"), "password: expected"),
            (
                &format!("{given}address = 'redis://h'"),
                "address does not go together",
            ),
        ] {
            let error = table(bad).expect_err(bad);
            assert!(error.starts_with(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn what_a_table_cannot_say_is_refused() {
        for (bad, reason) in [
            ("prot = 1", "unknown option \"prot\""),
            ("port = 'x'", "no number"),
            ("host = ['h']", "host: expected text"),
            ("ssl_cert_reqs = 'maybe'", "none, optional or required"),
            ("address = 'http://h'", "redis://"),
        ] {
            let error = table(bad).expect_err(bad);
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }
}
