//! An error response with the JSON body of all errors.

mod causes;
mod code;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use fanfare_protocol::NameError;
use serde::Serialize;

pub use code::Code;

/// A refused request: `{"error":{"code":"snake_case","message":"..","field":null}}`, with `line` and
/// `column` for JSON that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Box<Fields>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fields {
    code: Code,
    status: StatusCode,
    message: Cow<'static, str>,
    field: Option<String>,
    /// Line and column in the body, from 1.
    position: Option<(usize, usize)>,
    /// Seconds.
    retry_after: Option<u64>,
    /// What a resource answers to, with [`Code::MethodNotAllowed`].
    allow: Option<&'static str>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl Refusal {
    /// A refusal with the status of its code.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Fields {
            code,
            status: code.status(),
            message: message.into(),
            field: None,
            position: None,
            retry_after: code.retry_after(),
            allow: None,
        }))
    }

    /// A name that is not legal, and where it stood.
    pub fn name(code: Code, field: &str, error: &NameError) -> Self {
        Self::new(code, error.to_string()).at(field)
    }

    /// A method that the path does not answer to; `allow` has those that it does.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("this path answers to {allow} only");
        Self::new(Code::MethodNotAllowed, message).allowing(allow)
    }

    /// Somebody asks more often than is allowed, and may ask again after `wait`.
    pub fn too_often(message: &'static str, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(Code::RateLimited, message).retry_after(seconds)
    }

    /// Adds an `Allow` header.
    #[must_use]
    pub fn allowing(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// A fault of the server, which is in its log.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "the server failed; its log says more")
    }

    /// Sets another status than that of the code.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The same refusal of a part: its field is below `parent`.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        self.0.field = Some(match self.0.field {
            Some(field) => format!("{parent}.{field}"),
            None => parent.to_owned(),
        });
        self
    }

    /// Adds a line and a column of the body.
    #[must_use]
    pub fn at_position(mut self, line: usize, column: usize) -> Self {
        // serde_json counts the columns of an unfinished line from 0.
        self.0.position = Some((line, column.max(1)));
        self
    }

    /// Adds a `Retry-After` of so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The object under `error`.
    pub fn body(&self) -> impl Serialize + '_ {
        let position = self.0.position;
        Body {
            code: self.0.code.text(),
            message: &self.0.message,
            field: self.0.field.as_deref(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        self.0.code.decorate(&mut response);
        if self.0.status == StatusCode::UNAUTHORIZED && self.0.code.names_scheme() {
            // A 401 names a scheme (RFC 9110 §15.5.2).
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(allow) = self.0.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if let Some(seconds) = self.0.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        response.json(Error { error: self.body() })
    }
}

#[derive(Serialize)]
struct Error<B> {
    error: B,
}

#[cfg(test)]
mod tests {
    use fanfare_layer::PublishError;
    use fanfare_protocol::SerializeError;
    use serde_json::json;

    use super::*;

    fn body(refusal: &Refusal) -> serde_json::Value {
        serde_json::to_value(refusal.body()).unwrap()
    }

    #[test]
    fn an_error_has_code_message_and_field_and_a_position_only_for_bad_json() {
        let plain = Refusal::new(Code::NotFound, "no");
        let expected = json!({ "code": "not_found", "message": "no", "field": null });
        assert_eq!(body(&plain), expected);
        let placed = Refusal::new(Code::InvalidJson, "no")
            .at("type")
            .below("events.3.event");
        let expected = json!({
            "code": "invalid_json", "message": "no", "field": "events.3.event.type",
            "line": 2, "column": 7,
        });
        assert_eq!(body(&placed.at_position(2, 7)), expected);
        let empty = Refusal::new(Code::InvalidJson, "no").at_position(1, 0);
        assert_eq!(body(&empty)["column"], 1);
    }

    #[test]
    fn what_the_serializer_cannot_write_is_the_events_fault_and_named() {
        let field = "message".to_owned();
        let error = Refusal::from(PublishError::from(SerializeError::Bytes { field }));
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let body = body(&error);
        assert_eq!(
            (&body["code"], &body["field"]),
            (&json!("invalid_event"), &json!("message"))
        );
        let error = Refusal::from(PublishError::from(SerializeError::Random));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn errors_carry_the_headers_that_go_with_their_status() {
        let header = |error: Refusal, name: header::HeaderName| {
            let response = error.error_response();
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let new = |code| Refusal::new(code, "");
        let got = header(new(Code::Unauthorized), header::WWW_AUTHENTICATE);
        assert_eq!(got.as_deref(), Some("Bearer"));
        let got = header(new(Code::UpgradeRequired), header::UPGRADE);
        assert_eq!(got.as_deref(), Some("websocket"));
        let got = header(Refusal::method_not_allowed("GET"), header::ALLOW);
        assert_eq!(got.as_deref(), Some("GET"));
        for error in [
            new(Code::NodeFull),
            new(Code::AuthUnavailable),
            new(Code::ChannelFull),
            new(Code::Draining),
            PublishError::Down(String::new()).into(),
            PublishError::Unanswered(String::new()).into(),
            PublishError::Closed.into(),
            PublishError::NoRoom.into(),
        ] {
            assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(header(error, header::RETRY_AFTER).is_some());
        }
    }
}
