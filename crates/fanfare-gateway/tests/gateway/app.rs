//! The App under test: WebSocket routes that misbehave in every way, and ordinary pages.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service as _, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, Error, HttpRequest, HttpResponse, ResponseError, web};
use fanfare_node::{Admission, AdmitError, Handling, Inbound, Node, SessionContext, Step, Ticket};
use fanfare_protocol::{Encoder, GroupName};
use fanfare_web::middleware::{Authenticate, Origins, RateLimit};
use fanfare_web::{Accept, Handshake, HandshakeError, node_of};
use tokio::sync::Semaphore;

/// What the App shares with its test.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) encoder: Arc<dyn Encoder>,
    /// A permit per session that was admitted on `/hold`.
    pub(crate) admitted: Arc<Semaphore>,
    /// A permit per 101 that `/hold` may answer.
    pub(crate) release: Arc<Semaphore>,
}

/// The size of the body at `/large`, far beyond what a socket buffers.
pub(crate) const LARGE: usize = 32 << 20;

/// Answers every text with itself.
struct Echo;

impl Inbound for Echo {
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
        session.send_text(text);
        Step::Continue
    }

    fn binary(&self, _: &mut SessionContext<'_>, _: &[u8]) -> Step {
        Step::Continue
    }
}

/// Why a handshake is refused, as the body of the response.
#[derive(Debug)]
enum Refused {
    Handshake(HandshakeError),
    Admission(AdmitError),
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(out, "{error:?}"),
            Self::Admission(error) => write!(out, "{error:?}"),
        }
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Handshake(HandshakeError::Bad(_)) => StatusCode::BAD_REQUEST,
            Self::Handshake(HandshakeError::WrongServer) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Handshake(_) => StatusCode::UPGRADE_REQUIRED,
            Self::Admission(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

async fn socket(
    request: HttpRequest,
    shared: web::Data<Shared>,
    group: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let handshake = Handshake::check(&request).map_err(Refused::Handshake)?;
    let admission = Admission {
        link: handshake.link(),
        client: None,
        encoder: Arc::clone(&shared.encoder),
        handling: Handling::Inbound(Rc::new(Echo)),
        groups: vec![GroupName::parse(&group).unwrap()],
        identity: None,
        welcome: request.path().starts_with("/hold/"),
        access: None,
    };
    let worker = shared.node.worker();
    let ticket = Ticket::admit(&worker, admission)
        .await
        .map_err(Refused::Admission)?;
    if request.path().starts_with("/hold/") {
        shared.admitted.add_permits(1);
        shared.release.acquire().await.unwrap().forget();
    }
    if request.path().starts_with("/more/") {
        let headers = [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-length", "7"),
            ("sec-websocket-accept", "forged"),
        ];
        let accept = Accept::new().subprotocol("v2");
        let accept = headers
            .into_iter()
            .fold(accept, |accept, (name, value)| accept.header(name, value));
        return Ok(handshake.answer(ticket, accept));
    }
    Ok(handshake.accept(ticket))
}

/// The id of the node behind a request.
async fn node(request: HttpRequest) -> Option<String> {
    node_of(&request).map(|node| node.id().to_string())
}

async fn panics() -> HttpResponse {
    panic!("asked for")
}

async fn never() -> HttpResponse {
    std::future::pending().await
}

async fn no_entry() -> Result<HttpResponse, Error> {
    Err(actix_web::error::ErrorForbidden("no entry"))
}

async fn page() -> &'static str {
    "an ordinary page"
}

async fn large() -> HttpResponse {
    HttpResponse::Forbidden().body(vec![b'x'; LARGE])
}

async fn streamed() -> HttpResponse {
    let parts = ["one ", "two ", "three"].map(|part| Ok::<_, Error>(web::Bytes::from(part)));
    HttpResponse::Forbidden().streaming(futures_util::stream::iter(parts))
}

pub(crate) fn app(
    shared: Shared,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web::Data::new(shared))
        .wrap_fn(|request, service| {
            let answer = service.call(request);
            async move {
                let mut response = answer.await?;
                let name = HeaderName::from_static("x-middleware");
                let headers = response.headers_mut();
                headers.insert(name, HeaderValue::from_static("was here"));
                Ok(response)
            }
        })
        .route("/ws/{group}", web::to(socket))
        .route("/hold/{group}", web::to(socket))
        .service(
            web::scope("/more")
                .wrap(RateLimit::per_client(100, Duration::from_secs(1)))
                .wrap(Authenticate::new(async |_: &HttpRequest| Ok(None)))
                .wrap(Origins::same_host())
                .route("/{group}", web::to(socket)),
        )
        .route("/node", web::to(node))
        .route("/panics", web::to(panics))
        .route("/never", web::to(never))
        .route("/no-entry", web::to(no_entry))
        .route("/page", web::to(page))
        .route("/large", web::to(large))
        .route("/streamed", web::to(streamed))
}
