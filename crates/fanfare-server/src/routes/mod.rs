//! The WebSocket routes of the configuration: which path leads into which groups, and what happens
//! to the messages that come in and go out.

mod handshake;
mod inbound;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use fanfare_node::{Inbound, Node};
use fanfare_protocol::{DeliverTable, Encoder, GroupName, NameError, RouteEncoder};

use crate::config::settings::{DeliverSettings, RouteSettings};
use crate::template::Parameters;

pub(crate) use handshake::open;

/// The routes of a process, in the order of the configuration: the first that matches counts.
#[derive(Clone)]
pub(crate) struct Routes(Arc<[Route]>);

/// One route. Its encoder is the same object on every worker thread, because sessions that share a
/// encoder share the encoded bytes of what they get.
struct Route {
    settings: RouteSettings,
    encoder: Arc<dyn Encoder>,
}

/// The routes with what only one worker thread may use.
pub(crate) struct WorkerRoutes {
    routes: Routes,
    node: Node,
    behaviours: Vec<Behaviours>,
}

/// A route's behaviour by the number of groups that sessions have beside the route's: that of the
/// user, and those that the application named. Few numbers occur.
#[derive(Default)]
struct Behaviours(RefCell<BTreeMap<usize, Rc<dyn Inbound>>>);

/// A route that matched, with what its path says.
pub(crate) struct Matched<'r> {
    route: &'r Route,
    behaviours: &'r Behaviours,
    node: &'r Node,
    parameters: Parameters,
}

impl Routes {
    /// The configured routes, each with its encoder.
    pub(crate) fn new(settings: &[RouteSettings]) -> Self {
        Self(settings.iter().map(Route::new).collect())
    }

    /// The routes for the thread that calls.
    pub(crate) fn on_worker(&self, node: &Node) -> WorkerRoutes {
        WorkerRoutes {
            routes: self.clone(),
            node: node.clone(),
            behaviours: self.0.iter().map(|_| Behaviours::default()).collect(),
        }
    }
}

impl WorkerRoutes {
    /// The first route of a path, which comes without its query.
    pub(crate) fn matching(&self, path: &str) -> Option<Matched<'_>> {
        self.routes
            .0
            .iter()
            .zip(&self.behaviours)
            .find_map(|(route, behaviours)| {
                let parameters = route.settings.path.matches(path)?;
                Some(Matched {
                    route,
                    behaviours,
                    node: &self.node,
                    parameters,
                })
            })
    }
}

impl Route {
    fn new(settings: &RouteSettings) -> Self {
        let send =
            |(kind, deliver): (&String, &DeliverSettings)| (kind.clone(), deliver.send.clone());
        let table = DeliverTable {
            send: settings.deliver.iter().map(send).collect(),
            deliver_unknown: settings.deliver_unknown,
        };
        Self {
            settings: settings.clone(),
            encoder: Arc::new(RouteEncoder(table)),
        }
    }
}

impl Matched<'_> {
    /// What happens to the messages of a session with `private` groups behind the route's.
    fn behaviour(&self, private: usize) -> Rc<dyn Inbound> {
        let mut behaviours = self.behaviours.0.borrow_mut();
        let behaviour = behaviours
            .entry(private)
            .or_insert_with(|| inbound::behaviour(&self.route.settings, private, self.node));
        Rc::clone(behaviour)
    }

    /// The groups of the route for this path, each once.
    fn groups(&self) -> Result<Vec<GroupName>, NameError> {
        let mut groups = Vec::with_capacity(self.route.settings.groups.len() + 1);
        for template in &self.route.settings.groups {
            let group = template.render(&self.parameters)?;
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }
}
