//! Access lines, and whom they name.
//!
//! The text is that of the Channels development server, so that tools which read it go on working.
//! The node itself writes CONNECT and DISCONNECT of sessions; everything before and beside them is
//! written here.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use fanfare_web::handshake::asks_for_websocket;
use fanfare_web::{Client, TrustedProxies};

use super::Shared;
use super::audit::Asked;
use crate::logging::ACCESS_TARGET;
use crate::shown::Cut;

/// Path and client of a WebSocket, as they stand in its lines: `/ws/ [127.0.0.1:10754]`.
pub(crate) fn session_line(request: &HttpRequest, proxies: &TrustedProxies) -> String {
    line(request.path(), &proxies.client(request))
}

/// Writes the line of a request and counts it.
pub(crate) async fn log(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(shared) = request.app_data::<web::Data<Shared>>().cloned() else {
        return next.call(request).await;
    };
    let client = shared
        .settings
        .http
        .trusted_proxies
        .client(request.request());
    let entry = if asks_for_websocket(request.headers()) {
        Entry::WebSocket(Handshaking::start(&shared, line(request.path(), &client)))
    } else {
        let what = format!("{} {}", Cut(request.method()), Cut(request.path()));
        Entry::Http {
            what,
            client,
            started: Instant::now(),
            quiet: is_polled(request.path()),
        }
    };
    let asked = Asked::of(&request, client);
    let outcome = next.call(request).await;
    if let Some(asked) = asked {
        asked.answered(&outcome);
    }
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    shared.metrics.answered(status);
    match entry {
        Entry::WebSocket(handshaking) => handshaking.answered(status),
        Entry::Http { .. } if !shared.access => {}
        Entry::Http {
            what,
            client,
            started,
            quiet,
        } => {
            let seconds = started.elapsed().as_secs_f64();
            let status = status.as_u16();
            if quiet {
                tracing::debug!(target: ACCESS_TARGET, "HTTP {what} {status} [{seconds:.2}, {client}]");
            } else {
                tracing::info!(target: ACCESS_TARGET, "HTTP {what} {status} [{seconds:.2}, {client}]");
            }
        }
    }
    outcome
}

enum Entry {
    WebSocket(Handshaking),
    Http {
        what: String,
        client: Client,
        started: Instant,
        quiet: bool,
    },
}

/// A handshake that is not answered yet. One that ends without a 101, also because the client
/// left, is a DISCONNECT; behind a 101 that line is the session's.
struct Handshaking {
    line: Option<String>,
}

impl Handshaking {
    fn start(shared: &Shared, line: String) -> Self {
        if !shared.access {
            return Self { line: None };
        }
        tracing::info!(target: ACCESS_TARGET, "WebSocket HANDSHAKING {line}");
        Self { line: Some(line) }
    }

    fn answered(mut self, status: StatusCode) {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.line = None;
        } else if let Some(line) = &self.line {
            tracing::info!(target: ACCESS_TARGET, "WebSocket REJECT {line}");
        }
    }
}

impl Drop for Handshaking {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            tracing::info!(target: ACCESS_TARGET, "WebSocket DISCONNECT {line}");
        }
    }
}

/// What balancers and scrapers ask all the time.
fn is_polled(path: &str) -> bool {
    path.starts_with("/health/") || path == "/metrics"
}

fn line(path: &str, client: &Client) -> String {
    format!("{} [{client}]", Cut(path))
}
