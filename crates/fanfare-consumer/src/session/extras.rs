//! The optional parts of a session: timers, spawned futures, and the orders of its handles.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fanfare_protocol::CloseCode;
use fanfare_protocol::frame::Opcode;
use futures_util::future::AbortHandle;
use futures_util::stream::{self, SelectAll, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::Wake;

/// Orders that may wait in a session's handles.
const ORDERS: usize = 64;
/// The shortest period.
const SHORTEST: Duration = Duration::from_millis(1);

/// A timer of a session, for [`Session::cancel`](crate::Session::cancel). Dropping it does not
/// stop the timer.
#[derive(Debug, Clone)]
pub struct Timer(AbortHandle);

/// The timers and spawned futures of a session, and the orders of its handles.
pub(super) struct Extras<M> {
    /// Timers and spawned futures: each is a stream of messages.
    sources: SelectAll<Pin<Box<dyn Stream<Item = M>>>>,
    /// The session keeps a sender, so that the channel lasts as long as it does.
    orders: Option<Orders<M>>,
    first: bool,
    orders_first: bool,
}

type Orders<M> = (mpsc::Sender<Order<M>>, mpsc::Receiver<Order<M>>);

/// What somebody with a handle wants of a session.
pub(crate) enum Order<M> {
    Message(M),
    Send(Opcode, Bytes),
    Close(CloseCode, String),
}

impl<M: 'static> Extras<M> {
    pub(super) fn after(&mut self, delay: Duration, message: M) -> Timer {
        // From the call on, not from when the session first looks.
        let sleep = sleep(delay);
        self.add(stream::once(async move {
            sleep.await;
            message
        }))
    }

    pub(super) fn every(&mut self, period: Duration, message: M) -> Timer
    where
        M: Clone,
    {
        let period = period.max(SHORTEST);
        let start = Instant::now().checked_add(period);
        let mut ticks = interval_at(start.unwrap_or_else(far), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.add(stream::poll_fn(move |cx| {
            ticks.poll_tick(cx).map(|_| Some(message.clone()))
        }))
    }

    pub(super) fn spawn(&mut self, future: impl Future<Output = M> + 'static) {
        self.sources.push(Box::pin(stream::once(future)));
    }

    pub(super) fn orders(&mut self) -> mpsc::Sender<Order<M>> {
        let (sender, _) = self.orders.get_or_insert_with(|| mpsc::channel(ORDERS));
        sender.clone()
    }

    /// Whether these come before the client and the layer this time.
    pub(super) fn takes_its_turn(&mut self) -> bool {
        self.first = !self.first;
        self.first
    }

    pub(super) fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake<M>> {
        self.orders_first = !self.orders_first;
        if self.orders_first {
            let wake = self.poll_orders(cx);
            return if wake.is_ready() {
                wake
            } else {
                self.poll_sources(cx)
            };
        }
        let wake = self.poll_sources(cx);
        if wake.is_ready() {
            wake
        } else {
            self.poll_orders(cx)
        }
    }

    fn poll_orders(&mut self, cx: &mut Context<'_>) -> Poll<Wake<M>> {
        match &mut self.orders {
            Some((_, orders)) => match orders.poll_recv(cx) {
                Poll::Ready(Some(order)) => Poll::Ready(Wake::Order(order)),
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            },
            None => Poll::Pending,
        }
    }

    fn poll_sources(&mut self, cx: &mut Context<'_>) -> Poll<Wake<M>> {
        // A source that panics is taken out of the set, which goes on.
        match catch_unwind(AssertUnwindSafe(|| self.sources.poll_next_unpin(cx))) {
            Ok(Poll::Ready(Some(message))) => Poll::Ready(Wake::Message(message)),
            Ok(Poll::Ready(None) | Poll::Pending) => Poll::Pending,
            Err(_panic) => Poll::Ready(Wake::Panicked),
        }
    }

    fn add(&mut self, source: impl Stream<Item = M> + 'static) -> Timer {
        let (source, handle) = stream::abortable(source);
        self.sources.push(Box::pin(source));
        Timer(handle)
    }
}

/// One by one: a future that panics when it is dropped would keep those behind it alive for ever.
impl<M> Drop for Extras<M> {
    fn drop(&mut self) {
        for source in std::mem::take(&mut self.sources) {
            if catch_unwind(AssertUnwindSafe(|| drop(source))).is_err() {
                tracing::error!("a spawned future panicked when it was dropped");
            }
        }
    }
}

impl<M> Default for Extras<M> {
    fn default() -> Self {
        Self {
            sources: SelectAll::new(),
            orders: None,
            first: false,
            orders_first: false,
        }
    }
}

impl Timer {
    pub(super) fn stop(&self) {
        self.0.abort();
    }
}

/// As far away as tokio itself puts what never happens.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365 * 30)
}
