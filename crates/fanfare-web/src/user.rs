//! The user of a request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use fanfare_protocol::{GroupName, NameError};

use crate::refusal::{Code, Refusal};

/// A user that [`Authenticate`](crate::middleware::Authenticate) has found. Its sessions are in the group
/// `fanfare.user.<id>`, so an event to that group reaches the user.
///
/// In a handler it is an extractor: `User` answers 401 if there is no user, and `Option<User>` is
/// then `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    id: Box<str>,
    group: GroupName,
}

impl User {
    /// A user with the id that the application uses.
    ///
    /// # Errors
    /// [`NameError::User`] when the id is empty, or too long for `fanfare.user.<id>`, which has at
    /// most 99 characters: the id has 86, where each byte outside of `[A-Za-z0-9_-]` counts as three.
    pub fn new(id: impl Into<String>) -> Result<Self, NameError> {
        let id = id.into();
        let group = GroupName::user(&id)?;
        Ok(Self {
            id: id.into(),
            group,
        })
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The group of the user's sessions.
    pub fn group(&self) -> &GroupName {
        &self.group
    }

    /// The user that was put into a request's extensions.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// What a request without a user is refused with.
    pub(crate) fn required() -> Refusal {
        let message = "this needs a user: authenticate first";
        Refusal::new(Code::Unauthorized, message)
    }
}

impl FromRequest for User {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| Self::required().into()))
    }
}
