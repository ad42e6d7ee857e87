//! The configured WebSocket routes.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::header::HeaderName;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use fanfare_layer::Throttle;
use fanfare_node::{Handling, Identity};
use fanfare_protocol::GroupName;
use fanfare_web::{Accept, Code, Opening, Refusal, Request, SessionSpec};

use super::Shared;
use super::access;
use crate::auth::{Decided, Denial, Denied, Question};
use crate::config::settings::UserSource;
use crate::routes::{Route, WorkerRoutes};

/// Serves what no other resource takes: the route of the path, or the answer that there is none.
pub(crate) fn configure(routes: WorkerRoutes) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        let serve = move |mut request: ServiceRequest| {
            let route = routes.find(request.match_info_mut());
            async move {
                let request = request.into_parts().0;
                let answer = answer(Request::new(request.clone()), route).await;
                Ok::<_, Error>(match answer {
                    Ok(response) => ServiceResponse::new(request, response),
                    Err(refusal) => ServiceResponse::from_err(refusal, request),
                })
            }
        };
        app.default_service(fn_service(serve));
    }
}

async fn answer(request: Request, route: Option<Rc<Route>>) -> Result<HttpResponse, Refusal> {
    let Some(route) = route else {
        let message = "there is nothing at this path";
        return Err(Refusal::new(Code::NotFound, message));
    };
    let shared = request.app_data::<web::Data<Shared>>().cloned();
    let shared = shared.ok_or_else(Refusal::internal)?;
    open(request, &shared, &route).await
}

async fn open(request: Request, shared: &Shared, route: &Route) -> Result<HttpResponse, Refusal> {
    let mut opening = Opening::check(&request, Some(&shared.origins), &route.settings.groups)?;
    let proxies = &shared.settings.http.trusted_proxies;
    let access = shared
        .names_sessions
        .then(|| access::session_line(&request, proxies));
    let identity = identity(&request, shared, route, opening.groups()).await?;
    let ticket = opening.seat(SessionSpec {
        encoder: Arc::clone(&route.encoder),
        handling: Handling::Inbound(Rc::clone(&route.inbound)),
        identity,
        welcome: route.settings.welcome,
        access: access.map(Into::into),
    })?;
    ticket.groups().join().await?;
    Ok(opening.answer(ticket, Accept::new()))
}

/// Who the client is: by the word of the application, or by its own where the route believes that.
async fn identity(
    request: &Request,
    shared: &Shared,
    route: &Route,
    groups: &[GroupName],
) -> Result<Option<Arc<Identity>>, Refusal> {
    if let (Some(auth), true) = (&shared.auth, route.settings.auth) {
        let client = shared.settings.http.trusted_proxies.client(request);
        let decided = Decided {
            route: &route.settings.path,
            groups,
        };
        let question = Question::new(request, &client, &decided)
            .map_err(|error| Refusal::new(Code::BadHandshake, error.to_string()))?;
        return Ok(Some(auth.identify(question).await?));
    }
    match &route.settings.user {
        Some(source) => claimed(request, source),
        None => Ok(None),
    }
}

/// The user that the client says it is. Behind a proxy there are strangers, whatever the
/// configuration says.
fn claimed(request: &HttpRequest, source: &UserSource) -> Result<Option<Arc<Identity>>, Refusal> {
    if let Some(header) = forwarded(request) {
        static TOLD: Throttle = Throttle::new();
        if let Some(times) = TOLD.admit(1) {
            tracing::error!(
                header,
                times,
                "refused a websocket: the route has `user`, for development alone, and the request \
                 came through a proxy"
            );
        }
        return Err(Refusal::new(
            Code::DevelopmentOnly,
            "this route believes any user, for development, and the request came through a proxy",
        ));
    }
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let Some((_, user)) = query.find(|(key, _)| *key == source.query) else {
        return Ok(None);
    };
    match Identity::of_user(&user) {
        Ok(identity) => Ok(Some(Arc::new(identity))),
        Err(error) => Err(Refusal::name(Code::InvalidUser, &source.query, &error)),
    }
}

/// A header that a proxy has put there.
fn forwarded(request: &HttpRequest) -> Option<&str> {
    let names = request.headers().keys().map(HeaderName::as_str);
    let of_proxy = |name: &&str| {
        name.starts_with("x-forwarded-") || matches!(*name, "forwarded" | "x-real-ip" | "via")
    };
    names.into_iter().find(of_proxy)
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let code = match denied {
            Denied::Refused(Denial::NotAuthenticated) => Code::AuthenticationRequired,
            Denied::Refused(Denial::NotAllowed) => Code::AccessDenied,
            Denied::Unavailable(_) => Code::AuthUnavailable,
        };
        Self::new(code, denied.to_string())
    }
}
