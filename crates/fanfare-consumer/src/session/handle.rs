//! Handles on a session, for other tasks and threads.

use std::fmt;

use bytes::Bytes;
use fanfare_protocol::frame::Opcode;
use fanfare_protocol::{ChannelName, CloseCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::extras::Order;

/// A handle on a session, for other tasks and threads. Clones are cheap. It can move to any thread
/// that its messages `M` can move to.
///
/// A queue of 64 orders leads to the session. The session carries them out in order, between two of
/// its handlers. `Ok` means that the order is in the queue. A session that closes drops the orders
/// that wait. Do not use a handle in the handlers of its own session: a handler that waits for room
/// in the queue would wait forever.
///
/// ```
/// use fanfare_consumer::{Accept, Consumer, Frames, Reject, Request, Session};
///
/// struct Slow;
///
/// impl Consumer for Slow {
///     type Event = Frames;
///
///     async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
///         let handle = session.handle();
///         tokio::spawn(async move {
///             // Elsewhere, for as long as it takes.
///             let _gone = handle.send_text("done").await;
///         });
///         Ok(Accept::new())
///     }
/// }
/// ```
pub struct SessionHandle<M = ()> {
    orders: mpsc::Sender<Order<M>>,
    channel: ChannelName,
}

/// The session has ended or is closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session of this handle is over")]
pub struct Gone;

impl<M> SessionHandle<M> {
    pub(super) fn new(orders: mpsc::Sender<Order<M>>, channel: ChannelName) -> Self {
        Self { orders, channel }
    }

    /// The session's channel name.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Sends a message to [`Consumer::message`](crate::Consumer::message).
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn message(&self, message: M) -> Result<(), Gone> {
        self.order(Order::Message(message)).await
    }

    /// Sends the client text.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send_text(&self, text: &str) -> Result<(), Gone> {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        self.order(Order::Send(Opcode::Text, payload)).await
    }

    /// Sends the client bytes.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send_binary(&self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        self.order(Order::Send(Opcode::Binary, bytes.into())).await
    }

    /// Sends the client a value as JSON.
    ///
    /// # Errors
    /// [`Unsent::Closed`](super::Unsent::Closed), and [`Unsent::Json`](super::Unsent::Json) when
    /// the value has no JSON.
    pub async fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), super::Unsent> {
        let payload = Bytes::from(serde_json::to_vec(value)?);
        let sent = self.order(Order::Send(Opcode::Text, payload)).await;
        sent.map_err(|Gone| super::Unsent::Closed)
    }

    /// Closes the session, as [`Session::close`](crate::Session::close) does.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn close(&self, code: impl Into<CloseCode>, reason: &str) -> Result<(), Gone> {
        self.order(Order::Close(code.into(), reason.to_owned()))
            .await
    }

    async fn order(&self, order: Order<M>) -> Result<(), Gone> {
        self.orders.send(order).await.map_err(|_| Gone)
    }
}

impl<M> Clone for SessionHandle<M> {
    fn clone(&self) -> Self {
        Self {
            orders: self.orders.clone(),
            channel: self.channel.clone(),
        }
    }
}

impl<M> fmt::Debug for SessionHandle<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("SessionHandle")
            .field(&self.channel)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_may_go_to_any_thread() {
        fn any_thread<T: Send + Sync + Clone + 'static>() {}
        any_thread::<SessionHandle<String>>();
    }
}
