//! The runtime of a cluster in a program that has none.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::cluster::{Cluster, ClusterError, ClusterOptions};

/// How long the end of a program waits for the layer's goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A thread that keeps a layer's tasks running until this is dropped.
#[derive(Debug)]
pub(super) struct Runtime {
    /// Dropped to end the thread.
    alive: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Makes the cluster on a thread of its own.
    pub(super) fn start(options: ClusterOptions) -> Result<(Self, Cluster), ClusterError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (made, outcome) = sync_channel(1);
        let (alive, end) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("fanfare-cluster".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let made_one = Cluster::new(options);
                    let cluster = made_one.as_ref().ok().cloned();
                    // The maker waits for it.
                    let _sent = made.send(made_one);
                    if let Some(cluster) = cluster {
                        // Ends with an error when the other end is dropped.
                        let _dropped = end.await;
                        goodbye(&cluster).await;
                    }
                });
            })?;
        let gone = || io::Error::other("it ended at once");
        let cluster = outcome.recv().map_err(|_| gone())??;
        let runtime = Self {
            alive: Some(alive),
            thread: Some(thread),
        };
        Ok((runtime, cluster))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a cluster panicked");
        }
    }
}

async fn goodbye(cluster: &Cluster) {
    if tokio::time::timeout(GOODBYE, cluster.close())
        .await
        .is_err()
    {
        tracing::warn!("the layer did not close in time");
    }
}
