//! The channel layer.

use super::{Key, Kind, Section, Shown, key, milliseconds};

const MOST_WAITING: i64 = 1_000_000_000;
const LONGEST_PREFIX: i64 = 255;
const MINUTE_MS: i64 = 60 * 1000;
const YEAR_MS: i64 = 366 * 24 * 60 * 60 * 1000;

pub(super) const SECTIONS: &[Section] = &[
    Section {
        path: "layer",
        doc: "",
        keys: LAYER,
    },
    Section {
        path: "layer.redis",
        doc: "",
        keys: REDIS,
    },
    Section {
        path: "layer.core",
        doc: "Options of `layer.format = \"core\"`. channels_redis has options of the same names, \
              in seconds.",
        keys: CORE,
    },
];

const REDIS: &[Key] = &[
    key(
        "hosts",
        Kind::Hosts,
        "[]",
        "",
        "Redis servers, in the same order on every node: `\"redis://:password@host:6379/0\"`, \
             `\"rediss://host\"` with TLS, `\"unix:///path\"`, tables as channels_redis takes \
             them, `{ host = \"host\", port = 6379 }`, or pairs, `[\"host\", 6379]`. See \
             [docs/CONFIGURATION.md](#redis-hosts).",
    )
    .showing(Shown::Hosts),
    key(
        "probe_ms",
        Kind::Number(100, MINUTE_MS),
        "2000",
        "ms",
        "How often this node probes each Redis server, and asks it whether it is the master. The \
         heartbeat of the core format does not depend on it.",
    ),
    key(
        "timeout_ms",
        Kind::Number(100, MINUTE_MS),
        "2000",
        "ms",
        "How long a Redis server may owe an answer before this node gives up the connection, \
         refuses publishes and connects again. See \
         [docs/OPERATIONS.md](OPERATIONS.md#a-redis-that-stalls).",
    ),
];

const LAYER: &[Key] = &[
    key(
        "backend",
        Kind::Choice(&["auto", "memory", "redis"]),
        "\"auto\"",
        "",
        "What carries events between nodes. `\"memory\"`: one process alone. `\"redis\"`: the \
         servers of `layer.redis.hosts`. `\"auto\"`: Redis if `layer.redis.hosts` has an entry, \
         memory otherwise.",
    ),
    key(
        "prefix",
        Kind::Text,
        "\"asgi\"",
        "",
        "The start of every name in Redis. It must be the same on all nodes and in channels_redis.",
    ),
    key(
        "format",
        Kind::Choice(&["pubsub", "core"]),
        "\"pubsub\"",
        "",
        "The wire format in Redis: `\"pubsub\"`, that of \
         `channels_redis.pubsub.RedisPubSubChannelLayer`, or `\"core\"`, that of \
         `channels_redis.core.RedisChannelLayer`. It must be the same on all nodes and in \
         channels_redis. See [docs/CONFIGURATION.md](#wire-formats).",
    ),
    key(
        "serializer",
        Kind::Choice(&["msgpack", "json"]),
        "\"msgpack\"",
        "",
        "The encoding of events in Redis, `serializer_format` of channels_redis. It must be the \
         same on all nodes and in channels_redis.",
    ),
    key(
        "symmetric_encryption_keys",
        Kind::Texts,
        "[]",
        "",
        "Keys that encrypt events in Redis. The first key encrypts, every key decrypts. They must \
         be the same on all nodes and in channels_redis. Without a key nothing is encrypted.",
    )
    .showing(Shown::Nothing),
    key(
        "symmetric_encryption_keys_file",
        Kind::Text,
        "\"\"",
        "",
        "A file with such keys, one a line, in place of `layer.symmetric_encryption_keys`. See \
         [docs/CONFIGURATION.md](#secrets-in-files).",
    ),
    milliseconds(
        "join_ms",
        1,
        "2000",
        "How long a handshake waits until the layer has acknowledged its groups. After this time \
         the handshake gets 503.",
    ),
    key(
        "close_events",
        Kind::Flag,
        "false",
        "",
        "Whether an event of type `fanfare.close` closes the sessions that it reaches. Whoever can \
         publish can send it, from Python too: to `fanfare.all`, to `fanfare.user.ID` or to the channel \
         of a session. [docs/DJANGO.md](DJANGO.md#close-sessions-from-python) says when that is safe.",
    ),
];

const CORE: &[Key] = &[
    key(
        "capacity",
        Kind::Number(1, MOST_WAITING),
        "100",
        "messages",
        "Messages that may wait in Redis for one Python process, or in one normal channel. This \
         server refuses to send when that many wait.",
    ),
    key(
        "channel_capacity",
        Kind::Pairs,
        "[]",
        "",
        "The capacity of channels whose full name matches a pattern: a list of `[pattern, \
         number]`, such as `[[\"specific.*\", 1000], [\"http.*\", 200]]`. The first pattern that \
         matches is used. The name of a session starts with `specific.`.",
    ),
    key(
        "node_capacity",
        Kind::Number(1, MOST_WAITING),
        "10_000",
        "messages",
        "The capacity for messages between Fanfare servers, if no pattern of `channel_capacity` \
         matches. One server receives the messages of thousands of sessions. Python senders use \
         their own capacity.",
    ),
    key(
        "expiry_ms",
        Kind::Number(1000, YEAR_MS),
        "60_000",
        "ms",
        "How long a message may wait in Redis. Whole seconds.",
    ),
    key(
        "group_expiry_ms",
        Kind::Number(1000, YEAR_MS),
        "86_400_000",
        "ms",
        "How long a group membership in Redis lasts unless it is renewed. Python never renews its \
         own. The value of the sender applies to all members, so set it equally everywhere. Whole \
         seconds.",
    ),
    key(
        "random_prefix_length",
        Kind::Number(0, LONGEST_PREFIX),
        "12",
        "bytes",
        "Random bytes in front of every message, so that two equal events stay two members of a \
         sorted set. It must be the same on all nodes and in channels_redis.",
    ),
    key(
        "members",
        Kind::Choice(&["node", "session"]),
        "\"node\"",
        "",
        "What a group contains in Redis. `\"node\"`: one entry for each node, for all its \
         sessions. `\"session\"`: one entry for each session, so that Python can `group_discard` a \
         session. That costs memory for each session and time for each event.",
    ),
];
