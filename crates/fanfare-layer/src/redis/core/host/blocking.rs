//! A connection on which Redis waits for messages.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use tokio::runtime::Handle;

use crate::redis::connection::pulse::Pulse;
use crate::redis::options::RedisPace;

type Answers = Result<Vec<Value>, String>;
type Rescue = Box<dyn FnOnce(BoxFuture<'static, Answers>) -> BoxFuture<'static, ()> + Send>;

/// A connection that is used for nothing else: a blocking command holds it up.
pub(in crate::redis::core) struct BlockingReader {
    connection: MultiplexedConnection,
    pulse: Arc<Pulse>,
    /// How long a blocking command may block, in seconds: Redis 5 takes whole ones only.
    block: u64,
    /// How long an answer may take.
    limit: Duration,
}

/// Commands on their way. What pops has popped, whether or not the answer is waited for: when this
/// is dropped before it, a rescuer gets it.
pub(in crate::redis::core) struct Asked {
    answers: Option<BoxFuture<'static, Answers>>,
    /// There is something to rescue once the commands may have been written.
    rescue: Option<Rescue>,
    written: bool,
}

impl BlockingReader {
    pub(in crate::redis::core) fn new(connection: MultiplexedConnection, pace: RedisPace) -> Self {
        let block = pace.probe.as_secs().max(1);
        Self {
            connection,
            pulse: Arc::new(Pulse::new()),
            block,
            limit: Duration::from_secs(block) + pace.timeout,
        }
    }

    /// Adds a pop that waits for a message in the first of some sets that has one.
    pub(in crate::redis::core) fn wait_for<'a>(
        &self,
        commands: &mut Pipeline,
        keys: impl Iterator<Item = &'a str>,
    ) {
        commands.cmd("BZPOPMIN");
        for key in keys {
            commands.arg(key);
        }
        commands.arg(self.block);
    }

    /// Sends commands and waits for all their answers, of which each may be an error of the server.
    /// `rescue` gets the wait for them, on a task of its own, when this one is given up.
    pub(in crate::redis::core) fn ask<F>(
        &self,
        commands: Pipeline,
        rescue: impl FnOnce(BoxFuture<'static, Answers>) -> F + Send + 'static,
    ) -> Asked
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut connection = self.connection.clone();
        let pulse = self.pulse.clone();
        let limit = self.limit;
        let answers = async move {
            let sent = connection.send_packed_commands(&commands, 0, commands.len());
            match pulse.wait(limit, sent).await {
                Some(Ok(answers)) => {
                    pulse.beat();
                    Ok(answers)
                }
                Some(Err(error)) => Err(error.to_string()),
                None => Err(format!("no messages and no sign of life within {limit:?}")),
            }
        };
        Asked {
            answers: Some(answers.boxed()),
            rescue: Some(Box::new(move |answers| rescue(answers).boxed())),
            written: false,
        }
    }
}

impl Future for Asked {
    type Output = Answers;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answers> {
        self.written = true;
        let Some(answers) = &mut self.answers else {
            return Poll::Pending;
        };
        let answered = answers.poll_unpin(context);
        if answered.is_ready() {
            self.answers = None;
        }
        answered
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let (Some(answers), Some(rescue)) = (self.answers.take(), self.rescue.take()) else {
            return;
        };
        // Without a runtime there is no connection either.
        if self.written
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rescue(answers));
        }
    }
}
