//! Fetching from normal channels, one message for each receiver that waits.
//!
//! A normal channel is shared by processes, and its messages are spread over the hosts: so not more
//! is taken out of Redis than somebody here waits for. What was taken in vain, because another host
//! was quicker or the receiver has gone, is put back where it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_protocol::{ChannelName, Target};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Delivery;
use crate::redis::core::demand::{DemandSnapshot, Grant};
use crate::redis::core::host::blocking::BlockingReader;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::host::popped::{Popped, first, unexpected};
use crate::redis::core::shared::Shared;
use crate::redis::core::unpack::{Bodies, Source};
use crate::redis::queue::incoming::{Incoming, Refused};

/// A connection on which nothing goes is cut by some servers and networks: after so long without a
/// wish there is a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How long a ring that nobody heard stays, in seconds.
const RING: u64 = 60;

/// Fetches from one host until the connection is lost; says why. The connection is one that is used
/// for nothing else, without a limit for answers.
pub(in crate::redis::core) async fn fetch(
    connection: MultiplexedConnection,
    shared: &Shared,
    host: usize,
) -> String {
    let Some(server) = shared.servers.get(host) else {
        return format!("there is no host {host}");
    };
    let mut fetch = Fetch {
        shared,
        server,
        wakeup: shared.keys.wakeup(),
        back: Back {
            server: server.clone(),
            incoming: shared.incoming.clone(),
            expiry: shared.options.expiry,
        },
        changes: shared.demand.changes(),
    };
    let reader = BlockingReader::new(connection, shared.pace);
    loop {
        if let Err(reason) = fetch.one(&reader).await {
            return reason;
        }
    }
}

struct Fetch<'a> {
    shared: &'a Shared,
    server: &'a CommandConnection,
    wakeup: String,
    back: Back,
    changes: watch::Receiver<()>,
}

impl Fetch<'_> {
    /// Fetches a message, if one comes in time.
    async fn one(&mut self, reader: &BlockingReader) -> Result<(), String> {
        self.shared.incoming.room(0).await;
        self.changes.borrow_and_update();
        let snapshot = self.shared.demand.snapshot(&self.shared.keys);
        if snapshot.keys.is_empty()
            && let Ok(changed) = timeout(SIGN_OF_LIFE, self.changes.changed()).await
        {
            return changed.map_err(|_| "the layer is gone".into());
        }
        let Some((key, message)) = self.wait(reader, &snapshot).await? else {
            return Ok(());
        };
        if key == self.wakeup {
            return Ok(());
        }
        let asked = snapshot.keys.into_iter().find(|(it, _)| *it == key);
        let (key, channel) = asked.ok_or("redis popped from a channel that nobody asked for")?;
        self.bring(&channel, self.back.taken(key, message)).await;
        Ok(())
    }

    /// Waits for a message of a plan. The bell ends the wait when the plan gets stale.
    async fn wait(
        &mut self,
        reader: &BlockingReader,
        snapshot: &DemandSnapshot,
    ) -> Result<Option<(String, Popped)>, String> {
        let mut command = Pipeline::new();
        let channels = snapshot.keys.iter().map(|(key, _)| key.as_str());
        reader.wait_for(&mut command, channels.chain([self.wakeup.as_str()]));
        let (back, wakeup) = (self.back.clone(), self.wakeup.clone());
        let mut asked = reader.ask(command, move |answers| back.rescue(wakeup, answers));
        let mut rung = false;
        let answers = loop {
            tokio::select! {
                biased;
                answers = &mut asked => break answers?,
                Ok(()) = self.changes.changed(), if !rung => {
                    if self.shared.demand.is_stale(snapshot) {
                        rung = true;
                        wake(self.server, &self.wakeup).await?;
                    }
                }
            }
        };
        first(answers.into_iter().next().unwrap_or(Value::Nil))
    }

    /// Brings a message to the receiver that wished for it, or back to Redis. It is decoded here: one
    /// that cannot be is no message, and the wish stays.
    async fn bring(&self, channel: &ChannelName, mut taken: Taken) {
        let Some(Popped { score, body }) = taken.message.clone() else {
            return;
        };
        let Shared {
            incoming, demand, ..
        } = self.shared;
        if self.server.now() - score > self.shared.options.expiry.as_secs_f64() {
            taken.message = None;
            return incoming.reject(channel.as_str(), &Refused::Expired);
        }
        let envelope = match self.shared.options.serializer.read(&body) {
            Ok(received) => Arc::new(received.envelope),
            Err(error) => {
                taken.message = None;
                return incoming.reject(channel.as_str(), &Refused::Body(error));
            }
        };
        let delivery = Delivery {
            target: Target::Channel(channel.clone()),
            envelope,
            arrived: Instant::now(),
        };
        loop {
            incoming.room(body.len()).await;
            let offer = || incoming.offer(Source::Channel(delivery.clone()), body.clone());
            match demand.grant(channel, offer) {
                Grant::Granted => {
                    taken.message = None;
                    return;
                }
                Grant::Refused(_) => {}
                Grant::Unwanted => break,
            }
        }
        if let Some(returned) = taken.put_back() {
            // An error means that the runtime ends.
            let _ = returned.await;
        }
    }
}

