//! Signs of life, and what arrives on the control channel.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_protocol::NodeId;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::channel::RedisControl;
use super::message::{Content, Malformed, Message};
use crate::control::MAX_CONTROL_BYTES;

/// How often a node gives a sign of life on each host.
pub(in crate::redis) const BEAT: Duration = Duration::from_secs(2);

impl RedisControl {
    /// Asks who is alive, and gives signs of life: to all nodes while this one serves, and else
    /// only to itself, because a connection that brings nothing is taken for a dead one. A sign
    /// that Redis does not take is logged; others find out whether the host is lost.
    pub(in crate::redis) async fn beat(&self, host: usize) -> Infallible {
        let [own, all] = &self.subscribed;
        self.note(self.say(host, all, Content::Who).await);
        let mut serving = self.handler.subscribe();
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let channel = if self.handler.borrow().is_some() {
                all
            } else {
                own
            };
            if !self.closing.load(Ordering::Acquire) {
                self.note(self.say(host, channel, Content::Alive).await);
            }
            tokio::select! {
                _ = beats.tick() => {}
                Ok(()) = serving.changed() => {}
            }
        }
    }

    fn note(&self, said: Result<(), String>) {
        if let Err(reason) = said
            && let Some(times) = self.refusals.admit(1)
        {
            tracing::warn!(
                reason,
                times,
                "redis did not take a control message: other nodes may not know this one"
            );
        }
    }

    /// Takes a message of a subscriber connection. Never waits: answers have tasks of their own.
    pub(in crate::redis) fn arrived(self: &Arc<Self>, host: usize, wire: &[u8]) {
        let message = match Message::decode(wire) {
            Ok(message) if message.from == self.node => return,
            Ok(message) => message,
            Err(Malformed) => {
                self.metrics.control_dropped.malformed.inc();
                return;
            }
        };
        let from = message.from;
        match message.content {
            Content::Alive => self.live.lock().alive(from, Instant::now()),
            Content::Leave => {
                self.live.lock().left(from, Instant::now());
                self.pending.left(from);
            }
            Content::Answer { id, body } => self.pending.answered(id, from, body),
            Content::Who => self.answer_with(host, from, async { Some(Content::Alive) }),
            Content::Ask { id, millis, body } => {
                let Some(handler) = self.handler.borrow().clone() else {
                    return;
                };
                self.answer_with(host, from, async move {
                    let answer = handler.handle(from, body);
                    let answer = timeout(Duration::from_millis(millis), answer).await;
                    let body = fitting(answer.ok().flatten()?)?;
                    Some(Content::Answer { id, body })
                });
            }
        }
    }

    /// Answers another node over a host, unless too many answers are being made.
    fn answer_with(
        self: &Arc<Self>,
        host: usize,
        to: NodeId,
        answer: impl Future<Output = Option<Content>> + Send + 'static,
    ) {
        if self.closing.load(Ordering::Acquire) || self.handler.borrow().is_none() {
            return;
        }
        let Ok(turn) = self.answering.clone().try_acquire_owned() else {
            self.metrics.control_dropped.busy.inc();
            return;
        };
        let control = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Some(content) = answer.await {
                let channel = control.channel_of(to);
                control.note(control.say(host, &channel, content).await);
            }
        });
    }
}

fn fitting(answer: Bytes) -> Option<Bytes> {
    let bytes = answer.len();
    if bytes > MAX_CONTROL_BYTES {
        tracing::error!(
            bytes,
            "the answer to a control command is too long, and is not sent"
        );
        return None;
    }
    Some(answer)
}
