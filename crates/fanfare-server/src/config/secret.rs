//! What may be shown of a value, in errors and by `check --print`.
//!
//! A value is shown if its key is declared and may be shown ([`keys::Shown`]). Nobody knows what
//! stands at an unknown key: it may be a misspelt `api.keys`.

use super::keys::{self, Shown};
use super::tree::{Node, Table, Value};

const MASK: &str = "***";

/// Options of a Redis host that are no secrets, in tables and in the query of URLs.
const HARMLESS: &[&str] = &[
    "address",
    "client_name",
    "db",
    "decode_responses",
    "encoding",
    "health_check_interval",
    "host",
    "master_name",
    "max_connections",
    "password_file",
    "path",
    "port",
    "protocol",
    "sentinels",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "ssl",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "unix_socket_path",
];

/// What stands in a host's table beside its options.
const KWARGS: &str = "sentinel_kwargs";

/// What may be shown of the value of a key; `None`: not even that there is one.
pub(super) fn shown(key: &str, value: &Value) -> Option<Value> {
    let declared = keys::declared(key)?;
    Some(match declared.shown {
        Shown::Nothing => hidden(value),
        Shown::Hosts => host(value),
        Shown::Url => texts(value, &|text| masked_url(text, &[])),
        // A web page, a path or a URL where none belongs.
        Shown::Whole => texts(value, &|text| match text.contains("://") {
            true => masked_url(text, &[]),
            false => text.to_owned(),
        }),
    })
}

/// The table at `path` with what may be shown of it. All its keys are declared.
pub(super) fn masked_table(path: &str, table: &Table) -> Table {
    let mask = |(name, node): (&String, &Node)| {
        let key = super::schema::join(path, name);
        let value = shown(&key, &node.value).unwrap_or_else(|| section(&key, &node.value));
        (name.clone(), with(node, value))
    };
    table.iter().map(mask).collect()
}

/// A section, or a list of them.
fn section(key: &str, value: &Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(masked_table(key, table)),
        Value::List(items) => {
            let item = |(index, item): (usize, &Node)| {
                with(item, section(&format!("{key}[{index}]"), &item.value))
            };
            Value::List(items.iter().enumerate().map(item).collect())
        }
        other => hidden(other),
    }
}

/// Keeps the shape of lists, so that one still sees how many keys there are.
fn hidden(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(each(items, hidden)),
        _ => Value::Text(MASK.to_owned()),
    }
}

/// Numbers and flags as they are, texts as `mask` shows them. No key of these has a table.
fn texts(value: &Value, mask: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::Text(text) => Value::Text(mask(text)),
        Value::List(items) => Value::List(each(items, |item| texts(item, mask))),
        Value::Table(_) => hidden(value),
        other => other.clone(),
    }
}

/// A host in any of its forms, or a list of them.
fn host(value: &Value) -> Value {
    let Value::Table(table) = value else {
        return match value {
            Value::List(items) => Value::List(each(items, host)),
            other => texts(other, &|text| masked_url(text, HARMLESS)),
        };
    };
    let option = |(name, node): (&String, &Node)| {
        let value = match &**name {
            KWARGS => host(&node.value),
            name if HARMLESS.contains(&name) => {
                texts(&node.value, &|text| masked_url(text, HARMLESS))
            }
            _ => hidden(&node.value),
        };
        (name.clone(), with(node, value))
    };
    Value::Table(table.iter().map(option).collect())
}

/// A URL, or what somebody took for one, without what stands in front of its host, without the
/// values of its query, but for those of `harmless` options, and without its fragment.
pub(crate) fn masked_url(text: &str, harmless: &[&str]) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (rest, fragment) = cut(rest, '#');
    let (rest, query) = cut(rest, '?');
    // A password may hold a "/", "?", "#" or "@" that nobody escaped: the last "@" ends it.
    let behind = fragment.or(query).filter(|_| text.contains('@'));
    if let Some((_, host)) = behind.and_then(|behind| behind.rsplit_once('@')) {
        return format!("{scheme}{MASK}@{}", cut(cut(host, '#').0, '?').0);
    }
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some(("", _)) => format!(":{MASK}@{host}"),
            Some(_) => format!("{MASK}:{MASK}@{host}"),
            None => format!("{MASK}@{host}"),
        },
        None => rest.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| masked_query(query, harmless));
    let fragment = fragment.map_or_else(String::new, |_| format!("#{MASK}"));
    format!("{scheme}{rest}{query}{fragment}")
}

