//! The WebSocket routes of the configuration: what happens to the messages that come in and go out.
//! This module knows paths and no other HTTP; `http::websocket` serves the routes.

mod inbound;

use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{Path, ResourcePath};
use fanfare_node::{Inbound, Node};
use fanfare_protocol::{DeliverTable, Encoder, RouteEncoder};
use fanfare_web::template::{PathSet, PathSetError};

use crate::config::settings::{DeliverSettings, RouteSettings};

/// The routes of a process. The encoder of each is one object on all worker threads, because sessions
/// that share an encoder share the encoded bytes.
#[derive(Clone)]
pub(crate) struct Routes {
    routes: Arc<[(RouteSettings, Arc<dyn Encoder>)]>,
    paths: PathSet,
}

/// The routes on one worker thread, in the order of the configuration: the first that matches
/// counts.
#[derive(Clone)]
pub(crate) struct WorkerRoutes {
    routes: Rc<[Rc<Route>]>,
    paths: PathSet,
}

/// A route on one worker thread.
pub(crate) struct Route {
    pub(crate) settings: RouteSettings,
    pub(crate) encoder: Arc<dyn Encoder>,
    /// What happens to the messages of its sessions.
    pub(crate) inbound: Rc<dyn Inbound>,
}

impl Routes {
    /// The configured routes.
    ///
    /// # Errors
    /// [`PathSetError`].
    pub(crate) fn new(settings: &[RouteSettings]) -> Result<Self, PathSetError> {
        let paths = PathSet::new(settings.iter().map(|route| &route.path))?;
        let routes = settings.iter().map(|route| (route.clone(), encoder(route)));
        let routes = routes.collect();
        Ok(Self { routes, paths })
    }

    /// The routes for the thread that calls.
    pub(crate) fn on_worker(&self, node: &Node) -> WorkerRoutes {
        let routes = self.routes.iter().map(|(settings, encoder)| {
            Rc::new(Route {
                settings: settings.clone(),
                encoder: Arc::clone(encoder),
                inbound: inbound::behaviour(settings, node),
            })
        });
        let (routes, paths) = (routes.collect(), self.paths.clone());
        WorkerRoutes { routes, paths }
    }
}

impl WorkerRoutes {
    /// The route of a path, whose parameters are then in `path`.
    pub(crate) fn find<T: ResourcePath>(&self, path: &mut Path<T>) -> Option<Rc<Route>> {
        let index = self.paths.find(path)?;
        self.routes.get(index).cloned()
    }
}

fn encoder(settings: &RouteSettings) -> Arc<dyn Encoder> {
    let send = |(kind, deliver): (&String, &DeliverSettings)| (kind.clone(), deliver.send.clone());
    Arc::new(RouteEncoder(DeliverTable {
        send: settings.deliver.iter().map(send).collect(),
        deliver_unknown: settings.deliver_unknown,
    }))
}
