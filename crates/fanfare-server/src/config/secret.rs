//! What must not be shown: API keys, keys of encryption and passwords.

use super::tree::{Node, Table, Value};

const MASK: &str = "***";

/// The value of a key with every secret in it replaced. Misspelt keys are covered as well: an
/// unknown `api.key` is as secret as `api.keys`.
pub(super) fn masked(key: &str, value: &Value) -> Value {
    if is_secret(key) {
        return hidden(value);
    }
    match value {
        Value::Text(text) => Value::Text(mask_url(text)),
        Value::List(items) => Value::List(
            items
                .iter()
                .map(|item| Node {
                    value: masked(key, &item.value),
                    origin: item.origin.clone(),
                })
                .collect(),
        ),
        Value::Table(table) => Value::Table(masked_table(key, table)),
        other => other.clone(),
    }
}

/// The same for every key of a table that stands at `path`.
pub(super) fn masked_table(path: &str, table: &Table) -> Table {
    let mask = |(key, node): (&String, &Node)| {
        let full = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        (
            key.clone(),
            Node {
                value: masked(&full, &node.value),
                origin: node.origin.clone(),
            },
        )
    };
    table.iter().map(mask).collect()
}

fn is_secret(key: &str) -> bool {
    let word = |part: &str| {
        ["password", "passwd", "secret", "token", "encrypt"]
            .iter()
            .any(|secret| part.contains(secret))
    };
    let of = |section| key.split('.').next() == Some(section);
    // Hosts have the paths of key files.
    let is_key = key.contains("key") && !key.contains("keyfile");
    let known = is_key && (of("api") || of("layer"));
    known || key.split('.').any(|part| word(&part.to_ascii_lowercase()))
}

/// Keeps the shape, so that one still sees how many keys there are.
fn hidden(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(
            items
                .iter()
                .map(|item| Node {
                    value: hidden(&item.value),
                    origin: item.origin.clone(),
                })
                .collect(),
        ),
        _ => Value::Text(MASK.to_owned()),
    }
}

/// A URL without its password, wherever it stands: before the `@`, or as `password=` in the query.
/// Any other text is returned as it is.
fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    // A password may hold a "/", "?" or "@" that nobody escaped: the last "@" ends it.
    if let Some((_, host)) = query.and_then(|query| query.rsplit_once('@')) {
        return format!("{scheme}://{MASK}@{host}");
    }
    let rest = match rest.rsplit_once('@') {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => format!("{credentials}@{host}"),
        },
        None => rest.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| format!("?{}", mask_query(query)));
    format!("{scheme}://{rest}{query}")
}

fn mask_query(query: &str) -> String {
    let mask = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={MASK}"),
        _ => pair.to_owned(),
    };
    query.split('&').map(mask).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_password_and_nothing_else() {
        let cases = [
            ("redis://host:6379/0", "redis://host:6379/0"),
            ("redis://:pw@host", "redis://:***@host"),
            ("rediss://ann:p@w:d/x@host:1/2", "rediss://ann:***@host:1/2"),
            (
                "unix:///run/redis.sock?db=1&password=pw",
                "unix:///run/redis.sock?db=1&password=***",
            ),
            (
                "redis://ann:pw@host?password=pw2",
                "redis://ann:***@host?password=***",
            ),
            ("redis://:p?w@host/1", "redis://***@host/1"),
            ("no url: a@b", "no url: a@b"),
        ];
        for (url, shown) in cases {
            assert_eq!(mask_url(url), shown, "{url}");
        }
    }

    #[test]
    fn misspelt_secret_keys_are_secret() {
        assert!(is_secret("api.keys"));
        assert!(is_secret("api.key"));
        assert!(is_secret("layer.redis.Password"));
        assert!(is_secret("layer.symmetric_encryption_keys"));
        assert!(is_secret("layer.keys"));
        assert!(is_secret("symmetric_encryption_kyes"));
        assert!(!is_secret("layer.prefix"));
        assert!(!is_secret("layer.redis.hosts.ssl_keyfile"));
    }
}
