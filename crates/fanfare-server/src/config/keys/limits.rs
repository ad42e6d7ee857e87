//! Limits, pings, drain, health and logs.

use super::{Key, Kind, Section, key, milliseconds};

const GIGABYTE: i64 = 1 << 30;
const MOST_QUEUED: i64 = 1_000_000;
const FASTEST: i64 = 1_000_000;

pub(super) const SECTIONS: &[Section] = &[
    Section {
        path: "limits",
        doc: "",
        keys: LIMITS,
    },
    Section {
        path: "limits.rate",
        doc: "How fast one client may go. 0 is no limit.",
        keys: RATE,
    },
    Section {
        path: "ping",
        doc: "",
        keys: &[
            milliseconds(
                "interval_ms",
                0,
                "20_000",
                "The server pings a client that has given no sign of life for this long: it has sent \
                 nothing and taken nothing in. 0 turns pings off.",
            ),
            milliseconds(
                "timeout_ms",
                1,
                "30_000",
                "The server disconnects a client that stays silent for this long after a ping.",
            ),
        ],
    },
    Section {
        path: "drain",
        doc: "The steps after SIGTERM, in this order.",
        keys: &[
            milliseconds(
                "grace_ms",
                0,
                "0",
                "How long the node answers `/health/ready` with 503 and still accepts connections, \
                 so that a load balancer can react.",
            ),
            milliseconds(
                "window_ms",
                0,
                "5000",
                "The server closes the sessions with 1001, spread evenly over this time.",
            ),
            milliseconds(
                "close_ms",
                0,
                "2000",
                "How long each closed session waits for the close frame of its client.",
            ),
        ],
    },
    Section {
        path: "health",
        doc: "",
        keys: &[milliseconds(
            "layer_grace_ms",
            0,
            "10_000",
            "The layer may be down for this long before `/health/ready` answers 503.",
        )],
    },
    Section {
        path: "log",
        doc: "",
        keys: LOG,
    },
];

const LIMITS: &[Key] = &[
    key(
        "sessions",
        Kind::Number(1, 10_000_000),
        "100_000",
        "sessions",
        "WebSockets open on this node at the same time. One more gets 503. Each needs a file \
         descriptor: if `ulimit -Hn` allows fewer, the server lowers the limit at start and logs \
         it.",
    ),
    key(
        "http_connections",
        Kind::Number(1, 10_000_000),
        "4096",
        "connections",
        "HTTP connections of this node that are neither sessions nor handshakes. One more takes the \
         place of the one that has made no progress for the longest time. It gets 503 \
         `too_many_connections` while there is a request in work on each. If `ulimit -Hn` is low, \
         the server lowers the limit to a quarter of the descriptors that it can use.",
    ),
    key(
        "message_bytes",
        Kind::Number(1, GIGABYTE),
        "1_048_576",
        "bytes",
        "A message from a client, all its fragments together. A larger message closes the session \
         with 1009.",
    ),
    key(
        "frame_bytes",
        Kind::Number(1, GIGABYTE),
        "1_048_576",
        "bytes",
        "A single frame from a client. A larger frame closes the session with 1009 before its \
         content is read.",
    ),
    key(
        "outbox_bytes",
        Kind::Number(1, GIGABYTE),
        "1_048_576",
        "bytes",
        "Bytes that may wait for one client that reads too slowly. Above this number the server \
         drops the session, without a close frame.",
    ),
    key(
        "outbox_frames",
        Kind::Number(1, MOST_QUEUED),
        "1024",
        "frames",
        "Frames that may wait for one client. Above this number the server drops the session in \
         the same way.",
    ),
    key(
        "inbox_frames",
        Kind::Number(1, MOST_QUEUED),
        "4096",
        "deliveries",
        "Deliveries that may wait for one worker thread. Above this number publishers of this node \
         wait. The fan-out of a worker thread handles at most as many events at a time. With \
         Redis, publishers also wait while this number of publishes has no answer. Messages from \
         Redis wait for the bridge in a queue of 16 times this number and at most 64 MiB. If that \
         queue is full, pub/sub messages are dropped and counted, and core messages wait in Redis.",
    ),
    key(
        "inbox_bytes",
        Kind::Number(1, GIGABYTE),
        "33_554_432",
        "bytes",
        "Bytes of events that may wait for one worker thread. Above this number publishers of this \
         node wait.",
    ),
    key(
        "fan_out_bytes",
        Kind::Number(1, GIGABYTE),
        "33_554_432",
        "bytes",
        "Bytes of events that the fan-out of one worker thread handles at a time. Above this \
         number the thread takes nothing from its inbox.",
    ),
    key(
        "handoff_frames",
        Kind::Number(1, 100 * MOST_QUEUED),
        "65_536",
        "deliveries",
        "If this number of deliveries waits for one worker thread, further events from Redis are \
         dropped for the sessions of that thread and counted. Other threads are not affected.",
    ),
    key(
        "handoff_bytes",
        Kind::Number(1, GIGABYTE),
        "67_108_864",
        "bytes",
        "If this number of bytes waits for one worker thread, further events from Redis are \
         dropped in the same way.",
    ),
    key(
        "memory_bytes",
        Kind::Number(0, 1024 * GIGABYTE),
        "0",
        "bytes",
        "Bytes that may wait on this node, all queues together. From seven eighths on, publishes, \
         handshakes and the bodies of requests get 503, and the server drops the sessions and the \
         messages of channels that hold most. 0 stands for three quarters of the memory of the \
         machine or of the control group. [OPERATIONS.md](OPERATIONS.md#memory) has the details.",
    ),
    key(
        "groups_per_session",
        Kind::Number(1, MOST_QUEUED),
        "100",
        "groups",
        "Groups of one session. A handshake that would join more gets 400.",
    ),
    milliseconds(
        "handshake_ms",
        1,
        "5000",
        "The time limit for each of these: the head of a request, the body of a request to the \
         API, the answer to a handshake, and the sending of a refusal.",
    ),
    milliseconds(
        "publish_ms",
        1,
        "4000",
        "How long a publish over HTTP takes at most, from the end of its body to the answer; a batch \
         as a whole. If a worker thread or Redis does not keep up for so long, the answer is 503.",
    ),
    key(
        "body_bytes",
        Kind::Number(1, GIGABYTE),
        "2_097_152",
        "bytes",
        "The body of an HTTP request. A larger body gets 413.",
    ),
];

