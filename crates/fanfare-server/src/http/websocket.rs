//! The configured WebSocket routes as resources of the App.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use fanfare_node::{Handling, Identity};
use fanfare_protocol::GroupName;
use fanfare_web::{Accept, Code, Opening, Refusal, Request, SessionSpec};

use super::Shared;
use super::access;
use crate::auth::{Decided, Denial, Denied, Question};
use crate::config::settings::UserSource;
use crate::routes::Route;

/// A resource for each route, in the order of the configuration: the first that matches counts.
pub(crate) fn configure(routes: Vec<Route>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        for route in routes {
            let route = Rc::new(route);
            let patterns = route.settings.path.patterns();
            let handler = move |request: HttpRequest, shared: web::Data<Shared>| {
                let route = Rc::clone(&route);
                async move { open(Request::new(request), &shared, &route).await }
            };
            app.service(web::resource(patterns).to(handler));
        }
    }
}

async fn open(request: Request, shared: &Shared, route: &Route) -> Result<HttpResponse, Refusal> {
    let mut opening = Opening::check(&request, Some(&shared.origins), &route.settings.groups)?;
    let proxies = &shared.settings.http.trusted_proxies;
    let access = shared
        .access
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

/// The user that the client says it is.
fn claimed(request: &HttpRequest, source: &UserSource) -> Result<Option<Arc<Identity>>, Refusal> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let Some((_, user)) = query.find(|(key, _)| *key == source.query) else {
        return Ok(None);
    };
    match Identity::of_user(&user) {
        Ok(identity) => Ok(Some(Arc::new(identity))),
        Err(error) => Err(Refusal::name(Code::InvalidUser, &source.query, &error)),
    }
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
