//! Emptying the lanes of a host.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use tokio::time::timeout;

use super::merge::Merge;
use crate::redis::core::host::blocking::BlockingReader;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::host::popped::{self, Popped, unexpected};
use crate::redis::core::keys::Keys;
use crate::redis::core::shared::Shared;
use crate::redis::core::unpack::{Bodies, LANE, Source};
use crate::redis::queue::incoming::{Incoming, Refused};

/// Messages that are popped from one lane at once.
const MOST_MESSAGES: usize = 1000;
/// Bodies that are popped from all lanes at once, about.
const MOST_BYTES: usize = 8 << 20;
/// The size that messages are thought to have before there was any.
const LIKELY_BYTES: usize = 8 << 10;
/// How long an answer is waited for that is on its way when the taking is given up. Not longer:
/// where none is, Redis waits too, and the next connection is about to take.
const GRACE: Duration = Duration::from_millis(100);

/// Takes messages until the connection is lost; says why. What was popped and has found no room by
/// then, or when it is dropped, goes into the inbox or is counted as dropped. The connection is one
/// that is used for nothing else, without a limit for answers.
pub(in crate::redis::core) async fn take(
    connection: MultiplexedConnection,
    shared: &Shared,
    host: usize,
) -> String {
    let Some(server) = shared.servers.get(host) else {
        return format!("there is no host {host}");
    };
    let mut lanes = LaneReader {
        shared,
        server,
        merge: Merge::new(shared.keys.lanes().len()),
        out: VecDeque::new(),
        size: Size(LIKELY_BYTES),
    };
    let reader = BlockingReader::new(connection, shared.pace);
    loop {
        // Until then they wait in Redis, where their senders see how many they are.
        shared.incoming.room(0).await;
        let failed = lanes.pop(&reader).await.err();
        lanes.deliver().await;
        if let Some(reason) = failed {
            return reason;
        }
    }
}

struct LaneReader<'a> {
    shared: &'a Shared,
    server: &'a CommandConnection,
    merge: Merge,
    /// In order, on their way into the inbox.
    out: VecDeque<Popped>,
    size: Size,
}

impl LaneReader<'_> {
    /// Pops once from the lanes. All of them are popped in one transaction: a message that was sent
    /// before another one is never in a later pop than that. Where nothing waits here, Redis may wait
    /// for a first message before it; that one is held back until the transaction has brought
    /// what was sent before it.
    async fn pop(&mut self, reader: &BlockingReader) -> Result<(), String> {
        let keys = &self.shared.keys;
        let request = Request {
            lanes: self.merge.wanted(),
            blocking: self.merge.is_empty(),
            count: self.size.count(keys.lanes().len()),
        };
        let commands = request.commands(reader, keys);
        let rescue = {
            let (keys, incoming, request) =
                (keys.clone(), self.shared.incoming.clone(), request.clone());
            move |answers| async move {
                if let Ok(Ok(answers)) = timeout(GRACE, answers).await {
                    rescue(&request, &keys, &incoming, answers);
                }
            }
        };
        let answers = reader.ask(commands, rescue).await?;
        self.merge.begin();
        let read = request.read(answers, keys, &mut self.merge);
        // What came before an error may have come alone.
        let ready = match &read {
            Ok(()) => self.merge.ready(),
            Err(_) => self.merge.rest(),
        };
        self.size.note(&ready);
        self.out.extend(ready);
        read
    }

    /// Brings what is ready into the inbox, as there is room.
    async fn deliver(&mut self) {
        while let Some(message) = self.out.front() {
            self.shared.incoming.room(message.body.len()).await;
            self.offer();
        }
    }

    /// Brings one message into the inbox, unless it has no room or the message is too old.
    fn offer(&mut self) {
        let Some(message) = self.out.pop_front() else {
            return;
        };
        let Popped { score, body } = message;
        let shared = self.shared;
        if self.server.now() - score > shared.options.expiry.as_secs_f64() {
            shared.incoming.reject(LANE, &Refused::Expired);
        } else if let Err((_, body)) = shared.incoming.offer(Source::Lane, body) {
            self.out.push_front(Popped { score, body });
        }
    }
}

