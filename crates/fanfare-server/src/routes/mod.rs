//! The WebSocket routes of the configuration: which path leads into which groups, and what happens
//! to the messages that come in and go out.

mod handshake;
mod inbound;
mod template;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use fanfare_node::{Inbound, Node};
use fanfare_protocol::{DeliverTable, Encoder, GroupName, NameError, RouteEncoder};

use crate::config::settings::RouteSettings;

pub(crate) use handshake::open;
use template::{GroupTemplate, PathTemplate};
pub(crate) use template::{Parameters, TemplateError};

/// What the server itself answers below; a route there would never be reached.
const OWN_PATHS: [&str; 4] = ["/api/", "/health/", "/metrics/", "/static/"];

/// Why a route cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// A path or group template is broken.
    #[error("routes.{index}: {source}")]
    Template { index: usize, source: TemplateError },
    /// The path is one of the server's own.
    #[error("routes.{index}: path {path:?} is below one that the server answers itself")]
    OwnPath { index: usize, path: String },
}

/// The routes of a process, in the order of the configuration: the first that matches counts.
#[derive(Clone)]
pub(crate) struct Routes(Arc<[Route]>);

/// One route. Its encoder is the same object on every worker thread, because sessions that share a
/// encoder share the encoded bytes of what they get.
struct Route {
    settings: RouteSettings,
    path: PathTemplate,
    groups: Vec<GroupTemplate>,
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
    /// Compiles the routes; all errors at once.
    pub(crate) fn compile(settings: &[RouteSettings]) -> Result<Self, Vec<RouteError>> {
        let mut routes = Vec::new();
        let mut errors = Vec::new();
        for (index, settings) in settings.iter().enumerate() {
            match Route::compile(settings) {
                Ok(route) => routes.push(route),
                Err(source) => errors.push(RouteError::Template { index, source }),
            }
            let slashed = format!("{}/", settings.path.trim_end_matches('/'));
            if OWN_PATHS.iter().any(|own| slashed.starts_with(own)) {
                let path = settings.path.clone();
                errors.push(RouteError::OwnPath { index, path });
            }
        }
        if errors.is_empty() {
            Ok(Self(routes.into()))
        } else {
            Err(errors)
        }
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
                let parameters = route.path.matches(path)?;
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
    fn compile(settings: &RouteSettings) -> Result<Self, TemplateError> {
        let path = PathTemplate::parse(&settings.path)?;
        let groups = settings
            .groups
            .iter()
            .map(|group| GroupTemplate::parse(group, &path));
        let groups = groups.collect::<Result<_, _>>()?;
        let send = |(kind, deliver): (&String, &crate::config::settings::DeliverSettings)| {
            (kind.clone(), deliver.send.clone())
        };
        let table = DeliverTable {
            send: settings.deliver.iter().map(send).collect(),
            deliver_unknown: settings.deliver_unknown,
        };
        Ok(Self {
            settings: settings.clone(),
            path,
            groups,
            encoder: Arc::new(RouteEncoder(table)),
        })
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
        let mut groups = Vec::with_capacity(self.route.groups.len() + 1);
        for template in &self.route.groups {
            let group = template.render(&self.parameters)?;
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::settings::OnReceive;

    fn route(path: &str, groups: &[&str]) -> RouteSettings {
        RouteSettings {
            path: path.into(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            on_receive: OnReceive::Ignore,
            event_type: None,
            exclude_sender: false,
            welcome: false,
            deliver_unknown: true,
            auth: false,
            user: None,
            reply: "OK".into(),
            deliver: BTreeMap::new(),
        }
    }

    #[test]
    fn every_broken_route_is_named_at_once() {
        let settings = [
            route("ws", &[]),
            route("/ok/{x}", &["g_{x}"]),
            route("/x", &["g_{x}"]),
            route("/metrics", &[]),
            route("/api/v1/mine/", &[]),
            route("/apiary", &[]),
        ];
        let errors = Routes::compile(&settings).err().unwrap();
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        for (text, start) in texts
            .iter()
            .zip(["routes.0", "routes.2", "routes.3", "routes.4"])
        {
            assert!(text.starts_with(start), "{text}");
        }
    }
}
