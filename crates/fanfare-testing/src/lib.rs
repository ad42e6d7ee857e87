//! The test kit. It runs a whole application, or one consumer, without a listener and a port.
//! [`LiveServer`] listens on a free port instead.
//!
//! An [`Application`] runs an actix-web App and a node on the thread of the test. A handshake goes
//! through the App with its middleware and extractors. The session has one end of a socket pair,
//! and the test's [`WebSocket`] has the other end. Nothing is mocked: session, registry and layer
//! are those of production. Only the listener is missing.
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
//! [`pause`] the clock stops while any task can run, and jumps to the next timer when none can. So
//! a test of an hour takes no time, and a busy machine does not cause timeouts. The clock also
//! waits for `spawn_blocking`, but not for work on other threads. A test that needs such work, or
//! real sockets, must not pause the clock.
//!
//! # Failing
//!
//! A method whose expectation is not met panics, with the line of the test and what came instead.
//!
//! This crate depends on the library and is compiled into tests only. No other crate of the product
//! uses it.

mod answer;
mod app;
mod application;
mod browser;
mod codec;
mod connecting;
mod head;
mod listener;
mod live;
mod message;
mod nodes;
mod pump;
mod settled;
mod unlimited;
mod websocket;

pub use answer::{Answer, Response};
pub use application::Application;
pub use browser::Browser;
pub use connecting::Connecting;
pub use listener::Listener;
pub use live::{LiveOptions, LiveServer};
pub use message::{Closed, Message};
pub use nodes::nodes;
pub use settled::settled;
pub use tokio::time::{advance, pause, resume};
pub use websocket::WebSocket;

use fanfare_consumer::{Consumer, consumer};

/// Connects to one consumer, in a new application with a memory cluster. `route` is the route of
/// the consumer, such as `/ws/chat/{room}/`. `path` is the path of the request, such as
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
