//! The workers of a program, their channels, and how they run and stop.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use fanfare_protocol::{ChannelName, NameError};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::Worker;
use super::instance::{self, Shift};
use super::tally::{Tally, WorkersReport};
use crate::cluster::Cluster;

/// How long [`Workers::run`] waits for events in work unless told otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// The workers of one or several channels, which run together.
///
/// ```
/// # use fanfare_consumer::{Cluster, Worker, WorkerError, Workers};
/// # struct Thumbnails;
/// # impl Worker for Thumbnails {
/// #     type Event = serde_json::Value;
/// #     async fn handle(&mut self, _: &Cluster, _: &Self::Event) -> Result<(), WorkerError> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let stop = async {};
/// let cluster = Cluster::memory()?;
/// let report = Workers::new(cluster)
///     .channel("thumbnails", 4, || Thumbnails)?
///     .run(stop)
///     .await;
/// assert_eq!(report.abandoned, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "workers do nothing until they run"]
pub struct Workers {
    cluster: Cluster,
    grace: Duration,
    lines: Vec<Line>,
}

/// Why workers cannot receive from a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkersError {
    /// The name is not valid, or is reserved for the layer.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is one of a session or of one process.
    #[error(
        "channel {channel} belongs to one session or process: workers have names without \"!\""
    )]
    NotNormal {
        /// The name.
        channel: ChannelName,
    },
}

/// One channel and the instances for it.
struct Line {
    channel: ChannelName,
    concurrency: usize,
    start: Box<dyn Fn(Shift) -> LocalBoxFuture<'static, ()>>,
}

impl Workers {
    /// No workers yet.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            grace: GRACE,
            lines: Vec::new(),
        }
    }

    /// Adds a channel. `build` makes up to `concurrency` instances, at least one, each for one
    /// event at a time. It is called again after a panic.
    ///
    /// # Errors
    /// [`WorkersError`] if workers cannot receive from a channel of this name.
    pub fn channel<W: Worker>(
        mut self,
        name: &str,
        concurrency: usize,
        build: impl Fn() -> W + 'static,
    ) -> Result<Self, WorkersError> {
        let channel = self.cluster.node().naming().channel(name)?;
        if name.contains('!') {
            return Err(WorkersError::NotNormal { channel });
        }
        let build: Rc<dyn Fn() -> W> = Rc::new(build);
        self.lines.push(Line {
            channel,
            concurrency: concurrency.max(1),
            start: Box::new(move |shift| instance::work(shift, Rc::clone(&build)).boxed_local()),
        });
        Ok(self)
    }

    /// How long handlers that are running may take at the end. 10 seconds by default.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.grace = limit;
        self
    }

    /// Runs until `shutdown` is ready or the node is closed. After that the workers take no more
    /// events. A handler that is running has the time of [`Workers::grace`], and is dropped then.
    ///
    /// It runs on any tokio runtime, beside a server or without one. The instances belong to the
    /// future and are dropped with it. While the layer is unreachable, the workers wait.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> WorkersReport {
        LocalSet::new().run_until(self.work(shutdown)).await
    }

    async fn work(self, shutdown: impl Future<Output = ()>) -> WorkersReport {
        let (stop, stopping) = watch::channel(false);
        let tally = Rc::new(Tally::new(self.cluster.metrics().worker_events.clone()));
        let mut instances = JoinSet::new();
        for line in &self.lines {
            for _ in 0..line.concurrency {
                let shift = Shift {
                    cluster: self.cluster.clone(),
                    channel: line.channel.clone(),
                    stopping: stopping.clone(),
                    tally: Rc::clone(&tally),
                };
                instances.spawn_local((line.start)(shift));
            }
        }
        tokio::select! {
            () = shutdown => {}
            // None ends by itself but all do when the node is closed.
            _ended = instances.join_next() => {}
        }
        stop.send_replace(true);
        // The tally says who is late.
        let _in_time = timeout(self.grace, all(&mut instances)).await;
        let report = tally.close();
        if report.abandoned > 0 {
            let abandoned = report.abandoned;
            tracing::warn!(
                abandoned,
                "workers took too long to stop; their events are lost"
            );
        }
        report
    }
}

async fn all(instances: &mut JoinSet<()>) {
    while instances.join_next().await.is_some() {}
}

impl fmt::Debug for Workers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = self
            .lines
            .iter()
            .map(|line| (&line.channel, line.concurrency));
        out.debug_map().entries(channels).finish()
    }
}
