//! Sessions that each publish to a group of their own and wait for their own message.

use std::net::TcpStream;
use std::time::Instant;

use anyhow::bail;

use super::Tally;
use super::fan_out::{EVENTS, Plan};
use super::payload::{FRAME_BYTES, delivered, masked_text, text};
use super::sessions::Sessions;

/// Open sessions, each with one message under way while a run lasts.
pub(crate) struct RoundTrip {
    sessions: Sessions,
    /// Messages that each has published since it was opened.
    published: Vec<u64>,
    frame: Vec<u8>,
}

impl RoundTrip {
    /// Sessions that were opened on different paths.
    ///
    /// # Errors
    /// Epoll does not take them.
    pub(crate) fn new(sockets: Vec<TcpStream>) -> anyhow::Result<Self> {
        let published = vec![0; sockets.len()];
        let sessions = Sessions::new(sockets, EVENTS)?;
        Ok(Self {
            sessions,
            published,
            frame: masked_text(&text()),
        })
    }

    /// Publishes once on each session in turn and compares what comes back.
    ///
    /// # Errors
    /// Something else comes back, nothing does, or another session gets it too.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let frame = delivered();
        for (index, published) in self.published.iter_mut().enumerate() {
            self.sessions.write(index, &self.frame)?;
            *published += 1;
            self.sessions.expect_frame(index, &frame)?;
        }
        self.expect_all()
    }

    /// Keeps every session's message going round until the plan's time or messages are used up.
    ///
    /// # Errors
    /// A session is closed, gets nothing for as long as the plan allows, or gets too much.
    pub(crate) fn run(&mut self, plan: &Plan) -> anyhow::Result<Tally> {
        let start = Instant::now();
        let sessions = self.published.len() as u64;
        let mut published = 0;
        for (index, count) in self.published.iter_mut().enumerate() {
            self.sessions.write(index, &self.frame)?;
            *count += 1;
            published += 1;
        }
        let mut delivered = 0;
        let mut open = true;
        while delivered < published {
            open = open && published + sessions <= plan.messages && start.elapsed() < plan.time;
            let (counts, frame) = (&mut self.published, &self.frame);
            let ready = self.sessions.receive(plan.stall, |sessions, growth| {
                let Some(count) = counts.get_mut(growth.index) else {
                    return Ok(());
                };
                let due = *count * FRAME_BYTES;
                if growth.before < due && growth.after >= due {
                    delivered += 1;
                    if open {
                        sessions.write(growth.index, frame)?;
                        *count += 1;
                        published += 1;
                    }
                }
                Ok(())
            })?;
            if ready == 0 {
                bail!(
                    "{} of {sessions} sessions do not get their message",
                    published - delivered
                );
            }
        }
        let took_s = start.elapsed().as_secs_f64();
        self.expect_all()?;
        Ok(Tally {
            published,
            delivered,
            took_s,
        })
    }

    fn expect_all(&mut self) -> anyhow::Result<()> {
        let published = &self.published;
        self.sessions
            .expect_all(|index| published.get(index).copied().unwrap_or(0))
    }
}
