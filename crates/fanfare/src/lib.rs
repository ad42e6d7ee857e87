//! Fanfare: real-time applications on actix-web, with the programming model of Django Channels.
//!
//! A [`Consumer`] is the application's code for one WebSocket connection. An event that is
//! published to a group reaches all its members, over Redis on all nodes of a cluster. Any part of
//! a program publishes through its [`Cluster`].
//!
//! A chat, and an HTTP handler that sends a message to everyone:
//!
//! ```no_run
//! use actix_web::{App, Error, error::ErrorServiceUnavailable, web};
//! use fanfare::{Cluster, Consumer, Frame, Frames, Outcome, Server, Session, consumer};
//! use serde_json::json;
//!
//! struct Chat;
//!
//! impl Consumer for Chat {
//!     // Of a chat.message the client gets the field `message`. Other events arrive as JSON.
//!     type Event = Frames;
//!     const GROUPS: &'static [&'static str] = &["chat_{room}"];
//!     const DELIVER: &'static [(&'static str, &'static str)] = &[("chat.message", "message")];
//!
//!     async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
//!         let event = json!({"type": "chat.message", "message": frame.into_text()?});
//!         Ok(session.groups_send(&event).await?)
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
//! - Sessions: [`Consumer`] with a [`Frame`] or a [`JsonFrame`], [`Session`], [`Request`],
//!   [`Accept`], [`Reject`]. [`consumer`] makes a route. Middleware is in [`middleware`].
//! - Publishing: [`Cluster`], and [`blocking::Cluster`] for threads and programs without a runtime.
//! - Background work: [`Workers`]. Actix actors as members of groups: [`Cluster::member`].
//! - Serving: [`Server`], which drains on SIGTERM, [`health`] and metrics. Tests:
//!   `fanfare::testing`, with the feature `testing`.
//!
//! Applications that implement sessions or layers themselves find the types in [`node`], [`layer`],
//! [`protocol`] and [`handshake`]. Examples in the documentation import from `fanfare_consumer` and
//! other crates. With this facade import from `fanfare`.
//!
//! Features: `redis`, on by default, for clusters of several processes. `testing`, for the test
//! kit.

#[doc(inline)]
pub use fanfare_consumer::{
    Accept, ActorMember, AskError, Claim, Client, Cluster, ClusterCount, ClusterError,
    ClusterOptions, Consumer, Failure, Frame, Frames, FromFrame, Gone, GroupError, Host,
    InvalidLease, JsonError, JsonFrame, Layer, Lease, Local, MemberError, MessageOf, NetworkError,
    Outcome, Reject, Request, SendError, Session, SessionHandle, Timer, TrustedProxies, Unknown,
    Unsent, User, Worker, WorkerError, Workers, WorkersError, WorkersReport, blocking, client,
    consumer, consumer_with, handshake, health, middleware, peer,
};
#[cfg(feature = "redis")]
#[doc(inline)]
pub use fanfare_consumer::{CoreFormat, Notation, RedisFormat, RedisLayer, RedisPace};
#[doc(inline)]
pub use fanfare_gateway::{
    AddressError, Bind, BindError, Bound, DrainOptions, IntoBinds, KeepAlive, ServeError, Server,
    ServerHandle, Signals,
};
#[doc(inline)]
pub use fanfare_layer::{GroupRule, GroupRules, LeaseError, MemoryBus, PatternError, PublishError};
#[doc(inline)]
pub use fanfare_node::{
    AdmitError, Arrived, JoinError, Limits, MembershipMode, PingOptions, RateLimits,
};
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

/// For a channel layer of one's own, in tests for example.
pub mod layer {
    #[doc(inline)]
    pub use fanfare_layer::{
        ChannelLayer, Delivery, LayerMetrics, MemoryLayer, Publish, PublishError, QueueOptions,
        Sink, State, Status,
    };
}

/// For sessions that are handled without a [`Consumer`].
pub mod node {
    #[doc(inline)]
    pub use fanfare_node::{
        Admission, AdmitError, DeliveryMode, Handling, Inbound, Input, Mailbox, Node, NodeOptions,
        Program, SessionContext, Step, Ticket,
    };
}

/// What travels: targets, envelopes, encoders, and what programs write to Redis.
pub mod protocol {
    #[doc(inline)]
    pub use fanfare_protocol::serializer::{Addressed, Notation, Recipients};
    #[doc(inline)]
    pub use fanfare_protocol::{
        DeliverTable, Encoder, Envelope, Naming, NodeId, RouteEncoder, Serializer, Target,
        Undeliverable,
    };
}
