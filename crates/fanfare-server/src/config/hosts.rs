//! `layer.redis.hosts`.

use fanfare_layer::redis::Host;
use serde_json::Value;

use super::reader::Reader;
use super::schema::join;
use super::secret_file;
use super::tree::{Node, value_to_toml};

/// The hosts in order, and how people see them.
pub(super) fn read(reader: &mut Reader<'_>) -> (Vec<Host>, Vec<String>) {
    let (mut hosts, mut labels) = (Vec::new(), Vec::new());
    for (key, node) in reader.entries("layer.redis.hosts") {
        let host = serde_json::to_value(value_to_toml(&node.value))
            .map_err(|error| error.to_string())
            .and_then(|mut value| {
                fill_passwords(&mut value, &key, node, reader);
                // The reason alone: the line it goes into shows the host already.
                Host::from_json(&value).map_err(|error| error.reason)
            });
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

/// Reads the files of passwords, of the host and of its sentinels.
fn fill_passwords(value: &mut Value, key: &str, node: &Node, reader: &mut Reader<'_>) {
    const KWARGS: &str = "sentinel_kwargs";
    let Value::Object(host) = value else { return };
    secret_file::fill_password(host, key, &node.origin, reader.problems);
    if let Some(Value::Object(kwargs)) = host.get_mut(KWARGS) {
        let key = join(key, KWARGS);
        secret_file::fill_password(kwargs, &key, &node.origin, reader.problems);
    }
}
