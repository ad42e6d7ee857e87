//! Routes whose users the clients name themselves: for development alone.

use fanfare_web::middleware::HostRule;

use super::listen;
use super::reader::Reader;
use super::settings::Settings;

impl Settings {
    /// The paths of the routes on which anyone can be any user.
    pub(crate) fn claimed_routes(&self) -> Vec<&str> {
        let claimed = self.routes.iter().filter(|route| route.user.is_some());
        claimed.map(|route| route.path.as_str()).collect()
    }

    /// What says that strangers reach this server.
    pub(crate) fn signs_of_production(&self) -> Vec<&'static str> {
        let origins = self.http.origins.iter().flatten();
        let public = |origin: &String| !HostRule::local().allows(host_of(origin));
        let signs = [
            (
                !self.http.bind.iter().all(listen::is_local),
                "other machines can reach http.bind",
            ),
            (
                !self.http.trusted_proxies.is_empty(),
                "http.trusted_proxies has a proxy",
            ),
            (
                origins.clone().any(public),
                "http.origins has a public host",
            ),
            (
                self.layer
                    .redis
                    .hosts
                    .iter()
                    .any(|host| host.has_password()),
                "layer.redis.hosts has a password",
            ),
        ];
        let signs = signs.into_iter().filter(|(is_there, _)| *is_there);
        signs.map(|(_, sign)| sign).collect()
    }
}

/// The authority of an origin's pattern.
fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.strip_prefix('.').unwrap_or(host)
}

/// Refuses such routes unless somebody says that this is development.
pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    let paths = settings.claimed_routes();
    if settings.development || paths.is_empty() {
        return;
    }
    let mut reason = format!(
        "must be true for routes with `user`, because there anyone can be any user: {}; configure \
         them without `user`, or let auth.url say who they are",
        paths.join(", ")
    );
    let signs = settings.signs_of_production();
    if !signs.is_empty() {
        reason.push_str(&format!(
            "; and this looks like production: {}",
            signs.join(", ")
        ));
    }
    reader.refuse("development", reason);
}
