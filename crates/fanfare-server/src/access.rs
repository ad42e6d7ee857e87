//! Access lines, and whom they name.
//!
//! The text is that of the Channels development server, so that tools which read it go on working.
//! The node itself writes CONNECT and DISCONNECT of sessions; everything before and beside them is
//! written here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use ipnet::IpNet;

use crate::http::Shared;
use crate::logging::ACCESS_TARGET;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// The connection's peer.
    Peer(SocketAddr),
    /// Whom a trusted proxy named.
    Forwarded(IpAddr),
    /// A process of this machine.
    Unix,
}

/// Path and client of a WebSocket, as they stand in its lines: `/ws/ [127.0.0.1:10754]`.
pub(crate) fn session_line(request: &HttpRequest, shared: &Shared) -> String {
    line(request.path(), &client_of(request, shared))
}

/// Whether a request wants to become a WebSocket, rightly or not.
pub(crate) fn asks_for_websocket(head: &RequestHead) -> bool {
    let upgrades = head
        .headers()
        .get_all(header::UPGRADE)
        .filter_map(|value| value.to_str().ok());
    upgrades
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("websocket"))
}

/// Writes the line of a request and counts it.
pub(crate) async fn log(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(shared) = request.app_data::<web::Data<Shared>>().cloned() else {
        return next.call(request).await;
    };
    let client = client_of(request.request(), &shared);
    let entry = if asks_for_websocket(request.head()) {
        Entry::WebSocket(Handshaking::start(&shared, line(request.path(), &client)))
    } else {
        let what = format!("{} {}", request.method(), request.path());
        Entry::Http {
            what,
            client,
            started: Instant::now(),
            quiet: is_polled(request.path()),
        }
    };
    let outcome = next.call(request).await;
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

impl fmt::Display for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => address.fmt(out),
            Self::Forwarded(address) => address.fmt(out),
            Self::Unix => out.write_str("unix"),
        }
    }
}

/// What balancers and scrapers ask all the time.
fn is_polled(path: &str) -> bool {
    path.starts_with("/health/") || path == "/metrics"
}

fn line(path: &str, client: &Client) -> String {
    format!("{path} [{client}]")
}

fn client_of(request: &HttpRequest, shared: &Shared) -> Client {
    client(
        fanfare_gateway::peer(request),
        request.headers(),
        shared.trusted_proxies(),
    )
}

/// The peer, or, when that is a trusted proxy, the rightmost address of `X-Forwarded-For` that is
/// none: what stands left of it was written by strangers.
fn client(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let Some(peer) = peer else {
        return Client::Unix;
    };
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    if !is_trusted(peer.ip().to_canonical()) {
        return Client::Peer(peer);
    }
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
    let mut client = Client::Peer(peer);
    for value in values.into_iter().rev() {
        let Ok(hops) = value.to_str() else {
            return client;
        };
        for hop in hops.rsplit(',') {
            let Some(address) = hop_address(hop.trim()) else {
                return client;
            };
            client = Client::Forwarded(address);
            if !is_trusted(address) {
                return client;
            }
        }
    }
    client
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    let address: Option<IpAddr> = bare.parse().ok();
    let address = address.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn named(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client(Some(peer.parse().unwrap()), &headers, &trusted).to_string()
    }

    #[test]
    fn strangers_cannot_name_another_client() {
        assert_eq!(named("192.0.2.1:7", &["203.0.113.9"], &[]), "192.0.2.1:7");
        assert_eq!(
            named("192.0.2.1:7", &["203.0.113.9"], &["10.0.0.0/8"]),
            "192.0.2.1:7"
        );
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_stranger_is_the_client() {
        let trusted = ["10.0.0.0/8", "::1/128"];
        for (forwarded, client) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["198.51.100.1", "203.0.113.9,10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["unknown"], "10.0.0.1:7"),
            (&[], "10.0.0.1:7"),
        ] {
            assert_eq!(
                named("10.0.0.1:7", forwarded, &trusted),
                client,
                "{forwarded:?}"
            );
        }
        assert_eq!(
            named("[::ffff:10.0.0.1]:7", &["203.0.113.9"], &trusted),
            "203.0.113.9"
        );
    }
}
