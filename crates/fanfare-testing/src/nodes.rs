//! Several nodes in one test.

use fanfare_consumer::{Cluster, ClusterOptions, Layer};
use fanfare_layer::MemoryBus;

use crate::unlimited;

/// The clusters of `N` nodes that reach each other without Redis: what one of them publishes
/// reaches the sessions of all. Each runs its App with [`Application::with`](crate::Application::with).
///
/// # Panics
/// When a cluster cannot be created.
pub fn nodes<const N: usize>() -> [Cluster; N] {
    let bus = MemoryBus::new();
    std::array::from_fn(|_| {
        let options = ClusterOptions {
            layer: Layer::Bus(bus.clone()),
            ..unlimited::options()
        };
        match Cluster::new(options) {
            Ok(cluster) => cluster,
            Err(error) => panic!("no cluster can be made: {error}"),
        }
    })
}
