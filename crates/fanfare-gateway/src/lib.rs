//! The listener: handshakes through the ordinary actix-web App, then takeover of the socket.
//!
//! `actix_web::HttpServer` does not expose the upgrade service of actix-http, so [`Server`]
//! assembles the same parts itself. A WebSocket handshake runs through the App like any request:
//! routing, middleware, extractors. When the App answers 101 with [`Handshake::accept`], the
//! socket leaves the HTTP dispatcher, whose two 8 KiB buffers go with it, and a session actor of
//! `fanfare-node` owns it.
//!
//! This crate knows no configuration and no routes.

mod bind;
mod connection;
mod handshake;
mod head;
mod server;
mod takeover;

pub use actix_server::ServerHandle;
pub use bind::{Bind, BindError};
pub use handshake::{Handshake, HandshakeError, peer};
pub use server::{Bound, Server};
