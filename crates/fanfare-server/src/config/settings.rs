//! What the server runs with: the configuration after every check.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fanfare_consumer::{Notation, RedisFormat, RedisLayer};
use fanfare_gateway::Bind;
use fanfare_layer::{CloseEvents, GroupRules};
use fanfare_node::RateLimits;
use fanfare_web::TrustedProxies;
use fanfare_web::template::{GroupTemplate, PathTemplate};
use http::Uri;

/// The whole configuration. Every value was checked when it was loaded; nothing below is looked
/// at twice.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Allows users that clients name themselves.
    pub(crate) development: bool,
    /// The listener.
    pub(crate) http: Http,
    /// The HTTP API.
    pub(crate) api: Api,
    /// The application that says who a client is; `None`: nobody is asked.
    pub(crate) auth: Option<Auth>,
    /// This process.
    pub(crate) node: NodeSettings,
    /// The channel layer.
    pub(crate) layer: Layer,
    /// Bounds; each names the queue or message that it bounds.
    pub(crate) limits: Limits,
    /// Heartbeats.
    pub(crate) ping: Ping,
    /// The end of the process.
    pub(crate) drain: Drain,
    /// Readiness.
    pub(crate) health: Health,
    /// Logs.
    pub(crate) log: Log,
    /// WebSocket routes, in order.
    pub(crate) routes: Vec<RouteSettings>,
    /// Rules of groups, in order. The first whose pattern matches counts.
    pub(crate) groups: GroupRules,
}

/// The listener.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// Where to listen; never empty.
    pub(crate) bind: Vec<Bind>,
    /// Worker threads; 0 is one a core.
    pub(crate) workers: usize,
    /// Origins that may open a WebSocket; `None` is the default rule (none sent, or the same host).
    pub(crate) origins: Option<Vec<String>>,
    /// Patterns of the hosts that it answers to; empty: what the addresses and origins imply.
    pub(crate) hosts: Vec<String>,
    /// Peers whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: TrustedProxies,
    /// How long an unused HTTP connection stays open; zero closes it behind each answer.
    pub(crate) keep_alive: Duration,
    /// How long a response may make no progress; zero is no limit.
    pub(crate) write: Duration,
    /// Bytes of a request line.
    pub(crate) line_bytes: usize,
    /// Bytes of a request's head, with its line.
    pub(crate) head_bytes: usize,
    /// The mode of Unix sockets.
    pub(crate) socket_mode: u32,
}

/// The HTTP API.
#[derive(Clone)]
pub(crate) struct Api {
    /// Keys with full scope. Empty while serving: every request is answered 401.
    pub(crate) keys: Vec<String>,
    /// Whether the one key was made at start; the banner shows such a key and no other.
    pub(crate) made: bool,
}

impl std::fmt::Debug for Api {
    /// Keys are secrets: only how many there are is shown.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Api")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// The authentication of handshakes.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    /// What is asked, `http` or `https`.
    pub(crate) url: Uri,
    /// The Unix socket on which it is asked, whatever host the URL names.
    pub(crate) socket: Option<PathBuf>,
    /// Certificates of the authorities to believe, in PEM; `None`: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long an answer may take, with the wait for a turn.
    pub(crate) timeout: Duration,
    /// Requests at once.
    pub(crate) concurrency: usize,
    /// How long a decision counts for equal handshakes; zero keeps none.
    pub(crate) cache: Duration,
    /// How many decisions are kept.
    pub(crate) cache_entries: usize,
}

/// This process.
#[derive(Debug, Clone)]
pub(crate) struct NodeSettings {
    /// The human label; the host name unless configured.
    pub(crate) name: String,
}

/// Which layer carries the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// This process only.
    Memory,
    /// Redis, in one of the wire formats of channels_redis.
    Redis,
}

/// The channel layer.
#[derive(Clone)]
pub(crate) struct Layer {
    /// Memory, or Redis.
    pub(crate) backend: Backend,
    /// What stands in front of every name in Redis.
    pub(crate) prefix: String,
    /// Redis hosts in order, and what is spoken there; hosts are there exactly when the backend is
    /// Redis.
    pub(crate) redis: RedisLayer,
    /// The hosts for people, passwords masked.
    pub(crate) host_labels: Vec<String>,
    /// How long a handshake waits for the layer to acknowledge its groups.
    pub(crate) join: Duration,
    /// Whether events of type `fanfare.close` close sessions.
    pub(crate) close_events: CloseEvents,
}

/// What is spoken on Redis, in the words of the configuration.
pub(crate) struct Spoken {
    pub(crate) format: &'static str,
    pub(crate) serializer: &'static str,
    pub(crate) encrypted: bool,
}

impl Spoken {
    pub(crate) fn of(redis: &RedisLayer) -> Self {
        Self {
            format: match redis.format {
                RedisFormat::PubSub => "pubsub",
                RedisFormat::Core(_) => "core",
            },
            serializer: match redis.serializer {
                Notation::Msgpack => "msgpack",
                Notation::Json => "json",
            },
            encrypted: !redis.symmetric_encryption_keys.is_empty(),
        }
    }
}

