//! One state out of the states of many hosts.

use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{LayerMetrics, State, Status};

/// The layer is up while every host is: a group lives on one of them, and nobody knows which.
#[derive(Debug)]
pub(in crate::redis) struct HostStatus {
    hosts: Mutex<Hosts>,
    status: watch::Sender<Status>,
    metrics: LayerMetrics,
}

#[derive(Debug)]
struct Hosts {
    up: Vec<bool>,
    /// Whether all were up at once some time: tells Down from Connecting.
    answered: bool,
}

impl HostStatus {
    pub(in crate::redis) fn new(hosts: usize, metrics: LayerMetrics) -> Self {
        metrics.up.set(0);
        let start = Status {
            state: State::Connecting,
            since: Instant::now(),
        };
        Self {
            hosts: Mutex::new(Hosts {
                up: vec![false; hosts],
                answered: false,
            }),
            status: watch::channel(start).0,
            metrics,
        }
    }

    pub(in crate::redis) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(in crate::redis) fn set(&self, host: usize, up: bool) {
        // Held while the status is sent, so that two hosts cannot send theirs in the wrong order.
        let mut hosts = self.hosts.lock();
        if let Some(entry) = hosts.up.get_mut(host) {
            *entry = up;
        }
        let all = hosts.up.iter().all(|up| *up);
        hosts.answered |= all;
        let state = match (all, hosts.answered) {
            (true, _) => State::Up,
            (false, true) => State::Down,
            (false, false) => State::Connecting,
        };
        self.metrics.up.set(i64::from(all));
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            if changed {
                *status = Status {
                    state,
                    since: Instant::now(),
                };
            }
            changed
        });
    }
}