fn masked_query(query: &str, harmless: &[&str]) -> String {
    let mask = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if harmless.contains(&name) => pair.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    };
    let pairs: Vec<_> = query.split('&').map(mask).collect();
    format!("?{}", pairs.join("&"))
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

fn each(items: &[Node], mask: impl Fn(&Value) -> Value) -> Vec<Node> {
    let item = |item: &Node| with(item, mask(&item.value));
    items.iter().map(item).collect()
}

fn with(node: &Node, value: Value) -> Node {
    let origin = node.origin.clone();
    Node { value, origin }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Origin, parse_value};
    use super::*;

    #[test]
    fn a_url_loses_what_could_be_secret_and_nothing_else() {
        let cases = [
            ("redis://host:6379/0", "redis://host:6379/0"),
            ("redis://:pw@host", "redis://:***@host"),
            ("redis://pw@host", "redis://***@host"),
            ("rediss://ann:p@w:d/x@host:1/2", "rediss://***:***@host:1/2"),
            (
                "unix:///run/redis.sock?db=1&password=pw",
                "unix:///run/redis.sock?db=1&password=***",
            ),
            (
                "redis://ann:pw@host?password=pw2",
                "redis://***:***@host?password=***",
            ),
            ("redis://:p?w@host/1", "redis://***@host/1"),
            ("redis://:p#w@host/1", "redis://***@host/1"),
            (
                "http://host/a?key=pw&pw#pw",
                "http://host/a?key=***&***#***",
            ),
            (
                "unix:/run/a.sock:/auth/?key=pw",
                "unix:/run/a.sock:/auth/?key=***",
            ),
            ("ann:pw@host", "***:***@host"),
            ("host", "host"),
        ];
        for (url, shown) in cases {
            assert_eq!(masked_url(url, HARMLESS), shown, "{url}");
        }
        assert_eq!(masked_url("http://h/?db=1", &[]), "http://h/?db=***");
    }

    #[test]
    fn only_values_of_declared_keys_are_shown() {
        let shown = |key: &str, text: &str| {
            let value = parse_value(text, &Origin::new("here")).expect(text).value;
            super::shown(key, &value).map(|value| value.to_string())
        };
        assert_eq!(shown("http.workers", "3").as_deref(), Some("3"));
        assert_eq!(shown("layer.prefix", "'a'").as_deref(), Some("\"a\""));
        let keys = shown("api.keys", "['pw', 'pw']");
        assert_eq!(keys.as_deref(), Some("[\"***\", \"***\"]"));
        assert_eq!(shown("api.keys[1]", "'pw'").as_deref(), Some("\"***\""));
        assert_eq!(
            shown("api.keys", "{ a = 'pw' }").as_deref(),
            Some("\"***\"")
        );
        assert_eq!(
            shown("http.bind", "{ a = 'pw' }").as_deref(),
            Some("\"***\"")
        );
        for key in [
            "api.kyes",
            "api",
            "pass",
            "routes[0]",
            "api_key",
            "api.keys.pw",
        ] {
            assert_eq!(shown(key, "'pw'"), None, "{key}");
        }
        let host = "{ host = 'h', pasword = 'pw', db = 1, address = 'redis://pw@h', \
                    sentinel_kwargs = { password = 'pw', db = 2 }, sentinels = [['h', 1]] }";
        let host = shown("layer.redis.hosts[0]", host).expect("a host");
        assert!(!host.contains("pw"), "{host}");
        for part in ["host = \"h\"", "db = 1", "db = 2", "[[\"h\", 1]]"] {
            assert!(host.contains(part), "{part}: {host}");
        }
    }
}
