//! An event on its way to programs and actors: shared by all of them on one thread.

use std::any::Any;
use std::cell::OnceCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fanfare_layer::Delivery;
use fanfare_protocol::{Encoder, Envelope, Event, Outgoing, Target, Undeliverable};

use super::tab::{Tab, TabCharge};

/// An event as the members of one lane see it: decoded once and encoded once for all of them.
pub struct SharedEvent {
    target: Target,
    envelope: Arc<Envelope>,
    bytes: usize,
    decoded: OnceCell<Box<dyn Any>>,
    frames: OnceCell<Result<Bytes, Undeliverable>>,
}

/// Events that came together for one group, or one event for a single session.
#[derive(Clone)]
pub(crate) struct SharedBatch {
    pub(crate) events: Rc<EventRun>,
    /// About what they keep in memory.
    pub(crate) bytes: usize,
    /// The group's index in the roster; `None` for what is for a single session.
    pub(crate) group: Option<u32>,
}

/// The events of a batch. They are on the thread's tab from the first mailbox that keeps them to the
/// last.
pub(crate) struct EventRun {
    events: Vec<Rc<SharedEvent>>,
    charge: OnceCell<TabCharge>,
}

impl SharedBatch {
    pub(crate) fn new(events: Vec<Rc<SharedEvent>>, group: Option<u32>) -> Self {
        let bytes = events.iter().map(|event| event.bytes()).sum();
        let charge = OnceCell::new();
        Self {
            events: Rc::new(EventRun { events, charge }),
            bytes,
            group,
        }
    }
}

impl EventRun {
    /// A mailbox keeps them.
    pub(super) fn count_in(&self, tab: &Rc<Tab>, bytes: usize) {
        self.charge.get_or_init(|| tab.charge(bytes));
    }
}

impl Deref for EventRun {
    type Target = [Rc<SharedEvent>];

    fn deref(&self) -> &Self::Target {
        &self.events
    }
}

impl SharedEvent {
    pub(crate) fn new(delivery: &Delivery) -> Self {
        Self {
            target: delivery.target.clone(),
            envelope: Arc::clone(&delivery.envelope),
            bytes: delivery.envelope.event.memory_bytes(),
            decoded: OnceCell::new(),
            frames: OnceCell::new(),
        }
    }

    /// The group or the channel that it was published to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What an encoder may know of it.
    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing::of(&self.target, &self.envelope)
    }

    /// The event with what nodes tell each other about it.
    pub fn envelope(&self) -> &Arc<Envelope> {
        &self.envelope
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.envelope.event
    }

    /// The event in the consumer's own type: `decode` runs for the first member only. `None` when
    /// another type has been asked for before.
    pub fn decoded<T: 'static>(&self, decode: impl FnOnce(&Event) -> T) -> Option<&T> {
        let decoded = self
            .decoded
            .get_or_init(|| Box::new(decode(&self.envelope.event)));
        decoded.downcast_ref()
    }

    /// The event in a type that it has been [decoded](Self::decoded) to.
    pub fn as_decoded<T: 'static>(&self) -> Option<&T> {
        self.decoded.get()?.downcast_ref()
    }

    /// The event as frames: `encoder` runs for the first member only.
    ///
    /// # Errors
    /// [`Undeliverable`] when the encoder has nothing to send for it.
    pub fn frames(&self, encoder: &dyn Encoder) -> Result<&Bytes, Undeliverable> {
        let frames = self.frames.get_or_init(|| {
            let mut frames = BytesMut::new();
            encoder.encode(&self.outgoing(), &mut frames)?;
            Ok(frames.freeze())
        });
        frames.as_ref().map_err(|why| *why)
    }

    /// About what it keeps in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
