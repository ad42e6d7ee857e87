//! Background workers, which handle events from normal channels.
//!
//! A normal channel, such as `thumbnails`, is a named queue. [`Workers`] receive from such channels
//! with several instances for each, and give each event to one instance. The queues are bounded and
//! their events expire: see [`fanfare_layer::QueueOptions`]. No event is repeated.

mod instance;
mod tally;
mod workers;

use std::error::Error;

use serde::de::DeserializeOwned;

use crate::cluster::Cluster;

pub use tally::WorkersReport;
pub use workers::{Workers, WorkersError};

/// Why a worker failed on an event. Any error becomes one with `?`. It is logged and counted, and
/// the event is not repeated.
pub type WorkerError = Box<dyn Error>;

/// Handles the events of a channel, one at a time. A channel has one instance for each event that
/// may be handled at the same time.
///
/// ```
/// use fanfare_consumer::{Cluster, Worker, WorkerError};
///
/// #[derive(serde::Deserialize)]
/// #[serde(tag = "type")]
/// enum Job {
///     #[serde(rename = "thumbnail.make")]
///     Make { picture: u64 },
/// }
///
/// #[derive(Default)]
/// struct Thumbnails;
///
/// impl Worker for Thumbnails {
///     type Event = Job;
///
///     async fn handle(&mut self, cluster: &Cluster, job: &Job) -> Result<(), WorkerError> {
///         let Job::Make { picture } = job;
///         // ... and tell those who wait for it.
///         let event = serde_json::json!({ "type": "thumbnail.made", "picture": picture });
///         cluster.group_send("pictures", &event).await?;
///         Ok(())
///     }
/// }
/// ```
pub trait Worker: 'static {
    /// The events that this worker knows, usually an enum with `#[serde(tag = "type")]`. Other
    /// events are counted and logged.
    type Event: DeserializeOwned + 'static;

    /// Handles one event. The future runs on the thread of [`Workers::run`]. Blocking code would
    /// block all workers of that thread, so put it into `tokio::task::spawn_blocking`.
    ///
    /// An error is logged and counted. A panic is too, and the instance is built again for the next
    /// event.
    fn handle(
        &mut self,
        cluster: &Cluster,
        event: &Self::Event,
    ) -> impl Future<Output = Result<(), WorkerError>>;
}
