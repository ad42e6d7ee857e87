//! The WebSocket handshake (RFC 6455 §4.2) as an actix-web handler sees it.

use std::cell::Cell;
use std::net::SocketAddr;

use actix_web::http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use actix_web::http::{Method, Version};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_node::{Link, Ticket};
use sha1::{Digest as _, Sha1};

/// Appended to the client's key before it is hashed (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The response header with the session's channel name.
const CHANNEL: &str = "X-Fanfare-Channel";

/// Put into a request by the takeover service: this connection can be taken over.
#[derive(Clone, Copy)]
pub(crate) struct Offer(pub(crate) Link);

/// Data of every connection of our server, which takes over only what asks for nothing else.
pub(crate) struct Ours;

/// Put into a 101 response: who takes the connection over.
pub(crate) struct Takeover(pub(crate) Cell<Option<Ticket>>);

/// A checked WebSocket handshake.
#[derive(Debug)]
pub struct Handshake {
    link: Link,
    accept: String,
}

/// Why a request is no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A plain request on a WebSocket route: 426 with `Upgrade: websocket`.
    #[error("this path speaks WebSocket: connect with a WebSocket client")]
    UpgradeRequired,
    /// A version of the protocol other than 13: 426 with `Sec-WebSocket-Version: 13`.
    #[error("only version 13 of the WebSocket protocol is spoken here")]
    Version,
    /// A broken handshake: 400.
    #[error("broken WebSocket handshake: {0}")]
    Bad(&'static str),
    /// The App is served by a plain `HttpServer`: 500.
    #[error(
        "WebSocket routes need fanfare::Server: a plain actix_web::HttpServer does not hand its \
         sockets over"
    )]
    WrongServer,
}

impl Handshake {
    /// Checks a request.
    ///
    /// # Errors
    /// [`HandshakeError`]; each is an HTTP status, named there.
    pub fn check(request: &HttpRequest) -> Result<Self, HandshakeError> {
        let headers = request.headers();
        if !has_token(headers, UPGRADE, "websocket") {
            return Err(HandshakeError::UpgradeRequired);
        }
        let offer = request.extensions().get::<Offer>().copied();
        let Some(Offer(link)) = offer else {
            return Err(if request.conn_data::<Ours>().is_some() {
                HandshakeError::Bad(
                    "the Upgrade header must be \"websocket\" alone, without a request body",
                )
            } else {
                HandshakeError::WrongServer
            });
        };
        if request.version() != Version::HTTP_11 {
            return Err(HandshakeError::Bad("the request must be HTTP/1.1"));
        }
        if request.method() != Method::GET {
            return Err(HandshakeError::Bad("the method must be GET"));
        }
        if !has_token(headers, CONNECTION, "upgrade") {
            return Err(HandshakeError::Bad(
                "the Connection header must contain \"Upgrade\"",
            ));
        }
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Err(HandshakeError::Version);
        }
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY);
        let key = match (keys.next(), keys.next()) {
            (Some(key), None) => key.as_bytes(),
            (None, _) => {
                return Err(HandshakeError::Bad(
                    "the Sec-WebSocket-Key header is missing",
                ));
            }
            _ => {
                return Err(HandshakeError::Bad(
                    "there are several Sec-WebSocket-Key headers",
                ));
            }
        };
        if STANDARD.decode(key).map_or(true, |nonce| nonce.len() != 16) {
            return Err(HandshakeError::Bad(
                "Sec-WebSocket-Key must be 16 bytes in base64",
            ));
        }
        let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
        Ok(Self {
            link,
            accept: STANDARD.encode(digest),
        })
    }

    /// The connection, for the session's admission.
    pub fn link(&self) -> Link {
        self.link
    }

    /// The 101 response: when it leaves the App, the session takes the connection over.
    pub fn accept(self, ticket: Ticket) -> HttpResponse {
        let mut response = HttpResponse::SwitchingProtocols()
            .upgrade("websocket")
            .insert_header((SEC_WEBSOCKET_ACCEPT, self.accept))
            .insert_header((CHANNEL, ticket.channel().as_str()))
            .finish();
        response
            .extensions_mut()
            .insert(Takeover(Cell::new(Some(ticket))));
        response
    }
}

/// The address of a request's connection; none on a Unix socket.
pub fn peer(request: &HttpRequest) -> Option<SocketAddr> {
    request.peer_addr()
}

/// Whether a comma-separated header names a token, in any case.
fn has_token(headers: &HeaderMap, name: actix_web::http::header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