impl Drop for LaneReader<'_> {
    fn drop(&mut self) {
        self.out.extend(self.merge.rest());
        for message in self.out.drain(..) {
            self.shared.incoming.push(Source::Lane, message.body);
        }
    }
}

/// One pop.
#[derive(Clone)]
struct Request {
    lanes: Vec<usize>,
    /// Whether Redis waits for a first message, in any lane.
    blocking: bool,
    /// How many messages each lane may give.
    count: usize,
}

impl Request {
    fn commands(&self, reader: &BlockingReader, keys: &Keys) -> Pipeline {
        let keys = keys.lanes();
        let mut commands = Pipeline::new();
        if self.blocking {
            reader.wait_for(&mut commands, keys.iter().map(String::as_str));
        }
        commands.cmd("MULTI");
        for key in self.lanes.iter().filter_map(|at| keys.get(*at)) {
            commands.cmd("ZPOPMIN").arg(key).arg(self.count);
        }
        commands.cmd("EXEC");
        commands
    }

    /// Takes up all messages, whatever else went wrong; the first error comes back.
    fn read(&self, answers: Vec<Value>, keys: &Keys, into: &mut Merge) -> Result<(), String> {
        let mut answers = answers.into_iter();
        let first = match answers.next() {
            Some(answer) if self.blocking => read_first(answer, keys, into),
            _ => Ok(()),
        };
        let answers = match answers.last() {
            Some(Value::Array(answers)) => answers,
            other => return first.and(Err(unexpected(&other.unwrap_or(Value::Nil)))),
        };
        let mut outcome = first;
        for (lane, answer) in self.lanes.iter().zip(answers) {
            let read = popped::all(answer).map(|messages| {
                let full = messages.len() >= self.count;
                into.add(*lane, messages, full);
            });
            outcome = outcome.and(read);
        }
        outcome
    }
}

fn read_first(answer: Value, keys: &Keys, into: &mut Merge) -> Result<(), String> {
    let Some((key, message)) = popped::first(answer)? else {
        return Ok(());
    };
    let lane = keys.lanes().iter().position(|it| *it == key);
    let lane = lane.ok_or("redis popped from a lane that nobody asked for")?;
    into.add(lane, [message], false);
    Ok(())
}

/// Saves what was popped for a taking that was given up.
fn rescue(request: &Request, keys: &Keys, incoming: &Arc<Incoming<Bodies>>, answers: Vec<Value>) {
    let mut merge = Merge::new(keys.lanes().len());
    if let Err(reason) = request.read(answers, keys, &mut merge) {
        tracing::debug!(reason, "the last messages of a connection did not all come");
    }
    for message in merge.rest() {
        incoming.push(Source::Lane, message.body);
    }
}

/// How large messages are: the largest one lately. It is forgotten little by little, so a large
/// message now and then does not make all the others come one by one.
struct Size(usize);

impl Size {
    fn note(&mut self, messages: &[Popped]) {
        let largest = messages.iter().map(|it| it.body.len()).max();
        self.0 = largest.unwrap_or(0).max(self.0 - self.0 / 8);
    }

    /// How many messages to take from each of some lanes.
    fn count(&self, lanes: usize) -> usize {
        let all = MOST_BYTES / self.0.max(1);
        (all / lanes.max(1)).clamp(1, MOST_MESSAGES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_are_popped_few_at_once_and_small_ones_many_again() {
        let message = |bytes: usize| Popped {
            score: 0.0,
            body: vec![0; bytes].into(),
        };
        let mut size = Size(LIKELY_BYTES);
        size.note(&[message(1), message(5 << 20)]);
        assert_eq!(size.count(9), 1);
        for _ in 0..100 {
            size.note(&[message(200)]);
        }
        assert_eq!(size.count(9), MOST_MESSAGES);
    }
}
