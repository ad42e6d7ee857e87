//! Checks names and events before anything is published.

use std::sync::Arc;

use fanfare_protocol::{ChannelName, Close, CloseCode, Envelope, Event, GroupName, Naming, Target};
use fanfare_protocol::{NameError, event_rules};
use fanfare_web::Address;
use serde::Serialize;

use super::error::SendError;

/// What the names of Fanfare's own groups start with.
const RESERVED: &str = "fanfare.";

/// Something checked and ready to be published.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) target: Target,
    pub(super) envelope: Arc<Envelope>,
}

impl Posting {
    /// An event for everybody there but the excluded.
    pub(super) fn event<E: Serialize + ?Sized>(
        to: Address<'_>,
        event: &E,
        exclude: &[ChannelName],
        naming: &Naming,
    ) -> Result<Self, SendError> {
        let target = to.target(naming)?;
        let envelope = Envelope::excluding(event_of(event)?, exclude.to_vec());
        Ok(Self::new(target, envelope))
    }

    /// A disconnect of everybody there.
    pub(super) fn close(
        to: Address<'_>,
        code: CloseCode,
        reason: &str,
        naming: &Naming,
    ) -> Result<Self, SendError> {
        let target = to.target(naming)?;
        let envelope = Envelope::closing(code, Close::cut(reason))?;
        Ok(Self::new(target, envelope))
    }

    fn new(target: Target, envelope: Envelope) -> Self {
        Self {
            target,
            envelope: Arc::new(envelope),
        }
    }
}

/// The event that an application's value is, under the rules that hold however it is published.
fn event_of<E: Serialize + ?Sized>(event: &E) -> Result<Event, SendError> {
    let event = Event::of(event)?;
    event_rules::check(&event)?;
    Ok(event)
}

/// The group that a member asks to join or leave by name. Fanfare's own groups are refused: where
/// a name comes from a client they would be a way into another user's events.
pub(crate) fn joinable(name: &str) -> Result<GroupName, NameError> {
    if name.starts_with(RESERVED) {
        let (kind, name) = ("group", name.to_owned());
        return Err(NameError::Reserved { kind, name });
    }
    GroupName::parse(name)
}