const RATE: &[Key] = &[
    key(
        "messages_per_second",
        Kind::Number(0, FASTEST),
        "5000",
        "messages",
        "Messages and pings of one session in a second. The server does not read a session that \
         sends more until it may send the next one. Nothing is lost and the session stays open.",
    ),
    key(
        "bytes_per_second",
        Kind::Number(0, GIGABYTE),
        "262_144",
        "bytes",
        "Bytes of one session in a second, in the same way. The bytes of one second may come at \
         once, and a message is always read to its end.",
    ),
    key(
        "burst",
        Kind::Number(1, FASTEST),
        "1000",
        "messages",
        "Messages of one session that may come at once, and handshakes of one address that may \
         come at once. If it is more than `limits.outbox_frames`, one burst of a member can fill \
         the outboxes of its group.",
    ),
    key(
        "handshakes_per_second_per_address",
        Kind::Number(0, FASTEST),
        "2000",
        "handshakes",
        "WebSocket handshakes of one address in a second. One more gets 429 with `Retry-After`. \
         IPv6 addresses count by their first 64 bits. Behind a proxy set `http.trusted_proxies`; \
         without it all clients of the proxy are one address. A process on a Unix socket that \
         names no client is not limited.",
    ),
    key(
        "sessions_per_address",
        Kind::Number(0, 10_000_000),
        "10_000",
        "sessions",
        "WebSockets of one address that are open on this node at the same time. One more gets 403 \
         `too_many_sessions`.",
    ),
];

const LOG: &[Key] = &[
    key(
        "format",
        Kind::Choice(&["text", "json"]),
        "\"text\"",
        "",
        "The format of the log on standard error: `\"text\"` or `\"json\"`. With `\"text\"` the \
         server also prints a banner to standard output.",
    ),
    key(
        "level",
        Kind::Text,
        "\"info\"",
        "",
        "`error`, `warn`, `info`, `debug`, `trace`, `off`, or directives such as \
         `info,fanfare_layer=debug`. With a single word, the log has messages of the HTTP listener \
         from `warn` upwards only.",
    ),
    key(
        "access",
        Kind::Flag,
        "true",
        "",
        "Writes a line for each WebSocket that connects, is refused or disconnects, and for each \
         HTTP request.",
    ),
    key(
        "audit",
        Kind::Flag,
        "false",
        "",
        "Writes the audit log, at any `log.level`: who was refused, whose key did what, who \
         published what to whom over HTTP, how sessions ended, and drains. See \
         [docs/OPERATIONS.md](OPERATIONS.md#audit-log).",
    ),
];
