//! The error of a handler.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use fanfare_node::JoinError;
use fanfare_protocol::CloseCode;
use fanfare_web::error_chain;
use serde::Serialize;

use crate::cluster::GroupError;
use crate::session::Unsent;

/// The result of a handler.
pub type Outcome = Result<(), Failure>;

/// Why a handler failed.
///
/// Any error becomes a failure with `?`. [`Consumer::failed`](crate::Consumer::failed) decides what
/// follows. By default the session is closed with 1011, and the error is logged once, with the
/// route. [`Failure::close`] closes with another code and reason. [`Failure::reply`] answers the
/// client, and the session continues. These two are not logged. [`Unsent::Closed`] is not a
/// failure: the handler just ends.
///
/// ```
/// use fanfare_consumer::{CloseCode, Failure, Outcome};
///
/// fn buy(text: &str) -> Outcome {
///     let count: u32 = text.parse()?;
///     if count > 10 {
///         return Err(Failure::close(CloseCode(4001), "at most 10"));
///     }
///     Ok(())
/// }
/// # assert!(buy("5").is_ok());
/// # assert_eq!(buy("11").unwrap_err().to_string(), "closed with 4001: at most 10");
/// # assert_eq!(buy("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[derive(Debug)]
pub struct Failure(
    /// In a box, so that an [`Outcome`], which nearly always is `Ok`, is one word.
    Box<Cause>,
);

#[derive(Debug)]
pub(crate) enum Cause {
    Error(Box<dyn Error>),
    Close(CloseCode, Cow<'static, str>),
    /// The client gets this text, and the session goes on.
    Reply {
        text: String,
        /// What was wrong, where the library answers a client's mistake.
        error: Option<Box<dyn Error>>,
    },
    /// The session is over; who answers so knows it already.
    Over,
}

impl Failure {
    /// Closes the session with this code and reason; see [`Session::close`](crate::Session::close).
    pub fn close(code: impl Into<CloseCode>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Cause::Close(code.into(), reason.into())))
    }

    /// Sends the client a value as JSON text, and the session continues. Use it for mistakes of the
    /// client.
    ///
    /// ```
    /// # use fanfare_consumer::{Failure, Outcome};
    /// fn bid(amount: u32, least: u32) -> Outcome {
    ///     if amount < least {
    ///         return Err(Failure::reply(&serde_json::json!({ "error": "too low", "least": least })));
    ///     }
    ///     Ok(())
    /// }
    /// # assert!(bid(1, 2).is_err());
    /// ```
    pub fn reply<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::answer(value, None)
    }

    pub(crate) fn answer<T: Serialize + ?Sized>(value: &T, error: Option<Box<dyn Error>>) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => Self(Box::new(Cause::Reply { text, error })),
            Err(error) => error.into(),
        }
    }

    /// The error of type `E` from which the failure was made.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error_ref()?.downcast_ref()
    }

    /// The error that a consumer may judge; none when the failure is a decision already.
    pub(crate) fn error_ref(&self) -> Option<&(dyn Error + 'static)> {
        match self.cause() {
            Cause::Error(error) => Some(&**error),
            Cause::Reply { error, .. } => error.as_deref(),
            Cause::Close(..) | Cause::Over => None,
        }
    }

    /// The text that the client is to get, if that is all.
    pub(crate) fn into_reply(self) -> Result<String, Self> {
        match *self.0 {
            Cause::Reply { text, .. } => Ok(text),
            cause => Err(Self(Box::new(cause))),
        }
    }

    /// Closes the session with 1011 and logs a text, or an error in a box.
    pub fn error(error: impl Into<Box<dyn Error>>) -> Self {
        Self(Box::new(Cause::Error(error.into())))
    }

    pub(crate) fn cause(&self) -> &Cause {
        &self.0
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let cause = if is_over(&error) {
            Cause::Over
        } else {
            Cause::Error(Box::new(error))
        };
        Self(Box::new(cause))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Cause::Error(error) => out.write_str(&error_chain(&**error)),
            Cause::Close(code, reason) => write!(out, "closed with {}: {reason}", code.0),
            Cause::Reply {
                error: Some(error), ..
            } => write!(out, "{error}"),
            Cause::Reply { text, .. } => write!(out, "answered with {text}"),
            Cause::Over => out.write_str("the session is over"),
        }
    }
}

fn is_over(error: &dyn Any) -> bool {
    let unsent = error.downcast_ref::<Unsent>();
    let group = error.downcast_ref::<GroupError>();
    matches!(unsent, Some(Unsent::Closed))
        || matches!(group, Some(GroupError::Join(JoinError::Ended)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_session_is_over_is_no_error() {
        for failure in [
            Failure::from(Unsent::Closed),
            Failure::from(GroupError::Join(JoinError::Ended)),
        ] {
            assert!(matches!(failure.cause(), Cause::Over), "{failure:?}");
        }
        let other = Failure::from(GroupError::Join(JoinError::Layer));
        assert!(matches!(other.cause(), Cause::Error(_)), "{other:?}");
    }

    #[test]
    fn an_error_is_told_with_what_is_behind_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("the price is unknown")]
        struct Outer(#[source] std::num::ParseIntError);
        let inner = "x".parse::<u32>().unwrap_err();
        let failure = Failure::from(Outer(inner));
        assert_eq!(
            failure.to_string(),
            "the price is unknown: invalid digit found in string"
        );
    }
}
