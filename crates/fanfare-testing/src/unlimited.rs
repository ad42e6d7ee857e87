//! The cluster of a test that brings none of its own.

use fanfare_consumer::{Cluster, ClusterError, ClusterOptions};
use fanfare_node::RateLimits;

/// The defaults without limits by rate: all clients of a test have one address, and they send when
/// the test says so.
pub(crate) fn options() -> ClusterOptions {
    let mut options = ClusterOptions::default();
    options.limits.rate = RateLimits::OFF;
    options
}

/// A cluster in memory with these options.
pub(crate) fn cluster() -> Result<Cluster, ClusterError> {
    Cluster::new(options())
}
