//! The WebSocket handshake (RFC 6455 §4.2), and how a listener and a route work together in it.
//!
//! A listener (the gateway or the test kit) puts an [`Offer`] into the extensions of each request
//! whose connection can be taken over, and its [`Host`] into the data of every connection. A route
//! calls [`Handshake::check`], admits a session on [`Handshake::link`], and returns the response of
//! [`Handshake::accept`]. The listener takes the ticket out of the response with
//! [`Takeover::remove`], and opens the session on the socket.

use actix_http::Extensions;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use actix_web::http::{Method, Version};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_node::{Link, Ticket};
use sha1::{Digest as _, Sha1};

use crate::answer::Accept;
use crate::host::{Host, Offer};
use crate::refusal::{Code, Refusal};
use crate::tokens::has_token;

/// Appended to the client's key before it is hashed (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The response header with the session's channel name.
const CHANNEL: HeaderName = HeaderName::from_static("x-fanfare-channel");

/// Holds, in the extensions of a 101 response, the ticket of the session that takes the connection
/// over.
pub struct Takeover {
    ticket: Ticket,
}

/// A checked WebSocket handshake.
#[derive(Debug)]
pub struct Handshake {
    link: Link,
    accept: String,
}

/// Why a request is not a handshake.
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

/// Whether a request asks to become a WebSocket, even if its handshake is not valid.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

impl Takeover {
    /// Takes the ticket out of the extensions of a response. The ticket is valid only while the
    /// response has the status 101. If the ticket is dropped, its session is dropped.
    pub fn remove(extensions: &mut Extensions) -> Option<Ticket> {
        extensions.remove::<Self>().map(|takeover| takeover.ticket)
    }
}

impl Handshake {
    /// Checks a request.
    ///
    /// # Errors
    /// [`HandshakeError`]; each is an HTTP status, named there.
    pub fn check(request: &HttpRequest) -> Result<Self, HandshakeError> {
        let headers = request.headers();
        if !asks_for_websocket(headers) {
            return Err(HandshakeError::UpgradeRequired);
        }
        let link = link(request)?;
        if request.version() != Version::HTTP_11 {
            return Err(HandshakeError::Bad("the request must be HTTP/1.1"));
        }
        if request.method() != Method::GET {
            return Err(HandshakeError::Bad("the method must be GET"));
        }
        if !has_token(headers, &CONNECTION, "upgrade") {
            return Err(HandshakeError::Bad(
                "the Connection header must contain \"Upgrade\"",
            ));
        }
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != "13") {
            return Err(HandshakeError::Version);
        }
        let key = key(headers)?;
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
        self.answer(ticket, Accept::new())
    }

    /// The 101 response with the subprotocol and the headers of an [`Accept`] that was
    /// [checked](Accept::check). A header for which [`is_reserved`] holds is left out, and that is
    /// logged.
    pub fn answer(self, ticket: Ticket, accept: Accept) -> HttpResponse {
        let mut response = HttpResponse::SwitchingProtocols();
        response
            .upgrade("websocket")
            .insert_header((SEC_WEBSOCKET_ACCEPT, self.accept))
            .insert_header((CHANNEL, ticket.channel().as_str()));
        if let Some(chosen) = &accept.subprotocol {
            response.insert_header((SEC_WEBSOCKET_PROTOCOL, &**chosen));
        }
        for header in accept.headers.legal {
            if is_reserved(&header.0) {
                tracing::error!(name = %header.0, "a header of the handshake's own was left out");
            } else {
                response.append_header(header);
            }
        }
        let mut response = response.finish();
        response.extensions_mut().insert(Takeover { ticket });
        response
    }
}

/// Whether a header belongs to the handshake, or would describe a body that a 101 does not have.
pub fn is_reserved(name: &HeaderName) -> bool {
    [
        CHANNEL,
        CONNECTION,
        CONTENT_LENGTH,
        SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
}

fn link(request: &HttpRequest) -> Result<Link, HandshakeError> {
    if let Some(offer) = request.extensions().get::<Offer>() {
        return Ok(offer.link);
    }
    Err(if request.conn_data::<Host>().is_some() {
        HandshakeError::Bad(
            "the Upgrade header must be \"websocket\" alone, without a request body",
        )
    } else {
        tracing::error!("{}", HandshakeError::WrongServer);
        HandshakeError::WrongServer
    })
}

fn key(headers: &HeaderMap) -> Result<&[u8], HandshakeError> {
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
    Ok(key)
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        let code = match error {
            HandshakeError::UpgradeRequired => Code::UpgradeRequired,
            HandshakeError::Version => Code::UnsupportedVersion,
            HandshakeError::Bad(_) => Code::BadHandshake,
            HandshakeError::WrongServer => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl ResponseError for HandshakeError {
    fn status_code(&self) -> StatusCode {
        Refusal::from(*self).status()
    }

    fn error_response(&self) -> HttpResponse {
        Refusal::from(*self).error_response()
    }
}
