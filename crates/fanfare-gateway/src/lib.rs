//! The listener: handshakes through the ordinary actix-web App, then takeover of the socket.
//!
//! `actix_web::HttpServer` does not expose the upgrade service of actix-http, so [`Server`]
//! assembles the same parts itself. A WebSocket handshake runs through the App like any request:
//! routing, middleware, extractors. When the App answers 101 with
//! [`Handshake::accept`](fanfare_consumer::Handshake::accept), the socket leaves the HTTP
//! dispatcher, whose two 8 KiB buffers go with it, and a session actor of `fanfare-node` owns it.
//! [`Bound::serve`] drains on SIGTERM.
//!
//! This crate knows no configuration and no routes.

mod address;
mod app_once;
mod bind;
mod connection;
mod drain;
mod head;
mod listeners;
mod serve;
mod server;
mod signals;
mod takeover;
#[cfg(feature = "testing")]
pub mod testing;

pub use actix_http::KeepAlive;
pub use actix_server::ServerHandle;
pub use address::{AddressError, IntoBinds};
pub use bind::{Bind, BindError};
pub use drain::DrainOptions;
pub use serve::{Bound, ServeError};
pub use server::Server;
pub use signals::Signals;
