//! How sessions end: pings that nobody answers, the closing handshake, and the last words.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fanfare_protocol::frame::{self, Opcode};
use fanfare_protocol::{CloseCode, Encoder, Goodbye};
use prometheus::IntCounter;

use super::Session;
use crate::metrics::Closed;
use crate::worker::{SeatGuard, Timer};

/// What is read and thrown away of a peer that is still sending, in bytes.
const DISCARD: u32 = 16 * 1024 * 1024;

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Messages and events flow.
    Open,
    /// The close frame is on its way; the peer's is awaited until this tick.
    Closing { until: u64 },
    /// Both have closed, or the peer broke the protocol. What still comes is thrown away, so that
    /// the system does not answer it with a reset that would overtake the close frame.
    Discarding { until: u64, budget: u32, shut: bool },
}

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client closed.
    Client,
    /// The connection was lost.
    Lost,
    /// The client answered no ping.
    PingTimeout,
    /// The client broke the protocol or a limit.
    Protocol,
    /// The route closed it.
    Route,
    /// It read too slowly.
    Slow,
    /// The node is shutting down.
    Drain,
    /// An application closed it from outside.
    Kicked,
    /// Its program failed.
    Failed,
    /// The node was short of memory, and most waited for it.
    NoMemory,
}

impl Ending {
    /// The label of its counter.
    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Lost => "lost",
            Self::PingTimeout => "ping_timeout",
            Self::Protocol => "protocol",
            Self::Route => "route",
            Self::Slow => "slow",
            Self::Drain => "drain",
            Self::Kicked => "kicked",
            Self::Failed => "failed",
            Self::NoMemory => "no_memory",
        }
    }

    fn counter(self, closed: &Closed) -> &IntCounter {
        match self {
            Self::Client => &closed.client,
            Self::Lost => &closed.lost,
            Self::PingTimeout => &closed.ping_timeout,
            Self::Protocol => &closed.protocol,
            Self::Route => &closed.route,
            Self::Slow => &closed.slow,
            Self::Drain => &closed.drain,
            Self::Kicked => &closed.kicked,
            Self::Failed => &closed.failed,
            Self::NoMemory => &closed.no_memory,
        }
    }
}

impl Session {
    /// Asks for the timer when the next ping may be due.
    pub(super) fn schedule_ping(&self) {
        let ping = &self.place.worker.node().options.ping;
        if ping.interval.is_zero() {
            return;
        }
        let wait = if self.life.awaits_pong() {
            ping.timeout
        } else {
            ping.interval
        };
        self.schedule(wait.saturating_sub(self.ticks_length(self.silence())));
    }

    fn schedule(&self, after: Duration) {
        let SeatGuard { worker, member, .. } = &self.place;
        worker.schedule(*member, Timer::Session, after);
    }

    fn silence(&self) -> u64 {
        self.life.silence(self.place.worker.ticks.get())
    }

    fn ticks_length(&self, ticks: u64) -> Duration {
        self.place.worker.ticks_length(ticks)
    }

    /// The session's timer has fired.
    pub(super) fn timer(&mut self) -> Option<Ending> {
        let now = self.place.worker.ticks.get();
        match self.phase {
            Phase::Closing { until } | Phase::Discarding { until, .. } if now >= until => {
                return Some(self.ending_at_end_of_stream());
            }
            Phase::Closing { until } | Phase::Discarding { until, .. } => {
                self.schedule(self.ticks_length(until - now));
                return None;
            }
            Phase::Open => {}
        }
        if let Some(until) = self.patience.map(NonZeroU64::get)
            && now < until
        {
            self.schedule(self.ticks_length(until - now));
        }
        let ping = &self.place.worker.node().options.ping;
        let silence = self.ticks_length(self.silence());
        // While the session waits it does not read, and the pong may be there.
        let waits = self.publishing.is_some() || self.pause.is_some();
        let reads = !waits && !self.is_program_full();
        if self.life.awaits_pong()
            && silence >= ping.timeout
            && reads
            && !self.life.has_taken(now, self.socket.unacknowledged())
        {
            return Some(Ending::PingTimeout);
        }
        let pings = !ping.interval.is_zero();
        if pings && !self.life.awaits_pong() && silence >= ping.interval {
            let mut frame = BytesMut::new();
            if let Some(encoder) = self.encoder() {
                encoder.ping(&mut frame);
            }
            self.life.pinged(now, self.socket.unacknowledged());
            self.place
                .worker
                .send(self.place.member, &frame.freeze(), 0);
        }
        self.schedule_ping();
        None
    }

