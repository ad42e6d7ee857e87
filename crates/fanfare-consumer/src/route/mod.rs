//! Routes: consumers at paths of an actix-web App.

mod encoders;
mod open;

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::{HttpRequest, web};
use fanfare_node::DeliveryMode;
use fanfare_protocol::Encoder;
use fanfare_web::template::{GroupTemplate, PathTemplate};
use fanfare_web::{Reject, Request};

use crate::consumer::Consumer;
use crate::frame::FromFrame;

/// A route for WebSockets at a path of an App or a scope. The factory makes a consumer for each
/// handshake.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use fanfare_consumer::{Consumer, Frames, consumer};
///
/// #[derive(Clone)]
/// struct Prices {
///     pool: String, // of database connections, say
/// }
///
/// impl Consumer for Prices {
///     type Event = Frames;
///     const GROUPS: &'static [&'static str] = &["prices_{market}"];
/// }
///
/// let prices = Prices { pool: "postgres://..".to_owned() };
/// let app = move || {
///     let prices = prices.clone();
///     App::new()
///         .route("/", web::get().to(HttpResponse::Ok))
///         .service(web::scope("/ws").service(consumer("/{market:slug}/", move || prices.clone())))
/// };
/// # let _ = app();
/// ```
///
/// A path matches with and without its final slash. The first route that matches is used, as always
/// in actix-web. These parameters are available:
///
/// | in the path | matches |
/// |---|---|
/// | `{x}` | ASCII letters, digits, `_`, `.` and `-`: what the name of a group may have |
/// | `{x:str}` | everything but a slash |
/// | `{x:int}` | digits |
/// | `{x:slug}` | ASCII letters, digits, `_` and `-` |
/// | `{x:uuid}` | a UUID |
/// | `{x:path}` | everything, slashes too |
/// | `{x:[a-z]{2}}` | a regular expression of your own |
///
/// A request that is not a handshake gets 426. A handshake with another method than GET gets 405,
/// and one that the server cannot take gets 503. If the factory or `connect` panics, the answer is
/// 500.
///
/// The route needs [`fanfare::Server`](crate::handshake) or the test kit. A plain `HttpServer` does
/// not give its sockets to Fanfare.
///
/// # Panics
/// When the App is built, at the start of the server, if the path is not valid, or if a group has a
/// parameter that the path does not have. The message names the mistake. Inside of a scope a
/// missing parameter is found only at a handshake, which gets 500.
pub fn consumer<C, M, I, F>(path: &str, factory: F) -> impl HttpServiceFactory + use<C, M, I, F>
where
    C: Consumer<M, I>,
    M: 'static,
    I: FromFrame,
    F: Fn() -> C + 'static,
{
    consumer_with(path, move |_| Ok(factory()))
}

/// Like [`consumer`], with a factory that gets the request and may reject it.
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::{Consumer, Frames, Request, consumer_with};
///
/// struct Room {
///     number: u32,
/// }
///
/// impl Consumer for Room {
///     type Event = Frames;
/// }
///
/// let app = || {
///     let room = |request: &Request| Ok(Room { number: request.param("number")? });
///     App::new().service(consumer_with("/ws/room/{number:int}/", room))
/// };
/// # let _ = app();
/// ```
///
/// # Panics
/// As [`consumer`].
pub fn consumer_with<C, M, I, F>(
    path: &str,
    factory: F,
) -> impl HttpServiceFactory + use<C, M, I, F>
where
    C: Consumer<M, I>,
    M: 'static,
    I: FromFrame,
    F: Fn(&Request) -> Result<C, Reject> + 'static,
{
    let path = or_panic(path, PathTemplate::parse(path));
    let groups = or_panic(
        path.as_str(),
        C::GROUPS
            .iter()
            .map(|text| GroupTemplate::parse(text))
            .collect(),
    );
    Service {
        route: Route {
            name: path.as_str().into(),
            encoder: encoders::encoder_of::<C::Event>(C::DELIVER),
            delivering: encoders::delivering::<C::Event>(),
            groups,
        },
        path,
        factory,
        kinds: PhantomData,
    }
}

/// What all sessions of a route have in common, on one thread.
pub(crate) struct Route {
    /// The path's template, for the log.
    name: Arc<str>,
    encoder: Arc<dyn Encoder>,
    delivering: DeliveryMode,
    groups: Vec<GroupTemplate>,
}

/// The consumer, its form and its input: named by a service, not kept in it.
type Kinds<C, M, I> = fn() -> (C, M, I);

/// A route on its way into an App.
struct Service<C, M, I, F> {
    route: Route,
    path: PathTemplate,
    factory: F,
    kinds: PhantomData<Kinds<C, M, I>>,
}

impl<C, M, I, F> HttpServiceFactory for Service<C, M, I, F>
where
    C: Consumer<M, I>,
    M: 'static,
    I: FromFrame,
    F: Fn(&Request) -> Result<C, Reject> + 'static,
{
    fn register(self, config: &mut AppService) {
        if config.is_root() {
            let name = &self.route.name;
            for group in &self.route.groups {
                or_panic(name, group.check(&self.path));
            }
        }
        let (route, factory) = (Rc::new(self.route), Rc::new(self.factory));
        let handler = move |request: HttpRequest| {
            let (route, factory) = (Rc::clone(&route), Rc::clone(&factory));
            async move { route.open::<C, M, I>(&*factory, request).await }
        };
        web::resource(self.path.patterns())
            .to(handler)
            .register(config);
    }
}

#[expect(
    clippy::panic,
    reason = "a route that is written wrong must be noticed at the start, as in actix-web itself"
)]
#[track_caller]
fn or_panic<T, E: std::fmt::Display>(path: &str, outcome: Result<T, E>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => panic!("the consumer at {path:?}: {error}"),
    }
}
