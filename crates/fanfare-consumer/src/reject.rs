//! Converts the errors of this crate into responses.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use fanfare_web::Reject;

use crate::cluster::{GroupError, SendError};
use crate::session::Unsent;

/// 400 for a name, 503 for what did not work.
impl From<GroupError> for Reject {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Name(error) => error.into(),
            other => Self::unavailable(&other),
        }
    }
}

/// 400 for a name, 503 when the layer did not take the event, and 500 for an event that is none.
impl From<SendError> for Reject {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Name(error) => error.into(),
            SendError::Layer(_) => Self::unavailable(&error),
            other => Self::internal(other),
        }
    }
}

/// 500.
impl From<Unsent> for Reject {
    fn from(error: Unsent) -> Self {
        Self::internal(error)
    }
}

/// So that a handler may publish with `?`: the response is that of a rejected handshake. The error
/// is logged if it is the server's own fault.
impl ResponseError for SendError {
    fn status_code(&self) -> StatusCode {
        Reject::from(self.clone()).status()
    }

    fn error_response(&self) -> HttpResponse {
        let reject = Reject::from(self.clone());
        if let Some(error) = reject.cause() {
            let status = reject.status().as_u16();
            tracing::error!(status, error, "a handler could not publish");
        }
        reject.into_response()
    }
}
