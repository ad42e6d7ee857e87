//! The running server: what it is built from, and its life from the first request to the last.

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web;
use anyhow::Context as _;
use fanfare_consumer::{ClusterOptions, Layer};
use fanfare_gateway::{ConnectionMetrics, DrainOptions, Server, Signals};
use fanfare_node::{Limits, PingOptions};
use prometheus::Registry;

use crate::auth::Authenticator;
use crate::banner;
use crate::config::settings::Spoken;
use crate::config::{Backend, Settings};
use crate::http::{self, Shared, audit};
use crate::logging::Logging;
use crate::metrics::{AuthMetrics, HttpMetrics};
use crate::routes::Routes;
use crate::signals;

/// Runs until it is told to stop, and then until the drain is over. Needs an actix system.
pub(crate) async fn run(settings: Settings, logging: &Logging) -> anyhow::Result<()> {
    // First of all: a signal during the start must not kill the process half-built.
    let signals = Signals::catch().context("cannot catch signals")?;
    signals::ignore().context("cannot catch signals")?;
    let routes = Routes::new(&settings.routes)?;
    let registry = Registry::new();
    registry.register(Box::new(logging.lost().clone()))?;
    let metrics = HttpMetrics::new(&registry)?;
    let connection_metrics = ConnectionMetrics::new(&registry)?;
    let node = cluster_options(&settings, &registry).node()?;
    let auth_metrics = AuthMetrics::new(&registry)?;
    let auth = settings.auth.as_ref();
    let auth = auth
        .map(|auth| Authenticator::new(auth, auth_metrics))
        .transpose()?;
    let shared = Shared::new(settings, node.clone(), registry, metrics, auth);
    let shared = web::Data::new(shared);
    let settings = &shared.settings;

    let app_shared = shared.clone();
    let server = Server::new(node.clone(), move || app(&app_shared, &routes))
        .keep_alive(settings.http.keep_alive)
        .write_timeout(settings.http.write)
        .http_connections(settings.limits.http_connections)
        .metrics(connection_metrics)
        .line_bytes(settings.http.line_bytes)
        .head_bytes(settings.http.head_bytes)
        .socket_mode(settings.http.socket_mode)
        .client_request_timeout(settings.limits.handshake)
        .client_disconnect_timeout(settings.limits.handshake)
        .handshake_timeout(settings.limits.handshake);
    let server = match settings.http.workers {
        0 => server,
        threads => server.workers(threads),
    };
    let server = server.bind(settings.http.bind.clone())?;
    let addresses = server.addresses().to_vec();
    let listening: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    tracing::info!(
        node = %node.id(),
        name = settings.node.name,
        addresses = listening.join(" "),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    tell_hosts(settings);
    tell_claimed(settings);
    tell_layer(settings);
    banner::print(settings, &addresses);

    let drain = DrainOptions {
        grace: settings.drain.grace,
        window: settings.drain.window,
    };
    let draining = shared.clone();
    let begin = move || {
        draining.start_draining();
        audit::drain("begin", draining.node.sessions());
    };
    server
        .drain(drain)
        .on_drain(begin)
        .serve_with(signals)
        .await?;
    audit::drain("end", node.sessions());
    Ok(())
}

/// A server that others reach answers to every name until somebody says which ones are its own.
fn tell_hosts(settings: &Settings) {
    if http::hosts::is_open(&settings.http) {
        tracing::warn!(
            "http.hosts is not set, and other machines can reach this server: it answers to every \
             host, also to a name in DNS that a page has made to lead here"
        );
    }
}

/// Whoever serves routes on which anyone can be any user hears of it at every start.
fn tell_claimed(settings: &Settings) {
    let routes = settings.claimed_routes();
    if !routes.is_empty() {
        tracing::warn!(
            routes = routes.join(" "),
            production = settings.signs_of_production().join(", "),
            "development = true: on these routes ANYONE CAN BE ANY USER"
        );
    }
}

/// Two sides that speak differently hear nothing of each other: the log has what is spoken here.
fn tell_layer(settings: &Settings) {
    let layer = &settings.layer;
    match layer.backend {
        Backend::Memory => tracing::info!(backend = "memory", "layer"),
        Backend::Redis => {
            let spoken = Spoken::of(&layer.redis);
            tracing::info!(
                backend = "redis",
                format = spoken.format,
                serializer = spoken.serializer,
                encrypted = spoken.encrypted,
                prefix = layer.prefix,
                hosts = layer.host_labels.join(" "),
                "layer"
            );
        }
    }
}

/// The App; once on each worker thread for requests and once for handshakes. What worker threads
/// share was made before.
fn app(
    shared: &web::Data<Shared>,
    routes: &Routes,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let routes = routes.on_worker(&shared.node);
    App::new()
        .configure(http::configure(shared.clone(), routes))
        // Refusals that no handler answered have it already.
        .wrap(DefaultHeaders::new().add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
        .wrap(from_fn(http::hosts::check))
        .wrap(from_fn(http::catch_panic))
        .wrap(from_fn(http::access::log))
}

fn cluster_options(settings: &Settings, registry: &Registry) -> ClusterOptions {
    let limits = &settings.limits;
    ClusterOptions {
        layer: match settings.layer.backend {
            Backend::Memory => Layer::Memory,
            Backend::Redis => Layer::Redis(settings.layer.redis.clone()),
        },
        prefix: settings.layer.prefix.clone(),
        memory_bytes: limits.memory_bytes,
        limits: Limits {
            sessions: limits.sessions,
            message_bytes: limits.message_bytes,
            frame_bytes: limits.frame_bytes,
            outbox_bytes: limits.outbox_bytes,
            outbox_frames: limits.outbox_frames,
            inbox_frames: limits.inbox_frames,
            inbox_bytes: limits.inbox_bytes,
            fan_out_bytes: limits.fan_out_bytes,
            handoff_frames: limits.handoff_frames,
            handoff_bytes: limits.handoff_bytes,
            groups_per_session: limits.groups_per_session,
            rate: limits.rate.clone(),
        },
        ping: PingOptions {
            interval: settings.ping.interval,
            timeout: settings.ping.timeout,
        },
        join_timeout: settings.layer.join,
        publish_timeout: limits.publish,
        close_timeout: settings.drain.close,
        groups: settings.groups.clone(),
        close_events: settings.layer.close_events,
        registry: registry.clone(),
        ..ClusterOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Sources};

    #[test]
    fn the_rules_of_groups_reach_the_node() {
        let rules = "[[groups]]\npattern = 'chat_vip_*'\n[[groups]]\npattern = 'chat_*'";
        let sources = Sources {
            file: Some(("my.toml".into(), rules.into())),
            ..Sources::default()
        };
        let settings = config::load(&sources).expect("valid").settings;
        let cluster = fanfare_consumer::Cluster::new(cluster_options(&settings, &Registry::new()))
            .expect("memory");
        let group = fanfare_protocol::GroupName::parse("chat_vip_1").expect("legal");
        let rule = cluster.node().options().groups.of(&group).expect("a rule");
        assert_eq!(rule.pattern, "chat_vip_*");
    }

    #[test]
    fn an_untouched_configuration_is_what_a_library_cluster_is_made_of() {
        let settings = config::load(&Sources::default()).expect("valid").settings;
        let mut configured = cluster_options(&settings, &Registry::new());
        let mut of_library = ClusterOptions::default();
        let registry = Registry::new();
        configured.registry = registry.clone();
        of_library.registry = registry;
        assert_eq!(format!("{configured:?}"), format!("{of_library:?}"));
        assert_eq!(settings.drain.grace, DrainOptions::default().grace);
        assert_eq!(settings.drain.window, DrainOptions::default().window);
    }
}
