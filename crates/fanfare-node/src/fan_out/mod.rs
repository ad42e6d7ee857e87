//! The fan-out of one worker thread: who sits where, who is in which group, and what is on its way.
//!
//! A pure structure: it knows no actor of the node, no layer and no runtime, and its tests need none.

mod batch;
mod event_sink;
mod fd;
mod lane;
mod mailbox;
mod outbox;
mod queue;
mod relief;
mod roster;
mod seat;
mod shared_event;
mod slot_ref;
mod slots;
mod subscribe_options;
mod tab;
mod tally;

pub use event_sink::{Arrived, DeliveryMode};
pub use queue::Input;
pub use shared_event::SharedEvent;
pub use subscribe_options::SubscribeOptions;

pub(crate) use event_sink::EventSink;
pub(crate) use fd::unacknowledged;
pub(crate) use mailbox::{FLUSH_BYTES, MailboxState};
pub(crate) use outbox::{MAX_SLICES, Outbox};
pub(crate) use roster::{Dropped, Roster, Subscribed};
pub(crate) use seat::{CloseRequest, Seat, SeatState};
pub(crate) use slot_ref::{Bounds, SlotRef};
pub(crate) use slots::{COPIED, Slots};
pub(crate) use tab::Tab;
pub(crate) use tally::Tally;

/// What the fan-out works on; one borrow for a whole slice.
pub(crate) struct FanOut {
    pub(crate) slots: Slots,
    pub(crate) roster: Roster,
}
