//! The metric that shows a worker that is held up: the age of its oldest delivery.
//!
//! A thread that is blocked cannot report that it is, so the figure is read from its inbox by
//! whoever collects the metrics.

use std::sync::Weak;
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::Directory;

/// Reads the age of each worker's oldest delivery when metrics are collected.
pub(crate) struct Watchdog {
    directory: Weak<Directory>,
    oldest: GaugeVec,
}

impl Watchdog {
    pub(crate) fn new(directory: Weak<Directory>) -> prometheus::Result<Self> {
        let help = "Age of the oldest delivery that waits for a worker thread, by its number.";
        let options = Opts::new("fanfare_inbox_oldest_seconds", help);
        Ok(Self {
            directory,
            oldest: GaugeVec::new(options, &["worker"])?,
        })
    }
}

impl Collector for Watchdog {
    fn desc(&self) -> Vec<&Desc> {
        self.oldest.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(directory) = self.directory.upgrade() {
            for (worker, age) in directory.oldest(Instant::now()) {
                let gauge = self.oldest.with_label_values(&[&worker.to_string()]);
                gauge.set(age.as_secs_f64());
            }
        }
        self.oldest.collect()
    }
}