impl std::fmt::Debug for Layer {
    /// Hosts carry passwords, their labels stand for them; keys are secrets too.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Layer")
            .field("backend", &self.backend)
            .field("prefix", &self.prefix)
            .field("hosts", &self.host_labels)
            .field("serializer", &self.redis.serializer)
            .field("keys", &self.redis.symmetric_encryption_keys.len())
            .field("format", &self.redis.format)
            .field("join", &self.join)
            .field("close_events", &self.close_events)
            .finish_non_exhaustive()
    }
}

/// Bounds.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Sessions of this node.
    pub(crate) sessions: usize,
    /// Whether somebody chose that number: then it is a mistake when it cannot be reached.
    pub(crate) sessions_given: bool,
    /// Connections that are neither sessions nor handshakes.
    pub(crate) http_connections: usize,
    /// Bytes of a message from a client, all its fragments together.
    pub(crate) message_bytes: usize,
    /// Bytes of one frame from a client.
    pub(crate) frame_bytes: usize,
    /// Bytes that wait for one slow client.
    pub(crate) outbox_bytes: usize,
    /// Frames that wait for one slow client.
    pub(crate) outbox_frames: usize,
    /// Deliveries that wait for one worker thread.
    pub(crate) inbox_frames: usize,
    pub(crate) inbox_bytes: usize,
    pub(crate) fan_out_bytes: usize,
    pub(crate) handoff_frames: usize,
    pub(crate) handoff_bytes: usize,
    /// Bytes that wait on the node, all queues together; 0 is three quarters of what there is.
    pub(crate) memory_bytes: usize,
    /// Groups that one session may be in.
    pub(crate) groups_per_session: usize,
    /// How fast one client may go.
    pub(crate) rate: RateLimits,
    /// From the accepted connection to the handshake's answer.
    pub(crate) handshake: Duration,
    /// Bytes of a request's body.
    pub(crate) body_bytes: usize,
    /// From a publish over HTTP to its answer.
    pub(crate) publish: Duration,
}

/// Heartbeats.
#[derive(Debug, Clone)]
pub(crate) struct Ping {
    /// A client that sent nothing for so long is pinged; zero turns pings off.
    pub(crate) interval: Duration,
    /// A pinged client that does not answer for so long is given up.
    pub(crate) timeout: Duration,
}

/// The end of the process.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    /// After the signal: readiness is 503, handshakes still work.
    pub(crate) grace: Duration,
    /// Closing the sessions is spread over this.
    pub(crate) window: Duration,
    /// How long a closed session waits for its peer's close frame.
    pub(crate) close: Duration,
}

/// Readiness.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// How long the layer may be down before the node calls itself not ready.
    pub(crate) layer_grace: Duration,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people; the banner is printed too.
    Text,
    /// One JSON object a line; no banner, no made-up API key.
    Json,
}

/// Logs.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// Text or JSON.
    pub(crate) format: LogFormat,
    /// A level, or directives as `tracing_subscriber::EnvFilter` reads them.
    pub(crate) level: String,
    /// Whether the access lines are written.
    pub(crate) access: bool,
    /// Whether the audit log is written.
    pub(crate) audit: bool,
}

/// What a route does with what its clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnReceive {
    /// The same message back.
    Echo,
    /// Published to every group of the route.
    GroupSend,
    /// A fixed text back.
    Reply,
    /// Dropped.
    Ignore,
}

/// Where the user's id of a session comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserSource {
    /// The query parameter that names the user. Anyone can claim to be anyone: development only.
    pub(crate) query: String,
}

/// How one event type is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliverSettings {
    /// The field of the event that is sent.
    pub(crate) send: String,
}

/// One `[[routes]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteSettings {
    /// The path with `{parameters}` (or `{name:pattern}`).
    pub(crate) path: PathTemplate,
    /// Templates of group names; every `{parameter}` in them is one of the path.
    pub(crate) groups: Vec<GroupTemplate>,
    /// What happens to messages from clients.
    pub(crate) on_receive: OnReceive,
    /// The type of published events; there is one exactly when messages are published.
    pub(crate) event_type: Option<String>,
    /// Whether the sender does not get its own message.
    pub(crate) exclude_sender: bool,
    /// Whether the first frame tells the client its channel.
    pub(crate) welcome: bool,
    /// Whether event types without an entry in `deliver` are sent as JSON.
    pub(crate) deliver_unknown: bool,
    /// Whether the application is asked who the client is; never without an `[auth]` that is on.
    pub(crate) auth: bool,
    /// Where the user comes from when the application is not asked; `None`: sessions have no user.
    pub(crate) user: Option<UserSource>,
    /// The text that `on_receive = "reply"` answers.
    pub(crate) reply: String,
    /// Event type to its delivery.
    pub(crate) deliver: BTreeMap<String, DeliverSettings>,
}