    /// The encoder of its messages; `None` when the session has no seat any more.
    fn encoder(&self) -> Option<Arc<dyn Encoder>> {
        let fan_out = self.place.worker.fan_out.borrow();
        let seat = fan_out.slots.seat(self.place.member)?;
        Some(Arc::clone(&seat.encoder))
    }

    /// Begins to close from this side.
    pub(super) fn close(&mut self, why: Goodbye<'_>, cause: Ending) {
        if self.cause.is_some() {
            return;
        }
        self.cause = Some(cause);
        self.publishing = None;
        self.pause = None;
        self.shut_program();
        let mut frame = BytesMut::new();
        let close = match self.encoder() {
            Some(encoder) => encoder.goodbye(why, &mut frame),
            None => why.close(),
        };
        self.code = Some(close.code);
        frame::push_close(&mut frame, close.code, &close.reason);
        self.place
            .worker
            .send_last(self.place.member, &frame.freeze());
        let until = self.closing_deadline();
        self.phase = match cause {
            // The rest of the input cannot be told apart into frames any more.
            Ending::Protocol => Phase::Discarding {
                until,
                budget: DISCARD,
                shut: false,
            },
            _ => Phase::Closing { until },
        };
    }

    /// The peer's close frame has come.
    pub(super) fn peer_closed(&mut self, code: Option<CloseCode>) {
        if self.cause.is_none() {
            self.cause = Some(Ending::Client);
            self.code = Some(code.unwrap_or(CloseCode::NO_STATUS));
            self.shut_program();
            let mut frame = BytesMut::new();
            match code {
                Some(code) => frame::push_close(&mut frame, code, ""),
                None => frame::push(&mut frame, Opcode::Close, &[]),
            }
            self.place
                .worker
                .send_last(self.place.member, &frame.freeze());
        }
        let until = self.closing_deadline();
        self.phase = Phase::Discarding {
            until,
            budget: DISCARD,
            shut: false,
        };
    }

    pub(super) fn closing_deadline(&self) -> u64 {
        let worker = &self.place.worker;
        let wait = worker.node().options.close_timeout;
        self.schedule(wait);
        worker.tick_in(wait)
    }

    /// Nothing waits to be written: the write side ends once both sides have closed.
    pub(super) fn output_is_empty(&mut self) {
        if let Phase::Discarding { shut, .. } = &mut self.phase
            && !*shut
        {
            *shut = true;
            self.socket.shutdown();
        }
    }

    pub(super) fn ending_at_end_of_stream(&self) -> Ending {
        self.cause.unwrap_or(Ending::Lost)
    }

    /// Runs when the actor is dropped, whatever the way: counts, and tells the client of a panic.
    pub(super) fn finish(&mut self) {
        self.shut_program();
        self.tell_the_end();
        // The seat first: the program hears of the end when its session is in no group any more.
        self.place.worker.vacate(self.place.member);
        self.conclude_program();
    }

    fn tell_the_end(&mut self) {
        let metrics = &self.place.worker.node().metrics;
        let ending = match self.ending.or(self.cause) {
            Some(ending) => Some(ending),
            // Dropped with its thread's runtime, at the end of the process.
            None if !std::thread::panicking() => Some(Ending::Drain),
            None => None,
        };
        match ending {
            Some(ending) => ending.counter(&metrics.closed).inc(),
            None => {
                metrics.closed.panic.inc();
                let access = self.terms.access.as_deref().unwrap_or_default();
                tracing::error!(session = access, "a session panicked and is closed");
                let mut frame = BytesMut::new();
                frame::push_close(&mut frame, CloseCode::INTERNAL, "internal error");
                let frame: Bytes = frame.freeze();
                self.place.worker.send_last(self.place.member, &frame);
                self.code = Some(CloseCode::INTERNAL);
            }
        }
        if let Some(access) = &self.terms.access {
            tracing::info!(target: "fanfare::access", "WebSocket DISCONNECT {access}");
            tracing::info!(
                target: "fanfare::audit",
                session = access,
                cause = ending.map_or("panic", Ending::word),
                close_code = self.code.map(|code| code.0),
                "closed"
            );
        }
    }
}
