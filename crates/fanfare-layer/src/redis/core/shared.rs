//! What the parts of a core layer have in common.

use std::sync::Arc;

use super::demand::Demand;
use super::host::commands::CommandConnection;
use super::keys::Keys;
use super::unpack::Bodies;
use crate::LayerMetrics;
use crate::redis::options::RedisPace;
use crate::redis::options::core::CoreOptions;
use crate::redis::queue::incoming::Incoming;

/// What the parts of a core layer have in common.
pub(super) struct Shared {
    pub(super) keys: Arc<Keys>,
    pub(super) options: CoreOptions,
    /// One for each host, in their order.
    pub(super) servers: Vec<Arc<CommandConnection>>,
    pub(super) incoming: Arc<Incoming<Bodies>>,
    pub(super) demand: Demand,
    pub(super) metrics: LayerMetrics,
    pub(super) pace: RedisPace,
}
