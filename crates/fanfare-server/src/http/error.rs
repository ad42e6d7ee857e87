//! Every error that a client of the HTTP side can see.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use fanfare_layer::PublishError;
use fanfare_protocol::{NameError, SerializeError};
use serde_json::json;

/// What went wrong, for programs. The text is part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    AccessDenied,
    AuthUnavailable,
    AuthenticationRequired,
    BadHandshake,
    BadQuery,
    BodyIncomplete,
    BodyTimeout,
    BodyTooLarge,
    ChannelFull,
    Draining,
    Internal,
    InvalidBatch,
    InvalidChannel,
    InvalidEvent,
    InvalidGroup,
    InvalidJson,
    InvalidUser,
    LayerConnecting,
    LayerDown,
    LayerTimeout,
    LayerUnanswered,
    MethodNotAllowed,
    NodeFull,
    NotFound,
    OriginDenied,
    TooManyGroups,
    Unauthorized,
    UnsupportedVersion,
    UpgradeRequired,
}

impl Code {
    /// The table: status and text. A 503 is worth trying again, after `Retry-After`.
    fn row(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadHandshake => (StatusCode::BAD_REQUEST, "bad_handshake"),
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
            Self::OriginDenied => (StatusCode::FORBIDDEN, "origin_denied"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UnsupportedVersion => (StatusCode::UPGRADE_REQUIRED, "unsupported_version"),
            Self::UpgradeRequired => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::AuthUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "auth_unavailable"),
            Self::ChannelFull => (StatusCode::SERVICE_UNAVAILABLE, "channel_full"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            Self::LayerConnecting => (StatusCode::SERVICE_UNAVAILABLE, "layer_connecting"),
            Self::LayerDown => (StatusCode::SERVICE_UNAVAILABLE, "layer_down"),
            Self::LayerTimeout => (StatusCode::SERVICE_UNAVAILABLE, "layer_timeout"),
            Self::LayerUnanswered => (StatusCode::SERVICE_UNAVAILABLE, "layer_unanswered"),
            Self::NodeFull => (StatusCode::SERVICE_UNAVAILABLE, "node_full"),
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        self.row().0
    }

    fn text(self) -> &'static str {
        self.row().1
    }

    fn decorate(self, response: &mut HttpResponseBuilder) {
        match self {
            Self::Unauthorized => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
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
            Self::BodyTimeout => {
                response.force_close();
            }
            Self::Draining => {
                response
                    .insert_header((header::RETRY_AFTER, "1"))
                    .force_close();
            }
            Self::AuthUnavailable
            | Self::ChannelFull
            | Self::LayerConnecting
            | Self::LayerDown
            | Self::LayerTimeout => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            Self::LayerUnanswered | Self::NodeFull => {
                response.insert_header((header::RETRY_AFTER, "5"));
            }
            _ => {}
        }
    }
}

/// An error response: `{"error": {"code", "message", "field"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    code: Code,
    message: String,
    field: Option<String>,
    /// Line and column in the body, from 1.
    position: Option<(usize, usize)>,
    /// What a resource answers to, with [`Code::MethodNotAllowed`].
    allow: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            position: None,
            allow: None,
        }
    }

    /// A name that an application gave, and where it stood.
    pub(crate) fn name(code: Code, field: &str, error: &NameError) -> Self {
        Self::new(code, error.to_string()).at(field)
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("this path answers to {allow} only");
        Self {
            allow: Some(allow),
            ..Self::new(Code::MethodNotAllowed, message)
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::Internal, "the server failed; its log says more")
    }

    #[must_use]
    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same error of a part: its field is below `parent`.
    #[must_use]
    pub(crate) fn below(mut self, parent: &str) -> Self {
        self.field = Some(match self.field {
            Some(field) => format!("{parent}.{field}"),
            None => parent.to_owned(),
        });
        self
    }

    #[must_use]
    pub(crate) fn at_position(mut self, line: usize, column: usize) -> Self {
        // serde_json counts the columns of an unfinished line from 0.
        self.position = Some((line, column.max(1)));
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The object under `error`.
    pub(crate) fn body(&self) -> serde_json::Value {
        let mut body = json!({
            "code": self.code.text(),
            "message": self.message,
            "field": self.field,
        });
        if let (Some((line, column)), Some(fields)) = (self.position, body.as_object_mut()) {
            fields.insert("line".into(), line.into());
            fields.insert("column".into(), column.into());
        }
        body
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.text(), self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        self.code.decorate(&mut response);
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response.json(json!({ "error": self.body() }))
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let code = match &error {
            PublishError::Down(_) => Code::LayerDown,
            PublishError::Unanswered(_) => Code::LayerUnanswered,
            PublishError::Closed => Code::Draining,
            PublishError::ChannelFull { .. } => Code::ChannelFull,
            PublishError::Unserializable(reason) => match reason {
                SerializeError::Bytes { field } | SerializeError::NotFinite { field, .. } => {
                    return Self::new(Code::InvalidEvent, error.to_string()).at(field);
                }
                SerializeError::Random => Code::Internal,
            },
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_code_message_and_field_and_a_position_only_for_bad_json() {
        let plain = ApiError::new(Code::NotFound, "no");
        let expected = json!({ "code": "not_found", "message": "no", "field": null });
        assert_eq!(plain.body(), expected);
        let placed = ApiError::new(Code::InvalidJson, "no")
            .at("type")
            .below("events.3.event");
        let expected = json!({
            "code": "invalid_json", "message": "no", "field": "events.3.event.type",
            "line": 2, "column": 7,
        });
        assert_eq!(placed.at_position(2, 7).body(), expected);
        let empty = ApiError::new(Code::InvalidJson, "no").at_position(1, 0);
        assert_eq!(empty.body()["column"], 1);
    }

    #[test]
    fn what_the_serializer_cannot_write_is_the_events_fault_and_named() {
        let field = "message".to_owned();
        let error = ApiError::from(PublishError::from(SerializeError::Bytes { field }));
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let body = error.body();
        assert_eq!(
            (&body["code"], &body["field"]),
            (&json!("invalid_event"), &json!("message"))
        );
        let error = ApiError::from(PublishError::from(SerializeError::Random));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn errors_carry_the_headers_that_go_with_their_status() {
        let header = |error: ApiError, name: header::HeaderName| {
            let response = error.error_response();
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let new = |code| ApiError::new(code, "");
        let got = header(new(Code::Unauthorized), header::WWW_AUTHENTICATE);
        assert_eq!(got.as_deref(), Some("Bearer"));
        let got = header(new(Code::UpgradeRequired), header::UPGRADE);
        assert_eq!(got.as_deref(), Some("websocket"));
        let got = header(ApiError::method_not_allowed("GET"), header::ALLOW);
        assert_eq!(got.as_deref(), Some("GET"));
        for error in [
            new(Code::NodeFull),
            new(Code::AuthUnavailable),
            new(Code::ChannelFull),
            new(Code::Draining),
            PublishError::Down(String::new()).into(),
            PublishError::Unanswered(String::new()).into(),
            PublishError::Closed.into(),
        ] {
            assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(header(error, header::RETRY_AFTER).is_some());
        }
    }
}
