//! The session's loop: write what waits, then read once and handle what came.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::fut::ActorFuture;
use actix::{ActorContext as _, Context};
use bytes::{Buf as _, BytesMut};
use fanfare_layer::Publish;
use fanfare_protocol::Goodbye;
use fanfare_protocol::frame::{FrameError, FrameLimits, Message, Opcode};
use futures_util::FutureExt as _;

use super::ending::{Ending, Phase};
use super::pace::Allowance;
use super::{Session, Step};
use crate::fan_out::{CloseRequest, SeatState};
use crate::worker::{READ_BYTES, SeatGuard, Turn};

/// Polls the session inside its actor's task; takes no memory of its own.
pub(super) struct Drive;

impl ActorFuture<Session> for Drive {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut Session,
        actor: &mut Context<Session>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let before = session.kept_input();
        let polled = session.poll(task);
        let after = session.kept_input();
        if before != after {
            let SeatGuard { worker, member, .. } = &session.place;
            worker.keep_input(*member, after);
        }
        let ending = ready!(polled);
        session.ending = Some(ending);
        actor.stop();
        Poll::Ready(())
    }
}

/// What the seat has to say when the session looks.
struct Glance {
    timer_fired: bool,
    program_timer_fired: bool,
    close_requested: Option<Rc<CloseRequest>>,
    has_output: bool,
}

/// What follows the handling of a message.
enum After {
    Read,
    /// Nothing more is read until the publish has found room, or the client may send again.
    Wait,
    /// The session has had its turn; the rest comes in the next one.
    TurnOver,
    /// The session is closing; what is left of the input is of no interest.
    Closing,
}

impl Session {
    fn poll(&mut self, task: &mut TaskContext<'_>) -> Poll<Ending> {
        let glance = self.glance(task);
        if glance.timer_fired
            && let Some(ending) = self.timer()
        {
            return Poll::Ready(ending);
        }
        if glance.program_timer_fired {
            self.fire_program_timers();
        }
        match glance.close_requested.as_deref() {
            Some(CloseRequest::Slow) => return Poll::Ready(Ending::Slow),
            Some(CloseRequest::Lost) => return Poll::Ready(Ending::Lost),
            Some(CloseRequest::NoMemory) => return Poll::Ready(Ending::NoMemory),
            Some(why) if self.phase == Phase::Open => self.obey(task, why),
            _ => {}
        }
        if self.poll_publishing(task).is_pending() {
            return self.poll_output(task, glance.has_output);
        }
        if glance.has_output
            && let Poll::Ready(ending) = self.poll_output(task, true)
        {
            return Poll::Ready(ending);
        }
        self.run_program(task);
        let read = self.poll_input(task);
        // Reading may have queued a close or a pong behind output that waits.
        if read.is_pending()
            && self.phase != Phase::Open
            && let Poll::Ready(ending) = self.poll_output(task, true)
        {
            return Poll::Ready(ending);
        }
        read
    }

    /// Bytes of the client's input that wait: messages that are not complete or not handled.
    fn kept_input(&self) -> usize {
        let backlog = self.backlog.as_ref().map_or(0, |backlog| backlog.len());
        self.decoder.kept_bytes() + backlog + self.program_input()
    }

    fn glance(&mut self, task: &TaskContext<'_>) -> Glance {
        let mut fan_out = self.place.worker.fan_out.borrow_mut();
        let Some(seat) = fan_out.slots.seat_mut(self.place.member) else {
            return Glance {
                timer_fired: false,
                program_timer_fired: false,
                close_requested: Some(Rc::new(CloseRequest::Lost)),
                has_output: false,
            };
        };
        match &mut seat.waker {
            Some(waker) if waker.will_wake(task.waker()) => {}
            other => *other = Some(task.waker().clone()),
        }
        Glance {
            timer_fired: std::mem::take(&mut seat.timer_fired),
            program_timer_fired: std::mem::take(&mut seat.program_timer_fired),
            close_requested: seat.close_requested.clone(),
            has_output: seat
                .outbox
                .as_ref()
                .is_some_and(|outbox| !outbox.is_empty()),
        }
    }

