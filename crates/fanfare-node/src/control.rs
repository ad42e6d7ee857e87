//! Commands of nodes to each other.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_layer::{ControlHandler, ControlReplies};
use fanfare_protocol::{Envelope, Event, GroupName, NodeId};
use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::directory::Directory;

/// How many members a group has on all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCount {
    /// Members on the nodes that answered.
    pub members: usize,
    /// Nodes that are alive and did not answer in time. Their members are not counted.
    pub missing: Vec<NodeId>,
}

/// What a node asks of others. On the wire an event in msgpack.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Command {
    /// How many members a group has there.
    Count { group: String },
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer {
    Count { members: usize },
}

/// Carries out the commands of other nodes.
pub(crate) struct Commands(pub(crate) Arc<Directory>);

impl Command {
    pub(crate) fn encode(&self) -> Bytes {
        let event = match self {
            Self::Count { group } => Event::new("count").with("group", group.as_str()),
        };
        Envelope::new(event).to_msgpack()
    }
}

impl Commands {
    fn answer(&self, command: Command) -> Option<Answer> {
        match command {
            Command::Count { group } => {
                let group = GroupName::parse(&group).ok()?;
                let members = self.0.members(&group);
                Some(Answer::Count { members })
            }
        }
    }
}

impl ControlHandler for Commands {
    fn handle(&self, from: NodeId, command: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        let command = decode(&command);
        if command.is_none() {
            tracing::warn!(%from, "another node sent a command that this version does not know");
        }
        let answer = command.and_then(|command| self.answer(command));
        future::ready(answer.as_ref().and_then(encode)).boxed()
    }
}

impl ClusterCount {
    /// Adds up what nodes answered. A node whose answer cannot be read is missing.
    pub(crate) fn of(replies: ControlReplies) -> Self {
        let mut missing = replies.missing;
        let mut members = 0_usize;
        for (node, answer) in replies.answers {
            match decode(&answer) {
                Some(Answer::Count { members: there }) => members = members.saturating_add(there),
                None => missing.push(node),
            }
        }
        Self { members, missing }
    }
}

fn encode<T: Serialize>(value: &T) -> Option<Bytes> {
    let event = Event::of(value).ok()?;
    Some(Envelope::new(event).to_msgpack())
}

fn decode<T: DeserializeOwned>(wire: &Bytes) -> Option<T> {
    Envelope::from_msgpack(wire).ok()?.event.to().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_its_encoding() {
        let command = Command::Count {
            group: "room".into(),
        };
        assert_eq!(decode(&command.encode()), Some(command));
    }

    #[test]
    fn a_node_whose_answer_cannot_be_read_is_missing() {
        let [one, other] = [(); 2].map(|()| NodeId::random().unwrap());
        let answer = encode(&Answer::Count { members: 3 }).unwrap();
        let replies = ControlReplies {
            answers: vec![(one, answer), (other, Bytes::from_static(b"nonsense"))],
            missing: vec![],
        };
        let expected = ClusterCount {
            members: 3,
            missing: vec![other],
        };
        assert_eq!(ClusterCount::of(replies), expected);
    }
}
