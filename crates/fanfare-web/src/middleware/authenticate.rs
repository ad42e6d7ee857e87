//! Finds the user of a request.

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage as _, HttpRequest};

use super::gate::{Gate, Gated};
use crate::user::User;

/// Puts the [`User`] of a request into its extensions. It replaces a user of an outer middleware.
///
/// The *resolver* is an async function that finds the user, by a cookie, a token in the query or a
/// header. It returns `None` for a request without a user, which goes on unless a user is
/// [required](Self::required). A clone of the request must not outlive the call.
///
/// ```
/// use actix_web::{App, HttpRequest, error};
/// use fanfare_consumer::User;
/// use fanfare_consumer::middleware::Authenticate;
///
/// let sessions = async |request: &HttpRequest| {
///     let Some(cookie) = request.cookie("session") else {
///         return Ok(None);
///     };
///     // Look it up; here the cookie is the user.
///     User::new(cookie.value()).map(Some).map_err(error::ErrorBadRequest)
/// };
/// let app = App::new().wrap(Authenticate::new(sessions).required());
/// # let _ = app;
/// ```
///
/// If the resolver returns an error, such as 401 for a token that has expired, the client gets the
/// response of that error, including its body. A status of 500 and above is logged:
///
/// ```
/// use actix_web::error::{ErrorBadRequest, InternalError};
/// use actix_web::{App, Error, HttpRequest, HttpResponse};
/// use fanfare_consumer::User;
/// use fanfare_consumer::middleware::Authenticate;
/// use serde_json::json;
///
/// fn banned() -> Error {
///     let body = json!({
///         "error": { "code": "banned", "message": "this account is banned", "field": null }
///     });
///     InternalError::from_response("banned", HttpResponse::Forbidden().json(body)).into()
/// }
///
/// let by_cookie = async |request: &HttpRequest| match request.cookie("session") {
///     Some(cookie) if cookie.value() == "mallory" => Err(banned()),
///     Some(cookie) => User::new(cookie.value()).map(Some).map_err(ErrorBadRequest),
///     None => Ok(None),
/// };
/// # actix_web::rt::System::new().block_on(async {
/// # use actix_web::http::{StatusCode, header};
/// # use actix_web::test::{TestRequest, call_service, init_service, read_body};
/// let app = App::new().wrap(Authenticate::new(by_cookie));
/// # let app = init_service(app).await;
/// # let asking = TestRequest::get().insert_header((header::COOKIE, "session=mallory"));
/// # let answer = call_service(&app, asking.to_request()).await;
/// # assert_eq!(answer.status(), StatusCode::FORBIDDEN);
/// # assert!(read_body(answer).await.starts_with(br#"{"error":{"code":"banned""#));
/// # });
/// ```
pub struct Authenticate<R> {
    resolver: Rc<R>,
    required: bool,
}

impl<R> Authenticate<R>
where
    R: AsyncFn(&HttpRequest) -> Result<Option<User>, Error> + 'static,
{
    /// The middleware with this resolver: `async |request| ..`, or an `async fn`.
    pub fn new(resolver: R) -> Self {
        Self {
            resolver: Rc::new(resolver),
            required: false,
        }
    }

    /// Refuses requests without a user: 401 with code `unauthorized`.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

impl<R> Clone for Authenticate<R> {
    fn clone(&self) -> Self {
        Self {
            resolver: Rc::clone(&self.resolver),
            required: self.required,
        }
    }
}

impl<R> Gate for Authenticate<R>
where
    R: AsyncFn(&HttpRequest) -> Result<Option<User>, Error> + 'static,
{
    async fn pass(&self, request: &ServiceRequest) -> Result<(), Error> {
        let resolved = (self.resolver)(request.request()).await;
        let user = resolved.inspect_err(|error| {
            let status = error.as_response_error().status_code();
            if status.is_server_error() {
                let path = request.path();
                let error = error.to_string();
                tracing::error!(error, path, "the user of a request could not be resolved");
            }
        })?;
        match user {
            Some(user) => {
                request.extensions_mut().insert(user);
                Ok(())
            }
            None if self.required => Err(User::required().into()),
            None => Ok(()),
        }
    }
}

impl<R, S, B> Transform<S, ServiceRequest> for Authenticate<R>
where
    R: AsyncFn(&HttpRequest) -> Result<Option<User>, Error> + 'static,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Gated<S, Self>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Gated::new(service, self.clone())))
    }
}
