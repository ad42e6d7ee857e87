//! What several of these tests need.

use std::sync::{Arc, Mutex};

use fanfare::protocol::{Envelope, Target};
use fanfare::{Cluster, ClusterOptions, Event};

/// What consumers write down and tests read; clones share it.
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    /// What has been written since the last time.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A cluster that differs from the default one.
pub(crate) fn cluster(change: impl FnOnce(&mut ClusterOptions)) -> Cluster {
    let mut options = ClusterOptions::default();
    change(&mut options);
    Cluster::new(options).unwrap()
}

/// The value of a metric, such as `fanfare_sessions_closed_total{reason="kicked"}`; 0 when there is
/// none.
pub(crate) fn metric(cluster: &Cluster, name: &str) -> u64 {
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&cluster.registry().gather())
        .unwrap();
    let line = text.lines().find_map(|line| {
        let (own, value) = line.rsplit_once(' ')?;
        (own == name).then_some(value)
    });
    line.map_or(0, |value| value.parse().unwrap())
}

/// The sum of a family's metrics.
pub(crate) fn metrics(cluster: &Cluster, family: &str) -> u64 {
    let families = cluster.registry().gather();
    let family = families.iter().find(|own| own.name() == family);
    let counters = family.into_iter().flat_map(|family| family.get_metric());
    counters
        .map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

/// Publishes as another application of the layer could, past the rules for events.
pub(crate) async fn publish(cluster: &Cluster, target: Target, event: &serde_json::Value) {
    let envelope = Arc::new(Envelope::new(Event::of(event).unwrap()));
    let published = cluster.node().publish(target, envelope);
    published.confirmed().await.unwrap();
}
