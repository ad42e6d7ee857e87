//! All hosts of a layer: each kept connected by a task, each with its share of what is wanted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::{oneshot, watch};

use super::board::Board;
use super::hosts::Host;
use super::keeper::{Backend, Keeper, Running};
use super::subscriptions::Subscriptions;
use crate::{LayerMetrics, Status, SubscribeError, Subscription};

type Answer = Result<(), SubscribeError>;

/// The tasks of all hosts. Dropped, they end as if it were closed.
pub(super) struct Keepers {
    board: Arc<Board>,
    closing: watch::Sender<bool>,
    /// How many of them have not ended.
    running: watch::Receiver<usize>,
    /// One for each host.
    subscriptions: Vec<Arc<Subscriptions>>,
}

/// What a host's task is made of.
pub(super) struct Post<B> {
    pub(super) host: Host,
    pub(super) backend: B,
    pub(super) subscriptions: Arc<Subscriptions>,
}

impl Keepers {
    /// Starts a task for each host; `last` is called when the last one has ended.
    pub(super) fn start<B: Backend>(
        posts: Vec<Post<B>>,
        probe: Duration,
        metrics: &LayerMetrics,
        last: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let board = Arc::new(Board::new(posts.len(), metrics.clone()));
        let (closing, closed) = watch::channel(false);
        let (tasks, running) = watch::channel(posts.len());
        let tasks = Arc::new(tasks);
        let mut subscriptions = Vec::with_capacity(posts.len());
        for (index, post) in posts.into_iter().enumerate() {
            subscriptions.push(post.subscriptions.clone());
            let keeper = Keeper {
                backend: post.backend,
                host: post.host,
                index,
                subscriptions: post.subscriptions,
                metrics: metrics.clone(),
                probe,
                board: board.clone(),
                closing: closed.clone(),
                running: Running {
                    tasks: tasks.clone(),
                    last: last.clone(),
                },
            };
            tokio::spawn(keeper.run());
        }
        Self {
            board,
            closing,
            running,
            subscriptions,
        }
    }

    /// Hands each host its share of a change; `place` says whose a subscription is.
    pub(super) fn change(
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

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.board.subscribe()
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Ends the tasks; resolves when they have ended.
    pub(super) fn close(&self) -> BoxFuture<'static, ()> {
        self.closing.send_replace(true);
        let mut running = self.running.clone();
        async move {
            // An error means that the keepers are gone, with their runtime.
            let _ = running.wait_for(|running| *running == 0).await;
        }
        .boxed()
    }
}
