//! Publishing: from orders to copies in the zsets of nodes and processes.
//!
//! One task sends everything that this node publishes, a batch at a time, so the order of the calls
//! is the order in every zset. For a batch it looks up the `groups`, sorts their members into
//! `buckets`, one for each process, and sends each process its copy in `rounds`, all hosts at once.
//! A copy is one call of the `script`, which honours the channel's capacity.

mod buckets;
mod groups;
mod hosts;
pub(super) mod request;
mod rounds;
pub(super) mod script;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fanfare_protocol::Target;
use futures_util::FutureExt as _;

use super::shared::Shared;
use crate::Throttle;
use crate::redis::queue::outgoing::{Batch, Outgoing, Reply};
use groups::Groups;
use hosts::Hosts;
use request::{Outcome, PublishRequest, Tally};
use rounds::Rounds;

/// Sends what the queue brings, for ever.
pub(super) async fn run(shared: Arc<Shared>, outgoing: Arc<Outgoing<PublishRequest>>) {
    let sender = Sender {
        hosts: Hosts::new(&shared),
        throttle: Throttle::default(),
    };
    sender.run(outgoing).await;
}

/// The task's state.
struct Sender {
    hosts: Hosts,
    /// Of lines about full channels.
    throttle: Throttle,
}

impl Sender {
    async fn run(mut self, outgoing: Arc<Outgoing<PublishRequest>>) {
        loop {
            let batch = outgoing.next_batch().await;
            // A panic must not leave a pipe that nobody empties.
            match AssertUnwindSafe(self.send(&batch)).catch_unwind().await {
                Ok(replies) => batch.answered(replies),
                Err(_) => {
                    drop(batch);
                    tracing::error!("sending panicked; its publishes count as unanswered");
                }
            }
        }
    }

    /// Sends every order; the replies are in their order.
    async fn send(&mut self, batch: &Batch<PublishRequest>) -> Vec<Reply> {
        let requests: Vec<_> = batch.works().collect();
        let groups = Groups::look_up(&self.hosts, &requests).await;
        let routes = groups.routes(&self.hosts);
        let mut rounds = Rounds::new(&mut self.hosts, requests.len());
        for (at, request) in requests.iter().enumerate() {
            match &request.target {
                Target::Channel(channel) => rounds.send_one(at, request, channel).await,
                Target::Group(group) => match routes.get(group) {
                    Some(Ok(routes)) => rounds.send_group(at, request, routes).await,
                    Some(Err(outcome)) => rounds.note(at, Outcome::clone(outcome)),
                    None => {}
                },
            }
        }
        let tallies = rounds.end().await;
        self.count(&requests, &tallies);
        let replies = requests.iter().zip(tallies);
        replies
            .map(|(request, tally)| request.reply(tally))
            .collect()
    }

    /// Counts the copies of groups that met full channels, and says so now and then. Counts what
    /// had lapsed there too.
    fn count(&self, requests: &[&PublishRequest], tallies: &[Tally]) {
        let metrics = &self.hosts.metrics;
        let mut worst = None;
        let mut copies = 0;
        for (request, tally) in requests.iter().zip(tallies) {
            metrics.lapsed.inc_by(tally.lapsed());
            let (full, channels) = tally.full();
            if let Target::Group(group) = &request.target
                && full > 0
            {
                metrics.over_capacity.inc_by(full as u64);
                copies += full as u64;
                worst.get_or_insert((group, full, channels));
            }
        }
        if let Some((group, full, channels)) = worst
            && let Some(copies) = self.throttle.admit(copies)
        {
            tracing::info!(
                group = group.as_str(),
                copies,
                "{full} of {channels} channels over capacity"
            );
        }
    }
}
