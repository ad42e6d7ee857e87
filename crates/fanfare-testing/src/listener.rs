//! A test as a member of a group: it receives the group's events.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use fanfare_node::{Arrived, Enrolled, Node};
use fanfare_protocol::{Event, GroupName};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::settled::settled;

/// How long an event may take, unless [`Listener::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long nothing may come, so that it counts as nothing.
const NOTHING: Duration = Duration::from_millis(100);
/// Events that wait for the test; more are dropped.
const AHEAD: usize = 1024;

/// A member of a group that stores the events that it receives, up to 1024. It leaves the group
/// when it is dropped.
pub struct Listener {
    events: mpsc::Receiver<Event>,
    timeout: Duration,
    enrolled: Enrolled,
}

struct Ear(mpsc::Sender<Event>);

impl Actor for Ear {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(AHEAD);
    }
}

impl Handler<Arrived> for Ear {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, _: &mut Self::Context) {
        // Full: the test does not want so many.
        let _full = self.0.try_send(arrived.envelope.event.clone());
    }
}

impl Listener {
    pub(crate) async fn join(node: &Node, group: &str) -> Self {
        let (sender, events) = mpsc::channel(AHEAD);
        let ear = Ear(sender).start();
        let enrolled = match Enrolled::new(&node.worker(), ear.recipient()) {
            Ok(enrolled) => enrolled,
            Err(error) => panic!("nobody can listen: {error}"),
        };
        let name = match GroupName::parse(group) {
            Ok(name) => name,
            Err(error) => panic!("nobody can listen: {error}"),
        };
        if let Err(error) = enrolled.join(&name).await {
            panic!("nobody can listen: {error}");
        }
        Self {
            events,
            timeout: TIMEOUT,
            enrolled,
        }
    }

    /// Sets how long the next calls wait for an event. By default one second.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = timeout;
        self
    }

    /// The listener's channel name. It also receives the events that are sent to this channel.
    pub fn channel(&self) -> String {
        self.enrolled.channel().to_string()
    }

    /// The next event.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn receive(&mut self) -> impl Future<Output = Event> {
        let at = Location::caller();
        async move {
            let limit = self.timeout;
            match self.next(limit).await {
                Some(event) => event,
                None => panic!("{at}: no event came within {limit:?}"),
            }
        }
    }

    /// The next event, as a value of the application.
    ///
    /// # Panics
    /// If no event comes in time, or if it is not a `T`.
    #[track_caller]
    pub fn receive_as<T: DeserializeOwned>(&mut self) -> impl Future<Output = T> {
        let (at, receive) = (Location::caller(), self.receive());
        async move {
            let event = receive.await;
            match event.to() {
                Ok(value) => value,
                Err(error) => panic!("{at}: not the event asked for: {error}: came {event:?}"),
            }
        }
    }

    /// No event comes for 100 ms.
    ///
    /// # Panics
    /// When one does.
    #[track_caller]
    pub fn receive_nothing(&mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            if let Some(event) = self.next(NOTHING).await {
                panic!("{at}: expected no event, but came {event:?}");
            }
        }
    }

    async fn next(&mut self, limit: Duration) -> Option<Event> {
        match timeout(limit, self.events.recv()).await {
            Ok(event) => event,
            Err(_elapsed) => {
                // Something that came at the very end still counts.
                settled().await;
                self.events.try_recv().ok()
            }
        }
    }
}
