//! One publisher, a group of members, a bound on what is in flight.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::Tally;
use super::payload::{FRAME_BYTES, delivered, masked_text, text};
use super::sessions::Sessions;

/// Events taken from the kernel at a time when nothing else wants the loader's attention.
pub(super) const EVENTS: usize = 1024;

/// How one run publishes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Most messages that not all members have. With 1, the next goes out when all have the last;
    /// otherwise half of it is published at once whenever half has arrived.
    pub(crate) in_flight: u64,
    /// No message is published later than this.
    pub(crate) time: Duration,
    /// No more than this are published.
    pub(crate) messages: u64,
    /// How long due bytes may stay away before the run is given up.
    pub(crate) stall: Duration,
}

/// A group of sessions, the first of which publishes to all of them.
pub(crate) struct FanOut {
    sessions: Sessions,
    /// Messages published since the sessions were opened.
    published: u64,
    burst: Vec<u8>,
    frame: usize,
}

impl FanOut {
    /// A group of open sessions of one path.
    ///
    /// # Errors
    /// There are none, or epoll does not take them.
    pub(crate) fn new(sockets: Vec<TcpStream>) -> anyhow::Result<Self> {
        Self::with_batch(sockets, EVENTS)
    }

    /// As [`FanOut::new`], with a bound on how many reads are done at a time.
    ///
    /// # Errors
    /// As there.
    pub(super) fn with_batch(sockets: Vec<TcpStream>, batch: usize) -> anyhow::Result<Self> {
        if sockets.is_empty() {
            bail!("a group needs a member");
        }
        let frame = masked_text(&text());
        let sessions = Sessions::new(sockets, batch)?;
        Ok(Self {
            sessions,
            published: 0,
            burst: Vec::new(),
            frame: frame.len(),
        })
    }

    /// The sessions, to let another socket wake the loader.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Publishes one message and compares what each member gets with it.
    ///
    /// # Errors
    /// A member gets something else, or nothing.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.publish(1)?;
        let frame = delivered();
        (0..self.sessions.len()).try_for_each(|index| self.sessions.expect_frame(index, &frame))
    }

    /// Waits until each member has one message that somebody else publishes, and compares it.
    ///
    /// # Errors
    /// As [`FanOut::check`].
    pub(crate) fn check_next(&mut self) -> anyhow::Result<()> {
        self.published += 1;
        let frame = delivered();
        (0..self.sessions.len()).try_for_each(|index| self.sessions.expect_frame(index, &frame))
    }

    /// Waits until each member has one message more, which somebody else publishes.
    ///
    /// # Errors
    /// A member is closed, or gets nothing for `stall`.
    pub(crate) fn expect_next(&mut self, stall: Duration) -> anyhow::Result<()> {
        self.published += 1;
        self.wait_for(self.published, stall, stall, &mut |_| Ok(()))
    }

    /// Checks that each member has exactly the messages that are its due.
    ///
    /// # Errors
    /// One has less, more, or part of a message.
    pub(crate) fn check_all(&mut self) -> anyhow::Result<()> {
        self.sessions.expect_all(|_| self.published)
    }

    /// Publishes by the plan until it is fulfilled and all members have everything.
    ///
    /// # Errors
    /// A member is closed, gets nothing for ten seconds, or gets too much.
    pub(crate) fn run(&mut self, plan: &Plan) -> anyhow::Result<Tally> {
        self.run_with(plan, plan.stall, |_| Ok(()))
    }

    /// As [`FanOut::run`]; `between` is called between any two batches of reads, and at least every
    /// `step`.
    ///
    /// # Errors
    /// As there, and what `between` answers.
    pub(super) fn run_with(
        &mut self,
        plan: &Plan,
        step: Duration,
        mut between: impl FnMut(Instant) -> anyhow::Result<()>,
    ) -> anyhow::Result<Tally> {
        let (start, first) = (Instant::now(), self.published);
        let before: u64 = self.sessions.received().iter().sum();
        let mut left = plan.messages;
        let mut complete = first;
        loop {
            let open = if start.elapsed() < plan.time { left } else { 0 };
            let burst = open.min(plan.in_flight - (self.published - complete));
            if burst > 0 {
                self.publish(burst)?;
                left -= burst;
            }
            complete = match burst {
                0 => self.published,
                _ => self.published.saturating_sub(plan.in_flight / 2),
            };
            complete = complete.max(first);
            self.wait_for(complete, plan.stall, step, &mut between)?;
            if burst == 0 {
                break;
            }
        }
        let took_s = start.elapsed().as_secs_f64();
        self.sessions.expect_all(|_| self.published)?;
        let after: u64 = self.sessions.received().iter().sum();
        Ok(Tally {
            published: self.published - first,
            delivered: (after - before) / FRAME_BYTES,
            took_s,
        })
    }

    /// Receives for `time` without publishing.
    ///
    /// # Errors
    /// A member is closed, or what `between` answers.
    pub(super) fn idle_with(
        &mut self,
        time: Duration,
        step: Duration,
        mut between: impl FnMut(Instant) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.sessions.receive(step, |_, _| Ok(()))?;
            between(Instant::now())?;
        }
        Ok(())
    }

    fn publish(&mut self, count: u64) -> anyhow::Result<()> {
        let bytes = usize::try_from(count)? * self.frame;
        while self.burst.len() < bytes {
            self.burst.extend(masked_text(&text()));
        }
        let burst = self.burst.get(..bytes).context("no burst of this length")?;
        self.sessions.write(0, burst)?;
        self.published += count;
        Ok(())
    }

    /// Receives until all members have `messages` since they were opened.
    fn wait_for(
        &mut self,
        messages: u64,
        stall: Duration,
        step: Duration,
        between: &mut impl FnMut(Instant) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let goal = messages * FRAME_BYTES;
        let mut lacking = self
            .sessions
            .received()
            .iter()
            .filter(|bytes| **bytes < goal)
            .count();
        let mut progress = Instant::now();
        while lacking > 0 {
            let mut grew = false;
            self.sessions.receive(step, |_, growth| {
                grew = true;
                if growth.before < goal && growth.after >= goal {
                    lacking -= 1;
                }
                Ok(())
            })?;
            let now = Instant::now();
            between(now)?;
            if grew {
                progress = now;
            } else if now.duration_since(progress) >= stall {
                bail!(
                    "{lacking} of {} members do not get message {messages}",
                    self.sessions.len()
                );
            }
        }
        Ok(())
    }
}
