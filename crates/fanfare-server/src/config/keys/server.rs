//! The listener, the API, authentication and the node's name.

use super::{Key, Kind, Section, Shown, key, milliseconds};

/// Workers of a node have a number below 64.
const MOST_WORKERS: i64 = 64;
/// What the HTTP library takes of a URI, and of a head.
const LONGEST_LINE: i64 = 65_000;
const LARGEST_HEAD: i64 = 131_072;

pub(super) const SECTIONS: &[Section] = &[
    Section {
        path: "",
        doc: "",
        keys: &[key(
            "development",
            Kind::Flag,
            "false",
            "",
            "Allows routes with `user`, on which anyone can be any user. Without it the server does \
             not start with such a route. Never set it where strangers can connect, also not behind \
             a proxy. The server warns at every start.",
        )],
    },
    Section {
        path: "http",
        doc: "",
        keys: HTTP,
    },
    Section {
        path: "api",
        doc: "",
        keys: API,
    },
    Section {
        path: "auth",
        doc: "Asks the application who a client is. The server calls a URL at each handshake.",
        keys: AUTH,
    },
    Section {
        path: "node",
        doc: "",
        keys: &[key(
            "name",
            Kind::Text,
            "\"\"",
            "",
            "The name of this node in the log and in the answers of the API. Empty: the name of \
             the host.",
        )],
    },
];

const API: &[Key] = &[
    key(
        "keys",
        Kind::Words,
        "[]",
        "",
        "Keys of the HTTP API, sent as `Authorization: Bearer KEY`. If the list is empty and \
         `log.format` is `\"text\"`, the server generates a key at every start and prints it \
         in the banner. With `\"json\"` and an empty list the API answers 401 to every \
         request. A key should have at least 16 random characters: a shorter one is warned about, \
         a placeholder or the same key twice is refused.",
    )
    .showing(Shown::Nothing),
    key(
        "keys_file",
        Kind::Text,
        "\"\"",
        "",
        "A file with such keys, one a line, in place of `api.keys`. See \
         [docs/CONFIGURATION.md](#secrets-in-files).",
    ),
];

const HTTP: &[Key] = &[
    key(
        "bind",
        Kind::TextOrTexts,
        "\"127.0.0.1:8000\"",
        "",
        "Where to listen: `ADDRESS:PORT`, `[IPv6]:PORT`, `unix:/path`, or a list of them. \
         `127.0.0.1` is reachable from this machine only, `0.0.0.0` from everywhere. Port 0 takes \
         a free port. In the environment and with `--set`, IPv6 needs the quotes of TOML: \
         `'\"[::1]:8000\"'`.",
    ),
    key(
        "workers",
        Kind::Number(0, MOST_WORKERS),
        "0",
        "threads",
        "Worker threads. 0 starts one thread for each core, at most 64.",
    ),
    milliseconds(
        "keep_alive_ms",
        0,
        "75_000",
        "How long an HTTP connection stays open that nobody uses. The server closes it up to a \
         second later. A request that crosses the close gets 408 `connection_idle`, and nothing \
         was done. Set it longer than your balancer keeps its connections. 0: one request for each \
         connection.",
    ),
    milliseconds(
        "write_ms",
        0,
        "10_000",
        "How long an HTTP connection may make no progress with a response, because the client does \
         not read it. After that the server closes the connection. 0: no limit.",
    ),
    key(
        "line_bytes",
        Kind::Number(256, LONGEST_LINE),
        "8_192",
        "bytes",
        "The longest request line: method, path and query. A longer one gets 414 `uri_too_long`. It \
         must fit into `http.head_bytes`.",
    ),
    key(
        "head_bytes",
        Kind::Number(1024, LARGEST_HEAD),
        "32_768",
        "bytes",
        "The largest head of a request: its line and its headers. A larger one gets 431 \
         `head_too_large`. Cookies and tokens stand in the head.",
    ),
    key(
        "socket_mode",
        Kind::Text,
        "\"0660\"",
        "",
        "The mode of the Unix sockets in `http.bind`, as `chmod` takes it. Who may write to the \
         socket may connect.",
    ),
    key(
        "origins",
        Kind::WordOrWords,
        "\"same-host\"",
        "",
        "Which web pages may open a WebSocket. `\"same-host\"`: pages of this host, and programs \
         that are not browsers. A list replaces that rule: \
         `[\"https://a.com\", \".a.com\", \"a.com:8080\", \"*\"]`. See \
         [docs/ROUTES.md](ROUTES.md#origins).",
    ),
    key(
        "hosts",
        Kind::Words,
        "[]",
        "",
        "The hosts that the server answers to: `[\"example.com\", \".example.org\", \"203.0.113.7\"]`, \
         without ports. `\".example.org\"` is that host and all below it, `\"*\"` is every host. Names \
         of this machine (`localhost`, names below it, loopback addresses) always count. Any other \
         host gets 421 `host_denied`, but not on `/health/live` and `/health/ready`. Empty: if \
         `http.bind` has loopback addresses alone, the names of this machine and the hosts of \
         `http.origins`; otherwise every host, and a warning at the start. See \
         [docs/OPERATIONS.md](OPERATIONS.md#hosts).",
    ),
    key(
        "trusted_proxies",
        Kind::Words,
        "[]",
        "",
        "Reverse proxies that the server trusts: addresses or networks, such as `\"10.0.0.0/8\"`. \
         The server believes their `X-Forwarded-For` about the client, and passes their \
         `X-Forwarded-Host` and `X-Forwarded-Proto` to `auth.url`. It believes the processes \
         that connect to a Unix socket in the same way.",
    ),
];

const AUTH: &[Key] = &[
    key(
        "url",
        Kind::Text,
        "\"\"",
        "",
        "The URL that the server calls, `http` or `https`, such as \
         `\"http://127.0.0.1:8000/fanfare/auth/\"`, or a path on a Unix socket, such as \
         `\"unix:/run/gunicorn.sock:/fanfare/auth/\"`. [docs/AUTHENTICATION.md](AUTHENTICATION.md) \
         describes the request and the answers. Empty: authentication is off.",
    )
    .showing(Shown::Url),
    key(
        "url_file",
        Kind::Text,
        "\"\"",
        "",
        "A file with that URL, in place of `auth.url`, for a URL with a secret in its query. See \
         [docs/CONFIGURATION.md](#secrets-in-files).",
    ),
    key(
        "ca_file",
        Kind::Text,
        "\"\"",
        "",
        "With `https`: a PEM file with the certificates of the trusted authorities. Empty: the \
         authorities that the operating system trusts.",
    ),
    milliseconds(
        "timeout_ms",
        1,
        "2000",
        "How long the application may take to answer. After this time the handshake gets 503. A \
         request waits for one of the `auth.concurrency` places for at most half of this time. The \
         value must be less than `limits.handshake_ms`.",
    ),
    key(
        "concurrency",
        Kind::Number(1, 10_000),
        "64",
        "requests",
        "Requests to the application at the same time, for the whole process.",
    ),
    milliseconds(
        "cache_ms",
        0,
        "2000",
        "How long the server reuses a decision of the application for equal handshakes. 0: the \
         server asks at every handshake.",
    ),
    key(
        "cache_entries",
        Kind::Number(1, 10_000_000),
        "10_000",
        "decisions",
        "Decisions that the cache keeps. A new decision replaces the oldest one.",
    ),
];
