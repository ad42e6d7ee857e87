//! Commands of nodes to each other.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_layer::{ControlError, ControlHandler, ControlReplies};
use fanfare_protocol::{ChannelName, Envelope, Event, GroupName, NodeId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
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

/// A session, on whichever node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSession {
    /// Its channel.
    pub channel: ChannelName,
    /// Its node.
    pub node: NodeId,
    /// The id of its user; `None` for a session of nobody in particular.
    pub user: Option<String>,
}

/// Why it is not known whether there is a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Its node could not be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Its node is alive and did not answer in time.
    #[error("node {0} did not answer in time")]
    Silent(NodeId),
}

/// What a node asks of others. On the wire an event in msgpack.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Command {
    /// How many members a group has there.
    Count { group: String },
    /// Whose session has this channel.
    User { channel: String },
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer {
    Count {
        members: usize,
    },
    /// `found` is false if no session has the channel.
    User {
        found: bool,
        user: Option<String>,
    },
}

/// Carries out the commands of other nodes.
pub(crate) struct Commands(pub(crate) Arc<Directory>);

impl Command {
    pub(crate) fn encode(&self) -> Bytes {
        let event = match self {
            Self::Count { group } => Event::new("count").with("group", group.as_str()),
            Self::User { channel } => Event::new("user").with("channel", channel.as_str()),
        };
        Envelope::new(event).to_msgpack()
    }
}

impl Commands {
    async fn answer(directory: Arc<Directory>, command: Command) -> Option<Answer> {
        match command {
            Command::Count { group } => {
                let group = GroupName::parse(&group).ok()?;
                let members = directory.members(&group);
                Some(Answer::Count { members })
            }
            Command::User { channel } => {
                let channel = directory.naming().channel(&channel).ok()?;
                let found = directory.user_of(channel).await;
                Some(Answer::User {
                    found: found.is_some(),
                    user: found.flatten(),
                })
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
        let directory = Arc::clone(&self.0);
        async move { encode(&Self::answer(directory, command?).await?) }.boxed()
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
                Some(Answer::User { .. }) | None => missing.push(node),
            }
        }
        Self { members, missing }
    }
}

impl ClusterSession {
    /// Reads what the node of a channel answered.
    pub(crate) fn of(
        channel: &ChannelName,
        node: NodeId,
        replies: ControlReplies,
    ) -> Result<Option<Self>, FindError> {
        let answer = replies.answers.into_iter().next();
        match answer.and_then(|(_, answer)| decode(&answer)) {
            Some(Answer::User { found, user }) => Ok(found.then(|| Self {
                channel: channel.clone(),
                node,
                user,
            })),
            Some(Answer::Count { .. }) | None => Err(FindError::Silent(node)),
        }
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
        let (group, channel) = ("room".to_owned(), "specific.a!b".to_owned());
        for command in [Command::Count { group }, Command::User { channel }] {
            assert_eq!(decode(&command.encode()), Some(command));
        }
    }

    #[test]
    fn an_answer_about_a_session_survives_its_encoding() {
        for (found, user) in [(false, None), (true, None), (true, Some("ann".to_owned()))] {
            let answer = Answer::User { found, user };
            assert_eq!(decode(&encode(&answer).unwrap()), Some(answer));
        }
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
