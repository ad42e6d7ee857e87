//! The answers to a handshake.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use bytes::Bytes;
use fanfare_node::AdmitError;
use fanfare_protocol::NameError;

use crate::error_chain::error_chain;
use crate::refusal::{Code, Refusal};
use crate::tokens::subprotocols;

/// Accepts a handshake: the connection becomes a session.
///
/// ```
/// use fanfare_consumer::Accept;
///
/// let accept = Accept::new().subprotocol("v2.chat").header("x-region", "eu");
/// ```
#[derive(Debug, Default)]
#[must_use = "a handshake is accepted by answering this"]
pub struct Accept {
    pub(crate) subprotocol: Option<Cow<'static, str>>,
    pub(crate) headers: Headers,
}

/// Refuses a handshake: the client gets this response.
///
/// ```
/// use actix_web::http::StatusCode;
/// use fanfare_consumer::Reject;
///
/// let reject = Reject::new(StatusCode::FORBIDDEN, "this room is closed").header("x-room", "7");
/// # assert_eq!(reject.into_response().status(), StatusCode::FORBIDDEN);
/// ```
///
/// Errors of this crate and of actix-web become a `Reject` with `?`. Convert other errors with
/// [`Reject::internal`].
#[derive(Debug)]
#[must_use = "a handshake is rejected by answering this"]
pub struct Reject(Box<Rejection>);

#[derive(Debug)]
struct Rejection {
    answer: Answer,
    headers: Headers,
    /// What to log.
    cause: Option<String>,
}

#[derive(Debug)]
enum Answer {
    /// An error with the JSON body of all errors.
    Error(Refusal),
    Body(StatusCode, HeaderValue, Bytes),
    /// A response of actix-web or of an extractor.
    Response(HttpResponse),
}

/// Headers as they were given; those that cannot be sent are found when they are.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    pub(crate) legal: Vec<(HeaderName, HeaderValue)>,
    /// How many were none.
    pub(crate) illegal: usize,
}

impl Accept {
    /// Accepts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol that the client [offers](crate::Request::subprotocols). For any other
    /// one the handshake gets 500, and that is logged, because the client would fail the
    /// connection.
    pub fn subprotocol(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header to the response. If the name or value is not valid in a header, the handshake
    /// gets 500, and that is logged. A header that belongs to the handshake itself is left out.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.push(name, value);
        self
    }

    /// Checks this answer against its request.
    ///
    /// # Errors
    /// 500 for a subprotocol that the client did not offer, and for a header that is not valid.
    pub fn check(&self, request: &HttpRequest) -> Result<(), Reject> {
        if let Some(chosen) = &self.subprotocol
            && !subprotocols(request.headers()).any(|offered| offered == chosen)
        {
            let error = format!("the chosen subprotocol was not offered: {chosen:?}");
            return Err(Reject::internal(error));
        }
        if self.headers.illegal > 0 {
            return Err(Reject::internal("a header of the answer cannot be sent"));
        }
        Ok(())
    }
}

impl Reject {
    /// Refuses with a status and a reason. The body is
    /// `{"error":{"code":"rejected","message":reason,"field":null}}`. A status of 1xx becomes 500,
    /// and that is logged.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::refusal(Refusal::new(Code::Rejected, reason).with_status(status))
    }

    /// Refuses with 500 because of an error. The error is logged and not shown to the client.
    ///
    /// ```
    /// use fanfare_consumer::Reject;
    ///
    /// fn limit() -> Result<u32, Reject> {
    ///     "ten".parse().map_err(Reject::internal)
    /// }
    /// # assert_eq!(limit().unwrap_err().status(), 500);
    /// ```
    pub fn internal(error: impl Into<Box<dyn Error>>) -> Self {
        let mut reject = Self::refusal(Refusal::internal());
        reject.0.cause = Some(error_chain(&*error.into()));
        reject
    }

    /// Refuses with 503 because of an error that the client did not cause. The error is logged and
    /// not shown to the client.
    pub fn unavailable(error: &dyn Error) -> Self {
        let message = "the server cannot do this now";
        let refusal = Refusal::new(Code::Unavailable, message);
        let mut reject = Self::refusal(refusal);
        reject.0.cause = Some(error_chain(error));
        reject
    }

    /// Sets another body. A content type that is not valid in a header becomes
    /// `application/octet-stream`.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_str(content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        self.0.answer = Answer::Body(self.status(), content_type, body.into());
        self
    }

    /// Adds a header to the response. A header that is not valid is left out, and that is logged.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.0.headers.push(name, value);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        match &self.0.answer {
            Answer::Error(refusal) => refusal.status_code(),
            Answer::Body(status, ..) => *status,
            Answer::Response(response) => response.status(),
        }
    }

    /// The response.
    pub fn into_response(self) -> HttpResponse {
        let mut response = match self.0.answer {
            Answer::Error(refusal) => refusal.error_response(),
            Answer::Body(status, content_type, body) => HttpResponse::build(status)
                .insert_header((CONTENT_TYPE, content_type))
                .body(body),
            Answer::Response(response) => response,
        };
        if response.status().is_informational() {
            // A client would take a 101 for an acceptance, and wait for more after the others.
            let status = response.status().as_u16();
            tracing::error!(status, "a rejection has a status that is no answer");
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        if self.0.headers.illegal > 0 {
            tracing::error!("a header that cannot be sent was left out of a rejection");
        }
        for (name, value) in self.0.headers.legal {
            response.headers_mut().append(name, value);
        }
        response
    }

    /// The text for the log, if the server is at fault.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Refuses with a [`Refusal`].
    pub fn refusal(refusal: Refusal) -> Self {
        Self::of(Answer::Error(refusal))
    }

    fn of(answer: Answer) -> Self {
        Self(Box::new(Rejection {
            answer,
            headers: Headers::default(),
            cause: None,
        }))
    }
}

