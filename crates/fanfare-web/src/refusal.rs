//! An error response with the JSON body of all errors.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::handshake::HandshakeError;

/// A refused request: `{"error":{"code":"snake_case","message":"..","field":null}}`.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    /// Whole seconds.
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    code: &'a str,
    message: &'a str,
    field: Option<&'a str>,
}

impl Refusal {
    /// A refusal with a status and a code for programs.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Adds a `Retry-After` of so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // A 401 must name a scheme (RFC 9110 §15.5.2).
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(Body {
            error: Fields {
                code: self.code,
                message: &self.message,
                field: None,
            },
        })
    }
}

impl ResponseError for HandshakeError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UpgradeRequired | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::WrongServer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let code = match self {
            Self::UpgradeRequired => "upgrade_required",
            Self::Version => "unsupported_version",
            Self::Bad(_) => "bad_handshake",
            Self::WrongServer => "internal",
        };
        let refusal = Refusal::new(self.status_code(), code, self.to_string());
        let mut response = refusal.error_response();
        let headers = response.headers_mut();
        if self.status_code() == StatusCode::UPGRADE_REQUIRED {
            let websocket = header::HeaderValue::from_static("websocket");
            headers.insert(header::UPGRADE, websocket);
        }
        if *self == Self::Version {
            let spoken = header::HeaderValue::from_static("13");
            headers.insert(header::SEC_WEBSOCKET_VERSION, spoken);
        }
        response
    }
}
