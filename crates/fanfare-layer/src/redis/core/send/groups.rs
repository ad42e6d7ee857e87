//! Who is in the groups that are published to: asked anew each time, because others change them.

use std::collections::hash_map::Entry;

use fanfare_protocol::{GroupName, Target};
use redis::{Pipeline, Value};
use rustc_hash::FxHashMap;

use super::Sender;
use super::buckets::{Bucket, buckets};
use super::order::{Order, Outcome};
use super::script::refusal;
use crate::PublishError;
use crate::redis::core::capacity::Capacities;
use crate::redis::core::keys::Keys;
use crate::redis::shard::shard;

/// The members of groups, or why they are not known.
#[derive(Default)]
pub(super) struct Groups<'a>(FxHashMap<&'a GroupName, Result<Vec<String>, Outcome>>);

/// The way to one of the processes of a group.
pub(super) struct Lane<'a> {
    pub(super) bucket: Bucket<'a>,
    pub(super) host: usize,
    /// The zset where its messages wait.
    pub(super) key: String,
    pub(super) capacity: usize,
}

/// What one host is asked, and about which groups.
#[derive(Default)]
struct Question<'a> {
    commands: Pipeline,
    groups: Vec<&'a GroupName>,
}

impl<'a> Groups<'a> {
    /// Asks for the members of every group that the orders are for, all hosts at once.
    pub(super) async fn look_up(sender: &Sender, orders: &[&'a Order]) -> Self {
        let mut groups = Self::default();
        let hosts = sender.lines.len();
        let mut questions: Vec<_> = (0..hosts).map(|_| Question::default()).collect();
        for order in orders {
            let Target::Group(group) = &order.target else {
                continue;
            };
            let host = shard(group.as_str(), hosts);
            if let Entry::Vacant(entry) = groups.0.entry(group) {
                let unasked = PublishError::Down("no host is configured".into());
                entry.insert(Err(Outcome::Failed(unasked)));
                if let Some(question) = questions.get_mut(host) {
                    question.add(sender, host, group);
                }
            }
        }
        let commands = questions.iter().map(|it| &it.commands);
        let answers = sender.ask_all(commands).await;
        for (question, answers) in questions.iter().zip(answers) {
            let mut answers = answers.map(Vec::into_iter).map_err(unasked);
            for group in &question.groups {
                let found = match &mut answers {
                    Ok(answers) => members(sender, answers.next(), answers.next()),
                    Err(outcome) => Err(outcome.clone()),
                };
                groups.0.insert(group, found);
            }
        }
        groups
    }

    /// The ways to their members; sorted once for all orders of a batch.
    pub(super) fn lanes(
        &self,
        keys: &Keys,
        capacities: &Capacities,
        hosts: usize,
    ) -> FxHashMap<&'a GroupName, Result<Vec<Lane<'_>>, &Outcome>> {
        let all = self.0.iter().map(|(group, found)| {
            let lanes = found.as_ref().map(|names| {
                let buckets = buckets(names).into_iter();
                let lanes = buckets.map(|bucket| Lane::new(keys, capacities, hosts, bucket));
                lanes.collect()
            });
            (*group, lanes)
        });
        all.collect()
    }
}

impl<'a> Lane<'a> {
    fn new(keys: &Keys, capacities: &Capacities, hosts: usize, bucket: Bucket<'a>) -> Self {
        Self {
            host: shard(bucket.process, hosts),
            key: keys.channel(bucket.process),
            capacity: capacities.of(bucket.first()),
            bucket,
        }
    }
}

impl<'a> Question<'a> {
    fn add(&mut self, sender: &Sender, host: usize, group: &'a GroupName) {
        let key = sender.keys.group(group.as_str());
        let lapsed = sender.lapsed(host);
        let prune = self.commands.cmd("ZREMRANGEBYSCORE");
        prune.arg(&key).arg(0).arg(lapsed);
        self.commands.cmd("ZRANGE").arg(&key).arg(0).arg(-1);
        self.groups.push(group);
    }
}

/// Where the question had no answer, nothing of an event was sent.
fn unasked(error: PublishError) -> Outcome {
    Outcome::Failed(match error {
        PublishError::Unanswered(reason) => PublishError::Down(reason),
        other => other,
    })
}

fn members(
    sender: &Sender,
    pruned: Option<Value>,
    listed: Option<Value>,
) -> Result<Vec<String>, Outcome> {
    match (pruned, listed) {
        (Some(Value::ServerError(error)), _) | (_, Some(Value::ServerError(error))) => {
            Err(refusal(&error))
        }
        (_, Some(Value::Array(names))) => {
            let count = names.len();
            let names: Vec<_> = names.into_iter().filter_map(text).collect();
            let unreadable = count - names.len();
            if unreadable > 0 {
                sender.metrics.dropped.bad_name.inc_by(unreadable as u64);
            }
            Ok(names)
        }
        (_, other) => Err(Outcome::Refused(format!("ZRANGE answered {other:?}"))),
    }
}

/// Names are not checked: who added them did, or it was somebody else's right not to.
fn text(name: Value) -> Option<String> {
    match name {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}
