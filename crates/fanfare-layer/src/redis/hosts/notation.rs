//! A host as configurations write it: a URL, a pair, or a table.

use serde_json::{Map, Value};

use super::host::{Host, HostError};
use super::reading::{Draft, mask};
use super::sentinel::SentinelTable;

/// Options by their names.
pub(super) type Table = Map<String, Value>;

impl Host {
    /// Reads a host as channels_redis takes it: a URL as for [`Host::parse`]; `["host", port]`; a
    /// table of connection options, which has `address` (a URL, which wins over the other keys), or
    /// `host` and `port`, or `path`, and `db`, `username`, `password`, `ssl`, `ssl_cert_reqs`,
    /// `ssl_check_hostname`, `ssl_ca_certs`, `ssl_ca_path`, `ssl_certfile`, `ssl_keyfile`,
    /// `socket_connect_timeout`; or a table with `sentinels` (`[["host", port], ..]`),
    /// `master_name` and `sentinel_kwargs`, and the options of the master beside them. As in
    /// channels_redis, the connections to the sentinels take over nothing of those. Other options
    /// of redis-py are in [`Host::ignored_options`].
    ///
    /// # Errors
    /// [`HostError`] for another form, a key that redis-py does not know there, or a value that
    /// cannot be read.
    pub fn from_json(value: &Value) -> Result<Self, HostError> {
        let error = |reason| HostError {
            host: "redis://localhost".into(),
            reason,
        };
        match value {
            Value::String(url) => Self::parse(url),
            Value::Object(table)
                if SentinelTable::KEYS.iter().any(|it| table.contains_key(*it)) =>
            {
                Self::from_sentinel(table)
            }
            Value::Object(table) => Self::from_table(table),
            Value::Array(_) => {
                let (host, port) = pair(value).map_err(error)?;
                let pair = [("host", Value::String(host)), ("port", port)];
                Self::from_table(
                    &pair
                        .map(|(name, value)| (name.to_owned(), value))
                        .into_iter()
                        .collect(),
                )
            }
            other => Err(error(format!("expected a URL, found {}", kind(other)))),
        }
    }

    fn from_table(table: &Table) -> Result<Self, HostError> {
        let find = |name| table.get(name).map(text_of);
        let host = match (find("address"), find("path"), find("host")) {
            (Some(url), _, _) => mask(&url),
            (None, Some(path), _) => format!("unix://{path}"),
            (None, None, Some(host)) => format!("redis://{host}"),
            (None, None, None) => "redis://localhost".into(),
        };
        let mut draft = Draft::default();
        draft
            .read_table(table)
            .and_then(|()| draft.finish())
            .map_err(|reason| HostError { host, reason })
    }
}

/// `["host", port]`.
pub(super) fn pair(value: &Value) -> Result<(String, Value), String> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(host), port]) if is_scalar(port) => Ok((host.clone(), port.clone())),
        _ => Err("expected [\"host\", port]".into()),
    }
}

pub(super) fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// What an option of a URL's query would say.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What kind of value it is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
#[path = "notation_tests.rs"]
mod tests;
