//! `[layer]`: which layer carries the events, and in which wire format.

use std::time::Duration;

use fanfare_consumer::{CoreFormat, MembershipMode, Notation, RedisFormat, RedisLayer};
use fanfare_layer::CloseEvents;
use fanfare_layer::redis::{Capacities, Host, RedisPace};
use fanfare_protocol::Naming;

use super::hosts;
use super::keys;
use super::reader::Reader;
use super::secret_file;
use super::settings::{Backend, Layer};
use super::tree::{Node, Value};

const MOST_WAITING: i64 = 1_000_000_000;

/// What Redis alone has.
const OF_REDIS: [&str; 6] = [
    "layer.format",
    "layer.serializer",
    "layer.symmetric_encryption_keys",
    "layer.symmetric_encryption_keys_file",
    "layer.redis.probe_ms",
    "layer.redis.timeout_ms",
];

/// The whole section.
pub(super) fn read(reader: &mut Reader<'_>) -> Layer {
    let (hosts, host_labels) = hosts::read(reader);
    let backend = backend(reader);
    if backend == Backend::Memory {
        refuse_changed(
            reader,
            OF_REDIS,
            "has no meaning on the memory layer: it is used with layer.redis.hosts",
        );
    }
    Layer {
        backend,
        prefix: prefix(reader),
        redis: redis(reader, hosts),
        host_labels,
        join: reader.milliseconds("layer.join_ms"),
        close_events: match reader.flag("layer.close_events") {
            true => CloseEvents::Honoured,
            false => CloseEvents::Ignored,
        },
    }
}

/// A key that says what it says anyway, as in a printed configuration, harms nobody.
fn refuse_changed<'k>(
    reader: &mut Reader<'_>,
    keys: impl IntoIterator<Item = &'k str>,
    reason: &str,
) {
    for key in keys {
        if reader.is_changed(key) {
            reader.refuse(key, reason);
        }
    }
}

fn backend(reader: &mut Reader<'_>) -> Backend {
    let given = reader.entries("layer.redis.hosts").len();
    let backend = match reader.text("layer.backend") {
        "redis" => Backend::Redis,
        "auto" if given > 0 => Backend::Redis,
        _ => Backend::Memory,
    };
    match (reader.text("layer.backend"), given) {
        ("redis", 0) => reader.refuse("layer.backend", "needs an entry in layer.redis.hosts"),
        ("memory", 1..) => reader.refuse(
            "layer.redis.hosts",
            "is not used with layer.backend = \"memory\"",
        ),
        _ => {}
    }
    backend
}

fn prefix(reader: &mut Reader<'_>) -> String {
    let prefix = reader.text("layer.prefix").to_owned();
    if let Err(reason) = Naming::check_prefix(&prefix) {
        reader.refuse("layer.prefix", reason);
    }
    prefix
}

fn redis(reader: &mut Reader<'_>, hosts: Vec<Host>) -> RedisLayer {
    RedisLayer {
        hosts,
        serializer: match reader.text("layer.serializer") {
            "json" => Notation::Json,
            _ => Notation::Msgpack,
        },
        symmetric_encryption_keys: encryption_keys(reader),
        pace: RedisPace {
            probe: reader.milliseconds("layer.redis.probe_ms"),
            timeout: reader.milliseconds("layer.redis.timeout_ms"),
        },
        format: match reader.text("layer.format") {
            "core" => RedisFormat::Core(core(reader)),
            _ => {
                let of_core = keys::names("layer.core")
                    .into_iter()
                    .map(|name| format!("layer.core.{name}"));
                let of_core: Vec<String> = of_core.collect();
                refuse_changed(
                    reader,
                    of_core.iter().map(String::as_str),
                    "is used with layer.format = \"core\" only",
                );
                RedisFormat::PubSub
            }
        },
    }
}

fn encryption_keys(reader: &mut Reader<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    for secret in secret_file::list(reader, "layer.symmetric_encryption_keys") {
        match &*secret.text {
            "" => secret.refuse(reader.problems, "is empty, so everyone knows it"),
            _ => keys.push(secret.text),
        }
    }
    keys
}

fn core(reader: &mut Reader<'_>) -> CoreFormat {
    let prefix = reader.number("layer.core.random_prefix_length");
    CoreFormat {
        capacity: reader.number("layer.core.capacity"),
        channel_capacity: channel_capacity(reader),
        node_capacity: reader.number("layer.core.node_capacity"),
        expiry: lifetime(reader, "layer.core.expiry_ms"),
        group_expiry: lifetime(reader, "layer.core.group_expiry_ms"),
        random_prefix_length: u8::try_from(prefix).unwrap_or(u8::MAX),
        members: match reader.text("layer.core.members") {
            "session" => MembershipMode::PerSession,
            _ => MembershipMode::PerNode,
        },
    }
}

fn channel_capacity(reader: &mut Reader<'_>) -> Vec<(String, usize)> {
    let mut capacities = Vec::new();
    for (key, node) in reader.entries("layer.core.channel_capacity") {
        match pair(node) {
            Ok(pair) => capacities.push(pair),
            Err(reason) => reader.problems.push(&key, node, reason),
        }
    }
    capacities
}

/// `["specific.*", 1000]`.
fn pair(node: &Node) -> Result<(String, usize), String> {
    let [pattern, capacity] = node.items() else {
        return Err("expected a pair such as [\"specific.*\", 1000]".to_owned());
    };
    let (Some(pattern), Value::Integer(capacity)) = (pattern.text(), &capacity.value) else {
        return Err("expected a pattern and a number, such as [\"specific.*\", 1000]".to_owned());
    };
    if !(1..=MOST_WAITING).contains(capacity) {
        return Err(format!("the number must be from 1 to {MOST_WAITING}"));
    }
    let pair = (
        pattern.to_owned(),
        usize::try_from(*capacity).unwrap_or(usize::MAX),
    );
    match Capacities::new(1, std::slice::from_ref(&pair)) {
        Ok(_) => Ok(pair),
        Err(error) => Err(error.to_string()),
    }
}

/// Redis counts lifetimes in seconds, as channels_redis does.
fn lifetime(reader: &mut Reader<'_>, key: &str) -> Duration {
    const SECOND_MS: u64 = 1000;
    let milliseconds = reader.number(key) as u64;
    if !milliseconds.is_multiple_of(SECOND_MS) {
        reader.refuse(
            key,
            "must be whole seconds, because Redis counts in seconds",
        );
    }
    Duration::from_secs(milliseconds / SECOND_MS)
}
