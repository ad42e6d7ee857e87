//! The listener: handshakes through the ordinary actix-web App, then takeover of the socket.
//!
//! `actix_web::HttpServer` does not expose the upgrade service of actix-http, so [`Server`]
//! assembles the same parts itself. A WebSocket handshake runs through the App like any request:
//! routing, middleware, extractors. If the App answers 101 with
//! [`Handshake::accept`](fanfare_web::Handshake::accept), the socket leaves the HTTP dispatcher,
//! and a session actor of `fanfare-node` owns it. This frees the two 8 KiB buffers of the
//! dispatcher. [`Bound::serve`] drains on SIGTERM.
//!
//! This crate does not depend on configuration, routes or consumers.

mod accept;
mod address;
mod app_once;
mod bind;
mod connection;
mod connections;
mod drain;
mod head;
mod head_limit;
mod idle;
mod in_turns;
mod listeners;
mod metrics;
mod paced;
mod pipeline;
mod serve;
mod server;
mod signals;
mod takeover;
mod write_deadline;

pub use actix_http::KeepAlive;
pub use actix_server::ServerHandle;
pub use address::{AddressError, IntoBinds};
pub use bind::{Bind, BindError};
pub use drain::DrainOptions;
pub use metrics::ConnectionMetrics;
pub use serve::{Bound, ServeError};
pub use server::Server;
pub use signals::Signals;
