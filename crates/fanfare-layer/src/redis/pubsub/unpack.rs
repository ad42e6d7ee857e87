//! From the bodies of messages to deliveries.

use std::sync::Arc;

use fanfare_protocol::{Envelope, Event, GroupName, Serializer, Target, Value};

use crate::redis::connection::subscriptions::Subscriptions;
use crate::redis::queue::incoming::{Message, Refused, Unpack};
use crate::{CloseEvents, Delivery, Subscription};

/// The field of an order to close that names its group.
const GROUP: &str = "group";

/// Bodies as the pub/sub format has them.
pub(super) struct Bodies {
    pub(super) serializer: Serializer,
    pub(super) close_events: CloseEvents,
    /// Those of all hosts: orders to close reach nodes that have no member of the group.
    pub(super) subscriptions: Vec<Arc<Subscriptions>>,
}

/// Where a message was published.
pub(super) enum Source {
    /// On the Redis channel of a group or a channel.
    Of(Target),
    /// Where orders to close are.
    Closes,
}

/// An order to close the sessions of a group, as it is published to all nodes.
pub(super) fn close_command(envelope: &Envelope, group: &GroupName) -> Envelope {
    let event = Event::new(envelope.event.event_type().to_owned());
    Envelope {
        event: event.with(GROUP, group.as_str()),
        ..envelope.clone()
    }
}

impl Unpack for Bodies {
    type Source = Source;

    fn spelled<'a>(&'a self, source: &'a Source) -> &'a str {
        match source {
            Source::Of(Target::Group(group)) => group.as_str(),
            Source::Of(Target::Channel(channel)) => channel.as_str(),
            Source::Closes => "orders to close",
        }
    }

    fn unpack(&self, message: &Message<Source>, into: &mut Vec<Delivery>) -> Result<(), Refused> {
        let received = self.serializer.read(&message.body).map_err(Refused::Body)?;
        let mut envelope = Arc::new(received.envelope);
        let target = match &message.source {
            Source::Of(target) => {
                let applied = self.close_events.apply(target, envelope);
                envelope = applied.map_err(Refused::Close)?;
                target.clone()
            }
            Source::Closes => match self.closed(&envelope)? {
                Some(group) => Target::Group(group),
                None => return Ok(()),
            },
        };
        into.push(Delivery {
            target,
            envelope,
            arrived: message.arrived,
        });
        Ok(())
    }
}

impl Bodies {
    /// The group of an order to close, if it has members here.
    fn closed(&self, command: &Envelope) -> Result<Option<GroupName>, Refused> {
        let group = match command.event.get(GROUP) {
            Some(Value::Str(group)) if command.close.is_some() => GroupName::parse(group).ok(),
            _ => None,
        };
        let group = group.ok_or_else(|| Refused::Name("it closes no group".into()))?;
        let subscription = Subscription::Group(group.clone());
        let mut hosts = self.subscriptions.iter();
        let is_here = hosts.any(|host| host.wants(&subscription));
        Ok(is_here.then_some(group))
    }
}
