//! Publishing: from orders to copies in the zsets of nodes and processes.
//!
//! One task sends everything that this node publishes, a batch at a time, so the order of the calls
//! is the order in every zset. For a batch it looks up the `groups`, sorts their members into
//! `buckets`, one for each process, and sends each process its copy in `rounds`, all hosts at once.
//! A copy is one call of the `script`, which honours the channel's capacity.

mod buckets;
mod groups;
mod order;
mod rounds;
mod script;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_protocol::Target;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use redis::{Pipeline, Value};

use super::keys::Keys;
use super::line::Line;
use super::{CoreOptions, Shared};
use crate::redis::pipe::{Batch, Pipe, Reply};
use crate::{LayerMetrics, PublishError};
use groups::Groups;
use order::{Outcome, Tally};
use rounds::Rounds;

pub(super) use order::Order;
pub(super) use script::load;

/// At most one line about full channels in this time.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// What a host said to a pipeline.
type Answers = Result<Vec<Value>, PublishError>;

/// Sends what the pipe brings, for ever.
pub(super) async fn run(shared: Arc<Shared>, pipe: Arc<Pipe<Order>>) {
    let options = shared.options.clone();
    let lines = shared.lines.clone();
    let sender = Sender::new(shared.keys.clone(), options, lines, shared.metrics.clone());
    sender.run(pipe).await;
}

/// The task's state.
struct Sender {
    keys: Arc<Keys>,
    options: CoreOptions,
    lines: Vec<Arc<Line>>,
    metrics: LayerMetrics,
    /// The host whose turn it is to get a message for a normal channel.
    turn: usize,
    complaints: Complaints,
}

/// Copies that met a full channel.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: usize,
}

impl Sender {
    fn new(
        keys: Arc<Keys>,
        options: CoreOptions,
        lines: Vec<Arc<Line>>,
        metrics: LayerMetrics,
    ) -> Self {
        Self {
            keys,
            options,
            lines,
            metrics,
            turn: 0,
            complaints: Complaints::default(),
        }
    }

    async fn run(mut self, pipe: Arc<Pipe<Order>>) {
        loop {
            let batch = pipe.next_batch().await;
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
    async fn send(&mut self, batch: &Batch<Order>) -> Vec<Reply> {
        let orders: Vec<_> = batch.works().collect();
        let groups = Groups::look_up(self, &orders).await;
        let lanes = groups.lanes(&self.keys, &self.options.capacity, self.lines.len());
        let mut rounds = Rounds::new(self, orders.len());
        for (at, order) in orders.iter().enumerate() {
            match &order.target {
                Target::Channel(channel) => rounds.send_one(at, order, channel).await,
                Target::Group(group) => match lanes.get(group) {
                    Some(Ok(lanes)) => rounds.send_group(at, order, lanes).await,
                    Some(Err(outcome)) => rounds.note(at, Outcome::clone(outcome)),
                    None => {}
                },
            }
        }
        let tallies = rounds.end().await;
        self.complain(&orders, &tallies);
        let replies = orders.iter().zip(tallies);
        replies.map(|(order, tally)| order.reply(tally)).collect()
    }

    /// Sends each host its commands, all of them at once. A host that has failed to answer before
    /// is not waited for again.
    async fn ask_all(&self, commands: impl Iterator<Item = &Pipeline>) -> Vec<Answers> {
        let asked = self.lines.iter().zip(commands);
        let answers = asked.map(async |(line, commands)| {
            line.check()?;
            line.ask(commands).await
        });
        join_all(answers).await
    }

    /// Where the next message for a normal channel goes. Its receivers look everywhere, so a host
    /// that is down has no turn.
    fn next_host(&mut self) -> usize {
        let hosts = self.lines.len().max(1);
        let takes = |at: &usize| {
            let line = self.lines.get(*at);
            line.is_some_and(|line| line.check().is_ok())
        };
        let mut turns = (0..hosts).map(|step| (self.turn + step) % hosts);
        let host = turns.find(takes).unwrap_or(self.turn % hosts);
        self.turn = host + 1;
        host
    }

    /// How long messages may wait, in whole seconds as Redis counts them.
    fn expiry(&self) -> u64 {
        self.options.expiry.as_secs().max(1)
    }

    /// The greatest score, on a host, of memberships that have lapsed.
    fn lapsed(&self, host: usize) -> i64 {
        let now = self.lines.get(host).map_or(0.0, |line| line.now());
        let lasting = i64::try_from(self.options.group_expiry.as_secs()).unwrap_or(i64::MAX);
        (now as i64).saturating_sub(lasting)
    }

    /// Counts the copies of groups that met full channels, and says so now and then. Counts what
    /// had lapsed there too.
    fn complain(&mut self, orders: &[&Order], tallies: &[Tally]) {
        let mut worst = None;
        for (order, tally) in orders.iter().zip(tallies) {
            self.metrics.lapsed.inc_by(tally.lapsed());
            let (full, channels) = tally.full();
            if let Target::Group(group) = &order.target
                && full > 0
            {
                self.metrics.over_capacity.inc_by(full as u64);
                self.complaints.unsaid += full;
                worst.get_or_insert((group, full, channels));
            }
        }
        let Some((group, full, channels)) = worst else {
            return;
        };
        let now = Instant::now();
        let last = self.complaints.last;
        if last.is_none_or(|last| now.duration_since(last) >= COMPLAINT_PAUSE) {
            let copies = std::mem::take(&mut self.complaints.unsaid);
            self.complaints.last = Some(now);
            tracing::info!(
                group = group.as_str(),
                copies,
                "{full} of {channels} channels over capacity"
            );
        }
    }
}

#[cfg(test)]
mod tests;
