//! Who is in the groups that are published to: asked anew each time, because others change them.

use std::collections::hash_map::Entry;

use fanfare_protocol::{GroupName, NameMap, Target};
use redis::{Pipeline, Value};

use super::buckets::{Bucket, buckets};
use super::hosts::Hosts;
use super::request::{Outcome, PublishRequest};
use super::script::refusal;
use crate::PublishError;
use crate::redis::hosts::shard::shard;

/// The members of groups, or why they are not known.
#[derive(Default)]
pub(super) struct Groups<'a>(NameMap<&'a GroupName, Result<Vec<String>, Outcome>>);

/// The way to one of the processes of a group.
pub(super) struct Route<'a> {
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
    pub(super) async fn look_up(hosts: &Hosts, requests: &[&'a PublishRequest]) -> Self {
        let mut groups = Self::default();
        let count = hosts.servers.len();
        let mut questions: Vec<_> = (0..count).map(|_| Question::default()).collect();
        for request in requests {
            let Target::Group(group) = &request.target else {
                continue;
            };
            let host = shard(group.as_str(), count);
            if let Entry::Vacant(entry) = groups.0.entry(group) {
                let unasked = PublishError::Down("no host is configured".into());
                entry.insert(Err(Outcome::Failed(unasked)));
                if let Some(question) = questions.get_mut(host) {
                    question.add(hosts, host, group);
                }
            }
        }
        let commands = questions.iter().map(|it| &it.commands);
        let answers = hosts.ask_all(commands).await;
        for (question, answers) in questions.iter().zip(answers) {
            let mut answers = answers.map(Vec::into_iter).map_err(unasked);
            for group in &question.groups {
                let found = match &mut answers {
                    Ok(answers) => members(hosts, answers.next(), answers.next()),
                    Err(outcome) => Err(outcome.clone()),
                };
                groups.0.insert(group, found);
            }
        }
        groups
    }

    /// The ways to their members; sorted once for all orders of a batch.
    pub(super) fn routes(
        &self,
        hosts: &Hosts,
    ) -> NameMap<&'a GroupName, Result<Vec<Route<'_>>, &Outcome>> {
        let all = self.0.iter().map(|(group, found)| {
            let routes = found.as_ref().map(|names| {
                let buckets = buckets(names).into_iter();
                let routes = buckets.map(|bucket| Route::new(hosts, bucket));
                routes.collect()
            });
            (*group, routes)
        });
        all.collect()
    }
}

impl<'a> Route<'a> {
    fn new(hosts: &Hosts, bucket: Bucket<'a>) -> Self {
        Self {
            host: shard(bucket.process, hosts.servers.len()),
            key: hosts.keys.channel(bucket.process),
            capacity: hosts.options.capacity.of(bucket.first(), bucket.fanfare),
            bucket,
        }
    }
}

impl<'a> Question<'a> {
    fn add(&mut self, hosts: &Hosts, host: usize, group: &'a GroupName) {
        let key = hosts.keys.group(group);
        let lapsed = hosts.lapsed(host);
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
    hosts: &Hosts,
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
                hosts.metrics.dropped.bad_name.inc_by(unreadable as u64);
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
