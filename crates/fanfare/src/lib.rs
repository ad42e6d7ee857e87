//! Fanfare as a library: the Channels model as an actor cluster.
//!
//! The facade that an application depends on; what it re-exports lives in crates that depend on
//! each other in one direction: protocol, layer, node, gateway.
//!
//! ```no_run
//! use std::rc::Rc;
//! use std::sync::Arc;
//!
//! use actix_web::{App, HttpRequest, HttpResponse, web};
//! use fanfare::{Admission, DeliverTable, Handshake, Inbound, Node, SessionContext, Step};
//!
//! struct Echo;
//!
//! impl Inbound for Echo {
//!     fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
//!         session.send_text(text);
//!         Step::Continue
//!     }
//!     fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step {
//!         session.send_binary(bytes);
//!         Step::Continue
//!     }
//! }
//!
//! async fn echo(request: HttpRequest, node: web::Data<Node>) -> actix_web::Result<HttpResponse> {
//!     let handshake =
//!         Handshake::check(&request).map_err(actix_web::error::ErrorBadRequest)?;
//!     let admission = Admission {
//!         link: handshake.link(),
//!         plan: Arc::new(DeliverTable::default()),
//!         inbound: Rc::new(Echo),
//!         groups: Vec::new(),
//!         welcome: false,
//!         access: None,
//!     };
//!     let ticket = node
//!         .worker()
//!         .admit(admission)
//!         .await
//!         .map_err(actix_web::error::ErrorServiceUnavailable)?;
//!     Ok(handshake.accept(ticket))
//! }
//!
//! # async fn serve(node: Node) -> Result<(), Box<dyn std::error::Error>> {
//! let data = web::Data::new(node.clone());
//! let app = move || App::new().app_data(data.clone()).route("/echo", web::get().to(echo));
//! let bound = fanfare::Server::new(node, app)
//!     .bind(vec![fanfare::Bind::Tcp("127.0.0.1:8000".parse()?)])?;
//! let (_handle, running) = bound.run();
//! running.await?;
//! # Ok(())
//! # }
//! ```

pub use fanfare_gateway::{
    Bind, BindError, Bound, Handshake, HandshakeError, Server, ServerHandle, peer,
};
pub use fanfare_layer::{
    ChannelLayer, Delivery, Full, LayerMetrics, MemoryLayer, Publish, PublishError, Sink, State,
    Status, SubscribeError, redis,
};
pub use fanfare_node::{
    Admission, AdmitError, Inbound, Limits, Link, Node, NodeOptions, PingOptions, SessionContext,
    Socket, Step, Ticket, Worker,
};
pub use fanfare_protocol::{
    ChannelName, CloseCode, DeliverTable, Envelope, Event, GroupName, NameError, Naming, NodeId,
    Plan, SessionId, Target, Undeliverable, Value,
};
