//! Background workers: programs that take events from normal channels.
//!
//! A normal channel, `thumbnails` say, is the address of whoever works on it. [`Workers`] receive
//! from such channels, several instances each, and hand every event to one of them. What waits is
//! bounded and expires, see [`fanfare_layer::QueueOptions`]; nothing is repeated.

mod instance;
mod tally;
mod workers;

use std::error::Error;

use serde::de::DeserializeOwned;

use crate::cluster::Cluster;

pub use tally::WorkersReport;
pub use workers::{Workers, WorkersError};

/// Why an event was not worked on. Every error becomes one with `?`; it is logged and counted,
/// and the event is gone.
pub type WorkerError = Box<dyn Error>;

/// A program that works on the events of a channel, one at a time. There are as many instances as
/// the channel may have events in work at once.
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
    /// The events it knows: usually an enum with `#[serde(tag = "type")]`. Others are counted and
    /// logged.
    type Event: DeserializeOwned + 'static;

    /// Works on one event. The future stays on the thread of [`Workers::run`], and what blocks it
    /// blocks every worker there: hand such work to `tokio::task::spawn_blocking`.
    ///
    /// An error is logged and counted. A panic too, and the instance is built anew for the next
    /// event.
    fn handle(
        &mut self,
        cluster: &Cluster,
        event: &Self::Event,
    ) -> impl Future<Output = Result<(), WorkerError>>;
}