    /// Writes what waits. Pending when all is written too: the end comes from elsewhere.
    fn poll_output(&mut self, task: &mut TaskContext<'_>, has_output: bool) -> Poll<Ending> {
        if has_output {
            let worker = Rc::clone(&self.place.worker);
            let fan_out = &mut *worker.fan_out.borrow_mut();
            let Some(seat) = fan_out.slots.seat_mut(self.place.member) else {
                return Poll::Ready(Ending::Lost);
            };
            if let Some(mut outbox) = seat.outbox.take() {
                let (sent, drained) = self.socket.poll_drain(task, &mut outbox);
                if sent > 0 {
                    self.life.took_something(worker.ticks.get());
                }
                match drained {
                    Poll::Ready(Ok(())) if seat.state == SeatState::Closed => {}
                    Poll::Ready(Ok(())) => fan_out.slots.unblock(self.place.member),
                    unfinished => {
                        // Kept after an error too: what is in it is counted as lost.
                        seat.outbox = Some(outbox);
                        return unfinished.map(|_| Ending::Lost);
                    }
                }
            }
        }
        self.output_is_empty();
        Poll::Pending
    }

    fn poll_publishing(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        while let Some(publishing) = &mut self.publishing {
            match ready!(publishing.poll_unpin(task)) {
                Publish::Full(room) => self.publishing = Some(room),
                Publish::Done(_) | Publish::Sent(_) => self.publishing = None,
            }
        }
        Poll::Ready(())
    }

    fn poll_input(&mut self, task: &mut TaskContext<'_>) -> Poll<Ending> {
        if self.is_program_full() {
            // It wakes the session's task when it gets on.
            return Poll::Pending;
        }
        ready!(self.poll_pause(task));
        let mut turn = ready!(self.poll_turn());
        if let Some(mut backlog) = self.backlog.take() {
            let (used, after) = self.consume(task, &mut backlog, &mut turn);
            if self.is_stopped_by(task, &after) {
                backlog.advance(used);
                self.backlog = Some(backlog).filter(|rest| !rest.is_empty());
                return Poll::Pending;
            }
        }
        self.poll_socket(task, &mut turn)
    }

    /// Reads until the socket is empty, the session has to wait, or its turn is over.
    fn poll_socket(&mut self, task: &mut TaskContext<'_>, turn: &mut Turn) -> Poll<Ending> {
        let worker = Rc::clone(&self.place.worker);
        let mut buffer = worker.read_buffer.borrow_mut();
        loop {
            let read = match ready!(self.socket.poll_read(task, &mut buffer)) {
                Ok(0) => return Poll::Ready(self.ending_at_end_of_stream()),
                Ok(read) => read,
                Err(_) => return Poll::Ready(self.ending_at_end_of_stream()),
            };
            worker.node().metrics.received_bytes.inc_by(read as u64);
            self.life.sent_something(worker.ticks.get());
            if let Phase::Discarding { budget, .. } = &mut self.phase {
                *budget = budget.saturating_sub(u32::try_from(read).unwrap_or(u32::MAX));
                if *budget == 0 {
                    return Poll::Ready(self.ending_at_end_of_stream());
                }
            } else {
                let input = buffer.get_mut(..read).unwrap_or_default();
                let (used, after) = self.consume(task, input, turn);
                if self.is_stopped_by(task, &after) {
                    let rest = input.get(used..).unwrap_or_default();
                    if !rest.is_empty() {
                        self.backlog = Some(Box::new(BytesMut::from(rest)));
                    }
                    return Poll::Pending;
                }
            }
            // A buffer that came full took long to fill.
            if read == READ_BYTES && turn.look() {
                self.queue_turn(task);
                return Poll::Pending;
            }
        }
    }

    /// Whether nothing more is handled now. A publish or a pause is polled once more, to register for
    /// its end; a program has been polled.
    fn is_stopped_by(&mut self, task: &TaskContext<'_>, after: &After) -> bool {
        match after {
            After::Read | After::Closing => return false,
            After::Wait if self.publishing.is_some() || self.pause.is_some() => {
                task.waker().wake_by_ref();
            }
            After::Wait => {}
            After::TurnOver => self.queue_turn(task),
        }
        true
    }

    /// The turn of a session that has just been woken, or its turn of the run queue if it waits there.
    fn poll_turn(&mut self) -> Poll<Turn> {
        match self.turn_number {
            None => Poll::Ready(Turn::first()),
            Some(number) if self.place.worker.is_turn(number) => {
                self.turn_number = None;
                Poll::Ready(Turn::queued())
            }
            Some(_) => Poll::Pending,
        }
    }

