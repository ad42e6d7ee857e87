//! The methods of a session that join groups and publish.

use fanfare_layer::PublishError;
use fanfare_node::JoinError;
use serde::Serialize;

use super::Session;
use crate::cluster::{GroupError, SendError, joinable};

/// Groups and other sessions. An event is anything that serializes as a map with a string `type`.
/// Publishing resolves when the layer has taken the event. In `connect` the first call that publishes
/// joins the declared groups before it.
impl<M: 'static> Session<M> {
    /// Joins a group. Returns when the layer has acknowledged it. Every event that is published
    /// after that arrives. The session leaves all its groups when it ends.
    ///
    /// # Errors
    /// [`GroupError`]: the session is not in the group then. Names that start with `fanfare.` are
    /// refused, so that a session cannot join the group of another user.
    pub async fn group_add(&self, group: &str) -> Result<(), GroupError> {
        Ok(self.mailbox.join(&joinable(group)?).await?)
    }

    /// Leaves a group, also a declared one. It is no error if the session is not in the group.
    ///
    /// # Errors
    /// [`GroupError::Name`]; while the consumer connects also [`GroupError::Join`].
    pub async fn group_discard(&self, group: &str) -> Result<(), GroupError> {
        let group = joinable(group)?;
        self.join_pending().await.map_err(|_| JoinError::Layer)?;
        self.mailbox.leave(&group);
        Ok(())
    }

    /// Sends an event to the members of a group, including this session if it is a member.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn group_send<E>(&self, group: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.be_member().await?;
        self.cluster.group_send(group, event).await
    }

    /// Sends an event to the members of each of the session's [declared](crate::Consumer::GROUPS)
    /// groups, including this session.
    ///
    /// # Errors
    /// [`SendError`]: the groups after the one that failed get nothing.
    pub async fn groups_send<E>(&self, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        for group in self.groups() {
            self.cluster.group_send(group.as_str(), event).await?;
        }
        Ok(())
    }

    /// Sends an event to the members of a group other than this session.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn group_send_others<E>(&self, group: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.be_member().await?;
        let own = [self.channel()];
        self.cluster.group_send_except(group, event, &own).await
    }

    /// Sends an event to one channel: a session's, or one that workers receive from.
    ///
    /// # Errors
    /// [`SendError`]; nobody having that channel is none.
    pub async fn send_to<E>(&self, channel: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.cluster.send(channel, event).await
    }

    /// Sends an event to all sessions of a user.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_to_user<E>(&self, user: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.be_member().await?;
        self.cluster.send_to_user(user, event).await
    }

    /// Sends an event to all sessions of all nodes.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn broadcast<E>(&self, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.be_member().await?;
        self.cluster.broadcast(event).await
    }

    /// A session that publishes while it connects is to get what it says to its own groups.
    async fn be_member(&self) -> Result<(), SendError> {
        let joined = self.join_pending().await;
        joined.map_err(|error| PublishError::Down(error.to_string()).into())
    }
}
