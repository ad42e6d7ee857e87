//! The request of a handshake, for `connect` of a consumer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use crate::answer::Reject;
use crate::refusal::{Code, Refusal};
use crate::tokens::subprotocols;
use crate::user::User;

/// The request of a handshake: actix-web's [`HttpRequest`], with shorter methods for what consumers
/// often need. It exists only in `connect`. Later the session has the parameters of the path and
/// the id of the user.
///
/// ```
/// use actix_web::web;
/// use fanfare_consumer::{Accept, Consumer, Frames, Reject, Request, Session};
///
/// struct Pool; // of database connections, say
///
/// #[derive(serde::Deserialize)]
/// struct Options {
///     language: Option<String>,
/// }
///
/// #[derive(Default)]
/// struct Room {
///     number: u32,
///     language: Option<String>,
/// }
///
/// impl Consumer for Room {
///     type Event = Frames;
///
///     async fn connect(&mut self, _: &mut Session, request: &Request) -> Result<Accept, Reject> {
///         self.number = request.param("number")?;
///         self.language = request.query::<Options>()?.language;
///         let pool: &Pool = request.data()?;
///         let version = request.choose(&["v2", "v1"]).unwrap_or("v1");
/// #       let _ = (pool, version);
///         Ok(Accept::new())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Request {
    http: HttpRequest,
}

impl Request {
    /// The request of a handshake.
    pub fn new(http: HttpRequest) -> Self {
        Self { http }
    }

    /// A parameter of the path, decoded, also one of a scope around the route.
    ///
    /// # Errors
    /// 404 if the text is not a `T`, because there is nothing at such a path. 500 if the path has
    /// no parameter of this name, which is logged.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, Reject> {
        let Some(text) = self.http.match_info().get(name) else {
            let cause = format!("the path has no parameter {name:?}");
            return Err(Reject::internal(cause));
        };
        decoded(text).parse().map_err(|_| {
            let message = format!("there is nothing at this path: {name}");
            Reject::refusal(Refusal::new(Code::NotFound, message))
        })
    }

    /// All parameters of the path, those of scopes too, decoded.
    pub fn params(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let params = self.http.match_info().iter();
        params.map(|(name, value)| (name, decoded(value)))
    }

    /// The query.
    ///
    /// # Errors
    /// 400 if the query cannot be read as a `T`.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Reject> {
        let query = web::Query::from_query(self.http.query_string());
        query.map(web::Query::into_inner).map_err(|error| {
            let refusal = Refusal::new(Code::BadQuery, error.to_string());
            Reject::refusal(refusal)
        })
    }

    /// The first header with this name, if its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.http.headers().get(name)?.to_str().ok()
    }

    /// A cookie.
    pub fn cookie(&self, name: &str) -> Option<Cookie<'static>> {
        self.http.cookie(name)
    }

    /// Runs an extractor of actix-web: `request.extract::<web::Path<(String, u32)>>().await?`. A
    /// handshake has no body.
    ///
    /// # Errors
    /// The response of the extractor's error.
    pub async fn extract<T: FromRequest>(&self) -> Result<T, Reject> {
        let extracted = T::from_request(&self.http, &mut Payload::None).await;
        extracted.map_err(|error| Reject::from(error.into()))
    }

    /// Data of the App, which was added as `web::Data<T>` or as a `T`.
    ///
    /// # Errors
    /// 500 if the App has no data of this type, which is logged.
    pub fn data<T: 'static>(&self) -> Result<&T, Reject> {
        let shared = self.http.app_data::<web::Data<T>>();
        let found = shared.map(|data| data.get_ref());
        found.or_else(|| self.http.app_data::<T>()).ok_or_else(|| {
            let kind = std::any::type_name::<T>();
            Reject::internal(format!("the App has no data of the type {kind}"))
        })
    }

    /// The client's address. Behind a proxy this needs [`TrustedProxies`](crate::TrustedProxies) in
    /// the App. `None` on a Unix socket.
    pub fn client(&self) -> Option<IpAddr> {
        crate::client(&self.http)
    }

    /// The user that a middleware has found.
    pub fn user(&self) -> Option<User> {
        User::of(&self.http)
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        subprotocols(self.http.headers())
    }

    /// The first of `known` that the client offers too, for [`Accept::subprotocol`].
    ///
    /// [`Accept::subprotocol`]: crate::Accept::subprotocol
    pub fn choose(&self, known: &[&'static str]) -> Option<&'static str> {
        let offered = |name: &str| self.subprotocols().any(|other| other == name);
        known.iter().copied().find(|name| offered(name))
    }
}

impl Deref for Request {
    type Target = HttpRequest;

    fn deref(&self) -> &HttpRequest {
        &self.http
    }
}

/// Whether the path of a request is UTF-8 when it is decoded. actix-web replaces bytes that are not,
/// so different paths would name one group.
pub fn has_utf8_path(request: &HttpRequest) -> bool {
    let decoded = percent_encoding::percent_decode_str(request.uri().path());
    decoded.decode_utf8().is_ok()
}

/// A parameter as it was meant: actix-web decodes a path but for `%2F`, `%2B` and `%25`.
fn decoded(parameter: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(parameter).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(test: TestRequest) -> Request {
        Request::new(test.to_http_request())
    }

    #[test]
    fn a_parameter_is_decoded_and_parsed() {
        let test = TestRequest::default().param("n", "7").param("x", "a%2Fb");
        let request = request(test);
        assert_eq!(request.param::<u32>("n").unwrap(), 7);
        assert_eq!(request.param::<String>("x").unwrap(), "a/b");
        assert_eq!(request.param::<u32>("x").unwrap_err().status(), 404);
        assert_eq!(request.param::<u32>("y").unwrap_err().status(), 500);
    }

    #[test]
    fn the_first_known_subprotocol_that_is_offered_is_chosen() {
        let header = ("sec-websocket-protocol", "v1, v2");
        let request = request(TestRequest::default().insert_header(header));
        assert_eq!(request.choose(&["v3", "v2", "v1"]), Some("v2"));
        assert_eq!(request.choose(&["v3"]), None);
    }

    #[test]
    fn data_of_the_app_is_found_in_either_form() {
        struct Missing;
        let test = TestRequest::default()
            .app_data(web::Data::new(7_u8))
            .app_data(9_u16);
        let request = request(test);
        assert_eq!(*request.data::<u8>().unwrap(), 7);
        assert_eq!(*request.data::<u16>().unwrap(), 9);
        assert_eq!(request.data::<Missing>().err().unwrap().status(), 500);
    }
}
