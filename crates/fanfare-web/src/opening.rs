//! The steps from a handshake to a session, in their order, for every kind of route.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use fanfare_node::{Admission, AdmitError, Handling, Identity, Node, Ticket};
use fanfare_protocol::{Encoder, GroupName};

use crate::answer::Accept;
use crate::client::client;
use crate::handshake::Handshake;
use crate::host::node_of;
use crate::middleware::OriginRule;
use crate::refusal::{Code, Refusal};
use crate::request::{Request, has_utf8_path};
use crate::spelling;
use crate::template::GroupTemplate;

/// A handshake that has been checked. Who opens it does so in this order: [`check`](Self::check);
/// the application says who the client is; [`seat`](Self::seat); the application accepts; the
/// ticket's groups are joined; [`answer`](Self::answer).
pub struct Opening {
    handshake: Handshake,
    client: Option<IpAddr>,
    node: Node,
    groups: Vec<GroupName>,
}

/// What the session of a handshake is to be.
pub struct SessionSpec {
    /// How events become its frames.
    pub encoder: Arc<dyn Encoder>,
    /// Who handles its messages.
    pub handling: Handling,
    /// Whose session it is, if that is known.
    pub identity: Option<Arc<Identity>>,
    /// Whether the welcome is its first frame.
    pub welcome: bool,
    /// For the access lines.
    pub access: Option<Box<str>>,
}

impl Opening {
    /// Checks method, the rate of the client's handshakes, handshake, origin (unless a middleware
    /// does), the names of the route's groups, the spelling of the path, and that the node has room
    /// for the client.
    ///
    /// # Errors
    /// The refusal that is the answer.
    pub fn check(
        request: &Request,
        origins: Option<&OriginRule>,
        groups: &[GroupTemplate],
    ) -> Result<Self, Refusal> {
        if request.method() != Method::GET {
            return Err(Refusal::method_not_allowed("GET"));
        }
        let node = node_of(request).ok_or_else(Refusal::internal);
        let client = client(request);
        if let Ok(node) = &node {
            node.take_handshake(client).map_err(|wait| {
                Refusal::too_often("this address sends too many handshakes", wait)
            })?;
        }
        let handshake = Handshake::check(request)?;
        if let Some(rule) = origins {
            rule.check(request)?;
        }
        let groups = names(request, groups)?;
        if !spelling::is_canonical(request.uri().path()) {
            let message =
                "there is nothing at this path: it is not spelled in the one way that it has";
            return Err(Refusal::new(Code::NotFound, message));
        }
        let node = node?;
        node.check_room(client)?;
        Ok(Self {
            handshake,
            client,
            node,
            groups,
        })
    }

    /// The groups of the route that the session is going to join, before [`seat`](Self::seat).
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// Gives the session a seat. It is in no group yet.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn seat(&mut self, session: SessionSpec) -> Result<Ticket, AdmitError> {
        let SessionSpec {
            encoder,
            handling,
            identity,
            welcome,
            access,
        } = session;
        let admission = Admission {
            link: self.handshake.link(),
            client: self.client,
            encoder,
            handling,
            groups: std::mem::take(&mut self.groups),
            identity,
            welcome,
            access,
        };
        Ticket::seat(&self.node.worker(), admission)
    }

    /// The 101 response; see [`Handshake::answer`].
    pub fn answer(self, ticket: Ticket, accept: Accept) -> HttpResponse {
        self.handshake.answer(ticket, accept)
    }
}

/// The groups of the route for this request, each once.
fn names(request: &Request, templates: &[GroupTemplate]) -> Result<Vec<GroupName>, Refusal> {
    let parameters: Vec<_> = request.params().collect();
    let mut groups = Vec::with_capacity(templates.len());
    for template in templates {
        if let Some(error) = template.missing(&parameters) {
            let path = request.path();
            tracing::error!(%error, path, "a route cannot be served");
            return Err(Refusal::internal());
        }
        if template.has_parameters() && !has_utf8_path(request) {
            let message = format!("the path {:?} is not UTF-8", request.uri().path());
            return Err(Refusal::new(Code::InvalidGroup, message).at("group"));
        }
        let group = template
            .render(&parameters)
            .map_err(|error| Refusal::name(Code::InvalidGroup, "group", &error))?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(groups)
}