impl Headers {
    fn push<N, V>(&mut self, name: N, value: V)
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => self.legal.push((name, value)),
            _ => self.illegal += 1,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.cause, &self.0.answer) {
            (Some(cause), _) => out.write_str(cause),
            (None, Answer::Error(refusal)) => refusal.fmt(out),
            (None, _) => self.status().fmt(out),
        }
    }
}

/// As actix-web would have answered.
impl From<actix_web::Error> for Reject {
    fn from(error: actix_web::Error) -> Self {
        let response = error.error_response();
        let cause = response
            .status()
            .is_server_error()
            .then(|| error.to_string());
        let mut reject = Self::of(Answer::Response(response));
        reject.0.cause = cause;
        reject
    }
}

/// 400 with the code `invalid_name`.
impl From<NameError> for Reject {
    fn from(error: NameError) -> Self {
        let refusal = Refusal::new(Code::InvalidName, error.to_string());
        Self::refusal(refusal)
    }
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        Self::refusal(refusal)
    }
}

/// 503, but 400 for too many groups.
impl From<AdmitError> for Reject {
    fn from(error: AdmitError) -> Self {
        Self::refusal(error.into())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::error::ErrorForbidden;
    use actix_web::http::header::RETRY_AFTER;

    use super::*;

    async fn body(reject: Reject) -> String {
        let body = to_bytes(reject.into_response().into_body()).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_rejection_says_why_in_the_body_of_all_errors() {
        let reject = Reject::new(StatusCode::FORBIDDEN, "not you").header("x-a", "b");
        assert_eq!(reject.status(), 403);
        let response = reject.into_response();
        assert_eq!(response.headers().get("x-a").unwrap(), "b");
        let body = to_bytes(response.into_body()).await.unwrap();
        let expected = r#"{"error":{"code":"rejected","message":"not you","field":null}}"#;
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn a_rejection_may_have_a_body_of_its_own() {
        let reject = Reject::new(StatusCode::GONE, "closed").body("text/plain", "gone\n");
        let response = reject.into_response();
        assert_eq!(response.status(), 410);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/plain");
        assert_eq!(to_bytes(response.into_body()).await.unwrap(), "gone\n");
    }

    #[tokio::test]
    async fn what_failed_inside_is_logged_and_not_shown() {
        let reject = Reject::internal("the password is 1234");
        assert_eq!(reject.cause(), Some("the password is 1234"));
        assert_eq!(reject.status(), 500);
        assert!(!body(reject).await.contains("1234"));
    }

    #[tokio::test]
    async fn errors_of_actix_web_answer_as_they_would_there() {
        let reject = Reject::from(ErrorForbidden("no"));
        assert_eq!(reject.status(), 403);
        assert_eq!(reject.cause(), None);
        assert_eq!(body(reject).await, "no");
    }

    #[test]
    fn a_rejection_cannot_look_like_an_acceptance() {
        let reject = Reject::new(StatusCode::SWITCHING_PROTOCOLS, "no");
        assert_eq!(reject.into_response().status(), 500);
    }

    #[test]
    fn a_full_node_asks_the_client_to_come_back() {
        let response = Reject::from(AdmitError::NodeFull { limit: 1 }).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "5");
    }
}
