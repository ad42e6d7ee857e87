//! Whether a request is for this server, and says once what it says once.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use fanfare_web::middleware::{HostRefused, HostRule};
use fanfare_web::{Refusal, TrustedProxies, peer};

use super::Shared;
use crate::config::is_local;
use crate::config::settings::Http;

/// What a proxy says once. `X-Forwarded-For` is a list, whose last entry is the proxy's.
const PROXIES: [(HeaderName, &str); 4] = [
    (
        HeaderName::from_static("x-forwarded-host"),
        "X-Forwarded-Host",
    ),
    (
        HeaderName::from_static("x-forwarded-proto"),
        "X-Forwarded-Proto",
    ),
    (
        HeaderName::from_static("x-forwarded-port"),
        "X-Forwarded-Port",
    ),
    (HeaderName::from_static("x-real-ip"), "X-Real-IP"),
];

/// What the configuration says or implies.
pub(crate) struct Hosts {
    rule: HostRule,
    /// Whether there is a list. A process on a Unix socket is no browser, so without a list it may
    /// ask for any host.
    given: bool,
}

impl Hosts {
    pub(crate) fn new(http: &Http) -> Self {
        let given = !http.hosts.is_empty();
        let rule = if given {
            HostRule::local().and(&http.hosts)
        } else if http.bind.iter().all(is_local) {
            HostRule::local().and(http.origins.iter().flatten())
        } else {
            HostRule::any()
        };
        Self { rule, given }
    }

    fn check(&self, request: &HttpRequest) -> Result<(), HostRefused> {
        if is_health(request.path()) || (!self.given && peer(request).is_none()) {
            return HostRule::any().check(request);
        }
        self.rule.check(request)
    }
}

/// Refuses what is not for this server, and what names one thing twice.
pub(crate) async fn check(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(shared) = request.app_data::<web::Data<Shared>>() {
        let proxies = &shared.settings.http.trusted_proxies;
        let checked = says_once(request.request(), proxies)
            .and_then(|()| shared.hosts.check(request.request()));
        checked.map_err(Refusal::from)?;
    }
    next.call(request).await
}

/// Headers of strangers that only a proxy sends are not read at all.
fn says_once(request: &HttpRequest, proxies: &TrustedProxies) -> Result<(), HostRefused> {
    let is_there_twice = |name: &HeaderName| request.headers().get_all(name).nth(1).is_some();
    if is_there_twice(&header::ORIGIN) {
        return Err(HostRefused::Several("Origin"));
    }
    if !proxies.trust_peer_of(request) {
        return Ok(());
    }
    match PROXIES.iter().find(|(name, _)| is_there_twice(name)) {
        Some((_, shown)) => Err(HostRefused::Several(shown)),
        None => Ok(()),
    }
}

/// Balancers ask with whatever host they like.
fn is_health(path: &str) -> bool {
    matches!(path, "/health/live" | "/health/ready")
}

/// Whether every host is answered because nothing says which ones are meant.
pub(crate) fn is_open(http: &Http) -> bool {
    http.hosts.is_empty() && !http.bind.iter().all(is_local)
}
