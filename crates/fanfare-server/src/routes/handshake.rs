//! From a request on a WebSocket route to a session, or to the response that refuses it.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use fanfare_node::{Admission, AdmitError, Handling, Ticket};
use fanfare_protocol::GroupName;
use fanfare_web::{Handshake, HandshakeError};

use super::{Matched, WorkerRoutes};
use crate::access;
use crate::auth::{Denied, Question, Refusal};
use crate::config::settings::UserSource;
use crate::http::Shared;
use crate::http::error::{ApiError, Code};

/// Answers a request whose path no other part of the server knows.
pub(crate) async fn open(
    request: &HttpRequest,
    shared: &Shared,
    routes: &WorkerRoutes,
) -> Result<HttpResponse, ApiError> {
    // Decoded by actix-web but for `%2F`, `%2B` and `%25`, which a parameter may contain.
    let path = request.match_info().as_str();
    let Some(matched) = routes.matching(path) else {
        return Err(ApiError::new(
            Code::NotFound,
            "there is nothing at this path",
        ));
    };
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed("GET"));
    }
    let handshake = Handshake::check(request)?;
    check_origin(request, shared)?;
    let mut groups = matched
        .groups()
        .map_err(|error| ApiError::name(Code::InvalidGroup, "group", &error))?;
    let of_route = groups.len();
    add_groups(request, shared, &matched, &mut groups).await?;
    let admission = Admission {
        link: handshake.link(),
        encoder: Arc::clone(&matched.route.encoder),
        handling: Handling::Inbound(matched.behaviour(groups.len() - of_route)),
        groups,
        welcome: matched.route.settings.welcome,
        access: shared
            .access
            .then(|| access::session_line(request, shared).into()),
    };
    let ticket = Ticket::admit(&shared.node.worker(), admission).await?;
    Ok(handshake.accept(ticket))
}

fn check_origin(request: &HttpRequest, shared: &Shared) -> Result<(), ApiError> {
    shared.origins.check(request).map_err(|denied| {
        let (origin, path) = (&denied.origin, request.path());
        tracing::warn!(origin, path, "refused a websocket because of its origin");
        ApiError::new(Code::OriginDenied, denied.to_string())
    })
}

/// Adds the groups that are the client's own, behind those of the route.
async fn add_groups(
    request: &HttpRequest,
    shared: &Shared,
    matched: &Matched<'_>,
    groups: &mut Vec<GroupName>,
) -> Result<(), ApiError> {
    let route = &matched.route.settings;
    let of_route = groups.len();
    let mut add = |group: &GroupName| {
        if !groups.iter().take(of_route).any(|own| own == group) {
            groups.push(group.clone());
        }
    };
    if let (Some(auth), true) = (&shared.auth, route.auth) {
        // The application is spared where its word would change nothing.
        shared.node.check_room()?;
        let client = access::client_of(request, shared);
        let question = Question::new(request, &client)
            .map_err(|error| ApiError::new(Code::BadHandshake, error.to_string()))?;
        let identity = auth.identify(question).await?;
        identity.groups.iter().for_each(&mut add);
        identity.user.iter().for_each(add);
    } else if let Some(source) = &route.user {
        claimed_user(request, source)?.iter().for_each(add);
    }
    Ok(())
}

/// The group of the user that the client says it is.
fn claimed_user(request: &HttpRequest, source: &UserSource) -> Result<Option<GroupName>, ApiError> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let Some((_, user)) = query.find(|(key, _)| *key == source.query) else {
        return Ok(None);
    };
    GroupName::user(&user)
        .map(Some)
        .map_err(|error| ApiError::name(Code::InvalidUser, &source.query, &error))
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let code = match denied {
            Denied::Refused(Refusal::NotAuthenticated) => Code::AuthenticationRequired,
            Denied::Refused(Refusal::NotAllowed) => Code::AccessDenied,
            Denied::Unavailable(_) => Code::AuthUnavailable,
        };
        Self::new(code, denied.to_string())
    }
}

impl From<HandshakeError> for ApiError {
    fn from(error: HandshakeError) -> Self {
        let code = match error {
            HandshakeError::UpgradeRequired => Code::UpgradeRequired,
            HandshakeError::Version => Code::UnsupportedVersion,
            HandshakeError::Bad(_) => Code::BadHandshake,
            HandshakeError::WrongServer => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AdmitError> for ApiError {
    fn from(error: AdmitError) -> Self {
        let code = match error {
            AdmitError::NodeFull { .. } | AdmitError::TooManyWorkers => Code::NodeFull,
            AdmitError::Draining => Code::Draining,
            AdmitError::TooManyGroups { .. } => Code::TooManyGroups,
            AdmitError::LayerDown => Code::LayerDown,
            AdmitError::LayerTimeout => Code::LayerTimeout,
        };
        Self::new(code, error.to_string())
    }
}
