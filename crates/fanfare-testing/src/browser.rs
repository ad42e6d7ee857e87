//! A client that keeps cookies.

use std::cell::RefCell;
use std::collections::BTreeMap;

use actix_web::cookie::time::{Duration, OffsetDateTime};
use actix_web::cookie::{Cookie, Expiration};
use actix_web::http::header::{HeaderMap, SET_COOKIE};
use actix_web::test::TestRequest;

use crate::answer::{Answer, Response};
use crate::app::App;
use crate::connecting::Connecting;

/// A client of an [`Application`](crate::Application) that keeps cookies, as a browser does: after a
/// login over HTTP its handshakes have the session's cookie. Responses to requests and handshakes
/// set and remove cookies. Their paths and domains have no effect.
///
/// ```
/// use actix_web::cookie::Cookie;
/// use actix_web::http::StatusCode;
/// use actix_web::{App, HttpResponse, web};
/// use fanfare_consumer::{Accept, Consumer, Frames, Reject, Request, Session, consumer};
/// use fanfare_testing::{self as testing, Application};
///
/// struct Desk;
///
/// impl Consumer for Desk {
///     type Event = Frames;
///
///     async fn connect(&mut self, _: &mut Session, request: &Request) -> Result<Accept, Reject> {
///         match request.cookie("session") {
///             Some(_) => Ok(Accept::new()),
///             None => Err(Reject::new(StatusCode::FORBIDDEN, "log in first")),
///         }
///     }
/// }
///
/// async fn login() -> HttpResponse {
///     HttpResponse::Ok().cookie(Cookie::new("session", "ann")).finish()
/// }
///
/// # actix_web::rt::System::new().block_on(async {
/// testing::pause();
/// let app = || App::new().route("/login", web::get().to(login)).service(consumer("/ws/", || Desk));
/// let app = Application::new(app).await;
/// let ann = app.browser();
/// assert!(!ann.connect("/ws/").await.is_accepted());
/// ann.get("/login").await;
/// ann.connect("/ws/").await.accepted();
/// # });
/// ```
pub struct Browser<'a> {
    app: &'a App,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        Self {
            app,
            cookies: RefCell::default(),
        }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    /// Sets a cookie, as if a response had done it.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.borrow_mut();
        cookies.insert(name.to_owned(), value.to_owned());
    }

    /// The response to a plain GET.
    ///
    /// # Panics
    /// When the handler panics.
    pub async fn get(&self, path: &str) -> Response {
        self.request(TestRequest::get().uri(path)).await
    }

    /// The response to any plain request, which must not have cookies of its own.
    ///
    /// # Panics
    /// When the handler panics.
    pub async fn request(&self, request: TestRequest) -> Response {
        let request = match self.header() {
            Some(cookies) => request.insert_header(("cookie", cookies)),
            None => request,
        };
        let response = self.app.plain(request.to_request()).await;
        self.keep(&response.headers);
        response
    }

    /// Sends a handshake for a path, without further headers.
    ///
    /// # Panics
    /// See [`Connecting::connect`].
    pub async fn connect(&self, path: &str) -> Answer {
        let answer = self.websocket(path).connect().await;
        match &answer {
            Answer::Accepted(client) => self.keep(client.headers()),
            Answer::Rejected(response) => self.keep(&response.headers),
        }
        answer
    }

    /// A handshake to which headers can be added. Cookies in its answer are not kept.
    pub fn websocket(&self, path: &str) -> Connecting<'a> {
        let handshake = Connecting::new(self.app, path);
        match self.header() {
            Some(cookies) => handshake.header("cookie", cookies),
            None => handshake,
        }
    }

    fn header(&self) -> Option<String> {
        let cookies = self.cookies.borrow();
        let pairs = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let header = pairs.collect::<Vec<_>>().join("; ");
        (!header.is_empty()).then_some(header)
    }

    fn keep(&self, headers: &HeaderMap) {
        let set = headers
            .get_all(SET_COOKIE)
            .filter_map(|it| it.to_str().ok());
        let mut cookies = self.cookies.borrow_mut();
        for cookie in set.filter_map(|it| Cookie::parse(it).ok()) {
            if is_removal(&cookie) {
                cookies.remove(cookie.name());
            } else {
                cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }
}

fn is_removal(cookie: &Cookie<'_>) -> bool {
    if let Some(age) = cookie.max_age() {
        return age <= Duration::ZERO;
    }
    match cookie.expires() {
        Some(Expiration::DateTime(at)) => at <= OffsetDateTime::now_utc(),
        Some(Expiration::Session) | None => false,
    }
}
