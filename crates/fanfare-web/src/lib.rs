//! The code for WebSocket handshakes that the library's consumers and the server's configured
//! routes share.
//!
//! [`TrustedProxies`] find the client of a request. Middleware finds its [`User`], and can refuse
//! it. [`Handshake`] checks it and passes its connection to a session of the [`Host`]'s node. A
//! refused request gets a [`Refusal`].
//!
//! This crate depends on actix-web and on the node. It does not depend on consumers, the cluster
//! handle, listeners or configuration.

mod address;
mod answer;
mod client;
mod error_chain;
pub mod handshake;
mod host;
pub mod middleware;
mod opening;
mod refusal;
mod request;
pub mod setup;
pub mod spelling;
pub mod template;
mod tokens;
mod user;

pub use address::Address;
pub use answer::{Accept, Reject};
pub use client::{Client, NetworkError, TrustedProxies, client, peer};
pub use error_chain::error_chain;
pub use handshake::{Handshake, HandshakeError, Takeover};
pub use host::{Host, Offer, node_of};
pub use opening::{Opening, SessionSpec};
pub use refusal::{Code, Refusal};
pub use request::{Request, has_utf8_path};
pub use user::User;
