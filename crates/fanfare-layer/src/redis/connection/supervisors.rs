//! All hosts of a layer: each kept connected by a task, each with its share of what is wanted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::{oneshot, watch};

use super::status::HostStatus;
use super::subscriptions::Subscriptions;
use super::supervisor::{Backend, HostSupervisor, Running};
use crate::redis::hosts::host::Host;
use crate::{LayerMetrics, Status, SubscribeError, Subscription};

type Answer = Result<(), SubscribeError>;

/// The tasks of all hosts. Dropped, they end as if it were closed.
pub(in crate::redis) struct Supervisors {
    status: Arc<HostStatus>,
    closing: watch::Sender<bool>,
    /// How many of them have not ended.
    running: watch::Receiver<usize>,
    /// One for each host.
    subscriptions: Vec<Arc<Subscriptions>>,
}

/// What a host's task is made of.
pub(in crate::redis) struct HostTask<B> {
    pub(in crate::redis) host: Host,
    pub(in crate::redis) backend: B,
    pub(in crate::redis) subscriptions: Arc<Subscriptions>,
}

impl Supervisors {
    /// Starts a task for each host; `last` is called when the last one has ended.
    pub(in crate::redis) fn start<B: Backend>(
        tasks: Vec<HostTask<B>>,
        limit: Duration,
        metrics: &LayerMetrics,
        last: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let status = Arc::new(HostStatus::new(tasks.len(), metrics.clone()));
        let (closing, closed) = watch::channel(false);
        let (count, running) = watch::channel(tasks.len());
        let count = Arc::new(count);
        let mut subscriptions = Vec::with_capacity(tasks.len());
        for (index, task) in tasks.into_iter().enumerate() {
            subscriptions.push(task.subscriptions.clone());
            let supervisor = HostSupervisor {
                backend: task.backend,
                host: task.host,
                index,
                subscriptions: task.subscriptions,
                metrics: metrics.clone(),
                limit,
                status: status.clone(),
                closing: closed.clone(),
                running: Running {
                    tasks: count.clone(),
                    last: last.clone(),
                },
            };
            tokio::spawn(supervisor.run());
        }
        Self {
            status,
            closing,
            running,
            subscriptions,
        }
    }

    /// Hands each host its share of a change; `place` says whose a subscription is.
    pub(in crate::redis) fn change(
        &self,
        subscriptions: Vec<Subscription>,
        place: impl Fn(&Subscription) -> usize,
        change: impl Fn(&Subscriptions, Vec<Subscription>) -> oneshot::Receiver<Answer>,
    ) -> BoxFuture<'static, Answer> {
        let mut shares = vec![Vec::new(); self.subscriptions.len()];
        for subscription in subscriptions {
            if let Some(share) = shares.get_mut(place(&subscription)) {
                share.push(subscription);
            }
        }
        let shares = self.subscriptions.iter().zip(shares);
        let answers: Vec<_> = shares
            .filter(|(_, share)| !share.is_empty())
            .map(|(host, share)| change(host, share))
            .collect();
        async move {
            let gone = || SubscribeError("it is closed".into());
            let answers = answers
                .into_iter()
                .map(|answer| async move { answer.await.unwrap_or_else(|_| Err(gone())) });
            try_join_all(answers).await.map(|_| ())
        }
        .boxed()
    }

    pub(in crate::redis) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(in crate::redis) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Ends the tasks; resolves when they have ended.
    pub(in crate::redis) fn close(&self) -> BoxFuture<'static, ()> {
        self.closing.send_replace(true);
        let mut running = self.running.clone();
        async move {
            // An error means that the keepers are gone, with their runtime.
            let _ = running.wait_for(|running| *running == 0).await;
        }
        .boxed()
    }
}
