//! The methods of a session that send to its client.

use std::future::poll_fn;

use bytes::BytesMut;
use fanfare_protocol::event::EventError;
use fanfare_protocol::frame::Opcode;
use fanfare_protocol::{Event, Outgoing, Target};
use serde::Serialize;
use tokio::task::coop::consume_budget;

use super::Session;

/// Why nothing was sent to the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unsent {
    /// The session has ended or is closing. If a handler returns this, it is not counted as a
    /// failure.
    #[error("the session is over")]
    Closed,
    /// The value cannot be written as JSON, such as a map whose keys are not text.
    #[error("the value cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The value is not an event: serde does not write it as a map with a string `type`.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// To the client. Each of these waits while much is waiting to be written: a client that reads
/// slowly slows its own consumer down and nobody else.
impl<M: 'static> Session<M> {
    /// Sends text.
    ///
    /// # Errors
    /// [`Unsent::Closed`].
    pub async fn send_text(&self, text: &str) -> Result<(), Unsent> {
        self.send(Opcode::Text, text.as_bytes()).await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`Unsent::Closed`].
    pub async fn send_binary(&self, bytes: &[u8]) -> Result<(), Unsent> {
        self.send(Opcode::Binary, bytes).await
    }

    /// Sends a value as JSON text.
    ///
    /// # Errors
    /// [`Unsent::Closed`], [`Unsent::Json`].
    pub async fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Unsent> {
        let text = serde_json::to_vec(value)?;
        self.send(Opcode::Text, &text).await
    }

    /// Sends an event to the client as [`Consumer::DELIVER`](crate::Consumer::DELIVER) says. The
    /// event that is being handled is encoded once for all sessions of the route that forward it.
    ///
    /// If the event lacks the field that `DELIVER` names, nothing is sent. It is counted in
    /// `fanfare_consumer_events_total{outcome="undeliverable"}`.
    ///
    /// ```
    /// use fanfare_consumer::{Consumer, Outcome, Session};
    /// use serde::{Deserialize, Serialize};
    ///
    /// struct Lots {
    ///     least: u32,
    /// }
    ///
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(tag = "type")]
    /// enum Auction {
    ///     #[serde(rename = "auction.bid")]
    ///     Bid { amount: u32 },
    /// }
    ///
    /// impl Consumer for Lots {
    ///     type Event = Auction;
    ///     const GROUPS: &'static [&'static str] = &["auction"];
    ///
    ///     async fn event(&mut self, session: &mut Session, event: &Auction) -> Outcome {
    ///         let Auction::Bid { amount } = event;
    ///         if *amount >= self.least {
    ///             session.forward(event).await?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Unsent::Closed`], and [`Unsent::Event`] for a value that is no event.
    pub async fn forward<E: Serialize + 'static>(&self, event: &E) -> Result<(), Unsent> {
        let sent = match self.shared_event_of(event) {
            Some(shared) => match shared.frames(&*self.encoder) {
                Ok(frames) => self.mailbox.send_frames(frames, 1),
                Err(_why) => return self.undeliverable(),
            },
            None => {
                let mut frames = BytesMut::new();
                let event = Event::of(event)?;
                let target = match &self.current {
                    Some(current) => current.shared.target().clone(),
                    None => Target::Channel(self.mailbox.channel()),
                };
                let message = Outgoing::new(&target, &event);
                if self.encoder.encode(&message, &mut frames).is_err() {
                    return self.undeliverable();
                }
                self.mailbox.send_frames(&frames.freeze(), 1)
            }
        };
        self.room(sent).await
    }

    pub(crate) async fn send(&self, opcode: Opcode, payload: &[u8]) -> Result<(), Unsent> {
        let sent = self.mailbox.send(opcode, payload);
        self.room(sent).await
    }

    #[inline]
    async fn room(&self, sent: bool) -> Result<(), Unsent> {
        if !sent {
            return Err(Unsent::Closed);
        }
        if self.mailbox.has_sent_much() {
            poll_fn(|cx| self.mailbox.poll_room(cx)).await;
            // A client that takes whatever comes must not keep the thread from its other sessions.
            consume_budget().await;
        }
        Ok(())
    }

    fn undeliverable(&self) -> Result<(), Unsent> {
        self.cluster.metrics().events.undeliverable.inc();
        tracing::debug!("an event lacks the field that is to be sent of it");
        if self.mailbox.is_open() {
            Ok(())
        } else {
            Err(Unsent::Closed)
        }
    }
}
