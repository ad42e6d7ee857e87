//! Fanfare: real-time applications on actix-web, with the programming model of Django Channels.
//!
//! A [`Consumer`] is what one WebSocket connection does. Groups fan events out, over Redis to all
//! nodes of a cluster, and any part of a program publishes through its [`Cluster`].
//!
//! A chat, and a push to everyone from an ordinary HTTP view:
//!
//! ```no_run
//! use actix_web::{App, Error, error::ErrorServiceUnavailable, web};
//! use fanfare::{Cluster, Consumer, Frame, Frames, Outcome, Server, Session, consumer};
//! use serde_json::json;
//!
//! struct Chat;
//!
//! impl Consumer for Chat {
//!     // Events go to the client as they are: of a chat.message its field `message`.
//!     type Event = Frames;
//!     const GROUPS: &'static [&'static str] = &["chat_{room}"];
//!     const DELIVER: &'static [(&'static str, &'static str)] = &[("chat.message", "message")];
//!
//!     async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
//!         let event = json!({"type": "chat.message", "message": frame.into_text()?});
//!         for group in session.groups() {
//!             session.group_send(group.as_str(), &event).await?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! async fn announce(cluster: Cluster, text: String) -> Result<&'static str, Error> {
//!     let event = json!({"type": "chat.message", "message": text});
//!     cluster.broadcast(&event).await.map_err(ErrorServiceUnavailable)?;
//!     Ok("told everyone")
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let app = || {
//!         App::new()
//!             .service(consumer("/ws/chat/{room}/", || Chat))
//!             .route("/announce", web::post().to(announce))
//!     };
//!     Server::new(Cluster::memory()?, app).bind("127.0.0.1:8000")?.serve().await?;
//!     Ok(())
//! }
//! ```
//!
//! - Sessions: [`Consumer`], [`JsonConsumer`] in [`Json`]; [`Session`], [`Request`], [`Accept`],
//!   [`Reject`]; routes with [`consumer`], middleware in [`middleware`].
//! - Publishing: [`Cluster`], and [`blocking::Cluster`] for threads and programs without a runtime.
//! - Background work: [`Workers`]; actix actors as members of groups: [`Cluster::member`].
//! - Serving: [`Server`], which drains on SIGTERM. Tests: `fanfare::testing`, with the feature of
//!   that name.
//!
//! The facade re-exports crates that depend on each other in one direction: [`protocol`],
//! [`layer`], [`node`], consumer, gateway. An application that brings its own handlers of sessions,
//! layers or naming finds the parts in those modules and in [`handshake`]. Examples in the
//! documentation say `fanfare_consumer`; with the facade it is `fanfare`.
//!
//! Features: `redis` (on by default), without which a cluster is one process; `testing`.

#[doc(inline)]
pub use fanfare_consumer::{
    Accept, Client, Cluster, ClusterError, ClusterOptions, Consumer, Failure, Frame, Frames, Gone,
    GroupError, Json, JsonConsumer, Layer, Member, MemberError, NetworkError, Outcome, Reject,
    Request, SendError, Session, SessionHandle, Timer, TrustedProxies, Unknown, Unsent, User,
    UserResolver, Worker, WorkerError, Workers, WorkersError, WorkersReport, blocking, client,
    consumer, consumer_with, handshake, middleware, peer,
};
#[cfg(feature = "redis")]
#[doc(inline)]
pub use fanfare_consumer::{CoreFormat, Notation, RedisFormat, RedisLayer};
#[doc(inline)]
pub use fanfare_gateway::{
    AddressError, Bind, BindError, Bound, DrainOptions, IntoBinds, ServeError, Server,
    ServerHandle, Signals,
};
#[doc(inline)]
pub use fanfare_layer::PublishError;
#[doc(inline)]
pub use fanfare_node::{AdmitError, Arrived, JoinError, Limits, MembershipMode, PingOptions};
#[doc(inline)]
pub use fanfare_protocol::{
    ChannelName, Close, CloseCode, CloseError, Event, GroupName, NameError, TypedError, Value,
};

/// The testing kit: an application without a listener, and a live server.
///
/// [`Application`](testing::Application) drives an App on the test's own thread, on a clock that
/// can stand still; [`LiveServer`](testing::LiveServer) listens on a free port.
#[cfg(feature = "testing")]
pub mod testing {
    #[doc(inline)]
    pub use fanfare_testing::*;
}

/// The channel layer, and how to write another.
pub mod layer {
    pub use fanfare_layer::*;
}

/// The actors of one node: for sessions that are handled without a [`Consumer`].
pub mod node {
    pub use fanfare_node::*;
}

/// What travels: names, events, envelopes, frames.
pub mod protocol {
    pub use fanfare_protocol::*;
}
