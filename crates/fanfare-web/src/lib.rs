//! What every handler of WebSocket handshakes shares, whoever writes it: the library's consumers
//! and the server's configured routes.
//!
//! A request comes from a client ([`TrustedProxies`] say which), perhaps of a [`User`]. Middleware
//! lets it pass or refuses it. [`Handshake`] checks it and hands its connection to a session of the
//! [`Host`]'s node, or a [`Refusal`] is the response.
//!
//! This crate knows actix-web and the node. It knows no consumer, no cluster handle, no listener
//! and no configuration.

mod answer;
mod client;
mod error_chain;
pub mod handshake;
mod host;
pub mod middleware;
mod refusal;
mod request;
pub mod template;
mod user;

pub use answer::{Accept, Reject};
pub use client::{Client, NetworkError, TrustedProxies, client, peer};
pub use error_chain::error_chain;
pub use handshake::{Handshake, HandshakeError, Offer, Takeover};
pub use host::{Host, node_of};
pub use middleware::UserResolver;
pub use refusal::Refusal;
pub use request::Request;
pub use user::User;