    fn queue_turn(&mut self, task: &TaskContext<'_>) {
        self.turn_number = Some(self.place.worker.queue_turn(task.waker()));
    }

    /// Handles the messages in `input` and sends the answers to them in one write; answers how many
    /// bytes were used.
    fn consume(
        &mut self,
        task: &mut TaskContext<'_>,
        input: &mut [u8],
        turn: &mut Turn,
    ) -> (usize, After) {
        let (used, after) = self.handle(task, input, turn);
        self.place.worker.flush_replies();
        self.flush_program();
        (used, after)
    }

    fn handle(
        &mut self,
        task: &mut TaskContext<'_>,
        input: &mut [u8],
        turn: &mut Turn,
    ) -> (usize, After) {
        let limits = self.place.worker.node().options.limits.frames();
        let allowance = self.allowance();
        let mut at = 0;
        loop {
            let rest = input.get_mut(at..).unwrap_or_default();
            if self.is_program_full() || (rest.is_empty() && self.is_program_busy()) {
                self.poll_program(task);
            }
            if rest.is_empty() {
                self.release_buffer(&limits);
                return (at, After::Read);
            }
            if self.is_program_full() {
                return (at, After::Wait);
            }
            let (used, after) = self.next(&limits, &allowance, rest);
            at += used;
            if !matches!(after, After::Read) {
                return (at, after);
            }
            if turn.step() && at < input.len() {
                if self.is_program_busy() {
                    self.poll_program(task);
                }
                return (at, After::TurnOver);
            }
        }
    }

    /// The decoder keeps a message that it has assembled until it is asked for the next one.
    fn release_buffer(&mut self, limits: &FrameLimits) {
        // Nothing can come of no input.
        let _none = self.decoder.next(limits, &mut []);
    }

    /// Decodes and handles one message; answers how many bytes it took.
    fn next(
        &mut self,
        limits: &FrameLimits,
        allowance: &Allowance,
        input: &mut [u8],
    ) -> (usize, After) {
        let whole = input.len();
        let (used, message) = match self.decoder.next(limits, input) {
            Ok((used, Some(message))) => (used, message),
            Ok((_, None)) => {
                let pause = self.pace.take_part(allowance, whole);
                return (whole, self.read_on(pause));
            }
            Err(error) => {
                let FrameError { code, reason } = error;
                self.close(Goodbye::Violation { code, reason }, Ending::Protocol);
                return (whole, After::Closing);
            }
        };
        if self.phase != Phase::Open && !matches!(message, Message::Close(_)) {
            return (used, After::Read);
        }
        let pongs = matches!(message, Message::Pong(_));
        let worker = Rc::clone(&self.place.worker);
        let step = match message {
            Message::Text(text) => {
                worker.node().metrics.messages.inc();
                self.terms.handler.text(&self.place, text)
            }
            Message::Binary(bytes) => {
                worker.node().metrics.messages.inc();
                self.terms.handler.binary(&self.place, bytes)
            }
            Message::Ping(payload) => {
                worker.reply(self.place.member, Opcode::Pong, payload);
                Step::Continue
            }
            // That bytes came is the sign of life.
            Message::Pong(_) => Step::Continue,
            Message::Close(frame) => {
                let code = frame.map(|(code, _)| code);
                self.peer_closed(code);
                return (used, After::Closing);
            }
        };
        match self.after(step) {
            After::Read => {
                let pause = self.pace.take(allowance, u32::from(!pongs), used);
                (used, self.read_on(pause))
            }
            other => (used, other),
        }
    }

    /// Reads on, unless the client has sent more than it may.
    fn read_on(&mut self, pause: Option<Duration>) -> After {
        if self.pause(pause) {
            After::Wait
        } else {
            After::Read
        }
    }

    fn after(&mut self, step: Step) -> After {
        match step {
            Step::Continue | Step::Publishing(Publish::Done(_) | Publish::Sent(_)) => After::Read,
            Step::Publishing(Publish::Full(room)) => {
                self.publishing = Some(room);
                After::Wait
            }
            Step::Close(code, reason) => {
                self.close(Goodbye::Requested { code, reason }, Ending::Route);
                After::Closing
            }
        }
    }
}
