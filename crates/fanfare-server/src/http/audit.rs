//! The audit log: who was refused, whose key did what, and who published what to whom.
//!
//! Lines about sessions that end are written by the node, those about the drain by `serve`. All of
//! them have one target, and are written when `log.audit` is set. docs/OPERATIONS.md has the table
//! of their fields.

use std::fmt;
use std::rc::Rc;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage as _, HttpRequest};
use fanfare_web::{Address, Client, Refusal};
use tracing::Level;

use super::Shared;
use crate::logging::AUDIT_TARGET;

/// Hexadecimal digits of a key's fingerprint.
const DIGITS: usize = 8;

/// A key of the API, by the start of its SHA-256: it names the key, and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(Rc<str>);

impl Fingerprint {
    fn of(key: &[u8]) -> Self {
        let mut digits = hex::encode(ring::digest::digest(&ring::digest::SHA256, key));
        digits.truncate(DIGITS);
        Self(digits.into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether the lines are written.
fn is_on() -> bool {
    tracing::enabled!(target: AUDIT_TARGET, Level::INFO)
}

/// Remembers whose key a request has shown.
pub(super) fn remember_key(request: &HttpRequest, key: &[u8]) {
    if is_on() {
        request.extensions_mut().insert(Fingerprint::of(key));
    }
}

fn key_of(request: &HttpRequest) -> Option<Fingerprint> {
    request.extensions().get::<Fingerprint>().cloned()
}

/// A request that is not answered yet.
pub(super) struct Asked {
    client: Client,
    method: Method,
    path: String,
}

impl Asked {
    /// `None` where nobody wants to know.
    pub(super) fn of(request: &ServiceRequest, client: Client) -> Option<Self> {
        is_on().then(|| Self {
            client,
            method: request.method().clone(),
            path: request.path().to_owned(),
        })
    }

    /// Writes a line for a key that was used, and one for a refusal.
    pub(super) fn answered<B>(self, outcome: &Result<ServiceResponse<B>, Error>) {
        let Self {
            client,
            method,
            path,
        } = self;
        let (status, refusal, key) = match outcome {
            Ok(response) => {
                let error = response.response().error();
                let key = key_of(response.request());
                (response.status(), error.and_then(code), key)
            }
            Err(error) => (error.as_response_error().status_code(), code(error), None),
        };
        let method = method.as_str();
        let is_refused = status.is_client_error() || status.is_server_error();
        let status = status.as_u16();
        if let Some(key) = key {
            tracing::info!(target: AUDIT_TARGET, %key, %client, method, path, status, "key");
        }
        if is_refused {
            tracing::info!(
                target: AUDIT_TARGET,
                %client, method, path, status, code = refusal,
                "refused"
            );
        }
    }
}

fn code(error: &Error) -> Option<&'static str> {
    let refusal = error.as_error::<Refusal>()?;
    Some(refusal.code().text())
}

/// Who publishes.
pub(super) struct Publisher {
    key: Option<Fingerprint>,
    client: Client,
}

/// An event on its way; `None` where nobody wants to know.
pub(super) struct Publishing {
    to: String,
    event_type: String,
    bytes: usize,
}

impl Publisher {
    pub(super) fn of(request: &HttpRequest, shared: &Shared) -> Self {
        Self {
            key: key_of(request),
            client: shared.settings.http.trusted_proxies.client(request),
        }
    }

    /// Writes the line of an event that was published, or why it was not.
    pub(super) fn tell(&self, event: Option<&Publishing>, outcome: Result<(), &Refusal>) {
        let Some(Publishing {
            to,
            event_type,
            bytes,
        }) = event
        else {
            return;
        };
        let status = outcome.map_or_else(Refusal::status, |()| StatusCode::ACCEPTED);
        tracing::info!(
            target: AUDIT_TARGET,
            key = self.key.as_ref().map(tracing::field::display),
            client = %self.client,
            to,
            event_type,
            bytes,
            status = status.as_u16(),
            code = outcome.err().map(|refusal| refusal.code().text()),
            "publish"
        );
    }
}

impl Publishing {
    pub(super) fn new(to: Address<'_>, event_type: &str, bytes: usize) -> Option<Self> {
        is_on().then(|| Self {
            to: match to {
                Address::Group(name) => format!("group:{name}"),
                Address::Channel(name) => format!("channel:{name}"),
                Address::User(id) => format!("user:{id}"),
                Address::Everyone => "all".to_owned(),
            },
            event_type: event_type.to_owned(),
            bytes,
        })
    }
}

/// A step of the drain.
pub(crate) fn drain(step: &'static str, sessions: usize) {
    tracing::info!(target: AUDIT_TARGET, step, sessions, "drain");
}
