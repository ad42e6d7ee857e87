//! The running server: what it is built from, and its life from the first request to the last.

use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web;
use anyhow::Context as _;
use fanfare_gateway::Server;
use fanfare_layer::redis::{self, PubSubOptions};
use fanfare_layer::{ChannelLayer, LayerMetrics, MemoryLayer, Sink};
use fanfare_node::{Limits, Node, NodeOptions, PingOptions};
use fanfare_protocol::{Naming, NodeId};
use prometheus::Registry;

use crate::config::{Backend, Settings};
use crate::drain::drain;
use crate::http::{self, Shared};
use crate::metrics::HttpMetrics;
use crate::routes::Routes;
use crate::signals::Signals;
use crate::{access, banner};

/// What may wait in the layer's stream, in inboxes of a worker: one read of the connection may
/// bring more than an inbox holds.
const STREAM: usize = 16;
/// How often Redis is probed end to end, and how long it may take to answer.
const PROBE: Duration = Duration::from_secs(2);
/// How long an emptied group stays subscribed: a page that is loaded again finds it still there.
const LINGER: Duration = Duration::from_secs(3);

/// Runs until it is told to stop, and then until the drain is over. Needs an actix system.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    // First of all: a signal during the start must not kill the process half-built.
    let mut signals = Signals::catch().context("cannot catch signals")?;
    let routes = Routes::compile(&settings.routes).map_err(|errors| {
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", texts.join("\n"))
    })?;
    let registry = Registry::new();
    let metrics = HttpMetrics::new(&registry)?;
    let node = node(&settings, &registry)?;
    let shared = Shared::new(settings, node.clone(), registry, metrics);
    let shared = web::Data::new(shared);
    let settings = &shared.settings;

    let app_shared = shared.clone();
    let server = Server::new(node.clone(), move || app(&app_shared, &routes))
        .workers(worker_threads(settings))
        .handshake_timeout(settings.limits.handshake)
        .bind(settings.http.bind.clone())?;
    let addresses = server.addresses().to_vec();
    let listening: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let (handle, running) = server.run();
    let mut running = actix_rt::spawn(running);
    tracing::info!(
        node = %node.id(),
        name = settings.node.name,
        addresses = listening.join(" "),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    banner::print(settings, &addresses);

    tokio::select! {
        ended = &mut running => {
            ended.context("the listener panicked")?.context("the listener failed")?;
            anyhow::bail!("the listener ended by itself");
        }
        signal = signals.next() => {
            tracing::info!(signal, "draining; a second signal ends the process at once");
        }
    }
    tokio::select! {
        () = drain(&shared, &handle) => Ok(()),
        signal = signals.next() => anyhow::bail!("{signal} again: ended without waiting"),
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
        .wrap(from_fn(http::catch_panic))
        .wrap(from_fn(access::log))
}

fn node(settings: &Settings, registry: &Registry) -> anyhow::Result<Node> {
    let id = NodeId::random().context("no random source")?;
    let layer_metrics = LayerMetrics::new(registry)?;
    let prefix = &settings.layer.prefix;
    let naming = match settings.layer.backend {
        Backend::Memory => Naming::plain(prefix),
        Backend::Redis => redis::naming(prefix),
    };
    let limits = &settings.limits;
    let options = NodeOptions {
        id,
        naming,
        limits: Limits {
            sessions: limits.sessions,
            message_bytes: limits.message_bytes,
            frame_bytes: limits.frame_bytes,
            outbox_bytes: limits.outbox_bytes,
            outbox_frames: limits.outbox_frames,
            inbox_frames: limits.inbox_frames,
            groups_per_session: limits.groups_per_session,
        },
        ping: PingOptions {
            interval: settings.ping.interval,
            timeout: settings.ping.timeout,
        },
        join_timeout: settings.layer.join,
        close_timeout: settings.drain.close,
        linger: LINGER,
        subscribes: settings.layer.backend == Backend::Redis,
    };
    let layer = |sink: Arc<dyn Sink>| layer(settings, id, sink, layer_metrics);
    Ok(Node::new(options, registry, layer)?)
}

fn layer(
    settings: &Settings,
    node: NodeId,
    sink: Arc<dyn Sink>,
    metrics: LayerMetrics,
) -> Arc<dyn ChannelLayer> {
    match settings.layer.backend {
        Backend::Memory => Arc::new(MemoryLayer::new(sink, metrics)),
        Backend::Redis => {
            let options = PubSubOptions {
                hosts: settings.layer.hosts.clone(),
                prefix: settings.layer.prefix.clone(),
                node,
                publish_in_flight: settings.limits.inbox_frames,
                inbox: settings.limits.inbox_frames.saturating_mul(STREAM),
                probe: PROBE,
            };
            redis::pubsub(options, metrics)
        }
    }
}

fn worker_threads(settings: &Settings) -> usize {
    match settings.http.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}
