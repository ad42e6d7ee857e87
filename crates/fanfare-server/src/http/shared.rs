//! What every request may look at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fanfare_node::Node;
use fanfare_web::middleware::OriginRule;
use prometheus::Registry;

use super::guesses::Guesses;
use super::hosts::Hosts;
use crate::auth::Authenticator;
use crate::config::settings::Settings;
use crate::metrics::HttpMetrics;

/// The process as its HTTP side sees it; one for all worker threads.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) settings: Settings,
    pub(crate) origins: OriginRule,
    pub(crate) hosts: Hosts,
    /// Asks the application who a client is; `None` when nobody is asked.
    pub(crate) auth: Option<Authenticator>,
    /// Whether access lines are written.
    pub(crate) access: bool,
    /// Whether a session knows its path and its client, for the lines about it.
    pub(crate) names_sessions: bool,
    pub(crate) registry: Registry,
    pub(crate) metrics: HttpMetrics,
    /// Wrong API keys.
    pub(crate) guesses: Guesses,
    pub(crate) started: Instant,
    draining: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        node: Node,
        registry: Registry,
        metrics: HttpMetrics,
        auth: Option<Authenticator>,
    ) -> Self {
        Self {
            node,
            origins: match &settings.http.origins {
                None => OriginRule::same_host(),
                Some(patterns) => OriginRule::patterns(patterns),
            },
            hosts: Hosts::new(&settings.http),
            auth,
            access: settings.log.access,
            names_sessions: settings.log.access || settings.log.audit,
            settings,
            registry,
            metrics,
            guesses: Guesses::new(),
            started: Instant::now(),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on the node calls itself not ready.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
