//! From the bodies of messages to deliveries.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use fanfare_protocol::serializer::Addressed;
use fanfare_protocol::{ChannelName, Envelope, GroupName, Naming, Serializer, Target};
use rustc_hash::FxHashSet;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::keys::{Keys, Member};
use super::recent::Recent;
use crate::Delivery;
use crate::redis::inbox::{Message, Refused, Unpack};

/// Bodies as the core format has them; whom they are for says `__asgi_channel__`.
pub(super) struct Bodies {
    pub(super) keys: Arc<Keys>,
    pub(super) serializer: Serializer,
    /// Where group messages for single sessions go that may have been added to the group by
    /// others; without it nobody looks into them.
    pub(super) guests: Option<mpsc::Sender<Listed>>,
    /// Whether sessions are members by themselves: their messages are delivered at once.
    pub(super) per_session: bool,
    /// What came to groups, for those who look into the others.
    pub(super) recent: Arc<Recent>,
}

/// How people call [`Source::Lane`].
pub(super) const LANE: &str = "a lane of this node";

/// Where a message was.
pub(super) enum Source {
    /// In a lane of this node.
    Lane,
    /// It has been looked into already; its body is not read again.
    Ready(Delivery),
}

/// A message of some group, for sessions under their own names.
pub(super) struct Listed {
    pub(super) channels: Vec<ChannelName>,
    pub(super) envelope: Arc<Envelope>,
    pub(super) arrived: Instant,
    /// Whether the sessions have it already.
    pub(super) delivered: bool,
}

/// Whom a message is for on this node, each once.
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
            Source::Ready(delivery) => match &delivery.target {
                Target::Group(group) => group.as_str(),
                Target::Channel(channel) => channel.as_str(),
            },
        }
    }

    fn unpack(&self, message: &Message<Source>, into: &mut Vec<Delivery>) -> Result<(), Refused> {
        if let Source::Ready(delivery) = &message.source {
            into.push(delivery.clone());
            return Ok(());
        }
        let received = self.serializer.read(&message.body).map_err(Refused::Body)?;
        let Addressees { groups, channels } = self.addressees(&received.to)?;
        let envelope = Arc::new(received.envelope);
        let arrived = message.arrived;
        let delivery = |target| Delivery {
            target,
            envelope: envelope.clone(),
            arrived,
        };
        if !self.per_session {
            let bytes = message.body.len();
            let note = |group| self.recent.note(group, &envelope, bytes);
            groups.iter().for_each(note);
        }
        into.extend(groups.into_iter().map(Target::Group).map(delivery));
        // What names one channel and no list was sent to it, and to no group.
        let guests = match &received.to {
            Addressed::Many(_) if !channels.is_empty() => self.guests.as_ref(),
            _ => None,
        };
        let Some(guests) = guests else {
            into.extend(channels.into_iter().map(Target::Channel).map(delivery));
            return Ok(());
        };
        if self.per_session {
            into.extend(channels.iter().cloned().map(Target::Channel).map(delivery));
        }
        let listed = Listed {
            channels,
            envelope,
            arrived,
            delivered: self.per_session,
        };
        if self.per_session {
            // Nothing is lost where there is no room: who has gone is found by a later message.
            let _ = guests.try_send(listed);
            return Ok(());
        }
        guests.try_send(listed).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full("too many messages for single sessions".into()),
            TrySendError::Closed(_) => Refused::Full("the layer is closed".into()),
        })
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
        let mut seen = FxHashSet::default();
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
    fn address<'a>(&self, name: &'a str, seen: &mut FxHashSet<&'a str>, into: &mut Addressees) {
        static NAMES: LazyLock<Naming> = LazyLock::new(|| Naming::plain(""));
        match self.keys.read(name) {
            // A legal group's name is none of a session, which has a "!".
            Some(Member::Group(group)) if seen.insert(group) => {
                into.groups.extend(GroupName::parse(group));
            }
            Some(Member::Channel(channel)) if seen.insert(channel) => {
                into.channels.extend(NAMES.channel(channel));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
