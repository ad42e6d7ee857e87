//! From the bodies of messages to deliveries.

use std::sync::{Arc, LazyLock};

use fanfare_protocol::serializer::Addressed;
use fanfare_protocol::{ChannelName, GroupName, NameSet, Naming, Serializer, Target};

use super::keys::{Addressee, Keys, group_named};
use crate::redis::queue::incoming::{Message, Refused, Unpack};
use crate::{CloseEvents, Delivery};

/// Bodies as the core format has them; whom they are for says `__asgi_channel__`.
pub(super) struct Bodies {
    pub(super) keys: Arc<Keys>,
    pub(super) serializer: Serializer,
    pub(super) close_events: CloseEvents,
}

/// How people call [`Source::Lane`].
pub(super) const LANE: &str = "a lane of this node";

/// Where a message was.
pub(super) enum Source {
    /// In a lane of this node.
    Lane,
    /// In a normal channel; decoded already, and its body is not read again.
    Channel(Delivery),
}

/// The groups and channels of this node that a message names, each once.
#[derive(Default)]
struct Addressees {
    groups: Vec<GroupName>,
    channels: Vec<ChannelName>,
}

impl Unpack for Bodies {
    type Source = Source;

    fn spelled<'a>(&'a self, source: &'a Source) -> &'a str {
        match source {
            Source::Lane => LANE,
            Source::Channel(delivery) => match &delivery.target {
                Target::Group(group) => group.as_str(),
                Target::Channel(channel) => channel.as_str(),
            },
        }
    }

    fn unpack(&self, message: &Message<Source>, into: &mut Vec<Delivery>) -> Result<(), Refused> {
        if let Source::Channel(delivery) = &message.source {
            into.push(delivery.clone());
            return Ok(());
        }
        let received = self.serializer.read(&message.body).map_err(Refused::Body)?;
        let Addressees { groups, channels } = self.addressees(&received.to)?;
        let envelope = Arc::new(received.envelope);
        let groups = groups.into_iter().map(Target::Group);
        // A list of names is how a group is written whose members are the sessions themselves: that
        // closes nobody.
        let of_channels = match received.to {
            Addressed::One(_) => self.close_events,
            Addressed::Many(_) | Addressed::Nobody => CloseEvents::Ignored,
        };
        let groups = groups.map(|group| (group, self.close_events));
        let channels = channels.into_iter().map(Target::Channel);
        let channels = channels.map(|channel| (channel, of_channels));
        for (target, close_events) in groups.chain(channels) {
            let applied = close_events.apply(&target, envelope.clone());
            into.push(Delivery {
                envelope: applied.map_err(Refused::Close)?,
                target,
                arrived: message.arrived,
            });
        }
        Ok(())
    }
}

impl Bodies {
    fn addressees(&self, to: &Addressed) -> Result<Addressees, Refused> {
        let names = match to {
            Addressed::Nobody => {
                let reason = "the message has no \"__asgi_channel__\", which says whom it is for";
                return Err(Refused::Name(reason.into()));
            }
            Addressed::One(name) => std::slice::from_ref(name),
            Addressed::Many(names) => names,
        };
        let mut addressees = Addressees::default();
        let mut seen = NameSet::default();
        for name in names {
            self.address(name, &mut seen, &mut addressees);
        }
        if addressees.groups.is_empty() && addressees.channels.is_empty() {
            let reason = match names.first() {
                Some(first) => format!(
                    "it names {} receivers, none is here: {first:?}",
                    names.len()
                ),
                None => "it names no receiver".into(),
            };
            return Err(Refused::Name(reason));
        }
        Ok(addressees)
    }

    /// A name of somebody else is none of our business: senders list all members of a group that
    /// have one lane.
    fn address<'a>(&self, name: &'a str, seen: &mut NameSet<&'a str>, into: &mut Addressees) {
        static NAMES: LazyLock<Naming> = LazyLock::new(|| Naming::plain(""));
        match self.keys.read(name) {
            // The spelling of a group is no name of a session, which has a "!".
            Some(Addressee::Group(group)) if seen.insert(group) => {
                into.groups.extend(group_named(group));
            }
            Some(Addressee::Channel(channel)) if seen.insert(channel) => {
                into.channels.extend(NAMES.channel(channel));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
