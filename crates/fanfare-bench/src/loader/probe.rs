//! Latency of one echo session while, on the same thread of the server, a group is flooded.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::Tally;
use super::fan_out::{FanOut, Plan};
use super::payload::{FRAME_BYTES, masked_text, text};

/// Reads that the loader does for the group before it looks at the probe again: some 50 us.
const BATCH: usize = 32;
/// Longest wait of the loader, so that the next echo is not late.
const STEP: Duration = Duration::from_millis(1);
/// Time between two echoes. Many may be under way: a slow answer does not spare the server the
/// next question, or the worst moments would be sampled least.
const PACE: Duration = Duration::from_millis(2);
const MAX_UNDER_WAY: usize = 8192;

/// One session of the echo route.
pub(crate) struct Probe {
    socket: TcpStream,
    frame: Vec<u8>,
    under_way: VecDeque<Instant>,
    /// Bytes of an answer that has not come to its end.
    partial: u64,
    due: Instant,
    looked: Instant,
    seen: Seen,
}

/// What a probe has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// From writing an echo to reading its answer.
    pub(crate) times: Vec<Duration>,
    /// Longest time in which the loader did not look: what is lost to the loader itself.
    pub(crate) longest_gap: Duration,
}

impl Probe {
    /// An open session of the echo route.
    pub(crate) fn new(socket: TcpStream) -> Self {
        let now = Instant::now();
        Self {
            socket,
            frame: masked_text(&text()),
            under_way: VecDeque::new(),
            partial: 0,
            due: now,
            looked: now,
            seen: Seen::default(),
        }
    }

    /// Takes answers, then writes the next echo when it is due.
    fn look(&mut self, now: Instant) -> anyhow::Result<()> {
        self.take_turn(now, true)
    }

    /// Takes answers, then writes the next echo when it is due and `may_ask`.
    pub(super) fn take_turn(&mut self, now: Instant, may_ask: bool) -> anyhow::Result<()> {
        self.seen.longest_gap = self.seen.longest_gap.max(now.duration_since(self.looked));
        self.looked = now;
        self.take_answers()?;
        if may_ask && now >= self.due {
            if self.under_way.len() >= MAX_UNDER_WAY {
                bail!("the echo session is not answered: {MAX_UNDER_WAY} messages under way");
            }
            self.socket
                .write_all(&self.frame)
                .context("the echo session cannot send")?;
            self.under_way.push_back(Instant::now());
            self.due = now + PACE;
        }
        Ok(())
    }

    fn take_answers(&mut self) -> anyhow::Result<()> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        let mut buffer = [0; 4096];
        let read = match self.socket.read(&mut buffer) {
            Ok(0) => bail!("the server closed the echo session"),
            Ok(read) => read as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("the echo session failed"),
        };
        let now = Instant::now();
        self.partial += read;
        while self.partial >= FRAME_BYTES {
            self.partial -= FRAME_BYTES;
            let asked = self
                .under_way
                .pop_front()
                .context("more answers than echoes")?;
            self.seen.times.push(now.duration_since(asked));
        }
        Ok(())
    }

    /// Whether an answer is awaited.
    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    pub(super) fn begin(&mut self) {
        self.looked = Instant::now();
        self.seen = Seen::default();
    }
}

/// A group and a probe in one loader.
pub(crate) struct Flood {
    group: FanOut,
    probe: Probe,
}

impl Flood {
    /// Open sessions of one group, and a probe on the same server.
    ///
    /// # Errors
    /// Epoll does not take them.
    pub(crate) fn new(members: Vec<TcpStream>, probe: Probe) -> anyhow::Result<Self> {
        let group = FanOut::with_batch(members, BATCH)?;
        group.sessions().wake_for(&probe.socket)?;
        Ok(Self { group, probe })
    }

    /// Publishes one message and compares what each member gets with it.
    ///
    /// # Errors
    /// As [`FanOut::check`].
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.group.check()
    }

    /// Latency while nothing is published.
    ///
    /// # Errors
    /// The echo session is closed or not answered.
    pub(crate) fn idle(&mut self, time: Duration) -> anyhow::Result<Seen> {
        let Self { group, probe } = self;
        probe.begin();
        group.idle_with(time, STEP, |now| probe.look(now))?;
        Ok(std::mem::take(&mut probe.seen))
    }

    /// Latency while the group is published to by `plan`.
    ///
    /// # Errors
    /// As [`FanOut::run`], or the echo session is closed or not answered.
    pub(crate) fn flooded(&mut self, plan: &Plan) -> anyhow::Result<(Seen, Tally)> {
        let Self { group, probe } = self;
        probe.begin();
        let tally = group.run_with(plan, STEP, |now| probe.look(now))?;
        Ok((std::mem::take(&mut probe.seen), tally))
    }
}
