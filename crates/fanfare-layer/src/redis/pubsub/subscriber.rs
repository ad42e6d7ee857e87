//! What comes over a subscriber connection, and where it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use redis::Msg;
use redis::aio::PubSubStream;
use tokio::sync::watch;

use super::keys::Keys;
use super::probe::Echo;
use super::unpack::{Bodies, Source};
use crate::redis::connection::pulse::Pulse;
use crate::redis::control::channel::RedisControl;
use crate::redis::queue::incoming::Incoming;

/// Where the messages of a subscriber connection go.
pub(super) struct Subscriber {
    pub(super) keys: Arc<Keys>,
    pub(super) incoming: Arc<Incoming<Bodies>>,
    /// Set when the link is over.
    pub(super) over: Arc<AtomicBool>,
    pub(super) pulse: Arc<Pulse>,
    /// The number of the latest probe.
    pub(super) probes: Arc<AtomicU64>,
    pub(super) control: Arc<RedisControl>,
    /// The host's place among all.
    pub(super) index: usize,
    pub(super) echo: watch::Sender<Echo>,
}

impl Subscriber {
    pub(super) async fn drain(self, mut messages: PubSubStream) {
        while let Some(message) = messages.next().await {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            self.pulse.beat();
            self.take(&message);
        }
    }

    fn take(&self, message: &Msg) {
        let channel = message.get_channel_name();
        if channel == self.keys.node
            && let Ok(number) = message.get_payload::<u64>()
        {
            self.came_back(number);
            return;
        }
        if self.control.subscribed.iter().any(|own| own == channel) {
            self.control
                .arrived(self.index, message.get_payload_bytes());
            return;
        }
        if channel == self.keys.closes {
            let body = Bytes::copy_from_slice(message.get_payload_bytes());
            self.incoming.push(Source::Closes, body);
            return;
        }
        match self.keys.target(channel) {
            Ok(target) => {
                let body = Bytes::copy_from_slice(message.get_payload_bytes());
                self.incoming.push(Source::Of(target), body);
            }
            Err(error) => self.incoming.refuse(channel, &error.to_string()),
        }
    }

    /// A probe came back; only the latest counts.
    fn came_back(&self, number: u64) {
        if number == self.probes.load(Ordering::Relaxed) {
            self.echo.send_replace(Echo {
                number,
                arrived: Instant::now(),
            });
        }
    }
}
