//! One state out of the states of many hosts.

use std::sync::Arc;

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
    each: Vec<Answers>,
    /// Whether all were up at once some time: tells Down from Connecting.
    answered: bool,
}

/// Whether a host answers, and why not if that is known.
type Answers = Result<(), Option<Arc<str>>>;

impl HostStatus {
    pub(in crate::redis) fn new(hosts: usize, metrics: LayerMetrics) -> Self {
        metrics.up.set(0);
        let start = Status::new(State::Connecting);
        Self {
            hosts: Mutex::new(Hosts {
                each: vec![Err(None); hosts],
                answered: false,
            }),
            status: watch::channel(start).0,
            metrics,
        }
    }

    pub(in crate::redis) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// `answers` is why the host does not answer, if it does not.
    pub(in crate::redis) fn set(&self, host: usize, answers: Result<(), &str>) {
        // Held while the status is sent, so that two hosts cannot send theirs in the wrong order.
        let mut hosts = self.hosts.lock();
        if let Some(entry) = hosts.each.get_mut(host) {
            *entry = answers.map_err(|reason| Some(reason.into()));
        }
        let all = hosts.each.iter().all(Result::is_ok);
        hosts.answered |= all;
        let state = match (all, hosts.answered) {
            (true, _) => State::Up,
            (false, true) => State::Down,
            (false, false) => State::Connecting,
        };
        let mut reasons = hosts.each.iter().filter_map(|each| each.clone().err()?);
        let reason = reasons.next();
        self.metrics.up.set(i64::from(all));
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            if changed {
                *status = Status::new(state);
            }
            status.reason = reason;
            changed
        });
    }
}
