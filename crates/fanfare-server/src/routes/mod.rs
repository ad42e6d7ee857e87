//! The WebSocket routes of the configuration: what happens to the messages that come in and go out.
//! This module knows no HTTP; `http::websocket` serves the routes.

mod inbound;

use std::rc::Rc;
use std::sync::Arc;

use fanfare_node::{Inbound, Node};
use fanfare_protocol::{DeliverTable, Encoder, RouteEncoder};

use crate::config::settings::{DeliverSettings, RouteSettings};

/// The routes of a process. The encoder of each is one object on all worker threads, because sessions
/// that share an encoder share the encoded bytes.
#[derive(Clone)]
pub(crate) struct Routes(Arc<[(RouteSettings, Arc<dyn Encoder>)]>);

/// A route on one worker thread.
pub(crate) struct Route {
    pub(crate) settings: RouteSettings,
    pub(crate) encoder: Arc<dyn Encoder>,
    /// What happens to the messages of its sessions.
    pub(crate) inbound: Rc<dyn Inbound>,
}

impl Routes {
    /// The configured routes.
    pub(crate) fn new(settings: &[RouteSettings]) -> Self {
        let routes = settings.iter().map(|route| (route.clone(), encoder(route)));
        Self(routes.collect())
    }

    /// The routes for the thread that calls, in the order of the configuration.
    pub(crate) fn on_worker(&self, node: &Node) -> Vec<Route> {
        let routes = self.0.iter().map(|(settings, encoder)| Route {
            settings: settings.clone(),
            encoder: Arc::clone(encoder),
            inbound: inbound::behaviour(settings, node),
        });
        routes.collect()
    }
}

fn encoder(settings: &RouteSettings) -> Arc<dyn Encoder> {
    let send = |(kind, deliver): (&String, &DeliverSettings)| (kind.clone(), deliver.send.clone());
    Arc::new(RouteEncoder(DeliverTable {
        send: settings.deliver.iter().map(send).collect(),
        deliver_unknown: settings.deliver_unknown,
    }))
}