async fn wake(server: &CommandConnection, wakeup: &str) -> Result<(), String> {
    let mut commands = Pipeline::new();
    commands.cmd("ZADD").arg(wakeup).arg(0).arg("ring");
    commands.cmd("EXPIRE").arg(wakeup).arg(RING);
    let answers = server.ask(&commands).await.map_err(|it| it.to_string())?;
    failure(&answers).map_or(Ok(()), Err)
}

/// The way back into Redis.
#[derive(Clone)]
struct Back {
    server: Arc<CommandConnection>,
    incoming: Arc<Incoming<Bodies>>,
    expiry: Duration,
}

/// A message that is not in Redis any more and not yet with a receiver. Dropped like that, it is put
/// back.
struct Taken {
    back: Back,
    key: String,
    message: Option<Popped>,
}

impl Back {
    fn taken(&self, key: String, message: Popped) -> Taken {
        Taken {
            back: self.clone(),
            key,
            message: Some(message),
        }
    }

    /// Ends a wait that was given up, and puts back what it brought.
    async fn rescue(
        self,
        wakeup: String,
        answers: impl Future<Output = Result<Vec<Value>, String>>,
    ) {
        // Where it cannot be rung, the wait ends by itself.
        let (_, answers) = tokio::join!(wake(&self.server, &wakeup), answers);
        let answer = answers.ok().and_then(|answers| answers.into_iter().next());
        if let Some(Ok(Some((key, message)))) = answer.map(first)
            && key != wakeup
        {
            drop(self.taken(key, message));
        }
    }

    async fn put(self, key: String, message: Popped) {
        let mut commands = Pipeline::new();
        // Together: a set without a time would stay for ever.
        commands.cmd("MULTI");
        commands
            .cmd("ZADD")
            .arg(&key)
            .arg(message.score)
            .arg(message.body.as_ref());
        let lifetime = self.expiry.as_secs().max(1);
        commands.cmd("EXPIRE").arg(&key).arg(lifetime);
        commands.cmd("EXEC");
        let reason = match self.server.ask(&commands).await {
            Ok(answers) => failure(&answers),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = reason {
            self.incoming.unreturned(&key, &reason);
        }
    }
}

impl Taken {
    /// Puts it back, in a task of its own: the fetching may be given up meanwhile.
    fn put_back(&mut self) -> Option<JoinHandle<()>> {
        let message = self.message.take()?;
        let (back, key) = (self.back.clone(), self.key.clone());
        if let Ok(runtime) = Handle::try_current() {
            return Some(runtime.spawn(back.put(key, message)));
        }
        back.incoming.unreturned(&key, "the runtime has ended");
        None
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// The first error among answers, and among those of a transaction.
fn failure(answers: &[Value]) -> Option<String> {
    answers.iter().find_map(|answer| match answer {
        Value::ServerError(_) => Some(unexpected(answer)),
        Value::Array(answers) => failure(answers),
        _ => None,
    })
}
