//! Middleware for handshakes and all other requests. A handshake is an HTTP request, so any
//! middleware for `App::wrap` works for both.
//!
//! - [`Hosts`]: which hosts the server answers to,
//! - [`Origins`]: which web pages may open a WebSocket,
//! - [`Authenticate`]: which user a request has,
//! - [`RateLimit`]: how many requests a client may send.
//!
//! You can write middleware as a function. This one requires a header:
//!
//! ```
//! use actix_web::body::MessageBody;
//! use actix_web::dev::{ServiceRequest, ServiceResponse};
//! use actix_web::middleware::{Next, from_fn};
//! use actix_web::{App, Error, error};
//!
//! async fn versioned(
//!     request: ServiceRequest,
//!     next: Next<impl MessageBody>,
//! ) -> Result<ServiceResponse<impl MessageBody>, Error> {
//!     if !request.headers().contains_key("x-app-version") {
//!         return Err(error::ErrorBadRequest("X-App-Version is missing"));
//!     }
//!     next.call(request).await
//! }
//!
//! let app = App::new().wrap(from_fn(versioned));
//! # let _ = app;
//! ```

mod authenticate;
mod authority;
mod gate;
mod host_rule;
mod hosts;
mod origin;
mod origin_rule;
mod rate_limit;

pub use authenticate::Authenticate;
pub use host_rule::{HostRefused, HostRule};
pub use hosts::Hosts;
pub use origin::Origins;
pub use origin_rule::{OriginDenied, OriginRule};
pub use rate_limit::RateLimit;
