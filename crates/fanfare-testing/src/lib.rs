//! The testing kit: drives a whole application, or one consumer, without a listener or a port.
//! [`LiveServer`] listens on a free port instead.
//!
//! An [`Application`] runs an actix-web App and a node on the test's own thread. A handshake goes
//! through the App like any other, middleware and extractors included; the session that it is
//! accepted with owns one end of a socket pair, the test's [`WebSocket`] the other. Nothing is
//! mocked: it is the session, the registry and the layer of production. Only the listener is
//! missing.
//!
//! ```
//! use actix_web::App;
//! use fanfare_testing::{self as testing, Application};
//! use fanfare_consumer::{Consumer, Frame, Outcome, Session, consumer};
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! impl Consumer for Echo {
//!     type Event = fanfare_consumer::Frames;
//!
//!     async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
//!         session.send_text(&frame.into_text()?).await?;
//!         Ok(())
//!     }
//! }
//!
//! # actix_web::rt::System::new().block_on(async {
//! testing::pause();
//! let app = Application::new(|| App::new().service(consumer("/ws/echo/", || Echo))).await;
//! let mut client = app.connect("/ws/echo/").await.accepted();
//! client.send_text("hello").await;
//! assert_eq!(client.receive_text().await, "hello");
//! client.disconnect(1000).await;
//! # });
//! ```
//!
//! # Time
//!
//! Everything runs on one thread, under `#[actix_web::test]` or an `actix_web::rt::System`. After
//! [`pause`] the clock stands still while anything can run and jumps to the next timer when nothing
//! can, so a test of an hour's timer takes no time and a limit is never missed because the machine
//! is busy: whoever answers answers at once. Work on other threads is not waited for, except that of
//! `spawn_blocking`; a test that needs such, or real sockets, does not pause the clock.
//!
//! # Failing
//!
//! What does not come out as asked panics with the line of the test and what came instead.
//!
//! This crate stands above the library and is compiled into tests alone; no other crate of the
//! product uses it.

mod answer;
mod app;
mod application;
mod codec;
mod connecting;
mod head;
mod listener;
mod live;
mod message;
mod pump;
mod settled;
mod websocket;

pub use answer::{Answer, Response};
pub use application::Application;
pub use connecting::Connecting;
pub use listener::Listener;
pub use live::{LiveOptions, LiveServer};
pub use message::{Closed, Message};
pub use settled::settled;
pub use tokio::time::{advance, pause, resume};
pub use websocket::WebSocket;

use fanfare_consumer::{Consumer, consumer};

/// Connects to one consumer, in an application of its own with a memory cluster. `route` is where
/// the consumer is, such as `/ws/chat/{room}/`, and `path` what is asked for, such as
/// `/ws/chat/lobby/`.
///
/// # Panics
/// When the application cannot be built, and outside of an actix runtime.
pub async fn connect<M, C, F>(route: &str, path: &str, factory: F) -> Answer
where
    M: 'static,
    C: Consumer<M>,
    F: Fn() -> C + 'static,
{
    let app = Application::new(|| actix_web::App::new().service(consumer(route, factory))).await;
    app.connect(path).await
}
