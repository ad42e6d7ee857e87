//! Copies on their way, in pipelines that a slow line brings over in time.

use std::mem;

use fanfare_protocol::ChannelName;
use fanfare_protocol::serializer::Recipients;
use redis::Pipeline;

use super::buckets::Excluded;
use super::groups::Route;
use super::hosts::Hosts;
use super::request::{Outcome, PublishRequest, Tally};
use super::script::{self, Copy};
use crate::PublishError;
use crate::redis::core::keys::{is_fanfare, non_local};
use crate::redis::hosts::shard::shard;

/// What one host gets in one round, but for the copy that reaches it: a line must bring it over, and
/// the answers back, within the time of a probe.
const ROUND_BYTES: usize = 256 << 10;
/// What stands around a copy's key and body on the wire.
const CALL_BYTES: usize = 100;

/// Fills rounds and sends them, one after the other.
pub(super) struct Rounds<'a> {
    hosts: &'a mut Hosts,
    /// One for each host.
    loads: Vec<Load>,
    /// One for each order.
    tallies: Vec<Tally>,
}

/// What a host gets in this round.
#[derive(Default)]
struct Load {
    commands: Pipeline,
    /// For each command the place of its order.
    requests: Vec<usize>,
    bytes: usize,
}

/// Where a copy goes, and how many may wait there.
struct Stop<'a> {
    host: usize,
    key: &'a str,
    capacity: usize,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(hosts: &'a mut Hosts, requests: usize) -> Self {
        let mut tallies = Vec::new();
        tallies.resize_with(requests, Tally::default);
        Self {
            loads: loads(hosts.servers.len()),
            tallies,
            hosts,
        }
    }

    /// To a channel: where its process reads, or any host if anybody may read it. Nothing is sent
    /// to who is excluded, or could not make anything of it.
    pub(super) async fn send_one(
        &mut self,
        at: usize,
        request: &PublishRequest,
        channel: &ChannelName,
    ) {
        let name = channel.as_str();
        let fanfare = is_fanfare(name);
        if (request.close && !fanfare) || request.exclude.contains(channel) {
            return;
        }
        let process = non_local(name);
        let (host, to) = if process.ends_with('!') {
            let host = shard(process, self.loads.len());
            (host, Recipients::One(name))
        } else {
            (self.hosts.next_host(), Recipients::None)
        };
        let key = self.hosts.keys.channel(name);
        let stop = Stop {
            host,
            key: &key,
            capacity: self.hosts.options.capacity.of(name, fanfare),
        };
        self.put((at, request), &stop, to, fanfare).await;
    }

    /// To every process that has members, once.
    pub(super) async fn send_group(
        &mut self,
        at: usize,
        request: &PublishRequest,
        routes: &[Route<'_>],
    ) {
        let excluded = Excluded::new(&request.exclude);
        for route in routes {
            let bucket = &route.bucket;
            if request.close && !bucket.fanfare {
                continue;
            }
            let rest = excluded.rest(bucket);
            let names = rest.as_ref().unwrap_or(&bucket.names);
            if names.is_empty() {
                continue;
            }
            let stop = Stop {
                host: route.host,
                key: &route.key,
                capacity: route.capacity,
            };
            let to = Recipients::Many(names);
            self.put((at, request), &stop, to, bucket.fanfare).await;
        }
    }

    /// What became of an order, or of a copy of it.
    pub(super) fn note(&mut self, at: usize, outcome: Outcome) {
        if let Some(tally) = self.tallies.get_mut(at) {
            tally.add(outcome);
        }
    }

    /// Sends the last round.
    pub(super) async fn end(mut self) -> Vec<Tally> {
        self.flush().await;
        self.tallies
    }

    /// Adds a copy to the round, and sends the round when the host has enough of it.
    async fn put(
        &mut self,
        (at, request): (usize, &PublishRequest),
        stop: &Stop<'_>,
        to: Recipients<'_>,
        metadata: bool,
    ) {
        let serializer = &self.hosts.options.serializer;
        let body = match serializer.finish(&request.draft, to, metadata) {
            Ok(body) => body,
            Err(error) => return self.note(at, Outcome::Failed(error.into())),
        };
        let copy = Copy {
            key: stop.key,
            expiry: self.hosts.expiry(),
            capacity: stop.capacity,
            body: &body,
        };
        let Some(load) = self.loads.get_mut(stop.host) else {
            let reason = PublishError::Down("no host is configured".into());
            return self.note(at, Outcome::Failed(reason));
        };
        load.add(at, &copy);
        if load.bytes >= ROUND_BYTES {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        let round = mem::replace(&mut self.loads, loads(self.hosts.servers.len()));
        let commands = round.iter().map(|load| &load.commands);
        let answers = self.hosts.ask_all(commands).await;
        for (load, answers) in round.iter().zip(answers) {
            let mut answers = answers.map(Vec::into_iter);
            for at in &load.requests {
                let outcome = match &mut answers {
                    Ok(answers) => script::outcome(answers.next()),
                    Err(error) => Outcome::Failed(error.clone()),
                };
                self.note(*at, outcome);
            }
        }
    }
}

impl Load {
    fn add(&mut self, request: usize, copy: &Copy<'_>) {
        copy.send(&mut self.commands);
        self.requests.push(request);
        self.bytes += copy.body.len() + copy.key.len() + CALL_BYTES;
    }
}

fn loads(hosts: usize) -> Vec<Load> {
    (0..hosts).map(|_| Load::default()).collect()
}
