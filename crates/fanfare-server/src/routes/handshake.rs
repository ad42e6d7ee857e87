//! From a request on a WebSocket route to a session, or to the response that refuses it.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use fanfare_consumer::{Handshake, HandshakeError};
use fanfare_node::{Admission, AdmitError, Handling};
use fanfare_protocol::GroupName;

use super::{Matched, WorkerRoutes};
use crate::access;
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
    let (groups, has_user) = groups(request, &matched)?;
    let behaviours = matched.behaviours;
    let admission = Admission {
        link: handshake.link(),
        plan: Arc::clone(&matched.route.plan),
        handling: Handling::Inbound(Rc::clone(if has_user {
            &behaviours.user
        } else {
            &behaviours.anonymous
        })),
        groups,
        welcome: matched.route.settings.welcome,
        access: shared
            .access
            .then(|| access::session_line(request, shared).into()),
    };
    let ticket = shared.node.worker().admit(admission).await?;
    Ok(handshake.accept(ticket))
}

fn check_origin(request: &HttpRequest, shared: &Shared) -> Result<(), ApiError> {
    shared.origins.check(request).map_err(|denied| {
        let (origin, path) = (&denied.origin, request.path());
        tracing::warn!(origin, path, "refused a websocket because of its origin");
        ApiError::new(Code::OriginDenied, denied.to_string())
    })
}

/// The route's groups, then the user's; whether there is a group of the user alone.
fn groups(
    request: &HttpRequest,
    matched: &Matched<'_>,
) -> Result<(Vec<GroupName>, bool), ApiError> {
    let mut groups = matched
        .groups()
        .map_err(|error| ApiError::name(Code::InvalidGroup, "group", &error))?;
    let Some(source) = &matched.route.settings.user else {
        return Ok((groups, false));
    };
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let Some((_, user)) = query.find(|(key, _)| *key == source.query) else {
        return Ok((groups, false));
    };
    let group = GroupName::user(&user)
        .map_err(|error| ApiError::name(Code::InvalidUser, &source.query, &error))?;
    if groups.contains(&group) {
        return Ok((groups, false));
    }
    groups.push(group);
    Ok((groups, true))
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
