//! The table of error codes.

use actix_web::HttpResponseBuilder;
use actix_web::http::{StatusCode, header};

/// What went wrong, for programs: every code that a client can see. The texts are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The application refused the client.
    AccessDenied,
    /// The application did not say who the client is.
    AuthUnavailable,
    /// The application does not know the client.
    AuthenticationRequired,
    /// A broken WebSocket handshake.
    BadHandshake,
    /// A header that names one thing is there twice, or names nothing.
    BadHeader,
    /// The query string.
    BadQuery,
    /// The body ended early.
    BodyIncomplete,
    /// The body took too long.
    BodyTimeout,
    /// The body is over the limit.
    BodyTooLarge,
    /// A channel's queue is full.
    ChannelFull,
    /// The HTTP connection was not used for too long.
    ConnectionIdle,
    /// The route is for development, and the request came through a proxy.
    DevelopmentOnly,
    /// The node shuts down.
    Draining,
    /// The handshake was not answered in time.
    HandshakeTimeout,
    /// The head of the request is over the limit.
    HeadTooLarge,
    /// The server does not answer to this host.
    HostDenied,
    /// A fault of the server, which its log explains.
    Internal,
    /// The shape of a batch.
    InvalidBatch,
    /// The name of a channel.
    InvalidChannel,
    /// The event.
    InvalidEvent,
    /// The name of a group.
    InvalidGroup,
    /// The body is not JSON.
    InvalidJson,
    /// A name or id that the application passed on.
    InvalidName,
    /// The id of a user.
    InvalidUser,
    /// The layer has not answered yet.
    LayerConnecting,
    /// The layer is unreachable.
    LayerDown,
    /// The layer did not acknowledge in time.
    LayerTimeout,
    /// The layer did not answer; the event may have been published.
    LayerUnanswered,
    /// The path answers to other methods.
    MethodNotAllowed,
    /// The node has no room for another session.
    NodeFull,
    /// There is no room for a publish, a body or a session for now; nothing was published.
    NoRoom,
    /// There is nothing at the path.
    NotFound,
    /// The origin of the page is not allowed.
    OriginDenied,
    /// The client asks too often.
    RateLimited,
    /// The application rejected the handshake.
    Rejected,
    /// The server has no place for another connection.
    TooManyConnections,
    /// More groups than a session may have.
    TooManyGroups,
    /// As many sessions as the client may have.
    TooManySessions,
    /// No key, or no user.
    Unauthorized,
    /// Something that the application needs does not work for now.
    Unavailable,
    /// No session has the channel.
    UnknownChannel,
    /// A version of the WebSocket protocol other than 13.
    UnsupportedVersion,
    /// The path speaks WebSocket.
    UpgradeRequired,
    /// The request line is over the limit.
    UriTooLong,
}

impl Code {
    /// The table: status and text. A 503 is worth trying again, after `Retry-After`.
    fn row(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadHandshake => (StatusCode::BAD_REQUEST, "bad_handshake"),
            Self::BadHeader => (StatusCode::BAD_REQUEST, "bad_header"),
            Self::HostDenied => (StatusCode::MISDIRECTED_REQUEST, "host_denied"),
            Self::BadQuery => (StatusCode::BAD_REQUEST, "bad_query"),
            Self::BodyIncomplete => (StatusCode::BAD_REQUEST, "body_incomplete"),
            Self::InvalidBatch => (StatusCode::BAD_REQUEST, "invalid_batch"),
            Self::InvalidChannel => (StatusCode::BAD_REQUEST, "invalid_channel"),
            Self::InvalidEvent => (StatusCode::BAD_REQUEST, "invalid_event"),
            Self::InvalidGroup => (StatusCode::BAD_REQUEST, "invalid_group"),
            Self::InvalidJson => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::InvalidUser => (StatusCode::BAD_REQUEST, "invalid_user"),
            Self::TooManyGroups => (StatusCode::BAD_REQUEST, "too_many_groups"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::AuthenticationRequired => (StatusCode::UNAUTHORIZED, "authentication_required"),
            Self::AccessDenied => (StatusCode::FORBIDDEN, "access_denied"),
            Self::DevelopmentOnly => (StatusCode::FORBIDDEN, "development_only"),
            Self::OriginDenied => (StatusCode::FORBIDDEN, "origin_denied"),
            Self::TooManySessions => (StatusCode::FORBIDDEN, "too_many_sessions"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::UnknownChannel => (StatusCode::NOT_FOUND, "unknown_channel"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::ConnectionIdle => (StatusCode::REQUEST_TIMEOUT, "connection_idle"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::UnsupportedVersion => (StatusCode::UPGRADE_REQUIRED, "unsupported_version"),
            Self::UpgradeRequired => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::InvalidName => (StatusCode::BAD_REQUEST, "invalid_name"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
            ),
            Self::Rejected => (StatusCode::FORBIDDEN, "rejected"),
            Self::HandshakeTimeout => (StatusCode::SERVICE_UNAVAILABLE, "handshake_timeout"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::AuthUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "auth_unavailable"),
            Self::ChannelFull => (StatusCode::SERVICE_UNAVAILABLE, "channel_full"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            Self::LayerConnecting => (StatusCode::SERVICE_UNAVAILABLE, "layer_connecting"),
            Self::LayerDown => (StatusCode::SERVICE_UNAVAILABLE, "layer_down"),
            Self::LayerTimeout => (StatusCode::SERVICE_UNAVAILABLE, "layer_timeout"),
            Self::LayerUnanswered => (StatusCode::SERVICE_UNAVAILABLE, "layer_unanswered"),
            Self::NodeFull => (StatusCode::SERVICE_UNAVAILABLE, "node_full"),
            Self::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "no_room"),
            Self::TooManyConnections => (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections"),
        }
    }

    /// The status.
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// The text, for programs.
    pub fn text(self) -> &'static str {
        self.row().1
    }

    /// In how many seconds it is worth trying again.
    pub(super) fn retry_after(self) -> Option<u64> {
        match self {
            Self::AuthUnavailable
            | Self::ChannelFull
            | Self::Draining
            | Self::HandshakeTimeout
            | Self::LayerConnecting
            | Self::LayerDown
            | Self::LayerTimeout
            | Self::NoRoom
            | Self::TooManyConnections
            | Self::Unavailable => Some(1),
            Self::LayerUnanswered | Self::NodeFull => Some(5),
            _ => None,
        }
    }

    /// Whether the client may authenticate here; with the application's own login it cannot.
    pub(super) fn names_scheme(self) -> bool {
        self != Self::AuthenticationRequired
    }

    /// The headers that go with the code.
    pub(super) fn decorate(self, response: &mut HttpResponseBuilder) {
        match self {
            // The header alone: actix-web's `upgrade()` would also switch the connection.
            Self::UpgradeRequired => {
                response
                    .insert_header((header::UPGRADE, "websocket"))
                    .force_close();
            }
            Self::UnsupportedVersion => {
                response
                    .insert_header((header::UPGRADE, "websocket"))
                    .insert_header((header::SEC_WEBSOCKET_VERSION, "13"))
                    .force_close();
            }
            // The rest of the body may still come: it must not be read as the next request.
            Self::BodyTimeout | Self::Draining | Self::HeadTooLarge | Self::UriTooLong => {
                response.force_close();
            }
            _ => {}
        }
    }
}
