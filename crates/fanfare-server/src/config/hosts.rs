//! `layer.redis.hosts`.

use fanfare_layer::redis::Host;

use super::reader::Reader;
use super::tree::value_to_toml;

/// The hosts in order, and how people see them.
pub(super) fn read(reader: &mut Reader<'_>) -> (Vec<Host>, Vec<String>) {
    let (mut hosts, mut labels) = (Vec::new(), Vec::new());
    for (key, node) in reader.entries("layer.redis.hosts") {
        let host = serde_json::to_value(value_to_toml(&node.value))
            .map_err(|error| error.to_string())
            // The reason alone: the line it goes into shows the host already.
            .and_then(|value| Host::from_json(&value).map_err(|error| error.reason));
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
